#!/usr/bin/env bats
# ipc-recvfd: what CMD gets, what is refused, and senders that are not ours. ipc-sendfd.bats has the other side.
load helper

# receiver ARG...: ipc-recvfd --listen in the background, ready; stdout in "out", stderr in "err"; pid in $PID.
receiver() {
	ready ipc-recvfd --listen --ready-fd 8 "$@" >out 2>err
}

# ended STATUS: the background job $PID must end so.
ended() {
	local s=0
	wait "$PID" || s=$?
	[[ $s == "$1" ]] || { echo "status $s, not $1"; cat out err; return 1; }
}

# sender TEXT: python code with a socket connected to ./h as s, some files to send in fds, and send(bytes, fds).
sender() {
	cat >sender.py <<-'PY'
		import array, os, socket, sys
		def send(data, fds, s=None):
		    (s or sock).sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
		f = os.open("f", os.O_RDONLY)
		sock = socket.socket(socket.AF_UNIX)
		sock.connect("./h")
	PY
	printf '%s\n' "$1" >>sender.py
	timeout 60 python3 sender.py
}

local_setup() {
	printf 'one\ntwo\nthree\n' >f
}

@test "without CMD the first one is printed, from the offset where the sender is" {
	receiver ./h
	{
		read -r _
		ipc-sendfd ./h 0 5
	} <f 5</dev/null
	ended 0
	[[ $(<out) == $'two\nthree' && ! -s err && ! -e h ]]
}

@test "CMD has them at 3 and up, with LISTEN_FDS, LISTEN_PID its own, LISTEN_FDNAMES, and no others" {
	need python3
	# What CMD would have anyway.
	cat >list.py <<-'PY'
		import os
		there = [n for n in os.listdir("/proc/self/fd") if n not in "3458"]
		print(*sorted(int(n) for n in there if os.path.lexists("/proc/self/fd/" + n)))
	PY
	ready sh -c 'echo >&8; exec 8>&-; exec python3 list.py' >base
	wait "$PID"
	receiver ./h -- python3 -c '
import os
print(os.environ["LISTEN_FDS"], int(os.environ["LISTEN_PID"]) == os.getpid(), os.environ["LISTEN_FDNAMES"])
print(os.environ["IPC_FDNAMES"], os.environ["IPC_OBJECT"], os.environ["IPC_PEER_UID"])
print(os.read(3, 100).decode(), os.readlink("/proc/self/fd/4"), [os.get_inheritable(n) for n in (3, 4, 5)])
exec(open("list.py").read())'
	ipc-sendfd --ack ./h 6:conf 7 7:a.b-c_d 6<f 7</dev/null
	ended 0
	cat >want <<-EOF
		3 True conf:unknown:a.b-c_d
		conf:unknown:a.b-c_d ./h $(id -u)
		$(<f)
		 /dev/null [True, True, True]
		$(<base)
	EOF
	diff -u want out
	grep -q . out
}

@test "--to: any numbers in any order, crossed, over 0 and 1 and over one another" {
	need python3
	receiver --to 0,7 ./h -- sh -c 'cat; cat <&7; env | grep -c ^LISTEN_'
	echo seven >g
	LISTEN_FDS=9 ipc-sendfd ./h 5 6 5<f 6<g
	ended 1
	[[ $(<out) == "$(cat f g)"$'\n0' ]]
	receiver --to 1,0 ./h -- cat
	ipc-sendfd ./h 5 6 5>written 6<f
	ended 0
	cmp written f
	# Every order of four numbers, among them those at which descriptors come.
	local p
	for p in 3,4,5,6 4,3,6,5 6,5,4,3 4,5,6,3 6,3,4,5 5,6,3,4 4,5,6,7 9,8,7,6 5,4,3,0; do
		receiver --to "$p" ./h -- sh -c 'for n in ${0//,/ }; do :; done' "$p" 2>/dev/null || :
		kill "$PID"
		wait "$PID" || :
		receiver --to "$p" ./h -- python3 -c '
import os, sys
print(*[os.path.basename(os.readlink("/proc/self/fd/" + n)) for n in sys.argv[1].split(",")])' "$p"
		touch a b c d
		ipc-sendfd --ack ./h 10 11 12 13 10<a 11<b 12<c 13<d
		ended 0
		[[ $(<out) == "a b c d" ]] || { echo "$p: $(<out)"; false; }
	done
}

