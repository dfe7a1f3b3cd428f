#!/usr/bin/env bats
# ipc-barrier: N go on together, or break together.

load helper

came() {
	[[ $(ipc-barrier stat -J "$1" 2>/dev/null) == *"\"arrived\":$2,"* ]]
}

@test "nobody goes on before all have come" {
	for i in 1 2 3; do
		( ipc-barrier wait -w 30 -c 4 b; echo "$i" >>out ) 3>&- &
	done
	until_true came b 3
	[[ ! -e out ]]
	status 0 ipc-barrier wait -w 30 -c 4 b
	wait
	[[ $(wc -l <out) == 3 ]]
}

@test "generations never mix: 8 parties, 60 rounds" {
	cat >party.sh <<-'EOF'
	i=0
	while [ $i -lt 60 ]; do
		echo $i >at.$1
		ipc-barrier wait -w 60 -c 8 b || exit 1
		for f in at.*; do
			read -r n <$f || n=$i
			# A party is at most one round ahead of us, and never behind.
			[ "$n" -ge $i ] && [ "$n" -le $((i + 1)) ] || { echo "$f is at $n, we at $i" >>bad; }
		done
		i=$((i + 1))
		ipc-barrier wait -w 60 -c 8 c || exit 1
	done
	EOF
	for i in 1 2 3 4 5 6 7 8; do echo 0 >at.$i; done
	pids=()
	for i in 1 2 3 4 5 6 7 8; do
		bg sh party.sh $i
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	[[ ! -e bad ]] || { cat bad; false; }
	[[ $(ipc-barrier stat b | grep generation) == "generation 60" ]]
	[[ $(ipc-barrier stat b | grep broken) == "broken 0" ]]
}

@test "CMD runs once, in the last to come, before the others go on" {
	for i in 1 2; do
		( ipc-barrier wait -w 30 -c 3 b -- sh -c 'echo wrong >>led'; echo "$i $(cat led)" >>out ) 3>&- &
	done
	until_true came b 2
	status 0 ipc-barrier wait -w 30 -c 3 b -- sh -c 'echo "led $IPC_OBJECT" >>led'
	wait
	[[ $(<led) == "led b" ]]
	[[ $(sort out) == $'1 led b\n2 led b' ]]
}

@test "a leader whose CMD fails breaks the barrier for all" {
	( code=0; ipc-barrier wait -w 30 -c 2 b || code=$?; echo $code >code ) 3>&- &
	until_true came b 1
	status 9 ipc-barrier wait -w 30 -c 2 b -- sh -c 'exit 9'
	wait
	[[ $(<code) == 76 ]]
}

@test "a timeout breaks the barrier for all: 124 for one, 76 for the others" {
	( code=0; ipc-barrier wait -w 30 -c 3 b 2>err || code=$?; echo $code >code ) 3>&- &
	until_true came b 1
	status 124 ipc-barrier wait -w 0.1 -c 3 b
	[[ $stderr == *"2 of 3 came"*"timed out"* ]]
	wait
	[[ $(<code) == 76 ]]
	[[ $(<err) == *broken* ]]
}

@test "a party that is killed breaks the barrier for all" {
	for i in 1 2 3; do
		( code=0; ipc-barrier wait -w 60 -c 5 b 2>>err || code=$?; echo $code >>codes ) 3>&- &
	done
	until_true came b 3
	start=$SECONDS
	bg ipc-barrier wait -w 60 -c 5 b
	pid=$!
	until_true came b 4
	kill -KILL $pid
	wait
	[[ $(<codes) == $'76\n76\n76' ]]
	grep -q 'died' err
	((SECONDS - start < 20))
}

@test "each of the waiting parties may be the one that dies" {
	for victim in 0 1 2 3; do
		pids=()
		for i in 0 1 2 3; do
			bg ipc-barrier wait -q -w 60 -c 5 "b$victim"
			pids+=($!)
			until_true came "b$victim" $((i + 1))
		done
		kill -KILL "${pids[victim]}"
		for i in 0 1 2 3; do
			code=0
			wait "${pids[i]}" || code=$?
			if ((i == victim)); then [[ $code == 137 ]]; else [[ $code == 76 ]]; fi
		done
	done
}

