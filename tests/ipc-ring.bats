#!/usr/bin/env bats
# ipc-ring: the bounded buffer. Records whole, in order, once; blocking both ways; deaths harmless.

load helper

field() { # field RING NAME: a number of stat -J
	ipc-ring stat -J "$1" | sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"
}

@test "records come out whole and in order, whatever is in them" {
	ipc-ring create -S 4K r
	printf 'a\n\nlong line with blanks \nlast without newline' | ipc-ring put r
	ipc-ring put r 'operand one' ''
	ipc-ring close r
	status 0 ipc-ring get -f r
	[[ $(od -c .out) == "$(printf 'a\n\nlong line with blanks \nlast without newline\noperand one\n\n' | od -c)" ]]
}

@test "framing: NUL, fixed size, raw" {
	ipc-ring create -S 1M r
	printf 'a\nb\0c\0' | ipc-ring put -0 r
	[[ $(ipc-ring get -0 r | od -An -c | tr -d ' \n') == 'a\nb\0' ]]
	[[ $(ipc-ring get r) == c ]]
	printf 'abcdef' | ipc-ring put --record-size 3 r
	[[ $(ipc-ring get -c 2 --record-size 3 r) == abcdef ]]
	status 65 eval 'printf abcd | ipc-ring put --record-size 3 r'
	[[ $(ipc-ring get r) == abc ]]
	ipc-ring put r four
	status 65 ipc-ring get --record-size 3 r
	[[ $stderr == *"still there"* ]]
	[[ $(ipc-ring get r) == four ]]
	head -c 100000 /dev/urandom >big
	ipc-ring put --raw r <big
	ipc-ring get --raw r | cmp - big
}

@test "every length around the end of the buffer" {
	ipc-ring create -S 256 r
	seq -s '' 1 200 >long # no part is like another
	for ((i = 0; i <= 252; i++)); do
		head -c $i long >rec
		ipc-ring put --raw r <rec
		ipc-ring get --raw r | cmp - rec
	done
	status 65 ipc-ring put r "$(printf %253s)"
	[[ $stderr == *"252 bytes"* ]]
	[[ $(field r records) == 0 ]]
}

@test "writers wait while it is full, readers while it is empty" {
	ipc-ring create -S 64 r
	bg ipc-ring get -w 20 r
	pid=$!
	until_true blocked $pid
	ipc-ring put r one
	wait $pid
	ipc-ring put r 1 2 3 4 5 6 7 8
	bg ipc-ring put -w 20 r 9
	pid=$!
	until_true blocked $pid
	status 75 ipc-ring put -n r x
	[[ $stderr == "ipc-ring put: r: full: would block" ]]
	status 124 ipc-ring put -w 0.1 r x
	status 124 ipc-ring put -w 0 r x
	status 75 ipc-ring put --full fail r x
	[[ $(ipc-ring get -c 9 -w 20 r | tr '\n' ' ') == "1 2 3 4 5 6 7 8 9 " ]]
	wait $pid
	[[ $(ipc-ring stat r) == *"records 0"*"puts 10"*"gets 10"* ]]
	status 75 ipc-ring get -n r
	status 124 ipc-ring get -w 0.1 r
}

@test "how much was put before it failed is said" {
	ipc-ring create -S 64 r
	status 75 ipc-ring put -n r 1 2 3 4 5 6 7 8 9 10
	[[ $stderr == *"8 records were put before"* ]]
	[[ $(ipc-ring get -c 8 r | tr '\n' ' ') == "1 2 3 4 5 6 7 8 " ]]
	status 65 ipc-ring put r 1 "$(printf %99s)"
	[[ $stderr == *"record 2 is longer"*"1 records were put before"* ]]
}

