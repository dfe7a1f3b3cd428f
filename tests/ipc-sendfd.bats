#!/usr/bin/env bats
# ipc-sendfd: what receivers that are not ours get, and bad ones. ipc-recvfd.bats has the other side.
load helper

local_setup() {
	printf 'one\ntwo\nthree\n' >f
	cat >peer.py <<-'PY'
		import os, socket, subprocess, sys, time
		def listen(path="./h", kind=socket.SOCK_STREAM):
		    s = socket.socket(socket.AF_UNIX, kind)
		    s.bind(path)
		    s.listen()
		    open("up", "w").write("up\n")
		    return s
		def descriptors():
		    return len(os.listdir("/proc/self/fd"))
	PY
}

# peer TEXT: python code in the background; its stdout in "got"; pid in $PID. Waits for the file "up".
peer() {
	rm -f up h
	{ cat peer.py; printf '%s\n' "$1"; } >peer.now.py
	timeout 100 python3 peer.now.py >got 2>got.err 3>&- 4>&- &
	PID=$!
	until_true test -s up
}

ended() {
	local s=0
	wait "$PID" || s=$?
	[[ $s == "$1" ]] || { echo "status $s, not $1"; cat got got.err; return 1; }
}

# many N WORD: N times WORD, for more than the kernel takes at once.
many() {
	local i
	many=()
	for ((i = 0; i < $1; i++)); do many+=("$2"); done
}

@test "python's socket.recv_fds gets descriptors and names in one message" {
	need python3
	peer '
c, _ = listen().accept()
for i in range(2):
    text, fds, flags, addr = socket.recv_fds(c, 4096, 10)
    print(text, len(fds), os.read(fds[0], 4) if fds else None)'
	ipc-sendfd ./h 5:log 0 0:x.y 5<f </dev/null
	ended 0
	[[ $(<got) == "b'log::x.y\\n' 3 b'one\\n'"$'\n'"b'' 0 None" ]]
}

@test "one without a name is one byte: what ssh's ProxyUseFdpass and the like read" {
	need python3
	cat >one.py <<-'PY'
		import array, os, socket, subprocess
		a, b = socket.socketpair()
		subprocess.run(["ipc-sendfd", "fd:1", "0"], stdin=open("f"), stdout=b.fileno(), check=True)
		b.close()
		text, control, flags, _ = a.recvmsg(1, socket.CMSG_LEN(4))
		print(text, flags & socket.MSG_CTRUNC, os.read(array.array("i", control[0][2])[0], 3), a.recv(1))
	PY
	status 0 timeout 60 python3 one.py
	[[ $output == "b'\\n' 0 b'one' b''" ]]
}

@test "it is done before the receiver has even accepted" {
	need python3
	peer '
s = listen()
while not os.path.exists("sent"): time.sleep(0.01)
c, _ = s.accept()
print(os.read(socket.recv_fds(c, 100, 1)[1][0], 100).decode(), end="")'
	status 0 ipc-sendfd ./h 5 5<f
	touch sent
	ended 0
	cmp got f
}

@test "the offset is shared, and neither closing nor flags are touched here" {
	need python3
	peer '
c, _ = listen().accept()
fd = socket.recv_fds(c, 100, 1)[1][0]
os.read(fd, 4)
os.close(fd)
c.send(b"\x06")'
	{
		ipc-sendfd --ack ./h 0
		read -r line
		[[ $line == two ]]
	} <f
	ended 0
}

@test "any number: three thousand in messages of 253, names with those they belong to" {
	need python3
	peer '
c, _ = listen().accept()
n = 0
while True:
    text, fds, flags, _ = socket.recv_fds(c, 65536, 253)
    if not text: break
    names = text.decode().rstrip("\n").split(":")
    assert len(names) >= len(fds) and not flags & socket.MSG_CTRUNC
    for name, fd in zip(names, fds):
        assert name == "n%d" % n and os.readlink("/proc/self/fd/%d" % fd) == "/dev/null", (n, name)
        n += 1
        os.close(fd)
print(n)'
	seq -f '5:n%.0f' 0 2999 | xargs ipc-sendfd ./h 5<&- 5</dev/null
	ended 0
	[[ $(<got) == 3000 ]]
	# And ours, with nothing lost on the way.
	ready ipc-recvfd --listen --ready-fd 8 ./r -- sh -c 'echo $LISTEN_FDS; echo $LISTEN_FDNAMES | tr : "\n" | sort | uniq -c' >got
	many 600 5:same
	ipc-sendfd --ack ./r "${many[@]}" 5</dev/null
	wait "$PID"
	[[ $(tr -s ' ' <got) == $'600\n 600 same' ]]
	# 252, 253, 254, 506: where a message is just full.
	for n in 252 253 254 506; do
		ready ipc-recvfd --listen --ready-fd 8 ./r -- sh -c 'echo $LISTEN_FDS' >got
		many $n 5
		ipc-sendfd --ack ./r "${many[@]}" 5</dev/null
		wait "$PID"
		[[ $(<got) == "$n" ]]
	done
}

