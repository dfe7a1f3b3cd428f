#!/usr/bin/env bats
# ipc-fifo against programs that are not ours at the other end.
load helper

local_setup() {
	ipc-fifo create ./f
}

# bgin CMD... <FILE: bg, with the stdin that it is given.
bgin() {
	"$@" <&0 3>&- 4>&- &
}
# lacks PATTERN FILE...: no line is like that.
lacks() {
	if grep -E -- "$@"; then return 1; fi
}
# reads FILE: somebody has FILE open for reading.
reads() {
	[[ $(ipc-fifo stat "$1" | sed -n 's/^readers *//p') -ge ${2:-1} ]]
}
holds() { # holds FILE BYTES
	[[ $(ipc-fifo stat "$1" | sed -n 's/^bytes *//p') == "$2" ]]
}
watches() { # watches PID: it has seen the beginning of a record
	readlink "/proc/$1/fd/"* | grep -q signalfd
}
asleep() { # asleep PID: whenever it is looked at, and it uses no time
	local i ticks
	ticks=$(awk '{ print $14 + $15 }' "/proc/$1/stat")
	for ((i = 0; i < 15; i++)); do
		ipc-fifo stat ./f >/dev/null
		blocked "$1" || return 1
	done
	(($(awk '{ print $14 + $15 }' "/proc/$1/stat") - ticks <= 2))
}
# after START MS: at least MS have passed since START (date +%s%N).
after() {
	(($(date +%s%N) - $1 >= $2 * 1000000))
}
# finish PID STATUS: wait for a background job; its status must be STATUS.
finish() {
	local got=0
	wait "$1" || got=$?
	[[ $got == "$2" ]] || { echo "status $got, not $2"; return 1; }
}
sum() {
	md5sum <"$1"
}

# ---- create and rm

@test "create: the mode is exact under any umask, and nothing else is left" {
	for u in 000 022 077 777; do
		for m in 0600 0622 0666 0777 0000 2660; do
			(umask $u && ipc-fifo create -m $m ./m)
			[[ $(stat -c '%F %a' m) == "fifo $((10#$m))" ]]
			rm m
		done
	done
	(umask 027 && ipc-fifo create ./m)
	[[ $(stat -c '%F %a' m) == "fifo 640" ]]
	[[ $(find . -mindepth 1 | sort | tr -d '\n') == ./f./m ]]
}

@test "create: the name never shows another mode" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	(umask 077 && strace -f -o log -e trace=file,fchmod ipc-fifo create -m 0666 ./m)
	# One call makes it as it stays, under the one name.
	[[ $(grep -v execve log | grep -E '"(\./)?m"') == *mknod*0666* ]]
	[[ $(grep -v execve log | grep -cE '"(\./)?m"') == 1 ]]
	lacks chmod log
}

@test "create: what is there stays, 73" {
	echo text >file
	mkdir dir
	ln -s nowhere link
	for x in f file dir link; do
		for o in "-m 0600" "-q"; do
			# shellcheck disable=SC2086
			status 73 ipc-fifo create $o ./$x
			[[ $stderr == *"./$x exists"* ]]
		done
	done
	[[ $(<file) == text && -d dir && -L link && -p f ]]
	[[ -z $(find . -name '.fifo*') ]]
}

@test "create: several at once; one that fails does not keep the others back" {
	status 73 ipc-fifo create ./a ./f ./b
	[[ -p a && -p b ]]
	status 66 ipc-fifo rm ./a ./missing ./b
	[[ ! -e a && ! -e b ]]
}

@test "create -m: a long path is refused, a word needs its directory" {
	status 64 ipc-fifo create -m 600 "./$(printf '%02500d' 0 | sed 's/0/a\//g')f"
	: >plain
	status 66 env IPC_DIR=plain/dir ipc-fifo create w
	[[ $stderr == *"open its directory plain/dir"* ]]
}

@test "create: missing directory 66, forbidden directory 77, name too long 64" {
	status 66 ipc-fifo create ./no/such/f
	status 66 ipc-fifo create -m 0600 ./no/such/f
	status 64 ipc-fifo create "./$(printf '%300s' '' | tr ' ' x)"
	status 64 ipc-fifo create -m 0600 "./$(printf '%300s' '' | tr ' ' x)"
	mkdir -m 555 locked
	status 77 as_nobody "$BIN/ipc-fifo" create ./locked/f
	status 77 as_nobody "$BIN/ipc-fifo" create -m 0600 ./locked/f
	status 64 ipc-fifo create -m 99 ./x
	status 64 ipc-fifo create @abstract
	status 64 ipc-fifo create ""
	status 64 ipc-fifo create
}

@test "a bare word lives in \$IPC_DIR, file:PATH is a path" {
	ipc-fifo create word file:other
	[[ -p $IPC_DIR/word.fifo && -p other && $(stat -c %a "$IPC_DIR") == 700 ]]
	bg ipc-fifo write word "through $IPC_DIR"
	status 0 ipc-fifo read word
	[[ $output == "through $IPC_DIR" ]]
	bg ipc-fifo write file:other x
	status 0 ipc-fifo read ./other
	ipc-fifo rm word other 2>/dev/null || true
	[[ ! -e $IPC_DIR/word.fifo ]]
	status 66 ipc-fifo read word
}