@test "--full drop-oldest keeps the newest and counts the drops" {
	ipc-ring create -S 80 r
	seq 1000 | ipc-ring put --full drop-oldest r
	ipc-ring close r
	[[ $(ipc-ring get -f r | tr '\n' ' ') == "991 992 993 994 995 996 997 998 999 1000 " ]]
	[[ $(field r drops) == 990 ]]
	[[ $(field r puts) == 1000 ]]
}

@test "close: puts end with 69, readers drain and end" {
	ipc-ring create -S 4K r
	bg ipc-ring get -f r
	a=$!
	bg ipc-ring get r
	b=$!
	until_true blocked $a
	until_true blocked $b
	ipc-ring close r
	wait $a
	code=0
	wait $b || code=$?
	[[ $code == 69 ]]
	status 69 ipc-ring put r x
	status 69 ipc-ring get r
	ipc-ring create -S 64 s
	ipc-ring put s 1 2 3 4 5 6 7 8
	bg ipc-ring put s 9
	a=$!
	until_true blocked $a
	ipc-ring close s
	code=0
	wait $a || code=$?
	[[ $code == 69 ]]
	status 0 ipc-ring get -c 12 s
	[[ $(wc -l <.out) == 8 ]]
	status 69 ipc-ring get -c 12 s
}

@test "20: a hundred messages through ten slots, in order" {
	ipc-ring create -S 80 slots
	seq 100 | ipc-ring put slots 3>&- &
	for ((i = 1; i <= 100; i++)); do
		[[ $(ipc-ring get -w 20 slots) == "$i" ]]
	done
	wait
}

@test "a reader that was woken passes it on when more is left: long before the net of one second" {
	local i start pids quick=0
	ipc-ring create -S 4K ./r
	for i in 1 2 3 4; do
		pids=()
		for _ in 1 2 3; do
			bg ipc-ring get ./r
			pids+=($!)
		done
		for p in "${pids[@]}"; do until_true blocked "$p"; done
		# By themselves they would find out a second after they began to sleep.
		start=$(date +%s%N)
		printf '1\n2\n3\n' | ipc-ring put ./r
		wait "${pids[@]}"
		(($(date +%s%N) - start > 400000000)) || quick=$((quick + 1))
	done
	((quick > 1))
}

@test "a stdout that does not block and takes little at a time gets all, or the status says so" {
	need python3
	ipc-ring create -S 1M ./r
	seq -f 'record %.0f with some text to make it longer' 6000 >in
	ipc-ring put ./r <in
	ipc-ring close ./r
	python3 - <<-'EOF'
		import fcntl, os, subprocess, time
		r, w = os.pipe()
		fcntl.fcntl(w, 1031, 4096)  # F_SETPIPE_SZ
		os.set_blocking(w, False)
		p = subprocess.Popen(["ipc-ring", "get", "-f", "./r"], stdout=w)
		os.close(w)
		got = b""
		while True:
		    piece = os.read(r, 1500)
		    if not piece:
		        break
		    got += piece
		    time.sleep(0.001)
		assert p.wait() != 0 or got == open("in", "rb").read(), (p.returncode, len(got))
		assert p.returncode == 0
	EOF
}

@test "many writers, many readers: all once, each writer's in order" {
	ipc-ring create -S 8K r
	for w in 1 2 3 4; do
		seq -f "$w %g" 20000 | ipc-ring put r 3>&- &
		writers+=" $!"
	done
	for g in 1 2 3; do
		ipc-ring get -f r >"out.$g" 3>&- &
		readers+=" $!"
	done
	wait $writers
	ipc-ring close r
	wait $readers
	[[ $(cat out.* | sort | uniq | wc -l) == 80000 ]]
	[[ $(cat out.* | wc -l) == 80000 ]]
	for g in 1 2 3; do
		awk '$2 <= last[$1] { exit 1 } { last[$1] = $2 }' "out.$g"
	done
}

