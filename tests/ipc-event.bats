#!/usr/bin/env bats
# ipc-event: manual and automatic events, sequence numbers, the condition variable.

load helper

# waits WORD N: N processes have the event open.
waits() {
	[[ $(ipc-event stat -J "$1" | grep -o '"pid"' | wc -l) == "$2" ]]
}

@test "a set wakes a waiter that came before the event existed" {
	bg ipc-event wait -w 20 e
	pid=$!
	until_true waits e 1
	status 0 ipc-event set e
	wait $pid
}

@test "a manual event lets everybody pass until it is cleared" {
	ipc-event set e
	status 0 ipc-event wait -n e
	status 0 ipc-event wait -n e
	ipc-event clear e
	status 75 ipc-event wait -n e
	[[ $stderr == "ipc-event wait: wait for e: would block" ]]
	status 124 ipc-event wait -w 0 e
}

@test "an automatic event lets one pass for each set" {
	ipc-event set --auto e
	ipc-event set --auto e
	status 0 ipc-event wait -n e
	status 75 ipc-event wait -n e
}

@test "set then clear before the waiter runs is not slept through" {
	bg ipc-event wait -w 20 e
	pid=$!
	until_true waits e 1
	kill -STOP $pid
	ipc-event set e
	ipc-event clear e
	kill -CONT $pid
	wait $pid
}

@test "a pulse wakes those that wait now and leaves the state" {
	ipc-event clear e
	bg ipc-event wait -w 20 e
	a=$!
	bg ipc-event wait -w 20 e
	b=$!
	until_true waits e 2
	ipc-event pulse e
	wait $a
	wait $b
	[[ $(ipc-event stat -o state e) == clear ]]
	status 75 ipc-event wait -n e
}

@test "a pulse of an automatic event wakes one, and is gone when nobody waits" {
	ipc-event pulse --auto e
	status 75 ipc-event wait -n e
	for i in 1 2 3; do
		( code=0; ipc-event wait -q -w 20 e || code=$?; echo $code >"out.$i" ) 3>&- &
	done
	until_true waits e 3
	ipc-event pulse e
	until_true eval 'cat out.* | grep -q .'
	until_true waits e 2
	ipc-event set e
	until_true waits e 1
	ipc-event rm e
	wait
	[[ $(cat out.* | sort | tr '\n' ' ') == "0 0 66 " ]]
}

@test "--since misses nothing and prints the next number" {
	ipc-event set e
	ipc-event set e
	ipc-event pulse e
	status 0 ipc-event wait -w 5 --since 0 e
	[[ $output == 3 ]]
	status 75 ipc-event wait -n --since 3 e
	bg ipc-event wait -w 20 --since 3 e
	pid=$!
	until_true waits e 1
	ipc-event set e
	wait $pid
	[[ $(ipc-event stat -o seq e) == 4 ]]
}

@test "--since with the number of an event that was removed: each set of the new one is new" {
	for _ in 1 2 3; do ipc-event set e; done
	ipc-event rm e
	bg ipc-event wait -w 20 --since 3 e
	pid=$!
	until_true waits e 1
	ipc-event set e
	wait $pid
	status 0 ipc-event wait -n --since 3 e
	[[ $output == 1 ]]
	status 75 ipc-event wait -n --since 1 e
}

@test "no wake-up is lost in 2,000 rounds of two processes that answer each other" {
	cat >pong.sh <<-'EOF'
	n=0
	while [ "$n" -lt 1000 ]; do
		n=$(ipc-event wait -w 20 --since "$n" ping) || exit
		ipc-event set pong
	done
	EOF
	bg sh pong.sh
	pid=$!
	n=0
	while ((n < 1000)); do
		ipc-event set ping
		n=$(ipc-event wait -w 20 --since "$n" pong)
	done
	wait $pid
	[[ $(ipc-event stat -o seq ping) == 1000 ]]
}

