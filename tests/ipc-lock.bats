#!/usr/bin/env bats
# ipc-lock against flock(1), fcntl(2) users in Python, and its own killed parts.
# shellcheck shell=bash disable=SC2016,SC2030,SC2031,SC2094,SC2317

load helper

local_setup() {
	cat >hold.py <<'END'
# hold.py FAMILY MODE FILE [START LEN]: take a lock, tell descriptor 8, hold it until killed.
import fcntl, os, struct, sys, signal
family, mode, path = sys.argv[1:4]
start, length = (int(sys.argv[4]), int(sys.argv[5])) if len(sys.argv) > 4 else (0, 0)
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
if family == "flock":
    fcntl.flock(fd, fcntl.LOCK_EX if mode == "x" else fcntl.LOCK_SH)
else:
    fl = struct.pack("hhqqi4x", fcntl.F_WRLCK if mode == "x" else fcntl.F_RDLCK, 0, start, length, 0)
    fcntl.fcntl(fd, 38 if family == "ofd" else fcntl.F_SETLKW, fl)
os.write(8, b"\n")
signal.pause()
END
}

hold() { ready python3 "$T/hold.py" "$@"; }
# holder OPTIONS...: an ipc-lock that holds until its command is killed; CMD's pid is in ./cmd.
holder() {
	ready ipc-lock run "$@" -- sh -c 'echo $$ >cmd; echo >&8; exec 8>&-; exec sleep 1000'
	sleeps "$(<cmd)"
}
# sleeps PID: it has got as far as to be sleep(1).
sleeps() { until_true grep -qx sleep "/proc/$1/comm"; }
drop() {
	kill "${@:-$PID}"
	wait "${@:-$PID}" || :
}
free() { ipc-lock test "$1"; }
gone() { ! kill -0 "$1"; }

@test "run gives the command's status, and what it exports" {
	status 7 ipc-lock run ./f -- sh -c 'echo "$IPC_OBJECT $IPC_TOKEN"; exit 7'
	[[ $output =~ ^\./f\ [0-9]{16}$ ]]
	status 0 ipc-lock run ./f ./g -- sh -c 'echo "$IPC_OBJECT"'
	[[ $output == "./f ./g" ]]
	status 137 ipc-lock run ./f -- sh -c 'kill -KILL $$'
	status 127 ipc-lock run ./f -- ./none
	status 126 ipc-lock run ./f -- ./f
	status 0 ipc-lock test ./f
	[[ ! -s f ]]
}

@test "the command inherits nothing of the lock" {
	status 0 ipc-lock run ./f -- sh -c 'ls -l /proc/self/fd'
	[[ $output != *"$T/f"* ]]
	status 0 ipc-lock run --share-fd ./f -- sh -c 'ls -l /proc/self/fd'
	[[ $output == *"$T/f"* ]]
}

@test "excludes flock(2) and fcntl(2) users, both ways, and shares with readers" {
	need python3
	local family
	for family in flock ofd posix; do
		hold $family x f
		status 75 ipc-lock run -n ./f -- true
		status 75 ipc-lock run -n -s ./f -- true
		status 1 ipc-lock test ./f
		drop
		hold $family s f
		status 75 ipc-lock run -n ./f -- true
		status 0 ipc-lock run -n -s ./f -- true
		status 0 ipc-lock test -s ./f
		drop
	done
	holder ./f
	status 1 flock -n f true
	status 1 python3 -c 'import fcntl; fcntl.lockf(open("f","r+"), fcntl.LOCK_EX|fcntl.LOCK_NB)'
	drop
	holder -s ./f
	status 0 /usr/bin/flock -sn f true
	status 1 /usr/bin/flock -n f true
	status 0 python3 -c 'import fcntl; fcntl.lockf(open("f","r+"), fcntl.LOCK_SH|fcntl.LOCK_NB)'
	drop
}

@test "one family only excludes its own" {
	need python3
	hold flock x f
	status 0 ipc-lock run -n --family ofd ./f -- true
	status 0 ipc-lock run -n --family posix ./f -- true
	status 75 ipc-lock run -n --family flock ./f -- true
	status 0 ipc-lock test --family ofd ./f
	status 1 ipc-lock test --family flock ./f
	drop
	hold posix x f
	status 0 ipc-lock run -n --family flock ./f -- true
	status 75 ipc-lock run -n --family ofd ./f -- true
	status 75 ipc-lock run -n --family posix ./f -- true
	drop
	ready ipc-lock run --family posix ./f -- sh -c 'echo >&8; exec sleep 1000'
	status 1 python3 -c 'import fcntl; fcntl.lockf(open("f","r+"), fcntl.LOCK_EX|fcntl.LOCK_NB)'
	drop
}

@test "a byte range locks alone" {
	need python3
	hold posix x f 100 50
	status 0 ipc-lock run -n --range 0:100 ./f -- true
	status 75 ipc-lock run -n --range 0:101 ./f -- true
	status 75 ipc-lock run -n --range 149:1 ./f -- true
	status 0 ipc-lock run -n --range 150:0 ./f -- true
	status 1 ipc-lock test --range 100:1 ./f
	status 0 ipc-lock test --range 0:100 ./f
	drop
	holder --range 10:10 ./f
	status 0 ipc-lock stat ./f
	[[ $output == *" 10-19 "* ]]
	status 64 ipc-lock run --range 5 ./f -- true
	status 64 ipc-lock run --range x:1 ./f -- true
	status 64 ipc-lock run --range 9223372036854775807:9 ./f -- true
	status 64 ipc-lock run --range 1:1 --family flock ./f -- true
	drop
}

@test "-n, -w, -w 0, -E and -q" {
	need python3
	holder ./f
	status 75 ipc-lock run -n ./f -- true
	status 124 ipc-lock run -w 0 ./f -- true
	status 75 ipc-lock run -n -w 0 ./f -- true
	status 124 ipc-lock run -w 0.05 ./f -- true
	status 124 ipc-lock run -w 50ms -s ./f -- true
	status 9 ipc-lock run -n -E 9 ./f -- true
	status 9 ipc-lock run -w 50ms -E 9 ./f -- true
	status 75 ipc-lock run -nq ./f -- true
	[[ -z $stderr ]]
	drop
	hold posix x f
	status 124 ipc-lock run -w 50ms ./f -- true
	status 124 ipc-lock run -w 50ms --family posix ./f -- true
	drop
	hold flock x f
	status 124 ipc-lock run -w 50ms ./f -- true
}

@test "a waiter gets it when it is released, within its time" {
	holder ./f
	bg ipc-lock run -w 20 ./f -- touch got
	local waiter=$!
	until_true blocked $waiter
	[[ ! -e got ]]
	drop "$PID"
	wait $waiter
	[[ -e got ]]
}

@test "a conflict names the holder: pid, command, since" {
	need python3
	holder ./f
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == "ipc-lock run: ./f: busy: held by $PID (ipc-lock run ./f -- sh -c "*") since 20"* ]]
	[[ $(wc -l <.err) == 1 ]]
	status 1 ipc-lock test -v ./f
	[[ $output == "held by $PID "* ]]
	drop
	hold flock x f
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == *"held by $PID ("*python3*") since 20"* ]]
}