@test "a leader killed while its CMD runs breaks the barrier, and CMD goes with it" {
	( code=0; ipc-barrier wait -w 60 -c 2 b || code=$?; echo $code >code ) 3>&- &
	until_true came b 1
	bg ipc-barrier wait -w 60 -c 2 b -- sh -c 'echo $$ >cmd; exec tail -f /dev/null'
	pid=$!
	until_true test -s cmd
	kill -KILL $pid
	until_true test -s code
	[[ $(<code) == 76 ]]
	until_true eval '! kill -0 $(<cmd)'
}

@test "who comes while the leader's CMD runs waits for the next generation" {
	bg ipc-barrier wait -w 60 -c 2 b
	a=$!
	until_true came b 1
	mkfifo go
	bg ipc-barrier wait -w 60 -c 2 b -- sh -c '>leading; read -r x <go'
	l=$!
	until_true test -e leading
	bg ipc-barrier wait -w 60 -c 2 b
	n=$!
	until_true blocked $n
	echo >go
	wait $a
	wait $l
	status 0 ipc-barrier wait -w 60 -c 2 b
	wait $n
}

@test "who comes while the leader's CMD runs can run out of time; break ends the leader too" {
	bg ipc-barrier wait -q -w 60 -c 2 b
	a=$!
	until_true came b 1
	mkfifo go
	bg ipc-barrier wait -w 60 -c 2 b -- sh -c '>leading; read -r x <go' 2>err
	l=$!
	until_true test -e leading
	status 124 ipc-barrier wait -w 0.1 -c 2 b
	status 0 ipc-barrier break b
	code=0
	wait $a || code=$?
	[[ $code == 76 ]]
	echo >go
	code=0
	wait $l || code=$?
	[[ $code == 76 && $(<err) == *"b: broken: another party"* ]]
	[[ $(ipc-barrier stat b) == *$'\nbroken 1'* ]]
}

@test "-n and -w 0 pass as the last, and else leave the others in peace" {
	status 75 ipc-barrier wait -n -c 2 b
	status 124 ipc-barrier wait -w 0 -c 2 b
	bg ipc-barrier wait -w 60 -c 2 b
	pid=$!
	until_true came b 1
	status 0 ipc-barrier wait -n -c 2 b
	wait $pid
	bg ipc-barrier wait -w 60 -c 3 c
	pid=$!
	until_true came c 1
	status 75 ipc-barrier wait -n -c 3 c
	status 124 ipc-barrier wait -w 0 -c 3 c
	bg ipc-barrier wait -w 60 -c 3 c
	until_true came c 2
	status 0 ipc-barrier wait -n -c 3 c
	wait $pid
}

@test "break and rm end those that wait with 76" {
	bg ipc-barrier wait -w 60 -c 2 b
	pid=$!
	until_true came b 1
	status 0 ipc-barrier break b
	code=0
	wait $pid || code=$?
	[[ $code == 76 ]]
	status 0 ipc-barrier break b
	bg ipc-barrier wait -w 60 -c 2 b
	pid=$!
	until_true came b 1
	status 0 ipc-barrier rm b
	code=0
	wait $pid || code=$?
	[[ $code == 76 ]]
	status 66 ipc-barrier stat b
	status 66 ipc-barrier break b
	status 66 ipc-barrier rm b
}

@test "all say the same number" {
	status 124 ipc-barrier wait -w 0 -c 2 b
	status 65 ipc-barrier wait -n -c 3 b
	[[ $stderr == *"is for 2 parties, not 3"* ]]
}

@test "who is missing is named: it was there last time and still runs" {
	cat >late.sh <<-'EOF'
	ipc-barrier wait -w 60 -c 2 b
	>done
	read -r x <never
	EOF
	mkfifo never
	bg sh late.sh
	late=$!
	until_true came b 1
	ipc-barrier wait -w 60 -c 2 b
	until_true test -e done
	status 124 ipc-barrier wait -w 0.1 -c 2 b
	[[ $stderr == *"1 of 2 came"*"$late sh late.sh"* ]]
	echo >never
	wait
}

@test "100 parties go on together" {
	pids=()
	for ((i = 0; i < 100; i++)); do
		bg ipc-barrier wait -w 60 -c 100 b
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
}

