#!/usr/bin/env bats
# The applets loaded into bash: what the shell holds itself, and what it keeps open from call to call.
load helper
load builtins

local_setup() {
	with_builtins
	printf 'B=%q\n' "$BIN" >>load
}

# What is named by the system, not by a directory of ours, is removed however the test ends.
local_teardown() {
	local q=/ipcbox-kept-$$-$BATS_TEST_NUMBER
	{ ipc-mq rm "$q"; ipc-shm rm "posix:$q"; ipc-sem rm "posix:$q"; } 2>/dev/null || true
}

# holding TEXT: the same in the background, until somebody writes to the FIFO "go"; its pid is in $PID, once TEXT has
# been run.
holding() {
	rm -f pid go
	mkfifo go
	bg shell "$1"$'\n''echo $BASHPID >pid.new; mv pid.new pid; read -r <go; '"${2-}"
	JOB=$!
	until_true test -s pid
	PID=$(<pid)
}

# shows TEXT CMD...: CMD prints the word TEXT.
shows() {
	local text=$1
	shift
	"$@" >shown 2>&1 || return
	grep -qw -- "$text" shown
}

let_go() {
	echo >go
	wait "$JOB"
}

# ---- slots

@test "a slot that the shell holds itself: no process, and back with post, the shell's end, its kill" {
	need strace
	{
		cat load
		echo 'ipc-sem wait s; ipc-sem try s; echo $?; ipc-sem post s; ipc-sem acquire ./f; ipc-sem post ./f'
	} >script
	status 0 strace -f -qq -e trace=%process -o trace bash script
	[[ $output == 1 ]]
	status 1 grep -E 'fork|clone' trace
	status 0 shell 'ipc-sem wait s; "$B"/ipc-sem run -q -n s -- echo never; echo $?; ipc-sem post s; "$B"/ipc-sem run -n s -- echo free'
	[[ $output == $'75\nfree' ]]
	status 0 shell 'ipc-sem wait s'
	status 0 ipc-sem run -n s -- true
	holding 'ipc-sem wait s'
	status 75 ipc-sem run -q -n s -- true
	kill -KILL "$PID"
	status 0 ipc-sem run -w 20 s -- true
}

@test "several slots: all or none, the highest is given back first, their numbers on demand" {
	status 0 shell 'ipc-sem create --value 4 s; ipc-sem wait --take 3 -v A s; echo $A; ipc-sem wait -n -q --take 2 s; echo $?
		ipc-sem get s; ipc-sem wait -v N s; echo $N; ipc-sem get s
		ipc-sem post --take 5 s; echo $?; ipc-sem get s
		ipc-sem post s; "$B"/ipc-sem run s -- sh -c "echo \$IPC_SLOT"; ipc-sem post --take 3 s; ipc-sem get s; ipc-sem post s; echo $?'
	[[ $output == $'0 1 2\n75\n1\n3\n0\n69\n0\n3\n4\n69' ]] || { echo "$output"; false; }
	[[ $stderr == *"this shell has 4 slots, not 5"* && $stderr == *"has 0 slots, not 1"* ]]
	status 0 shell 'ipc-sem create --value 1 t; ipc-sem wait --take 2 t 2>/dev/null; echo $?; ipc-sem set t 2; ipc-sem wait --take 2 t; ipc-sem set t 1
		ipc-sem post t; "$B"/ipc-sem try t; echo $?; ipc-sem post t; "$B"/ipc-sem try t; echo $?'
	[[ $output == $'71\n1\n0' ]] || { echo "$output"; false; }
}

@test "no subshell and no command keeps a slot, gives it back, or takes it for its own" {
	status 0 shell 'ipc-sem wait s; (ipc-sem post s; echo $?; ipc-sem try s; echo $?) 2>/dev/null; x=$(ipc-sem try s; echo $?); echo $x
		("$B"/ipc-sem try s; echo $?); ipc-sem post s; (ipc-sem wait s); ipc-sem try s; echo $?; ipc-sem post s'
	[[ $output == $'69\n1\n1\n1\n0' ]] || { echo "$output"; false; }
	holding 'ipc-sem wait s; sleep 1000 & echo $! >sleeper'
	kill -KILL "$PID"
	status 0 ipc-sem run -w 20 s -- true
	kill "$(<sleeper)"
	# exec(2) ends the shell: what follows in its process is another program.
	status 0 shell 'ipc-sem wait s; exec "$B"/ipc-sem run -n s -- echo free'
	[[ $output == free ]]
}