@test "long names: 255 bytes, many of them; longer, with a colon or not printable: 64" {
	local name
	name=$(printf '%0255d' 7)
	ready ipc-recvfd --listen --ready-fd 8 ./r -- sh -c 'printf %s "$LISTEN_FDNAMES" | wc -c' >got
	many 100 "5:$name"
	ipc-sendfd --ack ./r "${many[@]}" 5</dev/null
	wait "$PID"
	[[ $(<got) == $((100 * 256 - 1)) ]]
	status 64 ipc-sendfd ./r "0:${name}x"
	status 64 ipc-sendfd ./r 0:a:b
	status 64 ipc-sendfd ./r $'0:a\nb'
	status 64 ipc-sendfd ./r 0:Ä
	status 66 ipc-sendfd ./r 0:
	[[ $stderr == *"connect ./r"* ]]
}

@test "wrong descriptors: 64 and 66, before anything is sent or connected" {
	status 64 ipc-sendfd ./h x
	status 64 ipc-sendfd ./h -1
	status 64 ipc-sendfd ./h ''
	status 64 ipc-sendfd ./h 99999999999999999999999999999999
	status 64 ipc-sendfd ./h 0x
	status 64 ipc-sendfd ./h
	status 64 ipc-sendfd
	status 64 ipc-sendfd --listen --retry 3 ./h 0
	status 64 ipc-sendfd ./h 0 --ack
	status 66 ipc-sendfd --listen ./h 0 77
	[[ $stderr == *"descriptor 77 is not open"* && ! -e h ]]
	status 66 sh -c 'exec ipc-sendfd ./h 0 <&-'
	[[ $stderr == *"descriptor 0 is not open"* ]]
	status 66 sh -c 'exec ipc-sendfd ./h 1 >&-'
	[[ $stderr == *"descriptor 1 is not open"* ]]
	status 66 ipc-sendfd fd:77 0
	status 64 ipc-sendfd fd:0 0
	status 64 ipc-sendfd udp:127.0.0.1:1 0
}

@test "--listen: the receiver connects; the path is gone then; 75 beside a live one" {
	need python3
	ready ipc-sendfd --listen -m 600 --ready-fd 8 ./h 5:name 5<f
	[[ $(stat -c %a h) == 600 ]]
	status 75 ipc-sendfd --listen ./h 0
	status 0 python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX); s.connect("./h")
text, fds, *_ = socket.recv_fds(s, 100, 1)
print(text, os.read(fds[0], 4))'
	[[ $output == "b'name\\n' b'one\\n'" ]]
	wait "$PID"
	[[ ! -e h ]]
	status 124 ipc-sendfd --listen -w 0.05 ./h 0
	status 75 ipc-sendfd --listen -n ./h 0
	[[ ! -e h ]]
	ready ipc-sendfd --listen --ready-fd 8 ./h 5 5<f
	kill -TERM "$PID"
	local s=0
	wait "$PID" || s=$?
	[[ $s == 143 && ! -e h ]]
}

@test "nobody there: 66 and 69; --retry waits for a receiver to come" {
	need python3
	status 66 ipc-sendfd ./h 0
	status 66 ipc-sendfd --retry 0.05 ./h 0
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./h")'
	status 69 ipc-sendfd ./h 0
	bg ipc-sendfd --retry 60 ./h 5 5<f
	local p=$!
	until_true blocked $p
	status 0 ipc-recvfd --listen -w 60 ./h
	[[ $output == "$(<f)" ]]
	wait $p
}