@test "rm: removes FIFOs, and nothing that is not one" {
	echo text >file
	ln -s f link
	mkdir dir
	status 65 ipc-fifo rm ./file ./link ./dir ./f
	[[ $(<file) == text && -L link && -d dir && ! -e f ]]
	status 66 ipc-fifo rm ./f
}

@test "wrong things: each verb refuses what is not a FIFO with 65 and leaves it alone" {
	echo text >file
	mkdir dir
	for x in file dir; do
		status 65 ipc-fifo read ./$x
		[[ $stderr == "ipc-fifo read: ./$x is a "*", not a FIFO" ]]
		status 65 ipc-fifo write ./$x data
		status 65 ipc-fifo write --raw ./$x
		status 65 ipc-fifo tee ./$x
		status 65 ipc-fifo stat ./$x
	done
	status 65 ipc-fifo read /dev/null
	status 65 ipc-fifo read --unlink ./file
	[[ $(<file) == text ]]
	for v in read write tee stat rm; do
		status 66 ipc-fifo $v ./missing
	done
	status 64 ipc-fifo read
	status 64 ipc-fifo read ./f ./g
	status 64 ipc-fifo read -w nonsense ./f
	status 64 ipc-fifo read -c 0 ./f
	status 64 ipc-fifo read --raw -c 1 ./f
	status 64 ipc-fifo read -f -n ./f
	status 64 ipc-fifo read --no-such ./f
	status 64 ipc-fifo read --unlink fd:0
	status 64 ipc-fifo read -l -0 ./f
	status 64 ipc-fifo write -S 0 ./f
	status 64 ipc-fifo frobnicate ./f
}

@test "no permission is 77" {
	chmod 755 .
	chmod 000 f
	status 77 as_nobody "$BIN/ipc-fifo" read ./f
	status 77 as_nobody "$BIN/ipc-fifo" write ./f x
}

# ---- opening, with a limit

@test "write without a reader: 124 after the limit and not before, 75 with -n, 124 with -w 0" {
	start=$(date +%s%N)
	status 124 ipc-fifo write -w 0.3 ./f x
	after "$start" 300
	[[ $stderr == "ipc-fifo write: ./f has no reader"* ]]
	status 75 ipc-fifo write -n ./f x
	status 124 ipc-fifo write -w 0 ./f x
	status 9 ipc-fifo write -n -E 9 ./f x
	status 75 ipc-fifo write -q -n ./f x
	[[ -z $stderr ]]
	status 124 ipc-fifo tee -w 0.2 ./f
	status 75 ipc-fifo tee -n ./f
}

@test "read without a writer: 124 after the limit, 75 with -n, also for records" {
	for o in "" "-c1" "-l" "-f" "-fl"; do
		start=$(date +%s%N)
		# shellcheck disable=SC2086
		status 124 ipc-fifo read $o -w 0.2 ./f
		after "$start" 200
		[[ -z $output ]]
	done
	status 75 ipc-fifo read -n ./f
	status 75 ipc-fifo read -n -c 1 ./f
	status 124 ipc-fifo read -w 0 ./f
	status 9 ipc-fifo read -w 0.1 -E 9 ./f
}

@test "a writer waits for cat, and cat for a writer" {
	bg ipc-fifo write -w 20 ./f hello
	pid=$!
	[[ $(timeout 20 cat f) == hello ]]
	finish $pid 0
	bg timeout 20 cat f >got
	pid=$!
	ipc-fifo write -w 20 ./f hello
	finish $pid 0
	[[ $(<got) == hello ]]
}

@test "a writer that waits can be ended, and a reader: TERM, INT, HUP" {
	for s in TERM INT HUP; do
		for c in "read -c 1" read "read -f" write; do
			# shellcheck disable=SC2086
			env --default-signal=INT "$BIN/ipc-fifo" $c ./f 3>&- </dev/null &
			pid=$!
			until_true blocked $pid
			kill -$s $pid
			finish $pid $((128 + $(kill -l $s)))
		done
	done
}

@test "--ready-fd: from then on writers do not wait" {
	ready ipc-fifo read --ready-fd 8 ./f >got
	status 0 ipc-fifo write -n ./f now
	finish "$PID" 0
	[[ $(<got) == now ]]
}

# ---- streams

@test "a stream is byte exact, whoever is at the other end, wherever stdout goes" {
	head -c 5000000 /dev/urandom >data
	bg cp data f
	ipc-fifo read ./f >got
	cmp data got
	bgin ipc-fifo write --raw ./f <data
	cmp data - <f
	bgin ipc-fifo write --raw ./f <data
	ipc-fifo read ./f | cat | cmp data -
	echo first >got
	bgin ipc-fifo write --raw ./f < <(cat data)
	ipc-fifo read ./f >>got # splice refuses O_APPEND
	cat <(echo first) data | cmp - got
	bgin ipc-fifo write --raw ./f <data
	status 0 ipc-fifo read -w 20 ./f
	cmp data .out
}

@test "a stream is moved by splice, not through user space" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	head -c 3000000 /dev/zero >data
	bgin strace -o w.log -e trace=read,write,splice ipc-fifo write --raw ./f <data
	pid=$!
	strace -o r.log -e trace=read,write,splice ipc-fifo read ./f >got
	finish $pid 0
	cmp data got
	# A dynamic loader reads the heads of libraries; the data are zeros.
	lacks '^(read|write)\([0-9]+, "\\0' w.log r.log
	grep -q ^splice w.log
	grep -q ^splice r.log
}

