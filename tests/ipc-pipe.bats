#!/usr/bin/env bats
# ipc-pipe: pipelines and full duplex between real filters, statuses, half-close, signals, the meter.
# shellcheck disable=SC2002,SC2016 # cat makes a pipe; commands are quoted for the shells under test

load helper

# alive FILE: the process whose pid is in FILE runs.
alive() {
	kill -0 "$(cat "$1")" 2>/dev/null
}

gone() {
	! alive "$1"
}

# ended N PID: the background job PID ends with status N.
ended() {
	local got=0
	wait "$2" || got=$?
	[[ $got == "$1" ]] || { echo "status $got, not $1"; return 1; }
}

# A program that writes its pid to $1 and sleeps until it is ended. $2: signals it ignores.
sleeper() {
	cat >sleeper <<'EOF'
#!/bin/sh
for s in $2; do trap '' "$s"; done
echo $$ >"$1.tmp" && mv "$1.tmp" "$1"
exec sleep 1000
EOF
	chmod +x sleeper
}

# --- pipelines ---------------------------------------------------------------------------------

@test "a line goes from one command to the other and EOF ends it" {
	status 0 ipc-pipe run echo "Nature's first green is gold" -- cat
	[[ $output == "Nature's first green is gold" && -z $stderr ]]
}

@test "our stdin is the first command's, our stdout the last one's" {
	printf 'b\na\nb\n' | ipc-pipe run sort -- uniq -c -- awk '{print $2 "=" $1}' >out
	[[ $(<out) == $'a=1\nb=2' ]]
}

