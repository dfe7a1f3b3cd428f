#!/usr/bin/env bats
# ipc-door: calls by file name, against peers that are not ours: python3 speaks the protocol, well and badly.
# shellcheck disable=SC2016 # scripts for other shells
load helper

# serve ARG...: a server in the background, ready; its pid in $PID.
serve() { ready ipc-door serve --ready-fd 8 "$@"; }

# stop: end the server, and want it to end with 0.
stop() {
	kill "${1:-$PID}"
	local s=0
	wait "${1:-$PID}" || s=$?
	[[ $s == 0 ]] || { echo "the server ended with $s"; return 1; }
}

# field NAME: of the door's state.
field() { timeout 20 ipc-door stat -J "${2:-./d}" | sed "s/.*\"$1\":\"\\{0,1\\}\\([^,\"}]*\\).*/\\1/"; }
is() { [[ $(field "$1") == "$2" ]]; }
gone() { ! kill -0 "$1" 2>/dev/null; }
fds() { ls "/proc/$PID/fd" | wc -l; }

# peer CODE ARG...: run CODE in python3 with the protocol at hand.
peer() {
	local code=$1
	shift
	cat >peer.py <<-'END'
		import array, os, signal, socket, struct, sys, time
		HEAD = '4sHHII'
		def head(type, arg=0, length=0, magic=b'DOOR', version=1):
		    return struct.pack(HEAD, magic, version, type, arg, length)
		def body(args=(), env=(), nums=(0, 1, 2), chain=b'', argc=None, envc=None, nfds=None):
		    strings = b''.join(s + b'\0' for s in [*args, *env, chain])
		    return struct.pack('III', len(args) if argc is None else argc,
		        len(env) if envc is None else envc, len(nums) if nfds is None else nfds
		        ) + struct.pack('%di' % len(nums), *nums) + strings
		def request(*a, flags=0, **k):
		    b = body(*a, **k)
		    return head(1, flags, len(b)) + b
		def door(path='./d'):
		    s = socket.socket(socket.AF_UNIX)
		    s.settimeout(40)
		    s.connect(path)
		    return s
		def sendfds(s, data, fds=(0, 1, 2)):
		    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
		def answer(s):
		    got = b''
		    while True:
		        try:
		            b = s.recv(65536)
		        except ConnectionResetError:
		            b = b''
		        if not b: break
		        got += b
		    if not got: return None
		    magic, version, type, arg, length = struct.unpack(HEAD, got[:16])
		    assert magic == b'DOOR' and version == 1 and len(got) == 16 + length, got
		    return type, arg, got[16:].decode()
		def call(*a, **k):
		    s = door(); sendfds(s, request(*a, **k)); return answer(s)
	END
	echo "$code" >>peer.py
	timeout 60 python3 peer.py "$@" 3>&- 4>&-
}

# ---- a call

@test "call: arguments, stdin, stdout, stderr and the exit status go through" {
	serve ./d -- sh -c 'echo "$0 $#: $*"; cat; echo problem >&2; exit 7' first
	local s=0
	printf 'a\nb\n' | ipc-door call ./d x '' -- -y 'two words' $'nl\n' >out 2>err || s=$?
	[[ $s == 7 ]]
	[[ $(<out) == $'first 6: x  -- -y two words nl\n\na\nb' && $(<err) == problem ]]
	stop
	[[ ! -e d ]]
}

@test "call: the handler has the caller's own descriptors, nothing is copied" {
	serve ./d -- sh -c 'for i in 0 1 2; do echo "$(readlink /proc/$$/fd/$i)" >&3; done 3>links; dd bs=1 count=3 2>/dev/null'
	printf '0123456789' >in
	{ ipc-door call ./d >out 2>err; read -r rest || :; } <in
	# The same open files, so the offset that the handler leaves is ours.
	[[ $(<out) == 012 && $rest == 3456789 ]]
	[[ $(<links) == "$T/in"$'\n'"$T/out"$'\n'"$T/err" ]]
	stop
}

@test "call: what the handler gets: credentials, number, name; nothing stray" {
	export IPC_PEER_ADDR=old NOTIFY_SOCKET=@none LISTEN_FDS=1 KEEP=server
	serve ./d -- sh -c 'env | grep -E "^(IPC_|NOTIFY|LISTEN|KEEP)" | grep -v IPC_DIR | sort >env; ls -l /proc/$$/fd >fds
		cut -d" " -f1,5,6 /proc/$$/stat >ids; pwd; exec grep -E "Sig(Blk|Ign)" /proc/self/status >sig' 9</dev/null
	mkdir sub
	cd sub
	IPC_PEER_UID=0 KEEP=caller bash -c 'trap "" INT; exec ipc-door call ../d' >../out 3>&- &
	local p=$!
	wait $p
	cd ..
	[[ $(<out) == "$T" ]]
	grep -qx "IPC_PEER_PID=$p" env
	grep -qx "IPC_PEER_UID=$(id -u)" env
	grep -qx "IPC_PEER_GID=$(id -g)" env
	grep -qx IPC_OBJECT=./d env
	grep -qx IPC_CONN_NUM=1 env
	grep -qx KEEP=server env
	grep -qE '^IPC_DOOR_CHAIN=[0-9a-f]{16}\.1$' env
	[[ $(grep -c . env) == 7 ]]
	# A session and group of its own; every signal at its default, none blocked.
	read -r a b c <ids
	[[ $a == "$b" && $b == "$c" ]]
	[[ $(awk '$1 == "SigBlk:" { print $2 }' sig) =~ ^0+$ ]]
	((0x$(awk '$1 == "SigIgn:" { print $2 }' sig) & 0x5007)) && false # HUP INT QUIT PIPE TERM
	stop
}