@test "--ack: 0 only when the receiver has said so" {
	need python3
	ready ipc-recvfd --listen --ready-fd 8 ./h >got
	status 0 ipc-sendfd --ack ./h 5 5<f
	wait "$PID"
	peer '
c, _ = listen().accept()
text, fds, *_ = socket.recv_fds(c, 100, 1)
print(text)
c.sendall(b"\x06")'
	status 0 ipc-sendfd --ack ./h 5 5<f
	ended 0
	[[ $(<got) == "b'\\n\\x05'" ]]
	# Received and gone, without a word.
	peer 'c, _ = listen().accept(); socket.recv_fds(c, 100, 1)'
	status 69 ipc-sendfd --ack ./h 5 5<f
	[[ $stderr == *"without saying that it has them"* ]]
	ended 0
	peer 'c, _ = listen().accept()'
	status 69 ipc-sendfd --ack ./h 5 5<f
	[[ $stderr == *"without taking them"* ]]
	ended 0
	peer 'c, _ = listen().accept(); socket.recv_fds(c, 100, 1); c.sendall(b"?")'
	status 65 ipc-sendfd --ack ./h 5 5<f
	ended 0
	peer 's = listen(); c, _ = s.accept(); socket.recv_fds(c, 100, 1); s.close(); time.sleep(60)'
	status 124 ipc-sendfd --ack -w 2 ./h 5 5<f
	kill "$PID"
	# Our receiver refuses.
	ready bash -c 'ulimit -n 40; exec ipc-recvfd --listen --ready-fd 8 ./h' 2>got.err
	many 100 5
	status 69 ipc-sendfd --ack ./h "${many[@]}" 5<f
	PID=$PID ended 71
}

@test "--ack with --retry: what the first receiver did not take goes to the next one" {
	need python3
	peer 'c, _ = listen().accept()'
	bg ipc-sendfd --ack --retry 60 ./h 5 5<f 2>err
	local p=$!
	ended 0
	rm -f h
	status 0 ipc-recvfd --listen -w 60 ./h
	[[ $output == "$(<f)" ]]
	wait $p
	grep -q "trying again" err
}

@test "a receiver that never reads: -w holds, -n does not wait, TERM ends it" {
	need python3
	peer 's = listen(); l = [s.accept() for i in range(3)]; time.sleep(90)'
	many 1500 "5:$(printf '%0255d' 7)"
	status 124 ipc-sendfd -w 0.3 ./h "${many[@]}" 5</dev/null
	status 75 ipc-sendfd -n ./h "${many[@]}" 5</dev/null
	bg ipc-sendfd ./h "${many[@]}" 5</dev/null
	local p=$! s=0
	until_true blocked $p
	kill -TERM $p
	wait $p || s=$?
	[[ $s == 143 ]]
	kill "$PID"
}

@test "a receiver that goes in the middle: 69, no SIGPIPE" {
	need python3
	peer 'c, _ = listen().accept(); socket.recv_fds(c, 100, 1); c.close()'
	many 1500 "5:$(printf '%0255d' 7)"
	status 69 ipc-sendfd ./h "${many[@]}" 5</dev/null
	ended 0
}

@test "too many under way for the kernel: it waits for the receiver; 71 when others' are in the way" {
	need python3 nobody_python
	[[ -z ${IPCBOX_SANITIZE-} || $(id -u) != 0 ]] || skip "the sanitizer needs rights that nobody lacks"
	nobody_gets_here || skip "nobody does not get here"
	local name=@ipcbox-test.$$.$BATS_TEST_NUMBER
	chmod 777 .
	peer "
c, _ = listen('\\0${name#@}').accept()
n = 0
while not os.path.exists('read.now'): time.sleep(0.01)
while True:
    text, fds, *_ = socket.recv_fds(c, 65536, 253)
    if not text: break
    n += len(fds)
    for fd in fds: os.close(fd)
print(n)"
	many 3000 5
	status 124 as_nobody bash -c 'ulimit -n 64; exec "$@" 5</dev/null' - "$BIN/ipc-sendfd" -w 0.3 --allow any "$name" "${many[@]}"
	kill "$PID"
	wait "$PID" || :
	peer "
c, _ = listen('\\0${name#@}').accept()
n = 0
while not os.path.exists('read.now'): time.sleep(0.01)
while True:
    text, fds, *_ = socket.recv_fds(c, 65536, 253)
    if not text: break
    n += len(fds)
    for fd in fds: os.close(fd)
print(n)"
	bg as_nobody bash -c 'ulimit -n 64; exec "$@" 5</dev/null' - "$BIN/ipc-sendfd" -w 60 --allow any "$name" "${many[@]}"
	local p=$!
	until_true blocked $p
	touch read.now
	wait $p
	ended 0
	[[ $(<got) == 3000 ]]
	rm -f read.now
	cat >hog.py <<-'PY'
		import array, os, socket, subprocess, sys
		a, b = socket.socketpair()
		f = os.open("/dev/null", os.O_RDONLY)
		for i in range(2):
		    a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [f] * 200))])
		c, d = socket.socketpair()
		r = subprocess.run(["bash", "-c", 'ulimit -n 64; exec "$@"', "-", sys.argv[1], "--allow", "any",
		    "fd:%d" % c.fileno(), "0"], stdin=f, pass_fds=[c.fileno()], stderr=subprocess.PIPE)
		print(r.returncode, r.stderr.decode())
	PY
	status 0 nobody_python -c "$(<hog.py)" "$BIN/ipc-sendfd"
	[[ $output == "71 "*"64 descriptors of this user are under way"* ]]
}

