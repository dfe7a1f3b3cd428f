#!/usr/bin/env bats
# ipc-sem: slots that no death can upset, POSIX semaphores of the system's C library, System V.

load helper

local_setup() {
	P=posix:/ipcbox-t.$$.$BATS_TEST_NUMBER
	V=sysv:0x$(printf '5e%06x' $(($$ % 65536 * 256 + BATS_TEST_NUMBER)))
}

local_teardown() {
	ipc-sem rm "$P" "$V" 2>/dev/null || :
}

free() { # SEM N: N are free
	[[ $(ipc-sem get "$1") == "$2" ]]
}

waiting() { # SEM N: N processes wait
	[[ $(ipc-sem stat -J "$1" | python3 -c 'import json,sys; w = json.load(sys.stdin)["waiters"]; print(w if isinstance(w, int) else len(w))') == "$2" ]]
}

# queued N: one holds the turn of s, and N more wait in fcntl(2) for it, or for their turn to wait for it
queued() {
	grep -E ":$(stat -c %i "$IPC_DIR/s.sem") (1099511627778|1099511627774) " /proc/locks >queue || return 1
	grep -q ' 1099511627778 ' queue || return 1
	[[ $(grep -c -- '->' queue) == "$1" ]]
}

holders() { # SEM: their pids
	ipc-sem stat -J "$1" | python3 -c 'import json,sys; print(*[h["pid"] for h in json.load(sys.stdin)["holders"]])'
}

holder() { # hold SEM in the background with CMD's pid in ./cmd.pid: options before
	bg ipc-sem run "$@" -- sh -c 'echo $$ >cmd.pid.new; mv cmd.pid.new cmd.pid; exec cat fifo'
	HOLDER=$!
	until_true test -s cmd.pid
}

# sem_t of the system's C library, whatever ipc-sem is linked with
c_sem() {
	need gcc
	[[ $IPCBOX_BUILD/t-sem -nt $IPCBOX_BUILD/flags ]] || {
		cat >csem.c <<-'EOF'
			#define _GNU_SOURCE
			#include <errno.h>
			#include <fcntl.h>
			#include <semaphore.h>
			#include <stdio.h>
			#include <stdlib.h>
			#include <string.h>
			#include <time.h>
			int main(int argc, char **argv)
			{
				int v, n = argc > 3 ? atoi(argv[3]) : 1;
				sem_t *s = strcmp(argv[1], "open") == 0 ? sem_open(argv[2], O_CREAT | O_EXCL, 0600, n)
									: sem_open(argv[2], 0);
				if (s == SEM_FAILED) return perror("sem_open"), 1;
				if (strcmp(argv[1], "open") == 0) return 0;
				if (strcmp(argv[1], "get") == 0) return sem_getvalue(s, &v) != 0 || printf("%d\n", v) < 0;
				for (int i = 0; i < n; i++)
					if (strcmp(argv[1], "post") == 0 ? sem_post(s)
						: strcmp(argv[1], "try") == 0 ? sem_trywait(s) : sem_wait(s)) return 2;
				return 0;
			}
		EOF
		peer_gcc -O2 -o "t-sem.$$" csem.c -pthread && mv "t-sem.$$" "$IPCBOX_BUILD/t-sem"
	}
	CSEM=$IPCBOX_BUILD/t-sem
}

# ---- slots

@test "run gives the lowest free slot and no more than N at once" {
	mkfifo fifo
	status 0 ipc-sem run -j 2 s -- sh -c 'echo $IPC_SLOT'
	[[ $output == 0 ]]
	holder -j 2 s
	status 0 ipc-sem run s -- sh -c 'echo $IPC_SLOT $IPC_OBJECT; ipc-sem run -n s -- true; echo $?'
	[[ $output == "1 s"$'\n'75 ]]
	free s 1
	: >fifo
	wait $HOLDER
	free s 2
}

@test "run ends with CMD's status and gives back in every case" {
	status 7 ipc-sem run s -- sh -c 'exit 7'
	status 143 ipc-sem run s -- sh -c 'kill -TERM $$'
	status 127 ipc-sem run s -- no-such-command
	: >plain
	status 126 ipc-sem run s -- ./plain
	free s 1
}

@test "eight writers of a thousand rounds lose no update" {
	echo 0 >n
	cat >work <<-'EOF'
		i=0
		while [ $i -lt 125 ]; do
			ipc-sem run s -- sh -c 'read -r n <n; echo $((n + 1)) >n' || exit
			i=$((i + 1))
		done
	EOF
	pids=()
	for i in 1 2 3 4 5 6 7 8; do
		bg sh work
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	[[ $(<n) == 1000 ]]
}

