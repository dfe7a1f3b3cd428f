#!/usr/bin/env bats
# ipc-spool: jobs that survive everything, taken in order by one worker at a time. At the other end stand
# cat and find, python's fcntl, strace, and kill -9.
# shellcheck disable=SC2012,SC2046,SC2086
load helper

TORTURE=$BATS_TEST_DIRNAME/torture

names() { find q -type f \( -path '*/new/*' -o -path '*/cur/*' -o -path '*/delayed/*' \) | sort; }
tmp_empty() { [[ -z $(ls q/tmp) ]]; }
counts() { # "ready N" lines of stat as one line: 1 0 0 0 0 0
	ipc-spool stat -q ./q | awk 'NR <= 6 { printf "%s%s", s, $2; s = " " } END { print "" }'
}
is() { # GOT WANT
	[[ $1 == "$2" ]] || { echo "got:  $1"; echo "want: $2"; return 1; }
}
no_guard() { # of this test
	local p
	for p in $(running 'ipc-spool guard'); do
		[[ $(readlink "/proc/$p/cwd") != "$PWD" ]] || return 1
	done
}
leased() { [[ $(counts) == "$1" ]]; }
# start CMD...: bg, with the pid in $PID: until_true changes $!.
start() {
	bg "$@"
	PID=$!
}
# worker: take a job for a shell of its own that then sleeps; $WORKER is its pid.
worker() {
	start sh -c 'ipc-spool take --owner $$ ./q >taken.tmp && mv taken.tmp taken; exec sleep 1000'
	WORKER=$PID
	until_true test -e taken
}

# ---- put ----

@test "put makes the spool at first use and prints an id for each line of stdin" {
	printf 'one\ntwo\n\n' | ipc-spool put ./q >ids
	is "$(cat ids)" $'000000000001\n000000000002\n000000000003'
	is "$(find q/new -type f | sort | tr '\n' ' ')" \
		"q/new/5/00000000/00/000000000001.5.0 q/new/5/00000000/00/000000000002.5.0 q/new/5/00000000/00/000000000003.5.0 "
	is "$(cat q/new/5/00000000/00/000000000001.5.0)" one
	is "$(stat -c '%a %s' q/new/5/00000000/00/000000000003.5.0)" "600 0"
	is "$(stat -c %a q)" 700
	tmp_empty
}

@test "put takes files, -, --raw, -0 and --record-size, bytes untouched" {
	head -c 300000 /dev/urandom >a
	printf 'x\0y\nz\0' >b
	ipc-spool put ./q a b >/dev/null
	ipc-spool put ./q - <a >/dev/null
	ipc-spool put --raw ./q <b >/dev/null
	ipc-spool put -0 ./q <b >/dev/null
	printf abcdef | ipc-spool put --record-size 3 ./q >/dev/null
	set -- $(names)
	is $# 8
	cmp a "$1"
	cmp b "$2"
	cmp a "$3"
	cmp b "$4"
	is "$(od -An -c "$6" | tr -d ' ')" 'y\nz'
	is "$(cat "$8")" def
	printf abcd >odd
	r=0
	ipc-spool put --record-size 3 ./q <odd 2>err || r=$?
	is $r 65
	tmp_empty
}

@test "a bare word is \$IPC_DIR/WORD.spool, file: and paths are paths, sockets are none" {
	echo x | ipc-spool put jobs
	[[ -f $IPC_DIR/jobs.spool/format ]]
	echo x | ipc-spool put file:q
	[[ -f q/format ]]
	for o in tcp:a:1 @x posix:/x fd:3 sysv:1; do status 64 ipc-spool ls "$o"; done
	is "$(ipc-spool run jobs -- sh -c 'echo $IPC_OBJECT')" "$IPC_DIR/jobs.spool"
}

@test "usage errors are 64 and missing spools 66" {
	status 64 ipc-spool put -p 10 ./q
	status 64 ipc-spool put --sync maybe ./q
	status 64 ipc-spool ack ./q
	status 64 ipc-spool ack ./q x
	status 64 ipc-spool run ./q
	status 64 ipc-spool run -j 0 ./q -- true
	status 64 ipc-spool take --nosuch ./q
	status 64 ipc-spool put -w soon ./q
	for v in ls stat rm "wait"; do status 66 ipc-spool $v ./q; done
	status 66 ipc-spool ack ./q 1
	status 66 ipc-spool put ./q /no/such/file
	[[ ! -e q/new/5 ]]
}

@test "--sync full: bytes, name and directory are on disk before the id is printed; data and none do less" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	ipc-spool create ./q
	echo x | ipc-spool put ./q # makes the bucket
	trace() { echo y | strace -o t -e trace=fsync,fdatasync,syncfs,renameat2,write ipc-spool put "$@" ./q >/dev/null; }
	trace
	is "$(grep -oE '^(fsync|renameat2|write\(1)' t | tr '\n' ' ')" "fsync renameat2 fsync write(1 "
	trace --sync data
	is "$(grep -oE '^(fsync|fdatasync|renameat2|write\(1)' t | tr '\n' ' ')" "fdatasync renameat2 write(1 "
	trace --sync none
	is "$(grep -oE '^(fsync|fdatasync|syncfs|renameat2)' t | tr '\n' ' ')" "renameat2 "
	seq 60 | strace -o t -e trace=fsync,fdatasync,syncfs ipc-spool put ./q >/dev/null
	[[ $(grep -c sync t) -le 5 ]] || { cat t; false; }
}

@test "many records share their syncs, and each group's ids come out before the next is read" {
	mkfifo in out
	start sh -c 'exec ipc-spool put ./q <in >out'
	exec 7>in 6<out
	printf 'a\nb\n' >&7
	read -r -t 20 one <&6
	read -r -t 20 two <&6
	is "$one $two" "000000000001 000000000002"
	echo c >&7
	read -r -t 20 three <&6
	is "$three" 000000000003
	exec 7>&- 6<&-
	wait $PID
}

@test "a put that fails leaves nothing: full disk, EIO at each sync, a record too long, a stop signal" {
	ipc-spool create ./q
	if [[ $(id -u) == 0 ]] && mkdir small && mount -t tmpfs -o size=256k tmpfs small 2>/dev/null; then
		ipc-spool create small/q
		head -c 400000 /dev/zero >big
		r=0
		ipc-spool put small/q big >ids 2>err || r=$?
		left=$(find small/q/tmp small/q/new -type f)
		umount small
		is "$r" 71
		is "$left$(cat ids)" ""
		grep -q 'No space left' err
	fi
	if command -v strace >/dev/null && [[ -z ${IPCBOX_SANITIZE-} ]]; then
		echo x | ipc-spool put ./q
		for n in 1 2; do
			r=0
			echo y | strace -o t -e trace=fsync -e inject=fsync:error=EIO:when=$n \
				ipc-spool put ./q >ids 2>err || r=$?
			is "$r $(cat ids)" "74 "
			is "$(names | wc -l)" 1
		done
		r=0
		echo y | strace -o t -e inject=write:error=ENOSPC:when=1 ipc-spool put ./q >ids 2>err || r=$?
		is "$r $(cat ids)" "71 "
		is "$(names | wc -l)" 1
	fi
	tmp_empty
	mkfifo in
	start sh -c 'exec ipc-spool put ./q <in'
	exec 7>in
	echo half | head -c 3 >&7
	until_true blocked $PID
	kill -TERM $PID
	r=0
	wait $PID || r=$?
	is $r 143
	tmp_empty
}

@test "stdout that cannot be written is an error, a closed stdin too" {
	r=0
	echo x | ipc-spool put ./q >/dev/full 2>err || r=$?
	is $r 74
	r=0
	ipc-spool put ./q <&- 2>err || r=$?
	is $r 74
	r=0
	ipc-spool take -n ./q >/dev/full 2>err || r=$?
	is $r 74
	is "$(counts)" "1 0 0 0 0 0" # it was not taken: nobody knows of it
}

