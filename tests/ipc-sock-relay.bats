#!/usr/bin/env bats
# ipc-sock relay: between kinds, half-close, resets, datagrams, limits.
# shellcheck disable=SC2094,SC2216,SC2217 # bg reads stdin; names of our own
load helper
load sock

@test "relay: half-close both ways, late replies, many at once, bulk" {
	serve ./s -- sh -c 'n=$(wc -c); perl -e "select(undef,undef,undef,0.7)"; echo "late $n"'
	local server=$PID
	ready ipc-sock relay --ready-fd 8 ./r ./s
	local relay=$PID
	[[ $(printf abc | ipc-sock connect ./r) == "late 3" ]]
	local i
	for ((i = 0; i < 20; i++)); do (head -c $((i * 1000)) /dev/zero | ipc-sock connect ./r >"o.$i") 3>&- & done
	for ((i = 0; i < 20; i++)); do until_true grep -qx "late $((i * 1000))" "o.$i"; done
	stop "$relay"
	stop "$server"
	serve --echo ./s
	server=$PID
	tcp relay TCP ./s
	head -c 30000000 /dev/urandom >big
	[[ $(ipc-sock connect "tcp:127.0.0.1:$PORT" <big | md5sum) == $(md5sum <big) ]]
	# Between kinds.
	ready ipc-sock relay --ready-fd 8 -t seqpacket --to-type stream @r$$ ./s
	[[ $(ipc-sock send -t seqpacket --reply -w 20 @r$$ packet) == packet ]]
	stop
	stop "$server"
}

@test "relay: TO refused closes the client; --retry waits; its death is noticed" {
	ready ipc-sock relay --ready-fd 8 ./r ./s 2>err
	status 0 ipc-sock connect ./r
	grep -q 'connect ./s' err
	stop
	ready ipc-sock relay --ready-fd 8 --retry 20 ./r ./s
	local relay=$PID
	(echo patient | ipc-sock connect ./r >out) 3>&- &
	local c=$!
	serve --echo ./s
	wait "$c"
	[[ $(<out) == patient ]]
	mkfifo hold
	ipc-sock connect ./r <>hold >out2 3>&- &
	c=$!
	until_true blocked $c
	kill -KILL "$PID"
	wait "$c"
	stop "$relay"
}

@test "relay of datagrams: each sender has a session of its own, also towards other kinds" {
	need python3
	tcp serve --echo UDP
	local server=$PID to=$PORT
	tcp relay UDP "udp:127.0.0.1:$to"
	[[ $(ipc-sock send --reply -w 20 "udp:127.0.0.1:$PORT" one two) == $'one\ntwo' ]]
	python3 -c '
import socket, sys
cs = []
for i in range(10):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
    s.connect(("127.0.0.1", int(sys.argv[1]))); cs.append(s)
for n in range(20):
    for i, s in enumerate(cs): s.send(b"%d-%d" % (i, n))
    for i, s in enumerate(cs): assert s.recv(100) == b"%d-%d" % (i, n)' "$PORT"
	stop
	stop "$server"
	serve -t seqpacket --echo ./q
	server=$PID
	ready ipc-sock relay --ready-fd 8 -t dgram --to-type seqpacket ./d ./q
	[[ $(ipc-sock send --reply -w 20 ./d packet) == packet ]]
	stop
	stop "$server"
}

@test "relay between psql and PostgreSQL's unix socket" {
	need psql
	local bin
	bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
	[[ -x $bin/initdb ]] || skip "no PostgreSQL server is installed"
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "said without it"
	# The server's user must get there.
	PG=$(mktemp -d /tmp/ipcbox-pg.XXXXXX)
	chmod 777 "$PG"
	pg() {
		if [[ $(id -u) == 0 ]]; then
			as_nobody env HOME=/ "$@"
		else
			"$@"
		fi
	}
	pg "$bin/initdb" -D "$PG/data" -U tester -A trust -N >initdb.log 2>&1 || skip "initdb does not work here: $(tail -n 1 initdb.log)"
	pg "$bin/postgres" -D "$PG/data" -k "$PG" -c listen_addresses= -p 5432 -F >pg.log 2>&1 3>&- &
	local server=$!
	status 0 ipc-sock wait -w 60 "$PG/.s.PGSQL.5432"
	tcp relay TCP "$PG/.s.PGSQL.5432"
	up() { psql -h 127.0.0.1 -p "$PORT" -U tester -d postgres -Atc 'select 1'; }
	until_true up
	[[ $(psql -h 127.0.0.1 -p "$PORT" -U tester -d postgres -Atc 'select sum(n) from generate_series(1, 100000) n') == 5000050000 ]]
	[[ $(psql -h 127.0.0.1 -p "$PORT" -U tester -d postgres -Atc "copy (select n, md5(n::text) from generate_series(1, 200000) n) to stdout" | wc -l) == 200000 ]]
	kill -INT "$(head -n 1 "$PG/data/postmaster.pid")"
	wait $server || :
	stop
	rm -rf "$PG"
}