@test "never more than N, with slots of their own, among many" {
	mkdir in
	cat >work <<-'EOF'
		mkdir "in/$IPC_SLOT" || echo "slot $IPC_SLOT twice" >>wrong
		[ "$IPC_SLOT" -lt 3 ] || echo "slot $IPC_SLOT" >>wrong
		[ "$(ls in | wc -l)" -le 3 ] || echo many >>wrong
		rmdir "in/$IPC_SLOT"
	EOF
	pids=()
	for i in {1..60}; do
		bg ipc-sem run -w 60 -j 3 s -- sh work
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	[[ ! -e wrong ]]
	free s 3
}

@test "two hundred waiters at once, all served" {
	need python3
	mkfifo fifo
	holder s
	pids=()
	for ((i = 0; i < 200; i++)); do
		bg ipc-sem run -w 100 s -- sh -c 'echo x >>served'
		pids+=($!)
	done
	until_true waiting s 200
	: >fifo
	for p in "${pids[@]}"; do wait "$p"; done
	[[ $(wc -l <served) == 200 ]]
}

@test "waiters are served in the order they came" {
	mkfifo fifo
	holder s
	pids=()
	for i in 1 2 3 4 5; do
		bg ipc-sem run -w 60 s -- sh -c "echo $i >>order"
		pids+=($!)
		until_true queued $((i - 1))
	done
	: >fifo
	for p in "${pids[@]}"; do wait "$p"; done
	[[ $(tr -d '\n' <order) == 12345 ]]
}

@test "a killed supervisor keeps its slot while CMD runs, and no longer" {
	need python3
	mkfifo fifo
	holder s
	kill -KILL $HOLDER
	wait $HOLDER || :
	status 75 ipc-sem run -n s -- true
	free s 0
	bg ipc-sem run -w 60 s -- true
	next=$!
	until_true waiting s 1
	start=$(date +%s%N)
	kill -KILL "$(<cmd.pid)"
	wait $next
	(($(date +%s%N) - start < 10000000000))
	free s 1
}

@test "the zombie of a killed keeper is watched by nobody: -w is kept, and no processor time is used" {
	need python3
	program "a waiter in the shell has no time of its own"
	mkfifo fifo
	holder s
	kill -KILL "$(kids $HOLDER | grep -v "^$(<cmd.pid)$")"
	status 124 timeout 20 ipc-sem run -w 1 s -- true
	[[ $stderr == "ipc-sem run: "* ]] # not timeout(1)
	bg ipc-sem run -w 60 s -- true
	pid=$!
	until_true waiting s 1
	read -r -t 0.5 <> <(:) || :
	read -r -a before <"/proc/$pid/stat"
	read -r -t 1.5 <> <(:) || :
	read -r -a after <"/proc/$pid/stat"
	((after[13] + after[14] - before[13] - before[14] <= 5))
	: >fifo
	wait $pid
}

@test "SIGKILL of CMD, supervisor and keeper at once returns the slot" {
	need python3
	mkfifo fifo
	for i in 1 2 3; do
		rm -f cmd.pid
		holder s
		keeper=$(kids $HOLDER | grep -v "^$(<cmd.pid)$") || :
		bg ipc-sem run -w 60 s -- true
		next=$!
		until_true waiting s 1
		# shellcheck disable=SC2086
		kill -KILL "$(<cmd.pid)" $HOLDER $keeper
		wait $next
		free s 1
	done
}

@test "a killed waiter, first or later, does not stop the others" {
	need python3
	mkfifo fifo
	holder s
	pids=()
	for i in 1 2 3; do
		bg ipc-sem run -w 60 s -- true
		pids+=($!)
		until_true queued $((i - 1))
	done
	kill -KILL "${pids[0]}" "${pids[1]}"
	until_true waiting s 1
	: >fifo
	wait "${pids[2]}"
	free s 1
}

@test "a waiter at the head that is stopped holds up nobody, and gets its slot when it goes on" {
	program "bash itself would be stopped"
	mkfifo fifo
	ipc-sem create --value 2 s
	holder s
	bg ipc-sem run -w 60 --take 2 s -- sh -c 'echo two >>order'
	first=$!
	until_true queued 0
	free s 1
	# As long as it runs, nobody overtakes it.
	status 124 ipc-sem run -w 2.5 s -- true
	kill -STOP $first
	until_true eval '[[ $(state_of $first) == T ]]'
	status 0 ipc-sem run -w 60 s -- sh -c 'echo one >>order'
	kill -CONT $first
	status 124 ipc-sem run -w 2.5 s -- true
	: >fifo
	wait $first
	[[ $(<order) == one$'\n'two ]]
	free s 2
}

@test "a worker killed in the middle of its batch: the others go on" {
	cat >work <<-'EOF'
		[ -e killed ] || { : >killed; kill -KILL $PPID $$; }
		echo done >>log
	EOF
	pids=()
	for i in 1 2 3 4 5; do
		bg ipc-sem run -w 60 ring -- sh work
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p" || :; done
	[[ $(wc -l <log) == 4 ]]
	free ring 1
}