@test "since is when the lock was taken, not when it was asked for" {
	need python3
	hold flock x f
	bg ipc-lock run ./f -- sh -c 'echo $$ >cmd; exec sleep 1000'
	local waiter=$! t
	until_true blocked $waiter
	t=$(date +%s)
	until_true sh -c "[ \$(date +%s) -ge $((t + 2)) ]"
	drop "$PID"
	until_true [ -s cmd ]
	ipc-lock stat -J ./f | python3 -c '
import calendar, json, sys, time
d = json.load(sys.stdin)
since = calendar.timegm(time.strptime(d["holders"][0]["since"], "%Y-%m-%dT%H:%M:%SZ"))
assert since > '"$t"', (since, '"$t"')'
	kill "$(<cmd)"
	wait $waiter || :
}

@test "never a dead pid: a taker that died with its lock left to a child" {
	/usr/bin/flock f sh -c 'sleep 1000 & echo $! >child' 3>&- 4>&-
	sleeps "$(<child)"
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == *"held by $(<child) (sleep 1000)"* ]]
	status 0 ipc-lock stat ./f
	[[ $output == *" $(<child) "* ]]
	kill "$(<child)"
	until_true free ./f
}

@test "a conflict with many names four; stat shows ranges, and families" {
	need python3
	local i pids=() last
	for i in 1 2 3 4 5 6; do
		hold ofd s f
		pids+=("$PID")
	done
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == *" since "*", "*" and 2 more" ]]
	drop "${pids[@]}"
	hold ofd x f 10 0
	status 0 ipc-lock stat ./f
	[[ $output == *" 10- "* ]]
	drop
	hold posix x f 3 4
	last=$PID
	status 0 ipc-lock stat -J ./f
	[[ $output == *"\"pid\":$last"*'"families":["posix"]'*'"start":3,"end":6'* ]]
	status 75 ipc-lock run -n --family posix --range 0:4 ./f -- true
	status 64 ipc-lock stat ''
	drop
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	status 75 strace -o /dev/null -P ./f -e trace=/^fcntl -e inject=/^fcntl:error=EDEADLK ipc-lock run --family posix ./f -- true
	[[ $stderr == *"lock ./f: Resource deadlock "* ]]
}

@test "waiters that cannot be seen are counted" {
	need python3 root
	chmod 755 "$T"
	: >f
	chmod 666 f
	hold ofd x f
	bg ipc-lock run -w 60 --family ofd ./f -- true
	local waiter=$!
	until_true eval '[[ $(ipc-lock stat -J ./f) == *"\"waiters\":[{"* ]]'
	status 0 as_nobody ipc-lock stat ./f
	[[ $output == *"1 more waiting, not visible"* ]]
	drop
	wait $waiter
}

@test "a holder outside of our pid namespace is not visible, which is not to have gone" {
	need python3
	local as=(unshare -pfm)
	[[ $(id -u) == 0 ]] || as=(unshare -rpfm)
	"${as[@]}" --mount-proc true 2>/dev/null || skip "no pid namespaces here"
	holder ./f
	for proc in --mount-proc --; do
		status 75 "${as[@]}" $proc ipc-lock run -n ./f -- true
		[[ $stderr == "ipc-lock run: ./f: busy; its holder is not visible from here" || $proc == -- ]]
		[[ $stderr != *"has just gone"* ]]
		status 0 "${as[@]}" $proc ipc-lock stat -J ./f
		[[ $output == *'"holders_hidden":true'* ]]
	done
	# The same of a dotlock, with the pid of one that is none there.
	ipc-lock run --family dotlock ./l -- cp l copy
	cp copy l
	status 75 "${as[@]}" --mount-proc ipc-lock run -n --family dotlock ./l -- true
	[[ $stderr == *"not visible"* ]]
	drop
}

@test "holders of others are said to be invisible, not absent" {
	need root
	chmod 755 "$T"
	: >f
	chmod 666 f
	holder ./f
	status 75 as_nobody ipc-lock run -n ./f -- true
	[[ $stderr == *"its holder is not visible from here"* || $stderr == *"held by"* ]]
	status 0 as_nobody ipc-lock stat ./f
	[[ $output == *exclusive* || $output == *held* ]]
}

@test "a background child of the command does not keep the lock" {
	ipc-lock run ./f -- sh -c 'sleep 1000 >/dev/null 2>&1 3>&- 4>&- & echo $! >child'
	status 0 ipc-lock run -n ./f -- true
	kill "$(<child)"
}

@test "free at once when run has returned, every time" {
	local i
	for ((i = 0; i < 40; i++)); do
		ipc-lock run ./f -- true
		ipc-lock test ./f
	done
}

@test "the supervisor killed: the lock lives exactly as long as the command" {
	holder ./f ./g
	kill -KILL "$PID"
	wait "$PID" || :
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == *"held by $(<cmd) (sleep 1000) since "* ]]
	status 75 ipc-lock run -n ./g -- true
	status 1 flock -n ./f true
	kill "$(<cmd)"
	until_true free ./f
	until_true free ./g
}

@test "the keeper killed: nothing is lost, nothing is left" {
	holder ./f
	local keeper
	until_true kids "$PID" ipc-keeper
	keeper=$(kids "$PID" ipc-keeper)
	kill -KILL "$keeper"
	status 75 ipc-lock run -n ./f -- true
	kill "$(<cmd)"
	wait "$PID" || :
	until_true gone "$keeper"
	status 0 ipc-lock test ./f
}

@test "the keeper stays out of the group: ^C and kill -9 of the group leave the lock" {
	need python3
	ready setsid ipc-lock run ./f -- setsid sh -c 'echo $$ >cmd; echo >&8; exec 8>&-; exec sleep 1000'
	until_true kids "$PID" ipc-keeper
	sleeps "$(<cmd)"
	kill -KILL -- "-$PID"
	wait "$PID" || :
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == *"held by $(<cmd) (sleep 1000)"* ]]
	kill "$(<cmd)"
	until_true free ./f
	# No signal but KILL reaches it.
	holder ./f
	until_true kids "$PID" ipc-keeper
	local keeper
	keeper=$(kids "$PID" ipc-keeper)
	python3 -c "import os; [os.kill($keeper, s) for s in range(1, 65) if s not in (9, 19)]"
	kill -KILL "$PID"
	wait "$PID" || :
	status 75 ipc-lock run -n ./f -- true
	kill "$(<cmd)"
	until_true free ./f
}

@test "no process and no descriptor is left behind" {
	ipc-lock run "$T/f" -- true
	ipc-lock run "$T/f" -- ./none 2>/dev/null || :
	[[ -z $(running "^ipc-lock run $T/f") ]]
}

@test "stdout closes when the command has ended: nobody else keeps it open" {
	local got
	got=$(ipc-lock run ./f -- sh -c 'echo x; exec >&-; exec 2>&-; true')
	[[ $got == x ]]
	ready ipc-lock run ./f -- sh -c 'echo >&8; exec sleep 1000'
	# The keeper has no 0, 1, 2 and not 8.
	until_true kids "$PID" ipc-keeper
	local k
	k=$(kids "$PID" ipc-keeper)
	until_true eval '[[ $(find "/proc/$k/fd" -mindepth 1 | wc -l) == 2 ]]'
	drop
}

@test "TERM, INT and HUP reach the command, whose status is returned" {
	need python3
	local sig
	for sig in TERM INT HUP USR1; do
		# Background jobs of a script ignore INT, and that is inherited.
		ready python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' ipc-lock run ./f -- \
			bash -c 'sleep 1000 & trap "kill $!; exit 33" '$sig'; echo >&8; wait'
		kill -$sig "$PID"
		local got=0
		wait "$PID" || got=$?
		[[ $got == 33 ]]
		status 0 ipc-lock test ./f
	done
}

