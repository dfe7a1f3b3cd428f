#!/usr/bin/env bats
# The classic scenes: the scripts of ipcbox-cookbook(7) in dash, bash and busybox sh, and what they must do
# when the other side is a program of another make, or is killed.

load helper

# The pages' own runner takes dash and bash; here is the third shell.
@test "every script of the cookbook runs in busybox sh" {
	need busybox python3
	mkdir blocks
	n=$("$ROOT/tests/examples/extract" "$ROOT/man/ipcbox-cookbook.7" blocks)
	((n > 0))
	for ((i = 1; i <= n; i++)); do
		mkdir "run.$i"
		( cd "run.$i" && IPC_DIR=$PWD/.ipc timeout 120 busybox sh "../blocks/$i.sh" >../got 2>../err 3>&- ) || {
			echo "block $i: $?"
			cat err
			false
		}
		diff -u "blocks/$i.want" got
	done
}

@test "1: ipc-lock and a Python fcntl user exclude each other, readers share, ranges lock alone" {
	need python3
	cat >hold.py <<-'EOF'
	import fcntl, sys, os
	f = open("data", "r+")
	kind = fcntl.LOCK_EX if sys.argv[1] == "write" else fcntl.LOCK_SH
	start, length = int(sys.argv[2]), int(sys.argv[3])
	fcntl.lockf(f, kind, length, start)
	open("held", "w").close()
	open("go").read()
	EOF
	echo 0123456789 >data
	mkfifo go
	held() {
		rm -f held
		bg python3 hold.py "$@"
		pid=$!
		until_true test -e held
	}
	held write 0 0
	status 75 ipc-lock run -n -s ./data -- true
	echo >go; wait $pid
	held read 0 0
	status 0 ipc-lock run -n -s ./data -- true
	status 75 ipc-lock run -n ./data -- true
	echo >go; wait $pid
	held write 0 4
	status 0 ipc-lock run -n --family ofd --range 4:4 ./data -- true
	status 75 ipc-lock run -n --family ofd --range 3:1 ./data -- true
	echo >go; wait $pid
	# And the other way round.
	cat >try.py <<-'EOF'
	import fcntl, sys
	f = open("data", "r+")
	try:
	    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
	except OSError:
	    sys.exit(9)
	EOF
	status 9 ipc-lock run ./data -- python3 try.py
	status 0 python3 try.py
}

@test "1: a consumer never sees half of what the producer writes, in 200 rounds" {
	: >data
	cat >producer <<-'EOF'
	i=0
	while [ $((i += 1)) -le 200 ]; do
		ipc-lock run -x ./data -- sh -c "echo first $i >data; echo second $i >>data"
	done
	EOF
	bg sh producer
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		ipc-lock run -s ./data -- cat data >seen
		[[ ! -s seen ]] || awk 'NR == 1 { n = $2 } END { exit !(NR == 2 && $2 == n) }' seen || { cat seen; false; }
	done
	wait $pid
}

@test "4: 768,000 integers in bursts of 16 with random pauses, counts and primes equal" {
	need python3 factor
	cat >writer.py <<-'EOF'
	import os, random, struct, time
	random.seed(4)
	out = open("ints", "wb", buffering=0)
	copy = open("sent", "wb")
	for burst in range(48000):
	    b = struct.pack("16I", *(random.getrandbits(32) for _ in range(16)))
	    out.write(b)
	    copy.write(b)
	    if burst % 16 == 0:
	        time.sleep(random.uniform(0, 250e-6))
	EOF
	ipc-fifo create ./ints
	bg python3 writer.py
	pid=$!
	ipc-fifo read --unlink ./ints >got
	wait $pid
	[[ $(stat -c %s got) == $((768000 * 4)) ]]
	[[ ! -e ints ]]
	primes() { od -An -v -tu4 -w4 "$1" | factor | awk 'NF == 2' | wc -l; }
	[[ $(primes got) == $(primes sent) ]]
}