@test "killed at each system call, run leaves the slot free" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and ASan"
	ipc-sem create s
	for call in fcntl:{1,2,3,4,5,6,7} pwrite64:{1,2} vfork:1; do
		strace -qq -o /dev/null -e trace="${call%:*}" \
			-e inject="${call%:*}:signal=KILL:when=${call#*:}" ipc-sem run s -- true 3>&- || :
		status 0 ipc-sem run -w 20 s -- true
		free s 1
	done
}

@test "no file descriptors left: an error, no slot lost" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and ASan"
	ipc-sem create s
	status 71 strace -qq -o /dev/null -P s.sem -e trace=openat -e inject=openat:error=EMFILE ipc-sem run s -- true
	status 125 strace -qq -o /dev/null -e trace=vfork -e inject=vfork:error=EAGAIN ipc-sem run s -- true
	status 71 strace -qq -o /dev/null -e trace=pipe2 -e inject=pipe2:error=EMFILE ipc-sem wait --owner $$ s
	free s 1
}

@test "without inotify it still goes on" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and ASan"
	mkfifo fifo
	holder s
	bg strace -qq -o /dev/null -e trace=inotify_init1 -e inject=inotify_init1:error=EMFILE \
		ipc-sem run -w 30 s -- true
	next=$!
	until_true waiting s 1
	: >fifo
	wait $next
}

@test "timeouts are exact: neither early nor much too late" {
	need python3
	mkfifo fifo
	holder s
	for n in 1 2; do # the first in the row, and one behind it
		start=$(date +%s%N)
		status 124 ipc-sem run -w 300ms s -- true
		took=$((($(date +%s%N) - start) / 1000000))
		((took >= 299 && took < 10000))
		[[ $n == 2 ]] || { bg ipc-sem run -w 60 s -- true; first=$!; until_true waiting s 1; }
	done
	status 124 ipc-sem run -w 0 s -- true
	[[ $stderr == *"wait for s "* ]]
	status 75 ipc-sem run -n s -- true
	status 9 ipc-sem run -n -E 9 s -- true
	: >fifo
	wait "$first"
}

@test "waiting costs no CPU" {
	need python3
	mkfifo fifo
	holder s
	bg ipc-sem run -w 60 s -- true
	a=$!
	until_true waiting s 1
	bg ipc-sem run -w 60 s -- true
	b=$!
	until_true waiting s 2
	until_true blocked $b
	before=$(cut -d' ' -f14,15 /proc/$a/stat /proc/$b/stat)
	status 124 ipc-sem run -w 1s s -- true
	[[ $(cut -d' ' -f14,15 /proc/$a/stat /proc/$b/stat) == "$before" ]]
	: >fifo
	wait $a
	wait $b
}

@test "a waiter that is told to end does so at once, and the slot stays with its holder" {
	need python3
	mkfifo fifo
	holder s
	bg ipc-sem run s -- true
	a=$!
	until_true waiting s 1
	kill -TERM $a
	code=0
	wait $a || code=$?
	[[ $code == 143 ]]
	free s 0
	kill -TERM $HOLDER # passed on to CMD
	code=0
	wait $HOLDER || code=$?
	[[ $code == 143 ]]
	free s 1
}

@test "N is changed while it is in use" {
	need python3
	mkfifo fifo
	holder s
	bg ipc-sem run -w 60 s -- sh -c 'echo $IPC_SLOT >got'
	next=$!
	until_true waiting s 1
	ipc-sem set s 2
	wait $next
	[[ $(<got) == 1 ]]
	free s 1
	ipc-sem set s 0
	free s 0
	status 71 ipc-sem run -n s -- true
	ipc-sem set s 3
	free s 2
	status 0 ipc-sem run -j 5 s -- true
	free s 4
	: >fifo
	wait $HOLDER
	free s 5
}

@test "holders of slots that were abolished still count" {
	mkfifo fifo
	ipc-sem create --value 3 s
	holder --take 3 s
	ipc-sem set s 1
	status 75 ipc-sem run -n s -- true
	free s 0
	: >fifo
	wait $HOLDER
	free s 1
	status 0 ipc-sem run -n s -- sh -c 'echo $IPC_SLOT'
	[[ $output == 0 ]]
	status 75 ipc-sem run s -- ipc-sem run -n s -- true
}

@test "a holder of an abolished slot keeps others from a free one below" {
	ipc-sem create --value 2 s
	status 0 ipc-sem run s -- ipc-sem wait --owner $$ s
	[[ $(ipc-sem stat -J s) == *'"slot":1,'* ]]
	ipc-sem set s 1
	status 75 ipc-sem run -n s -- true
	ipc-sem post --owner $$ s
	status 0 ipc-sem run -n s -- true
}