@test "one party alone is always together" {
	status 0 ipc-barrier wait -c 1 b
	status 5 ipc-barrier wait -c 1 b -- sh -c 'exit 5'
	status 127 ipc-barrier wait -c 1 b -- ./missing
}

@test "waiting costs no processor time" {
	bg ipc-barrier wait -w 60 -c 2 b
	pid=$!
	until_true came b 1
	until_true blocked $pid
	read -r -a before <"/proc/$pid/stat"
	read -r -t 1.5 <> <(:) || :
	read -r -a after <"/proc/$pid/stat"
	(( after[13] + after[14] - before[13] - before[14] <= 1 ))
}

@test "damaged and hostile files give 65 and never hang" {
	need python3
	status 124 ipc-barrier wait -w 0 -c 3 ./b
	: >empty; status 65 ipc-barrier wait -n -c 3 ./empty
	cp b n; printf '\xff\xff\xff\x7f' | dd of=n bs=1 seek=64 conv=notrunc status=none
	status 65 ipc-barrier stat ./n
	cp b a; printf '\x09' | dd of=a bs=1 seek=68 conv=notrunc status=none
	status 65 ipc-barrier stat ./a
	python3 - <<-'EOF'
	import os, random, subprocess, shutil
	random.seed(7)
	for i in range(150):
	    shutil.copy("b", "bad")
	    size = os.path.getsize("bad")
	    with open("bad", "r+b") as f:
	        for _ in range(random.randint(1, 8)):
	            f.seek(random.randrange(size)); f.write(bytes([random.randrange(256)]))
	    for verb in (["stat"], ["wait", "-w", "0.01", "-c", "3"], ["break"]):
	        r = subprocess.run(["ipc-barrier", *verb, "./bad"], capture_output=True, timeout=20)
	        assert r.returncode in (0, 65, 66, 76, 124), (i, verb, r)
	EOF
}

@test "a file whose numbers change under a party is damaged" {
	need python3
	# parties, arrived, the size in the header; generation 1 uses the second bank
	for change in 64:ffffffff 64:00000080 64:00000000 64:04000000 68:ffffff7f 16:ff; do
		rm -f b
		status 124 ipc-barrier wait -w 0 -c 3 ./b
		status 124 ipc-barrier wait -w 10ms -c 3 ./b
		bg timeout 60 ipc-barrier wait -c 3 ./b 2>err
		pid=$!
		until_true came ./b 1
		python3 -c 'import sys; f = open("b", "r+b"); at, b = sys.argv[1].split(":")
f.seek(int(at)); f.write(bytes.fromhex(b))' "$change"
		code=0
		wait $pid || code=$?
		[[ $code == 65 && $(<err) == "ipc-barrier wait: ./b: "*damaged* ]] || { echo "$change: $code"; cat err; false; }
	done
}

@test "a file cut short under a party is an error, said once" {
	for gen in 0 1; do
		rm -f b
		status 124 ipc-barrier wait -w 0 -c 2 ./b
		# What is read where the file has ended is zero, which the number of the generation is or is not.
		[[ $gen == 0 ]] || status 124 ipc-barrier wait -w 10ms -c 2 ./b
		bg timeout 60 ipc-barrier wait -c 2 ./b 2>err
		pid=$!
		until_true came ./b 1
		: >b
		code=0
		wait $pid || code=$?
		[[ $code == 65 && $(<err) == "ipc-barrier wait: ./b: the file was cut short while in use" ]]
	done
}

@test "a barrier that is removed while we come to it: a new one is made, or there is none" {
	need python3
	for verb in wait break; do
		status 124 ipc-barrier wait -w 0 -c 2 ./b
		rm -f holds
		bg hold b 'os.unlink("b"); put(76, 1)'
		pid=$!
		until_true test -e holds
		if [[ $verb == wait ]]; then
			status 75 ipc-barrier wait -n -c 2 ./b
			status 0 ipc-barrier stat ./b
		else
			status 66 ipc-barrier break ./b
			[[ $stderr == *"no such barrier"* ]]
		fi
		wait $pid
	done
	status 124 ipc-barrier wait -w 0 -c 2 ./b
	python3 -c 'f = open("b", "r+b"); f.seek(76); f.write(b"\1")'
	status 65 ipc-barrier wait -n -c 2 ./b
}