@test "--to: wrong lists are 64, numbers above the limit 71, another count 65" {
	status 64 ipc-recvfd --to 3,x ./h -- true
	status 64 ipc-recvfd --to 3,3 ./h -- true
	[[ $stderr == *twice* ]]
	status 64 ipc-recvfd --to 3,, ./h -- true
	status 64 ipc-recvfd --to -1 ./h -- true
	status 64 ipc-recvfd --to 99999999999999999999999999 ./h -- true
	status 64 ipc-recvfd --to 3 ./h
	status 64 ipc-recvfd --to 3,4 -c 3 ./h -- true
	status 71 bash -c 'ulimit -n 64; ipc-recvfd --to 64 ./h -- true'
	[[ $stderr == *"64 (ulimit -n)"* ]]
	receiver --to 0,7 ./h -- touch ran
	ipc-sendfd ./h 5 5 5 5<f
	ended 65
	[[ $(<err) == *"2 descriptors wanted, at least 3 came"* && ! -e ran ]]
	receiver --to 0,7 ./h -- touch ran
	ipc-sendfd ./h 5 5<f
	ended 65
	[[ ! -e ran ]]
}

@test "-c: just so many, from one message or several" {
	need python3
	receiver -c 2 ./h -- sh -c 'echo $LISTEN_FDS $LISTEN_FDNAMES'
	ipc-sendfd ./h 5:a 5:b 5<f
	ended 0
	[[ $(<out) == "2 a:b" ]]
	receiver -c 3 ./h -- sh -c 'echo $LISTEN_FDS $LISTEN_FDNAMES'
	sender 'send(b"x", [f]); send(b"y:z", [f, f])'
	ended 0
	[[ $(<out) == "3 x:y:z" ]]
	receiver -c 3 ./h -- touch ran
	sender 'send(b"x", [f]); send(b"y:z:u", [f, f, f])'
	ended 65
	receiver -c 3 ./h -- touch ran
	# One that waits to be confirmed sends no more.
	status 69 ipc-sendfd --ack -w 20 ./h 5 5<f
	ended 65
	[[ $(<err) == *"only 1 came"* ]]
	receiver -c 3 ./h -- touch ran
	status 0 sender 'send(b"x", [f]); send(b"y", [f])'
	ended 65
	[[ ! -e ran ]]
	status 64 ipc-recvfd -c 0 ./h
}