@test "CMD gets each record as a file on stdin" {
	ipc-ring create -S 4K r
	printf 'one\ntwo words\n' | ipc-ring put r
	ipc-ring close r
	status 0 ipc-ring get -f r -- sh -c 'printf "%s:" "$IPC_OBJECT"; cat; echo; [ -f /dev/stdin ]'
	[[ $output == $'r:one\nr:two words' ]]
	ipc-ring create -S 4K q
	ipc-ring put q a b c
	status 9 ipc-ring get -f q -- sh -c 'exit 9'
	[[ $(field q records) == 2 ]]
	status 127 ipc-ring get q -- ./missing
}

@test "a record stays in the ring, in its place, when CMD cannot be started" {
	ipc-ring create -S 64 ./r
	echo data >data
	printf '#!/no/such/interpreter\n' >bad
	chmod +x bad
	seq 8 | ipc-ring put ./r # full
	bg ipc-ring put ./r 9
	pid=$!
	until_true blocked $pid
	status 127 ipc-ring get ./r -- nosuchcmd
	status 126 ipc-ring get ./r -- ./data
	status 127 ipc-ring get -f ./r -- ./bad
	blocked $pid
	status 0 ipc-ring get ./r -- cat
	[[ $output == 1 ]]
	wait $pid
	ipc-ring close ./r
	[[ $(ipc-ring get -f ./r) == "$(seq 2 9)" ]]
}

@test "a record stays in the ring when CMD finds too few descriptors" {
	program "the shell has descriptors of its own"
	ipc-ring create -S 64 ./r
	ipc-ring put ./r record
	local n few=0
	for ((n = 4; n < 20; n++)); do
		(ulimit -n $n && exec ipc-ring get ./r -- true) 2>err && break
		few=$((few + 1))
		[[ $(field ./r records) == 1 ]]
	done
	((few > 1 && n < 20))
	[[ $(field ./r records) == 0 ]]
}

@test "system calls that a filter refuses: memfd_create, get_robust_list" {
	need refuse
	program "a filter is set for a process"
	ipc-ring create -S 4K ./r
	for err in ENOSYS EPERM; do
		refuse get_robust_list $err -- ipc-ring put ./r record
		status 0 refuse memfd_create,get_robust_list $err -- ipc-ring get ./r -- cat
		[[ $output == record ]]
	done
}

@test "TERM waits until what was taken is written" {
	ipc-ring create -S 64K r
	seq 400000 >in
	ipc-ring put r <in 3>&- &
	put=$!
	ipc-ring get -f r >got 3>&- &
	get=$!
	until_true test -s got
	kill -TERM $get
	code=0
	wait $get || code=$?
	[[ $code == 143 ]]
	head -n "$(wc -l <got)" in | cmp - got
	[[ $(wc -l <got) == "$(field r gets)" ]]
	ipc-ring close r
	wait $put || :
}

@test "a reader of stdout that takes nothing does not keep get from ending" {
	ipc-ring create -S 1M r
	mkfifo out
	ipc-ring get -f r >out 3>&- &
	get=$!
	exec 7<out
	seq 40000 | ipc-ring put r
	until_true eval '[[ $(field r gets) -gt 0 ]]'
	until_true blocked $get
	kill -TERM $get
	code=0
	wait $get || code=$?
	exec 7<&-
	[[ $code == 143 ]]
}

@test "the same when stdout has room for some of it" {
	ipc-ring create -S 1M r
	seq 40000 | ipc-ring put r
	mkfifo out
	exec 7<>out
	head -c 40000 /dev/zero >out
	ipc-ring get -f r >out 3>&- &
	get=$!
	until_true eval '[[ $(field r gets) -gt 0 ]]'
	until_true blocked $get
	kill -TERM $get
	code=0
	wait $get || code=$?
	exec 7<&-
	[[ $code == 143 ]]
}

@test "a reader of get's stdout that goes away ends it as a filter ends" {
	ipc-ring create -S 64K r
	seq 100000 >in
	ipc-ring put r <in 3>&- &
	put=$!
	set +o pipefail
	ipc-ring get -f r | head -n 1 >first
	[[ $(<first) == 1 ]]
	ipc-ring rm r
	wait $put || :
}

