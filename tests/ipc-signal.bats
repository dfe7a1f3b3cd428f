# shellcheck shell=bash disable=SC2016
load helper

# A glibc program at the other end: its SIGRTMIN is the system's.
setup_file() {
	cat >"$BATS_FILE_TMPDIR/csig.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int sig(const char *s)
{
	return strncmp(s, "RTMIN", 5) == 0 ? SIGRTMIN + atoi(s + 5) : atoi(s);
}
int main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "recv") == 0) { /* N SIG...: "SIG CODE VALUE PID" */
		sigset_t set;
		siginfo_t i;
		sigemptyset(&set);
		for (int k = 3; k < argc; k++)
			sigaddset(&set, sig(argv[k]));
		sigprocmask(SIG_BLOCK, &set, NULL);
		printf("ready\n");
		fflush(stdout);
		for (int n = atoi(argv[2]); n > 0; n--) {
			int s;
			while ((s = sigwaitinfo(&set, &i)) < 0 && errno == EINTR)
				; /* stopped and continued */
			printf("%d %d %d %d\n", s, i.si_code, i.si_value.sival_int, (int)i.si_pid);
			fflush(stdout);
		}
		return 0;
	}
	if (argc > 5 && strcmp(argv[1], "send") == 0) { /* PID SIG VALUE N */
		for (int k = 0; k < atoi(argv[5]); k++)
			while (sigqueue(atoi(argv[2]), sig(argv[3]), (union sigval){atoi(argv[4]) + k}) < 0)
				if (errno != EAGAIN)
					return 1;
		return 0;
	}
	if (argc > 3 && strcmp(argv[1], "flood") == 0) /* PID SIG: until it is gone */
		while (kill(atoi(argv[2]), sig(argv[3])) == 0)
			;
	return 0;
}
C
	command -v gcc >/dev/null && gcc -O -o "$BATS_FILE_TMPDIR/csig" "$BATS_FILE_TMPDIR/csig.c" || :
}

local_setup() {
	CSIG=$BATS_FILE_TMPDIR/csig
}