@test "slots by another word for the same file, of a removed file, and of the one made in its place" {
	status 0 shell 'ipc-sem wait ./f; ipc-sem try "$PWD/f"; echo $?; ipc-sem post "$PWD/f"; ipc-sem try ./f; echo $?
		"$B"/ipc-sem rm ./f; ipc-sem try ./f; echo $?; ipc-sem try ./f; echo $?; ipc-sem post ./f; ipc-sem post ./f; echo $?; ipc-sem post ./f 2>/dev/null; echo $?'
	[[ $output == $'1\n0\n0\n1\n0\n69' ]] || { echo "$output"; false; }
	status 0 shell 'ipc-sem wait w; ipc-sem rm w; ipc-sem post w; echo $?; ipc-sem post w 2>/dev/null; echo $?; ipc-sem get w 2>/dev/null; echo $?'
	[[ $output == $'0\n66\n66' ]] || { echo "$output"; false; }
}

@test "the shell's slots and those that keepers hold for it go together" {
	# One taken by the program for this shell is given back by the builtin; the program is told whose ours are.
	status 0 shell 'ipc-sem create --value 2 s; env "$B"/ipc-sem wait --owner $$ s; ipc-sem get s; ipc-sem post s; ipc-sem get s
		ipc-sem wait s; "$B"/ipc-sem post s; echo $?; ipc-sem wait --owner $$ s; ipc-sem get s
		ipc-sem post --owner $$ s; ipc-sem post --owner $$ s; ipc-sem get s'
	[[ $output == $'1\n2\n69\n0\n2' ]] || { echo "$output $stderr"; false; }
	[[ $stderr == *"held by itself, a shell"* ]]
	# For another process a keeper is started, by the program.
	sleep 1000 3>&- &
	local other=$!
	status 0 shell "ipc-sem create --value 2 o; ipc-sem wait --owner $other o; ipc-sem get o"
	[[ $output == 1 && $(ipc-sem get o) == 1 ]]
	status 0 shell "ipc-sem post --owner $other o; ipc-sem get o"
	[[ $output == 2 ]]
	kill "$other"
}

@test "who waits for a slot gets it when a shell gives it back, programs and shells in turn" {
	mkfifo end
	holding 'ipc-sem wait s' 'ipc-sem post s; read -r <end'
	bg ipc-sem run -w 60 s -- sh -c 'echo program >>got'
	local p=$!
	until_true blocked "$p"
	echo >go
	wait "$p"
	[[ $(<got) == program ]]
	echo >end
	wait "$JOB"
	echo free >own
	bg shell 'for ((i = 0; i < 30; i++)); do ipc-sem wait -w 60 t && echo $i >>log; [[ $(<own) == free ]] || echo both >>log; echo a >own; echo free >own; ipc-sem post t; done'
	local a=$!
	status 0 shell 'for ((i = 0; i < 30; i++)); do ipc-sem wait -w 60 t && echo $i >>log; [[ $(<own) == free ]] || echo both >>log; echo b >own; echo free >own; ipc-sem post t; done'
	wait "$a"
	[[ $(wc -l <log) == 60 ]]
	status 1 grep both log
}

@test "a trap interrupts the wait for a slot; the turn and the gate are free afterwards" {
	ready ipc-sem run s -- sh -c 'echo >&8; exec sleep 1000'
	local holder=$PID
	bg shell 'trap "echo trapped" USR1; echo $$ >pid; ipc-sem wait s; echo $?; ipc-sem wait -q -w 50ms s; echo $?; ipc-sem try s; echo $?' >out
	local p=$!
	until_true test -s pid
	until_true blocked "$(<pid)"
	until_true shows waiting ipc-sem stat s
	kill -USR1 "$(<pid)"
	wait "$p"
	[[ $(<out) == $'trapped\n138\n124\n1' ]] || { cat out; false; }
	kill "$holder"
	wait "$holder" || :
	status 0 ipc-sem run -w 20 s -- true
}