@test "--tree waits for all descendants, and a killed supervisor does not lose the lock" {
	ready ipc-lock run --tree ./f -- sh -c 'setsid sh -c "echo \$\$ >child; echo >&8; exec sleep 1000" & exit 3'
	status 75 ipc-lock run -n ./f -- true
	kill -0 "$PID"
	kill "$(<child)"
	local got=0
	wait "$PID" || got=$?
	[[ $got == 3 ]]
	status 0 ipc-lock test ./f
	ready ipc-lock run --tree ./f -- sh -c 'setsid sh -c "echo \$\$ >child; echo >&8; exec sleep 1000" & exit 3'
	kill -KILL "$PID"
	wait "$PID" || :
	status 75 ipc-lock run -n ./f -- true
	kill "$(<child)"
	until_true free ./f
}

only_one_kid() { [[ $(kids "$PID" | wc -l) == 1 ]]; }

@test "--tree passes a signal on to those that outlived the command" {
	ready ipc-lock run --tree ./f -- sh -c 'setsid sh -c "trap \"echo bye >said; exit\" TERM; echo >&8; while :; do sleep 1000 & wait; done" & exit 4'
	one_kid() { [[ $(kids "$PID" | wc -l) == 1 ]]; }
	until_true one_kid
	local child
	child=$(kids "$PID")
	kill "$PID"
	until_true [ -e said ]
	# shellcheck disable=SC2046
	kill -KILL $(kids "$PID" sleep) 2>/dev/null || :
	kill "$child" 2>/dev/null || :
	until_true free ./f
	[[ $(<said) == bye ]]
}

only_one_kid() { [[ $(kids "$PID" | wc -l) == 1 ]]; }

@test "--tree passes a signal on to every descendant, while the command runs and after it" {
	local got=0
	ready ipc-lock run --tree ./f -- sh -c 'setsid sh -c "sleep 600 & echo >&8; sleep 600; :" & exit 0'
	until_true only_one_kid
	kill "$PID"
	wait "$PID" || got=$?
	[[ $got == 0 ]]
	ready ipc-lock run --tree ./f -- sh -c 'echo >&8; sleep 600; :'
	kill "$PID"
	wait "$PID" || got=$?
	[[ $got == 143 ]]
	status 0 ipc-lock test ./f
}

@test "--exec becomes the command, --share-fd hands the lock to its children" {
	ready ipc-lock run --exec ./f -- sh -c 'echo $$ >cmd; echo >&8; exec sleep 1000'
	[[ $(<cmd) == "$PID" ]]
	status 75 ipc-lock run -n ./f -- true
	drop
	status 0 ipc-lock test ./f
	status 127 ipc-lock run --exec ./f -- ./none
	ipc-lock run --share-fd ./f -- sh -c 'sleep 1000 >/dev/null 2>&1 & echo $! >child'
	status 75 ipc-lock run -n ./f -- true
	kill "$(<child)"
	until_true free ./f
	status 64 ipc-lock run --exec --tree ./f -- true
	status 64 ipc-lock run --exec --remove ./f -- true
	status 64 ipc-lock run --share-fd --family posix ./f -- true
}

@test "several objects: all or none, each once" {
	need python3
	hold flock x b
	status 75 ipc-lock run -n ./a ./b ./c -- true
	[[ $stderr == *"./b: busy"* ]]
	status 0 ipc-lock run -n ./a ./c -- true
	status 124 ipc-lock run -w 50ms ./c ./b ./a -- true
	status 0 ipc-lock test ./a
	status 0 ipc-lock test ./c
	drop
	ln a a2
	status 0 ipc-lock run -w 5 ./a ./a ./a2 ./b -- ipc-lock test -v ./c
	status 1 ipc-lock run -w 5 ./a ./a2 -- ipc-lock test ./a
	status 64 ipc-lock run $(seq -f ./%g 61) -- true
}

@test "opposite orders do not deadlock" {
	local i
	loop() { for ((i = 0; i < 40; i++)); do ipc-lock run -w 20 "$@" -- true || return 1; done; }
	bg loop ./a ./b ./c
	local one=$!
	bg loop ./c ./b ./a
	local two=$!
	bg loop ./b ./a
	wait $one
	wait $two
	wait $!
}

@test "no deadlock with a program that holds flock and then wants fcntl" {
	need python3
	: >f
	cat >nest.py <<'END'
import fcntl, os, sys
f = open("f", "r+")
fcntl.flock(f, fcntl.LOCK_EX)
os.write(8, b"\n")
sys.stdin.read()
fcntl.lockf(f, fcntl.LOCK_EX)
END
	mkfifo go
	sleep 1000 >go &
	local keep=$!
	ready sh -c 'exec python3 nest.py <go'
	bg ipc-lock run -w 20 ./f -- touch got
	local waiter=$!
	until_true blocked $waiter
	kill $keep
	wait "$PID"
	wait $waiter
	[[ -e got ]]
}

@test "eight contenders, no lost update" {
	echo 0 >n
	work() {
		local i
		for ((i = 0; i < 50; i++)); do
			ipc-lock run ./f -- sh -c 'read -r n <n; echo $((n + 1)) >n'
		done
	}
	local i pids=()
	for ((i = 0; i < 8; i++)); do
		bg work
		pids+=($!)
	done
	wait "${pids[@]}"
	[[ $(<n) == 400 ]]
}

@test "a file replaced while we wait is noticed" {
	holder ./f
	bg ipc-lock run -w 20 ./f -- sh -c 'ipc-lock test ./f; echo $? >got'
	local waiter=$!
	until_true blocked $waiter
	mv f old
	: >f
	kill "$(<cmd)"
	wait $waiter
	[[ $(<got) == 1 ]] # it holds the new file, not the old one
}

@test "--remove: contenders that remove the file never hold it together" {
	work() {
		local i
		for ((i = 0; i < 40; i++)); do
			ipc-lock run -w 20 --remove ./f -- sh -c 'mkdir in || touch broken; rmdir in' || touch broken
		done
	}
	local i pids=()
	for ((i = 0; i < 6; i++)); do
		bg work
		pids+=($!)
	done
	wait "${pids[@]}"
	[[ ! -e broken && ! -e f ]]
}

@test "words live in IPC_DIR with mode 0600; -m is exact; umask counts for files" {
	umask 022
	ipc-lock run job -- true
	[[ $(stat -c %a "$IPC_DIR/job.lock" "$IPC_DIR") == $'600\n700' ]]
	ipc-lock run ./a -- true
	[[ $(stat -c %a a) == 644 ]]
	umask 077
	ipc-lock run -m 0664 ./b w -- true
	[[ $(stat -c %a b "$IPC_DIR/w.lock") == $'664\n664' ]]
	ipc-lock run -m 0600 ./b -- true
	[[ $(stat -c %a b) == 664 ]]
	[[ $(find . "$IPC_DIR" -name '.tmp*') == "" ]]
	status 75 ipc-lock run job -- ipc-lock run -n job -- true
}

@test "nothing is written into the file, and data in it stays" {
	echo data >f
	touch -d 2001-01-01 f
	ipc-lock run ./f -- true
	[[ $(<f) == data && $(date -r f +%Y) == 2001 ]]
}