# has FILE TEXT: a line of FILE holds TEXT
has() { grep -qF -- "$2" "$1"; }
gone() {
	local s
	{ read -r -d '' s <"/proc/$1/stat" || [[ -n ${s-} ]]; } 2>/dev/null || return 0
	[[ ${s##*) } == [ZX]* ]]
}
# sleeper N: sleep N in the background, past the moment when it still is a shell with its traps. Its pid
# is in $!.
sleeper() {
	local c=
	sleep "$1" 3>&- 4>&- &
	until { read -r c <"/proc/$!/comm"; } 2>/dev/null && [[ $c == sleep ]]; do :; done
}
# ends STATUS PID: our child PID ends soon, with STATUS. A test that waits for ever would say less.
ends() {
	local got=0
	until_true gone "$2" || return 1
	wait "$2" || got=$?
	[[ $got == "$1" ]] || { echo "$2 ended with $got, not $1"; return 1; }
}
empty_group() { ! groups_of /proc/[0-9]* | grep -qx "$1"; }
groups_of() { # /proc/PID...
	cat "${@/%//stat}" 2>/dev/null | sed 's/.*) //' | cut -d ' ' -f 3
}
children() { [[ $(kids "$1" | wc -l) == "$2" ]]; }
lines() { [[ $(wc -l <"$1") == "$2" ]]; }
alive() { ! gone "$1"; }
state() { [[ $(sed -n 's/^.*) \(.\) .*/\1/p' "/proc/$1/stat") == "$2" ]]; }
listening() { until_true has out ready; } # the C receiver has blocked its signals

# ---------------------------------------------------------------- send

@test "send: a Python program is told the signal, the sender and kill(2)'s code" {
	need python3
	bg python3 -c '
import signal, os
s = {signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, s)
print("ready", flush=True)
i = signal.sigwaitinfo(s)
print(i.si_signo, i.si_code, i.si_uid == os.getuid())' >out
	p=$!
	listening
	status 0 ipc-signal send USR1 $p
	[[ $output == "" && $stderr == "" ]]
	ends 0 $p
	has out "10 0 True"
}

@test "send: --value reaches a C program, negative ones too" {
	need gcc
	bg "$CSIG" recv 3 10 RTMIN+1 >out
	p=$!
	listening
	status 0 ipc-signal send --value 7 USR1 $p
	status 0 ipc-signal send --value -2147483648 RTMIN+1 $p
	status 0 ipc-signal send --value=2147483647 35 $p
	ends 0 $p
	[[ $(cut -d' ' -f1-3 out) == $'ready\n10 -1 7\n35 -1 -2147483648\n35 -1 2147483647' ]]
	status 64 ipc-signal send --value 2147483648 USR1 $$
	status 64 ipc-signal send --value x USR1 $$
}

@test "send: RTMIN is glibc's 34, counted, and never degraded by kill(2)" {
	need gcc
	bg "$CSIG" recv 3 RTMIN >out
	p=$!
	listening
	kill -STOP $p
	for i in 1 2 3; do status 0 ipc-signal send RTMIN $p; done
	kill -CONT $p
	ends 0 $p
	[[ $(cut -d' ' -f1-3 out) == $'ready\n34 -1 0\n34 -1 0\n34 -1 0' ]]
}

@test "send: names with and without SIG, in any case, and numbers" {
	for name in TERM SIGTERM term 15; do
		sleeper 100
		status 0 ipc-signal send $name $!
		ends 143 $!
	done
	for name in RTMIN+31 RTMAX+1 RTMIN-1 SIG XYZZY 65 -1 1e1 ''; do
		status 64 ipc-signal send "$name" $$
		[[ $stderr == *ignal* || $stderr == *option* ]]
	done
}

@test "send: 0 only tests; a process that has ended is 69, a zombie too" {
	need python3
	sleeper 100
	status 0 ipc-signal send 0 $!
	kill $!
	wait $! || :
	status 69 ipc-signal send 0 $!
	[[ $stderr == "ipc-signal send: 0 to $!: no such process (any more)" ]]
	bg python3 -c 'import os, time
p = os.fork()
if p == 0: os._exit(0)
os.waitid(os.P_PID, p, os.WEXITED | os.WNOWAIT)
print("ready", p, flush=True); time.sleep(100)' >out
	listening
	zombie=$(cut -d' ' -f2 out)
	state "$zombie" Z
	status 69 ipc-signal send 0 "$zombie"
	status 69 ipc-signal send TERM "$zombie"
}

@test "send: the number of a thread is no process" {
	need python3
	bg python3 -c 'import threading, time
t = threading.Thread(target=lambda: time.sleep(100)); t.start()
print("ready", t.native_id, flush=True)' >out
	p=$!
	listening
	status 69 ipc-signal send KILL "$(cut -d' ' -f2 out)"
	alive $p
}

@test "send: goes on behind a target that fails, and ends with the gravest status" {
	sleeper 100
	a=$!
	sleeper 100
	b=$!
	bg sleep 0
	dead=$!
	ends 0 $dead
	status 69 ipc-signal send -v TERM $a $dead $b
	[[ $stderr == *"TERM to $dead: no such process"* && $stderr == *"TERM to $b: sent"* ]]
	until_true gone $a
	until_true gone $b
}

@test "send: PID:START is that process and no other" {
	sleeper 100
	p=$!
	start=$(ipc-signal ls --id $p)
	[[ $start == "$p:$(cut -d')' -f2 "/proc/$p/stat" | cut -d' ' -f21)" ]]
	status 69 ipc-signal send KILL "$p:1"
	status 69 ipc-signal send KILL "$p:$((${start#*:} + 1))"
	alive $p
	status 0 ipc-signal send KILL "$start"
	until_true gone $p
}

@test "send: a recycled number is not hit" {
	need root
	unshare -fp --mount-proc true 2>/dev/null || skip "no pid namespaces here"
	cat >recycle <<'S'
sleep 100 &
p=$!
id=$(ipc-signal ls --id $p)
kill -KILL $p
wait $p
while :; do # until its number comes again, in another clock tick
	echo $((p - 1)) >/proc/sys/kernel/ns_last_pid || exit 77
	sleep 100 &
	[ $! = $p ] && [ "$(ipc-signal ls --id $p)" != "$id" ] && break
	kill -KILL $!
	wait $!
done 2>/dev/null
ipc-signal send KILL $id 2>err
echo $? "$(ipc-signal stop $id)" "$(ipc-signal send 0 $p && echo lives)"
S
	status 0 unshare -fp --mount-proc sh recycle
	[[ $output =~ ^69\ ([0-9]+)\ gone\ lives$ ]]
}

@test "send: what is another's is 77, and the others get theirs" {
	need root
	sleeper 100
	p=$!
	bg setpriv --reuid=65534 --regid=65534 --clear-groups sleep 100
	q=$!
	until_true grep -q sleep "/proc/$q/cmdline"
	status 77 as_nobody "$BIN/ipc-signal" send TERM $p $q
	[[ $stderr == "ipc-signal send: TERM to $p: Operation not permitted" ]]
	alive $p
	until_true gone $q
}

@test "send: --group reaches all members, by any of them, also without a leader" {
	need python3
	bg setsid python3 -c 'import os, signal, time
pids = []
for i in range(3):
    p = os.fork()
    if p == 0: time.sleep(100)
    pids.append(p)
open("tmp", "w").write(" ".join(map(str, pids)) + "\n")
os.rename("tmp", "group.pid")
os._exit(0)'
	leader=$!
	until_true test -s group.pid
	ends 0 $leader
	read -r a b c <group.pid
	status 0 ipc-signal send --group TERM "$b"
	for p in $a $b $c; do until_true gone "$p"; done
	status 69 ipc-signal send --group TERM "$b"
}

@test "send: --group with a value" {
	need gcc
	bg setsid -w sh -c '"$0" recv 1 RTMIN >out2 & exec "$0" recv 1 RTMIN >out' "$CSIG"
	p=$!
	listening
	until_true has out2 ready
	pgrp=$(groups_of "/proc/$(kids $p | head -n 1)")
	[[ -n $pgrp ]] || pgrp=$p
	status 0 ipc-signal send --group --value 5 RTMIN $((pgrp))
	until_true has out "34 -1 5"
	until_true has out2 "34 -1 5"
}

@test "send: --handled spares who would die of it, and reaches who catches or waits for it" {
	sleeper 100
	plain=$!
	bg bash -c 'exec 9<> <(:); trap "echo usr1 >>caught" USR1; echo >ready1; while :; do read -r -t 1 <&9; done'
	trap=$!
	ready ipc-signal wait --ready-fd 8 USR1
	until_true test -e ready1
	status 1 ipc-signal send --handled USR1 $plain $trap $PID
	[[ $stderr == "ipc-signal send: USR1 to $plain: it does not handle that signal, not sent" ]]
	alive $plain
	until_true has caught usr1
	ends 0 $PID
	status 1 ipc-signal send -q --handled KILL $trap
	[[ $stderr == "" ]]
	alive $trap
	status 64 ipc-signal send --handled 0 $trap
}

@test "send: --group --handled reaches only those of a group that handle it" {
	bg setsid -w sh -c 'sleep 100 & echo $! >a.pid; exec ipc-signal wait --ready-fd 1 USR1 >out'
	w=$!
	until_true test -s out
	status 0 ipc-signal send --group --handled USR1 "$(cat a.pid)"
	until_true has out USR1
	alive "$(cat a.pid)"
	ends 0 "$w"
	status 1 ipc-signal send --group --handled USR1 "$(cat a.pid)"
}

@test "send: a full queue is 71 and names the limit, nothing is lost silently" {
	need prlimit
	ready ipc-signal wait -f --ready-fd 8 RTMIN USR1
	prlimit --pid "$PID" --sigpending=0
	status 71 ipc-signal send RTMIN "$PID"
	[[ $stderr == *"RLIMIT_SIGPENDING"*"allows 0"* ]]
	status 71 ipc-signal send --value 3 USR1 "$PID"
	status 0 ipc-signal send USR1 "$PID"
}

@test "send: JSON tells the fate of each" {
	sleeper 100
	p=$!
	bg sleep 0
	dead=$!
	ends 0 $dead
	id=$(ipc-signal ls --id $p)
	status 69 ipc-signal send -J 0 "$id" $dead
	[[ $output == "[{\"pid\":$p,\"start\":${id#*:},\"signal\":\"0\",\"result\":\"sent\"},{\"pid\":$dead,\"signal\":\"0\",\"result\":\"gone\"}]" ]]
}

@test "send: JSON has a word for each refusal; a group of another pid namespace is no target" {
	bg sleep 60
	local p=$!
	until_true grep -qx sleep "/proc/$p/comm"
	status 1 ipc-signal send -J --handled USR1 "$p"
	[[ $output == *'"result":"unhandled"'* ]]
	prlimit --pid "$p" --sigpending=0
	status 71 ipc-signal send -J RTMIN "$p"
	[[ $output == *'"result":"limit"'* ]]
	if [[ $(id -u) == 0 ]]; then
		status 77 as_nobody "$BIN/ipc-signal" send -J TERM "$p"
		[[ $output == *'"result":"denied"'* ]]
	fi
	if command -v strace >/dev/null && [[ -z ${IPCBOX_SANITIZE-} ]]; then
		status 74 strace -qq -o /dev/null -e inject=pidfd_send_signal:error=EIO ipc-signal send -J TERM "$p"
		[[ $output == *'"result":"failed"'* ]]
		status 74 strace -qq -o /dev/null -e inject=pidfd_send_signal:error=EIO ipc-signal send --group 0 "$p"
	fi
	kill "$p"
	unshare -pf --mount-proc true 2>/dev/null || skip "no pid namespaces here"
	# The first process of a new one is still in a group of the old one.
	status 69 unshare -pf --mount-proc ipc-signal send --group 0 1
	[[ $stderr == *"of another pid namespace"* ]]
}

@test "stop: without /proc a tree cannot be found, but a process can be stopped" {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "the sanitizer needs /proc"
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	bg sleep 60
	local p=$! code=0
	until_true grep -qx sleep "/proc/$p/comm"
	inside() { unshare -m sh -c 'mount -t tmpfs none /proc || exit 99; exec "$@"' sh "$@"; }
	inside true || skip "cannot mount"
	status 71 inside ipc-signal stop --tree "$p" || status 66 inside ipc-signal stop --tree "$p"
	[[ $stderr == *"read /proc (it must be mounted"* ]]
	kill -0 "$p"
	status 0 inside ipc-signal stop "$p"
	wait "$p" || code=$?
	[[ $code == 143 ]]
}

@test "send: what is no process is refused before anybody gets anything" {
	sleeper 100
	for bad in 0 -1 -$$ x 12x 5: 5:x 5:0 5:-1 99999999999 '' ' 1' +1; do
		status 64 ipc-signal send TERM $! "$bad"
	done
	status 64 ipc-signal send TERM
	status 64 ipc-signal send
	status 64 ipc-signal
	status 64 ipc-signal frobnicate
	status 64 ipc-signal send --frob TERM 1
	alive $!
}

# ---------------------------------------------------------------- wait

@test "wait: a line with name, sender, uid, value and code, from programs that are not ours" {
	need gcc python3
	ready ipc-signal wait -c 4 --ready-fd 8 USR1 RTMIN RTMIN+2 INT >out
	python3 -c "import os, signal; os.kill($PID, signal.SIGUSR1); print(os.getpid())" >sender
	until_true lines out 1
	"$CSIG" send "$PID" RTMIN 42 1
	until_true lines out 2
	"$CSIG" send "$PID" RTMIN+2 -1 1
	until_true lines out 3
	kill -INT "$PID"
	ends 0 "$PID"
	u=$(id -u)
	[[ $(sed -n 1p out) == "USR1 pid=$(cat sender) uid=$u value=- code=user" ]]
	[[ $(sed -n 2p out) =~ ^RTMIN\ pid=[0-9]+\ uid=$u\ value=42\ code=queue$ ]]
	[[ $(sed -n 3p out) =~ ^RTMIN\+2\ pid=[0-9]+\ uid=$u\ value=-1\ code=queue$ ]]
	[[ $(sed -n 4p out) == "INT pid=$$ uid=$u value=- code=user" ]]
}

@test "wait: 1000 real-time signals, sent while it could not run: none lost, all in order" {
	need gcc
	(($(ulimit -i) >= 4000)) || skip "RLIMIT_SIGPENDING is too low here"
	ready ipc-signal wait -c 1000 --ready-fd 8 --format %v RTMIN+1 >out
	kill -STOP "$PID"
	until_true state "$PID" T
	"$CSIG" send "$PID" RTMIN+1 1 1000
	kill -CONT "$PID"
	ends 0 "$PID"
	diff out <(seq 1000)
}

@test "wait: four senders at once, 250 real-time signals each" {
	need gcc
	ready ipc-signal wait -c 1000 --ready-fd 8 --format '%v' RTMIN+1 >out
	for i in 0 1 2 3; do bg "$CSIG" send "$PID" RTMIN+1 $((i * 250)) 250; done
	ends 0 "$PID"
	diff <(sort -n out) <(seq 0 999)
}

@test "wait: a standard signal comes at least once, however often it was sent" {
	ready ipc-signal wait -f --ready-fd 8 USR1 USR2 TERM >out
	kill -STOP "$PID"
	until_true state "$PID" T
	for ((i = 0; i < 50; i++)); do kill -USR1 "$PID"; done
	kill -USR2 "$PID"
	kill -CONT "$PID"
	until_true has out USR2
	has out USR1
	(($(grep -c USR1 out) <= 50))
}

@test "wait: once it is ready, no signal kills it" {
	for ((i = 0; i < 25; i++)); do
		ready ipc-signal wait --ready-fd 8 USR1 >out
		kill -USR1 "$PID"
		ends 0 "$PID"
	done
}

@test "wait: what comes behind the last one it waits for does not kill it" {
	need gcc
	for ((i = 0; i < 15; i++)); do
		ready ipc-signal wait --ready-fd 8 RTMIN+3 USR1 >out
		bg "$CSIG" flood "$PID" 10
		f=$!
		"$CSIG" send "$PID" RTMIN+3 1 3 || : # it may be gone before the third
		ends 0 "$PID"
		kill $f 2>/dev/null || :
		lines out 1
	done
}

@test "wait: -f goes on until a signal that it does not wait for" {
	ready ipc-signal wait -f --ready-fd 8 USR1 HUP >out
	kill -USR1 "$PID"
	until_true lines out 1
	kill -HUP "$PID"
	until_true lines out 2
	alive "$PID"
	kill -TERM "$PID"
	ends 143 "$PID"
	[[ $(cut -d' ' -f1 out) == $'USR1\nHUP' ]]
}

@test "wait: TERM among the signals is a line like others" {
	ready ipc-signal wait --ready-fd 8 TERM >out
	kill "$PID"
	ends 0 "$PID"
	has out "TERM pid=$$ "
}

@test "wait: -w gives up with 124, -n with 75, -E with what it says; -c counts what came" {
	status 124 ipc-signal wait -w 0.05 USR1
	[[ $stderr == "ipc-signal wait: wait for a signal, 1 to come: timed out" ]]
	status 75 ipc-signal wait -n USR1
	status 9 ipc-signal wait -q -n -E 9 USR1
	[[ $stderr == "" ]]
	status 124 ipc-signal wait -f -w 50ms USR1
	ready ipc-signal wait -c 2 -w 0.3 --ready-fd 8 USR1 >out 2>err
	kill -USR1 "$PID"
	ends 124 "$PID"
	lines out 1
	has err "1 to come"
}

@test "wait: what was pending and blocked when it started is there, without waiting" {
	need python3
	status 0 python3 -c '
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGRTMIN})
os.kill(os.getpid(), signal.SIGUSR1)
for i in range(3): os.kill(os.getpid(), signal.SIGRTMIN)
os.execvp("ipc-signal", ["ipc-signal", "wait", "-n", "-c", "4", "--format", "%n", "USR1", "RTMIN"])'
	[[ $output == $'USR1\nRTMIN\nRTMIN\nRTMIN' ]]
}

@test "wait: the kernel's own signals have no sender" {
	need python3
	status 0 python3 -c '
import os, signal
signal.setitimer(signal.ITIMER_REAL, 0.2)
os.execvp("ipc-signal", ["ipc-signal", "wait", "-J", "ALRM"])'
	[[ $output == '{"signal":"ALRM","number":14,"pid":null,"uid":null,"value":null,"code":"kernel"}' ]]
}

@test "wait: signals that were ignored come all the same" {
	trap '' USR1 INT
	ready ipc-signal wait -c 2 --ready-fd 8 USR1 INT >out
	trap - USR1 INT
	kill -USR1 "$PID"
	kill -INT "$PID"
	ends 0 "$PID"
	lines out 2
}

@test "wait: JSON and formats" {
	need python3
	ready ipc-signal wait -J --ready-fd 8 RTMIN+4 >out
	ipc-signal send --value 11 RTMIN+4 "$PID"
	ends 0 "$PID"
	python3 -c '
import json, os
d = json.loads(open("out").read())
assert d["signal"] == "RTMIN+4" and d["number"] == 38 and d["value"] == 11 and d["code"] == "queue", d
assert d["uid"] == os.getuid() and d["pid"] > 0, d'
	ready ipc-signal wait --ready-fd 8 --format '%%%n %s,%p,%u,%v,%c!' USR2 >out
	kill -USR2 "$PID"
	ends 0 "$PID"
	[[ $(cat out) == "%USR2 12,$$,$(id -u),-,user!" ]]
	for bad in %x % 'a%' '%n%q'; do status 64 ipc-signal wait -n --format "$bad" USR1; done
	status 64 ipc-signal wait -n -J --format %n USR1
	status 64 ipc-signal wait -n -c 1 -f USR1
}

@test "wait: every way that a signal can come is told by its code" {
	need python3
	local nrs
	case $(uname -m) in
	x86_64) nrs="129 234" ;;
	aarch64) nrs="138 131" ;;
	*) skip "the numbers of the system calls are not known here" ;;
	esac
	ready ipc-signal wait -c 7 --format '%c pid=%p value=%v' --ready-fd 8 RTMIN+1 >out
	# rt_sigqueueinfo(2) lets a process say any code below 0, but the one of tgkill(2).
	# shellcheck disable=SC2086
	timeout 60 python3 - "$PID" $nrs 3>&- <<-'PY'
		import ctypes, fcntl, os, struct, sys
		pid, queue, tgkill = map(int, sys.argv[1:])
		libc = ctypes.CDLL(None, use_errno=True)
		for code in -3, -2, -4, -5, -60:
		    info = struct.pack("iii4xiii", 35, 0, code, os.getpid(), os.getuid(), 7)
		    assert libc.syscall(queue, pid, 35, ctypes.create_string_buffer(info, 128)) == 0
		assert libc.syscall(tgkill, pid, pid, 35) == 0
		r, w = os.pipe()
		fcntl.fcntl(r, fcntl.F_SETOWN, pid); fcntl.fcntl(r, 10, 35) # F_SETSIG
		fcntl.fcntl(r, fcntl.F_SETFL, os.O_NONBLOCK | 0o20000)     # O_ASYNC
		os.write(w, b"x")
	PY
	wait "$PID"
	# What is sent to the thread comes before what is sent to the process.
	sed 's/pid=[1-9][0-9]*/pid=N/' out | LC_ALL=C sort >got
	[[ $(<got) == "asyncio pid=- value=7
kernel pid=- value=-
mesgq pid=N value=7
other pid=N value=7
sigio pid=- value=-
timer pid=- value=7
tkill pid=N value=-" ]]
	mkfifo go
	ready sh -c '(read -r x <go; exit 3) & exec ipc-signal wait --ready-fd 8 CHLD' >out
	echo >go
	wait "$PID"
	[[ $(<out) == "CHLD pid="[1-9]*"code=exited" ]]
}

@test "wait: what cannot be waited for is a usage error" {
	for bad in KILL STOP 0 EXIT 65 FOO; do status 64 ipc-signal wait -n "$bad"; done
	status 64 ipc-signal wait
	status 64 ipc-signal wait -c 0 USR1
	status 64 ipc-signal wait -w x USR1
	status 74 ipc-signal wait -n --ready-fd 99 USR1
}

@test "wait: its end is noticed when nobody reads any more, without a signal" {
	local s=0
	{ ipc-signal wait -f USR1 3>&- || echo $? >s; } | true
	[[ $(cat s) == 141 ]]
}

@test "wait: a full disk is 74, a closed stdout no crash" {
	ready ipc-signal wait --ready-fd 8 USR1 >/dev/full 2>err
	kill -USR1 "$PID"
	ends 74 "$PID"
	[[ $(<err) == "ipc-signal wait: write stdout: No space left on device" ]]
	ready ipc-signal wait --ready-fd 8 USR1 >&- 2>err
	kill -USR1 "$PID"
	ends 74 "$PID"
	has err "write stdout: Bad file descriptor"
}

@test "wait: tells sd_notify when it is ready" {
	need python3
	bg python3 -c '
import os, socket, subprocess
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("n.sock")
p = subprocess.Popen(["ipc-signal", "wait", "USR1"], env=dict(os.environ, NOTIFY_SOCKET=os.getcwd() + "/n.sock"),
    stdout=subprocess.PIPE)
assert s.recv(100) == b"READY=1"
p.send_signal(10)
assert p.wait() == 0
open("fine", "w")'
	ends 0 $!
	[[ -e fine ]]
}

@test "wait: interrupted system calls change nothing" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	ready strace -f -qq -o /dev/null -e inject=ppoll,rt_sigtimedwait:error=EINTR:when=1..5 \
		ipc-signal wait -c 2 --ready-fd 8 RTMIN USR1 >out
	w=$(kids "$PID" ipc-signal || kids "$PID")
	ipc-signal send --value 1 RTMIN "$w"
	ipc-signal send USR1 "$w"
	ends 0 "$PID"
	lines out 2
	status 71 strace -f -qq -o /dev/null -e inject=signalfd4:error=EMFILE ipc-signal wait -n USR1
}