@test "stat shows the shell that holds a slot, one that waits, and none that is idle" {
	holding 'ipc-sem create --value 2 s; ipc-sem wait s; ipc-sem get s >/dev/null'
	status 0 ipc-sem stat s
	[[ $output == *"waiters 0"* ]]
	grep -qE "^ *0 +$PID +$PID " <<<"$output"
	[[ $(ipc-sem stat -J s) == *"\"owner\":$PID"* ]]
	let_go
	holding 'ipc-sem wait s; ipc-sem post s'
	status 0 ipc-sem stat s
	[[ $output == *"value 2"* && $output == *"waiters 0"* && $output != *"$PID"* ]]
	let_go
	ready ipc-sem run --take 2 s -- sh -c 'echo >&8; exec sleep 1000'
	local holder=$PID
	bg shell 'ipc-sem get s >/dev/null; echo $$ >pid2; ipc-sem wait s'
	local p=$!
	until_true test -s pid2
	until_true shows "waiters 1" ipc-sem stat s
	[[ $(ipc-sem stat s) == *" $(<pid2) "*waiting* ]]
	kill "$holder"
	wait "$p"
}

@test "slots cost no system calls that are not needed, and leave nothing behind" {
	status 0 shell 'ipc-sem create --value 3 s
		ipc-sem wait s; ipc-sem post s; set -- /proc/$$/fd/*; a=$#
		for ((i = 0; i < 300; i++)); do ipc-sem wait s; ipc-sem wait --take 2 s; ipc-sem try s; ipc-sem post --take 3 s; done; set -- /proc/$$/fd/*; [[ $a == "$#" ]] && echo same
		ipc-sem wait --take 3 s; for i in {1..40}; do ipc-event set e$i; done; ipc-sem try s; echo $?; ipc-sem post --take 3 s; echo $?'
	[[ $output == $'same\n1\n0' ]] || { echo "$output $stderr"; false; }
	need strace
	{
		cat load
		echo 'for i in {1..50}; do ipc-sem wait s; ipc-sem post s; done'
	} >script
	strace -qq -e trace=openat -o trace bash script
	(($(grep -cE 's\.sem|/proc/self/fd' trace) < 6))
}

@test "memory does not grow with the number of slots taken, words changed and records passed" {
	status 0 shell 'mkfifo f; exec {F}<>f; ipc-sem create --value 2 s; ipc-shm create -S 4K m
		grow() { for ((i = 0; i < $1; i++)); do ipc-sem wait -v A s; (( i % 3 )) || ipc-sem try s; ipc-sem post s; ipc-sem post -q s; ipc-shm add -v X m 0 1
			ipc-shm write m text; ipc-shm read --length 4 -v X m; ipc-fifo write fd:$F x; ipc-fifo read -c 1 -v X fd:$F; ipc-shm get m 4096; done 2>/dev/null
			sed -n "s/VmData:[^0-9]*\([0-9]*\).*/\1/p" /proc/$$/status; }
		grow 100 >1; grow 600 >2; cat 1 2'
	read -r -d '' one two <<<"$output" || :
	((two - one <= 300)) || { echo "$one -> $two kB"; false; }
}

# ---- segments

@test "segments stay open and mapped from call to call" {
	need strace
	local q=/ipcbox-kept-$$-$BATS_TEST_NUMBER
	{
		cat load
		cat <<-EOF
			ipc-shm create -S 8K posix:$q; ipc-shm create -S 4K w; ipc-shm create -S 4K ./f
			for i in {1..50}; do
				for s in posix:$q w ./f; do
					ipc-shm add -v X \$s 0 1; ipc-shm get -v Y \$s 0; ipc-shm set \$s 8 \$i; ipc-shm cas -v Z \$s 8 \$i 0; ipc-shm wait -v Z \$s 0 ge 1
					ipc-shm write -o 16 \$s "text \$i"; ipc-shm read -o 16 --length 6 -v T \$s
					[[ \$X == \$i && \$Y == \$i && \$Z == \$i && \$T == "text \${i:0:1}" ]] || echo "\$s \$X \$Y \$Z \$T"
				done
			done
			ipc-shm rm posix:$q w ./f
		EOF
	} >script
	status 0 strace -qq -e trace=openat,mmap,munmap -o trace bash script
	[[ -z $output$stderr ]] || { echo "$output$stderr"; false; }
	(($(grep -cE 'openat.*(ipcbox-kept|w\.shm|"\./f")' trace) < 16))
	(($(grep -c mmap trace) < 300 && $(grep -cE 'MAP_SHARED, (1[2-9]|[2-9])[0-9]' trace) < 16))
}

# Where not even root may look into all processes the kernel's word is not enough: the shell has it mapped.
export FORCE=""
head -c 1 /proc/1/maps >/dev/null 2>&1 || FORCE=--force