@test "EINTR and EAGAIN from the kernel lose nothing" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	head -c 3000000 /dev/urandom >data
	for e in EINTR EAGAIN; do
		bgin strace -o w.log -e trace=splice -e inject=splice:error=$e:when=1+3 ipc-fifo write --raw ./f <data
		pid=$!
		strace -o r.log -e trace=splice -e inject=splice:error=$e:when=1+3 ipc-fifo read ./f >got
		finish $pid 0
		cmp data got
	done
	seq 30000 >lines
	bgin strace -o w.log -e trace=write -e inject=write:error=EINTR:when=2+3 ipc-fifo write ./f <lines
	pid=$!
	strace -o r.log -e trace=tee,flock -e inject=tee,flock:error=EINTR:when=1+3 ipc-fifo read -l ./f >got
	finish $pid 0
	cmp lines got
}

@test "no descriptors left is 71, and says so" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	status 71 strace -o log -e trace=pipe2 -e inject=pipe2:error=EMFILE ipc-fifo read -c 1 ./f
	[[ $stderr == "ipc-fifo read: "* ]]
	status 71 strace -o log -P ./f -e trace=openat,open -e inject=openat,open:error=EMFILE ipc-fifo read ./f
	[[ $stderr == *"ipc-fifo read: open ./f: "* ]]
}

@test "-S: the capacity, kept by streams too; too much is 71 with the limit's name" {
	exec 9<>f
	ipc-fifo write -S 8192 ./f x
	[[ $(ipc-fifo stat ./f | sed -n 's/^capacity *//p') == 8192 ]]
	head -c 100000 /dev/zero >data
	bgin ipc-fifo write --raw ./f <data
	pid=$!
	until_true blocked $pid
	[[ $(ipc-fifo stat ./f | sed -n 's/^capacity *//p') == 8192 ]]
	status 0 ipc-fifo read -n ./f
	until_true eval "timeout 5 ipc-fifo read -n ./f >/dev/null; ! kill -0 $pid"
	finish $pid 0
	chmod 755 .
	chmod 666 f
	status 71 as_nobody "$BIN/ipc-fifo" read -n -S 1G ./f
	[[ $stderr == *pipe-max-size* ]]
	exec 9>&-
}

@test "-P: a bar on stderr, the data unharmed" {
	head -c 3000000 /dev/zero >data
	bgin ipc-fifo write --raw -P ./f <data 2>bar
	pid=$!
	ipc-fifo read ./f | cmp data -
	finish $pid 0
	[[ $(<bar) == 2.86M*/s*100%* ]]
}

@test "stdout without a reader: read dies of SIGPIPE as filters do; a full one is 74" {
	bgin ipc-fifo write --raw ./f </dev/zero
	{ status=0; ipc-fifo read ./f || status=$?; echo $status >st; } | head -c 10 >/dev/null
	[[ $(<st) == 141 ]]
	for o in "" "-l"; do
		bg ipc-fifo write -q ./f some data
		status=0
		# shellcheck disable=SC2086
		ipc-fifo read $o ./f >/dev/full 2>err || status=$?
		[[ $status == 74 && $(<err) == "ipc-fifo read: write stdout: No space left on device" ]]
	done
	bg ipc-fifo write -q ./f some data
	status=0
	ipc-fifo read ./f >&- 2>err || status=$?
	[[ $status == 74 ]]
}

# ---- the reader goes away

@test "a reader that goes away is 69, with what was not delivered; never SIGPIPE" {
	for sig in --default-signal=PIPE --ignore-signal=PIPE; do
		bgin env $sig "$BIN/ipc-fifo" write ./f < <(seq 1000000) 2>err
		pid=$!
		timeout 20 head -n 3 f >/dev/null
		finish $pid 69
		grep -qE '^ipc-fifo write: the reader of ./f has gone: [0-9]+ records? before' err
		bgin env $sig "$BIN/ipc-fifo" write --raw ./f </dev/zero 2>err
		pid=$!
		timeout 20 head -c 100 f >/dev/null
		finish $pid 69
		grep -q 'the reader of ./f has gone' err
		bg env $sig "$BIN/ipc-fifo" write --lock ./f "$(head -c 100000 /dev/zero | tr '\0' x)" 2>err
		pid=$!
		timeout 20 head -c 100 f >/dev/null
		finish $pid 69
	done
}

@test "what was written and not read by a reader that was killed is not called done" {
	need python3
	program "a subshell keeps copies of descriptors that the shell has set aside"
	mkfifo src
	exec 9<>src
	bgin ipc-fifo write ./f <src 2>err 9>&-
	pid=$!
	bg python3 -c 'import signal; f = open("f"); signal.pause()' 9>&-
	reader=$!
	until_true reads ./f
	echo one >&9
	until_true holds ./f 4
	kill -KILL $reader
	wait $reader || true
	exec 9>&-
	finish $pid 69
	grep -q 'left 4 bytes unread' err
}

# ---- records, written

