#!/usr/bin/env bats
# ipc-fdstore: descriptors kept by name, their users python3 and the shell, and clients that misbehave.
# shellcheck disable=SC2016,SC2094 # scripts for others
load helper

local_setup() {
	# What the store's own client says, for those that are to say it wrongly.
	cat >raw.py <<-'PY'
		import array, os, random, socket, struct, sys, time
		STORE, RETRIEVE, DONE, LIST, REMOVE, TAKEOVER, ENTRIES, CLIENTS, COMMIT = range(9)
		LAST = 0x80000000
		GIVE_CLAIMED = 1
		HEAD = "=IIHHIIIq"
		def head(op, body=b"", flags=0, count=1, num=0, magic=0x73666469, version=1, size=None, reason=0):
		    n = struct.calcsize(HEAD) + len(body) if size is None else size
		    return struct.pack(HEAD, magic, n, version, op, reason, flags, count, num) + body
		def connect(path="./s"):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect(path)
		    return s
		def answer(s):
		    data, fds, _, _ = socket.recv_fds(s, 40000, 253)
		    for fd in fds: os.set_inheritable(fd, False)
		    if not data: return None, [], b""
		    h = struct.unpack(HEAD, data[:32])
		    return dict(op=h[3], reason=h[4], flags=h[5], count=h[6], num=h[7]), fds, data[32:]
		def ask(s, *a, fds=(), **kw):
		    socket.send_fds(s, [head(*a, **kw)], list(fds))
		    return answer(s)
	PY
}

# serve ARG...: a server in the background, ready; its pid in $PID.
serve() { ready ipc-fdstore serve --ready-fd 8 "$@"; }

raw() { python3 -c "from raw import *
$1" "${@:2}" 3>&- </dev/null; }

# stop: end the server, and want it to end with 0.
stop() {
	local s=0
	kill "$PID"
	wait "$PID" || s=$?
	[[ $s == 0 ]] || { echo "the server ended with $s"; return 1; }
}

nfds() { find "/proc/$PID/fd" -mindepth 1 -maxdepth 1 | wc -l; }
# steady: how many it has when nothing is going on: --ready-fd and the last client's connection are closed.
steady() {
	local was now
	now=$(nfds)
	while [[ $now != "${was-}" ]]; do
		was=$now
		read -r -t 0.1 <> <(:) || :
		now=$(nfds)
	done
	echo "$now"
}
nfds_is() { [[ $(nfds) == "$1" ]]; }
names() { ipc-fdstore ls -J "$1" | python3 -c 'import json, sys; print(*[e["name"] for e in json.load(sys.stdin)])'; }
names_are() { [[ $(names "$1") == "$2" ]]; }
# field NAME KEY: one member of one entry in ./s
field() {
	ipc-fdstore ls -J ./s | python3 -c 'import json, sys
print(*[json.dumps(e[sys.argv[2]]) for e in json.load(sys.stdin) if e["name"] == sys.argv[1]])' "$1" "$2"
}

# ---- store and retrieve

@test "a file is read on where another, unrelated process stopped" {
	need python3
	serve ./s
	printf 'one\ntwo\nthree\n' >f
	python3 -c '
import os, subprocess
fd = os.open("f", os.O_RDONLY); os.read(fd, 4)
subprocess.run(["ipc-fdstore", "store", "./s", "f", str(fd)], pass_fds=[fd], check=True)'
	rm f
	[[ $(ipc-fdstore retrieve ./s f -- perl -e 'open F, "<&=3"; sysread F, $x, 4; print $x') == two ]]
	[[ $(ipc-fdstore retrieve ./s f) == three ]]
	[[ -z $(ipc-fdstore retrieve ./s f) ]]
	stop
}

@test "a listening socket outlives its server: clients queue, the next one serves them" {
	need python3
	serve ./s
	python3 -c '
import socket, subprocess
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(9)
print(s.getsockname()[1])
subprocess.run(["ipc-fdstore", "store", "./s", "web", str(s.fileno())], pass_fds=[s.fileno()], check=True)' >port
	# Nobody accepts now, and still no connection is refused.
	python3 -c '
import socket, sys
c = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); print(flush=True); print(c.makefile().readline(), end="")
' "$(<port)" >got 3>&- &
	local client=$!
	until_true test -s got
	status 0 ipc-fdstore retrieve ./s web -- python3 -c '
import os, socket
assert os.environ["LISTEN_FDS"] == "1" and os.environ["LISTEN_PID"] == str(os.getpid())
assert os.environ["LISTEN_FDNAMES"] == "web" and os.environ["IPC_OBJECT"] == "./s"
c, _ = socket.socket(fileno=3).accept(); c.sendall(b"served\n")'
	wait $client
	grep -qx served got
	stop
}

@test "retrieve: several at once, at 3 and up or at chosen numbers, and nothing else" {
	need python3
	serve ./s
	echo A >a; echo B >b
	ipc-fdstore store ./s a 5 5<a
	ipc-fdstore store ./s b 5 5<b
	status 0 ipc-fdstore retrieve ./s b a -- sh -c 'echo "$LISTEN_FDS $LISTEN_FDNAMES"; cat <&3; cat <&4'
	[[ $output == $'2 b:a\nB\nA' ]]
	exec 5<a 6<b
	status 0 ipc-fdstore retrieve --to 6,5 ./s a b -- sh -c 'echo "${LISTEN_FDS-none}"; cat <&6 <&5'
	exec 5<&- 6<&-
	[[ $output == none* ]]
	status 0 env LISTEN_FDS=7 LISTEN_PID=1 LISTEN_FDNAMES=x ipc-fdstore retrieve --to 0 ./s a -- \
		sh -c 'echo "${LISTEN_FDS-none} ${LISTEN_PID-none} ${LISTEN_FDNAMES-none}"'
	[[ $output == "none none none" ]]
	# What the caller has open anyway, and 3.
	local list='import os; print(*[f for f in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + f)])' had
	status 0 python3 -c "$list"
	had=$output
	status 0 ipc-fdstore retrieve ./s a -- python3 -c "$list"
	[[ $(tr ' ' '\n' <<<"$output" | sort) == "$(tr ' ' '\n' <<<"$had 3" | sort -u)" ]]
	status 66 ipc-fdstore retrieve ./s a none b -- true
	[[ $stderr == *"keeps no none"* ]]
	status 64 ipc-fdstore retrieve --to 3 ./s a b -- true
	status 64 ipc-fdstore retrieve --to 3,3 ./s a b -- true
	status 64 ipc-fdstore retrieve --to x ./s a -- true
	status 64 ipc-fdstore retrieve --to 3 ./s a
	status 64 ipc-fdstore retrieve ./s a b
	stop
}