@test "directories, read-only files and descriptors" {
	mkdir d
	status 1 ipc-lock run ./d -- flock -n d true
	status 75 ipc-lock run ./d -- ipc-lock run -n ./d -- true
	chmod 755 "$T"
	: >ro
	chmod 444 ro
	status 0 as_nobody ipc-lock run -v ./ro -- true
	[[ $stderr == *"only the flock(2) lock"* ]]
	! nobody_gets_here || status 75 as_nobody ipc-lock run ./ro -- ipc-lock run -n ./ro -- true
	status 0 as_nobody ipc-lock run -s --range 0:1 ./ro -- true
	status 77 as_nobody ipc-lock run --family ofd ./ro -- true
	status 77 as_nobody ipc-lock run --range 0:1 ./ro -- true
	status 77 ipc-lock run --family posix ./d -- true
	exec 7<>f
	status 75 ipc-lock run fd:7 -- ipc-lock run -n ./f -- true
	status 0 ipc-lock test fd:7
	flock 7
	status 1 ipc-lock test fd:7
	flock -n 7
	status 75 ipc-lock run -n ./f -- true
	exec 7>&-
	status 66 ipc-lock run fd:7 -- true
	[[ $stderr == *"no such descriptor"* ]]
}

@test "wrong things are told apart" {
	status 66 ipc-lock run ./none/f -- true
	[[ $stderr == "ipc-lock run: open ./none/f: No such file or directory" ]]
	chmod 755 "$T"
	: >secret
	chmod 600 secret
	if [[ $(id -u) == 0 ]]; then
		status 77 as_nobody ipc-lock run ./secret -- true
		status 77 as_nobody ipc-lock test ./secret
		status 77 as_nobody ipc-lock run ./new -- true
	fi
	status 64 ipc-lock run posix:/x -- true
	status 64 ipc-lock run @x -- true
	status 64 ipc-lock run ./f
	status 64 ipc-lock run -- true
	status 64 ipc-lock run -w x ./f -- true
	status 64 ipc-lock run -E 256 ./f -- true
	status 64 ipc-lock run --family nfs ./f -- true
	status 64 ipc-lock run -s -x ./f -- true
	status 64 ipc-lock run --bogus ./f -- true
	status 64 ipc-lock test
	status 64 ipc-lock test ./a ./b
	status 64 ipc-lock test '' 
	status 66 ipc-lock run "./$(printf 'x%.0s' {1..300})" -- true || status 64 ipc-lock run "./$(printf 'x%.0s' {1..300})" -- true
	[[ ! -e new && ! -e f ]]
}

@test "closed standard descriptors, a full stdout" {
	ipc-lock run ./f -- true <&- >&- 2>&-
	ipc-lock test ./f <&- >&- 2>&-
	local got=0
	ipc-lock stat ./f >/dev/full 2>/dev/null || got=$?
	[[ $got == 74 ]]
}

@test "test and stat: missing, free, held; nothing is made" {
	need python3
	status 0 ipc-lock test ./none
	status 0 ipc-lock test ./no/dir
	status 0 ipc-lock test word
	status 66 ipc-lock stat ./none
	status 66 ipc-lock stat word
	[[ ! -e none && ! -e $IPC_DIR/word.lock ]]
	: >f
	status 0 ipc-lock stat ./f
	[[ $output == "./f: free" ]]
	holder -s ./f
	local one=$PID
	holder -s ./f
	status 0 ipc-lock test -s ./f
	status 1 ipc-lock test ./f
	[[ -z $output$stderr ]]
	ipc-lock stat -J ./f | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["state"] == "shared", d
assert {h["pid"] for h in d["holders"]} == {'"$one, $PID"'}, d
for h in d["holders"]:
    assert h["mode"] == "shared" and set(h["families"]) == {"ofd", "flock"}, d
    assert h["command"].startswith("ipc-lock run -s ./f"), d'
	drop "$one" "$PID"
}

@test "stat shows who waits, and the token" {
	need python3
	holder ./f
	bg ipc-lock run ./f -- true
	local a=$!
	bg /usr/bin/flock f true
	local b=$!
	until_true blocked $a
	until_true blocked $b
	ipc-lock stat -J ./f | python3 -c '
import json, sys
d = json.load(sys.stdin)
w = {x["pid"] for x in d["waiters"]}
assert '"$b"' in w, d
assert '"$a"' in w or d["waiters_hidden"] > 0, d
assert d["token"] > 1e15 and d["holders"][0]["since"].endswith("Z"), d'
	status 0 ipc-lock stat ./f
	[[ $output == *waiting* ]]
	drop "$PID"
	wait $a $b
}

@test "test does not disturb: not one of many run -n at the same time fails" {
	: >f
	bg sh -c 'while [ ! -e stop ]; do ipc-lock test ./f; done'
	local tester=$! i
	for ((i = 0; i < 100; i++)); do
		ipc-lock run -n ./f -- true
	done
	touch stop
	wait $tester || :
}