@test "records up to PIPE_BUF are whole among writers of any kind" {
	need python3
	cat >w.py <<-'END'
	import os, sys
	fd = os.open("f", os.O_WRONLY)
	for i in range(1000):
	    os.write(fd, (sys.argv[1] * (i * 7 % 4095) + "\n").encode())
	END
	ready ipc-fifo read --ready-fd 8 ./f >got
	exec 9>f
	pids=()
	for c in a b; do
		bg python3 w.py $c
		pids+=($!)
	done
	for c in c d; do
		bgin ipc-fifo write ./f < <(awk -v c=$c 'BEGIN { for (i = 0; i < 1000; i++) { s = sprintf("%*s", i * 7 % 4095, ""); gsub(" ", c, s); print s } }')
		pids+=($!)
	done
	for p in "${pids[@]}"; do finish "$p" 0; done
	exec 9>&-
	finish "$PID" 0
	[[ $(wc -l <got) == 4000 ]]
	lacks 'a[^a]|b[^b]|c[^c]|d[^d]' got
	[[ $(tr -d '\n' <got | wc -c) == $(awk 'BEGIN { for (i = 0; i < 1000; i++) s += 4 * (i * 7 % 4095); print s }') ]]
}

@test "a longer record is refused with 65 before any of it is sent; what came before is there" {
	long=$(head -c 4096 /dev/zero | tr '\0' x)
	exec 9<>f
	status 65 ipc-fifo write ./f one two "$long" three
	[[ $stderr == *"4095 bytes"*--lock*"2 records before were written"* ]]
	status 0 ipc-fifo read -n ./f
	[[ $output == $'one\ntwo' ]]
	printf 'one\n%s\nthree\n' "$long" >lines
	s=0
	ipc-fifo write ./f <lines 2>err || s=$?
	[[ $s == 65 ]]
	status 0 ipc-fifo read -n ./f
	[[ $output == one ]]
	status 0 ipc-fifo write ./f "${long:1}"
	status 0 ipc-fifo read -n ./f
	[[ $output == "${long:1}" ]]
	status 65 ipc-fifo write --record-size 4097 ./f
	status 65 ipc-fifo write --record-size 4 ./f abcd abc
	status 0 ipc-fifo read -n ./f
	[[ $output == abcd ]]
	exec 9>&-
}

@test "--lock: records of any length are whole among long and short ones of ours" {
	gen() { # gen CHAR N LENGTH
		yes "$(head -c "$3" /dev/zero | tr '\0' "$1")" | head -n "$2"
	}
	ready ipc-fifo read --ready-fd 8 ./f >got
	exec 9>f
	pids=()
	for w in "a 150 20000 --lock" "b 150 70000 --lock" "c 5000 700 -l" "d 5000 50 -l"; do
		# shellcheck disable=SC2086
		set -- $w
		bgin ipc-fifo write "$4" ./f < <(gen "$1" "$2" "$3")
		pids+=($!)
	done
	for p in "${pids[@]}"; do finish "$p" 0; done
	exec 9>&-
	finish "$PID" 0
	[[ $(awk '{ print substr($0, 1, 1), length($0) }' got | sort | uniq -c | awk '{ printf "%s ", $0 }' | tr -s ' ') == \
		" 150 a 20000 150 b 70000 5000 c 700 5000 d 50 " ]]
	lacks 'a[^a]|b[^b]|c[^c]|d[^d]' got
}

@test "--lock: in the middle of a long record the reader goes, or nothing is taken at all; a stream waits too" {
	need python3
	head -c 200000 /dev/zero | tr '\0' x >long
	bg head -c 10 f
	s=0
	ipc-fifo write --lock -w 20 ./f <long 2>err || s=$?
	[[ $s == 69 ]]
	grep -q 'the reader of ./f has gone: 0 records before were written' err
	exec 9<>f
	head -c 65536 /dev/zero >&9
	s=0
	ipc-fifo write --lock -w 10ms ./f <long 2>err || s=$?
	[[ $s == 124 ]]
	# What came before the record that is too long goes first, and cannot.
	s=0
	{ echo short; head -c 5000 long; } | ipc-fifo write -w 10ms ./f 2>err || s=$?
	[[ $s == 124 ]]
	head -c 65536 <&9 >/dev/null
	python3 -c '
import fcntl, os, struct, sys
fd = os.open("f", os.O_RDWR)
fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
os.system("ipc-fifo write --raw --lock -w 10ms ./f </dev/null; echo $? >raw; ipc-fifo write --lock -n ./f x; echo $? >records")'
	[[ $(<raw) == 124 && $(<records) == 75 ]]
	s=0
	ipc-fifo write --raw ./f </ 2>err || s=$?
	[[ $s != 0 ]]
	grep -q 'read stdin for ./f after 0 bytes: Is a directory' err
	exec 9>&-
}

@test "a FIFO where there are no locks: records go out, --lock says that it cannot" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	exec 9<>f
	status 0 strace -o /dev/null -e trace=/^fcntl -e inject=/^fcntl:error=ENOLCK -P ./f ipc-fifo write ./f one two
	[[ $(ipc-fifo read -c 2 fd:9) == $'one\ntwo' ]]
	status 71 strace -o /dev/null -e trace=/^fcntl -e inject=/^fcntl:error=ENOLCK -P ./f ipc-fifo write --lock ./f one
	exec 9>&-
}