@test "3: no zombie is left by a pipe's commands" {
	cat >count.sh <<-'EOF'
	ipc-pipe run echo gold -- cat -- cat >/dev/null
	cat $(sed 's|[0-9]*|/proc/&/stat|g; s|/proc//stat||g' /proc/$$/task/$$/children) 2>/dev/null | grep -c ') Z'
	EOF
	status 1 sh count.sh
	[[ $output == 0 ]]
}

@test "13: question and answer with a Python program over a socket pair, 1,000 rounds" {
	need python3
	cat >answer.py <<-'EOF'
	import socket
	s = socket.socket(fileno=0)
	assert s.type == socket.SOCK_STREAM and s.family == socket.AF_UNIX
	f = s.makefile("rw")
	for line in f:
	    f.write(str(int(line) * 2) + "\n")
	    f.flush()
	EOF
	cat >ask.sh <<-'EOF'
	i=0
	while [ $i -lt 1000 ]; do
		echo $i
		read -r n && [ "$n" = $((i * 2)) ] || exit 9
		i=$((i + 1))
	done
	EOF
	status 0 timeout 60 ipc-pipe run -d -t stream --status worst sh ask.sh -- python3 answer.py
}

@test "17: a limit leaves nothing behind and is not kept early" {
	ipc-fifo create ./f
	before=$(ls -A)
	start=$(date +%s%N)
	status 124 ipc-fifo read -w 0.4 ./f
	(($(date +%s%N) - start >= 400000000))
	rm -f .out .err
	[[ $(ls -A) == "$before" ]]
}

@test "22: of twenty servers that start at once exactly one serves, each time its predecessor is killed" {
	cat >server <<-'EOF'
	echo $$ $PPID >>log
	ipc-event set up
	exec ipc-event wait stop
	EOF
	for ((i = 0; i < 20; i++)); do
		bg ipc-lock run -q -w 60 --family dotlock ./lock -- sh ./server
	done
	for ((i = 0; i < 6; i++)); do
		ipc-event wait -w 30 --since $i up >/dev/null
		[[ $(wc -l <log) == $((i + 1)) ]]
		# shellcheck disable=SC2046 # two process ids
		kill -KILL $(tail -n 1 log)
	done
	ipc-event set stop
	wait
	# All had their turn, one after the other.
	[[ $(wc -l <log) == 20 ]]
	[[ ! -e lock ]]
}

@test "25: 8 x 1,000 exclusive updates lose none, readers never see half" {
	need python3
	echo 0 0 >n
	cat >add.sh <<-'EOF'
	i=0
	while [ $((i += 1)) -le 1000 ]; do
		ipc-lock run ./lock -- ./add
	done
	EOF
	cat >add.c <<-'EOF'
	#include <stdio.h>
	int main(void)
	{
		long a, b;
		FILE *f = fopen("n", "r+");
		if (f == NULL || fscanf(f, "%ld %ld", &a, &b) != 2 || a != b)
			return 1;
		rewind(f);
		fprintf(f, "%ld ", a + 1);
		fflush(f);
		fprintf(f, "%ld\n", b + 1);
		return fclose(f) != 0;
	}
	EOF
	gcc -O2 -o add add.c
	pids=()
	for i in 1 2 3 4 5 6 7 8; do
		bg sh add.sh
		pids+=($!)
	done
	for ((i = 0; i < 100; i++)); do
		ipc-lock run -s ./lock -- awk '{ exit $1 != $2 }' n
	done
	for p in "${pids[@]}"; do wait "$p"; done
	[[ $(<n) == "8000 8000" ]]
}

@test "25: an owner killed while holding leaves the lock to the next" {
	for ((i = 0; i < 10; i++)); do
		bg ipc-lock run ./lock -- sh -c 'echo $$ $PPID >pids; exec tail -f /dev/null'
		pid=$!
		until_true eval '[[ -s pids ]]'
		bg ipc-lock run -w 30 ./lock -- touch next
		next=$!
		# shellcheck disable=SC2046 # two process ids
		kill -KILL $(<pids)
		wait $next
		wait $pid || :
		rm pids next
	done
}