@test "python's socket.send_fds: any text, names when they fit" {
	need python3
	local text want
	for text in 'b"x"|x:unknown' 'b"a:b"|a:b' 'b"a:b\n"|a:b' 'b"\0"|unknown:unknown' 'b":"|unknown:unknown' \
		'b"hello world\n"|unknown:unknown' 'b"a:"|a:unknown' 'b"\n"|unknown:unknown' \
		'b"a b:c"|a b:c' 'bytes(range(256))|unknown:unknown' 'b"a"*256+b":b"|unknown:unknown' 'b"q"*30000|unknown:unknown'; do
		want=${text#*|} text=${text%|*}
		[[ $text != 'b"x"' && $text != 'b"\n"' ]] || want=unknown:unknown
		receiver ./h -- sh -c 'echo "$LISTEN_FDNAMES"; cat <&4'
		# The connection stays open: it does not matter.
		sender "socket.send_fds(sock, [$text], [sys.stdin.fileno(), f]); sock.settimeout(50); sock.recv(1)"
		ended 0
		[[ $(<out) == "$want"$'\n'"$(<f)" ]] || { echo "$text: $(<out), not $want"; false; }
	done
}

@test "a text that announces more is waited for; half of it is 65" {
	need python3
	receiver ./h -- sh -c 'echo "$LISTEN_FDNAMES"'
	sender 'send(b"a:b:", [f, f]); send(b"c\n", [f])'
	ended 0
	[[ $(<out) == a:b:c ]]
	receiver ./h -- touch ran
	sender 'send(b"a:b:", [f, f])'
	ended 65
	[[ $(<err) == *"the sender went in the middle; the 2 descriptors"* && ! -e ran ]]
}

@test "bad senders: none at all, bytes alone, gone at each step; never a hang, never half" {
	need python3
	receiver ./h -- touch ran
	sender ''
	ended 69
	receiver ./h -- touch ran
	sender 'send(b"GARBAGE" * 1000, []); sock.settimeout(50); sock.recv(1)' || :
	ended 65
	[[ $(<err) == *"bytes without descriptors"* ]]
	receiver ./h -- touch ran
	sender 'send(b"a:", [f]); send(b"b\n", []); sock.settimeout(50); sock.recv(1)' || :
	ended 65
	cat >silent.py <<-'PY'
		import array, os, socket, subprocess
		f = os.open("f", os.O_RDONLY)
		for data in b"", b"a:":
		    a, b = socket.socketpair()
		    if data:
		        a.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [f]))])
		    print(subprocess.run(["ipc-recvfd", "-w", "0.1", "fd:%d" % b.fileno(), "--", "touch", "ran"],
		        pass_fds=[b.fileno()], timeout=50).returncode)
	PY
	status 0 python3 silent.py
	[[ $output == $'124\n124' ]]
	[[ ! -e ran && ! -e h ]]
}

@test "ten thousand descriptors: 71 with the limit, and all are closed" {
	need python3
	cat >flood.py <<-'PY'
		import array, os, socket, sys
		r, w = os.pipe()
		s = socket.socket(socket.AF_UNIX)
		s.connect("./h")
		n = 0
		try:
		    while n < 10000:
		        s.sendmsg([b":" * 250], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [w] * 250))])
		        n += 250
		except (BrokenPipeError, ConnectionResetError):
		    pass
		s.close()
		os.close(w)
		print("all closed" if os.read(r, 1) == b"" else "?")
	PY
	ready bash -c 'ulimit -n 1000; exec ipc-recvfd --listen --ready-fd 8 ./h -- touch ran' >out 2>err
	status 0 timeout 60 python3 flood.py
	[[ $output == "all closed" ]]
	ended 71
	[[ $(<err) == *"limit of open files is 1000 (ulimit -n)"* && ! -e ran ]]
	# One message that does not fit: the kernel cuts it.
	ready bash -c 'ulimit -n 40; exec ipc-recvfd --listen --ready-fd 8 ./h -- touch ran' >out 2>err
	sender 'send(b"x", [f] * 100)'
	ended 71
	[[ ! -e ran ]]
}

@test "a socket that delivers credentials and pidfds too loses no descriptor and leaves none behind" {
	need python3
	cat >both.py <<-'PY'
		import array, os, socket, subprocess, sys
		a, b = socket.socketpair()
		for option in (16, 76): # SO_PASSCRED, SO_PASSPIDFD
		    try:
		        b.setsockopt(socket.SOL_SOCKET, option, 1)
		    except OSError:
		        pass
		f = os.open("f", os.O_RDONLY)
		a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [f] * 253))])
		out = subprocess.run(["ipc-recvfd", "-w", "20", "fd:%d" % b.fileno(), "--", "python3", "-c",
		    "import os; print(os.environ['LISTEN_FDS'], len(os.listdir('/proc/self/fd')))"],
		    pass_fds=[b.fileno()], stdout=subprocess.PIPE).stdout
		print(out.decode().strip())
	PY
	status 0 timeout 60 python3 both.py
	[[ $output == "253 257" ]]
}