@test "--lock: TERM waits for the end of a record that has begun" {
	program "a shell ends by the signal, behind the verb"
	head -c 1000000 /dev/zero | tr '\0' x >long
	exec 9<>f
	bgin ipc-fifo write --lock ./f <long
	pid=$!
	until_true holds ./f 65536
	kill -TERM $pid
	kill -HUP $pid
	status 0 ipc-fifo read -w 20 -c 1 ./f
	finish $pid 143 || finish $pid 129
	cmp <(cat long; echo) .out
	exec 9>&-
}

@test "--lock: who waits for the lock is bound by -w, and the lock dies with its holder" {
	head -c 1000000 /dev/zero | tr '\0' x >long
	exec 9<>f
	bgin ipc-fifo write --lock ./f <long
	pid=$!
	until_true holds ./f 65536
	status 124 ipc-fifo write -w 0.2 ./f short
	status 75 ipc-fifo write -n --lock ./f short
	kill -KILL $pid
	wait $pid || true
	timeout 5 ipc-fifo read -n ./f >/dev/null
	status 0 ipc-fifo write -w 20 ./f short
	status 0 ipc-fifo read -n -c 1 ./f
	[[ $output == short ]]
	exec 9>&-
}

@test "a full FIFO: 124 with -w, 75 with -n, and the record is not half there" {
	exec 9<>f
	ipc-fifo write -S 4096 ./f "$(printf %3000s a)"
	status 124 ipc-fifo write -w 0.2 ./f "$(printf %3000s b)"
	[[ $stderr == *"./f is full: 0 records before"* ]]
	status 75 ipc-fifo write -n ./f "$(printf %3000s b)"
	holds ./f 3001
	exec 9>&-
}

@test "framings, both ways, bytes untouched" {
	exec 9<>f
	ipc-fifo write -0 ./f 'a
b' c
	status 0 ipc-fifo read -0 -c 2 ./f
	cmp .out <(printf 'a\nb\0c\0')
	ipc-fifo write --record-size 3 ./f abc def
	status 0 ipc-fifo read --record-size 2 -c 3 ./f
	[[ $output == abcdef ]]
	ipc-fifo write --raw ./f ab cd
	status 0 ipc-fifo read -n ./f
	[[ $output == abcd ]]
	printf '\377\0\n\n\200x' >bytes
	ipc-fifo write ./f <bytes
	status 0 ipc-fifo read -c 3 ./f
	cmp .out <(cat bytes; echo)
	ipc-fifo write ./f ""
	status 0 ipc-fifo read -c 1 ./f
	cmp .out <(echo)
	exec 9>&-
}

# ---- records, read

@test "read -c takes no byte of the next record" {
	exec 9<>f
	seq 1000 | ipc-fifo write ./f
	for want in 1 2 3; do
		status 0 ipc-fifo read -c 1 ./f
		[[ $output == "$want" ]]
	done
	status 0 ipc-fifo read -c 5 ./f
	[[ $output == $'4\n5\n6\n7\n8' ]]
	IFS= read -r line <&9 # a reader of another kind goes on where we stopped
	[[ $line == 9 ]]
	status 0 ipc-fifo read -n -c 991 ./f
	[[ $(sum .out) == $(seq 10 1000 | md5sum) ]]
	exec 9>&-
}

@test "four readers and four writers: every record goes to one reader, whole" {
	pids=()
	for i in 1 2 3 4; do
		ready ipc-fifo read -l --ready-fd 8 ./f >got.$i
		pids+=("$PID")
	done
	exec 9>f
	writers=()
	for i in 1 2 3 4; do
		bgin ipc-fifo write ./f < <(seq -f "$i-%.0f-abcdefghijklmnopqrstuvwxyz" 5000)
		writers+=($!)
	done
	for p in "${writers[@]}"; do finish "$p" 0; done
	exec 9>&-
	for p in "${pids[@]}"; do finish "$p" 0; done
	[[ $(cat got.* | sort | md5sum) == "$(for i in 1 2 3 4; do seq -f "$i-%.0f-abcdefghijklmnopqrstuvwxyz" 5000; done | sort | md5sum)" ]]
}

@test "a work queue: four shell loops over read -c 1 fd:3, nothing lost, nothing twice" {
	cat >loop.sh <<-'END'
	exec 3<f
	for i in 1 2 3 4; do
		while r=$(ipc-fifo read -c 1 fd:3 2>>err); do echo "$r"; done >got.$i &
	done
	wait
	END
	bg timeout 60 sh loop.sh
	pid=$!
	seq 600 | ipc-fifo write ./f
	finish $pid 0
	[[ $(cat got.* | sort -n | md5sum) == "$(seq 600 | md5sum)" ]]
}

@test "fd:N: wrong direction 64, closed 66, another kind 65; pipes too" {
	exec 9<>f
	status 66 ipc-fifo read fd:77
	s=0
	ipc-fifo read fd:8 8>/dev/null 2>/dev/null || s=$?
	[[ $s == 65 ]]
	s=0
	ipc-fifo read fd:8 8>f 2>/dev/null || s=$?
	[[ $s == 64 ]]
	[[ $(printf 'a\nb\n' | { ipc-fifo read -c 1 fd:0; cat; }) == $'a\nb' ]]
	[[ $(ipc-fifo write fd:1 x | cat) == x ]]
	exec 9>&-
}