@test "weights: all or none, and those behind do not overtake" {
	mkfifo fifo
	ipc-sem create --value 3 s
	holder s
	status 75 ipc-sem run -n --take 3 s -- true
	bg ipc-sem run -w 60 --take 3 s -- sh -c 'echo "$IPC_SLOTS" >>order'
	a=$!
	until_true queued 0
	free s 2
	bg ipc-sem run -w 60 s -- sh -c 'echo one >>order'
	b=$!
	until_true queued 1
	: >fifo
	wait $a
	wait $b
	[[ $(<order) == "0 1 2"$'\n'one ]]
	status 71 ipc-sem run --take 4 s -- true
	free s 3
}

@test "weights of all sizes at once come to no deadlock" {
	ipc-sem create --value 4 s
	pids=()
	for i in {1..12}; do
		for k in 1 2 3 4; do
			bg ipc-sem run -w 60 --take $k s -- true
			pids+=($!)
		done
	done
	for p in "${pids[@]}"; do wait "$p"; done
	free s 4
}

@test "wait holds for the calling shell, post gives back" {
	ipc-sem create --value 2 s
	ipc-sem wait --owner $$ s
	ipc-sem acquire --owner $$ s
	free s 0
	status 1 ipc-sem try --owner $$ s
	[[ -z $stderr ]]
	status 75 ipc-sem wait -n --owner $$ s
	status 0 ipc-sem post --owner $$ s
	free s 1
	status 69 ipc-sem post --take 2 --owner $$ s
	free s 1
	status 0 ipc-sem post --owner $$ s
	status 69 ipc-sem post --owner $$ s
	free s 2
	sh -c 'ipc-sem wait s; ipc-sem get s; ipc-sem post s; ipc-sem get s' >out
	[[ $(tr -d '\n' <out) == 12 ]]
	status 0 ipc-sem wait --take 2 --owner $$ s
	free s 0
	status 0 ipc-sem post --owner $$ s
	free s 1
	status 0 ipc-sem post --owner $$ s
}

@test "a slot comes back by itself when its owner dies, by SIGKILL too" {
	need python3
	mkfifo fifo
	bg sh -c 'ipc-sem wait s && echo ok >up; cat fifo'
	owner=$!
	until_true test -s up
	free s 0
	bg ipc-sem run -w 60 s -- true
	next=$!
	until_true waiting s 1
	kill -KILL $owner
	wait $next
	free s 1
	: <>fifo
}