@test "retrieve -- CMD: its status; 126, 127 and nothing is taken out" {
	need python3
	serve ./s
	ipc-fdstore store --once ./s x 0
	: >noexec
	status 127 ipc-fdstore retrieve ./s x -- ./no-such
	status 126 ipc-fdstore retrieve ./s x -- ./noexec
	names_are ./s x
	status 9 ipc-fdstore retrieve ./s x -- sh -c 'exit 9'
	names_are ./s ""
	stop
}

@test "retrieve without CMD copies, and says when that cannot be" {
	need python3
	serve ./s
	head -c 300000 /dev/urandom >f
	ipc-fdstore store ./s f 5 5<f
	ipc-fdstore retrieve ./s f | cmp - f
	ipc-fdstore store ./s w 5 5>w
	status 64 ipc-fdstore retrieve ./s w
	[[ $stderr == *"-- CMD"* ]]
	ipc-fdstore store ./s dir 5 5<.
	status 64 ipc-fdstore retrieve ./s dir
	# Non-blocking, and empty for now.
	python3 -c '
import os, subprocess, sys, time
r, w = os.pipe(); os.set_blocking(r, False)
subprocess.run(["ipc-fdstore", "store", "./s", "p", str(r)], pass_fds=[r], check=True)
c = subprocess.Popen(["ipc-fdstore", "retrieve", "./s", "p"], stdout=subprocess.PIPE)
while open(f"/proc/{c.pid}/stat").read().rsplit(")")[1].split()[0] != "S": pass
os.write(w, b"late\n"); os.close(w)
print(c.communicate()[0].decode(), end="")' >got
	grep -qx late got
	ipc-fdstore store --replace ./s f 5 5<f
	status 74 sh -c 'ipc-fdstore retrieve ./s f >/dev/full'
	ipc-fdstore store --replace ./s f 5 5<f
	bash -c 'ipc-fdstore retrieve ./s f; echo $? >code' | true
	[[ $(<code) == 141 ]]
	stop
}

@test "names are unique: 73; --replace; what is wrong with one: 64" {
	need python3
	serve ./s
	echo A >a; echo B >b
	ipc-fdstore store ./s x 5 5<a
	status 73 ipc-fdstore store ./s x 0
	[[ $stderr == *--replace* ]]
	ipc-fdstore store --replace ./s x 5 5<b
	[[ $(ipc-fdstore retrieve ./s x) == B ]]
	names_are ./s x
	for n in a:b "" $'a\nb' $'\x7f' "$(printf 'x%.0s' {1..256})"; do
		status 64 ipc-fdstore store ./s "$n" 0
		status 64 ipc-fdstore rm ./s "$n"
		status 64 ipc-fdstore retrieve ./s "$n"
	done
	ipc-fdstore store ./s "$(printf 'x%.0s' {1..255})" 0
	ipc-fdstore store ./s 'with blank/ünïcode' 0
	[[ $(ipc-fdstore ls ./s) == *'with blank/ünïcode'* ]]
	# Never one of our own that happens to get the number.
	status 64 ipc-fdstore store ./s y 9
	status 64 ipc-fdstore store ./s y 3
	status 64 ipc-fdstore store ./s y -1
	status 64 ipc-fdstore store ./s y x
	status 64 ipc-fdstore store --expire 0 ./s y 0
	status 64 ipc-fdstore store --expire x ./s y 0
	status 64 ipc-fdstore store --allow uid:no-such-user-here ./s y 0
	status 64 ipc-fdstore store --nonsense ./s y 0
	stop
}

@test "rm: each that is there goes, and is closed; 66 for others" {
	need python3
	serve ./s
	mkfifo fifo
	exec 5<>fifo 6>fifo
	ipc-fdstore store ./s a 6
	ipc-fdstore store ./s b 6
	ipc-fdstore store ./s c 6
	exec 6>&-
	local n
	n=$(steady)
	status 66 ipc-fdstore rm ./s a none b
	[[ $stderr == *none* ]]
	names_are ./s c
	nfds_is $((n - 2))
	ipc-fdstore rm ./s c
	exec 6<fifo 5>&-
	# The last writer has gone: end of file at once.
	[[ -z $(timeout 20 cat <&6) ]]
	exec 6<&-
	stop
}

# ---- how long

@test "--once: gone when it has arrived; put back when it has not" {
	need python3
	serve ./s
	echo A >a
	ipc-fdstore store --once ./s x 5 5<a
	raw '
s = connect()
h, fds, _ = ask(s, RETRIEVE, b"x\0")
assert h["reason"] == 0 and h["flags"] == 1 and len(fds) == 1, h
# While we have not said that we have it, nobody else gets it, and nothing else happens to it.
t = connect()
assert ask(t, RETRIEVE, b"x\0")[0]["reason"] == 7
assert ask(t, REMOVE, b"x\0")[0]["reason"] == 7
assert ask(t, STORE, b"x\0\0", flags=4, fds=[0])[0]["reason"] == 7
'
	# It ended without a word.
	until_true eval '[[ $(field x leaving) == false ]]'
	[[ $(ipc-fdstore retrieve ./s x) == A ]]
	status 66 ipc-fdstore retrieve ./s x
	stop
}

@test "retrieve --remove takes it out; SIGKILL of the client before it has it does not" {
	need python3
	serve ./s
	ipc-fdstore store ./s x 0
	ipc-fdstore retrieve --remove ./s x -- true
	names_are ./s ""
	if [[ -z ${IPCBOX_SANITIZE-} ]] && command -v strace >/dev/null; then
		ipc-fdstore store ./s x 0
		# Killed as it is about to say that it has arrived.
		status 137 strace -f -o /dev/null -e trace=sendmsg -e inject=sendmsg:signal=KILL:error=EIO:when=2 \
			ipc-fdstore retrieve --remove ./s x -- true
		until_true names_are ./s x
		ipc-fdstore retrieve --remove ./s x -- true
	fi
	stop
}