@test "the token only grows: from lock to lock, over reboots, with a clock that was set back" {
	need python3
	: >f
	: >g
	# A mark of another boot that was far ahead of our clock.
	python3 -c 'import os; os.setxattr("f", "user.ipc.lock", b"5 8000000000000000000 other")' ||
		skip "no user attributes here"
	token() { ipc-lock run "$@" -- sh -c 'echo ${IPC_TOKEN-none}'; }
	[[ $(token ./f) == 8000000000000000001 ]]
	local last=8000000000000000001 next i args
	for args in ./f "./f ./g" ./g "./g ./f" ./f "-s ./g" ./g "-m 644 ./f ./g" ./f; do
		# shellcheck disable=SC2086
		next=$(token $args)
		((next > last)) || { echo "$args: $next after $last"; false; }
		last=$next
	done
	next=$(ipc-lock stat -J ./g | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
	((next > last))
	# Our own boot, at the end of what was reserved.
	python3 - "$last" <<'END'
import os, sys
base, limit, boot = os.getxattr("f", "user.ipc.lock").decode().split(" ")
os.setxattr("f", "user.ipc.lock", f"{base} {sys.argv[1]} {boot}".encode())
END
	next=$(token ./f)
	((next > last))
	[[ $(python3 -c 'import os; print(os.getxattr("f", "user.ipc.lock").decode().split(" ")[1])') -gt $next ]]
	[[ $(env IPC_TOKEN=5 ipc-lock run --range 0:1 ./g -- sh -c 'echo ${IPC_TOKEN-none}') == none ]]
}

@test "the token needs no write for each lock" {
	ipc-lock run ./f -- true
	local before
	before=$(stat -c %z f)
	ipc-lock run ./f -- true
	ipc-lock run -s ./f -- true
	[[ $(stat -c %z f) == "$before" ]]
}

@test "a hostile mark is not believed" {
	need python3
	: >f
	mark() { python3 -c 'import os, sys; os.setxattr("f", "user.ipc.lock", eval(sys.argv[1]))' "$1"; }
	mark 'b"1"' || skip "no user attributes here"
	local m out
	for m in 'b"\xff\x1b[31m " * 12' 'b"-5 99999999999999999999 -1"' 'b"9223372036854775807 9223372036854775807 x"' \
		'b"x" * 3000' 'b"1 2"' 'b" "' 'b"-9223372036854775808 1 " + open("/proc/sys/kernel/random/boot_id","rb").read(13)'; do
		mark "$m"
		out=$(ipc-lock run ./f -- sh -c 'echo $IPC_TOKEN')
		[[ $out =~ ^[0-9]{16}$ ]] || { echo "$m: $out"; false; }
	done
}

@test "dotlock: two start together, one wins; killed, the next takes over" {
	local i kids pids=()
	for i in 1 2; do
		bg ipc-lock run -n --family dotlock ./srv.pid -- sh -c 'echo won >>won; exec sleep 1000'
		pids+=($!)
	done
	until_true [ -e won ]
	until_true sh -c "! kill -0 ${pids[0]} 2>/dev/null || ! kill -0 ${pids[1]} 2>/dev/null"
	[[ $(wc -l <won) == 1 ]]
	status 1 ipc-lock test --family dotlock ./srv.pid
	status 75 ipc-lock run -n --family dotlock ./srv.pid -- true
	[[ $stderr == *"held by "*"since 20"* ]]
	for i in "${pids[@]}"; do
		kids=$(kids "$i") || kids=
		# shellcheck disable=SC2086
		kill -KILL "$i" $kids 2>/dev/null || :
		wait "$i" || :
	done
	[[ -e srv.pid ]]
	until_true ipc-lock test --family dotlock ./srv.pid
	status 0 ipc-lock run -n --family dotlock ./srv.pid -- true
	[[ ! -e srv.pid ]]
}

@test "dotlock: the supervisor killed, the command alive: not stale" {
	holder --family dotlock ./l
	kill -KILL "$PID"
	wait "$PID" || :
	status 75 ipc-lock run -n --family dotlock ./l -- true
	[[ $stderr == *"held by $(<cmd) (sleep 1000)"* ]]
	bg ipc-lock run -w 20 --family dotlock ./l -- touch got
	local waiter=$!
	until_true blocked $waiter
	kill "$(<cmd)"
	wait $waiter
	[[ -e got && ! -e l ]]
}

@test "dotlock: the supervisor killed before the command has signed: not stale" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	# Each is stopped in its own lseek(2), before it adds its line.
	bg strace -f -o trace -e trace=lseek -e inject=lseek:signal=STOP:when=1 \
		ipc-lock run --family dotlock ./l -- sh -c ': >first; exec sleep 60'
	local tracer=$! pid child
	until_true grep -qs 'stopped by SIGSTOP' trace
	pid=$(kids $tracer ipc-lock)
	kill -CONT "$pid"
	until_true sh -c '[ "$(grep -c "stopped by SIGSTOP" trace)" = 2 ]'
	child=$(kids "$pid")
	[[ $(wc -l <l) == 1 ]]
	kill -KILL "$pid"
	until_true gone "$pid"
	status 75 timeout 20 ipc-lock run -n --family dotlock ./l -- touch second
	status 1 ipc-lock test --family dotlock ./l
	kill -CONT "$child"
	until_true test -e first
	status 75 ipc-lock run -n --family dotlock ./l -- touch second
	[[ $stderr == *"held by $child "* && ! -e second ]]
	kill "$child"
	status 0 ipc-lock run -w 20 --family dotlock ./l -- touch second
}

@test "dotlock: many find one stale file, none overtakes the winner" {
	local round i pids
	for round in 1 2 3; do
		echo "4194303 1 $(cat /proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/pid) 1 $(uname -n)" >l
		pids=()
		for ((i = 0; i < 8; i++)); do
			bg ipc-lock run -w 20 --family dotlock ./l -- sh -c 'mkdir in || touch broken; rmdir in'
			pids+=($!)
		done
		for i in "${pids[@]}"; do wait "$i"; done
	done
	[[ ! -e broken && ! -e l ]]
	[[ $(find . -name '.tmp*') == "" ]]
}

@test "dotlock: who is late at a stale file does not take the winner's" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	echo "4194303 1 $(cat /proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/pid) 1 $(uname -n)" >l
	# One has found it stale and opened it, and is stopped there ...
	bg strace -o trace -P ./l -e trace=openat -e inject=openat:signal=STOP:when=2 \
		ipc-lock run -n --family dotlock ./l -- touch both
	local late=$! pid
	until_true kids $late ipc-lock
	pid=$(kids $late ipc-lock)
	until_true grep -q '^State:.*[Tt] ' "/proc/$pid/status"
	until_true grep -q 'stopped by SIGSTOP' trace
	# ... while another takes it over.
	holder --family dotlock ./l
	kill -CONT "$pid"
	local got=0
	wait $late || got=$?
	[[ $got == 75 && ! -e both ]]
	status 1 ipc-lock test --family dotlock ./l
	drop
}

@test "dotlock: a stale file that goes, or comes to life, while it is looked at" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	local n pid late got boot ns
	boot=$(</proc/sys/kernel/random/boot_id) ns=$(readlink /proc/self/ns/pid)
	for n in 1 2; do
		echo "4194303 1 $boot $ns 1 $(uname -n)" >l
		# Stopped when it has opened the file to look at it (1), or to take its place (2).
		bg strace -o trace -P ./l -e trace=openat -e inject=openat:signal=STOP:when=$n \
			ipc-lock run -n --family dotlock ./l -- touch ran
		late=$!
		until_true grep -qs 'stopped by SIGSTOP' trace
		pid=$(kids $late ipc-lock)
		if [[ $n == 1 ]]; then rm l; else echo "$$ $(cut -d' ' -f22 </proc/$$/stat) $boot $ns 1 $(uname -n)" >l; fi
		rm trace
		kill -CONT "$pid"
		got=0
		wait $late || got=$?
		if [[ $n == 1 ]]; then [[ $got == 0 && -e ran && ! -e l ]]; else [[ $got == 75 && -s l && ! -e ran ]]; fi
		rm -f ran
	done
}

@test "dotlock: another is taking the stale file over" {
	echo "4194303 1 $(</proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/pid) 1 $(uname -n)" >l
	status 75 /usr/bin/flock l ipc-lock run -n --family dotlock ./l -- true
	[[ $stderr == "ipc-lock run: ./l: busy: another takes it over" ]]
	status 124 /usr/bin/flock l ipc-lock run -w 10ms --family dotlock ./l -- true
	status 0 ipc-lock run -n --family dotlock ./l -- true
}

@test "dotlock: a waiter that is told of nothing looks again each second" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	local call waiter
	for call in inotify_init1 inotify_add_watch; do
		echo "1 1 boot ns 1 elsewhere" >l
		bg strace -o trace -e trace=$call,ppoll,poll -e inject=$call:error=ENOSPC \
			ipc-lock run -w 60 --family dotlock ./l -- true
		waiter=$!
		until_true grep -qs 'poll(' trace
		rm l
		wait $waiter
		rm trace
	done
}