@test "call --pass: variables as the caller has them, set, empty and unset" {
	export A=server B=server C=server
	serve ./d -- sh -c 'echo "${A-unset} ${B-unset} ${C-unset} ${D-unset}"'
	[[ $(A=$'x\ny' B='' ipc-door call ./d) == "server server server unset" ]]
	[[ $(A=$'x\ny' B='' env -u C ipc-door call --pass A --pass B,C,D ./d) == $'x\ny  unset unset' ]]
	status 64 ipc-door call --pass IPC_PEER_UID ./d
	[[ $stderr == *"IPC_PEER_UID"*"the server sets it"* ]]
	status 64 ipc-door call --pass IPC_DOOR_CHAIN ./d
	status 64 ipc-door call --pass 9x ./d
	status 64 ipc-door call --pass A=b ./d
	status 64 ipc-door call --pass A,,B ./d
	stop
}

@test "call --descriptors: more of them, under the same numbers, in any order" {
	need python3
	serve ./d -- sh -c 'cat <&9; echo reply >&5; cd /proc/$$/fd; echo *'
	echo nine >nine
	[[ $(ipc-door call --descriptors 9,5 ./d 5>five 9<nine) == $'nine\n0 1 '*'2 '*' 5'*' 9'* ]]
	[[ $(<five) == reply ]]
	# Numbers that the server uses itself while it moves them.
	stop
	serve ./e -- python3 -c '
import os
print(all(os.read(n, 10) == b"%d\n" % n for n in range(3, 60)))'
	for i in {3..59}; do echo "$i" >"f$i"; done
	python3 - <<-'END' >out
		import os, subprocess
		fds = range(3, 60)
		keep = [os.open(f'f{n}', os.O_RDONLY) for n in fds]
		high = [os.dup2(f, 200 + i) for i, f in enumerate(keep)]
		for i, n in enumerate(fds): os.dup2(200 + i, n)
		os.closerange(60, 300)
		r = subprocess.run(['ipc-door', 'call', '--descriptors', ','.join(map(str, reversed(fds))), './e'],
		    close_fds=False, timeout=30)
	END
	[[ $(<out) == True ]]
	status 64 ipc-door call --descriptors 1 ./e
	status 64 ipc-door call --descriptors x ./e
	status 64 ipc-door call --descriptors 77 ./e
	[[ $stderr == *"77 is not open"* ]]
	status 71 ipc-door call --descriptors "$(printf '7,%.0s' {1..62})7" ./e 7</dev/null
	stop
}

@test "call: a long list of arguments arrives; one that is too long is refused with the limit" {
	serve ./d -- sh -c 'echo $#; printf %s "$1$2$3" | md5sum; shift 3; printf "%s\n" "$@" | md5sum' sh
	local big
	big=$(head -c 100000 /dev/zero | tr '\0' x)
	mapfile -t many < <(seq 30000)
	ipc-door call ./d "$big" "$big" "$big" "${many[@]}" >out
	[[ $(sed -n 1p out) == 30003 ]]
	[[ $(sed -n 2p out) == $(printf %s "$big$big$big" | md5sum) ]]
	[[ $(sed -n 3p out) == $(printf '%s\n' "${many[@]}" | md5sum) ]]
	stop
	(ulimit -s 256; exec ipc-door serve --ready-fd 8 ./d -- true 8>ready 3>&-) &
	PID=$!
	until_true test -S d
	status 0 ipc-door call --retry 10 ./d "$big"
	status 71 ipc-door call ./d "$big" "$big"
	[[ $stderr == *"ulimit -s"* ]]
	status 0 ipc-door call ./d
	stop
}

@test "call: a bare word is WORD.door in \$IPC_DIR; a path over 107 bytes works too; other names are refused" {
	serve thing -- echo hello
	[[ -S $IPC_DIR/thing.door && $(stat -c %a "$IPC_DIR/thing.door") == 600 ]]
	[[ $(ipc-door call thing) == hello ]]
	stop
	[[ ! -e $IPC_DIR/thing.door ]]
	local deep
	deep=./$(printf 'directory-%02d/' {1..12})
	mkdir -p "$deep"
	serve "$deep/door" -- echo deep
	[[ $(ipc-door call "file:$deep/door") == deep ]]
	stop
	[[ ! -e $deep/door ]]
	for name in @x tcp:h:1 sysv:1 fd:3 posix:/x; do
		status 64 ipc-door call $name
		status 64 ipc-door serve $name -- true
		status 64 ipc-door rm $name
	done
}

@test "call: no such door 66, a dead one 69, not a door 65; --retry waits for the server" {
	need python3
	status 66 ipc-door call ./d
	status 66 ipc-door call word
	status 66 ipc-door stat ./d
	echo text >file
	status 65 ipc-door call ./file
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./dead")'
	status 69 ipc-door call ./dead
	[[ $stderr == *"server has gone"* ]]
	bg ipc-sock recv -w 60 ./dgram
	until_true test -S dgram
	status 65 ipc-door call ./dgram
	bg timeout 60 ipc-door call --retry 30 late x y >out
	local p=$!
	until_true blocked $p
	serve late -- echo
	wait $p
	[[ $(<out) == "x y" ]]
	stop
	# The directory of words must be ours.
	if [[ $(id -u) == 0 ]]; then
		chown 65534 "$IPC_DIR"
		status 77 ipc-door call late
		chown 0 "$IPC_DIR"
	fi
}