@test "redis-cli -s through a relay; connect speaks to redis" {
	need redis-cli redis-server
	redis-server --port 0 --unixsocket "$T/red" --save '' --dir "$T" >red.log 3>&- &
	local server=$!
	status 0 ipc-sock wait -w 20 ./red
	ready ipc-sock relay --ready-fd 8 ./r ./red
	[[ $(redis-cli -s ./r set k v) == OK && $(redis-cli -s ./r get k) == v ]]
	[[ $(printf 'GET k\r\nQUIT\r\n' | ipc-sock connect ./red | tr -d '\r' | tr '\n' ' ') == '$1 v +OK ' ]]
	stop
	kill $server
}

@test "relay to TCP: joined, refused, given up after -w; told to stop it ends what is under way" {
	need python3
	tcp serve --echo TCP
	local server=$PID to=$PORT c
	[[ $(ipc-sock connect "tcp:127.0.0.1:$to" -- sh -c 'echo "$PROTO $TCPREMOTEIP $TCPREMOTEPORT"') == "TCP 127.0.0.1 $to" ]]
	ready ipc-sock relay --ready-fd 8 ./r "tcp:127.0.0.1:$to" 2>err
	[[ $(echo far | ipc-sock connect ./r) == far ]]
	mkfifo hold
	exec 7<>hold
	ipc-sock connect ./r <&7 >out 3>&- 7>&- &
	c=$!
	echo held >&7
	until_true grep -q held out
	stop
	wait $c
	exec 7>&-
	stop "$server"
	ready ipc-sock relay --ready-fd 8 --retry 0.1 ./r "tcp:127.0.0.1:$to" 2>err
	status 0 ipc-sock connect ./r
	grep -q "connect tcp:127.0.0.1:$to: Connection refused" err
	stop
	python3 -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(0); cs = []
for _ in range(8):
    c = socket.socket(); c.setblocking(False); cs.append(c)
    try: c.connect(s.getsockname())
    except BlockingIOError: pass
print(s.getsockname()[1], flush=True); time.sleep(60)' >port 3>&- &
	local full=$!
	until_true lines_in port 1
	ready ipc-sock relay --ready-fd 8 -w 0.2 ./r "tcp:127.0.0.1:$(<port)" 2>err
	status 0 timeout 30 ipc-sock connect ./r
	grep -qi 'timed out' err
	stop
	kill $full
	status 64 ipc-sock relay ./r fd:0
	status 64 ipc-sock relay ./r tcp:127.0.0.1:99999
}

@test "relay: whom nobody reads any more is told so, and still hears the rest; packets wait for a slow reader" {
	need python3
	mkfifo go
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind("./s"); s.listen(1); print(flush=True)
c, _ = s.accept(); c.shutdown(socket.SHUT_RD); c.sendall(b"half\n")
sys.stdin.readline(); c.sendall(b"rest\n")' <go >up 3>&- &
	exec 7>go
	until_true lines_in up 1
	ready ipc-sock relay --ready-fd 8 ./r ./s
	timeout 40 python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX); s.connect("./r"); f = s.makefile("rb")
assert f.readline() == b"half\n"
try:
    while True: s.send(b"x" * 4096)
except BrokenPipeError: pass
os.write(7, b"\n")
assert f.read() == b"rest\n"' 3>&-
	exec 7>&-
	stop
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("./q"); s.listen(1); print(flush=True)
c, _ = s.accept(); sys.stdin.readline()
for i in range(3000): assert c.recv(2000) == b"%d" % i + b"p" * 900, i
print("all", flush=True); print(c.recv(2000) == b"", flush=True)' <go >up2 3>&- &
	exec 7>go
	local p=$!
	until_true lines_in up2 1
	ready ipc-sock relay --ready-fd 8 -t seqpacket --to-type seqpacket ./r2 ./q 2>err
	timeout 60 python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect("./r2"); s.setblocking(False); told = False
for i in range(3000):
    while True:
        try: s.send(b"%d" % i + b"p" * 900); break
        except BlockingIOError:
            if not told: os.write(7, b"\n")
            told = True; s.setblocking(True)
s.shutdown(socket.SHUT_WR); s.recv(10)' 3>&-
	wait $p
	[[ $(tail -n 2 up2) == $'all\nTrue' ]]
	exec 7>&-
	stop
	[[ $(id -u) == 0 ]] || return 0
	# Larger than either side may have: SO_SNDBUFFORCE is root's.
	serve -t seqpacket --echo ./echo
	local server=$PID
	ready ipc-sock relay --ready-fd 8 -t seqpacket --to-type seqpacket ./r3 ./echo 2>err
	timeout 60 python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect("./r3"); s.settimeout(30)