@test "fd:N: an inherited connection, which CMD does not get; more than one call on it" {
	need python3
	cat >pair.py <<-'PY'
		import os, socket, subprocess, sys
		kinds = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}
		a, b = socket.socketpair(socket.AF_UNIX, kinds[sys.argv[1]])
		os.dup2(a.fileno(), 20)
		os.dup2(b.fileno(), 21)
		os.set_inheritable(20, True)
		os.set_inheritable(21, True)
		def run(*args):
		    return subprocess.run(args, pass_fds=[20, 21], stdout=subprocess.PIPE, timeout=50).stdout.decode()
		with open("f") as f, open("/dev/null") as n:
		    for i in range(3):
		        subprocess.run(["ipc-sendfd", "fd:20", "0:name%d" % i], stdin=f, pass_fds=[20], check=True)
		for i in range(3):
		    print(run("ipc-recvfd", "-w", "20", "fd:21", "--", "sh", "-c",
		        'echo $LISTEN_FDNAMES; test ! -e /proc/self/fd/21 && test -e /proc/self/fd/3 && test ! -e /proc/self/fd/4 && echo clean'), end="")
	PY
	for kind in stream seqpacket; do
		status 0 timeout 60 python3 pair.py $kind
		[[ $output == $'name0\nclean\nname1\nclean\nname2\nclean' ]] || { echo "$kind: $output"; false; }
	done
	status 66 ipc-recvfd fd:77
	status 64 ipc-recvfd fd:0
	[[ $stderr == *"not a unix socket"* ]]
	status 66 sh -c 'exec ipc-recvfd fd:0 <&-'
}

@test "fd:N that listens, does not, or is not connected; names that are none; -v says what was left" {
	need python3
	timeout 40 python3 - 3>&- <<-'PY'
		import socket, subprocess
		def run(s, *options):
		    return subprocess.run(["ipc-recvfd", *options, "fd:%d" % s.fileno()], pass_fds=[s.fileno()], capture_output=True, text=True)
		def want(r, status, text): assert r.returncode == status and text in r.stderr, r
		l = socket.socket(socket.AF_UNIX); l.bind("./l"); l.listen()
		a, b = socket.socketpair()
		want(run(l), 64, "is a listening socket; use --listen")
		want(run(a, "--listen"), 64, "is not a listening socket")
		want(run(socket.socket(socket.AF_UNIX)), 69, "is not connected")
	PY
	status 64 ipc-recvfd '@bad\xZZ'
	echo one >f
	bg ipc-sendfd --listen ./h 5 6 5<f 6</dev/null
	status 0 ipc-recvfd -v --retry 20 ./h
	[[ $output == one && $stderr == *"2 descriptors came; the first one is printed"* ]]
}

@test "nc -F hands over its connection" {
	need nc python3
	nc -h 2>&1 | grep -q -- '-F' || skip "this nc has no -F"
	python3 -c '
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True)
c, _ = s.accept(); c.sendall(b"hello from afar\n"); c.close()' >port 3>&- &
	until_true test -s port
	status 0 timeout 60 ipc-sock pair -- nc -F 127.0.0.1 "$(<port)" -- \
		ipc-recvfd -w 20 fd:0 -- python3 -c '
import os, select
select.select([3], [], []) # nc leaves its sockets non-blocking
os.write(os.open("got", os.O_CREAT | os.O_WRONLY), os.read(3, 99))'
	[[ $(<got) == "hello from afar" ]]
}

