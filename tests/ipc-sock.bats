#!/usr/bin/env bats
# ipc-sock: servers, clients, datagrams, relays, against programs that are not ours.
# shellcheck disable=SC2012,SC2094,SC2216,SC2217 # bg reads stdin; names of our own
load helper
load sock

# ---- starting

@test "serve: a command per client has the connection on 0 and 1" {
	need python3
	serve ./s -- sh -c 'read x; echo "got $x"; cat'
	[[ $(printf 'a\nb\nc\n' | ipc-sock connect ./s) == $'got a\nb\nc' ]]
	[[ $(printf 'x\n' | python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("./s"); s.sendall(b"py\n"); s.shutdown(1)
print(s.makefile().read(), end="")') == "got py" ]]
	stop
	[[ ! -e s ]]
}

@test "serve: a live socket is left alone: 75, with who has it; a dead one is replaced" {
	need python3
	serve --echo ./s
	status 75 ipc-sock serve --echo ./s
	[[ $stderr == *"pid $PID"* && $stderr == *alone* ]]
	[[ $(echo still | ipc-sock connect ./s) == still ]]
	kill -KILL "$PID"
	wait "$PID" || :
	[[ -S s ]]
	serve --echo ./s
	[[ $(echo again | ipc-sock connect ./s) == again ]]
	stop
	# A server of other make is as safe: alive, then dead.
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("./p"); s.listen(1); print(flush=True); time.sleep(60)' >up 3>&- &
	local p=$!
	until_true lines_in up 1
	status 75 ipc-sock serve --echo ./p
	[[ $stderr == *"pid $p"* ]]
	kill -KILL $p
	wait $p || :
	serve --echo ./p
	stop
}

@test "serve: looking whether a server lives does not bother it with a connection" {
	serve -J ./s -- cat >log
	status 75 ipc-sock serve --echo ./s
	status 0 ipc-sock wait -w 5 ./s
	[[ ! -s log ]]
	stop
}

@test "serve: what is no socket is never touched: 73; a dangling link neither" {
	echo precious >f
	status 73 ipc-sock serve --echo ./f
	[[ $(<f) == precious ]]
	ln -s nowhere l
	status 73 ipc-sock serve --echo ./l
	[[ -L l ]]
	mkdir d
	status 73 ipc-sock serve --echo ./d
	status 66 ipc-sock serve --echo ./no/such/s
	status 64 ipc-sock serve --echo ./d/
}

@test "serve: of twenty that start at once on a stale path exactly one wins, three times over" {
	need python3
	local i round
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./s")'
	for round in 1 2 3; do
		for ((i = 0; i < 20; i++)); do
			bg ipc-sock serve --echo ./s 2>"err.$i"
		done
		count() { [[ $(cat err.* | wc -l) -ge 19 ]]; }
		until_true count
		status 0 ipc-sock wait -w 10 ./s
		[[ $(echo one | ipc-sock connect ./s) == one ]]
		[[ $(cat err.* | wc -l) == 19 && $(grep -l alone err.* | wc -l) == 19 ]]
		# Leave it dead for the next round.
		kill -KILL "$(ipc-sock stat -J ./s | sed 's/.*"pid":\([0-9]*\).*/\1/')"
		lonely() { [[ $(ipc-sock stat ./s) == *dead* ]]; }
		until_true lonely
		[[ -S s ]]
		rm -f err.*
	done
}

@test "serve: two that find the same dead socket do not take it from each other" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./s")'
	# The first is held up right before it removes the dead path.
	strace -f -o trace -e trace=unlinkat -e inject=unlinkat:delay_enter=1500000:when=1 \
		ipc-sock serve --echo ./s 2>err.1 3>&- &
	local first=$! second
	until_true grep -q unlink trace
	bg ipc-sock serve --echo ./s 2>err.2
	second=$!
	decided() { [[ -s err.1 || -s err.2 ]]; }
	until_true decided
	grep -q "left alone" err.2
	wait $second || [[ $? == 75 ]]
	[[ $(echo one | ipc-sock connect ./s) == one ]]
	kill "$(kids $first)"
	wait $first || :
}

@test "serve: at the end only the own path is removed" {
	need python3
	serve --echo ./s
	mv s moved
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./s")'
	stop
	[[ -S s && -S moved ]]
}

@test "serve: mode and owner are exact whatever the umask, never wider before" {
	need python3
	(umask 077; serve --echo -m 666 ./s; stat -c %a s >mode; echo "$PID" >pid)
	[[ $(<mode) == 666 ]]
	kill "$(<pid)"
	until_true gone s
	(umask 0; serve --echo -m 600 ./s; stat -c %a s >mode; echo "$PID" >pid)
	[[ $(<mode) == 600 ]]
	kill "$(<pid)"
	until_true gone s
	# Nobody ever sees another mode: a watcher asks as fast as it can while it is made again and again.
	python3 - >seen <<-'PY' &
		import os, stat
		seen = set()
		while not os.path.exists("done"):
		    try:
		        seen.add(oct(os.stat("w").st_mode & 0o7777))
		    except FileNotFoundError:
		        pass
		print(*sorted(seen))
	PY
	local watcher=$! i
	for ((i = 0; i < 12; i++)); do
		(umask 022; serve --echo -m 660 ./w; kill "$PID"; wait "$PID")
	done
	: >"done"
	wait $watcher
	[[ -z $(<seen) || $(<seen) == 0o660 ]]
}

@test "serve: --owner, from birth for root, and refused for others" {
	if [[ $(id -u) == 0 ]]; then
		serve --echo --owner nobody:65534 -m 620 ./s
		[[ $(stat -c '%u %g %a' s) == "65534 65534 620" ]]
		stop
		serve --echo --owner :65534 -m 640 ./s
		[[ $(stat -c '%u %g %a' s) == "0 65534 640" ]]
		stop
	fi
	chmod 777 .
	status 77 as_nobody "$BIN/ipc-sock" serve --echo --owner 0 ./s
	[[ ! -e s ]]
	status 64 ipc-sock serve --echo --owner no-such-user-here ./s
}

@test "serve: --ready-fd, --pidfile, sd_notify; a bare word lives in \$IPC_DIR" {
	need python3
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("./notify"); print(flush=True)
print(s.recv(100).decode())' >told 3>&- &
	until_true lines_in told 1
	NOTIFY_SOCKET=$T/notify serve --echo --pidfile pid word
	until_true grep -q READY=1 told
	[[ $(<pid) == "$PID" && -S $IPC_DIR/word.sock ]]
	[[ $(echo hi | ipc-sock connect word) == hi ]]
	stop
	[[ ! -e pid && ! -e $IPC_DIR/word.sock ]]
}

@test "a path of over 107 bytes works, and so does a name of over 107 as far as can be" {
	local d
	d=$(printf 'd%.0s' {1..90})
	mkdir -p "$d/$d"
	serve --echo "$d/$d/s"
	[[ -S $d/$d/s ]]
	[[ $(echo long | ipc-sock connect "$d/$d/s") == long ]]
	status 75 ipc-sock serve --echo "$d/$d/s"
	status 0 ipc-sock wait -w 5 "$d/$d/s"
	stop
	[[ ! -e $d/$d/s ]]
	# Never cut: a name that cannot be bound is refused, and no other appears.
	local n
	n=$(printf 'n%.0s' {1..150})
	status 64 ipc-sock serve --echo "./$n"
	[[ $(ls) != *nnnn* ]]
}

@test "abstract names, with escapes, and only for the same user and root" {
	need python3
	serve --echo "@t$$-\\0a\\x41\\\\"
	[[ $(python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(b"\0t" + sys.argv[1].encode() + b"-\0aA\\")
s.sendall(b"x"); print(s.recv(10).decode())' $$) == x ]]
	status 0 ipc-sock stat "@t$$-\\0aA\\x5c"
	[[ $output == *"pid $PID"* ]]
	status 75 ipc-sock serve --echo "@t$$-\\0aA\\\\"
	if [[ $(id -u) == 0 ]]; then
		[[ -z $(echo x | as_nobody "$BIN/ipc-sock" connect "@t$$-\\0aA\\\\" 2>/dev/null) ]]
	fi
	stop
	[[ $(id -u) != 0 ]] || {
		serve --echo --allow uid:65534 "@t$$-any"
		[[ $(echo x | as_nobody "$BIN/ipc-sock" connect "@t$$-any") == x ]]
		stop
	}
	status 64 ipc-sock connect '@bad\xZZ'
}

@test "serve: LISTEN_FDS are taken, from fd:3 and by address; systemd-socket-activate" {
	need python3
	cat >give.py <<-'PY'
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX); s.bind("./s"); s.listen(5)
		os.dup2(s.fileno(), 9); os.dup2(9, 3); os.close(9)
		os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
		os.execvp(sys.argv[1], sys.argv[1:])
	PY
	ready python3 give.py ipc-sock serve --ready-fd 8 --echo ./s
	[[ $(echo given | ipc-sock connect ./s) == given ]]
	stop
	[[ -S s ]] # not ours
	rm s
	ready python3 give.py ipc-sock serve --ready-fd 8 fd:3 -- sh -c 'cat; echo "${LISTEN_FDS-none}"'
	[[ $(echo given | ipc-sock connect ./s) == $'given\nnone' ]]
	stop
	[[ -S s ]]
	need systemd-socket-activate
	bg systemd-socket-activate -l "$T/sd" "$BIN/ipc-sock" serve --echo "$T/sd" 2>sd.err
	status 0 ipc-sock wait -w 10 ./sd
	[[ $(echo act | ipc-sock connect ./sd) == act ]]
}

@test "serve --listen-fds: the listening socket is given at the first client, again after the end" {
	need python3
	cat >act.py <<-'PY'
		import os, socket
		assert os.environ["LISTEN_FDS"] == "1" and int(os.environ["LISTEN_PID"]) == os.getpid()
		s = socket.socket(fileno=3)
		c, _ = s.accept()
		with open("starts", "a") as f: f.write("x\n")
		c.sendall(c.recv(100).upper())
	PY
	serve --listen-fds ./s -- python3 act.py
	[[ ! -e starts ]]
	[[ $(echo one | ipc-sock connect ./s) == ONE ]]
	[[ $(echo two | ipc-sock connect ./s) == TWO ]]
	lines_in starts 2
	stop
	[[ ! -e s ]]
	serve --listen-fds ./s -- sh -c 'exit 7'
	bg ipc-sock connect ./s </dev/null 2>/dev/null
	local st=0
	wait "$PID" || st=$?
	[[ $st == 7 ]]
}

# ---- clients of a server

@test "the environment of a command: IPC_*, UCSPI; unix and TCP" {
	serve ./s -- sh -c 'env | grep -E "^(PROTO|IPC|TCP)" | sort'
	ipc-sock connect ./s </dev/null >vars
	local me
	me=$(id -u)
	for v in "PROTO=IPC" "IPCREMOTEEUID=$me" "IPCREMOTEEGID=$(id -g)" "IPC_PEER_UID=$me" "IPC_CONN_NUM=1" \
		"IPCCONNNUM=1" "IPCLOCALPATH=./s" "IPC_OBJECT=./s" "IPC_LOCAL_ADDR=./s"; do
		grep -qxF "$v" vars || { echo "lacks $v"; cat vars; return 1; }
	done
	grep -qE '^IPC_PEER_PID=[1-9]' vars
	grep -qE '^IPCREMOTEPID=[1-9]' vars
	stop
}

@test "TCP: the environment, names and [::1]" {
	cat >h.sh <<-'SH'
		#!/bin/sh
		env | grep -E "^(PROTO|IPC_PEER|TCP)" | sort
	SH
	chmod +x h.sh
	tcp serve TCP -- ./h.sh
	status 0 ipc-sock connect "tcp:localhost:$PORT"
	for v in PROTO=TCP TCPREMOTEIP=127.0.0.1 TCPLOCALIP=127.0.0.1 "TCPLOCALPORT=$PORT"; do
		[[ $'\n'$output$'\n' == *$'\n'"$v"$'\n'* ]] || { echo "lacks $v: $output"; return 1; }
	done
	[[ $output == *IPC_PEER_ADDR=tcp:127.0.0.1:* && $output == *TCPREMOTEPORT=[1-9]* ]]
	status 75 ipc-sock serve --echo "tcp:127.0.0.1:$PORT"
	status 0 ipc-sock stat "tcp:127.0.0.1:$PORT"
	[[ $output == *listening* && $output == *"pid $PID"* ]]
	stop
	# At once again: TIME_WAIT does not keep the next one waiting.
	serve --echo "tcp:127.0.0.1:$PORT"
	stop
	if [[ -e /proc/net/if_inet6 ]] && grep -q 'lo$' /proc/net/if_inet6; then
		serve --echo "tcp:[::1]:$PORT"
		[[ $(echo six | ipc-sock connect "tcp:[::1]:$PORT") == six ]]
		stop
	fi
	status 69 ipc-sock connect "tcp:127.0.0.1:$PORT"
	status 64 ipc-sock connect "tcp:::1:$PORT"
	status 64 ipc-sock connect tcp:localhost
	status 64 ipc-sock connect tcp:127.0.0.1:99999
}

@test "s6-ipcserver-access chains as a handler; s6-ipcclient is a client" {
	need s6-ipcserver-access s6-ipcclient
	mkdir -p rules/uid/"$(id -u)" rules/uid/default
	: >rules/uid/"$(id -u)"/allow
	serve "$T/s" -- s6-ipcserver-access -i rules sh -c 'echo "for $IPCREMOTEEUID at $IPCLOCALPATH"; cat'
	# s6-ipcclient gives its program the connection on 6 and 7.
	[[ $(s6-ipcclient "$T/s" sh -c 'echo hi >&7; head -n 2 <&6') == "for $(id -u) at $T/s"$'\nhi' ]]
	stop
	rm rules/uid/"$(id -u)"/allow
	: >rules/uid/"$(id -u)"/deny
	serve "$T/s" -- s6-ipcserver-access -i rules echo in 2>/dev/null
	[[ -z $(ipc-sock connect "$T/s" </dev/null) ]]
	stop
}

@test "a reply that comes after the client's end of input arrives, from a command too" {
	serve ./s -- sh -c 'n=$(wc -c); read -t 1 x <>/dev/null 2>/dev/null || :; perl -e "select(undef,undef,undef,1.2)"; echo "late $n"'
	[[ $(printf abc | ipc-sock connect ./s) == "late 3" ]]
	# The peers as clients of ours.
	! command -v nc >/dev/null || [[ $(printf abc | nc -N -U ./s) == "late 3" ]]
	! command -v socat >/dev/null || [[ $(printf abc | socat -t 20 - UNIX-CONNECT:./s) == "late 3" ]]
	stop
	# And ours as a client of socat.
	need socat
	printf '#!/bin/sh\ncat >/dev/null\nperl -e "select(undef,undef,undef,1)"\necho sotto\n' >late.sh
	chmod +x late.sh
	bg socat -t 20 UNIX-LISTEN:./so,fork EXEC:./late.sh
	[[ $(echo x | ipc-sock connect --retry 10 ./so) == sotto ]]
}

@test "python's multiprocessing.connection talks to --echo" {
	need python3
	serve --echo "$T/s"
	status 0 python3 -c '
import sys
from multiprocessing.connection import Client
c = Client(sys.argv[1], "AF_UNIX"); c.send({"a": [1, 2, 3], "big": "x" * 300000}); r = c.recv()
assert r["a"] == [1, 2, 3] and len(r["big"]) == 300000' "$T/s"
	stop
}

@test "--collect: whole records of many clients, one line each, none lost" {
	need python3
	serve --collect ./s >out
	local i
	for i in 1 2 3 4 5 6 7 8; do
		perl -e '$|=1; for $i (1..2000) { print "'$i'-$i-", "x" x ($i % 300), "\n" }' | bg ipc-sock connect ./s
	done
	status 0 python3 -c '
import socket
s = socket.socket(socket.AF_UNIX); s.connect("./s")
for i in range(300):
    s.sendall(b"py-"); s.sendall(str(i).encode() + b"-\n")
s.sendall(b"no newline at the end")'
	until_true lines_in out 16301
	stop
	[[ $(sort -u out | wc -l) == 16301 && $(wc -l <out) == 16301 ]]
	[[ $(grep -cvE '^([1-8]|py)-[0-9]+-x*$' out) == 1 ]]
	grep -qx 'no newline at the end' out
}

@test "--collect: framing -0, blocks, JSON; a record over -S closes only its client" {
	need python3
	serve --collect -0 ./s >out
	printf 'a\nb\0c\0' | ipc-sock connect ./s
	until_true test -s out
	stop
	[[ $(tr '\0\n' '|_' <out) == 'a_b|c|' ]]
	serve --collect -J ./s >out
	printf 'say "x"\n\377\n' | ipc-sock connect ./s
	until_true grep -q close out
	stop
	python3 -c '
import json
r = [json.loads(l) for l in open("out")]
assert [x["event"] for x in r] == ["open", "record", "record", "close"], r
assert r[1]["data"] == "say \"x\"" and r[2]["data"].encode("utf8", "surrogateescape") == b"\xff"'
	serve --collect -S 1000 ./s >out 2>err
	perl -e 'print "y" x 5000' | ipc-sock connect ./s || :
	echo fine | ipc-sock connect ./s
	until_true grep -qx fine out
	grep -q 'longer than 1000' err
	[[ $(wc -l <out) == 1 ]]
	stop
}

@test "--broadcast: all of stdin to all clients, a terminator and --farewell at the end" {
	need python3
	mkfifo in
	exec 9<>in
	ready sh -c 'exec <in; exec "$@"' sh ipc-sock serve --ready-fd 8 --broadcast --min-clients 3 --farewell bye ./s 9>&-
	local i clients=()
	for i in 1 2; do
		bg ipc-sock connect ./s </dev/null >"out.$i" 9>&-
		clients+=($!)
	done
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX); s.connect("./s")
open("out.3", "wb").write(b"".join(iter(lambda: s.recv(70000), b"")))' 3>&- 9>&- &
	clients+=($!)
	seq 300000 >&9
	printf last >&9
	exec 9>&-
	wait "$PID"
	wait "${clients[@]}"
	(seq 300000; echo last; echo bye) >want
	for i in 1 2 3; do cmp want "out.$i"; done
	[[ ! -e s ]]
}

@test "--broadcast: a client that stops reading is closed, the others get everything" {
	need python3
	mkfifo in
	exec 9<>in
	ready sh -c 'exec <in; exec "$@"' sh ipc-sock serve --ready-fd 8 --broadcast ./s 9>&- 2>err
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.connect("./s"); print(flush=True); time.sleep(60)' >slow 3>&- 9>&- &
	local slow=$!
	until_true lines_in slow 1
	mkfifo got
	exec 7<>got
	bg ipc-sock connect ./s </dev/null >got 7>&- 9>&-
	two() { kill -USR1 "$PID"; grep -q 'clients 2' err; }
	until_true two
	(perl -e 'print "$_-", "z" x 500, "\n" for 1..12000'; echo end) >&9 3>&- 7>&- &
	local writer=$!
	[[ $(perl -ne '$n++; if (/^end$/) { print $n; exit }' <&7) == 12001 ]]
	grep -q 'too slow' err
	wait $writer
	exec 9>&- 7>&-
	kill $slow
	wait "$PID"
}

@test "--broadcast --slow drop: whole records are lost to the slow one, nothing is torn" {
	need python3
	mkfifo in
	exec 9<>in
	ready sh -c 'exec <in; exec "$@"' sh ipc-sock serve --ready-fd 8 --broadcast --slow drop ./s 9>&- 2>err
	cat >slow.py <<-'PY'
		import os, socket, time
		s = socket.socket(socket.AF_UNIX); s.connect("./s"); print(flush=True)
		while not os.path.exists("go"): time.sleep(0.01)
		d = b"".join(iter(lambda: s.recv(70000), b""))
		lines = d.split(b"\n")
		assert lines[-1] == b"", lines[-1]
		bad = [l for l in lines[:-1] if len(l) != 606 or not l.endswith(b"z" * 600)]
		assert not bad, bad[:3]
		assert lines[-2].startswith(b"12000-"), lines[-2]
		print(len(lines) - 1, flush=True)
	PY
	python3 slow.py >slow 2>slow.err 3>&- 9>&- &
	local slow=$!
	until_true lines_in slow 1
	perl -e 'printf "%05d-%s\n", $_, "z" x 600 for 1..12000' >&9
	: >go
	exec 9>&-
	wait "$PID"
	wait $slow || { cat slow.err; return 1; }
	local n
	n=$(tail -n 1 slow)
	[[ $n -gt 10 && $n -lt 12000 ]]
}

@test "--hub: each client's records go to all the others, whole, not to itself" {
	need python3
	serve --hub --farewell adieu ./s
	timeout 60 python3 - <<-'PY' 3>&-
		import socket, threading
		N = 5
		cs = []
		for i in range(N):
		    s = socket.socket(socket.AF_UNIX); s.connect("./s"); s.settimeout(20); cs.append(s)
		# Everybody is known once a line of each has gone round.
		fs = [s.makefile("rb") for s in cs]
		for i, s in enumerate(cs):
		    s.sendall(b"hello %d\n" % i)
		    for k in range(N):
		        if k != i:
		            assert fs[k].readline() == b"hello %d\n" % i
		def talk(i):
		    for n in range(500):
		        line = b"%d says %d %s\n" % (i, n, b"w" * (n % 97))
		        cs[i].sendall(line[:5]); cs[i].sendall(line[5:])
		got = [[] for _ in cs]
		def hear(i):
		    for _ in range(500 * (N - 1)):
		        got[i].append(fs[i].readline())
		ts = [threading.Thread(target=f, args=(i,)) for i in range(N) for f in (talk, hear)]
		[t.start() for t in ts]; [t.join() for t in ts]
		for i in range(N):
		    for k in range(N):
		        mine = [l for l in got[i] if l.startswith(b"%d " % k)]
		        want = [] if k == i else [b"%d says %d %s\n" % (k, n, b"w" * (n % 97)) for n in range(500)]
		        assert mine == want, (i, k, len(mine))
	PY
	stop
}

@test "--echo: a client that does not read stalls nobody; big data both ways" {
	need python3
	serve --echo ./s
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.connect("./s"); s.setblocking(False)
try:
    while True: s.send(b"x" * 65536)
except BlockingIOError: pass
print(flush=True); time.sleep(60)' >stuck 3>&- &
	local p=$!
	until_true lines_in stuck 1
	[[ $(echo free | ipc-sock connect ./s) == free ]]
	head -c 20000000 /dev/urandom >big
	ipc-sock connect ./s <big >back
	cmp big back
	[[ $(ipc-sock connect ./s <big | md5sum) == $(md5sum <big) ]]
	[[ $(head -c 20000000 big | ipc-sock connect ./s | md5sum) == $(md5sum <big) ]]
	kill $p
	stop
}

@test "limits: --iterative, --max-clients wait; --max-per-uid is refused" {
	need python3
	serve --iterative ./s -- sh -c 'echo in >>trace; cat; echo out >>trace'
	mkfifo hold
	exec 7<>hold
	ipc-sock connect ./s <hold >/dev/null 3>&- 7>&- &
	until_true lines_in trace 1
	bg ipc-sock connect ./s </dev/null 7>&-
	local second=$!
	until_true blocked $second
	lines_in trace 1
	[[ $(wc -l <trace) == 1 ]]
	exec 7>&-
	wait $second
	until_true lines_in trace 4
	[[ $(tr '\n' ' ' <trace) == "in out in out " ]]
	stop
	serve --echo --max-per-uid 2 ./s
	status 0 python3 -c '
import socket
def c():
    s = socket.socket(socket.AF_UNIX); s.connect("./s"); s.settimeout(20)
    try: s.sendall(b"x"); return s, s.recv(1)
    except ConnectionError: return s, b""
a, b, d = c(), c(), c()
assert (a[1], b[1], d[1]) == (b"x", b"x", b""), (a, b, d)
a[0].close()
for i in range(2000):
    e = c()
    if e[1] == b"x": break
else: raise SystemExit("not let in again")'
	stop
}

@test "--allow: by uid and group" {
	need root
	chmod 755 .
	serve --echo -m 666 --allow uid:1 ./s
	[[ -z $(echo x | as_nobody "$BIN/ipc-sock" connect ./s 2>/dev/null) ]]
	[[ $(echo x | ipc-sock connect ./s) == x ]]
	stop
	serve --echo -m 666 --allow uid:1,gid:65534 ./s
	[[ $(echo x | as_nobody "$BIN/ipc-sock" connect ./s) == x ]]
	stop
	serve --echo -m 600 ./s
	status 77 as_nobody "$BIN/ipc-sock" connect ./s
	stop
	status 64 ipc-sock serve --echo --allow uid:1 "tcp:127.0.0.1:$PORT"
	status 64 ipc-sock serve --echo --allow you ./s
}

@test "--idle ends what does not move, and only that" {
	need python3
	serve --echo --idle 0.3 ./s
	status 0 python3 -c '
import socket, time
a = socket.socket(socket.AF_UNIX); a.connect("./s"); a.settimeout(20)
b = socket.socket(socket.AF_UNIX); b.connect("./s"); b.settimeout(0.05)
end = b""
t = time.time()
while a.fileno() >= 0:
    b.send(b"x")
    try: b.recv(10)
    except TimeoutError: pass
    a.setblocking(False)
    try:
        if a.recv(1) == b"": break
    except BlockingIOError: pass
    time.sleep(0.02)
assert time.time() - t > 0.25
b.settimeout(20); b.send(b"y"); assert b"y" in b.recv(10)'
	stop
	# A command's read fails.
	serve --idle 0.2 ./s -- sh -c 'cat 2>/dev/null; echo "cat: $?"'
	mkfifo hold
	[[ $(ipc-sock connect ./s <>hold) == "cat: 1" ]]
	stop
}

# ---- stopping

@test "stop: idle clients learn at once, with --farewell; the path is gone at once" {
	local role c
	mkfifo in
	exec 7<>in
	for role in --echo --hub --collect --broadcast; do
		ready sh -c 'exec <in; exec "$@"' sh ipc-sock serve --ready-fd 8 $role --farewell 'good bye' --grace 20 ./s >/dev/null 2>err 7>&-
		ipc-sock connect ./s <in >out 3>&- 7>&- &
		c=$!
		one() { kill -USR1 "$PID" && grep -q 'clients 1 ' err; }
		until_true one
		stop
		wait "$c"
		[[ $(<out) == "good bye" && ! -e s ]]
	done
}

@test "stop: a command reads the end of its input, may answer, and the client gets it and the farewell" {
	serve --farewell 'good bye' --grace 20 ./s -- sh -c 'echo up; cat >/dev/null; echo finished'
	mkfifo hold
	ipc-sock connect ./s <>hold >out 3>&- &
	local c=$!
	until_true grep -q up out
	stop
	wait "$c"
	[[ $(tr '\n' ' ' <out) == "up finished good bye " ]]
}

@test "stop: --grace ends stubborn commands, TERM then KILL; a second signal ends at once" {
	serve --grace 0.2 ./s -- sh -c 'trap "" TERM; echo up; while :; do sleep 1000; done'
	mkfifo hold
	ipc-sock connect ./s <>hold >out 3>&- &
	local c=$!
	until_true grep -q up out
	stop
	wait "$c"
	serve --grace 1000 ./s -- sh -c 'echo up; exec sleep 1000'
	ipc-sock connect ./s <>hold >out2 3>&- &
	c=$!
	until_true grep -q up out2
	kill -TERM "$PID"
	until_true gone s
	kill -TERM "$PID"
	wait "$PID"
	wait "$c"
}

@test "a client that dies does not end the server; the server's death ends its clients" {
	need python3
	serve --echo ./s
	python3 -c '
import socket, os
s = socket.socket(socket.AF_UNIX); s.connect("./s")
s.sendall(b"x" * 100000); os.kill(os.getpid(), 9)' || :
	[[ $(echo lives | ipc-sock connect ./s) == lives ]]
	mkfifo hold
	ipc-sock connect ./s <>hold >out 3>&- &
	local c=$!
	until_true blocked $c
	kill -KILL "$PID"
	wait "$c"
}

@test "USR1 prints statistics, and the server goes on" {
	serve --echo ./s 2>err
	echo hi | ipc-sock connect ./s
	kill -USR1 "$PID"
	until_true grep -q 'accepted 1 .*in 3 out 3' err
	[[ $(echo hi | ipc-sock connect ./s) == hi ]]
	stop
}

@test "-c N ends after N clients; -J logs them" {
	need python3
	serve -J -c 2 ./s -- sh -c 'exit 3' >log
	ipc-sock connect ./s </dev/null
	ipc-sock connect ./s </dev/null
	wait "$PID"
	[[ ! -e s ]]
	python3 -c '
import json, os
r = [json.loads(l) for l in open("log")]
assert sorted(x["event"] for x in r) == ["close", "close", "open", "open"], r
assert all(x["status"] == 3 for x in r if x["event"] == "close")
assert all(x["uid"] == os.getuid() for x in r if x["event"] == "open")'
}

@test "serve: an inherited SIG_IGN for SIGCHLD costs no status" {
	ready perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' ipc-sock serve --ready-fd 8 -J -c 2 ./s -- sh -c 'exit 3' >log
	ipc-sock connect ./s </dev/null
	ipc-sock connect ./s </dev/null
	wait "$PID"
	[[ $(grep -c '"status":3' log) == 2 ]]
}

@test "a command that does not exist is told at once: 127, 126" {
	# Not among directories that this user may not look into.
	status 127 env "PATH=$BIN:/usr/bin:/bin" ipc-sock serve ./s -- no-such-command-here
	: >notx
	status 126 ipc-sock serve ./s -- ./notx
	[[ ! -e s ]]
	status 64 ipc-sock serve ./s
	status 64 ipc-sock serve --echo ./s -- cat
	status 64 ipc-sock serve --echo --hub ./s
	status 64 ipc-sock serve --max-clients 0 --echo ./s
	status 64 ipc-sock serve -t dgram ./s -- cat
}

@test "out of descriptors: the server waits, does not spin, and serves all in the end" {
	need python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "the sanitizer needs descriptors of its own"
	# 40 descriptors for 200 clients at once.
	ready prlimit --nofile=40:40 ipc-sock serve --ready-fd 8 --echo ./s 2>err
	status 0 python3 -c '
import socket, threading, resource
ok = []
def one(i):
    s = socket.socket(socket.AF_UNIX); s.settimeout(60)
    while True:
        try: s.connect("./s"); break
        except BlockingIOError: pass
    s.sendall(b"%d" % i); s.shutdown(1)
    if s.makefile("rb").read() == b"%d" % i: ok.append(i)
ts = [threading.Thread(target=one, args=(i,)) for i in range(200)]
[t.start() for t in ts]; [t.join() for t in ts]
assert len(ok) == 200, len(ok)'
	stop
}

@test "accept failing with EMFILE does not spin" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	mkfifo ready
	strace -f -o trace -e trace=accept4,epoll_ctl -e inject=accept4:error=EMFILE:when=1..3 \
		ipc-sock serve --ready-fd 8 --echo ./s 8>ready 2>err 3>&- &
	local tracer=$!
	read -r -t 20 <ready
	[[ $(echo patient | ipc-sock connect ./s) == patient ]]
	grep -q 'goes on when there is room' err
	[[ $(grep -c EMFILE trace) == 3 && $(wc -l <err) == 1 ]]
	# Each time it stopped listening for a while.
	[[ $(grep -c "EPOLL_CTL_MOD.*events=0" trace) == 3 ]]
	kill "$(kids $tracer)"
	wait $tracer || :
}

@test "commands get the limit of open files that the server was started with" {
	ready prlimit --nofile=64:512 ipc-sock serve --ready-fd 8 ./s -- sh -c 'ulimit -Sn; ls -l /proc/self/fd'
	ipc-sock connect ./s </dev/null >fds
	[[ $(head -n 1 fds) == 64 ]]
	# Nothing of ours but the connection, twice.
	[[ $(grep -cE 'socket:|eventpoll|pidfd|signalfd' fds) == 2 ]]
	grep -q 'open files  *512 ' "/proc/$PID/limits"
	stop
	serve --echo --max-clients 9999999 ./s 2>err
	grep -q 'only .* at once' err
	stop
}

@test "a flood of 5000 connections is served" {
	need python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "takes its time under the sanitizer"
	serve --echo ./s
	status 0 python3 -c '
import socket, resource, select
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
n = min(5000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 50)
cs = []
for i in range(n):
    s = socket.socket(socket.AF_UNIX)
    s.connect("./s"); cs.append(s)
for s in cs: s.sendall(b"ping")
for s in cs:
    assert s.recv(10) == b"ping"'
	[[ $(awk '/VmHWM/ { print $2 }' "/proc/$PID/status") -lt 30000 ]]
	stop
}

@test "stdout of --collect gone: the server ends as a filter does, even when nothing comes" {
	mkfifo out
	ipc-sock serve --collect ./s >out 3>&- &
	local p=$! st=0
	exec 7<out
	status 0 ipc-sock wait -w 10 ./s
	exec 7<&-
	wait $p || st=$?
	[[ $st == 141 && ! -e s ]]
	serve --collect ./s >/dev/full 2>err
	echo x | ipc-sock connect ./s
	st=0
	wait "$PID" || st=$?
	[[ $st == 74 ]]
}

@test "a stdout that nobody reads from stops the reading, not the signals" {
	mkfifo out
	exec 7<>out
	ready ipc-sock serve --ready-fd 8 --collect --grace 0.2 ./s >out 2>err 7>&-
	head -c 3000000 /dev/zero | tr '\0' '\n' >newlines
	ipc-sock connect ./s <newlines 2>/dev/null 3>&- 7>&- &
	full() { kill -USR1 "$PID" && tail -n 1 err | grep -q 'in [1-9]' && blocked "$PID"; }
	until_true full
	kill "$PID"
	local st=0
	wait "$PID" || st=$?
	# What was taken in and could not be got rid of is not hidden.
	[[ $st == 74 && ! -e s ]]
	grep -q 'not taken by stdout' err
	exec 7>&-
}

# ---- connect

@test "connect: nobody there is 66, refused is 69, --retry waits for the server" {
	need python3
	status 66 ipc-sock connect ./s
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./s")'
	status 69 ipc-sock connect ./s
	rm s
	status 66 ipc-sock connect --retry 0.2 ./s
	(echo retried | ipc-sock connect --retry 20 ./s >out) 3>&- &
	local c=$!
	serve --echo ./s
	wait "$c"
	[[ $(<out) == retried ]]
	stop
	echo x >f
	status 65 ipc-sock connect ./f
}

@test "connect -w, -n: a server that does not accept" {
	need python3
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("./s"); s.listen(0)
cs = []
try:
    while True:
        c = socket.socket(socket.AF_UNIX); c.setblocking(False); c.connect("./s"); cs.append(c)
except BlockingIOError: pass
print(flush=True); time.sleep(60)' >up 3>&- &
	local p=$!
	until_true lines_in up 1
	status 124 ipc-sock connect -w 0.2 ./s
	status 75 ipc-sock connect -n ./s
	status 9 ipc-sock connect -q -E 9 -w 0.1 ./s
	[[ -z $stderr ]]
	kill $p
}

@test "connect: the server's end is noticed while stdin is idle" {
	serve ./s -- sh -c 'read x; echo "bye $x"'
	mkfifo in
	exec 7<>in
	echo me >&7
	[[ $(timeout 20 ipc-sock connect ./s <&7) == "bye me" ]]
	exec 7>&-
	stop
	tcp serve --echo -c 1 --idle 0.2 TCP
	exec 7<>in
	timeout 20 ipc-sock connect "tcp:127.0.0.1:$PORT" <&7 >/dev/null
	exec 7>&-
}

@test "connect: bytes that the server did not take are never 0" {
	serve ./s -- sh -c 'read x; echo "only $x"'
	local st=0
	yes 2>/dev/null | ipc-sock connect ./s >out 2>err || st=${PIPESTATUS[1]}
	[[ $st == 69 && $(<out) == "only y" ]]
	grep -q 'were sent, .* not' err
	seq 2000000 >file
	st=0
	ipc-sock connect ./s <file >out 2>err || st=$?
	[[ $st == 69 && $(<out) == "only 1" ]]
	# Sent, but not read by it: the kernel tells us so.
	st=0
	printf '1\n2\n3\n' | ipc-sock connect ./s >out 2>err || st=$?
	[[ $st == 0 || $st == 69 ]] && [[ $(<out) == "only 1" ]]
	stop
}

@test "connect: --idle is 124; a closed stdout ends it as a filter" {
	serve ./s -- cat
	mkfifo in
	exec 7<>in
	status 124 sh -c 'ipc-sock connect --idle 0.2 ./s <&7'
	exec 7>&-
	yes | (ipc-sock connect ./s || echo $? >st) | head -n 1 >out
	[[ $(<st) == 141 && $(<out) == y ]]
	status 74 sh -c 'echo x | ipc-sock connect ./s >/dev/full'
	stop
}

@test "connect -- CMD has the connection on 6 and 7, with UCSPI's names" {
	serve --echo ./s
	[[ $(ipc-sock connect ./s -- sh -c 'echo "$PROTO ${IPC_PEER_PID:+pid}" >&7; read x <&6; echo "$x"') == "IPC pid" ]]
	status 5 ipc-sock connect ./s -- sh -c 'exit 5'
	status 127 ipc-sock connect ./s -- no-such-command-here
	stop
	need unixserver
	printf '#!/bin/sh\nread x; echo "u $x"\n' >u.sh
	chmod +x u.sh
	bg unixserver ./u ./u.sh
	[[ $(echo hi | ipc-sock connect --retry 10 ./u) == "u hi" ]]
}

@test "connect and serve against curl and an HTTP server on a unix socket" {
	need curl python3
	cat >web.py <<-'PY'
		import http.server, socketserver, os
		class H(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        b = b"body " * 20000
		        self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers()
		        self.wfile.write(b)
		    def address_string(self): return "unix"
		    def log_message(self, *a): pass
		class S(socketserver.ThreadingUnixStreamServer): daemon_threads = True
		s = S("./h", H); print(flush=True); s.serve_forever()
	PY
	python3 web.py >up 3>&- &
	until_true lines_in up 1
	printf 'GET / HTTP/1.0\r\n\r\n' | ipc-sock connect ./h | tail -c 10 >last
	[[ $(<last) == "body body " ]]
	tcp relay TCP ./h
	curl -sS --max-time 20 "http://127.0.0.1:$PORT/" >body
	[[ $(wc -c <body) == 100000 ]]
	# Twenty at once.
	seq 20 | xargs -P 20 -I N curl -sS --max-time 30 -o body.N "http://127.0.0.1:$PORT/" 3>&-
	[[ $(cat body.* | wc -c) == 2000000 ]]
	kill "$PID"
	wait "$PID"
	# And our server as the one that curl asks.
	serve ./c -- sh -c 'while read -r l && [ "$l" != "$(printf "\r")" ]; do :; done; printf "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"'
	[[ $(curl -sS --max-time 20 --unix-socket ./c http://x/) == hello ]]
	stop
}

# ---- datagrams and packets

@test "send and recv: one record each, boundaries kept, none lost while the receiver is slow" {
	mkfifo out
	(cat out >got) 3>&- &
	local reader=$!
	ready ipc-sock recv --ready-fd 8 -c 3000 ./d >out
	kill -STOP $reader "$PID"
	seq 3000 >records
	ipc-sock send ./d <records 3>&- &
	local s=$!
	until_true blocked $s
	kill -CONT $reader "$PID"
	wait $reader
	cmp got records
	wait $s
	wait "$PID"
	[[ ! -e d ]]
}

@test "send --reply; datagrams of python both ways; sizes and senders with -J" {
	need python3
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("./d"); print(flush=True)
for _ in range(3):
    d, a = s.recvfrom(1000); s.sendto(b"re: " + d, a)' >up 3>&- &
	until_true lines_in up 1
	[[ $(ipc-sock send --reply -w 20 ./d one 'two words' "") == $'re: one\nre: two words\nre: ' ]]
	ready ipc-sock recv --ready-fd 8 -J -c 2 ./e >out
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("./me"); s.sendto(b"a\0b", "./e"); s.sendto(b"", "./e")'
	wait "$PID"
	python3 -c '
import json
r = [json.loads(l) for l in open("out")]
assert r[0]["data"] == "a\0b" and r[0]["size"] == 3 and r[0]["from"] == "./me", r
assert r[1]["size"] == 0'
	status 124 ipc-sock recv -w 0.1 ./e
	status 75 ipc-sock recv -n ./e
	[[ ! -e e ]]
}

@test "recv: a datagram over -S is 65; send: too long is 65, nobody is 69 or 66" {
	ready ipc-sock recv --ready-fd 8 -S 10 ./d 2>err
	ipc-sock send ./d "longer than ten bytes"
	local st=0
	wait "$PID" || st=$?
	[[ $st == 65 ]]
	grep -q '21 bytes' err
	serve -t dgram --echo ./d
	head -c 10000000 /dev/zero >big
	status 65 sh -c 'ipc-sock send --raw ./d <big'
	[[ $stderr == *10000000* ]]
	kill -KILL "$PID"
	wait "$PID" || :
	status 69 ipc-sock send ./d x
	rm d
	status 66 ipc-sock send ./d x
	status 64 ipc-sock recv "tcp:127.0.0.1:$PORT:x"
}

@test "UDP: echo, recv and send" {
	tcp serve --echo UDP
	[[ $(ipc-sock send --reply -w 20 "udp:127.0.0.1:$PORT" ping) == ping ]]
	[[ $(printf 'a\nb\n' | ipc-sock connect --idle 0.5 "udp:127.0.0.1:$PORT") == $'a\nb' ]]
	stop
	status 69 ipc-sock send --reply -w 5 "udp:127.0.0.1:$PORT" ping
}

@test "seqpacket: a record per packet, with connect, serve, python; empty ones too" {
	need python3
	serve -t seqpacket --echo ./q
	[[ $(printf 'a\n\nlong %070000d\nz\n' 7 | ipc-sock connect -t seqpacket ./q | awk '{ print length($0) }' | tr '\n' ' ') == "1 0 70005 1 " ]]
	[[ $(ipc-sock send --reply ./q x y) == $'x\ny' ]]
	status 0 python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect("./q"); s.settimeout(20)
s.send(b"one"); s.send(b"two"); assert s.recv(100) == b"one" and s.recv(100) == b"two"'
	status 64 ipc-sock connect ./q
	[[ $stderr == *"-t"* ]]
	stop
	serve -t seqpacket --collect ./q >out
	printf 'p\nq\n' | ipc-sock send ./q
	until_true lines_in out 2
	stop
	ready ipc-sock recv --ready-fd 8 -t seqpacket -c 2 ./q >out
	ipc-sock send ./q 1 2
	wait "$PID"
	[[ $(<out) == $'1\n2' ]]
	serve -t seqpacket ./q -- perl -e 'while (sysread(STDIN, $b, 65536)) { syswrite(STDOUT, length($b)) }'
	[[ $(ipc-sock send --reply -w 20 ./q four "" 2>/dev/null | head -n 1) == 4 ]]
	stop
}

# ---- relay, pair, wait, stat

@test "pair: a dialogue of 1000 rounds; both statuses count" {
	cat >ask.sh <<-'SH'
		i=0
		while [ $i -lt 1000 ]; do
			echo $i
			read -r a
			[ "$a" = $((i * 2)) ] || exit 9
			i=$((i + 1))
		done
		echo done >&2
	SH
	cat >answer.sh <<-'SH'
		while read -r q; do echo $((q * 2)); done
	SH
	status 0 ipc-sock pair -- sh ask.sh -- sh answer.sh
	[[ $stderr == "done" ]]
	status 4 ipc-sock pair -- sh -c 'exit 4' -- cat
	status 5 ipc-sock pair -- true -- sh -c 'exit 5'
	status 127 ipc-sock pair -- cat -- no-such-command-here
	status 64 ipc-sock pair -- cat
	status 64 ipc-sock pair -- cat --
	[[ $(ipc-sock pair -t seqpacket -- perl -e 'syswrite(STDOUT, "ab"); syswrite(STDOUT, "c"); sysread(STDIN, $x, 9); print STDERR $x' \
		-- perl -e 'sysread(STDIN, $a, 9); sysread(STDIN, $b, 9); syswrite(STDOUT, "$a|$b")' 2>&1) == "ab|c" ]]
}

@test "wait: until it listens, 124, 75; not on a path that is only bound" {
	need python3
	status 124 ipc-sock wait -w 0.1 ./s
	status 75 ipc-sock wait -n ./s
	serve -t seqpacket --echo ./q
	status 0 ipc-sock wait -w 10 ./q
	status 64 ipc-sock wait -w 10 -t stream ./q
	stop
	mkfifo hold
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind("./b"); print(flush=True)
sys.stdin.readline(); s.listen(1); print(flush=True); sys.stdin.readline()' >up2 <hold 3>&- &
	exec 7>hold
	until_true lines_in up2 1
	status 124 ipc-sock wait -w 0.2 ./b
	bg ipc-sock wait -w 20 ./b
	local w=$!
	echo >&7
	wait $w
	exec 7>&-
	bg ipc-sock wait -w 20 "tcp:127.0.0.1:$PORT"
	w=$!
	local port=$PORT
	tcp serve --echo TCP
	# Had the port been somebody else's, the wait would be over, too.
	[[ $PORT != "$port" ]] || wait $w
	stop
}

@test "stat: dead, listening, types, JSON" {
	need python3
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./s")'
	status 0 ipc-sock stat ./s
	[[ $output == *dead* ]]
	rm s
	status 66 ipc-sock stat ./s
	: >f
	status 64 ipc-sock stat ./f
	serve -t seqpacket --echo -m 640 --backlog 7 ./s
	[[ $(ipc-sock stat -J ./s | python3 -c '
import json, sys
r = json.load(sys.stdin)
print(r["state"], r["type"], r["mode"], r["pid"], r["queued"], r["backlog"])') == "listening seqpacket 0640 $PID 0 7" ]]
	stop
	status 66 ipc-sock stat "@no-such-$$"
}

@test "vsock: addresses, and the loopback where there is one" {
	status 64 ipc-sock connect vsock:here:99
	status 64 ipc-sock connect vsock:1
	[[ -r /dev/vsock ]] || skip "no /dev/vsock"
	bg ipc-sock serve --echo "vsock:1:$PORT" 2>err
	local p=$!
	ipc-sock wait -w 3 "vsock:1:$PORT" 2>/dev/null || skip "vsock has no loopback here"
	[[ $(echo v | ipc-sock connect "vsock:1:$PORT") == v ]]
	kill $p
}

@test "closed stdin and stdout do no harm" {
	serve --echo ./s
	status 74 sh -c 'ipc-sock connect ./s <&-'
	status 74 sh -c 'echo x | ipc-sock connect ./s >&-'
	stop
	serve ./s -- sh -c 'cat' <&-
	[[ $(echo x | ipc-sock connect ./s) == x ]]
	stop
}

# ---- what is kept and passed on, piece by piece

# heard N [FILE]: the statistics say that N bytes have come in.
# stuck: something has come in, and nothing moves any more.
stuck() {
	local last
	kill -USR1 "$PID"
	last=$(tail -n 1 err)
	[[ $last == *" in "[1-9][0-9][0-9]* && $last == "$(tail -n 2 err | head -n 1)" ]] && blocked "$PID"
}
heard() { kill -USR1 "$PID" && tail -n 1 "${2:-err}" | grep -q " in $1 "; }

@test "--collect --raw: bytes go into a file as they are, also at its end; through a pipe; a full disk is 74" {
	head -c 3000000 /dev/urandom >big
	serve --collect --raw ./s >out
	ipc-sock connect ./s <big
	until_true cmp big out
	stop
	echo first >out
	serve --collect --raw ./s >>out
	ipc-sock connect ./s <big
	# The last byte has come when the server has ended.
	stop
	cmp big <(tail -n +2 out) && [[ $(head -n 1 out) == first ]]
	serve --collect --raw -c 1 ./s > >(cat >out)
	ipc-sock connect ./s <big
	wait "$PID"
	until_true cmp big out
	local st=0
	serve --collect --raw ./s >/dev/full 2>err
	echo x | ipc-sock connect ./s || :
	wait "$PID" || st=$?
	[[ $st == 74 ]]
	grep -q 'No space left' err
}

@test "--collect: a record that comes in pieces is whole, too long in pieces is too long" {
	need python3
	cat >pieces.py <<-'PY'
		import socket, sys
		s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
		for p in sys.argv[2:]:
		    s.sendall(p.encode()); print(flush=True); sys.stdin.readline()
	PY
	mkfifo go
	pieces() { # HEARD PIECE...: each once the server has had HEARD bytes of the one before
		local n=0 total=0 p
		python3 pieces.py ./s "$@" <go >sent 3>&- 4>&- &
		p=$!
		exec 7>go
		for piece; do
			n=$((n + 1)) total=$((total + ${#piece}))
			until_true lines_in sent $n
			((n == $#)) || until_true heard $total
			echo >&7
		done
		exec 7>&-
		wait $p
		rm sent
	}
	serve --collect ./s >out 2>err
	pieces 'half ' 'and ' $'half\nnext\nla' st
	until_true grep -qx last out
	[[ $(<out) == $'half and half\nnext\nlast' ]]
	stop
	serve --collect -S 10 ./s >out 2>err
	pieces 12345678 90123 || : # it may be cut off
	until_true grep -q 'longer than 10' err
	stop
	[[ ! -s out ]]
	serve --collect --record-size 4 -S 2 ./s >out 2>err
	pieces abc defg hij
	until_true grep -q 'inside a block' err
	stop
	[[ $(<out) == abcdefgh ]]
}

@test "--collect on packets: raw, blocks, -S; long texts in JSON are cut between characters only" {
	need python3
	serve -t seqpacket --collect --raw ./s >out
	ipc-sock send ./s one two
	until_true eval '[[ $(<out) == onetwo ]]'
	stop
	serve -t seqpacket --collect -S 10 ./s >out 2>err
	ipc-sock send ./s 'longer than ten' || :
	until_true grep -q 'of 15 bytes is too long (-S 10)' err
	ipc-sock send ./s short
	until_true lines_in out 1
	stop
	[[ $(<out) == short ]]
	local st=0
	serve -t seqpacket --collect --record-size 4 ./s >out 2>err
	ipc-sock send --raw ./s fives || :
	wait "$PID" || st=$?
	[[ $st == 65 ]]
	grep -q 'of 5 bytes, not 4' err
	serve --collect -J ./s >out
	python3 -c 'print("xé€" * 1000)' >text
	ipc-sock connect ./s <text
	until_true grep -q close out
	stop
	python3 -c '
import json
r = [json.loads(l) for l in open("out", encoding="utf8")]
assert r[1]["data"] + "\n" == open("text", encoding="utf8").read()'
}

@test "--collect: a stdout that is read late gets everything, and the clients go on" {
	mkfifo out
	exec 7<>out
	ready ipc-sock serve --ready-fd 8 --collect ./s >out 2>err 7>&-
	seq 600000 >records
	ipc-sock connect ./s <records 3>&- 7>&- &
	local c=$!
	until_true stuck
	exec 6<out 7>&-
	cat <&6 >got 3>&- &
	local reader=$!
	exec 6<&-
	wait "$c"
	until_true eval '[[ $(tail -c 7 got) == 600000 ]]'
	stop
	wait $reader
	cmp records got
}

@test "--broadcast and --hub: what is too long, in blocks, not readable" {
	status 65 sh -c 'echo 12345678901 | ipc-sock serve --broadcast -S 10 ./s'
	[[ $stderr == *"longer than 10 bytes (-S)"* ]]
	status 65 sh -c 'printf 123456 | ipc-sock serve --broadcast --record-size 4 ./s'
	[[ $stderr == *"inside a block"* ]]
	status 74 sh -c 'ipc-sock serve --broadcast ./s <.'
	[[ $stderr == *"read stdin"* && ! -e s ]]
	serve --hub -S 10 ./s 2>err
	echo 'longer than ten' | ipc-sock connect ./s || :
	until_true grep -q 'longer than 10 bytes (-S)' err
	stop
}

@test "--hub on packets: whole ones, also where the ring begins again; who leaves in the midst is left" {
	need python3
	serve -t seqpacket --hub ./s
	timeout 60 python3 - <<-'PY' 3>&-
		import socket, threading
		def client():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(20); s.connect("./s"); return s
		a, b, c = client(), client(), client()
		for s in b, c:   # everybody is there
		    s.send(b"here"); assert a.recv(100) == b"here"
		b.recv(100), c.recv(100)
		c.close()
		n = 4000
		def talk():
		    for i in range(n): a.send(b"%d\n%s" % (i, b"p" * 700))
		t = threading.Thread(target=talk); t.start()
		for i in range(n):
		    assert b.recv(2000) == b"%d\n%s" % (i, b"p" * 700), i
		t.join()
	PY
	stop
}

@test "--hub --slow wait: the talker waits for the slow one, and nobody loses anything" {
	need python3
	serve --hub --slow wait ./s 2>err
	cat >slow.py <<-'PY'
		import socket, sys
		s = socket.socket(socket.AF_UNIX); s.connect("./s"); s.sendall(b"here\n"); print(flush=True)
		sys.stdin.readline()
		for line in s.makefile(): print(line, end="", flush=True)
	PY
	mkfifo go hello
	python3 slow.py <go >got 3>&- &
	local slow=$! c
	exec 7>go
	until_true heard 5
	(perl -e 'printf "%06d-%s\n", $_, "w" x 200 for 1..20000'; echo end) >records
	ipc-sock connect ./s <records >/dev/null 3>&- 7>&- &
	c=$!
	until_true stuck
	echo >&7
	exec 7>&-
	until_true eval '[[ $(tail -n 1 got) == end ]]'
	stop
	wait $slow
	wait $c || :
	cmp <(tail -n +2 got) records
}

@test "-J: the statistics of USR1, what was dropped, and where a TCP client is" {
	need python3
	tcp serve --echo -J TCP >log
	echo hi | ipc-sock connect "tcp:127.0.0.1:$PORT"
	until_true grep -q close log
	kill -USR1 "$PID"
	until_true grep -q stats log
	stop
	python3 -c '
import json
r = [json.loads(l) for l in open("log")]
assert r[0]["event"] == "open" and r[0]["addr"].startswith("tcp:127.0.0.1:"), r
s = [x for x in r if x["event"] == "stats"][0]
assert (s["accepted"], s["in"], s["out"], s["clients"]) == (1, 3, 3, 0), s'
	mkfifo in
	exec 9<>in
	ready sh -c 'exec <in; exec "$@"' sh ipc-sock serve --ready-fd 8 --broadcast --slow drop -J ./s 9>&- >log
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.connect("./s"); print(flush=True); time.sleep(60)' >slow 3>&- 9>&- &
	local p=$!
	until_true lines_in slow 1
	until_true grep -q open log
	perl -e 'printf "%05d-%s\n", $_, "z" x 600 for 1..12000' >&9
	kill $p
	wait $p || :
	until_true grep -q close log
	exec 9>&-
	wait "$PID"
	grep -q '"dropped":[1-9]' log
}

@test "a client that has reset its connection before it was served: TCP all the same, without an address" {
	need python3
	tcp serve -c 1 TCP -- sh -c 'env >vars.new; mv vars.new vars'
	kill -STOP "$PID"
	python3 -c '
import socket, struct, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.connect(("127.0.0.1", int(sys.argv[1]))); s.close()' "$PORT"
	kill -CONT "$PID"
	until_true test -e vars
	grep -qx PROTO=TCP vars
	grep -qx "TCPLOCALPORT=$PORT" vars
	status 1 grep -E '^(TCPREMOTE|IPC_PEER|IPCREMOTE)' vars
	wait "$PID"
}

@test "handlers: no process, no pidfd, no way to get the connection back, no credentials" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	traced() { # INJECT ARG...: a server of which that fails; its pid in $PID
		local what=$1
		shift
		ready strace -qq -o trace -e "trace=${what%%:*}" -e "inject=$what" ipc-sock serve --ready-fd 8 "$@" 2>err
		TRACER=$PID
		PID=$(kids "$TRACER" ipc-sock)
	}
	ended() { kill "$PID"; wait "$TRACER" || :; }
	traced vfork:error=EAGAIN:when=1 ./s -- cat
	[[ -z $(echo x | ipc-sock connect ./s 2>/dev/null) ]]
	[[ $(echo y | ipc-sock connect ./s) == y ]]
	grep -q 'no more processes' err
	ended
	traced pidfd_open:error=EMFILE:when=1 ./s -- cat
	childless() { ! kids "$PID"; }
	echo x | timeout 20 ipc-sock connect ./s >/dev/null 2>&1 || :
	[[ $(echo y | ipc-sock connect ./s) == y ]]
	grep -q 'watch cat (pid [0-9]*), which is killed' err
	until_true childless
	ended
	traced pidfd_getfd:error=EPERM --grace 20 ./s -- sh -c 'trap "echo told; exit 0" TERM; echo up; while :; do read -r x; done'
	mkfifo hold
	ipc-sock connect ./s <>hold >out 3>&- &
	local c=$!
	until_true grep -q up out
	ended
	wait $c
	[[ $(<out) == $'up\ntold' ]]
	traced getsockopt:error=ENOBUFS ./s -- sh -c 'env | grep -c "^IPC_PEER_UID\|^IPCREMOTEEUID"'
	[[ $(ipc-sock connect ./s </dev/null) == 0 ]]
	ended
}

@test "serve: PATH is searched as the shell does; --listen-fds without a process; a second TERM kills" {
	mkdir d
	: >d/tool
	status 126 env "PATH=$BIN:$T/d" ipc-sock serve ./s -- tool
	status 64 ipc-sock serve --listen-fds --allow any ./s -- cat
	[[ $stderr == *"the server's own affair"* ]]
	serve --listen-fds ./s -- sh -c 'trap "" TERM; echo up >up; while :; do sleep 100; done'
	bg ipc-sock connect ./s </dev/null 2>/dev/null
	local c=$!
	until_true test -e up
	kill "$PID"
	# It waits for the command, which does not end, until it is told again.
	until_true blocked "$PID"
	status 0 kill -0 "$PID"
	local st=0
	until_true eval "kill $PID; ! kill -0 $PID"
	wait "$PID" || st=$?
	[[ $st == 0 ]]
	kill $c 2>/dev/null || :
	wait $c || :
	if command -v strace >/dev/null && [[ -z ${IPCBOX_SANITIZE-} ]]; then
		ready strace -qq -o /dev/null -e inject=pidfd_open:error=EMFILE ipc-sock serve --ready-fd 8 --listen-fds ./s2 \
			-- sh -c 'echo $$ >cmd; exec sleep 1000' 2>err
		bg ipc-sock connect ./s2 </dev/null 2>/dev/null
		st=0
		wait "$PID" || st=$?
		[[ $st == 71 ]]
		grep -q 'watch sh' err
		[[ ! -s cmd ]] || status 1 kill -0 "$(<cmd)"
	fi
}

@test "serve of datagrams: too long ones are told of and lost, who has no name gets no answer, --allow is 64" {
	need python3
	serve -t dgram --echo -S 10 ./d 2>err
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b"no name", "./d")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("./me"); s.settimeout(20)
s.sendto(b"longer than ten", "./d"); s.sendto(b"short", "./d")
assert s.recv(100) == b"short"'
	grep -q '15 bytes is longer than 10' err
	kill -USR1 "$PID"
	until_true grep -q 'dropped 2 in 12 out 5' err
	stop
	status 64 ipc-sock serve -t dgram --echo --allow any ./d
	[[ $stderr == *"datagrams have none"* ]]
	local p st=0
	ready ipc-sock recv --ready-fd 8 ./d >/dev/full 2>err
	ipc-sock send ./d lost
	wait "$PID" || st=$?
	[[ $st == 74 ]]
	grep -q 'No space left' err
	bg ipc-sock recv ./d
	p=$! st=0
	until_true test -S d
	until_true blocked $p
	kill $p
	wait $p || st=$?
	[[ $st == 143 && ! -e d ]]
}

@test "send: to any type, by any name; closed without an answer 69, too late 124, stdin and stdout that fail 74" {
	need python3
	serve ./s -- sh -c 'while read -r x; do echo "got $x"; done'
	[[ $(ipc-sock send --reply -w 20 ./s one two) == $'got one\ngot two' ]]
	[[ $(printf 'a\0b\0' | ipc-sock send -0 -t stream ./s) == "" ]]
	status 74 sh -c 'ipc-sock send --reply -w 20 ./s one >/dev/full'
	status 74 sh -c 'ipc-sock send ./s <.'
	stop
	serve ./s -- sh -c 'read -r x'
	status 69 ipc-sock send --reply -w 20 ./s one
	[[ $stderr == *"closed without an answer"* ]]
	stop
	serve -t seqpacket "@send$$" -- perl -e 'sysread(STDIN, $x, 99)'
	status 69 ipc-sock send --reply -w 20 "@send$$" one
	[[ $stderr == *"closed without an answer"* ]]
	stop
	serve -t seqpacket --echo "@send$$"
	[[ $(ipc-sock send --reply -w 20 "@send$$" one "" three) == $'one\n\nthree' ]]
	python3 -c '
import socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect("\0send" + sys.argv[1])
subprocess.run(["ipc-sock", "send", "--reply", "-w", "20", "fd:%d" % s.fileno(), "given"], pass_fds=[s.fileno()], check=True)' $$ >out
	[[ $(<out) == given ]]
	stop
	python3 -c '
import socket, sys
a, b, c = [socket.socket(socket.AF_UNIX, t) for t in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM)]
for s, n in (a, "d"), (b, "q"), (c, "t"): s.bind("./" + n)
b.listen(1); c.listen(1); print(flush=True); import time; time.sleep(60)' >up 3>&- &
	local p=$!
	until_true lines_in up 1
	for n in d q t; do status 124 ipc-sock send --reply -w 0.1 "./$n" x; done
	[[ $stderr == *"wait for the answer"* ]]
	seq 100000 >many
	for n in d q; do status 124 sh -c "ipc-sock send -w 0.1 ./$n <many"; done
	[[ $stderr == *"send to ./q"* ]]
	kill $p
	status 64 ipc-sock send '@bad\xZZ' x
	status 64 ipc-sock send tcp:127.0.0.1:99999 x
	for how in "send fd:%s x" "connect fd:%s" "serve --echo fd:%s"; do
		# shellcheck disable=SC2059,SC2046
		status 66 ipc-sock $(printf "$how" 77)
		# shellcheck disable=SC2059,SC2046
		status 64 ipc-sock $(printf "$how" 0)
		[[ $stderr == *"descriptor 0 is not a socket"* ]]
	done
}

@test "connect on packets: too long 65, nobody 69, --idle 124, TERM 143, ends of stdin and stdout" {
	serve -t seqpacket --echo ./q
	head -c 10000000 /dev/zero | tr '\0' x >big
	status 65 sh -c 'ipc-sock connect -t seqpacket ./q <big'
	status 74 sh -c 'ipc-sock connect -t seqpacket ./q <.'
	status 74 sh -c 'echo x | ipc-sock connect -t seqpacket ./q >/dev/full'
	status 65 sh -c 'echo 123 | ipc-sock send --raw ./q; printf 1234567 | ipc-sock connect --record-size 4 -t seqpacket ./q'
	mkfifo in
	exec 7<>in
	status 124 sh -c 'ipc-sock connect --idle 0.1 -t seqpacket ./q <&7'
	[[ $stderr == *"nothing moved"* ]]
	ipc-sock connect -t seqpacket ./q <&7 3>&- &
	local c=$! st=0
	until_true blocked $c
	kill $c
	wait $c || st=$?
	[[ $st == 143 ]]
	# Half a line is no record yet: what the server says meanwhile is seen all the same.
	mkfifo out
	ipc-sock connect -t seqpacket ./q <&7 >out 3>&- &
	c=$! st=0
	exec 6<out
	printf 'one\nhal' >&7
	read -r -t 20 x <&6
	[[ $x == one ]]
	exec 6<&-
	wait $c || st=$?
	[[ $st == 141 ]]
	ipc-sock connect -t seqpacket ./q <&7 3>&- 2>err &
	c=$! st=0
	until_true blocked $c
	kill -KILL "$PID"
	wait "$PID" || :
	wait $c || st=$?
	[[ $st == 0 ]] # nothing was on its way
	# It has read some when it goes, and much is still to come.
	serve -t seqpacket ./q -- head -c 1
	st=0
	seq 100000 | ipc-sock connect -t seqpacket ./q >/dev/null 2>err || st=$?
	[[ $st == 69 ]]
	grep -qE 'was not sent|Broken pipe|reset' err
	stop
	exec 7>&-
	status 69 sh -c "echo x | ipc-sock connect udp:127.0.0.1:$PORT"
}

@test "wait, stat: what is no address, whom it may not see, and TERM" {
	status 64 ipc-sock wait fd:0
	status 64 ipc-sock wait unix:
	status 64 ipc-sock wait tcp:127.0.0.1:99999
	status 64 ipc-sock stat unix:
	status 66 ipc-sock stat ./none/s
	bg ipc-sock wait -w 60 ./s
	local p=$! st=0
	until_true blocked $p
	kill $p
	wait $p || st=$?
	[[ $st == 143 ]]
	mkdir d
	serve --echo ./d/s
	if [[ $(id -u) == 0 ]]; then
		chmod 711 .
		chmod 700 d
		status 77 as_nobody "$BIN/ipc-sock" wait -w 20 ./d/s
	fi
	stop
	serve -t dgram --echo ./g
	status 0 ipc-sock stat -J ./g
	[[ $output == *'"state":"bound"'*'"type":"dgram"'* ]]
	stop
}

@test "--broadcast --slow drop: one who has half a record gets the other half first" {
	need python3
	perl -e 'printf "%05d-%s\n", $_, "z" x 600 for 1..20000' >lines
	ready sh -c 'exec ipc-sock serve --ready-fd 8 --broadcast --slow drop --min-clients 1 --grace 60 ./s <lines' 2>err
	cat >slow.py <<-'PY'
		import os, socket, time
		s = socket.socket(socket.AF_UNIX); s.connect("./s")
		while not os.path.exists("go"): time.sleep(0.01)
		lines = b"".join(iter(lambda: s.recv(70000), b"")).split(b"\n")
		assert lines[-1] == b"" and lines[0].startswith(b"00001-"), lines[-1]
		bad = [l for l in lines[:-1] if len(l) != 606 or not l.endswith(b"z" * 600)]
		assert not bad, bad[:3]
		assert 10 < len(lines) < 20000
	PY
	timeout 60 python3 slow.py 3>&- &
	local slow=$!
	dropped() { kill -USR1 "$PID" && tail -n 1 err | grep -q 'dropped [1-9]'; }
	until_true dropped
	: >go
	wait $slow
	wait "$PID"
}

@test "recv: a stdout that is read late gets every datagram; a server that reads no more is 69" {
	need python3
	mkfifo out
	exec 7<>out
	ready ipc-sock recv --ready-fd 8 -c 6000 ./d >out 2>err 7>&-
	local receiver=$PID
	perl -e 'printf "%06d-%s\n", $_, "d" x 900 for 1..6000' >records
	ipc-sock send ./d <records 3>&- 7>&- &
	local sender=$!
	held() { blocked "$sender" && blocked "$receiver"; }
	until_true held
	exec 6<out 7>&-
	cat <&6 >got 3>&- &
	local reader=$!
	exec 6<&-
	wait $sender
	wait "$receiver"
	wait $reader
	cmp records got
	python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("./q"); s.listen(2); print(flush=True)
c, _ = s.accept(); c.shutdown(socket.SHUT_RD); print(flush=True)
d, _ = s.accept(); print(flush=True); time.sleep(60)' >up 3>&- &
	local server=$!
	until_true lines_in up 1
	mkfifo in
	exec 7<>in
	ipc-sock connect -t seqpacket ./q <&7 2>err 3>&- 7>&- &
	local c=$! st=0
	until_true lines_in up 2
	echo x >&7
	wait $c || st=$?
	[[ $st == 69 ]]
	grep -q 'a record of 1 bytes was not sent' err
	seq 100000 >many
	ipc-sock connect -t seqpacket ./q <many 2>err 3>&- 7>&- &
	c=$! st=0
	until_true lines_in up 3
	until_true blocked $c
	kill -KILL $server
	wait $c || st=$?
	[[ $st == 69 ]]
	exec 7>&-
	grep -qE 'was not sent|reset by peer' err
}

@test "connect fd:N; stat of what is bound only, and of what the kernel tells nothing" {
	need python3
	serve --echo ./s
	python3 -c '
import socket, subprocess
s = socket.socket(socket.AF_UNIX); s.connect("./s")
print(subprocess.run(["ipc-sock", "connect", "fd:%d" % s.fileno()], pass_fds=[s.fileno()], input=b"given", capture_output=True, check=True).stdout.decode())' >out
	[[ $(<out) == given ]]
	stop
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind("./b"); print(flush=True); import time; time.sleep(60)' >up 3>&- &
	local p=$!
	until_true lines_in up 1
	status 0 ipc-sock stat ./b
	[[ $output == *"bound, not listening"* ]]
	kill $p
	status 71 ipc-sock stat vsock:1:99
	status 64 ipc-sock pair -- -- cat
}

# ---- the classics

@test "classic: sum server, iterative and multiplexed, 100 clients at once" {
	cat >sum.sh <<-'SH'
		sum=0
		while read -r n; do
			case $n in
			0) echo "$sum" ;;
			'' | *[!0-9-]*) echo "ignored: $n" ;;
			*) sum=$((sum + n)) ;;
			esac
		done
	SH
	serve ./s -- sh sum.sh
	local i
	for ((i = 1; i <= 100; i++)); do (printf '%s\n' "$i" 2 nonsense 3 0 | ipc-sock connect ./s >"sum.$i") 3>&- & done
	for ((i = 1; i <= 100; i++)); do until_true grep -qx "$((i + 5))" "sum.$i"; done
	grep -qx 'ignored: nonsense' sum.50
	stop
}

@test "classic: books over TCP, for one client after the other" {
	local i
	tcp serve TCP -- tee -a books
	for i in 1 2; do
		[[ $(printf 'War and Peace\nPride and Prejudice\nThe Sound and the Fury\n' |
			ipc-sock connect "tcp:127.0.0.1:$PORT") == $'War and Peace\nPride and Prejudice\nThe Sound and the Fury' ]]
	done
	[[ $(wc -l <books) == 6 ]]
	stop
}