@test "call: closed stdin, stdout and stderr are no trouble" {
	serve ./d -- sh -c 'cat; echo out; echo err >&2; exit 3'
	local s=0
	ipc-door call ./d <&- >&- 2>&- || s=$?
	[[ $s -ge 1 ]]
	s=0
	ipc-door call ./d <&- >out || s=$?
	[[ $s == 3 && $(<out) == out ]]
	stop
}

@test "call: the status of a handler that a signal killed, that is not found, not executable, no program" {
	serve ./d -- sh -c 'kill -9 $$'
	status 137 ipc-door call ./d
	stop
	printf '#!/bin/sh\n' >cmd
	status 126 ipc-door serve ./d -- ./cmd
	status 127 ipc-door serve ./d -- ./no-such-command
	chmod +x cmd
	serve ./d -- ./cmd
	rm cmd
	status 127 ipc-door call ./d
	[[ $stderr == *"execute ./cmd"* ]]
	printf 'exit 5\n' >cmd
	status 126 ipc-door call ./d
	chmod +x cmd
	status 5 ipc-door call ./d
	stop
}

@test "serve: sort <big | ipc-door call | head: right, and not one byte goes through our processes" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and the sanitizers do not go together"
	[[ -z ${IPCBOX_COVERAGE-} ]] || skip "the counters are read, and seen"
	seq 300000 >big
	ready strace -f -y -qq -e trace=read,write,readv,writev,splice,sendfile,execve,vfork,clone -o trace \
		ipc-door serve --ready-fd 8 ./d -- sh -c 'sed s/^/x/; :'
	timeout 60 sort -rn <big | strace -qq -e trace=read,write,readv,writev,splice,sendfile -o trace2 \
		ipc-door call ./d | head -n 3 >out
	[[ $(<out) == $'x300000\nx299999\nx299998' ]]
	kill "$(field pid)"
	wait "$PID" || :
	local server
	server=$(awk 'NR == 1 { print $1 }' trace)
	# The server writes its newline to --ready-fd and asks the kernel which number strangers have; the
	# caller nothing.
	[[ $(grep -v -e '177ELF' -e '</proc/sys/kernel/overflowuid>' trace | grep -cE "^$server +(read|write|readv|writev|splice|sendfile)\(") -le 1 ]]
	[[ $(grep -cE '(read|write|readv|writev|splice|sendfile)\([01],' trace2) == 0 ]]
}

@test "serve: a reader that goes away reaches the handler as SIGPIPE" {
	serve ./d -- yes
	[[ $(set +o pipefail; timeout 30 ipc-door call ./d | head -n 1) == y ]]
	set +o pipefail
	timeout 30 ipc-door call ./d | head -n 1 >/dev/null
	[[ ${PIPESTATUS[0]} == 141 ]]
	stop
}

# ---- many

@test "serve: 200 callers at once, each gets its own answer and status; no descriptor is left" {
	serve -j 16 ./d -- sh -c 'read x; echo "$1 $x"; exit $(($1 % 60))' sh
	ipc-door call ./d 0 <<<warm >/dev/null
	local before i
	before=$(fds)
	for ((i = 0; i < 200; i++)); do
		(s=0; echo "in $i" | ipc-door call ./d $i >out.$i || s=$?; echo $s >status.$i) 3>&- &
		pids[i]=$!
	done
	for ((i = 0; i < 200; i++)); do wait "${pids[i]}"; done
	for ((i = 0; i < 200; i++)); do
		[[ $(<out.$i) == "$i in $i" && $(<status.$i) == $((i % 60)) ]] || { echo "$i: $(<out.$i) $(<status.$i)"; false; }
	done
	is done 201
	until_true eval '[[ $(fds) == '"$before"' ]]'
	stop
}

@test "serve: not one descriptor leaks over 3000 calls, nor memory" {
	need python3
	serve ./d -- true
	peer '
for i in range(500): assert call() == (4, 0, ""), i
fds = os.listdir("/proc/%s/fd" % sys.argv[1])
rss = lambda: int(open("/proc/%s/statm" % sys.argv[1]).read().split()[1])
before = rss()
for i in range(2500):
    s = door()
    if i % 5 == 0: s.close(); continue                        # nothing asked
    if i % 5 == 1: sendfds(s, request()[:20]); s.close(); continue  # half
    if i % 5 == 2: sendfds(s, request()); s.close(); continue  # gone before the end
    sendfds(s, request([b"x" * 1000]))
    assert answer(s) == (4, 0, "")
end = time.monotonic() + 60
while sorted(after := os.listdir("/proc/%s/fd" % sys.argv[1])) != sorted(fds) and time.monotonic() < end: time.sleep(0.01)
assert sorted(after) == sorted(fds), (fds, after)
assert "IPCBOX_SANITIZE" in os.environ or rss() < before + 300, (before, rss())
' "$PID"
	stop
	[[ $(find . -name 'core*') == "" ]]
}