@test "--expire: dropped then, not before" {
	need python3
	serve ./s
	ipc-fdstore store --expire 1h ./s long 0
	ipc-fdstore store --expire 300ms ./s short 0
	ipc-fdstore store --expire inf ./s ever 0
	[[ $(field ever expires) == null ]]
	python3 -c 'import sys; assert 3500 < float(sys.argv[1]) <= 3600' "$(field long expires)"
	until_true names_are ./s "ever long"
	stop
}

@test "--until-hangup: dropped when the other end is closed" {
	need python3
	serve ./s
	mkfifo fifo
	exec 5<>fifo 6>fifo
	ipc-fdstore store --until-hangup ./s w 6
	ipc-fdstore store --until-hangup ./s file 7 7<raw.py
	ipc-fdstore store ./s plain 6
	names_are ./s "file plain w"
	# We keep a copy of what is watched: it counts as little as the copies of others.
	exec 5>&-
	until_true names_are ./s "file plain"
	exec 6>&-
	stop
}

# ---- ls

@test "ls: what each is" {
	need python3
	serve ./s
	echo 12345 >file
	mkfifo fifo
	python3 - <<-'PY'
		import ctypes, os, socket, subprocess
		def keep(name, fd):
		    subprocess.run(["ipc-fdstore", "store", "./s", name, str(fd)], pass_fds=[fd], check=True)
		fd = os.open("file", os.O_RDWR | os.O_APPEND); os.lseek(fd, 3, 0); keep("file", fd)
		keep("dir", os.open(".", os.O_RDONLY)); keep("path", os.open("file", os.O_PATH))
		keep("fifo", os.open("fifo", os.O_RDWR | os.O_NONBLOCK)); r, w = os.pipe(); keep("pipe", w)
		keep("null", os.open("/dev/null", os.O_WRONLY)); keep("memfd", os.memfd_create("mine"))
		keep("eventfd", ctypes.CDLL(None).eventfd(0, 0))
		a, b = socket.socketpair(); keep("pair", a.fileno())
		l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(); keep("tcp-listen", l.fileno())
		c = socket.create_connection(l.getsockname()); keep("tcp", c.fileno())
		u = socket.socket(type=socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); keep("udp", u.fileno())
		x = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); x.bind("./sock"); x.listen(); keep("unix", x.fileno())
		os.unlink("file")
		import json
		port, mine = l.getsockname()[1], c.getsockname()[1]
		ls = {e["name"]: e for e in json.loads(subprocess.run(["ipc-fdstore", "ls", "-J", "./s"], check=True, stdout=subprocess.PIPE).stdout)}
		def want(name, **kw):
		    for k, v in kw.items(): assert ls[name][k] == v, (name, k, ls[name][k], v)
		here = os.getcwd()
		want("file", type="file", what=here + "/file (deleted)", flags="rw,append", pos=3, size=6, listening=False)
		want("dir", type="directory", what=here, flags="r"); want("path", type="file", flags="path")
		want("fifo", type="fifo", what=here + "/fifo", flags="rw,nonblock"); want("pipe", type="pipe", flags="w")
		want("null", type="chardev", what="/dev/null"); want("eventfd", type="eventfd")
		assert ls["memfd"]["type"] == "memfd" and "mine" in ls["memfd"]["what"]
		want("pair", type="unix-stream", peer=f"pid {os.getpid()}")
		want("tcp-listen", type="tcp", listening=True, what=f"tcp:127.0.0.1:{port}", peer=None)
		want("tcp", type="tcp", listening=False, what=f"tcp:127.0.0.1:{mine}", peer=f"tcp:127.0.0.1:{port}")
		want("udp", type="udp", what="udp:127.0.0.1:%d" % u.getsockname()[1])
		want("unix", type="unix-seqpacket", what="./sock", listening=True)
		# Who stored: not the call of ipc-fdstore, which is gone, but who made it.
		want("udp", uid=os.getuid(), gid=os.getgid(), pid=os.getpid(), alive=True, retrieved=0, once=False)
		assert "python3 -" in ls["udp"]["command"], ls["udp"]
		import time
		assert abs(ls["udp"]["since"] - time.time()) < 60
		assert list(ls) == sorted(ls)
	PY
	[[ $(field udp alive) == false ]]
	status 0 ipc-fdstore ls ./s
	[[ $output == "NAME "*"COMMAND"* && $output == *" (gone) "* && $output == *"(listening)"* && $output == *" -> tcp:127"* ]]
	stop
}

@test "ls: of nothing; of more than one packet holds, whole and in order" {
	need python3
	serve ./s
	status 0 ipc-fdstore ls ./s
	[[ -z $output ]]
	[[ $(ipc-fdstore ls -J ./s) == "[]" ]]
	raw '
long = "n" * 240
for i in range(400):
    s = connect(); h, _, _ = ask(s, STORE, ("%s%04d" % (long, i)).encode() + b"\0\0", flags=LAST, fds=[0]); assert h["reason"] == 0, h
'
	[[ $(names ./s | wc -w) == 400 ]]
	[[ $(ipc-fdstore ls ./s | wc -l) == 401 ]]
	ipc-fdstore ls ./s | tail -n +2 | sort -c
	stop
}

# ---- who may