@test "rm ends those that wait with 66" {
	ipc-ring create -S 64 r
	bg ipc-ring get r
	pid=$!
	until_true blocked $pid
	status 0 ipc-ring rm r
	code=0
	wait $pid || code=$?
	[[ $code == 66 ]]
	for verb in get put stat close rm; do status 66 ipc-ring $verb r; done
	status 0 ipc-ring put --create -S 64 r x
	[[ $(ipc-ring get --create r) == x ]]
}

@test "create: sizes, existing rings, modes" {
	umask 077
	status 0 ipc-ring create -m 0640 -S 100 ./r
	[[ $(stat -c %a r) == 640 ]]
	[[ $(field ./r size) == 104 ]]
	status 0 ipc-ring create -S 100 ./r
	status 73 ipc-ring create -S 200 ./r
	[[ $stderr == *"exists with 104 bytes, not 200"* ]]
	status 73 ipc-ring create -x -S 100 ./r
	status 64 ipc-ring create ./s
	status 64 ipc-ring create -S 1 ./s
	status 64 ipc-ring create -S 1 sysv:1
	if [[ $(id -u) == 0 ]]; then
		chmod 755 "$T"
		status 77 as_nobody "$BIN/ipc-ring" get -n "$T/r"
	fi
}

@test "a full file system is an error at create, never later" {
	need root
	mkdir m
	mount -t tmpfs -o size=1m none m 2>/dev/null || skip "cannot mount"
	code=0 two=0
	ipc-ring create -S 4M ./m/r 2>err || code=$?
	left=$(ls -A m)
	ipc-ring create -S 900K ./m/r || two=$?
	head -c 2M /dev/zero >m/fill 2>/dev/null || :
	three=0
	seq 100000 | ipc-ring put --full drop-oldest ./m/r || three=$?
	unused
	umount m
	[[ $code == 71 && $two == 0 && $three == 0 && -z $left ]]
}

@test "two that create at once make one ring" {
	for ((i = 0; i < 20; i++)); do
		for ((k = 0; k < 4; k++)); do
			bg ipc-ring put --create -S 4K "r$i" "$k"
		done
	done
	wait
	for ((i = 0; i < 20; i++)); do
		[[ $(ipc-ring get -c 4 -w 5 "r$i" | sort | tr '\n' ' ') == "0 1 2 3 " ]]
	done
}

@test "a stalled reader is visible, and waiting costs no processor time" {
	ipc-ring create -S 64 r
	ipc-ring put r 1 2 3 4 5 6 7 8
	bg ipc-ring put r 9
	pid=$!
	until_true blocked $pid
	[[ $(ipc-ring stat -J r) == *"\"pid\":$pid,"* ]]
	[[ $(field r records) == 8 ]]
	read -r -a before <"/proc/$pid/stat"
	read -r -t 1.5 <> <(:) || :
	read -r -a after <"/proc/$pid/stat"
	(( after[13] + after[14] - before[13] - before[14] <= 1 ))
	ipc-ring get r
	wait $pid
}

@test "damaged files give 65" {
	ipc-ring create -S 4K ./r
	ipc-ring put ./r one two
	patch() { # patch OFFSET BYTES...: a copy of r with these bytes
		cp r bad
		printf "$2" | dd of=bad bs=1 seek="$1" conv=notrunc status=none
	}
	: >empty; status 65 ipc-ring get -n ./empty
	head -c 8192 /dev/urandom >random; status 65 ipc-ring get -n ./random
	patch 8 '\x09'; status 65 ipc-ring get -n ./bad     # version
	patch 16 '\x01'; status 65 ipc-ring get -n ./bad    # size
	active=$(od -An -tu4 -j64 -N4 r | tr -d ' ')
	state=$((256 + 64 * active))
	patch $state '\x07'; status 65 ipc-ring get -n ./bad             # tail not a multiple of 8
	patch $((state + 9)) '\xff'; status 65 ipc-ring get -n ./bad     # head beyond tail
	patch $((state + 1)) '\xff'; status 65 ipc-ring get -n ./bad     # more than there is room
	patch 512 '\xff\xff\xff\xff'; status 65 ipc-ring get -n ./bad    # length of a record
	patch 512 '\xff\xff\xff\xff'; status 65 ipc-ring put --full drop-oldest ./bad "$(printf %4080s)"
	truncate -s 300 r; status 65 ipc-ring get -n ./r
}