@test "200 waiters wake at one set" {
	for ((i = 0; i < 200; i++)); do
		ipc-event wait -w 60 e 3>&- &
	done
	until_true waits e 200
	ipc-event set e
	for p in $(jobs -p); do
		wait "$p"
	done
}

@test "of 20 waiters an automatic event wakes exactly one per set, killed ones take none" {
	ipc-event clear --auto e
	pids=()
	for ((i = 0; i < 20; i++)); do
		( ipc-event wait -w 60 e && echo x >>passed ) 3>&- &
	done
	until_true waits e 20
	# Kill five, while sets go on.
	for p in $(ipc-event stat -J e | grep -o '"pid":[0-9]*' | head -n 5 | cut -d: -f2); do
		kill -KILL "$p"
	done
	until_true waits e 15
	for ((i = 1; i <= 15; i++)); do
		ipc-event set e
		until_true eval "[[ \$(wc -l <passed) == $i ]]"
	done
	wait
	[[ $(wc -l <passed) == 15 ]]
	status 75 ipc-event wait -n e
}

@test "CMD is the predicate: run at the start, and after each set, until it succeeds" {
	cat >predicate <<-'EOF'
	#!/bin/sh
	echo "$IPC_OBJECT $IPC_EVENT_SEQ" >>runs
	[ -e now ]
	EOF
	chmod +x predicate
	bg ipc-event wait -w 20 e -- ./predicate
	pid=$!
	until_true eval '[[ $(wc -l <runs) == 1 ]]'
	ipc-event set e
	until_true eval '[[ $(wc -l <runs) == 2 ]]'
	>now
	ipc-event set e
	wait $pid
	[[ $(<runs) == $'e 0\ne 1\ne 2' ]]
}

@test "a predicate that a set event fails does not spin" {
	ipc-event set e
	bg ipc-event wait -w 20 e -- sh -c 'echo x >>runs; test -e now'
	pid=$!
	until_true eval '[[ -s runs ]]'
	until_true blocked $pid
	[[ $(wc -l <runs) == 1 ]]
	>now
	ipc-event pulse e
	wait $pid
	[[ $(wc -l <runs) == 2 ]]
}

@test "the predicate runs under --lock, which flock respects" {
	ipc-event wait --lock ./l e -- sh -c '! flock -n ./l true'
	status 0 flock -n ./l true
	mkfifo go
	bg flock ./l sh -c '>held; read -r x <go'
	until_true test -e held
	status 124 ipc-event wait -w 0.1 --lock ./l e -- true
	echo >go
	wait
	status 0 ipc-event wait -w 10 --lock ./l e -- true
}

@test "what CMD's statuses mean" {
	status 75 ipc-event wait -n e -- sh -c 'exit 63'
	status 64 ipc-event wait -n e -- sh -c 'exit 64'
	status 127 ipc-event wait -n e -- ./missing
	status 143 ipc-event wait e -- sh -c 'kill -TERM $$'
	status 64 ipc-event wait --lock l e
	status 64 ipc-event wait --lock posix: e -- true
	[[ $stderr == *"--lock posix:"* ]]
	status 74 ipc-event wait --ready-fd 77 e
	status 75 ipc-event wait -n e
	status 64 ipc-event wait --since 1 e -- true
}

@test "a short call asks for no memory of its own" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-}${IPCBOX_COVERAGE-} ]] || skip "what instruments it asks for some"
	ipc-event set e
	# What the C library does at its start is in both.
	strace -o none -e trace=brk ipcbox --version >/dev/null
	strace -o some -e trace=brk ipc-event set e
	[[ $(grep -c brk some) == "$(grep -c brk none)" ]]
}

@test "--ready-fd: who does not read it holds up the waiter, and nobody else" {
	full_pipe
	bg ipc-event wait --ready-fd 8 e
	local waiter=$!
	until_true blocked "$waiter"
	status 0 timeout 5 ipc-event set e
	status 0 timeout 5 ipc-event wait -n e
	status 0 timeout 5 ipc-event clear e
	status 0 timeout 5 ipc-event set e
	cat <&8 >/dev/null 3>&- 4>&- &
	local reader=$!
	wait "$waiter"
	kill "$reader"
	wait "$reader" || :
}