s.setsockopt(socket.SOL_SOCKET, 32, 4000000)
for n in 300000, 1100000:
    s.send(b"l" * n); s.send(b"next"); assert s.recv(10) == b"next"' 3>&-
	grep -q 'a record of 300000 bytes is lost' err
	grep -q '1100000 bytes is longer than' err
	stop
	stop "$server"
}

@test "relay of datagrams: the longest idle makes room at --max-clients, empty ones, senders without a name, and TO that ends" {
	need python3
	serve -t seqpacket --echo ./q
	local server=$PID
	ready ipc-sock relay --ready-fd 8 -t dgram --to-type seqpacket --max-clients 1 ./d ./q 2>err
	timeout 40 python3 -c '
import socket
def sender(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.settimeout(20)
    if name: s.bind(name)
    s.connect("./d"); return s
a, b = sender("./a"), sender("./b")
a.send(b"one"); assert a.recv(100) == b"one"
b.send(b"two"); assert b.recv(100) == b"two"
a.send(b""); a.send(b"three"); assert a.recv(100) == b"three"' 3>&-
	kill -USR1 "$PID"
	until_true grep -q 'clients 1 peak 1 accepted 3 refused 0 failed 0 idled 2 .* dropped 0 ' err
	stop
	ready ipc-sock relay --ready-fd 8 -t dgram --to-type seqpacket ./d ./q 2>err
	timeout 40 python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect("./d"); s.send(b"nobody")' 3>&-
	heard_back() { kill -USR1 "$PID" && grep -q 'clients 1 ' err; }
	until_true heard_back
	stop "$server"
	left() { kill -USR1 "$PID" && tail -n 1 err | grep -q 'clients 0 '; }
	until_true left
	stop
}

@test "relay: a lack of descriptors is nobody's end of file; surplus clients wait" {
	head -c 8000000 /dev/zero >big # more than pipes and sockets hold
	serve ./up -- cat big
	local server=$PID i
	ready bash -c 'ulimit -n 60; exec ipc-sock relay --ready-fd 8 ./r ./up'
	mkfifo go
	exec 7<>go
	# Each holds its connection, with most of the answer unread, until all have come.
	for ((i = 0; i < 20; i++)); do
		(ipc-sock connect ./r </dev/null 7>&-; echo "$?" >"s.$i") 3>&- | { read -r -N 1 x <&7; wc -c >"o.$i"; } 3>&- &
	done
	waiting() { [[ $(ipc-sock stat -J ./r | sed 's/.*"queued":\([0-9]*\).*/\1/') -gt 0 ]]; }
	until_true waiting
	printf '%020d' 0 >&7
	for ((i = 0; i < 20; i++)); do until_true grep -qx 8000000 "o.$i" && until_true grep -qx 0 "s.$i"; done
	exec 7>&-
	stop
	stop "$server"
}

@test "relay: without pipes the bytes go by way of its own memory, both ways whole" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	serve --echo ./up
	local server=$PID
	ready strace -qq -o trace -e trace=pipe2 -e inject=pipe2:error=EMFILE ipc-sock relay --ready-fd 8 ./r ./up
	head -c 3000000 /dev/urandom >big
	[[ $(timeout 60 ipc-sock connect ./r <big | md5sum) == $(md5sum <big) ]]
	grep -q 'pipe2.*EMFILE' trace
	kill "$(kids "$PID")"
	wait "$PID"
	stop "$server"
}

@test "relay: no socket to TO for lack of descriptors is no refusal while others may give theirs back" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	serve --echo ./up
	local server=$PID
	# The second client meets a lack three times: socket(2) calls 1 is the listener, 2 the first client's.
	ready strace -qq -o trace -e trace=socket -e inject=socket:error=EMFILE:when=3..5 \
		ipc-sock relay --ready-fd 8 ./r ./up 2>err
	mkfifo hold
	exec 7<>hold
	echo first >&7
	ipc-sock connect ./r <&7 >one 3>&- 7>&- &
	local c=$!
	until_true grep -q first one
	[[ $(echo second | timeout 60 ipc-sock connect ./r) == second ]]
	grep -q EMFILE trace
	grep -q 'it goes on when there is room' err
	kill "$c"
	exec 7>&-
	kill "$(kids "$PID")"
	wait "$PID"
	stop "$server"
}