@test "other users: kept out by default, let in by --allow, and then to what is theirs" {
	need python3 root
	chmod 755 "$BATS_TEST_TMPDIR" "$T"
	serve ./s
	[[ $(stat -c %a s) == 600 ]]
	status 77 as_nobody "$BIN/ipc-fdstore" ls ./s
	stop
	# The mode lets him in, the server does not.
	serve -m 666 ./s
	status 77 as_nobody "$BIN/ipc-fdstore" store ./s x 0
	[[ $stderr == *--allow* ]]
	status 77 as_nobody "$BIN/ipc-fdstore" ls ./s
	stop
	serve --allow uid:65534 ./s
	[[ $(stat -c %a s) == 666 ]]
	echo secret >f
	ipc-fdstore store ./s mine 5 5<f
	ipc-fdstore store --allow uid:65534 ./s shared 5 5<f
	status 0 as_nobody "$BIN/ipc-fdstore" store ./s his 0
	[[ $(as_nobody "$BIN/ipc-fdstore" ls -J ./s) == *'"his"'*'"shared"'* ]]
	[[ $(as_nobody "$BIN/ipc-fdstore" ls -J ./s) != *mine* ]]
	status 77 as_nobody "$BIN/ipc-fdstore" retrieve ./s mine
	[[ $stderr == *root* ]]
	status 77 as_nobody "$BIN/ipc-fdstore" rm ./s mine shared
	status 77 as_nobody "$BIN/ipc-fdstore" retrieve --remove ./s shared
	status 77 as_nobody "$BIN/ipc-fdstore" store --replace ./s mine 0
	status 73 as_nobody "$BIN/ipc-fdstore" store ./s mine 0
	status 0 as_nobody "$BIN/ipc-fdstore" retrieve ./s shared
	[[ $output == secret ]]
	status 77 as_nobody "$BIN/ipc-fdstore" serve --takeover ./s
	# The server's own user may do all.
	names_are ./s "his mine shared"
	ipc-fdstore rm ./s his
	stop
	# And root trusts nobody's server as little with its descriptors as with its own.
	chmod 777 .
	as_nobody "$BIN/ipc-fdstore" serve ./n 3>&- &
	local p=$!
	status 0 ipc-sock wait -w 20 -t seqpacket ./n
	status 77 ipc-fdstore serve --takeover ./n
	kill $p
	as_nobody "$BIN/ipc-fdstore" serve "@ipcbox-fdstore.$$.$BATS_TEST_NUMBER" 3>&- &
	status 0 ipc-sock wait -w 20 -t seqpacket "@ipcbox-fdstore.$$.$BATS_TEST_NUMBER"
	status 77 ipc-fdstore store "@ipcbox-fdstore.$$.$BATS_TEST_NUMBER" x 0
	kill $!
}

@test "limits: --max, --max-per-uid: 71 with the value, and what is kept stays" {
	need python3
	serve --max 3 ./s
	for i in 1 2 3; do ipc-fdstore store ./s $i 0; done
	status 71 ipc-fdstore store ./s 4 0
	[[ $stderr == *"at most 3"* ]]
	ipc-fdstore store --replace ./s 3 0
	ipc-fdstore rm ./s 1
	ipc-fdstore store ./s 4 0
	names_are ./s "2 3 4"
	stop
	serve --max-per-uid 1 ./s
	ipc-fdstore store ./s 1 0
	status 71 ipc-fdstore store ./s 2 0
	[[ $stderr == *"at most 1 of one user"* ]]
	stop
	# Never more than the system gives: said at the start.
	ready bash -c 'ulimit -n 200; exec ipc-fdstore serve --ready-fd 8 --max 1000 ./s 2>err'
	grep -q "ulimit -Hn 200" err
	status 64 ipc-fdstore serve --max 0 ./t
	status 64 ipc-fdstore serve --max x ./t
	stop
}

@test "a client without a free descriptor says so: 71" {
	need python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "the sanitizer needs descriptors of its own"
	serve ./s
	ipc-fdstore store ./s a 0
	status 71 bash -c 'ulimit -n 4; exec ipc-fdstore retrieve ./s a 3>&- 4>&-'
	[[ $stderr == *ulimit* ]]
	names_are ./s a
	stop
}

# ---- the server's life

@test "SIGTERM: says what was kept, removes its socket, 0; INT and HUP alike" {
	for sig in TERM INT HUP; do
		# Background jobs of a shell have INT ignored, and it stays so.
		ready env --default-signal=INT ipc-fdstore serve --ready-fd 8 ./s 2>err
		ipc-fdstore store ./s web 0
		ipc-fdstore store ./s db 0
		kill -$sig "$PID"
		local s=0
		wait "$PID" || s=$?
		[[ $s == 0 && ! -e s ]]
		[[ $(<err) == *"2 descriptors"*"db, web"* ]]
	done
	serve ./s 2>err
	stop
	[[ ! -s err ]]
}

@test "no server: 66 without a socket, 69 with a dead one, which the next server replaces" {
	need python3
	status 66 ipc-fdstore ls ./s
	serve ./s
	status 75 ipc-fdstore serve ./s
	[[ $stderr == *"pid $PID"* ]]
	kill -KILL "$PID"
	wait "$PID" || :
	status 69 ipc-fdstore store ./s x 0
	status 69 ipc-fdstore retrieve --retry 20ms ./s x
	serve ./s
	ipc-fdstore store ./s x 0
	stop
	bg ipc-fdstore store --retry 20 ./s x 0
	local c=$!
	until_true blocked $c
	serve ./s
	wait $c
	names_are ./s x
	stop
}

@test "the server is killed while clients wait for it: 69; it does not answer in time: 124" {
	serve ./s
	ipc-fdstore store ./s x 0
	kill -STOP "$PID"
	status 124 ipc-fdstore store -w 50ms ./s y 0
	status 7 ipc-fdstore ls -w 50ms -E 7 ./s
	bg ipc-fdstore store ./s z 0
	local a=$!
	bg ipc-fdstore retrieve ./s x -- true
	local b=$!
	until_true blocked $a
	until_true blocked $b
	kill -KILL "$PID"
	local s=0 r=0
	wait $a || s=$?
	wait $b || r=$?
	[[ $s == 69 && $r == 69 ]]
}

@test "what is no store: 64 and 65, never a hang" {
	need python3
	: >file
	status 65 ipc-fdstore ls ./file
	status 64 ipc-fdstore ls tcp:127.0.0.1:1
	status 64 ipc-fdstore serve tcp:127.0.0.1:1
	ready ipc-sock serve --ready-fd 8 --echo ./stream
	status 64 ipc-fdstore ls ./stream
	[[ $stderr == *store* ]]
	stop
	ready ipc-sock serve --ready-fd 8 -t seqpacket --echo ./seq
	status 65 ipc-fdstore ls ./seq
	status 65 ipc-fdstore serve --takeover ./seq
	stop
	python3 - <<-'PY' &
		import socket
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("./bad"); s.listen()
		from raw import *
		rec = lambda name: struct.pack("=6I3Q4q", 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1) + name + b"\0" * 6
		for a in (b"x", b"", head(3, reason=99), head(3, version=2), head(3, size=77), head(3, b"short"),
			  head(3, rec(b"a")[:-1]), head(3, rec(b"b") + rec(b"b"), count=2)):
		    c, _ = s.accept(); c.recv(9999); c.send(a); c.close()
	PY
	local p=$! want
	status 0 ipc-sock wait -w 20 -t seqpacket ./bad
	for want in 65 69 65 65 65 65 65 65; do status $want ipc-fdstore ls ./bad; done
	wait $p
}