@test "what a killed put leaves in tmp/ is swept away, what a living one has is not" {
	ipc-spool create ./q
	mkfifo in in2
	start sh -c 'exec ipc-spool put --raw ./q <in'
	dead=$PID
	exec 7>in
	echo half >&7
	start sh -c 'exec ipc-spool put --raw ./q <in2 7>&-'
	exec 5>in2
	echo whole >&5
	until_true sh -c '[ "$(cat q/tmp/* | wc -l)" = 2 ]'
	kill -KILL $dead
	wait $dead || :
	echo next | ipc-spool put -p 1 ./q # makes a bucket, and sweeps
	is "$(cat q/tmp/*)" whole
	exec 5>&-
	wait $PID
	tmp_empty
	is "$(counts)" "2 0 0 0 0 0"
}

@test "--depth: put waits for room, -n says 75, -w 124, and nothing is left of it" {
	ipc-spool create --depth 2 ./q
	printf 'a\nb\n' | ipc-spool put ./q
	status 75 ipc-spool put -n ./q /etc/passwd
	status 124 ipc-spool put -w 0.1 ./q /etc/passwd
	[[ $stderr == *depth* ]]
	status 9 ipc-spool put -n -E 9 -q ./q /etc/passwd
	[[ -z $stderr ]]
	tmp_empty
	start sh -c 'echo c | ipc-spool put ./q >late'
	until_true sh -c 'ls q/tmp | grep -q .'
	[[ ! -s late ]]
	ipc-spool run -c 1 ./q -- cat >/dev/null
	until_true grep -q 3 late
	ipc-spool run -n ./q -- cat >/dev/null
	wait $PID
}

@test "no more than --depth are ever unfinished, whoever puts and takes" {
	ipc-spool create --depth 5 ./q
	for i in 1 2 3; do start sh -c 'seq 30 | ipc-spool put --sync none ./q >/dev/null'; done
	start ipc-spool run -f -c 90 ./q -- sh -c 'find q/new q/cur q/delayed -type f | wc -l >>load'
	run=$PID
	wait
	[[ $(wc -l <load) == 90 ]]
	[[ $(sort -n load | tail -n 1) -le 5 ]] || { sort -n load | tail; false; }
}

@test "few descriptors: put goes on with smaller groups" {
	(ulimit -n 24; seq 100 | ipc-spool put --sync none ./q >ids)
	is "$(wc -l <ids)" 100
	is "$(counts)" "100 0 0 0 0 0"
}

@test "the last id, and one that is taken by a foreign file" {
	echo one | ipc-spool put ./q >/dev/null
	sed -i 's/next [0-9]*/next 999999999999/' q/seq
	is "$(echo last | ipc-spool put ./q)" 999999999999
	status 71 eval 'echo more | ipc-spool put ./q'
	[[ $stderr == *"all 999999999999 ids are used up; start a new spool"* ]]
	# The last id again, where a file stands in its place.
	sed -i 's/next [0-9]*/next 999999999999/' q/seq
	status 71 eval 'echo more | ipc-spool put ./q'
	tmp_empty
	# Numbers that cannot be: counted anew.
	echo 'next 0 dirs synced credit 0 boot x' >q/seq
	status 71 eval 'echo more | ipc-spool put ./q'
}

@test "put goes on with what it has when descriptors end sooner than they should, or names cannot be moved" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	ipc-spool create ./q
	printf 'a\nb\nc\n' >three
	strace -qq -o log -e trace=openat -P q/tmp ipc-spool put ./q <three >/dev/null
	local n
	n=$(grep -n O_CREAT log | sed -n '2s/:.*//p')
	strace -qq -o log -e trace=openat -P q/tmp -e inject=openat:error=EMFILE:when=$n ipc-spool put ./q <three >ids 2>err
	grep -q INJECTED log
	is "$(wc -l <ids)" 3
	strace -qq -o log -e trace=renameat2 -e inject=renameat2:error=EINVAL ipc-spool put ./q <three >ids
	is "$(wc -l <ids)" 3
	is "$(counts)" "9 0 0 0 0 0"
	tmp_empty
}

@test "a put that fails says how many of its jobs a worker has already" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	echo one | ipc-spool put ./q >/dev/null
	ipc-spool run ./q -- true
	echo two >two
	local n pid
	n=$(strace -qq -e trace=fsync ipc-spool put --sync full ./q two 2>&1 >/dev/null | grep -c fsync)
	ipc-spool run ./q -- true
	# Its last fsync fails, and it is stopped there.
	start strace -qq -o log -e trace=fsync -e inject=fsync:error=EIO:signal=STOP:when=$n ipc-spool put --sync full ./q two 2>err
	pid=$PID
	until_true grep -qs 'stopped by SIGSTOP' log
	ipc-spool run ./q -- true
	kill -CONT "$(kids $pid ipc-spool)"
	status 74 wait $pid
	grep -q '1 of the jobs that fail now had been taken by workers already' err
}

@test "a full spool in the middle of a batch, of files, of a directory" {
	ipc-spool create --depth 2 ./q
	echo one | ipc-spool put ./q >/dev/null
	status 75 eval "printf 'a\\nb\\nc\\n' | ipc-spool put -n ./q"
	echo a >a
	status 75 ipc-spool put -n ./q a a a
	[[ $stderr == *"no room, 2 jobs are unfinished (--depth)"* ]]
	is "$(counts)" "1 0 0 0 0 0"
	status 66 ipc-spool put ./q /
	[[ $stderr == *"read /: Is a directory"* ]]
	tmp_empty
}

@test "putters at once: ids are unique and in order of publication, no record is torn" {
	for i in 1 2 3 4; do
		start sh -c 'for n in $(seq 50); do echo "'$i' $n"; done | ipc-spool put --sync none ./q >ids'$i
	done
	wait
	is "$(cat ids* | sort -u | wc -l)" 200
	ipc-spool run ./q -- sh -c 'cat; echo' >out
	is "$(wc -l <out)" 200
	for i in 1 2 3 4; do grep "^$i " out | cut -d' ' -f2 | diff - <(seq 50); done
}

# ---- order ----

@test "taken by priority, then arrival, over many buckets; empty buckets go" {
	seq 250 | ipc-spool put --sync none ./q >/dev/null
	printf 'high\n' | ipc-spool put -p 9 ./q >/dev/null
	printf 'low\n' | ipc-spool put -p 0 ./q >/dev/null
	ipc-spool run ./q -- sh -c 'cat; echo' >out
	{ echo high; seq 250; echo low; } | diff - out
	ipc-spool take -n ./q || :
	is "$(find q/new/5 -mindepth 2 -type d | wc -l)" 1
}

@test "a job of higher priority that comes in while others run is next" {
	seq 5 | ipc-spool put ./q >/dev/null
	ipc-spool run ./q -- sh -c 'cat; echo; [ $IPC_MSG_ID != 000000000002 ] || echo now | ipc-spool put -p 8 ./q >/dev/null' >out
	is "$(tr '\n' ' ' <out)" "1 2 now 3 4 5 "
}

@test "a job that comes back keeps its place" {
	printf 'a\nb\n' | ipc-spool put ./q >/dev/null
	worker
	ipc-spool nack --delay 0 ./q 1
	is "$(ipc-spool run ./q -- cat)" ab
}

@test "--delay: not before its time, and waited for" {
	before=$(date +%s%N)
	echo later | ipc-spool put --delay 2 ./q
	status 75 ipc-spool take -n ./q
	is "$(counts)" "0 0 0 1 0 0"
	is "$(ipc-spool run ./q -- cat)" later
	[[ $(($(date +%s%N) - before)) -gt 2000000000 ]]
	echo far | ipc-spool put --delay 1h ./q
	status 0 ipc-spool run -n ./q -- cat
	status 124 ipc-spool run -w 0.1 ./q -- cat
	ipc-spool requeue ./q 2
	is "$(ipc-spool run ./q -- cat)" far
}

# ---- take, ack, nack ----