@test "serve: while a handler runs the server has none of its caller's descriptors" {
	mkfifo go
	serve ./d -- sh -c 'echo >up; read x <go'
	local before
	before=$(fds)
	bg ipc-door call ./d
	local p=$!
	until_true test -s up
	# The connection and the handler's pidfd.
	until_true eval '[[ $(fds) == $(('"$before"' + 2)) ]]'
	[[ $(readlink "/proc/$PID"/fd/* | grep -c "$T/go") == 0 ]]
	echo >go
	wait $p
	until_true eval '[[ $(fds) == '"$before"' ]]'
	stop
}

@test "serve -j: so many run, the others queue in order of arrival; -n 75, -w 0 and -w 124" {
	mkfifo go
	serve -j 1 ./d -- sh -c 'echo "$1" >>log; [ "$1" != hold ] || read x <go' sh
	bg ipc-door call ./d hold
	local hold=$! i pids=()
	until_true grep -q hold log
	for i in 1 2 3 4 5; do
		bg ipc-door call ./d $i
		pids+=($!)
		until_true is queued $i
	done
	status 75 ipc-door call -n ./d x
	[[ $stderr == *"1 calls run"* ]]
	status 124 ipc-door call -w 0 ./d x
	status 9 ipc-door call -n -E 9 ./d x
	status 124 ipc-door call -w 0.1 ./d x
	[[ $(field running) == 1 && $(field jobs) == 1 ]]
	# One in the middle of the queue goes, one is told to.
	kill -KILL "${pids[1]}"
	wait "${pids[1]}" || :
	until_true is queued 4
	kill -TERM "${pids[2]}"
	local s=0
	wait "${pids[2]}" || s=$?
	[[ $s == 143 ]]
	is queued 3
	echo >go
	wait $hold
	for i in 0 3 4; do wait "${pids[i]}"; done
	[[ $(tr '\n' ' ' <log) == "hold 1 4 5 " ]]
	status 0 ipc-door call -n ./d x
	stop
}

@test "serve: nested calls do not wait for themselves, direct or by way of another door" {
	serve -j 1 ./e -- sh -c '[ "$1" = 0 ] || exec setsid -w ipc-door call ./d $(($1 - 1)); echo bottom' sh
	local e=$PID
	serve -j 1 ./d -- sh -c 'if [ "$1" -gt 0 ]; then ipc-door call ./e $(($1 - 1)); ipc-door call ./d 0; else echo bottom; fi' sh
	status 0 timeout 30 ipc-door call ./d 4
	[[ $output == $'bottom\nbottom\nbottom' ]]
	stop
	stop $e
	# One without end is stopped.
	serve -j 1 ./d -- ipc-door call ./d
	status 71 timeout 60 ipc-door call ./d
	[[ $stderr == *nested* ]]
	stop
}

# ---- ends

@test "call: killed, its handler's whole group gets TERM, then KILL after --grace" {
	serve --grace 0.3 ./d -- sh -c 'sleep 60 & echo $! >child; trap "echo cleaned >>log" TERM; echo $$ >pid; while :; do wait; done'
	bg ipc-door call ./d
	local p=$!
	until_true test -s pid
	kill -KILL $p
	wait $p || :
	until_true gone "$(<child)"
	until_true gone "$(<pid)"
	[[ $(<log) == cleaned ]]
	is cancelled 1
	until_true is running 0
	until_true is ending 0
	stop
}

@test "call: killed, what its handler leaves behind may clean up until --grace, then is killed" {
	need python3
	cat >h.py <<-'END'
		import os, signal, sys, time
		if os.fork() == 0:
		    def clean(*_): open('cleaned', 'w').close()
		    signal.signal(signal.SIGTERM, clean)
		    open('child', 'w').write(str(os.getpid()))
		    while True: signal.pause()
		signal.pause()
	END
	serve --grace 1 ./d -- python3 h.py
	bg ipc-door call ./d
	local p=$!
	until_true test -s child
	kill -KILL $p
	wait $p || :
	until_true test -e cleaned
	until_true gone "$(<child)"
	until_true is ending 0
	stop
}

@test "call: TERM, INT and HUP reach the handler's group; the call ends with what the handler makes of it" {
	need python3
	# A server in the background of a script has SIGINT ignored; its handlers have not.
	cat >start.py <<-'END'
		import os, signal
		for n in ('HUP', 'INT', 'TERM'): signal.signal(getattr(signal, 'SIG' + n), signal.SIG_DFL)
		os.execvp('ipc-door', ['ipc-door', 'call', './d'])
	END
	serve ./d -- sh -c 'sleep 60 & echo $! >child; for s in HUP INT TERM; do trap "echo $s >>log; exit 4" $s; done
		echo $$ >pid; while :; do wait; done'
	local p s sig
	for sig in HUP INT TERM; do
		rm -f pid log
		bg python3 start.py
		p=$! s=0
		until_true test -s pid
		kill -$sig $p
		wait $p || s=$?
		[[ $s == 4 && $(<log) == "$sig" ]]
	done
	until_true gone "$(<child)"
	stop
	# Without a trap it ends by it.
	serve ./d -- sh -c 'echo $$ >pid2; sleep 60; :'
	for sig in TERM:143 HUP:129; do
		rm -f pid2
		bg ipc-door call ./d
		p=$! s=0
		until_true test -s pid2
		kill -"${sig%:*}" $p
		wait $p || s=$?
		[[ $s == "${sig#*:}" ]]
		gone "$(<pid2)"
	done
	stop
}

@test "call -w: 124, and the handler is cancelled" {
	serve ./d -- sh -c 'echo $$ >pid; sleep 60'
	status 124 ipc-door call -w 1 ./d
	until_true test -s pid
	until_true gone "$(<pid)"
	is cancelled 1
	status 7 ipc-door call -w 100ms -E 7 ./d
	stop
}

@test "serve: killed by SIGKILL, its callers get 69, its handlers die, the next one takes over" {
	serve -j 1 ./d -- sh -c 'echo $$ >pid; exec sleep 60'
	bg ipc-door call ./d 2>err1
	local p=$! q s=0
	until_true test -s pid
	bg ipc-door call ./d 2>err2
	q=$!
	until_true is queued 1
	kill -KILL "$PID"
	wait "$PID" || :
	wait $p || s=$?
	[[ $s == 69 && $(<err1) == *"server has gone"* ]]
	s=0
	wait $q || s=$?
	[[ $s == 69 ]]
	until_true gone "$(<pid)"
	[[ -S d ]]
	serve ./d -- echo again
	[[ $(ipc-door call ./d) == again ]]
	status 75 ipc-door serve ./d -- true
	[[ $stderr == *"pid $PID"* ]]
	stop
}

@test "serve: of ten that start at once on a dead door one wins" {
	need python3
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./d")'
	local i
	for ((i = 0; i < 10; i++)); do bg ipc-door serve ./d -- echo "$i" 2>"err.$i"; done
	nine() { [[ $(cat err.* | wc -l) -ge 9 ]]; }
	until_true nine
	ipc-door call --retry 10 ./d >/dev/null
	[[ $(grep -l alone err.* | wc -l) == 9 ]]
	kill "$(field pid)"
	until_true eval '[[ ! -e d ]]'
}

@test "serve: told to stop it takes no more, refuses the queue with 69, lets the running finish" {
	mkfifo go
	serve -j 1 --grace 30 ./d -- sh -c 'echo >>up; read x <go; exit 5'
	bg ipc-door call ./d
	local p=$! q s=0
	until_true test -s up
	bg ipc-door call ./d 2>err
	q=$!
	until_true is queued 1
	kill "$PID"
	wait $q || s=$?
	[[ $s == 69 && $(<err) == *"the server ends"* ]]
	status 66 ipc-door call ./d
	echo >go
	s=0
	wait $p || s=$?
	[[ $s == 5 ]]
	s=0
	wait "$PID" || s=$?
	[[ $s == 0 && ! -e d ]]
}

@test "serve: told to stop, after --grace TERM, then KILL; its callers get the status" {
	serve --grace 0.1 ./d -- sh -c 'trap "" TERM; echo >>up; while :; do sleep 60; done'
	bg ipc-door call ./d
	local p=$! s=0
	until_true test -s up
	stop
	wait $p || s=$?
	[[ $s == 137 ]]
	# A second signal does not wait for --grace.
	rm up
	serve --grace 1h ./d -- sh -c 'echo >>up; exec sleep 60'
	bg ipc-door call ./d
	p=$!
	until_true test -s up
	kill "$PID"
	until_true eval '[[ ! -e d ]]'
	stop
	s=0
	wait $p || s=$?
	[[ $s == 143 ]]
}

@test "serve -c: ends after so many calls" {
	serve -c 2 ./d -- echo hi
	[[ $(ipc-door call ./d) == hi ]]
	[[ $(ipc-door call ./d) == hi ]]
	wait "$PID"
	[[ ! -e d ]]
}

@test "serve: a server that is stopped takes only its own path away" {
	serve ./d -- echo one
	mv d elsewhere
	local first=$PID
	serve ./d -- echo two
	stop "$first"
	[[ $(ipc-door call ./d) == two ]]
	stop
}

# ---- who may

@test "serve --allow: others are refused with 77 unless they are let in; variables only by serve --pass" {
	need root
	chmod 711 "$T" "$BATS_TEST_TMPDIR" 2>/dev/null || :
	local door
	door=$(mktemp -d /tmp/ipcbox-door.XXXXXX)
	chmod 755 "$door"
	cp "$IPCBOX_BUILD/ipcbox" "$door/ipc-door"
	serve -m 666 "$door/d" -- sh -c 'echo "$IPC_PEER_UID $IPC_PEER_GID ${V-none} ${W-none}"'
	[[ $(V=v ipc-door call --pass V "$door/d") == "0 0 v none" ]]
	cd /
	status 77 as_nobody "$door/ipc-door" call "$door/d"
	[[ $stderr == *"uid 65534"*"--allow"* ]]
	status 77 as_nobody "$door/ipc-door" stat "$door/d"
	cd "$T"
	stop
	serve "$door/d" -- true
	cd /
	status 77 as_nobody "$door/ipc-door" call "$door/d"
	cd "$T"
	stop
	serve --allow uid:1,gid:65534 --pass V,X "$door/d" -- sh -c 'echo "$IPC_PEER_UID $IPC_PEER_GID ${V-none} ${W-none}"'
	[[ $(stat -c %a "$door/d") == 666 ]]
	cd /
	export V=v W=w
	status 0 as_nobody "$door/ipc-door" call --pass V "$door/d"
	[[ $output == "65534 65534 v none" ]]
	status 77 as_nobody "$door/ipc-door" call --pass V,W "$door/d"
	[[ $stderr == *"--pass"* ]]
	cd "$T"
	stop
	status 64 ipc-door serve --allow uid:no-such-user ./d -- true
	rm -rf "$door"
}

# ---- bad peers

@test "bad peers: wrong magic, version, type, lengths and counts are refused, and the server goes on" {
	need python3
	serve ./d -- sh -c 'echo ran >>ran'
	peer '
def bad(data, fds=(0, 1, 2), want=65):
    s = door(); sendfds(s, data, fds) if fds else s.sendall(data)
    a = answer(s)
    assert a and a[0] == 5 and a[1] == want and a[2], (data[:40], a)
b = body()
bad(head(1, 0, len(b), magic=b"DOOM") + b)
bad(b"GET / HTTP/1.0\r\n\r\n")
bad(head(1, 0, len(b), version=2) + b)
for t in (0, 2, 4, 5, 6, 7, 65535): bad(head(t, 0, len(b)) + b)
bad(head(3, 0, 1) + b"x")
bad(head(1, 0, 0))
bad(head(1, 0, 5) + b"12345")
bad(head(1, 0, 0xffffffff) + b, want=71)
bad(head(1, 0, len(b) - 1) + b[:-1])
for k in (dict(argc=1), dict(argc=0xffffffff), dict(envc=1), dict(envc=0xffffffff), dict(nfds=2), dict(nfds=4),
          dict(nfds=0), dict(nfds=0xffffffff), dict(argc=0xfffffffe, envc=2), dict(argc=0x40000000)):
    bad(request(**k))
bad(request([b"a"], argc=0)); bad(request([b"a", b"b"], argc=1))
bad(request(nums=(0, 1)), fds=(0, 1)); bad(request(), fds=()); bad(request(), fds=(0,))
for n in ((1, 0, 2), (0, 1, -1), (0, 1, 1 << 30)): bad(request(nums=n))
for n in (0, 2, -1, -2147483648): bad(request(nums=(0, 1, 2, n)), fds=(0, 1, 2, 0))
bad(request(nums=(0, 1, 2, 1 << 30)), fds=(0, 1, 2, 0), want=71)
for v in (b"", b"=x", b"A B=1", b"1A=x", b"IPC_PEER_UID=0", b"IPC_DOOR_CHAIN", b"LISTEN_FDS=3", b"A-B=1"):
    bad(request(env=[v]))
bad(request(env=[b"V=%d" % i for i in range(257)]))
bad(request(chain=b"x y")); bad(request(chain=b"../")); bad(request(chain=b"0" * 5000), want=71)
for n in range(1, len(request())):  # closes at each step
    s = door(); sendfds(s, request()[:n]); s.close()
    s = door(); sendfds(s, request()[:n]); s.shutdown(socket.SHUT_WR); answer(s)
assert call() == (4, 0, ""), "after all that"
'
	[[ $(wc -l <ran) == 1 ]]
	is refused 60 || [[ $(field refused) -ge 50 ]]
	stop
}

@test "bad peers: ten thousand descriptors, in one call or many, are closed again" {
	need python3
	serve ./d -- true
	local before
	status 0 ipc-door call ./d
	before=$(fds)
	peer '
s = door(); sendfds(s, request(), [0] * 253); a = answer(s)
assert a[:2] == (5, 71) and "64 descriptors" in a[2], a
s = door(); r = request(nums=[0, 1, 2] + [9] * 61)
sendfds(s, r, [0] * 65); assert answer(s)[:2] == (5, 71)
s = door(); sendfds(s, r, [0] * 64); assert answer(s) == (4, 0, ""), "64 are allowed"
# One at a time with single bytes of a long request, then with what comes behind it.
s = door(); data = request([b"x" * 10000])
try:
    for i in range(10000): sendfds(s, data[i:i + 1], [0])
except (BrokenPipeError, ConnectionResetError): pass
s.close()
s = door()
try:
    for i in range(40): sendfds(s, head(1, 0, 100000) if i == 0 else b"x", [0] * 60)
except (BrokenPipeError, ConnectionResetError): pass
n = len(os.listdir("/proc/%s/fd" % sys.argv[1]))
assert n < int(sys.argv[2]) + 70, n
s.close()
assert call() == (4, 0, "")
' "$PID" "$before"
	until_true eval '[[ $(fds) == '"$before"' ]]'
	stop
}

@test "bad peers: rubbish behind the request cancels the call; so does half-closing; signals are only those three" {
	need python3
	serve --grace 0.1 ./d -- sh -c 'echo $$ >>pids; exec sleep 60'
	peer '
def last(n):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try: p = open("pids").read().split()
        except OSError: p = []
        if len(p) >= n: return int(p[n - 1])
        time.sleep(0.01)
    raise SystemExit("never started")
def dead(pid):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try: os.kill(pid, 0)
        except OSError: return
        time.sleep(0.01)
    raise SystemExit("still there")
n = 0
for rubbish in (b"x" * 16, head(2, 9), head(2, 19), head(2, 0), head(2, 0xffffffff), head(2, 15, 4), head(1), request(), None):
    s = door(); sendfds(s, request()); n += 1; pid = last(n)
    if rubbish is None: s.shutdown(socket.SHUT_WR)
    else: s.sendall(rubbish)
    dead(pid)
    s.close()
# A signal in pieces is one.
s = door(); sendfds(s, request()); n += 1; pid = last(n)
for b in head(2, 1): s.sendall(bytes([b]))
assert answer(s) == (4, 129, "")
# A signal right behind the request is not lost.
s = door(); sendfds(s, request() + head(2, 15)); assert answer(s) == (4, 143, "")
'
	stop
}

@test "bad peers: one that never sends, never reads, or sends half, holds up nobody" {
	need python3
	serve -j 2 ./d -- echo hi
	peer '
idle = [door() for i in range(50)]
half = [door() for i in range(50)]
for s in half: sendfds(s, request()[:30])
mute = [door() for i in range(50)]
for s in mute: sendfds(s, request())
assert os.system("timeout 20 ipc-door call ./d >out") == 0
assert open("out").read() == "hi\n"
' >/dev/null
	stop
}

@test "bad servers: one that closes, says nonsense, or something else than a door" {
	need python3
	cat >bad.py <<-'END'
		import socket, struct, sys
		l = socket.socket(socket.AF_UNIX); l.bind('./b'); l.listen(9)
		print(flush=True)
		h = lambda t, a, n, m=b'DOOR', v=1: struct.pack('4sHHII', m, v, t, a, n)
		for data in (b'', b'DOO', h(4, 0, 0)[:15], h(5, 77, 20) + b'short', h(4, 256, 0), h(4, 0, 1 << 30),
		             h(9, 0, 0), h(5, 3, 0), h(5, 300, 0), h(4, 0, 0, v=7), b'HTTP/1.0 400 Bad request\r\n\r\n',
		             h(5, 70, 11) + b'a\x1b[31m\0b\nc\xff', h(6, 0, 4) + b'xxxx', h(6, 0, 0)):
		    s, _ = l.accept(); s.recv(9); s.sendall(data); s.close()
	END
	mkfifo up
	python3 bad.py >up 3>&- 4>&- &
	read -r -t 20 <up
	for want in 69 69 69 69 65 65 65 65 65 65 65; do status $want timeout 20 ipc-door call ./b; done
	status 70 timeout 20 ipc-door call ./b
	[[ $stderr == *'a?[31m?b?c'* ]]
	status 65 timeout 20 ipc-door stat ./b
	status 65 timeout 20 ipc-door call ./b
}

@test "bad servers: one that never answers is left after -w; a stopped one too" {
	need python3
	python3 -c '
import socket, time
l = socket.socket(socket.AF_UNIX); l.bind("./b"); l.listen(1); print(flush=True); time.sleep(100)' >up 3>&- &
	until_true test -s up
	status 124 ipc-door call -w 0.1 ./b
	status 124 ipc-door stat -w 0.1 ./b
	serve ./d -- true
	kill -STOP "$PID"
	status 124 ipc-door call -w 0.1 ./d
	# More than its buffer takes.
	status 124 ipc-door call -w 0.1 ./d "$(head -c 120000 /dev/zero | tr '\0' x)" \
		"$(head -c 120000 /dev/zero | tr '\0' x)" "$(head -c 120000 /dev/zero | tr '\0' x)"
	kill -CONT "$PID"
	status 0 ipc-door call -w 20 ./d
	stop
}

# ---- limits and faults

@test "serve: it runs out of descriptors, and goes on; handlers get the limit it was started with" {
	need python3
	(ulimit -n 64; exec ipc-door serve --ready-fd 8 -j 1 ./d -- sh -c 'ulimit -Sn' 8>ready.x 3>&-) 2>err &
	PID=$!
	until_true test -S d
	[[ $(ipc-door call --retry 10 ./d) == 64 ]]
	peer '
socks = []
for i in range(100):
    s = door(); sendfds(s, request()[:20]); socks.append(s)
for s in socks: s.close()
' "$PID"
	[[ $(timeout 30 ipc-door call ./d) == 64 ]]
	status 71 ipc-door call --descriptors 63 ./d 63</dev/null
	stop
}

@test "serve: an inherited SIG_IGN for SIGCHLD costs no status" {
	# shellcheck disable=SC2154
	ready perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' ipc-door serve --ready-fd 8 ./d -- sh -c 'exit 3'
	local i
	for i in 1 2 3 4 5; do status 3 ipc-door call -w 20 ./d; done
	stop
}

@test "serve: told three times to stop it kills at once; who has said nothing yet is told; --grace inf waits" {
	need python3
	serve --grace inf ./d -- sh -c 'trap "" TERM; echo up >up; while :; do sleep 100; done'
	ipc-door call ./d 2>call.err 3>&- &
	local c=$! st=0
	until_true test -e up
	# shellcheck disable=SC2016
	peer '
s = door(); print("in", flush=True)
type, status, text = answer(s)
assert (type, status, text) == (5, 69, "the server ends"), (type, status, text)' >peer.out 2>peer.err 3>&- &
	local p=$!
	until_true is running 1
	until_true grep -q in peer.out
	kill "$PID"
	wait $p || { cat peer.err; return 1; }
	until_true eval "kill $PID; ! kill -0 $PID"
	wait "$PID" || st=$?
	[[ $st == 0 ]]
	st=0
	wait $c || st=$?
	[[ $st == 137 || $st == 69 ]]
}

@test "bad peers: more arguments than a process can have; fewer than they say" {
	need python3
	serve ./d -- true
	peer '
s = door(); r = request([b""] * 400000)
sendfds(s, r[:1]); s.sendall(r[1:])
a = answer(s); assert a[:2] == (5, 71) and "arguments longer" in a[2], a
a = call([b"aaaaaaaaaaaaaaaa"], argc=5); assert a[:2] == (5, 65), a'
	status 71 ipc-door call --pass "$(seq -s , -f V%g 300)" ./d
	[[ $stderr == *"at most 256 variables"* ]]
	status 64 env "IPC_DIR=/$(printf 'd%.0s' {1..4090})" ipc-door call word
	stop
}

@test "serve: no more processes is said to the caller, and passes" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and the sanitizers do not go together"
	ready strace -f -qq -o /dev/null -e trace=vfork,clone,clone3 -e inject=vfork,clone,clone3:error=EAGAIN:when=2 \
		ipc-door serve --ready-fd 8 ./d -- echo ok
	status 125 ipc-door call ./d
	[[ $stderr == *"no more processes"* ]]
	status 0 ipc-door call ./d
	kill "$(field pid)"
	wait "$PID" || :
}

@test "serve: the pidfd of a handler cannot be had: it is killed, its caller told" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and the sanitizers do not go together"
	ready strace -qq -o /dev/null -e trace=pidfd_open -e inject=pidfd_open:error=EMFILE:when=1 \
		ipc-door serve --ready-fd 8 ./d -- sh -c 'echo $$ >pid; sleep 60'
	status 71 ipc-door call ./d
	[[ ! -s pid ]] || until_true gone "$(<pid)"
	is running 0
	kill "$(field pid)"
	wait "$PID" || :
}

@test "call: too many descriptors under way is waited for" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and the sanitizers do not go together"
	serve ./d -- echo ok
	[[ $(strace -qq -o /dev/null -e inject=sendmsg:error=ETOOMANYREFS:when=1..3 ipc-door call ./d) == ok ]]
	status 124 strace -qq -o /dev/null -e inject=sendmsg:error=ETOOMANYREFS ipc-door call -w 0.1 ./d
	stop
}

@test "call: signals, EINTR and being stopped for a while change nothing" {
	mkfifo go
	serve ./d -- sh -c 'echo >up; read x <go; exit 6'
	bg ipc-door call ./d
	local p=$! s=0
	until_true test -s up
	kill -STOP $p
	kill -CONT $p
	kill -WINCH $p
	echo >go
	wait $p || s=$?
	[[ $s == 6 ]]
	stop
}

@test "call: a handler reads the caller's terminal, though the server runs in the background of the same one" {
	need python3
	cat >term.py <<-'END'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp('bash', ['bash', '-c', 'set -m; ipc-door serve ./d -- sh -c "read x; echo got:\\$x" </dev/null & '
		        'ipc-door call --retry 20 ./d; echo status:$?; kill %1; wait'])
		os.write(fd, b'hello\n')
		out = b''
		while True:
		    try: b = os.read(fd, 1000)
		    except OSError: break
		    if not b: break
		    out += b
		assert b'got:hello' in out and b'status:0' in out, out
	END
	timeout 60 python3 term.py 3>&- 4>&-
}

# ---- stat and rm

@test "stat: who serves, since when, how many calls; JSON" {
	need python3
	serve -j 7 ./d -- true
	status 0 ipc-door call ./d
	status 0 ipc-door stat ./d
	[[ $output == *"server   pid $PID, user "*"ipc-door serve"* && $output == *"running  0 of 7"* && $output == *"1 done"* ]]
	ipc-door stat -J ./d | python3 -c '
import json, sys, os
d = json.load(sys.stdin)
assert d["pid"] == int(sys.argv[1]) and d["uid"] == os.geteuid() and d["jobs"] == 7 and d["done"] == 1, d
assert d["since"].endswith("Z") and d["running"] == d["queued"] == d["ending"] == d["cancelled"] == d["refused"] == 0, d
' "$PID"
	status 0 ipc-door stat -w 5 ./d
	stop
}

@test "rm: a dead door goes, a live one stays: 75; what is no door is left alone" {
	need python3
	serve ./d -- echo alive
	status 75 ipc-door rm ./d
	[[ $stderr == *"pid $PID"* && $(ipc-door call ./d) == alive ]]
	kill -KILL "$PID"
	wait "$PID" || :
	status 0 ipc-door rm ./d
	[[ ! -e d ]]
	status 66 ipc-door rm ./d
	status 66 ipc-door rm ./none/d
	echo precious >f
	status 64 ipc-door rm ./f
	[[ $(<f) == precious ]]
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./x"); socket.socket(socket.AF_UNIX).bind("./y")'
	status 66 ipc-door rm ./x ./none ./y
	[[ ! -e x && ! -e y ]]
}

@test "serve: --ready-fd, --pidfile, -m; a socket of \$LISTEN_FDS is taken" {
	need python3
	serve --pidfile pid -m 640 ./d -- true
	[[ $(<pid) == "$PID" && $(stat -c %a d) == 640 ]]
	stop
	[[ ! -e pid ]]
	cat >act.py <<-'END'
		import os, socket
		s = socket.socket(socket.AF_UNIX); s.bind('./act'); s.listen(9)
		os.dup2(s.fileno(), 3)
		os.set_inheritable(3, True)
		os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
		os.execvp('ipc-door', ['ipc-door', 'serve', './act', '--', 'echo', 'activated'])
	END
	bg python3 act.py
	local p=$!
	[[ $(ipc-door call --retry 20 ./act) == activated ]]
	stop $p
	[[ -e act ]]
}

@test "usage: what is missing or wrong is 64" {
	status 64 ipc-door serve ./d
	status 64 ipc-door serve -- true
	status 64 ipc-door serve -j 0 ./d -- true
	status 64 ipc-door serve --grace x ./d -- true
	status 64 ipc-door call
	status 64 ipc-door call --no-such ./d
	status 64 ipc-door call -w x ./d
	status 64 ipc-door stat
	status 64 ipc-door stat ./d ./e
	status 64 ipc-door rm
	status 64 ipc-door rm ./d/
	status 73 ipc-door serve /dev/null -- true
}

@test "serve -c N: calls that come after the last one meet no server, and nothing is said of it" {
	local i
	for i in 1 2 3 4 5; do
		ipc-door serve -c 1 --ready-fd 8 ./d -- true 8>ready.fd 2>err 3>&- 4>&- &
		local server=$!
		until_true test -s ready.fd
		: >calls
		local pids=()
		for _ in 1 2 3 4; do
			bg ipc-door call ./d 2>/dev/null
			pids+=($!)
		done
		wait $server
		wait "${pids[@]}" || :
		[[ ! -s err ]] || { cat err; return 1; }
		rm -f ready.fd
	done
}