@test "dotlock: a file that the command cannot sign keeps it from starting" {
	local first
	ipc-lock run --family dotlock ./l -- cp l copy
	read -r first <copy
	[[ $(wc -l <copy) == 2 ]]
	status 125 prlimit --fsize=$((${#first} + 5)) ipc-lock run --family dotlock ./l -- touch ran
	[[ $stderr == "ipc-lock run: start touch: File too large" && ! -e ran && ! -e l ]]
}

@test "dotlock: the host without a name, links to nothing, words without a directory, test" {
	need python3
	ln -s none link
	status 77 ipc-lock run --family dotlock ./link -- true
	[[ -h link && ! -e none ]]
	status 0 ipc-lock test --family dotlock word
	: >plain
	status 66 env IPC_DIR=plain/dir ipc-lock run --family dotlock word -- true
	status 64 ipc-lock test --family dotlock -s ./l
	status 64 ipc-lock test --family dotlock fd:0
	status 65 ipc-lock test --family dotlock ./plain
	echo "1 0 boot ns 1 elsewhere" >l
	status 1 ipc-lock test -v --family dotlock ./l
	[[ $output == "held by 1 on elsewhere" ]]
	status 0 ipc-lock stat ./l
	[[ $output == *"? on elsewhere"* ]]
	# A line that makes no sense ends what is read: the first one is stale.
	printf '%s\nnot a line\n' "4194303 1 $(</proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/pid) 1 $(uname -n)" >l
	status 0 ipc-lock run -n --family dotlock ./l -- true
	echo "0 1 boot ns 1 elsewhere" >l
	status 65 ipc-lock test --family dotlock ./l
	[[ $(id -u) == 0 ]] && unshare --uts true 2>/dev/null || return 0
	rm l
	status 0 unshare --uts sh -c 'python3 -c "import socket; socket.sethostname(str())"; ipc-lock run --family dotlock ./l -- cat l'
	[[ $output == *" localhost"* ]]
}

@test "dotlock: another boot is proof of death only with the same machine-id" {
	[[ $(cat /etc/machine-id) =~ ^[0-9a-f]{32}$ ]] || skip "this machine has no machine-id"
	local as=(unshare -m) m
	[[ $(id -u) == 0 ]] || as=(unshare -rm)
	"${as[@]}" true 2>/dev/null || skip "no mount namespaces here"
	ipc-lock run --family dotlock ./l -- cp l copy
	echo 00000000-0000-0000-0000-000000000000 >boot
	printf '%032d\n' 7 >other
	: >none
	elsewhere() {
		"${as[@]}" sh -c 'mount --bind boot /proc/sys/kernel/random/boot_id || exit 99
			[ "$1" = same ] || mount --bind "$1" /etc/machine-id || exit 99
			shift; exec "$@"' sh "$@"
	}
	for m in other none; do
		cp copy l
		status 75 elsewhere $m ipc-lock run -n --family dotlock ./l -- touch ran
		[[ $stderr == *"of another boot; remove it by hand if it is left over" && ! -e ran ]]
		cmp copy l
	done
	# A line of before there were machine-ids.
	sed 's/ [0-9a-f]*$//' copy >l
	status 75 elsewhere same ipc-lock run -n --family dotlock ./l -- touch ran
	cp copy l
	status 0 elsewhere same ipc-lock run -n --family dotlock ./l -- touch ran
	[[ -e ran && ! -e l ]]
}

@test "dotlock: a dead process is stale, another host, boot or namespace is not, a stranger's file is refused" {
	local boot ns
	boot=$(cat /proc/sys/kernel/random/boot_id)
	ns=$(readlink /proc/self/ns/pid)
	echo "$$ 1 00000000-0000-0000-0000-000000000000 $ns 1 $(uname -n)" >l
	status 75 ipc-lock run -n --family dotlock ./l -- true
	echo "4194303 1 00000000-0000-0000-0000-000000000000 $ns 1 elsewhere" >l
	status 75 ipc-lock run -n --family dotlock ./l -- true
	[[ $stderr == *elsewhere* ]]
	echo "4194303 1 $boot pid:[1] 1 $(uname -n)" >l
	status 75 ipc-lock run -n --family dotlock ./l -- true
	echo "$$ 1 $boot $ns 1 $(uname -n)" >l # the pid lives, but began at another time
	status 0 ipc-lock run -n --family dotlock ./l -- true
	local text
	for text in "" 4194303 "not a lock" "4194303 1 $boot $ns 1 "; do
		printf %s "$text" >l
		status 65 ipc-lock run -n --family dotlock ./l -- true
		[[ $(<l) == "$text" ]]
	done
	rm l
	status 64 ipc-lock run -s --family dotlock ./l -- true
	status 64 ipc-lock run --family dotlock fd:1 -- true
	status 66 ipc-lock run --family dotlock ./no/l -- true
}

@test "dotlock: several, all or none, and released in any case" {
	holder --family dotlock ./b
	status 75 ipc-lock run -n --family dotlock ./c ./b ./a -- true
	[[ ! -e a && ! -e c ]]
	drop
	status 127 ipc-lock run --family dotlock ./c ./b ./a ./a -- ./none
	[[ $(echo ?) == "f" || ! -e a && ! -e b && ! -e c ]]
	status 0 ipc-lock run --family dotlock w -- ipc-lock stat w
	[[ $output == *"exclusive (dotlock)"* ]]
}

# What flock(1) itself does, and its drop-in: the same statuses, and the same words of its own.
@test "flock drop-in: the statuses of util-linux's flock in every form" {
	[[ $(/usr/bin/flock --version) == *util-linux* ]] || skip "no util-linux flock"
	mkdir ours
	ln -s "$IPCBOX_BUILD/ipcbox" ours/flock
	: >held
	chmod 755 .
	exec 9>held
	/usr/bin/flock 9
	local line a b bad=0
	while IFS= read -r line; do
		[[ -n $line ]] || continue
		a=0 b=0
		(rm -f f new; eval "PATH=/usr/bin:/bin; flock $line") >out.a 2>err.a 3>&- </dev/null || a=$?
		(rm -f f new; eval "PATH=$T/ours:/usr/bin:/bin; flock $line") >out.b 2>err.b 3>&- </dev/null || b=$?
		if [[ $a != "$b" ]] || ! cmp -s out.a out.b; then
			echo "flock $line: theirs $a, ours $b"
			diff out.a out.b || :
			bad=1
		fi
	done <<'END'

f
9x
0x9
99
99999999999
-1
9
" 9"
-u 9
-n 9
-s 9
-o 9
f true
f false
f sh -c 'exit 42'
f sh -c 'kill -KILL $$'
f sh -c 'kill -TERM $$'
f -c 'echo hello; exit 5'
f --command 'echo hello'
f -c
f -c a b
-c true f
f -- true
-- f echo hi
f -n true
f /nonexistent
f nonexistent
f /etc/passwd
-F f /nonexistent
-F f echo x
-F f sh -c 'exit 9'
-F -o f true
-o f echo x
-o f /nonexistent
-u f echo u
-x f echo x
-e f echo e
-s f echo s
-s -s f true
--shared f true
--shar f true
--exclusive f true
--unlock f true
--close f true
--no-fork f true
--no f true
--nb f true
--nonblock f true
--nonblocking f true
--wait 1 f true
--wait=1 f true
--timeout 1.5 f true
--time 1 f true
-w 1 f true
-w1 f true
-w .5 f true
-w 0 f true
-w x f true
-w '' f true
-w 1m f true
-w -1 f true
-w
-E 5 f true
-E0 f true
-E 300 f true
-E -1 f true
-E x f true
-nE5 f true
--conflict-exit-code 5 f true
-q f true; :
--bogus f true
-? f true
-n held true
-n -s held true
-nE 33 held true
-E 0 -n held true
-w 0 held true
-w 0.05 held true
-w .05 -E 44 held true
--verbose -n held true
--nb held true
-n held -c 'echo never'
-n -x . true
. true
. -c 'exit 7'
/nodir/f true
"" true
/dev/null true
-n f -c 'flock -n f true'
-n f sh -c 'flock -ns f true'
-ns f sh -c 'flock -ns f true'
-ns f sh -c 'flock -n f true'
-o f sh -c 'flock -n f true'
-u f sh -c 'flock -n f true'
f sh -c 'flock -n 3'
9 true
f sh -c 'flock -n f true; echo $?'
END
	[[ $bad == 0 ]]
}

@test "flock drop-in: its messages" {
	need python3
	ln -s "$IPCBOX_BUILD/ipcbox" flock
	/usr/bin/flock f true
	status 69 ./flock f /none
	[[ $stderr == "flock: failed to execute /none: No such file or directory" ]]
	status 66 ./flock /no/f true
	[[ $stderr == "flock: cannot open lock file /no/f: No such file or directory" ]]
	status 65 ./flock 99
	[[ $stderr == "flock: 99: Bad file descriptor" ]]
	status 64 ./flock x
	[[ $stderr == "flock: bad file descriptor: 'x'" ]]
	status 64 ./flock -w x f true
	[[ $stderr == *"x"* ]]
	status 0 ./flock --verbose f true
	[[ $output == "flock: getting lock took 0."*$'seconds\nflock: executing true' ]]
	hold flock x f
	status 1 ./flock -n f true
	[[ -z $stderr$output ]]
	status 1 ./flock -n --verbose f true
	[[ $stderr == "flock: failed to get lock" ]]
	status 1 ./flock -w 0.05 --verbose f true
	[[ $stderr == "flock: timeout while waiting to get lock" ]]
	status 0 ./flock --help
	[[ $output == "usage: flock [OPTIONS] FILE|DIR|FD"* ]]
	status 0 ./flock -V
	status 74 eval './flock --verbose g touch ran >/dev/full'
	[[ ! -e ran ]]
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	# Where flock(2) is an fcntl lock it needs a file open for writing.
	status 0 strace -o trace -e trace=openat,flock -e inject=flock:error=EBADF:when=1 ./flock g true
	grep -q '"g", O_RDWR' trace
	status 65 strace -o trace -e trace=openat,flock -e inject=flock:error=EBADF ./flock g true
	[[ $stderr == "flock: g: Bad file descriptor" ]]
	status 65 strace -o trace -e trace=openat,flock -e inject=flock:error=EBADF:when=1 -e inject=openat:error=EACCES:when=2+ -P g ./flock g true
	[[ $stderr == *"flock: g: Permission denied"* ]]
}

@test "flock drop-in: the descriptor is inherited, the idiom works, only flock(2) is taken" {
	need python3
	ln -s "$IPCBOX_BUILD/ipcbox" flock
	./flock f sh -c 'sleep 1000 >/dev/null 2>&1 & echo $! >child'
	status 1 /usr/bin/flock -n f true
	kill "$(<child)"
	until_true /usr/bin/flock -n f true
	(
		./flock -n 7 || exit 1
		status 1 /usr/bin/flock -n f true
	) 7>f
	(./flock 7; ./flock -u 7; status 0 /usr/bin/flock -n f true) 7>f
	status 0 ./flock f python3 -c 'import fcntl; fcntl.lockf(open("f","r+"), fcntl.LOCK_EX|fcntl.LOCK_NB)'
	status 0 ipc-lock ./f echo fallback
	status 0 ipc-lock -n ./f -c 'echo fallback'
	status 1 ipc-lock ./f /usr/bin/flock -n f true
}

@test "flock -o: killed by SIGKILL, the lock lives as long as the command; no child leaks it" {
	ln -s "$IPCBOX_BUILD/ipcbox" flock
	ready ./flock -o f sh -c 'echo $$ >cmd; echo >&8; exec sleep 1000'
	kill -KILL "$PID"
	wait "$PID" || :
	status 1 /usr/bin/flock -n f true
	kill "$(<cmd)"
	until_true /usr/bin/flock -n f true
	./flock -o f sh -c 'sleep 1000 >/dev/null 2>&1 & echo $! >child'
	status 0 /usr/bin/flock -n f true
	kill "$(<child)"
}

@test "flock drop-in: TERM reaches the command, we wait for it" {
	ln -s "$IPCBOX_BUILD/ipcbox" flock
	ready ./flock f sh -c 'echo $$ >cmd; echo >&8; exec sleep 1000'
	kill "$PID"
	local got=0
	wait "$PID" || got=$?
	[[ $got == 143 ]]
	gone "$(<cmd)"
	status 0 /usr/bin/flock -n f true
}

@test "on NFS only one family is taken" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	: >f
	local poke=fstatfs:poke_exit=@arg2=6969000000000000
	[[ $(word_bits) == 64 ]] || poke=fstatfs64:poke_exit=@arg3=69690000
	strace -o trace -e trace=/^fcntl,flock,/^fstatfs -e "inject=$poke" \
		ipc-lock run -v ./f -- true 2>err || skip "this strace cannot poke"
	grep -q F_OFD_SETLK trace
	[[ $(grep -c '^flock' trace) == 0 ]]
	grep -q 'only the fcntl(2) lock' err
}

@test "interrupted calls are restarted; failed ones leave nothing behind" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	local call
	for call in openat fcntl flock wait4; do
		status 0 strace -o /dev/null -e trace=$call -e inject=$call:error=EINTR:when=4 ipc-lock run ./f -- true ||
			status 0 strace -o /dev/null -e trace=$call -e inject=$call:error=EINTR:when=1 ipc-lock run ./f -- true
	done
	# The second look, after the one SIGCHLD that comes.
	status 0 timeout 20 strace -o /dev/null -e trace=wait4 -e inject=wait4:error=EINTR:when=2 ipc-lock run ./f -- sleep 0.2
	status 125 strace -o /dev/null -e trace=vfork -e inject=vfork:error=EAGAIN ipc-lock run ./f -- touch ran
	[[ $stderr == *"start touch"* ]]
	status 125 strace -f -o /dev/null -e trace=clone -e inject=clone:error=EAGAIN ipc-lock run ./f -- touch ran
	status 125 strace -f -o /dev/null -e trace=pidfd_open -e inject=pidfd_open:error=EMFILE ipc-lock run ./f -- touch ran
	[[ ! -e ran ]]
	status 71 strace -o /dev/null -P ./f -e trace=openat -e inject=openat:error=EMFILE ipc-lock run ./f -- touch ran
	[[ $stderr == *"ipc-lock run: open ./f: "*[Ff]ile* ]]
	status 71 strace -o /dev/null -e trace=flock -e inject=flock:error=ENOLCK ipc-lock run ./f -- touch ran
	status 0 strace -o /dev/null -e trace=fsetxattr -e inject=fsetxattr:error=ENOSPC ipc-lock run ./new -- true
	status 0 strace -o /dev/null -e trace=fgetxattr,fsetxattr -e inject=fgetxattr:error=EOPNOTSUPP -e inject=fsetxattr:error=EOPNOTSUPP ipc-lock run ./f -- sh -c 'echo $IPC_TOKEN'
	[[ $output =~ ^[0-9]{16}$ && ! -e ran ]]
	status 0 ipc-lock test ./f
}

@test "killed at every system call, the lock is never stuck" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	local call n
	for call in openat fcntl flock fsetxattr vfork clone wait4 kill; do
		for n in 1 2; do
			strace -f -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$n \
				ipc-lock run ./f -- true >/dev/null 2>&1 || :
			until_true free ./f
			ipc-lock run -w 10 ./f -- true
		done
	done
}