# fake SCRIPT: a store of ours at ./bad that runs SCRIPT in python3 for each connection c, in turn; its pid in $FAKE.
fake() {
	python3 -c "
import socket
from raw import *
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind('./bad'); s.listen()
def give(c, *a, fds=(), **kw): socket.send_fds(c, [head(*a, **kw)], list(fds))
$1" 3>&- &
	FAKE=$!
	status 0 ipc-sock wait -w 20 -t seqpacket ./bad
}

@test "what a store refuses, and what it must not answer, is said" {
	need python3
	local want
	fake '
for r in 2, 10, 11, 12, 1:
    c, _ = s.accept(); c.recv(9999); give(c, 4, reason=r, num=7); c.close()
f = os.open("file", os.O_RDWR | os.O_CREAT); os.write(f, b"kept\n"); os.lseek(f, 0, 0)
c, _ = s.accept(); c.recv(9999); give(c, 1, fds=[f, f]); c.close()
c, _ = s.accept(); c.recv(9999); give(c, 1); c.close()
c, _ = s.accept(); c.recv(9999); give(c, 1, flags=GIVE_CLAIMED, fds=[f]); c.recv(9999); c.close()'
	for want in "65 another version" "71 no descriptor left (ulimit -n 7)" "71 are on their way (ulimit -n 7)" "71 memory" "65 did not understand"; do
		status "${want%% *}" ipc-fdstore rm ./bad x
		[[ $stderr == *"${want#* }"* ]]
	done
	status 71 ipc-fdstore retrieve ./bad x # more than it has room for
	status 65 ipc-fdstore retrieve ./bad x
	[[ $stderr == *"0 descriptors came, not 1"* ]]
	status 0 ipc-fdstore retrieve ./bad x
	[[ $output == kept && $stderr == *"ended before it said that it let go"* ]]
	wait "$FAKE"
}

@test "--takeover of one that answers wrongly: 65, and nothing of it is served; of one that just ends: the first" {
	need python3
	fake '
l = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); l.bind("./l"); l.listen()
hand = struct.pack("7Q", 1, 1, 9, 0, 0, 0, 0)
rec = lambda name, n=80: struct.pack("=6I3Q4q", n, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1) + name + b"\0" * 6
none = dict(body=b"", count=0)
for answers in (
    [dict(body=hand)],
    [dict(body=hand[:8], fds=[l.fileno()])],
    [dict(body=hand, fds=[l.fileno()]), dict(body=rec(b"a"), count=1)],
    [dict(body=hand, fds=[l.fileno()]), dict(body=rec(b"a:b"), count=1, fds=[0])],
    [dict(body=hand, fds=[l.fileno()]), dict(body=rec(b"a")[:60], count=1, fds=[0])],
    [dict(body=hand, fds=[l.fileno()]), none, dict(body=b"\1\0\0\0\0\0\0\0", count=1)],
    [dict(body=hand, fds=[l.fileno()]), none, dict(body=b"\0" * 8, count=1, fds=[0])],
    [dict(body=hand, fds=[l.fileno()]), none, dict(body=b"\5" + b"\0" * 7, count=1, fds=[0]), none, dict(reason=1)]):
    c, _ = s.accept()
    for a in answers:
        r = c.recv(9999); give(c, 5, **a)
    c.recv(9999); c.close()
c, _ = s.accept(); s.close(); c.recv(9999); c.close()'
	local i
	for i in 1 2 3 4 5 6 7 8; do
		status 65 timeout 20 ipc-fdstore serve --takeover ./bad
	done
	status 0 timeout 20 ipc-fdstore serve --takeover --idle 20ms ./bad
	wait "$FAKE"
}

@test "odd descriptors, long lists, given sockets; a kernel that takes no more of them" {
	need python3
	serve --max 4 --notify-socket ./n ./s 2>err
	status 0 python3 -c '
import os, socket, subprocess
os.symlink("nowhere", "link")
def store(name, fd): subprocess.run(["ipc-fdstore", "store", "./s", name, str(fd)], pass_fds=[fd], check=True)
store("link", os.open("link", os.O_PATH | os.O_NOFOLLOW))
n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); store("netlink", n.fileno())
l = socket.socket(socket.AF_UNIX); l.bind("./listens"); l.listen(); store("listens", l.fileno())
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect("./s")
print(subprocess.run(["ipc-fdstore", "ls", "-J", "fd:%d" % s.fileno()], pass_fds=[s.fileno()], capture_output=True, check=True).stdout.decode())'
	[[ $output == *'"type":"symlink"'* && $output == *'"type":"socket"'* ]]
	status 64 ipc-fdstore retrieve ./s listens
	[[ $stderr == *"cannot be read; give -- CMD"* ]]
	status 64 ipc-fdstore store --allow "$(printf 'uid:1%03d,' {1..200})any" ./s x 0
	# shellcheck disable=SC2046
	status 64 ipc-fdstore retrieve ./s $(seq 70) -- true
	status 64 ipc-fdstore ls '@bad\xZZ'
	raw '
n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); n.connect("./n")
a, b = os.pipe()
socket.send_fds(n, [b"FDSTORE=1\nFDPOLL=0\nFDNAME=link2"], [a]); socket.send_fds(n, [b"FDSTORE=1\nFDNAME=link"], [b])'
	until_true grep -q 'of uid .* is not kept: the limit is 4' err
	names_are ./s "link link2 listens netlink"
	stop
	python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX); s.bind("./stream"); s.listen(); os.dup2(s.fileno(), 9); os.dup2(9, 3); os.close(9)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp("ipc-fdstore", ["ipc-fdstore", "serve", "fd:3"])' 2>err || [[ $? == 64 ]]
	grep -q 'a stream socket, not a seqpacket one' err
	command -v strace >/dev/null && [[ -z ${IPCBOX_SANITIZE-} ]] || return 0
	ready strace -qq -o /dev/null -e inject=sendmsg:error=ETOOMANYREFS:when=2 ipc-fdstore serve --ready-fd 8 ./s2
	ipc-fdstore store ./s2 x 0
	status 71 ipc-fdstore retrieve ./s2 x
	[[ $stderr == *"too many of the server's descriptors are on their way"* ]]
	status 0 ipc-fdstore retrieve ./s2 x
	status 71 strace -qq -o /dev/null -e inject=sendmsg:error=ETOOMANYREFS ipc-fdstore store ./s2 y 0
	[[ $stderr == *"too many of this user's descriptors are on their way"* ]]
}