@test "to whom it goes: root and our user, others by --allow" {
	need nobody_python
	need python3 root
	local name=@ipcbox-test.$$.$BATS_TEST_NUMBER
	cat >server.py <<-'PY'
		import socket, sys
		s = socket.socket(socket.AF_UNIX); s.bind("\0" + sys.argv[1][1:]); s.listen()
		print("up", flush=True)
		while True:
		    c, _ = s.accept()
		    print(socket.recv_fds(c, 100, 1)[0], flush=True)
	PY
	nobody_python -c "$(<server.py)" "$name" >got 3>&- &
	until_true test -s got
	status 77 ipc-sendfd "$name" 0
	[[ $stderr == *"who is not let in; see --allow"* ]]
	status 0 ipc-sendfd --allow uid:65534 "$name" 0
	until_true grep -q 'n' got
	[[ $(<got) != *"b''"*"b''"* ]]
	kill %%
	# A stranger who connects is sent away, the next one served.
	ready ipc-sendfd --listen --ready-fd 8 "$name.2" 5 5<f 2>err
	nobody_python -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("\0" + sys.argv[1][1:]); print(s.recv(1))' "$name.2" >stranger
	[[ $(<stranger) == "b''" ]]
	status 0 ipc-recvfd "$name.2"
	[[ $output == "$(<f)" ]]
	wait "$PID"
	grep -q "not let in" err
	status 64 ipc-sendfd --allow any,x "$name" 0
}

@test "killed in the middle: the receiver takes none" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	many 600 5
	for n in 1 2 3; do
		ready ipc-recvfd --listen --ready-fd 8 ./h -- touch ran 2>got.err
		strace -f -qq -o trace -e inject=sendmsg:signal=KILL:when=$n ipc-sendfd ./h "${many[@]}" 5</dev/null || :
		local s=0
		wait "$PID" || s=$?
		if ((n == 1)); then [[ $s == 69 ]]; else [[ $s == 65 ]]; fi || { echo "$n: $s"; cat got.err; false; }
	done
	[[ ! -e ran ]]
	# And a receiver that is killed is no success.
	bg strace -f -qq -o trace -e inject=sendto:signal=KILL:when=1 ipc-recvfd --listen ./k -- touch ran
	local p=$!
	status 69 ipc-sendfd --ack --retry 60 ./k 5 5<f
	wait $p || :
	[[ ! -e ran ]]
}

@test "interrupted and failing system calls" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	for inject in sendmsg:error=EINTR:when=1 sendmsg:error=EAGAIN:when=1 recvmsg:error=EINTR:when=1 \
		connect:error=EINTR:when=1; do
		ready ipc-recvfd --listen --ready-fd 8 ./h >got
		status 0 strace -f -qq -o trace -e inject=$inject ipc-sendfd --ack ./h 5 5<f
		wait "$PID"
		cmp got f
	done
	for e in ENOBUFS ENOMEM; do
		ready ipc-recvfd --listen --ready-fd 8 ./h 2>got.err
		status 71 strace -f -qq -o trace -e inject=sendmsg:error=$e:when=1 ipc-sendfd ./h 5 5<f
		wait "$PID" || :
	done
}

@test "one process after the other reads on where the last one stopped" {
	{
		for i in 1 2 3; do
			ready ipc-recvfd --listen --ready-fd 8 ./h --  sh -c 'read -r x <&3; echo "$x"' >got.$i
			ipc-sendfd --ack ./h 5
			wait "$PID"
		done
	} 5<f
	[[ $(cat got.1 got.2 got.3) == "$(<f)" ]]
}