@test "only root and our user are let in, others by --allow; a stranger does not disturb" {
	need root
	local name=@ipcbox-test.$$.$BATS_TEST_NUMBER
	receiver "$name" -- sh -c 'echo $IPC_PEER_UID'
	as_nobody "$BIN/ipc-sendfd" "$name" 5 5</dev/null || :
	until_true grep -q "not let in" err
	ipc-sendfd "$name" 5 5<f
	ended 0
	[[ $(<out) == 0 ]]
	for list in uid:65534 gid:65534 any uid:1,gid:65534; do
		receiver --allow "$list" "$name" -- sh -c 'echo $IPC_PEER_UID'
		as_nobody "$BIN/ipc-sendfd" "$name" 5 5</dev/null
		ended 0
		[[ $(<out) == 65534 ]]
	done
	# The same for whom it connects to.
	ready as_nobody "$BIN/ipc-sendfd" --listen --ready-fd 8 --allow any "$name" 5 5</dev/null
	status 77 ipc-recvfd "$name"
	[[ $stderr == *nobody*"see --allow"* || $stderr == *65534*"see --allow"* ]]
	wait "$PID" || :
	ready as_nobody "$BIN/ipc-sendfd" --listen --ready-fd 8 "$name" 5 5</dev/null
	status 0 ipc-recvfd --allow uid:65534 "$name" # root is let in
	wait "$PID"
	status 64 ipc-recvfd --allow uid:no-such-user-here "$name"
	status 64 ipc-recvfd --allow whom "$name"
}

@test "--listen: a live socket is left alone (75), a dead one replaced, mode exact, path gone at the end" {
	receiver -m 620 ./h
	[[ $(stat -c %a h) == 620 ]]
	status 75 ipc-recvfd --listen ./h
	[[ $stderr == *"pid $PID"* ]]
	kill -KILL "$PID"
	wait "$PID" || :
	[[ -S h ]]
	receiver ./h
	kill -TERM "$PID"
	ended 143
	[[ ! -e h ]]
	status 73 ipc-recvfd --listen ./f
	receiver word
	[[ -S $IPC_DIR/word.sock ]]
	ipc-sendfd word 0 <f
	ended 0
	cmp out f
}

@test "waiting: -w 124, -n 75, -E; the way that nobody is there: 66 and 69" {
	need python3
	status 124 ipc-recvfd --listen -w 0.05 ./h
	status 124 ipc-recvfd --listen -w 0 ./h
	status 75 ipc-recvfd --listen -n ./h
	status 9 ipc-recvfd --listen -n -E 9 ./h
	[[ ! -e h ]]
	status 66 ipc-recvfd ./h
	status 66 ipc-recvfd --retry 0.05 ./h
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./h")'
	status 69 ipc-recvfd ./h
	status 69 ipc-recvfd --retry 0.05 ./h
	status 64 ipc-recvfd tcp:127.0.0.1:1
	[[ $stderr == *"unix sockets only"* ]]
	status 64 ipc-recvfd --listen --retry 1 ./h
	status 64 ipc-recvfd
	status 64 ipc-recvfd ./h 0
	python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("./d"); print(flush=True); time.sleep(60)' >up 3>&- &
	until_true test -s up
	status 64 ipc-recvfd ./d
	kill %%
}

@test "--retry: it waits for a sender that is not there yet, and for the next one when the first says nothing" {
	need python3
	bg ipc-recvfd --retry 30 -w 30 ./h >out 2>err
	PID=$!
	until_true blocked "$PID"
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX); s.bind("./h"); s.listen(); s.accept()'
	rm -f h
	ipc-sendfd --listen -w 30 ./h 0 <f
	ended 0
	cmp out f
	grep -q "trying again" err
}

@test "CMD that cannot be run: 127 and 126 before anything is taken" {
	receiver ./h -- true
	status 127 ipc-recvfd --listen ./other -- ./no-such-command
	: >plain
	status 126 ipc-recvfd --listen ./other -- ./plain
	[[ ! -e other ]]
	ipc-sendfd ./h 0 <f
	ended 0
	receiver ./h -- sh -c 'exit 7'
	ipc-sendfd ./h 0 <f
	ended 7
	receiver ./h -- sh -c 'kill -TERM $$'
	ipc-sendfd ./h 0 <f
	ended 143
}