@test "a timeout in the moment in which all go on is none" {
	need python3
	status 124 ipc-barrier wait -w 0 -c 2 ./b
	bg ipc-barrier wait -w 5 -c 2 ./b
	party=$!
	until_true came ./b 1
	kill -STOP $party
	# The last one comes, holding the lock, and the first one's time runs out: it waits for the lock.
	bg hold b 'put(68, 0); put(72, get(72) + 1)'
	last=$!
	until_true test -e holds
	kill -CONT $party
	wait $last
	wait $party
}

@test "stat shows the parties, dead ones too; who comes after a dead one is not deceived" {
	bg ipc-barrier wait -w 60 -c 3 b
	pid=$!
	until_true came b 1
	status 0 ipc-barrier stat b
	[[ $output == *"PID PARTY"*"$BASHPID "* && $output != *dead* ]]
	kill -KILL $pid
	wait $pid || :
	status 0 ipc-barrier stat b
	[[ $output == *"$BASHPID (dead)"* ]]
	status 124 ipc-barrier wait -w 0.1 -c 3 b
	[[ $stderr == *"1 of 3 came"* ]]
	[[ $(ipc-barrier stat b) == *$'\nbroken 2'* ]]
}

@test "TERM, INT and HUP break it for the others" {
	for sig in TERM INT HUP; do
		bg ipc-barrier wait -q -w 60 -c 3 b
		other=$!
		until_true came b 1
		bg env --default-signal ipc-barrier wait -w 60 -c 3 b
		pid=$!
		until_true came b 2
		kill -$sig $pid
		code=0
		wait $pid || code=$?
		[[ $code == $((128 + $(kill -l $sig))) ]]
		code=0
		wait $other || code=$?
		[[ $code == 76 ]]
	done
}

@test "files, modes and wrong words" {
	umask 077
	status 124 ipc-barrier wait -m 0666 -w 0 -c 2 ./b
	[[ $(stat -c %a b) == 666 ]]
	status 64 ipc-barrier wait b
	status 64 ipc-barrier wait -c 0 b
	status 64 ipc-barrier wait -c 65537 b
	status 64 ipc-barrier wait -c x b
	status 64 ipc-barrier wait -c 2
	status 64 ipc-barrier wait -c 2 sysv:1
	if [[ $(id -u) == 0 ]]; then
		chmod 755 .
		status 77 as_nobody "$BIN/ipc-barrier" rm ./b
		status 0 ipc-barrier stat ./b
	fi
}

@test "--ready-fd: who does not read it holds up that party, and nobody else" {
	full_pipe
	bg ipc-barrier wait --ready-fd 8 -c 2 b
	local first=$! last reader
	until_true blocked "$first"
	status 0 timeout 5 ipc-barrier stat b
	# It has come all the same, and is let go with the others.
	status 0 timeout 5 ipc-barrier wait -c 2 b
	bg ipc-barrier wait -c 2 b
	last=$!
	until_true blocked "$last"
	cat <&8 >/dev/null 3>&- 4>&- &
	reader=$!
	wait "$first"
	# And the last one: with CMD it writes it before that is run.
	status 0 timeout 5 ipc-barrier wait --ready-fd 8 -c 2 b -- true
	wait "$last"
	# Without CMD all have come by then, and are let go even if it cannot write.
	bg ipc-barrier wait -c 2 b
	last=$!
	until_true blocked "$last"
	status 74 timeout 5 ipc-barrier wait --ready-fd 77 -c 2 b
	wait "$last"
	kill "$reader"
	wait "$reader" || :
	# One that cannot write it breaks the barrier for all.
	bg ipc-barrier wait -c 3 c
	first=$!
	until_true blocked "$first"
	status 74 timeout 5 ipc-barrier wait --ready-fd 77 -c 3 c
	local s=0
	wait "$first" || s=$?
	[[ $s == 76 ]]
}

@test "stat needs no right to write, nor the lock" {
	need root python3
	chmod 755 .
	nobody_gets_here || skip "other users cannot come here"
	bg ipc-barrier wait -m 644 -c 3 ./b
	until_true came ./b 1
	bg hold b 'pass'
	until_true test -e holds
	status 0 as_nobody "$BIN/ipcbox" ipc-barrier stat ./b
	[[ $output == *$'parties 3\narrived 1'* ]]
}