# ---------------------------------------------------------------- stop

@test "stop: asks, waits until all have ended, reports each" {
	sleeper 100
	a=$!
	sleeper 101
	b=$!
	status 0 ipc-signal stop $a $b $a
	gone $a && gone $b
	[[ $(sort <<<"$output") =~ ^$a\ ended\ after\ [0-9.]+m?s:\ sleep\ 100$'\n'$b\ ended\ after\ [0-9.]+m?s:\ sleep\ 101$ ||
		$(sort -r <<<"$output") =~ ^$a\ ended.*$b\ ended ]]
	[[ $(wc -l <<<"$output") == 2 ]]
}

# Workers that clean up; the last one is stubborn.
workers() {
	cat >worker <<'S'
trap 'sleep 0.3 && echo "$1 cleaned up" >>log; exit 0' TERM
echo >>up
while :; do sleep 100 & wait $!; done
S
	cat >stubborn <<'S'
trap '' TERM
echo >>up
while :; do sleep 0.05; done
S
	setsid sh -c 'for i in 1 2 3; do sh worker $i & done; sh stubborn & echo $$ >g.pid; wait' 3>&- &
	until_true lines up 4
}

@test "stop: a group ends, each worker cleans up undisturbed, the stubborn one is killed" {
	workers
	g=$(cat g.pid)
	status 137 ipc-signal stop --group --grace 1.5 "$g"
	[[ $(sort log) == $'1 cleaned up\n2 cleaned up\n3 cleaned up' ]]
	[[ $(grep -c ' killed after .*sh stubborn$' <<<"$output") == 1 ]]
	[[ $(grep -c ' ended after .*: sh worker [123]$' <<<"$output") == 3 ]]
	until_true empty_group "$g" # but for zombies whose parent is yet to come
}