@test "a record stays when stdout fails or its reader is stopped while waiting" {
	exec 9<>f
	ipc-fifo write ./f first second
	s=0
	ipc-fifo read -c 1 ./f >/dev/full 2>/dev/null || s=$?
	[[ $s == 74 ]]
	status 0 ipc-fifo read -c 2 ./f
	[[ $output == $'first\nsecond' ]]
	exec 9>&-
}

@test "a record that comes in pieces: whole, and a timeout or a kill in between takes nothing" {
	exec 9<>f
	printf 'ab' >&9
	for o in "-c 1" "-f --until x"; do
		# shellcheck disable=SC2086
		status 124 ipc-fifo read -w 0.2 $o ./f
		[[ -z $output ]]
	done
	status 75 ipc-fifo read -n -c 1 ./f
	for s in TERM KILL; do
		bg ipc-fifo read -c 1 ./f
		pid=$!
		until_true blocked $pid
		until_true watches $pid
		kill -$s $pid
		finish $pid $((128 + $(kill -l $s)))
	done
	bg ipc-fifo read -c 2 ./f >got
	pid=$!
	until_true watches $pid
	printf 'cd' >&9
	printf 'ef\ngh' >&9
	until_true grep -qx abcdef got
	printf '\n' >&9
	finish $pid 0
	[[ $(<got) == $'abcdef\ngh' ]]
	exec 9>&-
}

@test "waiting for the rest of a record does not turn in circles" {
	exec 9<>f
	printf 'ab' >&9
	bg ipc-fifo read -c 1 ./f
	pid=$!
	until_true watches $pid
	until_true blocked $pid
	asleep $pid
	echo >&9
	finish $pid 0
	exec 9>&-
}

@test "long lines of a writer that knows nothing of records, larger than the FIFO too" {
	need python3
	python3 -c 'for n in 10, 5000, 70000, 3000000, 1, 200000, 0, 4096: print("x" * n)' >lines
	for o in "-l" "-c 8" "-S 4096 -l"; do
		bg cp lines f
		# shellcheck disable=SC2086
		ipc-fifo read $o ./f >got
		cmp lines got
		bg cp lines f
		# shellcheck disable=SC2086
		timeout 60 ipc-fifo read $o ./f | cat >got
		cmp lines got
	done
	seq 300000 >lines
	bg dd if=lines of=f bs=1000003 status=none
	timeout 60 ipc-fifo read -l ./f | cat | cmp lines -
}

@test "a timeout inside a record larger than the FIFO says what is lost" {
	narrow() { ipc-fifo stat ./f | grep -qx 'capacity  4096'; }
	exec 9<>f
	bg ipc-fifo read -w 1 -c 1 -S 4096 ./f 2>err
	pid=$!
	until_true narrow
	head -c 20000 /dev/zero | tr '\0' x >&9
	finish $pid 124
	grep -q 'first 20000 bytes are lost' err
	exec 9>&-
}

@test "the last record of a writer that was killed counts as ended" {
	need python3
	bg python3 -c '
import os, signal
f = os.open("f", os.O_WRONLY)
os.write(f, b"whole\nhalf")
os.kill(os.getpid(), signal.SIGKILL)'
	status 0 timeout 20 ipc-fifo read -l ./f
	[[ $output == $'whole\nhalf' ]]
	bg sh -c 'printf abcde >f'
	status 65 timeout 20 ipc-fifo read --record-size 3 ./f
	[[ $output == abc && $stderr == *"2 of 3 bytes"* ]]
}

@test "--until: ends there, keeps what follows, 69 when it never comes" {
	exec 9<>f
	ipc-fifo write ./f a b END c
	status 0 ipc-fifo read --until END ./f
	[[ $output == $'a\nb' ]]
	status 0 ipc-fifo read -c 1 --until END ./f
	[[ $output == c ]]
	exec 9>&-
	bg ipc-fifo write ./f a b
	status 69 ipc-fifo read --until END ./f
	[[ $output == $'a\nb' && $stderr == *"have gone before --until END" ]]
	bg ipc-fifo write ./f a b
	status 69 ipc-fifo read -c 3 ./f
	[[ $output == $'a\nb' && $stderr == *"after 2 of 3 records" ]]
	bg ipc-fifo write --raw ./f 'a
END'
	status 0 ipc-fifo read --until END ./f
	[[ $output == a ]]
}

# ---- following

@test "read -f outlives its writers, as a stream and by records" {
	ready ipc-fifo read -f -c 40 --ready-fd 8 ./f >got
	for i in $(seq 20); do
		echo "$i" >f
		ipc-fifo write -n ./f "ours $i"
	done
	finish "$PID" 0
	[[ $(sum got) == "$(for i in $(seq 20); do echo "$i"; echo "ours $i"; done | md5sum)" ]]
	ready ipc-fifo read -f --ready-fd 8 ./f >got
	for i in $(seq 20); do echo "$i" >f; done
	until_true grep -qx 20 got
	kill -TERM "$PID"
	finish "$PID" 143
	[[ $(sum got) == "$(seq 20 | md5sum)" ]]
}