# watch FILE: python3 prints the names of the inotify(7) events of FILE's opens and closes, until FILE is
# removed; "ready" comes first.
watch() {
	python3 - "$1" <<-'EOF'
		import ctypes, os, struct, sys
		libc = ctypes.CDLL(None)
		names = {0x8: "CLOSE_WRITE", 0x10: "CLOSE_NOWRITE"}
		fd = libc.inotify_init1(0)
		libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x8 | 0x10 | 0x400)
		print("ready", flush=True)
		while True:
		    data = os.read(fd, 4096)
		    while data:
		        wd, mask, cookie, size = struct.unpack_from("iIII", data)
		        data = data[16 + size:]
		        if mask & 0x400:
		            sys.exit()
		        print(names.get(mask, mask), flush=True)
	EOF
}

@test "a program can be locked and run, by us and by others" {
	printf '#!/bin/sh\necho hi\n' >job
	chmod +x job
	status 0 ipc-lock run ./job -- ./job
	[[ $output == hi && -z $stderr ]]
	status 0 ipc-lock run -s ./job -- ./job
	status 0 ipc-lock run --family flock ./job -- ./job
	status 0 flock ./job ./job
	mkfifo up down
	bg ipc-lock run -v ./job -- sh -c 'echo >up; read -r x <down' 2>err
	read -r <up
	[[ $(./job) == hi ]]
	status 75 ipc-lock run -n ./job -- true
	status 1 flock -n ./job true
	echo >down
	wait $!
	[[ $(<err) == *"only the flock(2) lock is taken"* ]]
	# Asked for by name, both are taken; then it cannot be run.
	status 126 ipc-lock run --family both ./job -- ./job
	[[ $stderr == *"Text file busy"* ]]
}