@test "the keeper of a shell's slot holds no pipe open and dies with post" {
	need python3
	out=$(ipc-sem wait --owner $$ s; echo ended)
	[[ $out == ended ]]
	free s 0
	keeper=$(holders s)
	[[ $(readlink /proc/"$keeper"/fd/* | grep -c pipe:) == 0 ]]
	kill -TERM "$keeper" # is not its end
	free s 0
	kill -STOP "$keeper" # nor saves it
	ipc-sem post --owner $$ s
	[[ ! -e /proc/$keeper/fd/3 ]]
	free s 1
}

@test "system calls that a filter refuses: keepers do without close_range and pidfd_open" {
	need refuse python3
	program "a filter is set for a process"
	for err in ENOSYS EPERM; do
		for calls in close_range pidfd_open pidfd_open,close_range; do
			rm -f cmd.pid
			# No pipe is kept open.
			out=$(refuse close_range $err -- ipc-sem wait --owner $$ s; echo ended)
			[[ $out == ended ]]
			free s 0
			ipc-sem post --owner $$ s
			free s 1
			bg refuse $calls $err -- ipc-sem run s -- sh -c 'echo $$ >cmd.pid.new
				mv cmd.pid.new cmd.pid; exec sleep 60'
			pid=$!
			until_true test -s cmd.pid
			kill -KILL $pid
			wait $pid || :
			free s 0
			kill -KILL "$(<cmd.pid)"
			until_true free s 1
		done
	done
}

@test "a killed keeper frees the slot; post then says that there is none" {
	need python3
	program "a shell holds its slot itself, and has no keeper"
	ipc-sem wait --owner $$ s
	kill -KILL "$(holders s)"
	until_true free s 1
	status 69 ipc-sem post --owner $$ s
	[[ $stderr == *"has 0 slots"* ]]
}

@test "post ends nobody that the file merely names" {
	need python3
	mkfifo fifo
	holder s
	victim=$HOLDER
	python3 - "$IPC_DIR/s.sem" "$victim" $$ <<-'EOF'
		import struct, sys
		f = open(sys.argv[1], "r+b"); f.seek(64 + 8)
		f.write(struct.pack("ii", int(sys.argv[2]), int(sys.argv[3])))
	EOF
	status 69 ipc-sem post --owner $$ s
	kill -0 "$victim"
	: >fifo
	wait "$victim"
}

@test "an owner that is not there: 69" {
	sh -c 'echo $$' >pid
	status 69 ipc-sem wait --owner "$(<pid)" s
	free s 1
}

@test "zero ends when the last slot is taken" {
	mkfifo fifo
	ipc-sem create s
	status 75 ipc-sem zero -n s
	status 124 ipc-sem zero -w 20ms s
	bg ipc-sem zero -w 60 s
	z=$!
	until_true blocked $z
	holder s
	wait $z
	: >fifo
	wait $HOLDER
}

@test "stat lists holders with command and owner, and waiters" {
	need python3
	mkfifo fifo
	holder -j 2 s
	ipc-sem wait --owner $$ s
	bg ipc-sem run -w 60 s -- true
	w=$!
	until_true waiting s 1
	status 0 ipc-sem stat s
	[[ $output == *"value 0"*"waiters 1"*"cat fifo"*"waiting"* ]]
	ipc-sem stat -J s >j
	python3 - $HOLDER $$ $w <<-'EOF'
		import json, sys
		j = json.load(open("j")); a, b, w = map(int, sys.argv[1:])
		assert j["slots"] == 2 and j["value"] == 0 and j["kind"] == "slots", j
		assert [h["slot"] for h in j["holders"]] == [0, 1], j
		assert j["holders"][0]["pid"] == a and j["holders"][1]["owner"] == b, j
		assert j["waiters"][0]["pid"] == w, j
	EOF
	: >fifo
	wait $w
	ipc-sem post --owner $$ s
}

@test "create, -x, --value, modes" {
	umask 077
	status 0 ipc-sem create -m 666 --value 3 s
	[[ $(stat -c %a "$IPC_DIR/s.sem") == 666 ]]
	status 0 ipc-sem create s
	status 0 ipc-sem create --value 3 s
	status 73 ipc-sem create --value 4 s
	status 73 ipc-sem create -x s
	free s 3
	status 0 ipc-sem create ./here
	[[ -f here ]]
	status 71 ipc-sem create --value 5000 t
	status 66 ipc-sem create ./no/dir
}

@test "rm: 66 when missing, waiters get 66, holders go on" {
	need python3
	mkfifo fifo
	status 66 ipc-sem rm s
	holder s
	pids=()
	for i in 1 2 3; do
		( code=0; ipc-sem run -q -w 60 s -- true || code=$?; echo $code >>codes ) 3>&- &
		pids+=($!)
	done
	until_true waiting s 3
	status 66 ipc-sem rm s nonesuch
	for p in "${pids[@]}"; do wait "$p"; done
	[[ $(tr -d '\n' <codes) == 666666 ]]
	: >fifo
	wait $HOLDER
	status 66 ipc-sem get s
}

@test "damaged and hostile files give 65, wrong things their statuses" {
	: >empty
	echo text >text
	head -c 64 /dev/zero >zero
	ipc-sem create ./good
	head -c 40 good >short
	for b in 8 12 16 20; do
		cp good bad.$b
		printf '\377\377\377\377' | dd of=bad.$b bs=1 seek=$b conv=notrunc 2>/dev/null
	done
	mkfifo fifo
	for f in empty text zero short bad.8 bad.12 bad.16 bad.20 fifo; do
		for verb in get stat wait try post zero rm; do
			status 65 ipc-sem $verb ./$f
		done
		status 65 ipc-sem run ./$f -- true
		status 65 ipc-sem set ./$f 1
	done
	mkdir dir
	status 65 ipc-sem wait ./dir
	truncate -s 0 good
	status 65 ipc-sem run ./good -- true
	status 66 ipc-sem get none
	status 66 ipc-sem post none
	status 66 ipc-sem set none 1
	status 64 ipc-sem get tcp:h:1
	status 64 ipc-sem get ''
	status 64 ipc-sem wait --take 0 s
	status 64 ipc-sem wait --take x s
	status 64 ipc-sem run --take 9999 s -- true
	status 64 ipc-sem run s
	status 64 ipc-sem run -j 0 s -- true
	status 64 ipc-sem wait --owner 0 s
	status 64 ipc-sem wait -w x s
	status 64 ipc-sem set s -1
	status 64 ipc-sem wait --frob s
	status 64 ipc-sem wait --index 1 s
	# So many keepers are too many; a shell that holds its slots itself needs none.
	[[ -n ${IPCBOX_BUILTINS-} ]] || status 64 ipc-sem wait --take 17 s
}

@test "a file cut short or made bad while others wait: 65 for them" {
	need python3
	mkfifo fifo
	holder s
	( code=0; ipc-sem run -q -w 60 s -- true || code=$?; echo $code >code ) 3>&- &
	w=$!
	until_true waiting s 1
	truncate -s 0 "$IPC_DIR/s.sem"
	wait $w
	[[ $(<code) == 65 ]]
	: >fifo
	wait $HOLDER
}

@test "what a semaphore cannot be named, or be" {
	ln -s none link
	status 65 ipc-sem create ./link
	[[ $stderr == *"a symbolic link, no semaphore"* && ! -e none ]]
	status 64 ipc-sem create "posix:/$(printf '%0300d' 0)"
	status 64 ipc-sem create -x sysv:id=5
	[[ $stderr == *"the kernel chooses ids"* ]]
	status 71 ipc-sem create --value 40000 "$V"
	[[ $stderr == *"up to 32767"* ]]
	status 66 ipc-sem create 'sysv:./none#a'
	[[ $stderr == *"make the key"* ]]
	ipc-sem create "$V"
	status 71 ipc-sem set "$V" 40000
	ipc-sem create s
	status 71 ipc-sem set s 100000
	id=$(ipc-sem create sysv:private)
	[[ $id == sysv:id=* ]]
	ipc-sem rm "$id"
}

@test "whoever holds the gate is waited for, 10 s; what happened meanwhile is seen" {
	need python3
	ipc-sem create ./s
	ipc-sem create ./t
	cat >gate.py <<-'EOF'
		import fcntl, struct, sys
		f = open(sys.argv[1], "r+b")
		fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 1 << 40, 1, 0))
		open("shut", "w").close()
		sys.stdin.read()
	EOF
	mkfifo go
	exec 9<>go
	python3 gate.py t <go 9>&- 3>&- 4>&- &
	gate=$!
	until_true test -e shut
	rm shut
	bg ipc-sem wait -w 60 --owner $$ ./t 2>err 9>&-
	pid=$!
	until_true blocked $pid
	rm t
	exec 9>&-
	wait $gate
	code=0
	wait $pid || code=$?
	[[ $code == 66 && $(<err) == *"./t: was removed"* ]]
	exec 9<>go
	python3 gate.py s <go 9>&- 3>&- 4>&- &
	gate=$!
	until_true test -e shut
	pids=()
	for verb in "wait --owner $$ ./s" "post --owner $$ ./s" "set ./s 3" "run -j 4 ./s -- true"; do
		# shellcheck disable=SC2086
		bg ipc-sem $verb 2>>err 9>&-
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		code=0
		wait "$pid" || code=$?
		[[ $code == 75 ]]
	done
	[[ $(grep -c 'somebody has held its gate for 10 s: is a process stopped?' err) == 4 ]]
	exec 9>&-
	wait $gate
	[[ $(ipc-sem get ./s) == 1 ]]
}

@test "a slot that somebody locks in this moment, without the gate, is not ours" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and ASan"
	ipc-sem create ./s
	strace -qq -o trace -e trace=/^fcntl ipc-sem run -n ./s -- true
	n=$(awk '/F_OFD_GETLK/ { print NR; exit }' trace)
	rm trace
	# Stopped when it has seen that the slot is free.
	bg strace -qq -o trace -e trace=/^fcntl -e inject=/^fcntl:signal=STOP:when="$n" ipc-sem run -n ./s -- touch ran
	late=$!
	until_true grep -qs 'stopped by SIGSTOP' trace
	exec 9<>s
	python3 -c 'import fcntl, struct; fcntl.fcntl(9, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, (1 << 40) + 4, 64, 0))'
	kill -CONT "$(kids $late ipc-sem)"
	code=0
	wait $late || code=$?
	exec 9>&-
	[[ $code == 75 && ! -e ran ]]
	status 0 ipc-sem run -n ./s -- true
}

@test "a holder's command is shown without its control characters" {
	need python3
	ipc-sem create ./s
	mkfifo fifo
	exec 9<>fifo
	holder ./s 9>&-
	python3 -c 'f = open("s", "r+b"); f.seek(64 + 20); f.write(b"a\33b\177c\0")'
	status 0 ipc-sem stat ./s
	[[ $output == *'a?b?c'* && $output != *$'\33'* ]]
	exec 9>&-
	wait $HOLDER
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and ASan"
	status 71 strace -qq -o /dev/null -e trace=openat -e inject=openat:error=EMFILE -P /proc/self/fd/3 ipc-sem wait --owner $$ ./s
	for call in inotify_init1 inotify_add_watch; do
		ipc-sem wait --owner $$ ./s
		bg strace -qq -o trace -e trace=$call -e inject=$call:error=ENOSPC ipc-sem run -w 60 ./s -- true
		pid=$!
		until_true grep -qs INJECTED trace
		ipc-sem post --owner $$ ./s
		wait $pid
		rm trace
	done
}

@test "sysv: a set that nobody has used yet is waited for, a second, as its maker may be at it" {
	need perl
	perl -e 'semget(oct $ARGV[0], 1, 0600 | 01000) // die' "${V#sysv:}"
	status 0 ipc-sem post "$V"
	[[ $(ipc-sem get "$V") == 1 ]]
}

@test "no permission: 77" {
	need root
	open=$(mktemp -d /tmp/ipcsem.XXXXXX)
	cd "$open"
	chmod 755 .
	cp "$(readlink -f "$BIN/ipc-sem")" ipc-sem
	as_nobody ./ipc-sem --help >/dev/null || skip "nobody does not get here"
	ipc-sem create ./s
	ipc-sem create "$P"
	ipc-sem create "$V"
	status 77 as_nobody ./ipc-sem get ./s
	status 77 as_nobody ./ipc-sem run ./s -- true
	status 77 as_nobody ./ipc-sem wait "$P"
	status 77 as_nobody ./ipc-sem wait "$V"
	cd "$T"
	rm -r "$open"
}

@test "a full stdout is an error, a closed one too" {
	ipc-sem create s
	code=0
	ipc-sem get s >/dev/full 2>err || code=$?
	[[ $code == 74 ]]
	code=0
	ipc-sem stat s >&- 2>err || code=$?
	[[ $code == 74 ]]
}

@test "CMD gets no descriptor of ours, and its background children do not keep the slot" {
	status 0 sh -c 'ls /proc/self/fd | wc -l'
	plain=$output
	status 0 ipc-sem run s -- sh -c 'ls /proc/self/fd | wc -l'
	[[ $output == "$plain" ]]
	mkfifo fifo
	status 0 ipc-sem run s -- sh -c 'cat fifo >/dev/null 2>&1 & '
	free s 1
	: >fifo
}

# ---- POSIX

@test "posix: create, wait, post, get, set, stat, rm" {
	status 66 ipc-sem get "$P"
	status 66 ipc-sem wait "$P"
	status 0 ipc-sem create --value 2 -m 640 "$P"
	[[ $(stat -c %a:%s /dev/shm/sem."${P#posix:/}") == 640:$(($(word_bits) / 2)) ]]
	status 73 ipc-sem create -x "$P"
	status 0 ipc-sem wait "$P"
	status 0 ipc-sem try "$P"
	status 1 ipc-sem try "$P"
	status 75 ipc-sem wait -n "$P"
	status 124 ipc-sem wait -w 20ms "$P"
	status 0 ipc-sem post --take 3 "$P"
	free "$P" 3
	status 0 ipc-sem set "$P" 7
	status 0 ipc-sem stat "$P"
	[[ $output == *"value 7"*"waiters 0"*"mode 0640"* ]]
	status 64 ipc-sem wait --owner $$ "$P"
	status 64 ipc-sem create posix:/a/b
	status 0 ipc-sem set "$P" 2147483647
	status 71 ipc-sem post "$P"
	status 0 ipc-sem rm "$P"
	status 66 ipc-sem rm "$P"
	: >/dev/shm/sem."${P#posix:/}"
	status 65 ipc-sem get "$P"
	rm /dev/shm/sem."${P#posix:/}"
}

@test "posix: sem_wait and sem_post of C, with waiters on both sides" {
	need python3
	c_sem
	n=${P#posix:}
	"$CSEM" open "$n" 1
	free "$P" 1
	ipc-sem wait "$P"
	[[ $("$CSEM" get "$n") == 0 ]]
	bg "$CSEM" wait "$n"
	c=$!
	bg ipc-sem wait -w 60 "$P"
	i=$!
	until_true waiting "$P" 2
	ipc-sem post "$P"
	"$CSEM" post "$n"
	wait $c
	wait $i
	waiting "$P" 0
	[[ $("$CSEM" get "$n") == 0 ]]
	ipc-sem rm "$P"
	ipc-sem create --value 3 "$P"
	[[ $("$CSEM" get "$n") == 3 ]]
	"$CSEM" try "$n" 3
	free "$P" 0
}

@test "posix: a thousand hand-overs to and from C lose none" {
	need python3
	c_sem
	n=${P#posix:}
	ipc-sem create --value 0 "$P"
	bg "$CSEM" wait "$n" 1000
	c=$!
	for ((i = 0; i < 250; i++)); do ipc-sem post --take 4 "$P"; done
	wait $c
	free "$P" 0
	bg "$CSEM" post "$n" 300
	for ((i = 0; i < 300; i++)); do ipc-sem wait -w 60 "$P"; done
	free "$P" 0
	waiting "$P" 0
}

@test "posix: python's ctypes at the other end" {
	need python3 word
	n=${P#posix:}
	ipc-sem create --value 0 "$P"
	cat >py <<-'EOF'
		import ctypes, sys
		lib = ctypes.CDLL(None, use_errno=True)
		lib.sem_open.restype = ctypes.c_void_p
		s = ctypes.c_void_p(lib.sem_open(sys.argv[1].encode(), 0))
		assert s.value and lib.sem_wait(s) == 0 and lib.sem_post(s) == 0 and lib.sem_post(s) == 0
	EOF
	bg python3 py "$n"
	p=$!
	until_true waiting "$P" 1
	ipc-sem post "$P"
	wait $p
	free "$P" 2
}

@test "posix: weights wait for all at once; killed waiters upset nobody; zero" {
	need python3
	ipc-sem create --value 1 "$P"
	bg ipc-sem wait -w 60 --take 3 "$P"
	a=$!
	until_true waiting "$P" 1
	free "$P" 1
	ipc-sem post --take 2 "$P"
	wait $a
	free "$P" 0
	bg ipc-sem wait "$P"
	b=$!
	until_true waiting "$P" 1
	kill -KILL $b
	wait $b || :
	ipc-sem post "$P"
	status 0 ipc-sem wait -w 20 "$P"
	ipc-sem post "$P"
	bg ipc-sem zero -w 60 "$P"
	z=$!
	until_true blocked $z
	ipc-sem wait "$P"
	wait $z
}

@test "posix: run waits, runs, posts" {
	status 66 ipc-sem run "$P" -- true
	status 5 ipc-sem run -j 2 "$P" -- sh -c "echo \${IPC_SLOT-none}; ipc-sem get $P; exit 5"
	[[ $output == none$'\n'1 ]]
	free "$P" 2
	status 127 ipc-sem run "$P" -- no-such-command
	free "$P" 2
}

# ---- System V

@test "sysv: create, wait, post, get, set, zero, stat, rm" {
	status 66 ipc-sem get "$V"
	status 0 ipc-sem create --value 2 "$V"
	status 73 ipc-sem create -x "$V"
	status 0 ipc-sem wait --take 2 "$V"
	status 1 ipc-sem try "$V"
	status 75 ipc-sem wait -n "$V"
	status 124 ipc-sem wait -w 50ms "$V"
	status 0 ipc-sem zero "$V"
	status 0 ipc-sem post --take 3 "$V"
	free "$V" 3
	status 124 ipc-sem zero -w 20ms "$V"
	status 0 ipc-sem set "$V" 32767
	status 71 ipc-sem post "$V"
	status 71 ipc-sem set "$V" 32768
	status 64 ipc-sem wait --owner $$ "$V"
	status 66 ipc-sem get --index 1 "$V"
	status 0 ipc-sem rm "$V"
	status 66 ipc-sem rm "$V"
	status 66 ipc-sem wait sysv:id=2147483647
}

@test "sysv: run has SEM_UNDO: a killed supervisor gives back, and takes CMD with it" {
	need python3
	mkfifo fifo
	ipc-sem create "$V"
	holder "$V"
	free "$V" 0
	bg ipc-sem wait -w 60 "$V"
	next=$!
	until_true waiting "$V" 1
	kill -KILL $HOLDER
	wait $next
	gone() { [[ ! -e /proc/$1/fd/0 ]]; }
	until_true gone "$(<cmd.pid)"
	free "$V" 0
	ipc-sem post "$V"
	status 4 ipc-sem run "$V" -- sh -c 'exit 4'
	free "$V" 1
}

@test "sysv: perl's semop at the other end, counts of waiters, removal" {
	need perl python3
	ipc-sem create --value 0 "$V"
	bg perl -e 'my $id = semget(hex($ARGV[0]), 1, 0) // die; semop($id, pack("s!3", 0, -2, 0)) or die' "${V#sysv:0x}"
	p=$!
	bg ipc-sem wait -w 60 "$V"
	w=$!
	until_true waiting "$V" 2
	ipc-sem stat "$V" | grep -q '^waiters_for_zero 0'
	perl -e 'my $id = semget(hex($ARGV[0]), 1, 0) // die; semop($id, pack("s!3", 0, 3, 0)) or die' "${V#sysv:0x}"
	wait $p
	wait $w
	free "$V" 0
	( code=0; ipc-sem wait -q -w 60 "$V" || code=$?; echo $code >code ) 3>&- &
	w=$!
	until_true waiting "$V" 1
	ipc-sem rm "$V"
	wait $w
	[[ $(<code) == 66 ]]
}

@test "sysv: many that create at once get one semaphore with its value" {
	pids=()
	for i in {1..20}; do
		bg ipc-sem run -w 60 -j 5 "$V" -- true
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	free "$V" 5
}

@test "ls shows all three kinds" {
	need python3
	ipc-sem create --value 4 s
	ipc-sem create --value 5 "$P"
	ipc-sem create --value 6 "$V"
	ipc-sem ls -J >j
	python3 - "$P" "$V" <<-'EOF'
		import json, sys
		d = {x["object"]: x for x in json.load(open("j"))}
		assert d["s"]["value"] == 4 and d[sys.argv[1]]["value"] == 5
		assert [x for x in d.values() if x["kind"] == "sysv" and x["value"] == 6]
	EOF
	status 0 ipc-sem ls
	[[ $output == SEM*KIND*VALUE* ]]
}

@test "who holds the slots is named when none is free" {
	need python3
	mkfifo fifo
	ipc-sem create --value 2 s
	holder s
	ipc-sem wait --owner $$ s
	status 75 ipc-sem run -n s -- true
	[[ $stderr == *"wait for s (held by process $HOLDER (sh -c echo "*"), process $$"* ]]
	status 124 ipc-sem run -w 20ms s -- true
	[[ $stderr == *"held by process $HOLDER "* ]]
	status 1 ipc-sem try s
	[[ -z $stderr ]]
	: >fifo
}