@test "stop: --grace 0 kills at once, --signal KILL is no failure" {
	bg sh stubborn
	bg bash -c 'trap "" TERM; echo >ready1; while :; do read -r -t 1 <> <(:); done'
	p=$!
	until_true test -e ready1
	status 137 ipc-signal stop --grace 0 $p
	[[ $output == "$p killed after "* ]]
	sleeper 100
	status 0 ipc-signal stop --signal KILL $!
	[[ $output == "$! ended after "* ]]
}

@test "stop: a tree over groups, sessions and lost parents" {
	cat >tree <<'S'
setsid sh -c 'echo $$ >s.pid; sleep 100 & echo $! >s1.pid; wait' &
sh -c 'sleep 100 & echo $! >o.pid' # its parent is gone
sh -c 'sh -c "sleep 100 & echo \$! >d.pid; wait" & wait' &
echo $$ >root.pid
wait
S
	setsid sh tree 3>&- &
	for f in s.pid s1.pid o.pid d.pid root.pid; do until_true test -s $f; done
	sleeper 100
	other=$!
	status 0 ipc-signal stop --tree "$(cat root.pid)"
	for f in *.pid; do gone "$(cat $f)" || { echo "$f lives"; return 1; }; done
	alive $other
	[[ $(grep -c 'ended after' <<<"$output") -ge 6 ]]
}