@test "take prints id and file and leaves a guard that holds no descriptor of the caller's" {
	echo data | ipc-spool put ./q
	out=$(ipc-spool take --owner $$ ./q)
	is "$out" $'000000000001\t./q/cur/000000000001.5.1'
	is "$(cat "${out#*	}")" data
	is "$(counts)" "0 1 0 0 0 0"
	status 75 ipc-spool take -n ./q
	status 124 ipc-spool take -w 50ms ./q
	ipc-spool ack ./q 1
	is "$(counts)" "0 0 0 0 0 1"
	until_true no_guard
}

@test "take --json" {
	need python3
	echo data | ipc-spool put -p 3 ./q
	ipc-spool take -J --owner $$ ./q >j
	python3 -c 'import json; j = json.load(open("j")); assert j == {"id": "000000000001", "path": "./q/cur/000000000001.3.1", "priority": 3, "attempt": 1, "size": 4}, j'
}

@test "the lease lives as long as the owner: its death brings the job back at once, to a waiting take" {
	echo data | ipc-spool put ./q
	worker
	is "$(counts)" "0 1 0 0 0 0"
	start sh -c 'ipc-spool take -w 20 --owner '$$' ./q >second'
	pid=$PID
	until_true blocked $pid
	start=$(date +%s%N)
	kill -KILL $WORKER
	wait $PID
	[[ $(($(date +%s%N) - start)) -lt 4000000000 ]] # by the kernel, before the re-check
	is "$(cut -f1 second)" 000000000001
	is "$(cut -d/ -f4 second)" 000000000001.5.2
}

@test "an owner that is gone or none is refused" {
	sh -c : & gone=$!
	wait $gone
	status 69 ipc-spool take -n --owner $gone ./q
	status 64 ipc-spool take -n --owner 0 ./q
}

@test "a lease is any OFD or POSIX lock: python holds one, and its death frees the job" {
	need python3
	echo data | ipc-spool put ./q
	mkfifo go
	start python3 -c '
import fcntl, os, sys
f = open("q/new/5/00000000/00/000000000001.5.0", "r+")
fcntl.lockf(f, fcntl.LOCK_EX)
os.rename(f.name, "q/cur/000000000001.5.1")
open("ready", "w")
open("go").read()'
	python=$PID
	until_true test -e ready
	is "$(counts)" "0 1 0 0 0 0"
	status 75 ipc-spool take -n ./q
	kill -KILL $python
	wait $python || :
	is "$(counts)" "0 0 1 0 0 0"
	status 0 ipc-spool take -n --owner $$ ./q
	[[ $output == *.5.2 ]]
}

@test "ack and nack of what is not leased, is not there, or belongs to another attempt" {
	echo data | ipc-spool put ./q
	status 76 ipc-spool ack ./q 1
	[[ $stderr == *new/* ]]
	status 66 ipc-spool nack ./q 2
	worker
	status 76 ipc-spool ack --attempt 2 ./q 1
	status 0 ipc-spool ack --attempt 1 ./q 1
	status 76 ipc-spool ack ./q 1
}

@test "nack backs off, counts attempts, and ends in dead/ with the reason; requeue brings it back" {
	ipc-spool create --max-attempts 2 ./q
	echo data | ipc-spool put ./q
	worker
	ipc-spool nack ./q 1
	is "$(counts)" "0 0 0 1 0 0"
	ipc-spool requeue ./q 1
	is "$(names)" q/new/5/00000000/00/000000000001.5.0
	for i in 1 2; do
		ipc-spool take -n --owner $$ ./q
		ipc-spool nack --delay 0 --status 7 --reason 'no luck' ./q 1
	done
	is "$(counts)" "0 0 0 0 1 0"
	grep -q 'no luck (status 7, attempt 2)' q/dead/00000000/00/000000000001.why
	ipc-spool ls ./q | grep -q 'dead .*no luck'
	status 7 ipc-spool wait ./q 1
	ipc-spool requeue ./q 1
	is "$(counts)" "1 0 0 0 0 0"
	is "$(ipc-spool run ./q -- cat)" data
	is "$(find q/dead -type f | wc -l)" 0
}

@test "after nack the job can be taken at once, every time" {
	ipc-spool create --max-attempts 0 ./q
	echo data | ipc-spool put ./q
	for i in $(seq 20); do
		status 0 ipc-spool take -n --owner $$ ./q
		ipc-spool nack --delay 0 ./q 1
	done
}

# ---- run ----

@test "run gives the job on stdin and says what it is in the environment" {
	printf 'a\nb\n' | ipc-spool put -p 7 ./q >/dev/null
	ipc-spool run ./q -- sh -c 'echo "$(cat) $IPC_MSG_ID $IPC_MSG_PRIO $IPC_MSG_ATTEMPT $IPC_SLOT $IPC_OBJECT"' >out
	is "$(cat out)" "a 000000000001 7 1 0 $PWD/q"$'\n'"b 000000000002 7 1 0 $PWD/q"
	is "$(counts)" "0 0 0 0 0 2"
	is "$(find q/done -type f -size +0 | wc -l)" 0
}

@test "CMD has no stray descriptors, default SIGPIPE, an empty mask" {
	echo x | ipc-spool put ./q
	ipc-spool run ./q -- sh -c 'ls /proc/self/fd | wc -l; grep -E "SigBlk|SigIgn" /proc/self/status' >out
	is "$(head -n 1 out)" "$(sh -c 'ls /proc/self/fd | wc -l; :')" # what we were given ourselves
	is "$(grep -E 'SigBlk.*[1-9a-f]$|SigIgn:\s*[0-9a-f]{12}1' out)" ''
}

@test "a job that fails is tried again with growing back-off, then dead with the end of its stderr" {
	ipc-spool create --max-attempts 3 ./q
	echo data | ipc-spool put ./q
	r=0
	ipc-spool run --backoff 20ms ./q -- sh -c 'date +%s%N >>stamps; seq 2000 >&2; echo "last words $IPC_MSG_ATTEMPT" >&2; exit 9' 2>err || r=$?
	is $r 1
	is "$(wc -l <stamps)" 3
	awk 'NR == 2 { a = $1 - l } NR == 3 { b = $1 - l } { l = $1 } END { exit !(a > 19e6 && b > 39e6) }' stamps
	[[ $(grep -c '^2000$' err) == 3 ]]
	why=q/dead/00000000/00/000000000001.why
	is "$(head -n 1 $why)" "exited with 9 (status 9, attempt 3)"
	is "$(tail -n 1 $why)" "last words 3"
	[[ $(stat -c %s $why) -le 4200 && $(stat -c %s $why) -ge 4096 ]]
	status 9 ipc-spool wait ./q 1
	grep -q 'job 000000000001: exited with 9, dead after attempt 3' err
}

@test "CMD killed by a signal is 128+N; CMD not there is 127 and no attempt" {
	ipc-spool create --max-attempts 1 ./q
	echo x | ipc-spool put ./q
	status 127 ipc-spool run ./q -- ./nosuch
	is "$(names)" q/new/5/00000000/00/000000000001.5.0
	touch notexec
	status 126 ipc-spool run ./q -- ./notexec
	status 1 ipc-spool run ./q -- sh -c 'kill -SEGV $$'
	status 139 ipc-spool wait ./q 1
	grep -q 'killed by SIGSEGV' q/dead/00000000/00/*.why
}

@test "run -j: so many at a time, each job once, slots told apart" {
	seq 40 | ipc-spool put --sync none ./q >/dev/null
	mkdir in
	start ipc-spool run -j 4 ./q -- sh -c 'mkdir "in/$IPC_SLOT" && ls in | wc -l >>load; echo "$(cat)" >>out; rmdir "in/$IPC_SLOT"'
	start ipc-spool run ./q -- sh -c 'echo "$(cat)" >>out'
	wait
	is "$(sort -n out | uniq -c | awk '$1 != 1' )" ""
	is "$(sort -nu out | wc -l)" 40
	[[ $(sort -n load | tail -n 1) -le 4 ]]
}

@test "run -f follows, woken by put; -c ends it; ready at once" {
	ready ipc-spool run -f -c 3 --ready-fd 8 ./q -- sh -c 'cat >>out; : >>done.$IPC_MSG_ID'
	until_true blocked $PID
	echo a | ipc-spool put ./q
	until_true test -e done.000000000001
	start=$(date +%s%N)
	printf 'b\nc\n' | ipc-spool put ./q
	wait $PID
	[[ $(($(date +%s%N) - start)) -lt 4000000000 ]]
	is "$(cat out)" abc
}

@test "without inotify a waiter still looks again" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	start strace -f -o t -e trace=inotify_init1 -e inject=inotify_init1:error=EMFILE \
		ipc-spool run -f -c 1 ./q -- cat >out
	until_true test -d q/cur
	until_true grep -q EMFILE t
	echo a | ipc-spool put ./q
	wait $PID
	is "$(cat out)" a
}

@test "TERM: no new jobs, the running one ends and is noted" {
	printf 'a\nb\n' | ipc-spool put ./q >/dev/null
	mkfifo go
	start ipc-spool run -f ./q -- sh -c ': >started; read -r x <go; cat >>out'
	until_true test -e started
	kill -TERM $PID
	until_true blocked $PID
	echo >go
	r=0
	wait $PID || r=$?
	is $r 143
	is "$(cat out)" a
	is "$(counts)" "1 0 0 0 0 1"
}

@test "TERM --grace: CMD is asked to end, then killed, and its job goes back uncounted" {
	echo a | ipc-spool put ./q >/dev/null
	start ipc-spool run -f --grace 50ms ./q -- sh -c 'trap "" TERM; : >started; sleep 1000; sleep 1000'
	until_true test -e started
	kill -TERM $PID
	r=0
	wait $PID || r=$?
	is $r 143
	is "$(names)" q/new/5/00000000/00/000000000001.5.0
}

@test "the runner is killed: CMD ends with it, and the job is back at once" {
	echo a | ipc-spool put ./q >/dev/null
	start ipc-spool run -f ./q -- sh -c 'echo $$ >pid.tmp; mv pid.tmp pid; exec sleep 1000'
	first=$PID
	until_true test -e pid
	start ipc-spool run -f -c 1 ./q -- sh -c 'echo "$IPC_MSG_ATTEMPT $(cat)" >out'
	second=$PID
	until_true blocked $second
	start=$(date +%s%N)
	kill -KILL $first
	wait $second
	[[ $(($(date +%s%N) - start)) -lt 4000000000 ]]
	is "$(cat out)" "2 a"
	! kill -0 "$(cat pid)" 2>/dev/null || [[ $(state_of "$(cat pid)") == Z ]]
}

@test "the runner is killed: what CMD has started ends as well" {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "left to the plain builds"
	echo a | ipc-spool put ./q >/dev/null
	start ipc-spool run -f ./q -- sh -c 'sleep 1000 & : >started; sleep 1000; :'
	until_true test -e started
	kill -KILL $PID
	wait $PID || :
	status 0 ipc-spool take -w 20 --owner $$ ./q
}

@test "never twice at the same time: what has left CMD's group and still has its stdin keeps the lease" {
	echo a | ipc-spool put ./q >/dev/null
	mkfifo go
	start ipc-spool run -f ./q -- sh -c 'setsid sh -c ": >started; read -r x <go; cat >late"; :'
	until_true test -e started
	kill -KILL $PID
	wait $PID || :
	is "$(counts)" "0 1 0 0 0 0"
	status 75 ipc-spool take -n ./q
	echo >go
	until_true leased "0 0 1 0 0 0"
	is "$(cat late)" a
	status 0 ipc-spool take -n --owner $$ ./q
}

@test "a worker killed in its last attempt: dead, and says so" {
	ipc-spool create --max-attempts 1 ./q
	echo a | ipc-spool put ./q >/dev/null
	worker
	kill -KILL $WORKER
	until_true leased "0 0 1 0 0 0"
	status 75 ipc-spool take -n ./q
	grep -q 'its worker died' q/dead/00000000/00/000000000001.why
	status 76 ipc-spool wait ./q 1
}

@test "--output keep: the output stays with the result, wait --output prints it" {
	printf 'a\nb\n' | ipc-spool put ./q >/dev/null
	status 0 ipc-spool run --output keep ./q -- sh -c 'echo "out of $(cat)"'
	is "$output" ""
	status 0 ipc-spool wait --output ./q 1 2
	is "$output" $'out of a\nout of b'
	tmp_empty
}

@test "--sync full: each result is on disk" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	printf 'a\nb\n' | ipc-spool put ./q >/dev/null
	strace -o t -e trace=fsync ipc-spool run --sync full ./q -- true
	[[ $(grep -c fsync t) -ge 4 ]]
}

# ---- wait ----

@test "wait: a job's status, also long after it was done; several: the worst; all: none is left" {
	printf '0\n3\n' | ipc-spool put ./q >/dev/null
	ipc-spool create --max-attempts 1 ./q
	status 75 ipc-spool wait -n ./q 1
	status 124 ipc-spool wait -w 50ms ./q
	local one all s=0
	bg ipc-spool wait -w 20 ./q 1
	one=$!
	bg ipc-spool wait -w 20 ./q
	all=$!
	# Who comes when no job is left is told 0.
	until_true blocked "$one"
	until_true blocked "$all"
	ipc-spool run ./q -- sh -c 'exit $(cat)' 2>/dev/null || :
	wait "$one"
	wait "$all" || s=$?
	[[ $s == 3 ]]
	status 0 ipc-spool wait ./q 1
	status 3 ipc-spool wait ./q 2
	status 3 ipc-spool wait ./q 1 2
	status 0 ipc-spool wait ./q
	status 66 ipc-spool wait ./q 3
}

@test "wait ends with 66 when the job is removed" {
	echo x | ipc-spool put ./q
	start sh -c 'ipc-spool wait -w 30 ./q 1 2>err; echo $? >st'
	until_true running "wait -w 30 ./q 1"
	ipc-spool rm ./q 1
	wait
	is "$(cat st)" 66
}

@test "what is asked of jobs that are leased, missing or without output" {
	printf 'one\ntwo\n' | ipc-spool put ./q >/dev/null
	worker
	status 75 ipc-spool requeue ./q 1
	[[ $stderr == *"is leased; nack it"* ]]
	status 66 ipc-spool requeue ./q 99
	status 66 ipc-spool nack ./q 99
	status 0 ipc-spool ack --sync full ./q 1
	kill $WORKER
	status 0 ipc-spool wait --output ./q 1
	is "$output" ""
	echo junk >>q/format
	status 0 ipc-spool stat ./q
	# Verbs that are started by others only.
	status 64 eval 'ipc-spool guard x 4>&- 5>&-'
	status 64 eval 'ipc-spool minder 1 4>&- 5>&-'
	status 124 ipc-spool run -f -w 0.3 ./q -- true
	is "$(counts)" "0 0 0 0 0 2"
}

@test "delayed jobs are looked at in their order; INT ends a run at once" {
	echo later | ipc-spool put --delay 1000 ./q >/dev/null
	echo still later | ipc-spool put --delay 2000 ./q >/dev/null
	status 75 ipc-spool take -n ./q
	echo now | ipc-spool put ./q >/dev/null
	start env --default-signal=INT ipc-spool run ./q -- sh -c '>began; exec sleep 1000'
	until_true test -e began
	kill -INT $PID
	status 130 wait $PID
	is "$(counts)" "1 0 0 2 0 0"
}

@test "only one of two watches: a waiter still looks again" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	ipc-spool create ./q
	local verb
	for verb in 'run -f -c 1 ./q -- true' 'take -w 60 ./q'; do
		start strace -qq -o log -e trace=inotify_add_watch -e inject=inotify_add_watch:error=ENOSPC:when=2 ipc-spool $verb
		until_true grep -qs INJECTED log
		echo job | ipc-spool put ./q >/dev/null
		wait $PID
		rm log
	done
}

@test "a result whose bucket is in the way, pruned meanwhile, or beside foreign things" {
	printf '%s\n' one two | ipc-spool put ./q >/dev/null
	# The first one's bucket goes while the second one runs.
	status 0 ipc-spool run ./q -- rm -rf q/done/00000000
	is "$(find q/done -type f | wc -l)" 1
	rm -rf q/done/*
	: >q/done/00000000
	echo three | ipc-spool put ./q >/dev/null
	r=0
	ipc-spool run -c 1 --output keep ./q -- sh -c ': >ran' 2>err || r=$?
	[[ $r != 0 && ! -e ran ]]
	grep -q 'job 000000000003 is not started, its result could not be kept' err
	is "$(counts)" "1 0 0 0 0 0"
	rm q/done/00000000
	status 0 ipc-spool run ./q -- true
	# Foreign names do not keep old results from being forgotten.
	ipc-spool create --keep 1 ./q
	: >q/done/0
	sed -i 's/next [0-9]*/next 450/' q/seq
	mkdir q/done/00000000/01
	ln -s /etc q/done/00000000/02
	printf '%s\n' a b | ipc-spool put ./q >/dev/null
	status 0 ipc-spool run ./q -- true
	[[ ! -e q/done/00000000/00 && ! -e q/done/00000000/01 && -h q/done/00000000/02 && -e q/done/0 ]]
}

@test "the end of a long stderr is what is kept" {
	need python3
	ipc-spool create --max-attempts 1 ./q
	echo one | ipc-spool put ./q >/dev/null
	status 1 ipc-spool run ./q -- python3 -c 'import os; os.write(2, b"x" * 10000 + b"last words"); os._exit(3)'
	local why
	why=$(find q/dead -name '*.why')
	[[ $(tail -c 10 "$why") == "last words" && $(stat -c %s "$why") -lt 4300 ]]
}

@test "names that are damaged, and foreign things where rm looks" {
	echo one | ipc-spool put ./q >/dev/null
	touch q/new/5/00000000/00/0000000000{09.99.0,09.5.99999999,09.5.x,09.5.0x}
	mkdir -p q/delayed/0000000001/001 q/done/00000000/00
	touch q/delayed/0000000001/001/000000000001.5.0.{x5,t99999999999999999999} q/done/00000000/00/000000000001.5.0.{s999,x1}
	status 0 ipc-spool ls -a ./q
	is "$(grep -c 000000000001 .out)" 1
	ipc-spool run ./q -- true
	: >q/tmp/1.1
	: >q/new/foreign
	status 73 ipc-spool rm ./q
	[[ -e q/new/foreign && ! -e q/tmp/1.1 ]]
	rm -rf q
	ipc-spool create --max-attempts 1 ./q
	echo one | ipc-spool put ./q >/dev/null
	ipc-spool run -q ./q -- false || :
	is "$(counts)" "0 0 0 0 1 0"
	status 0 ipc-spool rm --dead ./q
	is "$(counts)" "0 0 0 0 0 0"
}

@test "a long list to a full stdout" {
	need python3
	ipc-spool create ./q
	python3 - <<-'EOF'
		import os
		for i in range(1, 3000):
		    d = "q/new/5/%08d/%02d" % (i // 10000, i // 100 % 100)
		    os.makedirs(d, exist_ok=True)
		    open("%s/%012d.5.0" % (d, i), "w").close()
	EOF
	status 74 eval 'ipc-spool ls ./q >/dev/full'
	status 74 eval 'ipc-spool ls -J ./q >/dev/full'
}

@test "results: --keep N of the newest, with their data on request" {
	ipc-spool create --keep 100 ./q
	seq 450 | ipc-spool put --sync none ./q >/dev/null
	ipc-spool run ./q -- true
	status 66 ipc-spool wait ./q 5
	status 0 ipc-spool wait ./q 450
	[[ $(find q/done -type f | wc -l) -le 300 ]]
	status 65 ipc-spool requeue ./q 450
	ipc-spool create --keep-data ./q
	echo again | ipc-spool put ./q
	ipc-spool run ./q -- true
	ipc-spool requeue ./q 451
	is "$(ipc-spool run ./q -- cat)" again
	ipc-spool create --keep 0 ./q
	echo gone | ipc-spool put ./q
	ipc-spool run ./q -- true
	status 66 ipc-spool wait ./q 452
	ipc-spool rm --done ./q
	is "$(find q/done -type f | wc -l)" 0
}

# ---- ls, stat, rm, create ----

@test "ls and stat show what is where, for people and as JSON" {
	need python3
	ipc-spool create --max-attempts 1 --depth 100 ./q
	printf 'done\ndead\nready\n' | ipc-spool put ./q >/dev/null
	ipc-spool run -q -c 2 ./q -- sh -c 'grep -q done' || :
	echo later | ipc-spool put -p 2 --delay 1h ./q >/dev/null
	printf 'first\n' | ipc-spool put -p 9 ./q >/dev/null
	worker
	ipc-spool ls ./q | awk '{ print $1 + 0, $2 }' >out
	is "$(tr '\n' ';' <out)" "0 STATE;5 leased;3 ready;4 delayed;2 dead;"
	ipc-spool ls -a ./q | grep -q 'done .*status 0'
	is "$(counts)" "1 1 0 1 1 1"
	ipc-spool ls -a -J ./q >ls.json
	ipc-spool stat -J ./q >stat.json
	python3 - <<-'PY'
		import json
		jobs = {int(j["id"]): j for j in json.load(open("ls.json"))}
		assert jobs[2]["state"] == "dead" and jobs[2]["status"] == 1 and "exited with 1" in jobs[2]["reason"]
		assert jobs[4]["state"] == "delayed" and jobs[4]["due"] > 1e9 and jobs[4]["priority"] == 2
		assert open("q/" + jobs[3]["file"]).read() == "ready"
		s = json.load(open("stat.json"))
		assert (s["ready"], s["leased"], s["depth"], s["max-attempts"]) == (1, 1, 100, 1), s
	PY
}

@test "create: settings can be changed, -x is 73, two at once make one spool" {
	status 0 ipc-spool create --depth 7 ./q
	status 73 ipc-spool create -x ./q
	status 0 ipc-spool create --max-attempts 9 ./q
	grep -q 'depth 7' q/format
	grep -q 'max-attempts 9' q/format
	for i in $(seq 8); do start sh -c "ipc-spool create -x ./r$((i % 2)) 2>>err && echo made >>made"; done
	wait
	is "$(wc -l <made)" 2
	status 0 ipc-spool create -m 770 ./g
	is "$(stat -c %a g g/new g/seq | tr '\n' ' ')" "770 770 660 "
	(umask 077; echo x | ipc-spool put ./g)
	is "$(stat -c %a g/new/5 g/new/5/00000000/00/* | tr '\n' ' ')" "770 660 "
}

@test "rm: jobs, dead ones, the spool; not what is leased or unfinished, nor what is not ours" {
	printf 'a\nb\nc\n' | ipc-spool put ./q >/dev/null
	worker
	status 75 ipc-spool rm ./q
	status 75 ipc-spool rm ./q 1
	status 0 ipc-spool rm ./q 2
	status 66 ipc-spool rm ./q 2
	status 64 ipc-spool rm --done ./q 1
	touch q/mine
	status 73 ipc-spool rm --force ./q
	is "$(ls q)" mine
	rm q/mine
	rmdir q
	echo x | ipc-spool put ./q
	status 0 ipc-spool rm --force ./q
	[[ ! -e q ]]
	until_true no_guard
}

@test "who waits for jobs of a spool that is removed ends with 66" {
	ipc-spool create ./q
	start sh -c 'ipc-spool run -f ./q -- cat 2>run.err; echo $? >run.st'
	start sh -c 'ipc-spool take --owner '$$' ./q 2>take.err; echo $? >take.st'
	until_true running "ipc-spool take --owner $$ ./q"
	until_true running "ipc-spool run -f ./q -- cat"
	ipc-spool rm ./q
	wait
	is "$(cat run.st take.st | tr '\n' ' ')" "66 66 "
	grep -q 'was removed' run.err
}

# ---- strange things in the directory ----

@test "a directory that is no spool is left alone; a half-made one is finished" {
	mkdir q
	touch q/precious
	status 65 ipc-spool put ./q /etc/passwd
	is "$(ls q)" precious
	status 65 ipc-spool ls ./q
	status 66 ipc-spool ls /etc/passwd
	mkdir -p r/tmp r/new
	status 0 ipc-spool put ./r /etc/passwd
	status 0 ipc-spool run ./r -- cmp - /etc/passwd
}

@test "a newer format is refused, additions to this one are not minded, damage is 65" {
	echo x | ipc-spool put ./q
	echo 'colour 7' >>q/format
	status 0 ipc-spool ls ./q
	sed -i '1s/1$/9/' q/format
	for v in ls put "take -n" stat; do
		status 65 ipc-spool $v ./q
		[[ $stderr == *"format 9"*"use the newer one"* ]]
	done
	: >q/format
	status 65 ipc-spool ls ./q
}

@test "a damaged or old counter: counted anew, above every id there is" {
	seq 3 | ipc-spool put ./q >/dev/null
	echo garbage >q/seq
	status 0 ipc-spool put ./q /dev/null
	[[ $stderr == *damaged* ]]
	is "$output" 000000010000
	sed -i 's/boot .*/boot 00000000-0000-0000-0000-000000000000/' q/seq
	status 0 ipc-spool put ./q /dev/null
	is "$output" 000000020000
	status 0 ipc-spool put ./q /dev/null
	is "$output" 000000020001
}

@test "foreign files, links, pipes and damaged names are passed over with a notice, and stay" {
	echo good | ipc-spool put ./q
	b=q/new/5/00000000/00
	echo secret >secret
	ln -s ../../../../../secret $b/000000000002.5.0
	mkfifo $b/000000000003.5.0
	mkdir $b/000000000004.5.0
	touch $b/README $b/000000000005.5 $b/5.5.0 $b/000000000006.5.00 $b/000000000007.5.0.s1 q/cur/junk q/new/x
	ln -s /tmp q/new/6
	ln -s /tmp q/new/5/00000001
	is "$(ipc-spool run ./q -- cat)" good
	status 75 ipc-spool take -n ./q
	status 0 ipc-spool ls ./q
	[[ $stderr == *"not of a spool"* ]]
	is "$(cat secret)" secret
	is "$(ls $b | wc -l)" 8
	status 0 ipc-spool put ./q /dev/null
}

@test "a state directory that is a symbolic link is not followed" {
	echo x | ipc-spool put ./q
	mkdir elsewhere
	rmdir q/cur
	ln -s ../elsewhere q/cur
	r=0
	ipc-spool run ./q -- cat 2>err || r=$?
	[[ $r != 0 ]]
	is "$(ls elsewhere)" ""
}

@test "a job that cannot be read is passed over; a spool of another user is 77" {
	need root
	chmod 755 . ..
	echo x | ipc-spool put ./q
	status 77 as_nobody "$BIN/ipc-spool" ls ./q
	status 77 as_nobody "$BIN/ipc-spool" put ./q /dev/null
}

@test "a read-only file system: what is there can be seen, nothing can be put or taken" {
	need root
	echo x | ipc-spool put ./q
	mkdir ro
	mount --bind q ro 2>/dev/null && mount -o remount,ro,bind ro || skip "cannot mount"
	got=
	for v in "ls" "stat" "take -n" "put" "create --keep 5" "rm --force"; do
		r=0
		ipc-spool $v ./ro </etc/hostname >out 2>err || r=$?
		got="$got $r"
	done
	umount ro
	is "$got" " 0 0 77 77 77 77"
	is "$(counts)" "1 0 0 0 0 0"
}

# full_of_inodes: a file system m with a spool m/q, made by the function $1, and then no inode left.
full_of_inodes() {
	need root
	mkdir m
	mount -t tmpfs -o nr_inodes=330 tmpfs m 2>/dev/null || skip "cannot mount"
	"$1" >/dev/null
	local i=0
	while : 2>/dev/null >m/fill$i; do i=$((i + 1)); done 2>/dev/null
}
unmount_m() { # and end the test with status $1
	umount -l m
	return "$1"
}

@test "no inode left: each job is done once, delayed and dead ones too" {
	make() {
		ipc-spool create --max-attempts 2 m/q
		seq 150 | ipc-spool put m/q
		echo later | ipc-spool put --delay 1s m/q
	}
	full_of_inodes make
	status 1 ipc-spool run m/q -- sh -c 'echo $IPC_MSG_ID >>log; [ $IPC_MSG_ID != 000000000003 ]'
	[[ $stderr == *"job 000000000003 stays in cur/"*"No space left"* ]] || unmount_m 1
	[[ $(sort log | uniq -d) == 000000000003 && $(wc -l <log) == 152 ]] || unmount_m 1
	status 0 ipc-spool wait m/q 1 150 151 || unmount_m 1
	rm m/fill*
	status 0 ipc-spool run m/q -- sh -c ': >again' || unmount_m 1
	got=$(ipc-spool stat m/q | awk '/^dead/ { print $2 }')
	unmount_m 0
	is "$got" 1
	[[ ! -e again ]]
}

@test "no block left: a spool is drained, each job is done once" {
	need root mkfs.ext4
	mkdir m
	truncate -s 16M img
	mkfs.ext4 -q img && mount -o loop img m 2>/dev/null || skip "cannot mount"
	seq 250 | ipc-spool put m/q >/dev/null
	dd if=/dev/zero of=m/fill bs=4096 2>/dev/null || :
	r=0
	ipc-spool run m/q -- sh -c 'echo $IPC_MSG_ID >>log' || r=$?
	got=$(ipc-spool stat m/q | awk '/^done/ { print $2 }')
	unmount_m 0
	is "$r $got $(sort -u log | wc -l) $(wc -l <log)" "0 250 250 250"
}

@test "no room for a result is made known before CMD starts" {
	make() {
		seq 3 | ipc-spool put m/q
		rm -r m/q/done
	}
	full_of_inodes make
	for i in 1 2; do
		status 71 ipc-spool run m/q -- sh -c 'echo ran >>log' || unmount_m 1
		[[ $stderr == *"is not started, its result could not be kept"* ]] || unmount_m 1
	done
	# What is done by hand then is done, though its status is lost.
	status 0 ipc-spool take -n --owner $$ m/q || unmount_m 1
	status 0 ipc-spool ack m/q 1 || unmount_m 1
	[[ $stderr == *"is done; its result is not kept"* ]] || unmount_m 1
	got=$(ipc-spool stat m/q | awk 'NR <= 3 { print $2 }')
	unmount_m 0
	is "$got" $'2\n0\n0'
	[[ ! -e log ]]
}

@test "parts that are missing are made again; no job runs twice for that" {
	for part in seq new cur delayed done dead tmp; do
		ipc-spool create ./q
		echo a | ipc-spool put ./q >/dev/null
		rm -rf q/$part
		jobs=1
		[[ $part != new ]] || jobs=0
		status 0 ipc-spool ls ./q
		is "$(wc -l <.out)" $((jobs + 1))
		status 0 ipc-spool stat ./q
		rm -f log
		status $jobs ipc-spool run -n ./q -- sh -c 'echo ran >>log; exit 1'
		[[ $part == new ]] || is "$(cat log)" ran
		status 0 ipc-spool run ./q -- sh -c 'echo ran >>log'
		[[ $part == new ]] || is "$(cat log)" $'ran\nran'
		status 0 ipc-spool put ./q /dev/null
		id=$output
		status 0 ipc-spool run ./q -- true
		status 0 ipc-spool wait ./q "$id"
		rm -rf q/$part
		status 0 ipc-spool rm --force ./q
		[[ ! -e q ]]
	done
}

@test "parts that go while a runner waits are made again" {
	ipc-spool create ./q
	start ipc-spool run -f ./q -- sh -c 'cat >>log'
	until_true blocked $PID
	for i in 1 2; do
		rm -rf q/new q/cur q/done q/tmp q/delayed q/seq
		echo job$i | ipc-spool put -q ./q >id
		status 0 ipc-spool wait -w 20 ./q "$(cat id)"
	done
	is "$(cat log)" job1job2
	ipc-spool rm ./q
	r=0
	wait $PID || r=$?
	is $r 66
}

@test "--keep holds with --output keep, and kept output goes with its result" {
	ipc-spool create --keep 100 ./q
	seq 500 | ipc-spool put --sync none ./q >/dev/null
	status 0 ipc-spool run --output keep ./q -- echo out
	[[ $(find q/done -name '*.cut' | wc -l) -le 200 && $(find q/done -name '*.out' | wc -l) -le 200 ]]
	is "$(ipc-spool wait --output ./q 500)" out
	status 0 ipc-spool rm ./q
	[[ ! -e q ]]
	ipc-spool create --keep 0 ./m
	echo x | ipc-spool put ./m
	status 0 ipc-spool run --output keep ./m -- echo o
	is "$output" ""
	is "$(find m/done -type f)" ""
	status 0 ipc-spool rm ./m
	[[ ! -e m ]]
	# What a killed run leaves beside no result is no reason to keep a spool.
	ipc-spool create ./n
	mkdir -p n/done/00000000/00 n/dead/00000000/00
	: >n/done/00000000/00/000000000007.out
	: >n/dead/00000000/00/000000000007.why
	status 0 ipc-spool rm --done ./n
	status 0 ipc-spool rm --dead ./n
	is "$(find n/done n/dead -type f)" ""
	: >n/tmp/1.1
	status 0 ipc-spool rm ./n
	[[ ! -e n ]]
}

@test "a CMD that nacks its own job leaves no output" {
	echo x | ipc-spool put ./q
	status 0 ipc-spool run -c 1 --output keep ./q -- sh -c 'echo out; ipc-spool nack --delay 1h "$IPC_OBJECT" $IPC_MSG_ID'
	is "$(find q/done -type f)" ""
}

@test "after reboots, or with two hosts in turn, ids have gaps and no result vanishes" {
	ipc-spool create --keep 3 ./q
	for i in 1 2 3 4; do
		echo $i | ipc-spool put ./q >>ids
		status 0 ipc-spool run ./q -- true
		sed -i "s/boot ..../boot 000$i/" q/seq
	done
	is "$(cat ids | tr '\n' ' ')" "000000000001 000000010000 000000020000 000000030000 "
	is "$(find q/done -type f | wc -l)" 3
	status 66 ipc-spool wait ./q 1
	status 0 ipc-spool wait ./q 10000 20000 30000
}

@test "another host's turn: the jobs are not counted, the counter is on disk" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	seq 300 | ipc-spool put ./q >/dev/null
	sed -i "s/boot ..../boot 0001/" q/seq
	echo x | strace -y -o t -e trace=getdents64,fdatasync ipc-spool put --sync none ./q
	[[ $(grep -c getdents64 t) -le 4 ]] # of tmp/, which is swept
	grep -q 'fdatasync.*/seq' t
}

@test "jobs that are delayed cost nothing until they are due" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	calls() {
		seq 100 | ipc-spool put --sync none ./q >/dev/null
		strace -f -c -o t ipc-spool run -n -c 50 ./q -- true
		awk '/total$/ { print $4 }' t
		ipc-spool run -n ./q -- true
	}
	ipc-spool create ./q
	calls >/dev/null
	none=$(calls)
	for n in 20000 60000; do
		python3 - $n <<-'EOF'
			import os, sys, time
			t = int(time.time()) + 3600
			d = "q/delayed/%010d/%03d" % (t // 1000, t % 1000)
			os.makedirs(d, exist_ok=True)
			for i in range(1, int(sys.argv[1])):
			    open("%s/%012d.5.0.t%d" % (d, 500000 + i, t * 1000 + i % 1000), "w").close()
		EOF
		some=$(calls)
		[[ $some -le $((none * 3 / 2)) ]] || { echo "system calls: $none, $some"; false; }
	done
	# A second without a job is not waited for, and goes.
	rm -r q/delayed/*/*
	mkdir -p q/delayed/9999999999/{998,999}
	status 0 timeout 20 ipc-spool run ./q -- true
	[[ ! -e q/delayed/9999999999/998 ]]
}

@test "INT presses on after TERM" {
	echo x | ipc-spool put ./q
	start env --default-signal=INT ipc-spool run -f ./q -- sh -c ': >started; exec sleep 1000'
	until_true test -e started
	kill -TERM $PID
	until_true sh -c "! grep -q 'SigPnd:.*[1-9a-f]' /proc/$PID/status && ! grep -q 'ShdPnd:.*[1-9a-f]' /proc/$PID/status"
	blocked $PID
	kill -INT $PID
	r=0
	wait $PID || r=$?
	is "$r $(counts)" "130 1 0 0 0 0 0"
}

@test "CMD that puts into its own full spool: TERM ends it" {
	ipc-spool create --depth 1 ./q
	echo x | ipc-spool put ./q
	start ipc-spool run -f ./q -- sh -c ': >started; echo y | ipc-spool put "$IPC_OBJECT"'
	until_true test -e started
	until_true sh -c '[ -n "$(ls q/tmp)" ]'
	kill -TERM $PID
	r=0
	wait $PID || r=$?
	is "$r $(counts)" "143 0 0 0 1 0 0"
	tmp_empty
}

@test "nack inside CMD is at once, and IPC_OBJECT is absolute" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	echo x | ipc-spool put ./q
	status 1 ipc-spool run -c 1 ./q -- sh -c 'cd / && strace -o "$0/t" ipc-spool nack --delay 1h "$IPC_OBJECT" $IPC_MSG_ID; echo $?; exit 1' "$PWD"
	is "$output" 0
	is "$(counts)" "0 0 0 1 0 0"
	# It waits for no lock: the lease ends with CMD.
	[[ -z $(grep SETLKW t) ]]
}

@test "the counter locked by a stopped process: what is waited for is said, and a failure is noted" {
	need python3
	echo x | ipc-spool put ./q
	cat >hold.py <<-'EOF'
		import fcntl, time
		f = open("q/seq", "r+")
		fcntl.lockf(f, fcntl.LOCK_EX)
		open("holds", "w").close()
		time.sleep(1000)
	EOF
	start python3 hold.py
	local holder=$PID
	until_true test -e holds
	status 75 ipc-spool put -n ./q /dev/null
	[[ $stderr == *"q/seq: another process has its lock"* ]]
	status 124 ipc-spool put -w 1200ms ./q /dev/null
	[[ $stderr == *"waiting for it"*"q/seq: another process has its lock"* ]]
	start sh -c 'ipc-spool run -c 1 --backoff 1h -w 1 ./q -- false 2>err'
	until_true grep -q 'waiting for it' err
	kill -KILL $holder
	r=0
	wait $PID || r=$?
	is "$r $(counts)" "1 0 0 0 1 0 0"
}

@test "sticky spool: a job of another user at the head holds up no other" {
	need root setpriv
	chmod 755 . ..
	ipc-spool create -m 1777 ./q
	echo root | ipc-spool put ./q
	other() { setpriv --reuid 65534 --regid 65534 --clear-groups "$BIN/$1" "${@:2}"; }
	status 0 eval 'echo mine | other ipc-spool put ./q'
	status 0 other ipc-spool run -n ./q -- cat
	is "$output" mine
	[[ $stderr == *"is passed over"* ]]
}

@test "a job on which a program has a lease (F_SETLEASE) is taken when that is given up, others before" {
	need python3
	printf 'one\ntwo\n' | ipc-spool put ./q >/dev/null
	cat >lease.py <<-'EOF'
		import fcntl, glob, os, signal, time
		f = open(glob.glob("q/new/5/*/*/*1.5.0")[0])
		signal.signal(signal.SIGIO, lambda *a: None)
		fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)
		open("leases", "w").close()
		while not os.path.exists("give"):
		    time.sleep(0.01)
		fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_UNLCK)
		time.sleep(1000)
	EOF
	start python3 lease.py
	until_true test -e leases
	start sh -c 'ipc-spool run ./q -- sh -c "cat; : >give" >out'
	wait $PID
	is "$(cat out)" twoone
}

@test "take that is killed before it has printed: the job goes back uncounted" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	ipc-spool create --max-attempts 1 ./q
	echo x | ipc-spool put ./q
	strace -qq -o t -e trace=write -e inject=write:signal=KILL:when=1 ipc-spool take --owner $$ ./q >out || :
	is "$(cat out)" ""
	until_true leased "1 0 0 0 0 0"
	is "$(names)" q/new/5/00000000/00/000000000001.5.0
	until_true no_guard
	status 0 ipc-spool take -n --owner $$ ./q
}

@test "too few descriptors for -j: the message says how many" {
	seq 20 | ipc-spool put --sync none ./q >/dev/null
	status 71 bash -c 'ulimit -n 16; exec ipc-spool run -j 8 ./q -- true'
	[[ $stderr == *"-j 8 needs 48 descriptors, the limit is 16 (ulimit -n)"* ]]
	status 71 bash -c 'ulimit -n 30; exec ipc-spool run -j 8 ./q -- true'
	[[ $stderr == *"it is enough for -j 3" ]]
	status 0 bash -c 'ulimit -n 30; exec ipc-spool run -j 3 ./q -- true'
}

@test "a bare word on tmpfs: --sync full warns that it is not kept" {
	[[ $(stat -fc %T /dev/shm) == tmpfs ]] || skip "/dev/shm is no tmpfs"
	export IPC_DIR=/dev/shm/ipc-spool-test.$$
	mkdir -m 700 "$IPC_DIR"
	r=0
	echo x | ipc-spool put jobs 2>first || r=1
	echo x | ipc-spool put jobs 2>second || r=1
	echo x | ipc-spool put --sync full jobs 2>third || r=1
	echo x | ipc-spool put --sync none jobs 2>fourth || r=1
	echo x | ipc-spool put --sync full "$IPC_DIR/jobs.spool" 2>fifth || r=1
	rm -r "$IPC_DIR"
	is $r 0
	grep -q 'does not survive a power cut' first
	grep -q 'does not survive a power cut' third
	is "$(cat second fourth fifth)" ""
}

@test "a spool that a group shares: -m 2770 keeps its group, -m 0770 warns" {
	need root setpriv
	chmod 755 . ..
	status 0 ipc-spool create -m 0770 ./p
	[[ $stderr == *"-m 2770 shares it"* ]]
	status 0 ipc-spool create -m 2770 ./q
	is "$stderr" ""
	chgrp 65533 q
	find q -mindepth 1 -exec chgrp 65533 {} +
	echo x | setpriv --reuid 65534 --regid 65534 --groups 65533 "$BIN/ipc-spool" put ./q
	is "$(stat -c %g $(names))" 65533
}

@test "--delay takes weeks" {
	echo x | ipc-spool put --delay 1w ./q
	[[ $(ipc-spool ls ./q) == *"in 7d"* || $(ipc-spool ls ./q) == *"in 6d"* ]]
}

# other_boot FILE: as if the job had been put before a reboot. Prints its new name.
other_boot() {
	mv "$1" "${1%-*}-00c0ffee"
	echo "${1%-*}-00c0ffee"
}

@test "after a power cut a job that was not synced is checked by length and crc32c" {
	for s in data none; do
		rm -rf q
		ipc-spool create ./q
		is "$(head -1 q/format)" "ipc-spool 1"
		printf %s 123456789 | ipc-spool put --sync $s ./q
		is "$(head -1 q/format)" "ipc-spool 2"
		one=$(names)
		# The check value of CRC-32C: it is what all implementations give for these bytes.
		[[ $one == q/new/5/00000000/00/000000000001.5.0.z9-e3069283-$(cut -c1-8 /proc/sys/kernel/random/boot_id) ]]
		printf '%s\n' two three four | ipc-spool put --sync $s ./q >/dev/null
		for f in $(names); do other_boot "$f" >>all; done
		: >"$(sed -n 2p all)"
		printf TH | dd of="$(sed -n 3p all)" conv=notrunc 2>/dev/null
		ipc-spool run ./q -- sh -c 'cat; echo' >out 2>err
		is "$(cat out)" $'123456789\nfour'
		[[ $(cat err) == *"job 000000000002: damaged, as by a power cut: 0 bytes of 3; it is in dead/"* ]]
		[[ $(cat err) == *"job 000000000003: damaged, as by a power cut: wrong checksum"* ]]
		status 65 ipc-spool wait ./q 2
		status 65 ipc-spool wait ./q 3
		grep -q 'damaged, as by a power cut' q/dead/00000000/00/000000000002.why
		is "$(ls q/dead/00000000/00/*.s65 | wc -l)" 2
		rm all
	done
}

@test "in the same boot the data are not checked, and --sync full needs no checksum" {
	need strace
	printf 'abc\n' | ipc-spool put --sync none ./q >/dev/null
	printf X | dd of="$(names)" conv=notrunc 2>/dev/null
	is "$(ipc-spool run ./q -- cat)" Xbc
	printf 'abc\n' | ipc-spool put ./q >/dev/null
	is "$(names)" q/new/5/00000000/00/000000000002.5.0
	# An older ipc-spool's directory stays as it is, settings that are changed meanwhile are kept.
	ipc-spool create --keep 7 ./q
	grep -q '^keep 7$' q/format
}

@test "data are given up only when the result is on disk" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	seq 3 | ipc-spool put ./q >/dev/null
	strace -y -o t -e trace=fsync,ftruncate,renameat,pidfd_open ipc-spool run -c 2 ./q -- true
	ipc-spool take --owner $$ ./q >/dev/null
	strace -y -o t2 -e trace=fsync,ftruncate,renameat ipc-spool ack ./q 3
	for f in t t2; do
		# After the last rename: cur/ and the result's bucket are synced, then the data go.
		tail -n +"$(grep -n '^renameat.*done/' $f | tail -1 | cut -d: -f1)" $f >after
		is "$(sed -nE 's|^ftruncate.*/done/.*|cut|p; s|^fsync.*/cur>.*|cur|p; s|^fsync.*/done/00000000/00>.*|done|p' after |
			uniq | tr '\n' ' ')" "cur done cut "
		[[ -z $(head -n "$(grep -n '^fsync' $f | tail -1 | cut -d: -f1)" $f | grep 'ftruncate.*/done/') ]]
	done
	is "$(find q/done -type f -size +0)" ""
}

# ---- under fire ----

@test "the spool folder: the worker is killed in the middle, every job is done, in order, none lost" {
	seq 30 | ipc-spool put --sync none ./q >/dev/null
	start ipc-spool run -f ./q -- sh -c 'read -r n; echo "$n" >>out; [ $n != 12 ] || [ -e half ] || { : >half; sleep 1000; }'
	until_true test -e half
	kill -KILL $PID
	wait $PID || :
	until_true leased "18 0 1 0 0 11"
	ipc-spool run ./q -- sh -c 'cat >>out; echo >>out'
	{ seq 12; seq 12 30; } | diff - <(grep -v '^$' out)
}

@test "a runner killed at the very start of a job leaves nothing of it: what it has started is killed, too" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	echo one | ipc-spool put ./q >/dev/null
	# The runner stands still from the instant in which CMD runs. Its first pidfd is the minder's.
	start timeout 60 strace -o log -e trace=pidfd_open -e inject=pidfd_open:delay_enter=30000000:when=2 \
		ipc-spool run ./q -- sh -c 'echo $PPID >runner; sh -c "echo >started; exec sleep 1000"; :'
	until_true test -e started
	is "$(counts)" "0 1 0 0 0 0"
	kill -KILL "$(cat runner)"
	# By its stdin the sleep would keep the job.
	until_true leased "0 0 1 0 0 0"
	wait $PID || :
}

@test "400 jobs while putters, runners and workers are killed at random" {
	need python3
	python3 "$TORTURE/spool_kill.py" 400
}

@test "a power cut at any point leaves a consistent spool" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	python3 "$TORTURE/spool_powercut.py" 40
}