@test "CMD has default signals, and its stdin, stdout and stderr as they were" {
	receiver ./h -- sh -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status | grep -c "0000000000000000$"; echo "to stderr" >&2'
	ipc-sendfd ./h 0 <f
	ended 0
	[[ $(<err) == "to stderr" ]]
	grep -qx '[12]' out # INT and QUIT are ignored in background jobs of this shell
}

@test "printing: stdout full is 74, its reader gone SIGPIPE, what cannot be read is 74" {
	ready ipc-recvfd --listen --ready-fd 8 ./h >/dev/full 2>err
	ipc-sendfd ./h 0 <f
	: >out
	ended 74
	grep -q "write stdout" err
	ready bash -c 'ipc-recvfd --listen --ready-fd 8 ./h | :; echo ${PIPESTATUS[0]}' >out 2>err
	yes | ipc-sendfd ./h 0 && ended 0
	[[ $(<out) == 141 ]]
	receiver ./h
	ipc-sendfd ./h 5 5>written
	ended 74
	[[ $(<err) == *"read the descriptor that came"* ]]
	receiver ./h
	ipc-sendfd ./h 5 5<.
	ended 74
	receiver ./h >&- 2>err || :
	kill "$PID" 2>/dev/null || :
}

@test "printing goes on until the end, whatever -w says; TERM ends it" {
	mkfifo p
	exec 5<>p 6<p
	ready ipc-recvfd --listen --ready-fd 8 -w 20 ./h >out 5<&-
	ipc-sendfd ./h 6
	echo late >&5
	until_true grep -q late out
	kill -TERM "$PID"
	ended 143
	exec 5<&- 6<&-
}

@test "TERM while it receives: 143, nothing left" {
	need python3
	receiver ./h -- touch ran
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.connect("./h"); print(flush=True); time.sleep(60)' >up 3>&- &
	local p=$!
	until_true test -s up
	gone() { [[ ! -e h ]]; }
	until_true gone
	kill -TERM "$PID"
	ended 143
	kill $p
	[[ ! -e ran ]]
}

@test "interrupted and failing system calls" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	for inject in recvmsg:error=EINTR:when=1 recvmsg:error=EAGAIN:when=1 accept4:error=EINTR:when=1 \
		accept4:error=ECONNABORTED:when=1 sendto:error=EPIPE:when=1; do
		bg strace -f -qq -o trace -e inject="$inject" ipc-recvfd --listen -w 30 ./h -- sh -c 'cat <&3' >out
		PID=$!
		ipc-sendfd --retry 30 ./h 0 <f
		ended 0
		cmp out f
	done
	bg strace -f -qq -o trace -e inject=accept4:error=EMFILE:when=1 ipc-recvfd --listen -w 30 ./h -- touch ran 2>err
	PID=$!
	ipc-sendfd --retry 30 -w 1 ./h 0 <f || :
	ended 71
	bg strace -f -qq -o trace -e inject=recvmsg:error=ENOBUFS:when=1 ipc-recvfd --listen -w 30 ./h -- touch ran 2>err
	PID=$!
	ipc-sendfd --retry 30 -w 1 ./h 0 <f || :
	ended 71
	[[ ! -e ran ]]
}

@test "twenty pairs at once" {
	local i pids=()
	for ((i = 0; i < 20; i++)); do
		echo "$i" >in.$i
		if ((i % 2)); then
			bg ipc-recvfd --listen -w 60 ./h.$i -- sh -c 'cat <&3' >out.$i
			pids+=($!)
			bg ipc-sendfd --retry 60 --ack ./h.$i 5 5<in.$i
		else
			bg ipc-sendfd --listen -w 60 --ack ./h.$i 5 5<in.$i
			pids+=($!)
			bg ipc-recvfd --retry 60 ./h.$i >out.$i
		fi
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p"
	done
	for ((i = 0; i < 20; i++)); do
		[[ $(<out.$i) == "$i" ]]
	done
}