@test "--idle: ends when nothing is kept and nobody came, not before" {
	need python3
	serve --idle 1 ./s
	ipc-fdstore store ./s x 0
	raw 'time.sleep(1.2)'
	kill -0 "$PID"
	ipc-fdstore rm ./s x
	wait "$PID"
	[[ ! -e s ]]
}

@test "where it can live: a word, an abstract name, a long path, a socket that is handed to it" {
	need python3
	serve word
	[[ -S $IPC_DIR/word.fdstore ]]
	ipc-fdstore store word x 0
	names_are word x
	stop
	local n=@ipcbox-fdstore.$$.$BATS_TEST_NUMBER d
	serve "$n"
	ipc-fdstore store "$n" x 0
	names_are "$n" x
	stop
	d=$(printf 'd%.0s' {1..120})
	mkdir "$d"
	serve "$d/s"
	ipc-fdstore store "$d/s" x 0
	names_are "$d/s" x
	stop
	[[ ! -e $d/s ]]
	python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("./act"); s.listen()
os.set_inheritable(s.fileno(), True)
if os.fork() == 0: os.execvp("ipc-fdstore", ["ipc-fdstore", "serve", "--idle", "20s", "fd:%d" % s.fileno()])
' 3>&-
	ipc-fdstore store ./act x 0
	names_are ./act x
	# Its name is the activator's.
	kill "$(ipc-sock stat -J ./act | sed 's/.*"pid":\([0-9]*\).*/\1/')"
	until_true status 69 ipc-fdstore ls ./act
	[[ -S act ]]
}

@test "--pidfile, --ready-fd, sd_notify" {
	need python3
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("./notify"); print(flush=True)
print(s.recv(100).decode())' >told 3>&- &
	until_true test -s told
	NOTIFY_SOCKET=$T/notify serve --pidfile pid ./s
	until_true grep -q READY=1 told
	[[ $(<pid) == "$PID" ]]
	stop
	[[ ! -e pid ]]
}

# ---- succession

@test "--takeover: everything goes over, the old server ends with 0, the name lives on" {
	need python3
	serve --pidfile pid ./s
	local old=$PID before
	echo A >a
	ipc-fdstore store --once ./s once 5 5<a
	ipc-fdstore store --expire 1h --allow uid:12345 ./s exp 5 5<a
	mkfifo fifo
	exec 5<>fifo 6>fifo
	ipc-fdstore store --until-hangup ./s hang 6
	exec 6>&-
	ipc-fdstore store ./s f 6 6<a
	ipc-fdstore retrieve ./s f -- true
	show() { ipc-fdstore ls -J ./s | sed 's/"expires":[0-9.]*/"expires":N/g'; }
	before=$(show)
	serve --takeover --pidfile pid ./s 5<&-
	wait "$old"
	[[ $(show) == "$before" && $before == *'"retrieved":1'* ]]
	[[ -S s && $(<pid) == "$PID" ]]
	exec 5>&-
	until_true names_are ./s "exp f once"
	[[ $(ipc-fdstore retrieve ./s once) == A ]]
	names_are ./s "exp f"
	stop
	[[ ! -e s && ! -e pid ]]
}

@test "--takeover: an abstract notify socket goes over to who names it, and is closed by who does not" {
	need python3
	serve --notify-socket "@n$$" ./s
	local old=$PID
	notify() {
		raw '
n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); n.connect("\0n" + sys.argv[1])
socket.send_fds(n, [b"FDSTORE=1\nFDPOLL=0\nFDNAME=" + sys.argv[2].encode()], [0])' $$ "$1"
	}
	notify first
	until_true names_are ./s first
	serve --takeover --notify-socket "@n$$" ./s
	wait "$old"
	old=$PID
	notify second
	until_true names_are ./s "first second"
	serve --takeover ./s
	wait "$old"
	names_are ./s "first second"
	status 1 notify third
	stop
}

@test "--takeover: with nobody there it is the first; a dead socket is replaced" {
	serve --takeover ./s
	kill -KILL "$PID"
	wait "$PID" || :
	serve --takeover ./s
	ipc-fdstore store ./s x 0
	stop
}

@test "--takeover: more than a batch, and an abstract name" {
	need python3
	local n=@ipcbox-fdstore.$$.$BATS_TEST_NUMBER
	serve "$n"
	local old=$PID
	raw '
for i in range(200):
    s = connect("\0" + sys.argv[1][1:]); assert ask(s, STORE, b"%d\0\0" % i, flags=LAST, fds=[0])[0]["reason"] == 0
' "$n"
	serve --takeover "$n"
	wait "$old"
	[[ $(names "$n" | wc -w) == 200 ]]
	stop
}