@test "put and take do not grow with the number of jobs" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	calls() {
		echo x | strace -f -c -o t ipc-spool put --sync none ./q >/dev/null
		a=$(awk '/total$/ { print $4 }' t)
		strace -c -o t ipc-spool take -n --owner $$ ./q >/dev/null
		b=$(awk '/total$/ { print $4 }' t)
		ipc-spool nack --delay 0 ./q "$(ls q/cur | cut -d. -f1)"
		echo "$a $b"
	}
	seq 150 | ipc-spool put --sync none ./q >/dev/null
	set -- $(calls)
	seq 12000 | ipc-spool put --sync none ./q >/dev/null
	set -- "$@" $(calls)
	[[ $3 -le $(($1 * 2)) && $4 -le $(($2 * 2)) ]] || { echo "system calls: $*"; false; }
}

@test "run: no descriptor to watch a job with is an error at once, and the job is there still" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	echo one | ipc-spool put ./q
	# The first one is the minder's.
	status 71 timeout 30 strace -qq -o log -e trace=pidfd_open -e inject=pidfd_open:error=EMFILE:when=2 \
		ipc-spool run ./q -- cat
	[[ $stderr == *"cat"* ]]
	[[ $(timeout 30 ipc-spool run ./q -- cat) == one ]]
}