@test "hostile bits never crash or hang a verb" {
	need python3
	ipc-ring create -S 256 ./good
	ipc-ring put ./good one two three
	python3 - <<-'EOF'
	import os, random, subprocess, shutil
	random.seed(11)
	size = os.path.getsize("good")
	for i in range(150):
	    shutil.copy("good", "bad")
	    with open("bad", "r+b") as f:
	        for _ in range(random.randint(1, 6)):
	            at = random.choice([random.randrange(size), random.randrange(64, 400), random.randrange(512, 540)])
	            f.seek(at); f.write(bytes([random.randrange(256)]))
	    for verb in (["stat"], ["get", "-n"], ["put", "-n"], ["put", "--full", "drop-oldest"], ["get", "-n", "-c", "9"]):
	        tail = ["./bad"] + (["some record"] if verb[0] == "put" else [])
	        r = subprocess.run(["ipc-ring", *verb, *tail], capture_output=True, timeout=20)
	        assert r.returncode in (0, 65, 66, 69, 75), (i, verb, r)
	EOF
}

@test "a file whose size changes under a reader is damaged" {
	need python3
	ipc-ring create -S 4K ./r
	bg timeout 60 ipc-ring get ./r 2>err
	pid=$!
	until_true blocked $pid
	python3 -c 'f = open("r", "r+b"); f.seek(17); f.write(b"\xff")'
	code=0
	wait $pid || code=$?
	[[ $code == 65 && $(<err) == "ipc-ring get: ./r: the file was damaged while in use" ]]
}

@test "-w bounds a get that is woken all the time and never finds a record" {
	need python3
	ipc-ring create -S 64 ./r
	bg python3 -c 'import mmap, struct
f = open("r", "r+b")
m = mmap.mmap(f.fileno(), 0)
n = 0
while True:
    n = (n + 1) & 0xffffffff
    struct.pack_into("I", m, 128, n)
    m[64] = n & 1
    if n == 9:
        open("busy", "w").close()'
	until_true test -e busy
	status 124 timeout 10 ipc-ring get -w 300ms ./r
	[[ $stderr == "ipc-ring get: "* ]] # not timeout(1)
}

@test "a file cut short under a reader is an error, found without a deadline and said once" {
	for before in nothing 'a record'; do
		rm -f r
		ipc-ring create -S 4K ./r
		if [[ $before != nothing ]]; then # one that has waited: the word that is slept on is not zero
			bg ipc-ring get ./r
			pid=$!
			until_true blocked $pid
			ipc-ring put ./r "$before"
			wait $pid
		fi
		bg timeout 60 ipc-ring get ./r 2>err
		pid=$!
		until_true eval '[[ $(ipc-ring stat ./r) == *" ipc-ring get ./r" ]]'
		truncate -s 100 r
		code=0
		wait $pid || code=$?
		[[ $code == 65 && $(<err) == "ipc-ring get: ./r: the file was cut short while in use" ]]
	done
}

@test "writers and readers killed at random: nothing acknowledged lost, torn or there twice" {
	need python3
	status 0 timeout 100 "$ROOT/tests/torture/ring.py" 120
	[[ $output == *"lost 0, torn 0, twice 0"* ]]
}