@test "a setter killed at any moment leaves the event usable" {
	for ((i = 0; i < 60; i++)); do
		( while :; do ipc-event set e; ipc-event clear e; done ) 3>&- &
		p=$!
		ipc-event wait -w 20 --since "$(ipc-event stat -o seq e 2>/dev/null || echo 0)" e >/dev/null
		kill -KILL $p
		wait $p 2>/dev/null || :
	done
	# What the last shell had started may still end with a clear.
	usable() { ipc-event set e && ipc-event wait -n e; }
	until_true usable
}

@test "waiting costs no processor time" {
	bg ipc-event wait -w 60 e
	pid=$!
	until_true waits e 1
	until_true blocked $pid
	read -r -a before <"/proc/$pid/stat"
	read -r -t 1.5 <> <(:) || :
	read -r -a after <"/proc/$pid/stat"
	(( after[13] + after[14] - before[13] - before[14] <= 1 ))
}

@test "timeouts are kept" {
	start=$(date +%s%N)
	status 124 ipc-event wait -w 200ms e
	took=$(( ($(date +%s%N) - start) / 1000000 ))
	((took >= 200 && took < 5000))
}

@test "rm wakes waiters with 66, and the name is free at once" {
	bg ipc-event wait -w 20 e
	pid=$!
	until_true waits e 1
	status 0 ipc-event rm e
	code=0
	wait $pid || code=$?
	[[ $code == 66 ]]
	[[ ! -e $IPC_DIR/e.event ]]
	status 66 ipc-event stat e
	status 66 ipc-event rm e
	status 0 ipc-event set e
}

@test "the kind is fixed by its first use" {
	ipc-event set e
	status 73 ipc-event set --auto e
	status 73 ipc-event wait --auto -n e
	ipc-event pulse --auto a
	status 0 ipc-event set a
	[[ $(ipc-event stat -o kind a) == auto ]]
}

@test "files, modes and permissions" {
	umask 077
	status 0 ipc-event set -m 0664 ./f
	[[ $(stat -c %a f) == 664 ]]
	status 0 ipc-event set g
	[[ $(stat -c %a "$IPC_DIR/g.event") == 600 ]]
	if [[ $(id -u) == 0 ]]; then
		chmod 755 .
		ipc-event set -m 0644 ./r
		status 77 as_nobody "$BIN/ipc-event" set ./r
		status 77 as_nobody "$BIN/ipc-event" set ./none
	fi
}

@test "damaged, foreign and hostile files give 65" {
	need python3
	ipc-event set ./e
	: >empty; status 65 ipc-event set ./empty
	head -c 4096 /dev/urandom >random; status 65 ipc-event set ./random
	cp e v; printf '\x63' | dd of=v bs=1 seek=8 conv=notrunc status=none; status 65 ipc-event set ./v
	cp e s; printf '\x01' | dd of=s bs=1 seek=17 conv=notrunc status=none; status 65 ipc-event set ./s
	cp e k; printf '\x07' | dd of=k bs=1 seek=68 conv=notrunc status=none; status 65 ipc-event set ./k
	mkdir d; status 65 ipc-event set ./d
	mkfifo p; status 65 ipc-event set ./p
	# Locked by a thread that never was: taken over, not waited for.
	cp e dead; printf '\xff\xff\x3f\x00' | dd of=dead bs=1 seek=24 conv=notrunc status=none
	status 0 timeout 20 ipc-event set ./dead
	[[ $(ipc-event stat -J ./dead) == *'"repairs":1'* ]]
	# Locked by a process that does not even have it open: the same.
	cp e alien
	bg sleep 60
	python3 -c 'import struct, sys; f = open("alien", "r+b"); f.seek(24); f.write(struct.pack("I", int(sys.argv[1])))' $!
	status 0 timeout 20 ipc-event set ./alien
}