@test "stop: a stopped process is woken, so that it can end by itself" {
	bg bash -c 'exec 9<> <(:); trap "echo bye >bye; exit" TERM; echo >ready1; while :; do read -r -t 1 <&9; done'
	p=$!
	until_true test -e ready1
	kill -STOP $p
	until_true state $p T
	status 0 ipc-signal stop $p
	has bye bye
}

@test "stop: --signal 0 --grace inf only waits" {
	bg ipc-signal wait USR1
	p=$!
	bg ipc-signal stop --signal 0 --grace inf $p >out
	w=$!
	until_true blocked $w
	until_true eval '[[ -n $(ipc-signal ls --id $p) ]]'
	until_true ipc-signal send --handled USR1 $p
	ends 0 $p
	ends 0 $w
	has out "$p ended after"
}

@test "stop: --signal asks with another signal" {
	need python3
	bg python3 -c 'import signal, time, sys
def h(n, f): open("got", "w").write(signal.Signals(n).name + "\n"); sys.exit(0)
signal.signal(signal.SIGINT, h); signal.signal(signal.SIGTERM, h)
open("ready1", "w"); time.sleep(100)'
	p=$!
	until_true test -e ready1
	status 0 ipc-signal stop --signal INT $p
	has got SIGINT
}

@test "stop: who is gone is reported; only gone ones is 69" {
	bg sleep 0
	dead=$!
	ends 0 $dead
	status 69 ipc-signal stop $dead
	[[ $output == "$dead gone" ]]
	sleeper 100
	p=$!
	status 69 ipc-signal stop "$p:1"
	alive $p
	status 0 ipc-signal stop $dead "$(ipc-signal ls --id $p)"
	[[ $output == "$dead gone"$'\n'"$p ended after "* ]]
}

@test "stop: what is another's is reported, the others are stopped: 77" {
	need root
	sleeper 100
	p=$!
	bg setpriv --reuid=65534 --regid=65534 --clear-groups sleep 100
	q=$!
	until_true grep -q sleep "/proc/$q/cmdline"
	status 77 as_nobody "$BIN/ipc-signal" stop $p $q
	[[ $output == *"$p denied: sleep 100"* && $output == *"$q ended after"* ]]
	alive $p
}

@test "stop: -w gives up and says who still runs" {
	bg bash -c 'trap "" TERM; echo >ready1; while :; do read -r -t 1 <> <(:); done'
	p=$!
	until_true test -e ready1
	status 124 ipc-signal stop -w 0.1 $p
	[[ $output == "$p running after "* && $stderr == *"1 of 1 processes still run: timed out" ]]
	alive $p
	status 5 ipc-signal stop -q -E 5 -w 50ms $p
	[[ $stderr == "" ]]
	kill -KILL $p
}

@test "stop: more processes than descriptors; a hard limit is named and nobody is asked" {
	for ((i = 0; i < 100; i++)); do sleeper 100; pids[i]=$!; done
	(
		ulimit -n 40
		status 71 ipc-signal stop "${pids[@]}"
		[[ $stderr == *"RLIMIT_NOFILE (ulimit -Hn) is 40"* ]]
	)
	for p in "${pids[@]}"; do alive "$p"; done
	(
		ulimit -Sn 40
		status 0 ipc-signal stop "${pids[@]}"
	)
	for p in "${pids[@]}"; do gone "$p"; done
}

@test "stop: ends others of its own group without ending itself" {
	setsid sh -c 'trap "" TERM; sleep 100 & echo $! >a.pid; (trap - TERM; exec ipc-signal run -- sleep 100) & 
		ipc-signal stop --group --grace 0.2 $! >out 2>&1; echo never' 3>&- 4>&- &
	until_true has out 'killed after'
	until_true gone "$(cat a.pid)"
}

@test "stop: the init of a pid namespace that does not end is said after the grace, not waited for: 77" {
	unshare -fp --mount-proc true 2>/dev/null || skip "no pid namespaces here"
	# All of this is in a namespace of its own, whose process 1 is this shell.
	cat >init.sh <<-'EOF'
		[ $$ = 1 ] || exit 99
		sleep 1000 &
		ipc-signal stop --grace 50ms 1 $! >out 2>err
		echo "status $?" >>out
		ipc-signal stop --signal KILL --grace 0 1 >>out 2>&1
		echo "status $?" >>out
		trap 'echo asked >>out' TERM
		ipc-signal stop --signal TERM --grace 50ms -J 1 >>out 2>/dev/null
		echo "status $?" >>out
	EOF
	timeout 60 unshare -fp --kill-child --mount-proc sh init.sh </dev/null
	cat out err
	grep -qE '^1 denied: ' out
	grep -qE '^[0-9]+ ended after ' out
	[[ $(grep -c '^status 77$' out) == 3 && $(grep -c ^status out) == 3 ]]
	grep -q '^asked$' out
	grep -q '"pid":1,.*"result":"denied"' out
	[[ $(<err) == *"cannot be killed from within it"* ]]
}