@test "ten hand-overs of a listening socket to a new server: not one connection is lost" {
	need python3
	cat >server.py <<-'PY'
		import os, select, signal, socket, subprocess, sys
		s = socket.socket(fileno=3)
		r, w = os.pipe()
		os.set_blocking(w, False)
		signal.set_wakeup_fd(w)
		signal.signal(signal.SIGTERM, lambda *a: None)
		while r not in select.select([s, r], [], [])[0]:
		    c, _ = s.accept()
		    c.sendall(c.recv(100) + sys.argv[1].encode())
		    c.close()
		    open("served." + sys.argv[1], "w").close()
		subprocess.run(["ipc-sendfd", "--ack", "--retry", "40", "-w", "40", "./hand", "3:web"], pass_fds=[3], check=True)
	PY
	cat >client.py <<-'PY'
		import os, socket
		n = failed = 0
		seen = set()
		while not os.path.exists("stop"):
		    n += 1
		    try:
		        s = socket.socket(socket.AF_UNIX)
		        s.settimeout(60)
		        s.connect("./web")
		        s.sendall(b"from ")
		        answer = s.makefile().read()
		        failed += not answer.startswith("from ")
		        seen.add(answer)
		        s.close()
		    except OSError as e:
		        print(e)
		        failed += 1
		print(failed, "failed;", len(seen), "servers")
	PY
	# The first one gets it the same way.
	bg ipc-recvfd --listen -w 60 ./hand -- python3 server.py 0
	local old=$! new i client
	python3 -c '
import socket, subprocess
s = socket.socket(socket.AF_UNIX); s.bind("./web"); s.listen(100)
subprocess.run(["ipc-sendfd", "--ack", "--retry", "40", "./hand", "%d:web" % s.fileno()], pass_fds=[s.fileno()], check=True)'
	bg python3 client.py >result
	client=$!
	for ((i = 1; i <= 10; i++)); do
		until_true test -e served.$((i - 1))
		bg ipc-recvfd --listen -w 60 ./hand -- python3 server.py $i
		new=$!
		kill -TERM $old
		wait $old
		old=$new
	done
	until_true test -e served.10
	touch "stop"
	wait $client
	kill -KILL $old
	cat result
	[[ $(<result) == "0 failed; 11 servers" ]]
}

@test "what cannot be read is an error at once: a listener, a pidfd, an epoll descriptor, a pipe's write end" {
	need python3
	cat >give.py <<-'EOF'
		import os, select, socket, subprocess, sys, time
		kind, path = sys.argv[1:3]
		l = socket.socket(socket.AF_UNIX); l.bind("l." + kind); l.listen()
		t = socket.socket(); t.bind(("127.0.0.1", 0)); t.listen()
		e = select.epoll(); p = os.pipe(); n = os.eventfd(7) if hasattr(os, "eventfd") else -1
		fd = {"unix": l.fileno(), "tcp": t.fileno(), "epoll": e.fileno(), "pipe": p[1],
		      "pidfd": os.pidfd_open(os.getpid()), "dir": os.open(".", os.O_RDONLY)}[kind]
		s = socket.socket(socket.AF_UNIX); s.connect(path)
		socket.send_fds(s, [b"x"], [fd]); s.shutdown(socket.SHUT_WR)
		sys.stdin.read()
	EOF
	mkfifo hold
	exec 7<>hold
	local kind
	for kind in unix tcp epoll pipe pidfd dir; do
		ready ipc-recvfd --listen --ready-fd 8 ./s
		python3 give.py $kind ./s <hold 2>give.err 3>&- 4>&- &
		local s=0
		wait "$PID" 2>/dev/null || s=$?
		[[ $s == 74 ]] || { echo "$kind: $s"; cat give.err; return 1; }
		kill $! 2>/dev/null || :
	done
}