@test "a segment that was replaced, resized, cut short or removed is noticed" {
	local q=/ipcbox-kept-$$-$BATS_TEST_NUMBER
	status 0 shell "ipc-shm create -S 4K posix:$q; ipc-shm set posix:$q 0 7; ipc-shm get posix:$q 0; '$BIN/ipc-shm' rm posix:$q
		ipc-shm get posix:$q 0 2>/dev/null; echo \$?; ipc-shm set posix:$q 0 1 2>/dev/null; echo \$?; '$BIN/ipc-shm' create -S 4K posix:$q; ipc-shm get posix:$q 0; ipc-shm rm posix:$q"
	[[ $output == $'7\n66\n66\n0' ]] || { echo "$output"; false; }
	status 0 shell 'ipc-shm create -S 4K ./f; ipc-shm set ./f 4088 5; ipc-shm get ./f 4088
		"$B"/ipc-shm resize -S 8K ./f; ipc-shm set ./f 8184 6; ipc-shm get ./f 8184; ipc-shm get ./f 4088
		"$B"/ipc-shm resize $FORCE -S 4K ./f; echo $?; ipc-shm get ./f 8184 2>/dev/null; echo $?; ipc-shm get ./f 4088
		: >f; ipc-shm add ./f 0 1 2>/dev/null; echo $?; ipc-shm read ./f; echo $?
		rm f; ipc-shm create -S 64 ./f; ipc-shm add ./f 0 3; mv f g; ipc-shm get ./f 0 2>/dev/null; echo $?; mv g f; ipc-shm get ./f 0
		mkdir d; cd d; ipc-shm get ./f 0 2>/dev/null; echo $?; cd ..; ipc-shm get ./f 0
		ipc-shm create -S 64 w; ipc-shm set w 0 1; export IPC_DIR=$PWD/other; ipc-shm get w 0 2>/dev/null; echo $?'
	[[ $output == $'5\n6\n5\n0\n65\n5\n65\n0\n3\n66\n3\n66\n3\n66' ]] || { echo "$output"; false; }
}

@test "the lock of a segment is free after every call, and excludes while it is held" {
	ipc-shm create -S 1M ./f
	holding '{ ipc-shm write ./f hello; ipc-shm read --length 5 ./f >/dev/null; ipc-shm read --length 5 ./f >/dev/full; ipc-shm write -o 2M ./f x; ipc-shm read -o 2M ./f; ipc-shm read --length 5 -v V ./f; } 2>/dev/null'
	status 0 ipc-lock test ./f
	status 0 ipc-shm write -n ./f other
	let_go
	# Held by another, the shell waits for it, and takes the file that is there then.
	mkfifo end
	ready ipc-lock run ./f -- sh -c 'echo >&8; read -r x <end'
	local holder=$PID
	status 0 shell 'ipc-shm get ./f 0 >/dev/null; ipc-shm write -n -q ./f x; echo $?; ipc-shm read -w 20ms -q ./f; echo $?'
	[[ $output == $'75\n124' ]]
	bg shell 'ipc-shm get ./f 0 >/dev/null; echo $$ >pid3; ipc-shm write ./f fresh'
	local p=$!
	until_true test -s pid3
	until_true blocked "$(<pid3)"
	ipc-shm create -S 4K ./g
	mv g f
	echo >end
	wait "$p" "$holder"
	[[ $(ipc-shm read --length 5 ./f) == fresh ]]
}

@test "words are added to at once by shells, programs and C, and none is lost" {
	ipc-shm create -S 4K ./f
	cat >adds.c <<-'EOF'
		#include <fcntl.h>
		#include <stdint.h>
		#include <sys/mman.h>
		int main(void)
		{
			int64_t *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open("f", O_RDWR), 0);
			for (int i = 0; i < 100000; i++)
				__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
			return 0;
		}
	EOF
	gcc -O1 -o adds adds.c
	bg ./adds
	local c=$!
	bg shell 'for ((i = 0; i < 2000; i++)); do ipc-shm add ./f 0 1; done' >/dev/null
	local a=$!
	status 0 shell 'for ((i = 0; i < 2000; i++)); do ipc-shm add -v X ./f 0 1; done; (ipc-shm add ./f 0 1 >/dev/null); ipc-shm add ./f 0 1 >/dev/null'
	wait "$c"
	wait "$a"
	[[ $(ipc-shm get ./f 0) == 104002 ]]
}