@test "stop: JSON, a line for each" {
	need python3
	sleeper 100
	p=$!
	id=$(ipc-signal ls --id $p)
	status 0 ipc-signal stop -J $p
	python3 -c '
import json, sys
d = json.loads(sys.argv[1])
assert d["pid"] == int(sys.argv[2]) and d["start"] == int(sys.argv[3]) and d["result"] == "ended", d
assert 0 <= d["seconds"] < 60 and d["command"] == "sleep 100", d' "$output" $p "${id#*:}"
	status 69 ipc-signal stop -J $p
	[[ $output == "{\"pid\":$p,\"result\":\"gone\",\"command\":null}" ]]
}

@test "stop: a stdout that cannot be written to keeps nobody alive" {
	bg bash -c 'trap "" TERM; echo >ready1; while :; do read -r -t 1 <> <(:); done'
	a=$!
	sleeper 100
	b=$!
	until_true test -e ready1
	got=0
	ipc-signal stop --grace 0.1 $a $b >/dev/full 2>err || got=$?
	[[ $got == 137 || $got == 74 ]]
	gone $a && gone $b
}

@test "stop: interrupted waits and a failing pidfd" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	sleeper 100
	p=$!
	status 71 strace -qq -o /dev/null -e inject=pidfd_open:error=EMFILE ipc-signal stop $p
	alive $p
	status 0 strace -qq -o /dev/null -e inject=ppoll:error=EINTR:when=1..3 ipc-signal stop $p
	gone $p
}

@test "stop: killed in the middle it leaves nothing behind but asked processes" {
	bg bash -c 'trap "" TERM; echo >ready1; while :; do read -r -t 1 <> <(:); done'
	p=$!
	until_true test -e ready1
	bg ipc-signal stop $p
	s=$!
	until_true blocked $s
	kill -KILL $s
	ends 137 $s
	alive $p
	status 137 ipc-signal stop --grace 0.05 $p
}

@test "stop: usage" {
	sleeper 100
	status 64 ipc-signal stop
	status 64 ipc-signal stop --group --tree $!
	status 64 ipc-signal stop --grace -1 $!
	status 64 ipc-signal stop --signal NOPE $!
	status 64 ipc-signal stop $! 0
	status 64 ipc-signal stop $! x
	alive $!
}

# ---------------------------------------------------------------- run

@test "run: ends as CMD does" {
	status 0 ipc-signal run -- true
	status 3 ipc-signal run -- sh -c 'exit 3'
	status 143 ipc-signal run -- sh -c 'kill -TERM $$'
	status 127 ipc-signal run -- ./nosuch
	echo x >noexec
	status 126 ipc-signal run -- ./noexec
	status 64 ipc-signal run
	status 64 ipc-signal run true
	[[ $(echo text | ipc-signal run -- cat) == text ]]
}

@test "run: also where SIGCHLD was ignored, and CMD gets a clean mask" {
	need python3
	trap '' CHLD
	status 3 ipc-signal run -- sh -c 'exit 3'
	trap - CHLD
	status 0 ipc-signal run -- python3 -c '
import signal
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
assert signal.getsignal(signal.SIGPIPE) != None
print(open("/proc/self/status").read().split("SigBlk:")[1].split()[0])'
	[[ $output == 0000000000000000 ]]
}

# A Python CMD that prints each signal it gets.
printer() {
	cat >printer.py <<'P'
import ctypes, os, signal, sys
sigs = {s for s in range(1, 65) if s not in (9, 19, 32, 33, 17, 13)}
signal.pthread_sigmask(signal.SIG_BLOCK, sigs)
print("ready", os.getpid(), flush=True)
while True:
    i = signal.sigwaitinfo(sigs)
    print(i.si_signo, i.si_code, flush=True)
    if i.si_signo == 3:
        sys.exit(7)
P
}

@test "run: passes on what it gets, real-time ones with their value, and ends as CMD" {
	need gcc python3
	printer
	bg ipc-signal run -- python3 printer.py >out
	p=$!
	listening
	for s in HUP INT USR1 USR2 WINCH CONT ALRM TSTP RTMIN+5; do
		kill -s $s $p
		n=$(kill -l $s)
		until_true has out "$n 0"
	done
	"$CSIG" send $p RTMIN+1 5 3
	until_true grep -q '^35 -1' out
	kill -QUIT $p
	ends 7 $p
	[[ $(grep -c '^35 -1' out) == 3 ]]
}

@test "run: a value reaches CMD" {
	need gcc
	bg ipc-signal run -- "$CSIG" recv 1 RTMIN >out
	p=$!
	listening
	status 0 ipc-signal send --value 99 RTMIN $p
	ends 0 $p
	has out "34 -1 99"
}

@test "run: returns when everything that CMD started is gone, daemons too" {
	cat >leave <<'S'
sleep 100 &
echo $! >a.pid
setsid sh -c 'sleep 100 & echo $! >c.pid; wait' &
(setsid sh -c 'echo $$ >d.pid; exec sleep 100' &)
while [ ! -s c.pid ] || [ ! -s d.pid ]; do :; done
exit 5
S
	status 5 ipc-signal run -- sh leave
	for f in *.pid; do gone "$(cat $f)" || { echo $f lives; return 1; }; done
}

@test "run: what CMD leaves behind may clean up, and is killed when it does not end" {
	cat >leave <<'S'
sh -c 'trap "sleep 0.2; echo clean >>log; exit" TERM; echo >r1; while :; do sleep 100 & wait $!; done' &
bash -c 'trap "" TERM; echo $$ >s.pid; while :; do read -r -t 1 <> <(:); done' &
while [ ! -e r1 ] || [ ! -s s.pid ]; do :; done
S
	status 0 ipc-signal run -v --grace 2 -- sh leave
	has log clean
	gone "$(cat s.pid)"
	[[ $stderr == *"has ended, asking what is left"*"killing what is left"* ]]
}

@test "run: --all lets it end by itself" {
	cat >leave <<'S'
(setsid sh -c 'echo $$ >w.pid; exec ipc-signal wait --ready-fd 9 USR1 9>w >log' &)
while [ ! -s w ]; do :; done
S
	bg ipc-signal run --all --grace 0.1 -- sh leave
	p=$!
	until_true test -s w
	until_true children $p 1
	alive $p
	status 0 ipc-signal send USR1 "$(cat w.pid)"
	ends 0 $p
	has log USR1
}