@test "a file whose numbers change under a waiter is damaged" {
	need python3
	for change in 16:ff 17:01; do
		rm -f e
		ipc-event clear ./e
		bg timeout 60 ipc-event wait ./e 2>err
		pid=$!
		until_true blocked $pid
		python3 -c 'import sys; f = open("e", "r+b"); at, b = sys.argv[1].split(":")
f.seek(int(at)); f.write(bytes.fromhex(b))' "$change"
		code=0
		wait $pid || code=$?
		[[ $code == 65 && $(<err) == "ipc-event wait: ./e: the file was damaged while in use" ]]
	done
}

@test "a lock holder that is stopped is named, and does not hang the others for ever" {
	need python3
	ipc-event set ./e
	bg python3 -c 'import time; f = open("e"); open("there", "w").close(); time.sleep(60)'
	pid=$!
	until_true test -e there
	cat >lock.py <<-'EOF'
		import struct, sys
		f = open("e", "r+b")
		f.seek(24)
		f.write(struct.pack("I", int(sys.argv[1])))
		sys.exit(1)
	EOF
	# It is locked while CMD runs.
	bg ipc-event wait -w 60 ./e -- sh -c "python3 lock.py $pid; >holds; exit 1" 2>err
	other=$!
	until_true test -e holds
	status 75 ipc-event set ./e
	[[ $stderr == *"process $pid"* ]]
	code=0
	wait $other || code=$?
	[[ $code == 75 && $(<err) == *"process $pid"* ]]
	status 124 ipc-event wait -w 0.1 ./e
}

@test "a file cut short under a waiter is an error, found without a deadline and said once" {
	for verb in clear set; do
		rm -f e
		ipc-event $verb ./e
		ipc-event clear ./e
		bg timeout 60 ipc-event wait ./e 2>err
		pid=$!
		until_true waits ./e 1
		: >e
		code=0
		wait $pid || code=$?
		[[ $code == 65 && $(<err) == "ipc-event wait: ./e: the file was cut short while in use" ]]
	done
}

@test "an event that is removed while we come to it: a new one is made, or there is none" {
	need python3
	for verb in set rm; do
		ipc-event set ./e
		rm -f holds
		bg hold e 'os.unlink("e"); put(76, 1)'
		pid=$!
		until_true test -e holds
		if [[ $verb == set ]]; then
			status 0 ipc-event set ./e
			[[ $(ipc-event stat -o seq ./e) == 1 ]]
		else
			status 66 ipc-event rm ./e
			[[ $stderr == *"no such event"* ]]
		fi
		wait $pid
	done
	# Marked as removed, but still there: nobody would ever get in.
	ipc-event set ./e
	python3 -c 'f = open("e", "r+b"); f.seek(76); f.write(b"\1")'
	status 65 ipc-event set ./e
}

@test "stat shows who waits, and says when some cannot be seen" {
	bg ipc-event wait -m 666 -w 60 ./e
	pid=$!
	until_true waits ./e 1
	status 0 ipc-event stat ./e
	[[ $output == *"PID WAITER"*"$pid"* ]]
	# In the shell itself the waiter's command is the shell's.
	[[ -n ${IPCBOX_BUILTINS-} || $output == *"ipc-event wait -m 666 -w 60 ./e"* ]]
	if [[ $(id -u) == 0 ]]; then
		chmod 755 .
		status 0 as_nobody "$BIN/ipc-event" stat -v ./e
		[[ $stderr == *"some processes cannot be looked into"* ]]
	fi
	ipc-event set ./e
	wait $pid
}

@test "hostile bits never crash or hang a verb" {
	need python3
	ipc-event set ./good
	python3 - <<-'EOF'
	import random, subprocess, shutil
	random.seed(5)
	for i in range(150):
	    shutil.copy("good", "bad")
	    with open("bad", "r+b") as f:
	        for _ in range(random.randint(1, 8)):
	            f.seek(random.randrange(88)); f.write(bytes([random.randrange(256)]))
	    for verb in (["set"], ["wait", "-w", "0.01"], ["stat"], ["clear"]):
	        r = subprocess.run(["ipc-event", *verb, "./bad"], capture_output=True, timeout=20)
	        assert r.returncode in (0, 65, 66, 73, 75, 124), (i, verb, r)
	EOF
}