@test "real filters on real input give what the shell's pipe gives" {
	cat /usr/include/*.h /etc/services /etc/passwd 2>/dev/null >in || :
	tr -cs '[:alpha:]' '\n' <in | tr '[:upper:]' '[:lower:]' | sort | uniq -c | sort -rn | sed 50q >want
	ipc-pipe run tr -cs '[:alpha:]' '\n' -- tr '[:upper:]' '[:lower:]' -- sort -- uniq -c -- sort -rn -- sed 50q <in >got
	[[ -s want ]]
	cmp want got
}

@test "a chain of 20 commands" {
	local chain=(echo 0)
	for ((i = 0; i < 20; i++)); do chain+=(-- awk '{ print $1 + 1 }'); done
	status 0 ipc-pipe run "${chain[@]}"
	[[ $output == 20 ]]
}

@test "300 commands need no more than a handful of descriptors" {
	local chain=(echo through)
	for ((i = 0; i < 299; i++)); do chain+=(-- cat); done
	status 0 prlimit --nofile=16 ipc-pipe run "${chain[@]}"
	[[ $output == through ]]
}

@test "a long chain does not use up the user's pipe pages" {
	need python3
	# 64 MiB in all is what pipe(7) grants; sixteen pipes of ours are full size, more share 16 MiB.
	cat >size.py <<'EOF'
import fcntl, sys
n = fcntl.fcntl(1, 1032)
sys.stderr.write("%d\n" % n)
EOF
	local chain=(python3 size.py)
	for ((i = 0; i < 63; i++)); do chain+=(-- cat); done
	status 0 ipc-pipe run "${chain[@]}"
	((stderr >= 4096 && stderr <= 262144))
	status 0 ipc-pipe run python3 size.py -- cat
	((stderr == $(</proc/sys/fs/pipe-max-size) || stderr == 1048576 || stderr <= 65536))
}

@test "100 MB come through pipes and socket pairs unchanged" {
	head -c 100000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 >in 2>/dev/null ||
		head -c 100000000 /dev/urandom >in
	want=$(cksum <in)
	[[ $(ipc-pipe run cat -- cat -- cat -- cksum <in) == "$want" ]]
	[[ $(ipc-pipe run -t stream cat -- dd bs=7777 status=none -- cksum <in) == "$want" ]]
}

@test "the argv of a command is not touched" {
	need python3
	cat >args.py <<'EOF'
import sys
print(sys.argv[1:])
EOF
	status 0 ipc-pipe run python3 args.py 'a b' '' '*' '$x;`y`' $'n\nl' -x --status -- cat
	[[ $output == "['a b', '', '*', '\$x;\`y\`', 'n\\nl', '-x', '--status']" ]]
}

@test "a leading -- ends the options" {
	status 0 ipc-pipe run -- echo x -- cat
	[[ $output == x ]]
}

@test "--sep frees the word -- for the commands" {
	status 0 ipc-pipe run --sep '|' printf '%s\n' -x y '|' grep -e -x -- - '|' cat
	[[ $output == -x ]]
	status 0 ipc-pipe run --sep , -- echo -- , cat
	[[ $output == -- ]]
}

@test "wrong command lines are 64, and nothing is started" {
	status 64 ipc-pipe
	status 64 ipc-pipe run
	status 64 ipc-pipe run touch x
	[[ $stderr == *"--"* ]]
	status 64 ipc-pipe run touch x --
	[[ $stderr == *"command 2 is empty"* ]]
	status 64 ipc-pipe run touch x -- -- touch x
	status 64 ipc-pipe run -- -- touch x
	status 64 ipc-pipe run -d touch x -- touch x -- touch x
	[[ $stderr == *"-d joins two commands, not 3"* ]]
	status 64 ipc-pipe run -t dgram touch x -- touch x
	[[ $stderr == *stream*seqpacket* ]]
	status 64 ipc-pipe run --status any touch x -- touch x
	status 64 ipc-pipe run --grace soon touch x -- touch x
	status 64 ipc-pipe run --grace -1 touch x -- touch x
	status 64 ipc-pipe run --nosuch touch x -- touch x
	status 64 ipc-pipe run -Z touch x -- touch x
	status 64 ipc-pipe run --report-fd 77 touch x -- touch x
	[[ $stderr == *77*"not open"* ]]
	status 64 ipc-pipe run --sep
	status 64 ipc-pipe meter extra
	status 64 ipc-pipe meter -S many
	[[ ! -e x ]]
}

# --- statuses ----------------------------------------------------------------------------------

@test "--status first, last and worst" {
	local three=(sh -c 'exit 3' -- sh -c 'exit 9' -- sh -c 'exit 5')
	status 5 ipc-pipe run "${three[@]}"
	status 5 ipc-pipe run --status last "${three[@]}"
	status 3 ipc-pipe run --status first "${three[@]}"
	status 9 ipc-pipe run --status worst "${three[@]}"
	status 137 ipc-pipe run --status worst sh -c 'kill -9 $$' -- cat
	status 0 ipc-pipe run sh -c 'kill -9 $$' -- cat
	status 139 ipc-pipe run cat -- sh -c 'kill -SEGV $$'
	status 0 ipc-pipe run --status worst true -- true
	status 7 ipc-pipe run -d --status first sh -c 'exit 7' -- sh -c 'exit 8'
	status 8 ipc-pipe run -d sh -c 'exit 7' -- sh -c 'exit 8'
	status 8 ipc-pipe run -d --status worst sh -c 'exit 8' -- sh -c 'exit 7'
}

@test "a writer whose reader had enough is no failure for --status worst" {
	status 0 ipc-pipe run --status worst yes -- head -n 1
	[[ $output == y ]]
	status 141 ipc-pipe run --status first yes -- head -n 1
	status 4 ipc-pipe run --status worst yes -- sh -c 'exit 4'
	status 141 ipc-pipe run --status worst true -- sh -c 'kill -PIPE $$'
}

@test "we die of SIGPIPE with the last command" {
	need python3
	cat >wait.py <<'EOF'
import os, subprocess, sys
r, w = os.pipe()
p = subprocess.Popen(["ipc-pipe", "run", "yes", "--", "cat"], stdout=w)
os.close(w)
os.read(r, 10)
os.close(r)
sys.exit(0 if p.wait() == -13 else 1)
EOF
	status 0 python3 wait.py
}

@test "-v reports every side on stderr" {
	status 2 ipc-pipe run -v sh -c 'kill -TERM $$' -- printf '%s ' x -- sh -c 'cat; exit 2'
	[[ $stderr =~ "signal TERM user "[0-9]+\.[0-9]{3}" sys "[0-9.]+" wall "[0-9.]+": sh -c kill -TERM " ]]
	[[ $stderr =~ "pid "[0-9]+" exit 0 ".*": printf %s  x" ]]
	[[ $stderr =~ "exit 2 ".*": sh -c cat; exit 2" ]]
	[[ $(wc -l <.err) == 3 ]]
}

@test "-v shows no control characters of a command" {
	status 0 ipc-pipe run -v printf $'\e[31m' -- cat
	[[ $stderr == *": printf ?[31m"* && $stderr != *$'\e'* ]]
}

@test "-J reports every side as one array" {
	need python3
	status 1 ipc-pipe run -J sh -c 'kill -9 $$' -- sh -c 'while :; do :; done & sleep 0; kill $!; exit 4' -- false $'x\n"\xff'
	cat >check.py <<'EOF'
import json, sys
a = json.loads(open(".err", encoding="utf-8", errors="surrogateescape").read())
assert [s["status"] for s in a] == [137, 4, 1], a
assert [s["signal"] for s in a] == ["KILL", None, None], a
assert a[2]["command"] == ["false", 'x\n"\udcff'], a
assert all(s["pid"] > 0 and s["wall"] > 0 and s["user"] >= 0 and s["system"] >= 0 for s in a)
assert all(s["stopped"] is None for s in a)
EOF
	python3 check.py
	[[ $(wc -l <.err) == 1 ]]
}

@test "--report-fd takes the report elsewhere, and the commands do not get it" {
	need python3
	status 0 sh -c 'exec ipc-pipe run -J --report-fd 7 ls /proc/self/fd -- sh -c "cat; echo noise >&2; ls /proc/self/fd" 7>report'
	[[ $stderr == noise && $output != *7* ]]
	python3 -c 'import json; a = json.load(open("report")); assert len(a) == 2'
	status 0 sh -c 'exec ipc-pipe run --report-fd 7 true -- true 7>report'
	[[ $(grep -c ' exit 0 ' report) == 2 ]]
	status 74 sh -c 'exec ipc-pipe run -J --report-fd 7 true -- true 7>/dev/full'
	[[ $stderr == *"No space left"* ]]
}

@test "a report costs us neither the wait nor the status when stderr is closed" {
	status 3 sh -c 'ipc-pipe run -v true -- sh -c "exit 3" 2>&-'
}

# --- descriptors, signals, environment of the commands ------------------------------------------

@test "commands have 0, 1 and 2 and what the caller had, nothing of ours" {
	need python3
	local opts chain o
	cat >fds.py <<'EOF'
import os
fds = []
for n in range(64):
    try:
        os.fstat(n)
        fds.append(n)
    except OSError:
        pass
open("fds.%d" % os.getpid(), "w").write(str(fds))
EOF
	for o in "" "-t stream" "-t seqpacket" "-d" "-d -t stream" "-d -t seqpacket"; do
		read -ra opts <<<"$o"
		chain=(python3 "$T/fds.py" -- python3 "$T/fds.py")
		[[ $o == *-d* ]] || chain+=(-- python3 "$T/fds.py")
		rm -f fds.*[0-9]
		# bats and its callers leave descriptors open: start from a known set, 5 among it.
		python3 -c 'import os, sys; os.closerange(3, 256); os.dup2(0, 5); os.execvp(sys.argv[1], sys.argv[1:])' \
			ipc-pipe run "${opts[@]}" "${chain[@]}" </dev/null
		[[ $(cat fds.*[0-9] | sed 's/\]\[/]\n[/g' | sort -u) == "[0, 1, 2, 5]" ]] || {
			echo "run $o: $(cat fds.*[0-9])"
			return 1
		}
	done
}

@test "commands start with default SIGPIPE and an empty mask, whatever we had" {
	need python3
	cat >launch.py <<'EOF'
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
os.execvp("ipc-pipe", ["ipc-pipe", "run", "--status", "first", "sh", "-c",
                       "grep -E '^Sig(Blk|Ign):' /proc/self/status >first; exit 6",
                       "--", "sh", "-c", "cat; grep -E '^Sig(Blk|Ign):' /proc/self/status >last"])
EOF
	status 6 python3 launch.py
	for f in first last; do
		grep -q 'SigBlk:.0*$' $f
		((0x$(sed -n 's/SigIgn:.//p' $f) >> 12 & 1)) && return 1
	done
	:
}

@test "closed stdin, stdout and stderr" {
	status 0 sh -c 'ipc-pipe run echo x -- cat <&-'
	[[ $output == x ]]
	status 0 sh -c 'ipc-pipe run -d sh -c "echo a; exec >&-; cat >f" -- sed s/a/b/ <&- >&- 2>&-'
	[[ $(<f) == b ]]
	# The last command writes to what was closed, and says so itself.
	status 1 sh -c 'ipc-pipe run echo x -- cat >&-'
	status 1 sh -c 'ipc-pipe run echo x -- cat >/dev/full'
}

@test "a process that exec brought us its children keeps its commands apart" {
	status 5 sh -c 'true & sleep 0.01 & exec ipc-pipe run cat -- sh -c "exit 5"'
}

# --- failures to start --------------------------------------------------------------------------

@test "a command that is not there is 127, one that cannot be executed 126" {
	status 127 ipc-pipe run cat -- nosuchcommand
	[[ $stderr == "ipc-pipe run: execute nosuchcommand: No such file or directory" ]]
	status 127 ipc-pipe run nosuchcommand -- touch x
	[[ ! -e x ]]
	touch plain
	status 126 ipc-pipe run cat -- ./plain -- cat
	[[ $stderr == *"execute ./plain: Permission denied"* ]]
	status 127 ipc-pipe run -d cat -- nosuchcommand
	status 127 ipc-pipe run -d -t seqpacket nosuchcommand -- cat
	status 127 ipc-pipe run "" -- cat
	mkdir -m 000 locked
	! nobody_gets_here || status 127 as_nobody env PATH="$T/locked:$PATH" "$BIN/ipc-pipe" run cat -- nosuchcommand
	status 126 env PATH="$T:$PATH" ipc-pipe run cat -- plain
}

@test "those already started are ended when a later one cannot start" {
	sleeper
	status 127 ipc-pipe run ./sleeper a.pid -- ./sleeper b.pid -- nosuchcommand
	# They may have been ended before they wrote their pid; if they did, they are gone now.
	[[ ! -e a.pid ]] || gone a.pid
	[[ ! -e b.pid ]] || gone b.pid
}

@test "one that ignores TERM does not hold up a failed start" {
	# What is ignored at exec stays ignored: sleep does not hear TERM.
	status 127 sh -c 'trap "" TERM; exec timeout 60 ipc-pipe run --grace 0.3 sleep 1000 -- nosuchcommand'
	status 127 sh -c 'trap "" TERM; exec timeout 60 ipc-pipe run sleep 1000 -- cat -- nosuchcommand'
}

@test "no descriptors left: 71 with the way out" {
	status 71 prlimit --nofile=4 ipc-pipe run true -- true
	[[ $stderr == *"make a pipe"*"ulimit -n"* ]]
	status 71 prlimit --nofile=4 ipc-pipe run -t stream true -- true
	[[ $stderr == *socketpair* ]]
}

@test "a fork that fails is 125 and ends the others" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "strace and ASan do not go together"
	sleeper
	status 125 strace -qq -o /dev/null -e trace=vfork,clone,clone3 \
		-e inject=vfork,clone,clone3:error=EAGAIN:when=2 ipc-pipe run ./sleeper a.pid -- cat
	[[ $stderr == *"start cat: no more processes allowed; see ulimit -u"* ]]
	[[ ! -e a.pid ]] || gone a.pid
}

@test "a wait that is interrupted again and again loses nothing" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "strace and ASan do not go together"
	status 3 strace -qq -o /dev/null -e trace=rt_sigtimedwait,rt_sigtimedwait_time64 \
		-e inject=rt_sigtimedwait:error=EINTR:when=1..40 \
		ipc-pipe run --status first sh -c 'exit 3' -- cat
}

# --- full duplex --------------------------------------------------------------------------------

@test "-d: a filter that closes its stdout gives the other EOF and still reads the answer" {
	status 0 ipc-pipe run -d sh -c 'printf "c\na\nb\n"; exec >&-; cat >answer' -- sort
	[[ $(<answer) == $'a\nb\nc' ]]
	status 0 ipc-pipe run -d sort -- sh -c 'printf "3\n1\n2\n"; exec >&-; cat >answer'
	[[ $(<answer) == $'1\n2\n3' ]]
}

@test "-d: a dialogue of 1,000 rounds with bc" {
	need bc
	cat >ask <<'EOF'
i=0 sum=0
while [ $i -lt 1000 ]; do
	i=$((i + 1))
	echo "$i * 2" || exit
	read -r n || exit
	[ "$n" = $((i * 2)) ] || exit
	sum=$((sum + n))
done
echo $sum >sum
EOF
	status 0 ipc-pipe run -d --status worst sh ask -- bc
	[[ $(<sum) == 1001000 ]]
}

@test "-d -t: a dialogue of 1,000 rounds over one socket pair" {
	need python3
	cat >talk.py <<'EOF'
import os, socket, sys
asks, kind = sys.argv[1] == "ask", int(sys.argv[2])
s = socket.socket(fileno=os.dup(0))
assert s.type == kind and os.path.sameopenfile(0, 1), s
if asks:
    for i in range(1000):
        os.write(1, b"%d" % i)
        assert os.read(0, 4096) == b"%d" % (i * i), i
    s.shutdown(socket.SHUT_WR)
    assert os.read(0, 10) == b"bye"
else:
    while True:
        q = os.read(0, 4096)
        if not q:
            break
        os.write(1, b"%d" % (int(q) ** 2))
    os.write(1, b"bye")
EOF
	status 0 ipc-pipe run -d -t stream --status worst python3 talk.py ask 1 -- python3 talk.py answer 1
	status 0 ipc-pipe run -d -t seqpacket --status worst python3 talk.py ask 5 -- python3 talk.py answer 5
}

@test "-d: no copier in between, and neither side has our stdin or stdout" {
	need python3
	cat >who.py <<'EOF'
import os, sys
open(sys.argv[1], "w").write(" ".join(os.readlink("/proc/self/fd/%d" % n) for n in (0, 1)) + "\n")
EOF
	echo unread >in
	ipc-pipe run -d python3 who.py a -- python3 who.py b <in >out
	read -r a0 a1 <a
	read -r b0 b1 <b
	[[ $a0 == "$b1" && $a1 == "$b0" && $a0 == pipe:* && $a0 != "$a1" && ! -s out ]]
	# The socket pair, whose two ends have inode numbers of their own.
	ipc-pipe run -d -t stream python3 who.py a -- python3 who.py b <in >out
	read -r a0 a1 <a
	[[ $a0 == "$a1" && $a0 == socket:* ]]
}

@test "-d: megabytes both ways at once do not lock up when both sides read" {
	need python3
	cat >both.py <<'EOF'
import hashlib, os, sys, threading
def send():
    for i in range(160):
        d = bytes([i]) * 65536
        while d:
            d = d[os.write(1, d):]
    os.close(1)
t = threading.Thread(target=send)
t.start()
n = 0
while True:
    d = os.read(0, 65536)
    if not d:
        break
    n += len(d)
t.join()
sys.exit(0 if n == 160 * 65536 else 1)
EOF
	status 0 timeout 60 ipc-pipe run -d --status worst python3 both.py -- python3 both.py
}

@test "seqpacket keeps the borders of records, large ones too" {
	need python3
	cat >send.py <<'EOF'
import os
for n in (1, 3, 0xFFF, 70000, 150000, 2):
    assert os.write(1, bytes([n & 255]) * n) == n
EOF
	cat >recv.py <<'EOF'
import os
while True:
    d = os.read(0, 1 << 20)
    if not d:
        break
    print(len(d))
EOF
	status 0 ipc-pipe run -t seqpacket --status worst python3 send.py -- python3 recv.py
	[[ $output == $'1\n3\n4095\n70000\n150000\n2' ]]
}

# --- when somebody dies -------------------------------------------------------------------------

@test "SIGKILL of a command: the others get EOF or EPIPE, the status is told" {
	sleeper
	bg ipc-pipe run -v ./sleeper a.pid -- cat -- cat 2>err
	pid=$!
	until_true test -e a.pid
	kill -KILL "$(<a.pid)"
	ended 0 "$pid"
	grep -q 'signal KILL' err
	[[ $(grep -c 'exit 0' err) == 2 ]]
	rm a.pid
	bg ipc-pipe run --status first yes -- ./sleeper a.pid
	pid=$!
	until_true test -e a.pid
	kill -KILL "$(<a.pid)"
	ended 141 "$pid"
}

@test "SIGKILL of either side of a -d pair" {
	sleeper
	for t in "" "-t stream" "-t seqpacket"; do
		rm -f a.pid
		# shellcheck disable=SC2086
		bg ipc-pipe run -d $t --status worst ./sleeper a.pid -- cat
		pid=$!
		until_true test -e a.pid
		kill -KILL "$(<a.pid)"
		ended 137 "$pid"
		rm -f a.pid
		# shellcheck disable=SC2086
		bg ipc-pipe run -d $t --status worst cat -- ./sleeper a.pid
		pid=$!
		until_true test -e a.pid
		kill -KILL "$(<a.pid)"
		ended 137 "$pid"
	done
}

@test "SIGKILL of ipc-pipe itself: the commands go on to their end" {
	mkfifo go
	bg ipc-pipe run sh -c 'echo $$ >a.pid; cat go; echo end' -- sh -c 'echo $$ >b.pid; sed s/e/E/ >out; mv out end'
	pid=$!
	until_true test -s a.pid -a -s b.pid
	kill -KILL "$pid"
	ended 137 "$pid"
	echo data >go
	until_true test -e end
	[[ $(<end) == $'data\nEnd' ]]
}

@test "no zombie is left while others still run" {
	mkfifo go
	bg ipc-pipe run true -- true -- false -- true -- cat go
	pid=$!
	only_one() {
		[[ $(kids "$pid" | wc -l) == 1 && $(state_of "$(kids "$pid")") == [RSD] ]]
	}
	until_true only_one
	: >go
	ended 0 "$pid"
}

@test "a signal sent to ipc-pipe goes to every command, and it waits for all" {
	cat >trapper <<'EOF'
#!/bin/sh
trap 'echo "$1 got TERM" >>log; trap - TERM; kill $!; exit $2' TERM
trap 'echo "$1 got USR1" >>log' USR1
sleep 1000 >/dev/null &
echo $$ >"$1.tmp"; mv "$1.tmp" "$1"
while :; do wait; done
EOF
	chmod +x trapper
	bg ipc-pipe run --status worst ./trapper a 11 -- ./trapper b 12 -- ./trapper c 13
	pid=$!
	until_true test -e a -a -e b -a -e c
	kill -USR1 "$pid"
	three() { [[ $(grep -c "$1" log) == 3 ]]; }
	until_true three USR1
	kill -TERM "$pid"
	ended 13 "$pid"
	three TERM
	gone a
	gone b
	gone c
}

@test "without handlers, TERM ends the commands and us with 143" {
	sleeper
	bg ipc-pipe run ./sleeper a.pid -- ./sleeper b.pid
	pid=$!
	until_true test -e a.pid -a -e b.pid
	kill -TERM "$pid"
	ended 143 "$pid"
	gone a.pid
	gone b.pid
}

@test "^C at the terminal reaches every command once" {
	need python3
	cat >count.py <<'EOF'
import os, signal, sys, time
n = 0
def got(*_):
    global n
    n += 1
signal.signal(signal.SIGINT, got)
open(sys.argv[1], "w").close()
while n == 0:
    time.sleep(0.01)
for _ in range(20):
    time.sleep(0.01)
open(sys.argv[1], "w").write(str(n))
EOF
	cat >term.py <<'EOF'
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("ipc-pipe", ["ipc-pipe", "run", "python3", "count.py", "a", "--", "python3", "count.py", "b"])
while not (os.path.exists("a") and os.path.exists("b")):
    time.sleep(0.01)
os.write(fd, b"\x03")
_, st = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(st))
EOF
	status 0 python3 term.py
	[[ $(<a) == 1 && $(<b) == 1 ]]
}

@test "--grace: who writes for nobody gets TERM, then KILL" {
	need python3
	sleeper
	cat >reader <<'EOF'
until [ -e a.pid ] && [ -e b.pid ]; do :; done
EOF
	status 0 sh -c 'exec 3>report; exec ipc-pipe run -J --grace 200ms --report-fd 3 ./sleeper a.pid -- ./sleeper b.pid TERM -- sh reader'
	[[ $stderr == *"sleeper (pid $(<a.pid)) is still there after 200ms: sent TERM"* ]]
	[[ $stderr == *"sleeper (pid $(<b.pid)) is still there after 200ms: sent KILL"* ]]
	python3 - <<'EOF'
import json
a = json.load(open("report"))
assert [s["status"] for s in a] == [143, 137, 0], a
assert [s["stopped"] for s in a] == ["TERM", "KILL", None], a
EOF
	gone a.pid
	gone b.pid
}

@test "--grace: a clean end leaves those behind at their work, a failure does not" {
	mkfifo go
	bg ipc-pipe run --grace 0 -- echo hello -- sh -c 'cat; cat go; echo finished' >out
	pid=$!
	until_true grep -q hello out
	: >go
	ended 0 "$pid"
	[[ $(<out) == $'hello\nfinished' ]]
	sleeper
	status 143 ipc-pipe run -q --grace 300ms sh -c 'until [ -e b.pid ]; do :; done; exit 1' -- ./sleeper b.pid
	# The program dies of TERM as its CMD did, and as a builtin's process the shell says that.
	[[ -z $stderr || -n ${IPCBOX_BUILTINS-} ]]
	gone b.pid
}

@test "--grace with -d: the end of one starts the clock for the other" {
	sleeper
	status 137 ipc-pipe run -d --grace 100ms sh -c 'until [ -e b.pid ]; do :; done' -- ./sleeper b.pid TERM
	gone b.pid
	rm b.pid
	status 143 ipc-pipe run -d --grace 100ms --status first ./sleeper b.pid -- sh -c 'until [ -e b.pid ]; do :; done'
}

@test "--grace stops a stopped command" {
	sleeper
	status 143 ipc-pipe run -d --grace 50ms sh -c 'until [ -e b.pid ]; do :; done; kill -STOP "$(cat b.pid)"' -- ./sleeper b.pid
	gone b.pid
}

@test "many runs at once do not disturb one another" {
	local i pids=()
	for ((i = 0; i < 30; i++)); do
		bg sh -c 'seq "$1" | ipc-pipe run sort -n -- tail -n 1 >"out.$1"' sh $((1000 + i))
		pids+=($!)
	done
	for ((i = 0; i < 30; i++)); do
		wait "${pids[i]}"
		[[ $(<out.$((1000 + i))) == $((1000 + i)) ]]
	done
}

# --- meter --------------------------------------------------------------------------------------

@test "meter passes bytes on unchanged between pipes and files" {
	head -c 30000001 /dev/urandom >in
	ipc-pipe meter -q <in >out
	cmp in out
	cat in | ipc-pipe meter -q | cat >out
	cmp in out
	cat in | ipc-pipe meter -q >out
	cmp in out
	ipc-pipe meter -q <in | cat >out
	cmp in out
	ipc-pipe run cat in -- ipc-pipe meter -q -- cat >out
	cmp in out
}

@test "meter says at the end what went by" {
	head -c 3M /dev/zero >in
	status 0 sh -c 'ipc-pipe meter -S 6M <in >out'
	[[ $stderr == *3.00M*"/s"*" 50%"* && $(wc -l <.err) == 1 ]]
	status 0 sh -c 'ipc-pipe meter <in >out'
	[[ $stderr == *3.00M*"/s"* && $stderr != *%* ]]
	status 0 sh -c 'ipc-pipe meter -q <in >out'
	[[ -z $stderr ]]
	status 0 ipc-pipe meter
	[[ $stderr == 0B* && -z $output ]]
}

@test "meter draws over its line on a terminal" {
	need python3
	cat >term.py <<'EOF'
import os, pty, subprocess
m, s = pty.openpty()
p = subprocess.Popen(["ipc-pipe", "meter", "-S", "2M"], stdin=open("in", "rb"), stdout=subprocess.DEVNULL, stderr=s)
os.close(s)
assert p.wait() == 0
text = os.read(m, 4096)
assert text.startswith(b"\r") and b"=]" in text and b"100%" in text and text.endswith(b"\n"), text
EOF
	head -c 2M /dev/zero >in
	python3 term.py
}

@test "meter: when nothing passes the line goes on, and the rate falls to 0" {
	mkfifo go
	bg sh -c 'head -c 4000000 /dev/zero | ipc-pipe meter 2>err | { read -r x <go; cat >/dev/null; }'
	local pid=$!
	until_true grep -q ' 0B/s ' err
	echo >go
	wait $pid
	grep -q '^3.81M' err
}

@test "meter -J prints one record and no bar" {
	need python3
	head -c 3M /dev/zero | ipc-pipe meter -J -S 4M 2>err >out
	python3 - <<'EOF'
import json
r = json.load(open("err"))
assert r["bytes"] == 3 << 20 and r["expected"] == 4 << 20 and r["complete"] is True, r
assert r["seconds"] > 0 and r["rate"] > 0, r
EOF
	ipc-pipe meter -J </dev/null 2>err
	python3 -c 'import json; r = json.load(open("err")); assert r["bytes"] == 0 and r["expected"] is None'
}

@test "meter dies of SIGPIPE as a filter does, after its last line" {
	yes | { ipc-pipe meter 2>err || echo $? >code; } | head -n 1 >out
	[[ $(<code) == 141 && $(<out) == y ]]
	grep -q '/s' err
}

@test "meter prints its last line on TERM, INT and HUP" {
	need python3
	local s
	for s in TERM:143 INT:130 HUP:129; do
		rm -f in out err
		mkfifo in
		# A shell starts background jobs with INT ignored: python puts the default back.
		bg python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("sh", ["sh", "-c", "exec ipc-pipe meter -J <in >out 2>err"])'
		pid=$!
		exec 9>in
		echo hello >&9
		until_true test -s out
		kill -"${s%:*}" "$pid"
		ended "${s#*:}" "$pid"
		exec 9>&-
		python3 -c 'import json; r = json.load(open("err")); assert r["bytes"] == 6 and not r["complete"], r'
	done
}

@test "meter tells its errors" {
	head -c 1M /dev/zero >in
	status 74 sh -c 'ipc-pipe meter -q <in >/dev/full'
	[[ $stderr == "ipc-pipe meter: write stdout: No space left on device" ]]
	status 74 sh -c 'ipc-pipe meter -q <&- >out'
	[[ $stderr == "ipc-pipe meter: read stdin: "* ]]
	status 74 sh -c 'ipc-pipe meter -q <in >&-'
	[[ $stderr == "ipc-pipe meter: write stdout: "* ]]
	status 74 sh -c 'ipc-pipe meter -q <"$1"' sh "$T"
	[[ $stderr == *"read stdin: Is a directory" ]]
	status 74 sh -c 'head -c 1M in | ipc-pipe meter -q >/dev/full'
	status 0 sh -c 'ipc-pipe meter <in >out 2>&-'
	cmp in out
}

@test "help names every option" {
	status 0 ipc-pipe run --help
	for o in --duplex --type --status --grace --sep --report-fd --json; do [[ $output == *"$o"* ]]; done
	status 0 ipcbox pipe meter --help
	[[ $output == *"--size EXPECTED"* ]]
}