@test "run: reaps orphans while CMD runs" {
	bg ipc-signal run -- sh -c 'for i in 1 2 3 4 5; do (sh -c "exit 0" &); done; echo ready; exec ipc-signal wait TERM' >out
	p=$!
	listening
	until_true children $p 1
	kill $p
	ends 0 $p
}

@test "run: TERM, then the kill after --grace" {
	cat >stubborn <<'S'
trap '' TERM
(trap '' TERM; exec sleep 100) &
echo $! >a.pid
echo ready
while :; do sleep 0.05; done
S
	bg ipc-signal run --grace 0.2 -- sh stubborn >out
	p=$!
	listening
	kill $p
	ends 137 $p
	gone "$(cat a.pid)"
}

@test "run: TERM twice in a row does not cut the clean-up short, again after a second does" {
	bg ipc-signal run -- bash -c 'exec 9<> <(:); trap "sleep 0.3; echo clean >log; exit 4" TERM; echo ready; while :; do read -r -t 1 <&9; done' >out
	p=$!
	listening
	kill $p
	kill $p
	ends 4 $p
	has log clean
	: >out
	bg ipc-signal run --grace inf -- bash -c 'trap "" TERM; echo ready; while :; do read -r -t 1 <> <(:); done' >out
	p=$!
	listening
	kill $p
	read -r -t 1.1 <> <(:) || : # what is tested is the time between the two
	kill $p
	ends 137 $p
}

@test "run: -w ends it with 124, -E with what it says" {
	status 124 ipc-signal run -w 0.1 -- sleep 100
	[[ $stderr == "ipc-signal run: sleep: timed out" ]]
	status 8 ipc-signal run -q -E 8 -w 0.1 --grace 0.1 -- bash -c 'trap "" TERM; while :; do read -r -t 1 <> <(:); done'
	status 0 ipc-signal run -w 60 -- true
	status 124 ipc-signal run -w 0.3 --signal INT -- bash -c 'exec 9<> <(:); trap "echo int; exit" INT; while :; do read -r -t 1 <&9; done'
	[[ $output == int ]]
	status 124 ipc-signal run -w 0.1 -- sh -c 'kill -STOP $$'
}

@test "run: --map passes a signal on as another, or not at all" {
	need python3
	printer
	bg ipc-signal run --map TERM:INT --map USR1:0,HUP:RTMIN+2 -- python3 printer.py >out
	p=$!
	listening
	kill -USR1 $p
	kill -HUP $p
	until_true has out "36 0"
	kill -TERM $p
	until_true has out "2 0"
	kill -QUIT $p
	ends 7 $p
	[[ -z $(grep '^10 ' out) ]]
	for bad in TERM TERM: :INT TERM:FOO 0:INT KILL:TERM CHLD:INT 'TERM:INT,'; do
		status 64 ipc-signal run --map "$bad" -- true
	done
}

@test "run: killed with SIGKILL it takes CMD with it" {
	bg ipc-signal run -- sh -c 'echo $$ >c.pid; exec sleep 100'
	p=$!
	until_true test -s c.pid
	kill -KILL $p
	until_true gone "$(cat c.pid)"
}

@test "run: ignored signals stay ignored (nohup)" {
	need python3
	bg bash -c 'trap "" HUP TERM; exec ipc-signal run -- sh -c "echo ready; exec ipc-signal wait USR1"' >out
	p=$!
	listening
	kill -HUP $p
	kill -TERM $p
	until_true ipc-signal send --handled USR1 "$(kids $p)"
	ends 0 $p
	# CMD may catch them all the same; TERM is no order to us then, and no clock runs
	printer
	bg bash -c 'trap "" HUP TERM; exec ipc-signal run --signal INT --grace 0.05 -- python3 printer.py' >out2
	p=$!
	until_true has out2 ready
	kill -HUP $p
	until_true has out2 "1 0"
	kill -TERM $p
	until_true has out2 "15 0"
	[[ $(ipc-signal stop --signal 0 -w 0.3 $p) == "$p running "* ]]
	kill -QUIT $p
	ends 7 $p
}

@test "run: children that it had before belong to what is waited for and ended" {
	status 0 sh -c 'sleep 100 & echo $! >a.pid; exec ipc-signal run -- true'
	gone "$(cat a.pid)"
}

@test "run: as process 1 of a pid namespace" {
	local ns=(unshare -fp --mount-proc) inherit=(unshare -fp)
	[[ $(id -u) == 0 ]] || { ns=(unshare -Urfp --mount-proc) inherit=(unshare -Urfp); }
	"${ns[@]}" true 2>/dev/null || skip "no pid namespaces here"
	cat >leave <<'S'
[ $$ != 1 ] || exit 9
sleep 100 &
(setsid sh -c 'trap "echo clean >>log; exit" TERM; echo >r1; while :; do sleep 0.05; done' &)
while [ ! -e r1 ]; do :; done
exit 6
S
	status 6 "${ns[@]}" "$BIN/ipc-signal" run -- sh leave
	has log clean
	rm -f log r1
	# /proc is that of another namespace here
	status 6 "${inherit[@]}" "$BIN/ipc-signal" run -- sh leave
	has log clean
	# What does not end is killed there, too.
	status 3 "${ns[@]}" "$BIN/ipc-signal" run --grace 0.1 -- sh -c 'trap "" TERM; sleep 100 & setsid sleep 100 & exit 3'
	# TERM from outside reaches CMD, though process 1 has no handler
	bg "${ns[@]}" "$BIN/ipc-signal" run -- sh -c 'trap "echo term; exit 7" TERM; echo ready; while :; do sleep 0.05; done' >out
	u=$!
	listening
	kill -TERM "$(kids $u)"
	ends 7 $u
	has out term
}

@test "run: without /proc of its own namespace nobody else is signalled" {
	need root
	unshare -fp true 2>/dev/null || skip "no pid namespaces here"
	status 0 unshare -fp sh -c 'sleep 0.2 & ipc-signal run --grace 0.1 -- sh -c "(setsid sleep 0.3 &) ; exit 0"; wait $! && echo lives'
	[[ $output == lives && $stderr == *"/proc"* ]]
	# CMD's own group is in reach all the same, from Linux 6.9 on
	[[ $(printf '6.9\n%s\n' "$(uname -r)" | sort -V | head -n 1) == 6.9 ]] || return 0
	status 4 timeout 30 unshare -fp "$BIN/ipc-signal" run -- sh -c 'ipc-signal run --grace 0.1 -- sh -c "sleep 100 & exit 4"'
}