@test "--takeover: no client fails across ten of them" {
	need python3
	serve ./s
	ipc-fdstore store ./s kept 0
	python3 - >result 3>&- <<-'PY' &
		import os, subprocess
		n = bad = 0
		def run(*a):
		    global n, bad
		    n += 1
		    r = subprocess.run(["ipc-fdstore", *a], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
		    if r.returncode: bad += 1; print(a, r.returncode, r.stderr, flush=True)
		while not os.path.exists("done") or n < 20:
		    run("store", "./s", "x%d" % n, "0"); run("ls", "./s"); run("retrieve", "--remove", "./s", "x%d" % (n - 2), "--", "true")
		    run("retrieve", "./s", "kept", "--", "true")
		print("bad", bad)
	PY
	local clients=$! i old
	for ((i = 0; i < 10; i++)); do
		old=$PID
		serve --takeover ./s
		wait "$old"
	done
	: >"done"
	wait $clients
	cat result
	grep -qx "bad 0" result
	names_are ./s kept
	stop
}

@test "--takeover: connections that are open go over, with what they were promised" {
	need python3
	serve ./s
	local old=$PID
	echo A >a
	ipc-fdstore store --once ./s x 5 5<a
	mkfifo go
	raw '
s = connect(); h, fds, _ = ask(s, RETRIEVE, b"x\0"); assert h["flags"] == 1
t = connect(); assert ask(t, STORE, b"y\0\0", fds=[0])[0]["reason"] == 0
open("ready", "w").close()
open("go").read()
assert ask(t, STORE, b"z\0\0", fds=[0])[0]["reason"] == 0
h, _, _ = ask(s, DONE, count=0); assert h["reason"] == 0
' &
	local c=$!
	until_true test -e ready
	serve --takeover ./s
	wait "$old"
	status 75 ipc-fdstore retrieve ./s x
	echo >go
	wait $c
	names_are ./s "y z"
	stop
}

@test "--takeover: a successor that ends on the way leaves all as it was" {
	need python3
	serve ./s 2>err
	ipc-fdstore store ./s x 0
	local n
	n=$(steady)
	raw '
for steps in range(4):
    s = connect(); h, fds, body = ask(s, TAKEOVER); assert h["reason"] == 0 and len(fds) == 1 and len(body) == 56, (h, fds, body)
    if steps > 0: assert ask(s, ENTRIES, b"\0")[0]["count"] == 1
    if steps > 1: assert ask(s, ENTRIES, b"x\0")[0]["count"] == 0
    if steps > 2: assert ask(s, CLIENTS)[0]["reason"] == 0
    s.close()
    for f in fds: os.close(f)
    # Whoever did not begin a handover has no part in it.
    s = connect(); assert [ask(s, o, b"\0")[0]["reason"] for o in (ENTRIES, CLIENTS, COMMIT)] == [1, 1, 1]
    s.close()
'
	names_are ./s x
	until_true nfds_is "$n"
	grep -q "all stays here" err
	# While it goes on, others wait, and a SIGTERM, too: nothing gets lost half-way.
	mkfifo go
	raw '
s = connect(); ask(s, TAKEOVER); open("ready", "w").close(); open("go").read()' &
	local c=$!
	until_true test -e ready
	status 124 ipc-fdstore ls -w 100ms ./s
	kill "$PID"
	status 124 ipc-fdstore ls -w 100ms ./s
	kill -0 "$PID"
	echo >go
	wait $c
	wait "$PID"
	[[ ! -e s ]]
}

@test "--takeover: the old server is killed on the way: what has arrived is served" {
	need python3
	python3 - <<-'PY' &
		from raw import *
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("./s"); s.listen()
		st = os.stat("./s")
		c, _ = s.accept(); c.recv(999)
		socket.send_fds(c, [head(TAKEOVER, struct.pack("=7Q", 2, 0, 5, st.st_dev, st.st_ino, 0, 0))], [s.fileno()])
		c.recv(999)
		rec = struct.pack("=6I3Q4q", 80, 0, os.getuid(), 0, 0, 0, 0, 0, 0, 0, -1, -1, -1) + b"got\0" + b"\0" * 5
		socket.send_fds(c, [head(ENTRIES, rec)], [s.fileno()])
	PY
	local p=$!
	until_true test -S ./s
	serve --takeover ./s 2>err
	wait $p
	grep -q "1 of 2" err
	names_are ./s got
	stop
	[[ ! -e s ]]
}

# ---- bad peers

@test "clients that say nonsense: an answer or the door; the server stays, no descriptor stays" {
	need python3
	serve ./s
	ipc-fdstore store ./s x 0
	local n
	n=$(steady)
	raw '
good = head(STORE, b"n\0\0")
for what in (good[:10], good[:31], good[:-1], head(STORE, b"n"), head(STORE, b"n\0"), head(STORE, b"\0\0"), head(STORE, b"a:b\0\0"),
             head(STORE, b"n\0uid:zzz\0"), head(STORE, b"n\0\0", num=-1), head(STORE, b"n\0" + b"a" * 2000 + b"\0"),
             head(STORE, b"n\0\0", magic=1), head(STORE, b"n\0\0", version=9), head(99, b"n\0"), head(STORE, b"n\0\0", size=1),
             head(RETRIEVE, b"", count=1), head(RETRIEVE, b"x\0", count=2), head(RETRIEVE, b"x\0", count=0), head(RETRIEVE, b"x\0", count=2**32 - 1),
             head(LIST, b""), head(REMOVE, b"x"), b"x" * 32768, b"x" * 40000):
    s = connect(); socket.send_fds(s, [what], [0]); h, _, _ = answer(s); assert h is None or h["reason"] in (1, 2), (what[:60], h)
# None and two descriptors to a store; two hundred to a list.
s = connect(); assert ask(s, STORE, b"n\0\0")[0]["reason"] == 1
assert ask(s, STORE, b"n\0\0", fds=[0, 0])[0]["reason"] == 1
assert ask(s, LIST, b"\0", fds=[0] * 200)[0]["reason"] == 0
# An empty packet is an end.
s.send(b"")
assert answer(s)[0] is None
'
	names_are ./s x
	until_true nfds_is "$n"
	stop
}

@test "clients that go away at each step, never read, or flood: the same" {
	need python3
	serve ./s
	ipc-fdstore store ./s x 0
	local n
	n=$(steady)
	raw '
for i in range(200):
    s = connect()
    if i % 4 == 0: s.close(); continue
    socket.send_fds(s, [head(RETRIEVE, b"x\0", flags=(i % 2) * LAST)], [0] * (i % 3))
    if i % 4 == 1: s.close(); continue
    if i % 4 == 2: s.recv(10)
    s.close()
# Never reads, and asks on: it is let go when its queue is full.
s = connect()
try:
    for i in range(10000): s.send(head(LIST, b"\0"))
    assert False
except OSError: pass
# Ten thousand descriptors, many at once.
s = connect(); sent = 0
try:
    for i in range(40): socket.send_fds(s, [head(LIST, b"\0")], [0] * 250); sent += 250
except OSError: pass
s.close()
for i in range(40):
    s = connect(); socket.send_fds(s, [head(STORE, b"q\0\0")], [0] * 250); assert answer(s)[0]["reason"] == 1; s.close()
'
	names_are ./s x
	until_true nfds_is "$n"
	stop
}

@test "ten thousand descriptors to a server that has few: it refuses, and serves on" {
	need python3
	ready bash -c 'ulimit -n 100; exec ipc-fdstore serve --ready-fd 8 ./s 2>err'
	local n
	n=$(steady)
	raw '
for i in range(40):
    s = connect(); socket.send_fds(s, [head(STORE, b"q\0\0")], [0] * 253); assert answer(s)[0]["reason"] == 10; s.close()
'
	until_true nfds_is "$n"
	ipc-fdstore store ./s x 0
	names_are ./s x
	# Idle connections take what is left; who comes then waits, and is served when one goes.
	mkfifo go
	raw '
c = [connect() for i in range(200)]; open("ready", "w").close(); open("go").read()' &
	local c=$!
	until_true test -e ready
	status 124 ipc-fdstore ls -w 200ms ./s
	bg ipc-fdstore store ./s y 0
	local w=$!
	until_true blocked $w
	echo >go
	wait $c
	wait $w
	names_are ./s "x y"
	stop
}

@test "packets at random: the server stays, and no descriptor stays with it" {
	need python3
	serve ./s
	ipc-fdstore store ./s x 0
	local n
	n=$(steady)
	raw '
random.seed(int(sys.argv[1])); print("seed", sys.argv[1])
ops = [head(STORE, b"nn\0\0", flags=4), head(RETRIEVE, b"x\0"), head(LIST, b"\0"), head(ENTRIES, b"\0"), head(CLIENTS)]
s = connect()
for i in range(3000):
    b = bytearray(random.choice(ops))
    for _ in range(random.randrange(4)):
        k = random.randrange(len(b)); b[k] = random.randrange(256)
    b[10:12] = struct.pack("=H", random.choice((0, 1, 3, 6, 7, 8, 9))) if random.random() < .5 else b[10:12]
    # Not what rightly takes x out, or the whole store.
    if b[10] in (DONE, REMOVE, TAKEOVER): b[10] = LIST
    if random.random() < .1: b = b[:random.randrange(1, len(b))]
    try:
        socket.send_fds(s, [bytes(b)], [0] * random.choice((0, 1, 1, 2)))
        h, fds, _ = answer(s)
        for f in fds: os.close(f)
        if h is None or random.random() < .1: s.close(); s = connect()
    except OSError: s.close(); s = connect()
' "$RANDOM"
	[[ " $(names ./s) " == *" x "* ]]
	# shellcheck disable=SC2046 # names that it made up
	for i in $(names ./s); do [[ $i == x ]] || ipc-fdstore rm ./s "$i" || :; done
	names_are ./s x
	until_true nfds_is "$n"
	stop
}

@test "200 clients at once, each stores and retrieves its own" {
	need python3
	serve ./s
	local n i
	n=$(steady)
	for ((i = 0; i < 200; i++)); do
		bg sh -c "echo $i >f.$i; ipc-fdstore store ./s $i 5 5<f.$i && ipc-fdstore retrieve --remove ./s $i >g.$i"
	done
	for i in $(jobs -p); do [[ $i == "$PID" ]] || wait "$i"; done
	for ((i = 0; i < 200; i++)); do [[ $(<"g.$i") == "$i" ]]; done
	names_are ./s ""
	until_true nfds_is "$n"
	stop
}

@test "accept(2) and recvmsg(2) that fail for a while do no harm" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	ready strace -f -o /dev/null -e trace=accept4,recvmsg -e inject=accept4:error=EMFILE:when=1..3 \
		-e inject=recvmsg:error=EINTR:when=1..2 ipc-fdstore serve --ready-fd 8 ./s 2>err
	ipc-fdstore store -w 20 ./s x 0
	names_are ./s x
	grep -q "goes on when there is room" err
	kill "$(kids "$PID")"
	wait "$PID"
}