@test "serve: no process for lack of memory is no end of file while others may give theirs back" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	ready strace -qq -o trace -e trace=vfork,clone,clone3 -e inject=vfork,clone,clone3:error=EAGAIN:when=2..3 \
		ipc-sock serve --ready-fd 8 ./s -- cat 2>err
	mkfifo hold
	exec 7<>hold
	echo first >&7
	ipc-sock connect ./s <&7 >one 3>&- 7>&- &
	local c=$!
	until_true grep -q first one
	[[ $(echo second | timeout 60 ipc-sock connect ./s) == second ]]
	grep -q EAGAIN trace
	kill "$c"
	exec 7>&-
	kill "$(kids "$PID")"
	wait "$PID"
}

@test "relay of datagrams: an error costs the datagram, is counted, and said once" {
	need python3
	ipc-sock recv -f --ready-fd 8 ./log >g1 8>r1 3>&- &
	local log=$!
	until_true lines_in r1 1
	ready ipc-sock relay --ready-fd 8 -t dgram ./d ./log 2>err
	mkfifo say
	ipc-sock send ./d <say 3>&- &
	local sender=$!
	exec 7>say
	echo 1 >&7
	until_true grep -qx 1 g1
	kill "$log"
	wait "$log" || :
	printf '2a\n2b\n' >&7
	lost() { kill -USR1 "$PID" && grep -q 'dropped 2 ' err; }
	until_true lost
	[[ $(grep -c 'is lost' err) == 1 ]]
	ipc-sock recv -f --ready-fd 8 ./log >g2 8>r2 3>&- 7>&- &
	log=$!
	until_true lines_in r2 1
	echo 3 >&7
	until_true grep -qx 3 g2
	# One that is too long for the way to TO, from a sender who may send it.
	[[ $(id -u) != 0 ]] || python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect("./d"); s.settimeout(30)
s.setsockopt(socket.SOL_SOCKET, 32, 4000000); s.send(b"l" * 400000); s.send(b"4")' 3>&-
	[[ $(id -u) != 0 ]] || until_true grep -qx 4 g2
	exec 7>&-
	wait "$sender"
	kill "$log"
	stop
}

@test "relay: TO that refuses, is reset or falls silent resets the client; so do --idle and the end of --grace" {
	need python3
	tcp relay TCP ./nobody 2>err
	ipc-sock connect "tcp:127.0.0.1:$PORT" </dev/null && return 1
	local c=0
	ipc-sock connect "tcp:127.0.0.1:$PORT" </dev/null 2>said || c=$?
	[[ $c == 69 ]]
	stop
	ready ipc-sock relay --ready-fd 8 ./r ./nobody 2>err
	timeout 30 python3 -c '
import socket, select
for late in False, True:
    s = socket.socket(socket.AF_UNIX); s.connect("./r"); s.settimeout(20)
    if late: assert not select.select([s], [], [], 0.2)[0]
    s.send(b"request\n")
    try: assert s.recv(10) != b"", "a clean end"
    except ConnectionResetError: pass' 3>&-
	stop
	cat >to.py <<-'END'
		import socket, struct, sys
		l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(9); print(l.getsockname()[1], flush=True)
		while True:
		    c, _ = l.accept()
		    what = c.recv(100)
		    c.sendall(b"half")
		    if what == b"reset\n":
		        sys.stdin.readline()
		        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
		    else: kept = c
	END
	mkfifo go
	exec 7<>go
	python3 to.py <&7 >port 3>&- 7>&- &
	local to=$!
	until_true lines_in port 1
	tcp relay --idle 0.5 --grace 0.2 TCP "tcp:127.0.0.1:$(<port)" 2>err
	cat >client.py <<-'END'
		import os, socket, sys
		s = socket.socket(); s.connect(("127.0.0.1", int(sys.argv[1]))); s.settimeout(20)
		s.send(sys.argv[2].encode() + b"\n"); got = b""
		while len(got) < 4: got += s.recv(4)
		os.write(7, b"\n") if sys.argv[2] == "reset" else open("begun", "w").close()
		try: assert s.recv(10) != b"", "a clean end"
		except ConnectionResetError: print(got.decode(), "reset")
	END
	[[ $(timeout 30 python3 client.py "$PORT" reset) == "half reset" ]]
	[[ $(timeout 30 python3 client.py "$PORT" silence) == "half reset" ]]
	stop
	tcp relay --grace 0.2 TCP "tcp:127.0.0.1:$(<port)" 2>err
	rm begun
	timeout 30 python3 client.py "$PORT" silence >out 3>&- 7>&- &
	c=$!
	until_true test -e begun
	stop
	wait $c
	[[ $(<out) == "half reset" ]]
	exec 7>&-
	kill "$to"
}

@test "relay: what one read of a TCP client gave goes to packets, and their bytes back" {
	need python3
	serve -t seqpacket --echo ./q
	local server=$PID
	tcp relay --to-type seqpacket TCP ./q
	[[ $(timeout 30 python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); s.settimeout(20)
s.send(b"bytes"); print(s.recv(100).decode())' "$PORT") == bytes ]]
	stop
	stop "$server"
}