@test "run: CMD uses the terminal as any command does" {
	cat >term.py <<'P'
import os, pty, signal, sys, time
def expect(what):
    global seen
    while what not in seen:
        try: d = os.read(fd, 1000)
        except OSError: d = b""
        if not d: sys.exit("no %r in %r" % (what, seen))
        seen += d
    seen = seen.split(what, 1)[1]
pid, fd = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
seen = b""
signal.alarm(60)
os.environ["PS1"] = ""
def say(s): os.write(fd, s)
say(b"stty -echo; PS1=; PS2=\n")
say(b"echo re''ady\n"); expect(b"ready")
# CMD reads from the terminal
say(b"ipc-signal run -- sh -c 'read x; echo got-$x'; echo st-$?\n"); say(b"line\n"); expect(b"got-line"); expect(b"st-0")
# ^C ends CMD and us by a signal, which ends the line too
say(b"ipc-signal run -- sh -c 'echo u\"\"p; exec sleep 100'; echo not-$?\n"); expect(b"up"); say(b"\x03")
say(b"echo st-$?\n"); expect(b"st-130")
# ^Z stops both, fg goes on, CMD can read
say(b"ipc-signal run -- sh -c 'echo u\"\"p; read x; echo got-$x'\n"); expect(b"up"); say(b"\x1a"); expect(b"Stopped")
say(b"echo he''re\n"); expect(b"here")
say(b"fg\n"); expect(b"ipc-signal run"); say(b"again\n"); expect(b"got-again")
# in the background it does not take the terminal
say(b"ipc-signal run -- sleep 0.2 & read y; echo y-$y; wait; echo al''l\n"); say(b"mine\n"); expect(b"y-mine"); expect(b"all")
say(b"exit\n")
P
	need python3 bash
	status 0 python3 term.py
}

@test "run: a pid file as long as it runs" {
	bg ipc-signal run --pidfile p.pidfile -- ipc-signal wait TERM
	p=$!
	until_true test -s p.pidfile
	[[ $(cat p.pidfile) == "$p" ]]
	until_true ipc-signal send --handled TERM "$(until_true kids $p; kids $p)"
	ends 0 $p
	[[ ! -e p.pidfile ]]
}

@test "run: interrupted waits change nothing; RTMIN at the start does not kill it" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	status 3 strace -qq -o /dev/null -e inject=rt_sigtimedwait:error=EINTR:when=1..3 ipc-signal run -- sh -c 'sleep 0.05; exit 3'
	status 125 strace -qq -o /dev/null -e inject=vfork,clone:error=EAGAIN ipc-signal run -- true
}

@test "run: two supervisors in each other" {
	cat >inner <<'S'
ipc-signal run -- sh -c '(setsid sleep 100 & echo $! >a.pid); (setsid sleep 100 &); exit 3'
echo inner $?
(setsid sleep 100 & echo $! >b.pid)
S
	status 0 ipc-signal run -- sh inner
	[[ $output == "inner 3" ]]
	gone "$(cat a.pid)" && gone "$(cat b.pid)"
}

# ---------------------------------------------------------------- ls

@test "ls: what Python catches, blocks, ignores and has pending" {
	need python3
	bg python3 -c '
import os, signal, time
for s in [signal.SIGUSR1] + list(range(35, 41)): signal.signal(s, lambda *a: None)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGRTMIN})
os.kill(os.getpid(), signal.SIGUSR2)
print("ready", flush=True); time.sleep(100)' >out
	p=$!
	listening
	status 0 ipc-signal ls $p
	row=$(tail -n 1 <<<"$output")
	read -r id caught blocked ignored pending command <<<"$row"
	[[ $id == "$(ipc-signal ls --id $p)" ]]
	[[ ,$caught, == *,USR1,* && $caught == *RTMIN+1..RTMIN+6* && $blocked == USR2,RTMIN && $pending == USR2 ]]
	[[ ,$ignored, == *,HUP,* && $command == *python3\ -c* ]]
	ipc-signal ls -J $p | python3 -c '
import json, sys
d, = json.load(sys.stdin)
assert "RTMIN+6" in d["caught"] and d["blocked"] == ["USR2", "RTMIN"] and d["pending"] == ["USR2"], d
assert d["pid"] == int(sys.argv[1]) and d["queue_limit"] > 0 and "python3 -c" in d["command"], d' $p
}

@test "ls: without a PID the waiting ones are there; who is gone is 69" {
	need python3
	ready ipc-signal wait --ready-fd 8 USR1
	ipc-signal ls >list
	grep -q "^$PID:" list
	bg sleep 0
	dead=$!
	ends 0 $dead
	status 69 ipc-signal ls $dead "$PID"
	[[ $(tail -n 1 <<<"$output") == "$PID:"* && $stderr == "ipc-signal ls: $dead: no such process (any more)" ]]
	status 69 ipc-signal ls $dead
	[[ $output == "" ]]
	status 69 ipc-signal ls -J "$PID:1"
	[[ $output == "[]" ]]
	status 64 ipc-signal ls x
	status 64 ipc-signal ls --id -J "$PID"
	status 0 ipc-signal ls -J
	python3 -c 'import json; json.load(open(".out"))'
}

@test "a name that would drive a terminal does not" {
	cp "$(command -v sleep)" $'ev\e[31mil)\n1 R 1'
	bg ./$'ev\e[31mil)\n1 R 1' 100
	p=$!
	until_true grep -q 100 "/proc/$p/cmdline"
	status 0 ipc-signal ls $p
	[[ $output != *$'\e'* && $output == *100 ]]
	status 0 ipc-signal stop "$(ipc-signal ls --id $p)"
	[[ $output != *$'\e'* && $(wc -l <<<"$output") == 1 ]]
}

@test "stop: --tree ends a process whose first thread has ended" {
	need python3
	python3 -c '
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
open("up", "w").close()
ctypes.CDLL(None).pthread_exit(None)' 3>&- 4>&- &
	p=$!
	until_true grep -q '^State:.Z' /proc/$p/status
	bg sh -c 'exec sleep 600'
	status 0 ipc-signal stop --tree $p
	[[ $output == "$p ended after"* ]]
	wait $p || [[ $? == 143 ]]
}

@test "run: a pid file of a process that lives is 75 and stays, a stale one is replaced" {
	bg ipc-signal run --pidfile p.pidfile -- ipc-signal wait TERM
	p=$!
	until_true test -s p.pidfile
	status 75 ipc-signal run --pidfile p.pidfile -- true
	[[ $stderr == *"in use by pid $p "* && $(cat p.pidfile) == "$p" ]]
	kill -KILL $p
	wait $p || :
	status 0 ipc-signal run --pidfile p.pidfile -- cat p.pidfile
	[[ $output != "$p" && ! -e p.pidfile ]]
	# another process has the number by now
	sleep 600 3>&- 4>&- &
	echo $! >p.pidfile
	touch -d '1 hour ago' p.pidfile
	status 0 ipc-signal run --pidfile p.pidfile -- true
}