# ---- sd_notify

@test "--notify-socket: FDSTORE, FDNAME, FDPOLL, FDSTOREREMOVE as a service manager takes them" {
	need python3
	serve --notify-socket ./n ./s
	local n
	n=$(steady)
	python3 - <<-'PY'
		import json, os, socket, subprocess
		null = os.open("/dev/null", os.O_RDWR)
		n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); n.connect("./n")
		def say(text, *fds): socket.send_fds(n, [text.encode()], fds)
		a, b = os.pipe(); say("READY=1\nFDSTORE=1\nFDNAME=web", a)
		say("FDSTORE=1\nFDNAME=web", a)          # the same again: not kept twice
		say("FDSTORE=1\nFDNAME=web", null)       # another: a name of its own
		say("FDSTORE=1", null)
		r, w = os.pipe(); say("FDSTORE=1\nFDPOLL=0\nFDNAME=quiet", w); os.close(r)
		say("FDSTORE=1\nFDNAME=a:b", null)       # no name: as if it had none; kept already
		say("nonsense" * 3000, null)
		x, y = os.pipe(); say("BARRIER=1", y); os.close(y)
		assert os.read(x, 1) == b""              # sd_notify_barrier(3)
		ls = subprocess.run(["ipc-fdstore", "ls", "-J", "./s"], check=True, stdout=subprocess.PIPE).stdout
		assert [e["name"] for e in json.loads(ls)] == ["quiet", "stored", "web", "web.2"], ls
	PY
	# The writer of the pipe has gone by now, and with it what FDPOLL=0 does not keep.
	until_true names_are ./s "quiet stored web.2"
	[[ $(field stored until_hangup) == true && $(field quiet until_hangup) == false ]]
	local old=$PID
	serve --takeover --notify-socket ./n ./s
	wait "$old"
	python3 -c '
import socket
n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); n.connect("./n")
n.send(b"FDSTOREREMOVE=1\nFDNAME=web"); n.send(b"FDSTOREREMOVE=1\nFDNAME=stored")'
	until_true names_are ./s quiet
	if command -v systemd-notify >/dev/null; then
		NOTIFY_SOCKET=$T/n timeout 20 systemd-notify --ready
	fi
	ipc-fdstore rm ./s quiet
	until_true nfds_is "$n"
	# Not taken along: it goes with its server.
	old=$PID
	serve --takeover ./s
	wait "$old"
	[[ ! -e n ]]
	stop
	status 64 ipc-fdstore serve --notify-socket word ./s
}