@test "a removed segment's memory goes when the shell that removed it has not used it up" {
	local q=/ipcbox-kept-$$-$BATS_TEST_NUMBER
	status 0 shell "ipc-shm create -S 4K posix:$q; ipc-shm set posix:$q 0 1; ipc-shm get posix:$q 0 >/dev/null; ipc-shm rm posix:$q
		ipc-mq create --depth 2 -S 64 $q; ipc-mq send $q x; ipc-mq recv $q >/dev/null; ipc-mq rm $q; ipc-sem create posix:$q; ipc-sem get posix:$q >/dev/null; ipc-sem rm posix:$q
		grep -c ${q#/} /proc/\$\$/maps; ls -l /proc/\$\$/fd | grep -c ${q#/}; :"
	[[ $output == $'0\n0' ]] || { echo "$output"; false; }
}

@test "a directory that was renamed is noticed within a moment, a file at once" {
	status 0 shell 'mkdir -m 700 d; export IPC_DIR=$PWD/d
		soon() { end=$((SECONDS + 60)); while ((SECONDS < end)); do "$@" 2>/dev/null || return 0; done; echo "never: $*"; }
		ipc-event set e; ipc-lock acquire l; ipc-lock release l; ipc-shm create -S 64 m; ipc-shm set m 0 1; ipc-event set "$PWD/d/f"; ipc-event wait -n e && mv d away && mkdir -m 700 d
		soon ipc-event stat -o seq e >/dev/null; soon ipc-shm get m 0 >/dev/null; soon ipc-event stat -o seq "$PWD/d/f" >/dev/null
		soon eval "ipc-lock acquire l; ipc-lock release l; [[ ! -e d/l.lock ]]"
		ipc-lock acquire l; "$B"/ipc-lock test l; echo $?; ipc-lock release l; ls d
		for i in {1..50}; do ipc-event set x; mv d/x.event d/y.event; ipc-event stat x 2>/dev/null && echo "missed $i"; ipc-event set y; rm d/y.event; done'
	[[ $output == $'1\nl.lock' ]] || { echo "$output $stderr"; false; }
}

# ---- FIFOs

@test "no end of a FIFO is kept: readers see the end, writers that nobody reads" {
	mkfifo f
	bg timeout 60 cat f >got
	local p=$! s
	holding 'ipc-fifo write -w 20 ./f one; [[ $(ls -l /proc/$$/fd) != *"/f"* ]] || echo kept >kept'
	wait "$p"
	[[ $(<got) == one && ! -e kept ]]
	let_go
	bg shell 'ipc-fifo read -c 1 -v X ./f; echo "$X" >first; ipc-fifo write -n -q ./f two; echo $? >second'
	s=$!
	ipc-fifo write -w 20 ./f one
	wait "$s"
	[[ $(<first) == one && $(<second) == 75 ]]
}

@test "ends that the shell itself holds open are used again and again, without a process" {
	mkfifo f
	status 0 shell 'exec {F}<>f; for i in {1..200}; do ipc-fifo write fd:$F "record $i" extra; ipc-fifo read -c 1 -v X fd:$F; ipc-fifo read -c 1 -v Y fd:$F; [[ $X == "record $i" && $Y == extra ]] || echo "$X $Y"; done
		ipc-fifo read -n -q -c 1 -v X fd:$F; echo $?; ipc-fifo write fd:$F a b c; ipc-fifo read -c 3 -a A fd:$F; echo "${A[*]}"
		before=(/proc/$$/fd/*); for i in {1..50}; do ipc-fifo write fd:$F x; ipc-fifo read -c 1 -v X fd:$F; done; after=(/proc/$$/fd/*); ((${#after[@]} == ${#before[@]})) && echo same'
	[[ $output == $'75\na b c\nsame' ]] || { echo "$output $stderr"; false; }
}

@test "the pipe that records are looked at through is kept, and empty after every call" {
	need strace
	mkfifo f
	{
		cat load
		cat <<-'EOS'
			exec {F}<>f
			for i in {1..40}; do
				ipc-fifo write fd:$F one two three
				ipc-fifo read -c 1 -v X fd:$F
				(ipc-fifo read -c 1 -v Y fd:$F; [[ $Y == two ]] || echo "$Y")
				ipc-fifo read -q -w 1ms -c 2 -v Z fd:$F || ((i % 10)) || ipc-fifo read --record-size 3 -n -q fd:$F
				[[ $X$Z == onethree ]] || echo "$X $Z"
			done
			exec 128<&- 129<&- 130<&-
			ipc-fifo write fd:$F last && ipc-fifo read -c 1 -v X fd:$F && echo "$X"
		EOS
	} >script
	status 0 strace -qq -e trace=pipe2 -o trace bash script
	[[ $output == last ]] || { echo "$output $stderr"; false; }
	(($(grep -c pipe2 trace) < 10))
}

# ---- idle handles

@test "an idle shell is no holder, waiter or user of what it keeps open" {
	local q=/ipcbox-kept-$$-$BATS_TEST_NUMBER
	holding "ipc-ring create -S 4K r; ipc-ring put r x; ipc-ring get -v X r; ipc-event set e; ipc-event wait e; ipc-sem create posix:$q; ipc-sem post posix:$q
		ipc-mq create --depth 2 -S 64 $q; ipc-mq send $q x; ipc-mq recv -v X $q; ipc-shm create -S 8K ./m; ipc-shm add -v X ./m 0 1; ipc-shm create -S 4K posix:$q; ipc-shm set posix:$q 0 1
		ipc-barrier wait -c 1 b; ipc-lock acquire l; ipc-lock release l; ipc-sem wait s; ipc-sem post s"
	status 0 ipc-lock test l
	[[ $(ipc-lock stat l) == *free* ]]
	local c
	for c in 'ipc-ring stat r' 'ipc-event stat e' "ipc-mq stat $q" 'ipc-shm stat ./m' "ipc-shm stat posix:$q" 'ipc-barrier stat b' 'ipc-sem stat s'; do
		status 0 eval "$c"
		[[ $output != *"$PID"* ]] || { echo "$c: $output"; false; }
		status 0 eval "${c/stat/stat -J}"
		[[ $output != *"\"pid\":$PID"* ]] || { echo "$c: $output"; false; }
	done
	status 0 ipc-ls -o kind,name,users,holders,waiters -t ring,event,mq,shm,barrier,sem,lock
	[[ $output != *"$PID bash"* ]] || { grep -w "$PID" <<<"$output"; false; }
	status 0 ipc-ls -J -t ring,event,mq,shm,barrier,sem,lock
	[[ $output != *"\"pid\":$PID,"* ]] || { grep -w "$PID" <<<"$output"; false; }
	# It keeps nothing from being shrunk or removed; but is reason enough to call nothing stale.
	[[ $(ipc-ls --stale -o name -t ring,barrier,mq) != *"$q"* ]]
	# shellcheck disable=SC2086 # one word, or none
	status 0 ipc-shm resize $FORCE -S 4K ./m
	status 0 ipc-rm -t mq "posix:$q" </dev/null
	ipc-shm rm "posix:$q"
	ipc-sem rm "posix:$q"
	let_go
}

@test "a shell that waits is shown where an idle one is not" {
	local q=/ipcbox-kept-$$-$BATS_TEST_NUMBER
	ipc-ring create -S 4K r
	ipc-mq create --depth 2 -S 64 "$q"
	ipc-shm create -S 4K m
	local v list command
	for v in 'ipc-ring get r|ipc-ring stat r|ring' "ipc-mq recv $q|ipc-mq stat $q|mq" 'ipc-shm wait m 0 ge 9|ipc-shm stat m|shm' 'ipc-event wait e|ipc-event stat e|event' 'ipc-barrier wait -c 2 b|ipc-barrier stat b|barrier'; do
		IFS='|' read -r -a list <<<"$v"
		rm -f pid
		# A call before, so that the handle was idle once.
		bg shell "${list[0]/ / } -w 1ms -q 2>/dev/null || :; ${list[0]%% *} stat ${list[1]##* } >/dev/null; echo \$\$ >pid; ${list[0]}"
		local p=$!
		until_true test -s pid
		read -r -a command <<<"${list[1]}"
		until_true shows "$(<pid)" "${command[@]}"
		until_true shows "$(<pid)" ipc-ls -o kind,name,users -t "${list[2]}"
		kill -KILL "$(<pid)"
		wait "$p" || :
	done
	ipc-mq rm "$q"
}

@test "the party of a barrier is the shell that waits at it" {
	rm -f pid
	bg shell 'echo $$ >pid; ipc-barrier wait -c 2 b; echo $? >done'
	local p=$!
	until_true test -s pid
	until_true shows "$(<pid)" ipc-barrier stat b
	ipc-barrier wait -w 20 -c 2 b
	wait "$p"
	[[ $(<done) == 0 ]]
}

@test "a FIFO without a reader ends the verb, not the shell, also when its output would go to a variable" {
	status 0 shell 'mkfifo f; exec {R}<>f; exec {W}>f; exec {R}<&-
		ipc-fifo -v X write -q fd:$W record; echo "$?"'
	[[ $output == 69 ]] || { echo "$output"; false; }
}