@test "read -f without /proc opens its FIFO by name, but no other one" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	for other in no yes; do
		bg strace -o trace -e trace=openat -e inject=openat:error=ENOENT -P /proc/self/fd/3 \
			ipc-fifo read -f -w 20 -c 2 ./f >out 2>err
		pid=$!
		until_true reads ./f
		exec 9>f
		if [[ $other == yes ]]; then
			rm f
			mkfifo f
		fi
		echo one >&9
		until_true grep -q one out
		exec 9>&-
		if [[ $other == yes ]]; then
			finish $pid 66
			grep -q 'was removed' err
		else
			until_true grep -q INJECTED trace
			echo two >f
			finish $pid 0
			[[ $(<out) == $'one\ntwo' ]]
		fi
	done
}

@test "read: stdout that takes no more ends a stream that has a limit, and TERM one that has none" {
	need python3
	mkfifo out
	exec 9<>f 8<>out
	python3 -c 'import fcntl, os; fcntl.fcntl(8, 1031, 1 << 20); os.write(8, bytes(1 << 20))'
	echo data >&9
	status 124 eval 'ipc-fifo read -w 0.1 ./f >out'
	[[ $stderr == *"stdout takes no more"* ]]
	echo data >&9
	bg ipc-fifo read ./f >out 9>&- 8>&-
	pid=$!
	until_true eval '[[ $(readlink /proc/$pid/fd/*) == *"$T/f"* ]]'
	until_true blocked $pid
	kill -TERM $pid
	finish $pid 143
	exec 9>&- 8>&-
}

@test "read -f sleeps between writers, holds no write end, needs no right to write" {
	chmod 755 .
	chmod 0644 f
	touch got
	chmod 666 got
	local nobody=()
	[[ $(id -u) != 0 ]] || nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	ready "${nobody[@]}" "$BIN/ipc-fifo" read -f --ready-fd 8 ./f >got
	echo one >f
	until_true grep -qx one got
	until_true blocked "$PID"
	lacks '^l.w.* /[^ ]*/f$' <(ls -l "/proc/$PID/fd")
	asleep "$PID"
	echo two >f
	until_true grep -qx two got
	kill -TERM "$PID"
	finish "$PID" 143
}

@test "read -f -w: ends with 124 when nothing has come for so long" {
	ready ipc-fifo read -f -w 0.4 --ready-fd 8 ./f >got
	echo x >f
	finish "$PID" 124
	[[ $(<got) == x ]]
}

@test "a follower that is killed leaves the next one everything" {
	ready ipc-fifo read -f -l --ready-fd 8 ./f >got
	ipc-fifo write -n ./f one
	until_true grep -qx one got
	kill -KILL "$PID"
	wait "$PID" || true
	exec 9<>f
	ipc-fifo write -n ./f two
	status 0 ipc-fifo read -c 1 ./f
	[[ $output == two ]]
	exec 9>&-
}

@test "--unlink: gone at the end, after a signal, a timeout; another FIFO of that name stays" {
	bg ipc-fifo write ./f x
	ipc-fifo read --unlink ./f >/dev/null
	[[ ! -e f ]]
	for s in TERM INT HUP; do
		mkfifo f
		ready env --default-signal=INT "$BIN/ipc-fifo" read -f --unlink --ready-fd 8 ./f
		kill -$s "$PID"
		finish "$PID" $((128 + $(kill -l $s)))
		[[ ! -e f ]]
	done
	mkfifo f
	status 124 ipc-fifo read --unlink -w 0.1 ./f
	[[ ! -e f ]]
	mkfifo f
	ready ipc-fifo read -f --unlink --ready-fd 8 ./f
	mv f other
	mkfifo f
	kill -TERM "$PID"
	finish "$PID" 143
	[[ -p f && -p other ]]
}

# ---- tee

@test "tee: each reader gets every byte, from a file, a pipe and a device" {
	ipc-fifo create ./g ./h
	head -c 3000000 /dev/urandom >data
	for how in file pipe; do
		bg ipc-fifo read ./f >got.1
		p1=$!
		bg cp g got.2
		p2=$!
		bg ipc-fifo read ./h >got.3
		p3=$!
		case $how in
		file) ipc-fifo tee -w 20 ./f ./g ./h <data ;;
		pipe) ipc-fifo tee -w 20 ./f ./g ./h < <(cat data) ;;
		esac
		finish $p1 0
		finish $p2 0
		finish $p3 0
		cmp data got.1
		cmp data got.2
		cmp data got.3
	done
	bg cat f >got.1
	p1=$!
	ipc-fifo tee ./f </dev/null
	finish $p1 0
	[[ ! -s got.1 ]]
}

@test "tee: a reader that goes away is dropped, the others get all; 69 at the end" {
	ipc-fifo create ./g
	head -c 3000000 /dev/urandom >data
	bg head -c 100000 f
	bg cat g >got.2
	p2=$!
	s=0
	ipc-fifo tee -w 20 ./f ./g < <(cat data) 2>err || s=$?
	[[ $s == 69 ]]
	grep -q 'the reader of ./f has gone' err
	finish $p2 0
	cmp data got.2
	bg head -c 10 f
	bg head -c 10 g
	s=0
	ipc-fifo tee -w 20 ./f ./g </dev/zero 2>err || s=$?
	[[ $s == 69 ]]
}