@test "a put and a get write the state that is not in use, and then make it the one in use" {
	need python3
	ipc-ring create -S 256 ./r
	ipc-ring put ./r first
	python3 - <<-'EOF'
		import struct, subprocess
		def look():
		    b = open("r", "rb").read(512)
		    return struct.unpack_from("I", b, 64)[0], b[256:320], b[320:384]
		for command in ["ipc-ring put ./r second", "ipc-ring get ./r"]:
		    before = look()
		    subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)
		    after = look()
		    used = before[0] & 1
		    assert after[0] & 1 == 1 - used, (command, before, after)
		    assert before[1 + used] == after[1 + used] != after[2 - used], (command, before, after)
	EOF
}

@test "killed after each instruction of a put and a get, the ring is as before or as after" {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "single steps through a sanitizer take too long"
	need gcc python3
	status 0 timeout 300 "$ROOT/tests/torture/step.py" 12 "ring put" "ring get" || { echo "$output"; false; }
	[[ $output == *"ring put: "*" bad 0"*"ring get: "*" bad 0"* ]]
}

@test "wrong words" {
	status 64 ipc-ring
	status 64 ipc-ring put
	status 64 ipc-ring get -c 0 r
	status 64 ipc-ring get --batch 0 r
	status 64 ipc-ring put --full maybe r x
	status 64 ipc-ring get -l -0 r
	status 66 ipc-ring get missing
	status 66 ipc-ring get ./no/such/ring
	mkdir d; status 65 ipc-ring get ./d
}

@test "a signal while the file is given its room changes nothing" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	status 0 strace -qq -o log -e trace=fallocate -e inject=fallocate:error=EINTR:when=1..3 ipc-ring create -S 4K ./r
	[[ $(grep -c INJECTED log) == 3 ]]
	ipc-ring put ./r x
}

@test "stat needs no right to write, nor the lock" {
	need root python3
	chmod 755 .
	nobody_gets_here || skip "other users cannot come here"
	ipc-ring create -m 644 -S 4K ./r
	ipc-ring put ./r one two
	bg hold r 'pass'
	until_true test -e holds
	status 0 as_nobody "$BIN/ipcbox" ipc-ring stat ./r
	[[ $output == *"records 2"* ]]
}

# other_boot FILE: as if the machine had been started again since FILE was last opened.
other_boot() {
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(32); f.write(b"\1" * 16)' "$1"
}

@test "a ring of an earlier boot is 65 from every verb, each time; get --old prints it; rm and create start anew" {
	program "a shell that has it open has seen no other boot"
	need python3
	ipc-ring create -S 4K ./r
	status 64 ipc-ring get --old ./r
	ipc-ring put ./r one two three
	ipc-ring get ./r
	other_boot r
	cp r before
	for verb in "get" "get -f" "get -n" "put --create" "put" "create -S 4K" close; do
		# shellcheck disable=SC2086
		status 65 ipc-ring $verb ./r
		[[ $stderr == *"earlier boot"*"get --old"*"ipc-ring rm"* ]]
	done
	status 0 ipc-ring get --old ./r
	[[ $output == $'two\nthree' ]]
	status 0 ipc-ring get --old -0 -c 1 ./r
	[[ $(tr -d '\0' <.out) == two ]]
	status 64 ipc-ring get --old -f ./r
	cmp r before # nothing was taken
	ipc-ring rm ./r
	ipc-ring create -S 4K ./r
	ipc-ring put ./r new
	[[ $(ipc-ring get ./r) == new ]]
}

@test "get --old: a state or a length that cannot be is 65, what was before it is printed" {
	need python3
	ipc-ring create -S 4K ./r
	ipc-ring put ./r one two
	other_boot r
	python3 -c 'f = open("r", "r+b"); f.seek(520); f.write(b"\xff\xff\xff\x7f")'
	status 65 ipc-ring get --old ./r
	[[ $output == one && $stderr == *damaged* ]]
	truncate -s 4000 r
	status 65 ipc-ring get --old ./r
}