@test "a program that runs is locked all the same" {
	cp "$(command -v sleep)" prog
	bg ./prog 60
	status 0 ipc-lock run ./prog -- echo locked
	[[ $output == locked ]]
}

@test "who only shares a lock, or takes flock alone, is no writer of the file" {
	need python3
	: >data
	mkfifo events
	exec 7<>events
	bg watch data >&7
	local line words=()
	read -r -t 20 line <&7
	[[ $line == ready ]]
	ipc-lock run -s ./data -- true
	ipc-lock run --family flock ./data -- true
	ln -s "$IPCBOX_BUILD/ipcbox" flock
	./flock data true
	./flock -s --fcntl data true
	ipc-lock run ./data -- true
	rm data
	wait $!
	while read -r -t 0.1 line <&7; do words+=("$line"); done
	[[ ${words[*]} == "CLOSE_NOWRITE CLOSE_NOWRITE CLOSE_NOWRITE CLOSE_NOWRITE CLOSE_WRITE" ]]
}

@test "a descriptor that is open one way only is locked as far as that goes" {
	exec 9>f 8>>f
	status 0 ipc-lock acquire -s 9
	status 0 ipc-lock release 9
	status 0 ipc-lock run -s fd:9 -- echo in
	[[ $output == in ]]
	status 0 ipc-lock run -s fd:8 -- echo in
	[[ $output == in ]]
	status 77 ipc-lock acquire -s --family ofd 9
	[[ $stderr == *"may be read"* ]]
	status 0 ipc-lock acquire 9
	status 75 ipc-lock run -n ./f -- true
}

@test "a file that may only be written can be shared" {
	: >f
	chmod 200 f
	status 0 as_nobody true
	ipc-lock run -s ./f -- true
	ipc-lock run ./f -- true
}

# lease: python3 holds a read lease on f and gives it up when asked to, after the file "let" is there.
lease() {
	python3 - <<-'EOF'
		import fcntl, os, signal, time
		def asked(*_):
		    open("asked", "w")
		    end = time.time() + 30
		    while not os.path.exists("let") and time.time() < end:
		        time.sleep(0.01)
		    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
		    os._exit(0)
		signal.signal(signal.SIGIO, asked)
		fd = os.open("f", os.O_RDONLY)
		fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
		open("leased", "w")
		while True:
		    signal.pause()
	EOF
}

@test "a lease on the file is waited for; -n and -w say so" {
	need python3
	: >f
	bg lease
	until_true test -e leased
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == *"busy: another process has a lease"* ]]
	until_true test -e asked
	status 124 ipc-lock run -w 0.1 ./f -- true
	bg ipc-lock run ./f -- echo locked >out
	until_true blocked $!
	: >let
	wait $!
	[[ $(<out) == locked ]]
}

@test "flock drop-in: --fcntl, --start, --length, --fd" {
	need python3
	ln -s "$IPCBOX_BUILD/ipcbox" flock
	exec 9<>f
	status 0 ./flock --fcntl -n f sh -c './flock -n f echo both'
	[[ $output == both ]]
	status 1 ./flock --fcntl f ./flock --fcntl -n f true
	status 7 ./flock --start 10 f ./flock -E 7 --start 4 --length 7 -n f true
	status 0 ./flock --start 10 f ./flock --start 4 --length 6 -n f true
	status 0 ./flock --length 1K f ./flock --start 1024 -n f true
	hold ofd x f
	status 1 ./flock --fcntl -n f true
	status 0 ./flock -n f true
	status 0 ./flock --fd 9 echo one two
	[[ $output == "one two" ]]
	status 3 ./flock --fd 9 -c 'exit 3'
	status 0 ./flock --fd 9 ./flock -n --fd 9 echo inherited
	[[ $output == inherited ]]
	status 65 ./flock -o --fd 9 ./flock -n --fd 9 true
	[[ $stderr == "flock: 9: Bad file descriptor" ]]
	status 65 ./flock --fcntl -u 99
	status 64 ./flock --fd 9
	[[ $stderr == "flock: missing command" ]]
	status 64 ./flock -c true
	status 64 ./flock --start x f true
}

@test "flock drop-in: fractions of a second in every form" {
	ln -s "$IPCBOX_BUILD/ipcbox" flock
	local w
	for w in 5. 1e1 .5 ' 5' 0x10 1e-3; do
		status 0 ./flock -w "$w" f true
	done
	for w in '5 ' x ''; do
		status 64 ./flock -w "$w" f true
	done
	for w in -1 inf nan 1e30; do
		status 71 ./flock -w "$w" f true
	done
}

@test "without OFD locks flock alone is taken, and -v says so" {
	need refuse
	mkfifo up down
	status 0 refuse ofd EINVAL -- ipc-lock run -v ./f -- flock -n ./g echo in
	[[ $output == in && $stderr == *"./f: only the flock(2) lock is taken"* ]]
	bg refuse ofd EINVAL -- ipc-lock run ./f -- sh -c 'echo >up; read -r x <down'
	read -r <up
	status 75 ipc-lock run -n ./f -- true
	status 75 refuse ofd EINVAL -- ipc-lock run -n ./f -- true
	echo >down
	wait $!
	status 0 refuse ofd EINVAL -- ipc-lock run -n ./f -- true
	status 71 refuse ofd EINVAL -- ipc-lock run --family ofd --range 0:1 ./f -- true
	[[ $stderr == *"ot supported"* ]]
}

@test "without OFD locks spools and segments are locked as a whole, and slots say what is missing" {
	need refuse
	ipc-spool create ./q
	status 0 refuse ofd EINVAL -- sh -c 'echo job | ipc-spool put ./q && ipc-spool run ./q -- cat'
	[[ $output == *$'\njob' ]]
	ipc-shm create -S 4096 ./m
	status 0 refuse ofd EINVAL -- sh -c 'ipc-shm write ./m text && ipc-shm read --length 4 ./m'
	[[ $output == text ]]
	status 71 refuse ofd EINVAL -- ipc-sem run ./s -- true
	[[ $stderr == *"ot supported"* ]]
}