@test "tee: readers that leave are noticed though stdin is silent" {
	need python3
	mkfifo src
	exec 9<>src
	bgin ipc-fifo tee ./f <src 2>err 9>&-
	pid=$!
	bg python3 -c 'import signal; f = open("f"); signal.pause()' 9>&-
	reader=$!
	until_true reads ./f
	kill -KILL $reader
	wait $reader || true
	finish $pid 69
	exec 9>&-
}

@test "tee: TERM ends it, whether stdin is silent or a reader takes nothing; a directory is no stdin" {
	mkfifo src
	exec 9<>src 8<>f
	bgin ipc-fifo tee ./f <src 9>&- 8>&-
	pid=$!
	until_true eval '[[ $(ls -l /proc/$pid/fd) == *"$T/f"* ]]'
	until_true blocked $pid
	kill -TERM $pid
	finish $pid 143
	bgin ipc-fifo tee ./f </dev/zero 9>&- 8>&-
	pid=$!
	until_true eval '[[ $(ipc-fifo stat ./f) =~ capacity\ +([0-9]+).*bytes\ +([0-9]+) && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]'
	until_true blocked $pid
	kill -TERM $pid
	finish $pid 143
	s=0
	ipc-fifo tee ./f </ 2>err || s=$?
	[[ $s != 0 ]]
	grep -q 'read stdin: Is a directory' err
	exec 9>&- 8>&-
}

# ---- stat

@test "stat: a socket is named, holders of others are said to be hidden" {
	need python3
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
	status 65 ipc-fifo stat ./sock
	[[ $stderr == *"a socket"* ]]
	need root
	chmod 755 .
	chmod 644 f
	exec 9<>f
	status 0 as_nobody "$BIN/ipc-fifo" stat ./f
	grep -qx 'hidden    yes' .out
	status 77 as_nobody "$BIN/ipc-fifo" rm ./f
	exec 9>&-
}

@test "stat: readers, writers, fill; text and JSON" {
	need python3
	program "the reader would be the shell itself, which is left out"
	bg python3 -c '
import os, signal
f = os.open("f", os.O_WRONLY)
os.write(f, b"12345")
signal.pause()'
	w=$!
	exec 9<f
	until_true holds ./f 5
	chmod 0640 f
	status 0 ipc-fifo stat ./f
	grep -qx 'mode      0640' .out
	grep -qx 'capacity  65536' .out
	grep -qx "writer    $w .*python.*" .out
	status 0 ipc-fifo stat -J ./f
	python3 - "$w" .out <<-'END'
	import json, sys
	d = json.load(open(sys.argv[2]))
	assert d["bytes"] == 5 and d["capacity"] == 65536 and d["mode"] == "0640", d
	assert [p["pid"] for p in d["writers"]] == [int(sys.argv[1])], d
	assert len(d["readers"]) >= 1 and d["name"] == "./f", d
	END
	exec 9<&-
	kill -KILL $w
	wait $w || true
	status 0 ipc-fifo stat -J ./f
	[[ $output == *'"capacity":null,"bytes":null,"readers":[],"writers":[]'* ]]
}

@test "stat wakes nobody who waits in open" {
	bg sh -c 'echo x >f'
	w=$!
	until_true blocked $w
	status 0 ipc-fifo stat ./f
	status 0 ipc-fifo stat -J ./f
	kill -0 $w
	[[ $(timeout 20 cat f) == x ]]
	finish $w 0
}

@test "system calls that a filter refuses: splice, sendfile, copy_file_range" {
	need refuse
	program "a filter is set for a process"
	seq 100000 >in
	for err in ENOSYS EPERM; do
		ipc-fifo create ./g
		refuse splice,sendfile,copy_file_range $err -- ipc-fifo write ./g <in 3>&- &
		refuse splice,sendfile,copy_file_range $err -- ipc-fifo read ./g >out
		wait $!
		cmp in out
		ipc-fifo rm ./g
	done
}

@test "rm ends those that wait with 66: a writer without a reader, and readers without a writer" {
	for verb in "write ./g x" "write --raw ./g" "read ./g" "read -f ./g" "read -c 1 ./g" "read -f -c 2 ./g"; do
		ipc-fifo create ./g
		# shellcheck disable=SC2086
		bg timeout 30 ipc-fifo $verb 2>err
		pid=$!
		until_true eval 'blocked $(cat /proc/$pid/task/*/children)'
		ipc-fifo rm ./g
		code=0
		wait $pid || code=$?
		[[ $code == 66 && $(<err) == *"./g: was removed" ]] || { echo "$verb: $code"; cat err; false; }
	done
}

@test "a writer goes on when its reader has removed the FIFO" {
	need python3
	ipc-fifo create ./g
	bg ipc-fifo write ./g text
	pid=$!
	until_true blocked $pid
	python3 -c 'import os
fd = os.open("g", os.O_RDONLY); os.unlink("g"); print(os.read(fd, 99).decode(), end="")' >out
	wait $pid
	[[ $(<out) == text ]]
}

@test "create -m killed at each system call leaves nothing but the FIFO" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	umask 077
	for call in mknodat openat fchmodat linkat unlinkat umask; do
		mkdir dir
		strace -f -qq -o log -e trace=$call -e inject=$call:signal=KILL:when=1+ \
			ipc-fifo create -m 666 ./dir/g || :
		ipc-fifo rm ./dir/g 2>/dev/null || :
		rmdir dir
	done
}