@test "a full file system is an error, not a SIGBUS" {
	need root
	mkdir m
	mount -t tmpfs -o size=4k none m 2>/dev/null || skip "cannot mount"
	head -c 8192 /dev/zero >m/fill 2>/dev/null || :
	code=0
	ipc-event set ./m/e || code=$?
	umount m
	[[ $code == 71 ]]
}

@test "wrong words" {
	status 64 ipc-event
	status 64 ipc-event poke e
	status 64 ipc-event set
	status 64 ipc-event wait -w x e
	status 64 ipc-event wait --since -1 e
	status 64 ipc-event set posix:/e
	status 64 ipc-event set .e
	status 66 ipc-event set ./no/such/dir
}

@test "stat needs no right to write, nor the lock" {
	need root python3
	chmod 755 .
	nobody_gets_here || skip "other users cannot come here"
	ipc-event set -m 644 ./e
	bg hold e 'pass'
	until_true test -e holds
	status 0 as_nobody "$BIN/ipcbox" ipc-event stat ./e
	[[ $output == *$'state set\nseq 1'* ]]
}

# other_boot FILE: as if the machine had been started again since FILE was last opened.
other_boot() {
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(32); f.write(b"\1" * 16)' "$1"
}

# poke FILE AT HEX
poke() {
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); f.write(bytes.fromhex(sys.argv[3]))' "$@"
}

@test "after another boot the state is kept, and a lock of then is void" {
	need python3
	ipc-event set ./e
	ipc-event set ./e
	poke ./e 24 11223300
	other_boot e
	status 0 ipc-event stat ./e
	[[ $output == *$'state set\nseq 2'* ]]
	status 0 timeout 20 ipc-event wait -n ./e
	status 0 ipc-event set ./e
	[[ $(ipc-event stat -o seq ./e) == 3 ]]
	ipc-event set -a ./a
	ipc-event wait -n ./a # takes the set
	other_boot a
	status 75 ipc-event wait -n ./a
}

@test "after another boot a state with a wrong checksum gives 65 from every verb, each time" {
	program "a shell that has it open has seen no other boot"
	need python3
	for at in 68 72 80 88; do
		rm -f e
		ipc-event set ./e
		poke ./e $at 02
		other_boot e
		for verb in set clear pulse stat "wait -n" "wait -n --since 0" set; do
			# shellcheck disable=SC2086
			status 65 ipc-event $verb ./e
			[[ $stderr == *"checksum is wrong"* ]]
		done
	done
}

@test "a setter that died before it had written the checksum: the next one writes it" {
	need python3
	ipc-event set ./e
	poke ./e 80 05 # in this boot the state is believed ...
	poke ./e 24 00000040 # ... and its last owner has died
	ipc-event wait -n ./e
	other_boot e
	[[ $(ipc-event stat -o seq ./e) == 5 ]]
}

@test "the checksum is crc32c, and an event of version 1 is read" {
	need python3
	ipc-event set ./e
	python3 - <<-'EOF'
		import struct
		def crc32c(data):
		    crc = 0xffffffff
		    for b in data:
		        crc ^= b
		        for _ in range(8):
		            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
		    return crc ^ 0xffffffff
		assert crc32c(b"123456789") == 0xe3069283
		f = open("e", "rb").read()
		assert struct.unpack_from("I", f, 8) == (2,)
		assert struct.unpack_from("I", f, 52) == (crc32c(f[68:76] + f[80:96]),)
	EOF
	poke ./e 8 01
	poke ./e 52 00000000
	other_boot e
	[[ $(ipc-event stat -o state ./e) == set ]]
	ipc-event set ./e
	[[ $(od -An -tu4 -j8 -N4 e | tr -d ' ') == 2 ]]
	[[ $(ipc-event stat -o seq ./e) == 2 ]]
}
