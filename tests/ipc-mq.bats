#!/usr/bin/env bats
# ipc-mq: message queues of both kinds. At the other end are C programs (mq_*), perl (msgsnd, msgrcv)
# and python3.
# shellcheck disable=SC2016,SC1003,SC2094 # scripts in single quotes are for another shell

load helper

# peer VERB NAME ...: POSIX queues as a C program sees them, and ftok(3).
setup_file() {
	cat >"$BATS_FILE_TMPDIR/peer.c" <<-'C'
		#include <fcntl.h>
		#include <mqueue.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/ipc.h>
		#include <sys/stat.h>
		#include <unistd.h>
		int main(int c, char **v)
		{
			static char b[1 << 16];
			unsigned prio;
			struct mq_attr a = {0};
			struct stat st;
			if (c < 3)
				return 2;
			if (!strcmp(v[1], "ftok"))
				return printf("0x%08x\n", (unsigned)ftok(v[2], v[3][0])) < 0;
			if (!strcmp(v[1], "unlink"))
				return mq_unlink(v[2]) != 0;
			if (!strcmp(v[1], "create")) {
				a.mq_maxmsg = atol(v[3]), a.mq_msgsize = atol(v[4]);
				return mq_open(v[2], O_CREAT | O_EXCL | O_RDWR, 0600, &a) == (mqd_t)-1;
			}
			mqd_t q = mq_open(v[2], !strcmp(v[1], "send") ? O_WRONLY : O_RDONLY);
			if (q == (mqd_t)-1)
				return perror(v[2]), 1;
			if (!strcmp(v[1], "send"))
				return mq_send(q, v[4], strlen(v[4]), (unsigned)atoi(v[3])) != 0;
			if (!strcmp(v[1], "attr")) {
				mq_getattr(q, &a), fstat(q, &st);
				return printf("%ld %ld %ld %o\n", a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs,
					st.st_mode & 0777) < 0;
			}
			if (!strcmp(v[1], "hold"))
				return close(0), pause();
			ssize_t n = mq_receive(q, b, sizeof b, &prio); /* recv */
			if (n < 0)
				return perror("mq_receive"), 1;
			printf("%u ", prio);
			fwrite(b, 1, (size_t)n, stdout);
			return putchar('\n') < 0;
		}
	C
	gcc -O1 -o "$BATS_FILE_TMPDIR/peer" "$BATS_FILE_TMPDIR/peer.c" -lrt
}

local_setup() {
	PEER=$BATS_FILE_TMPDIR/peer
	Q=/ipcbox-$BATS_TEST_NUMBER-$$
	N=$((0x40000000 + BATS_TEST_NUMBER * 65536 + $$ % 65536))
	K=sysv:$N
}

local_teardown() {
	ipc-mq rm "$Q" "$Q.2" "$Q.3" "$K" 2>/dev/null || :
}

# perl_send TYPE TEXT, perl_recv TYPE: the System V queue $N through perl's own calls.
perl_send() {
	perl -e 'my $q = msgget(shift, 0); msgsnd($q, pack("l! a*", shift, shift), 0) or die "msgsnd: $!"' "$N" "$@"
}
perl_recv() {
	perl -e 'my $q = msgget(shift, 0); my $b; msgrcv($q, $b, 8192, shift, 0) or die "msgrcv: $!";
		my ($t, $m) = unpack("l! a*", $b); print "$t $m\n"' "$N" "$1"
}

# A user of its own, so that its share of RLIMIT_MSGQUEUE is its own too.
as_stranger() {
	setpriv --reuid=$((200000 + BATS_TEST_NUMBER)) --regid=65534 --clear-groups "$@"
}

need_strace() {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "strace and the sanitizer do not go together"
}

# sleeper CMD...: run in the background, with its pid in $PID, until it sleeps in the kernel.
sleeper() {
	bg "$@"
	PID=$!
	until_true blocked "$PID"
}

posix_depth() { "$PEER" attr "$Q" | cut -d' ' -f3; }
sysv_depth() { ipc-mq stat -J "$K" | sed 's/.*"messages":\([0-9]*\).*/\1/'; }

@test "types: 3 1 2 1 3 2 out of a queue that outlives its sender" {
	local i=0 t
	ipc-mq create "$K"
	for t in 1 1 2 2 3 3; do
		i=$((i + 1))
		ipc-mq send -T $t "$K" msg$i
	done
	for t in 3 1 2 1 3 2; do ipc-mq recv -n -T $t "$K"; done >got
	[[ $(paste -sd' ' got) == "msg5 msg1 msg3 msg2 msg6 msg4" ]]
	status 0 ipc-mq rm "$K"
	status 66 ipc-mq recv "$K"
}

@test "priorities: highest first, in order within one" {
	ipc-mq create "$Q"
	for m in 1:a 5:b 1:c 9:d 5:e 0:f 32767:g; do ipc-mq send -p "${m%:*}" "$Q" "${m#*:}"; done
	[[ $(ipc-mq recv -c 7 --format '%p%m' "$Q" | paste -sd' ') == "32767g 9d 5b 5e 1a 1c 0f" ]]
}

@test "C programs and we use the same POSIX queues" {
	"$PEER" create "$Q" 4 64
	ipc-mq send -p 7 "$Q" "from us"
	[[ $("$PEER" recv "$Q") == "7 from us" ]]
	"$PEER" send "$Q" 3 "from C"
	[[ $(ipc-mq recv --format '%p %l %m' "$Q") == "3 6 from C" ]]
	sleeper "$PEER" recv "$Q" >got
	ipc-mq send -p 1 "$Q" woken
	wait $PID
	[[ $(<got) == "1 woken" ]]
	ipc-mq rm "$Q"
	ipc-mq create -m 640 --depth 3 -S 100 "$Q"
	[[ $("$PEER" attr "$Q") == "3 100 0 640" ]]
}

@test "python's ctypes mq_open and we use the same queue" {
	need python3
	ipc-mq create "$Q"
	python3 - "$Q" <<-'P'
		import ctypes, os, sys
		c = ctypes.CDLL(None, use_errno=True)
		if not hasattr(c, "mq_open"):
		    c = ctypes.CDLL("librt.so.1", use_errno=True)
		q = c.mq_open(sys.argv[1].encode(), os.O_WRONLY)
		assert q >= 0 and c.mq_send(q, b"snake\0\xff", ctypes.c_size_t(7), 4) == 0
	P
	[[ $(ipc-mq recv -J "$Q") == '{"queue":"'"$Q"'","number":1,"priority":4,"length":7,"message":"snake\u0000\udcff"}' ]]
}

@test "perl's msgsnd and msgrcv and we use the same System V queue" {
	ipc-mq create "$K"
	perl_send 42 "from perl"
	[[ $(ipc-mq recv --format '%t %m' "$K") == "42 from perl" ]]
	ipc-mq send -T 17 "$K" "from us"
	[[ $(perl_recv 17) == "17 from us" ]]
	[[ $(ipcs -q) == *"$(printf 0x%08x "$N")"* ]]
}

@test "a System V key of a path and a character is that of ftok" {
	echo x >file
	local key
	key=$("$PEER" ftok "$T/file" Z)
	ipc-mq create "sysv:$T/file#Z"
	ipc-mq send "sysv:$key" hello
	[[ $(ipc-mq recv "sysv:$T/file#Z") == hello ]]
	ipc-mq rm "sysv:$key"
	status 66 ipc-mq recv "sysv:$T/nothing#Z"
}

@test "names: /NAME, posix:/NAME and NAME are one queue; others are usage errors" {
	ipc-mq create "$Q"
	ipc-mq send "${Q#/}" one
	ipc-mq send "posix:$Q" two
	[[ $(ipc-mq recv -c 2 "$Q" | paste -sd' ') == "one two" ]]
	for bad in ./file file:/x @abstract tcp:h:1 fd:0 posix:x /a/b sysv:0 sysv:x '' "/$(printf %0256d 0)"; do
		status 64 ipc-mq send "$bad" x
		[[ $stderr == "ipc-mq send: $bad: "* ]]
	done
	status 64 ipc-mq recv sysv:private
	[[ $stderr == *"sysv:id=N"* ]]
}

@test "create: the mode is exact whatever the umask" {
	for mask in 077 000; do
		(umask $mask && ipc-mq create -m 664 "$Q" && ipc-mq create -m 664 "$K")
		[[ $("$PEER" attr "$Q") == *" 664" ]]
		[[ $(ipc-mq stat -J "$K") == *'"mode":"0664"'* ]]
		ipc-mq rm "$Q" "$K"
	done
	ipc-mq create "$Q"
	[[ $("$PEER" attr "$Q") == *" 600" ]]
	status 64 ipc-mq create -m 1666 "$Q.2"
}

@test "create: no moment gives more than the mode" {
	need_strace
	(umask 0 && strace -e trace=mq_open,fchmod -o log ipc-mq create -m 640 "$Q")
	grep -q '^mq_open(.*O_CREAT.*O_EXCL.*, 0640' log
	strace -e trace=msgget,msgctl -o log ipc-mq create -m 604 --depth 2 -S 100 "$K"
	grep -q '^msgget(.*IPC_EXCL|0600)' log
	[[ $(ipc-mq stat -J "$K") == *'"capacity":200,"mode":"0604"'* ]]
}

@test "create: an existing queue is good when it fits, else 73 says what differs" {
	ipc-mq create --depth 2 -S 50 -m 640 "$Q"
	status 0 ipc-mq create "$Q"
	status 0 ipc-mq create --depth 2 -S 50 -m 640 "$Q"
	status 73 ipc-mq create -x "$Q"
	status 73 ipc-mq create --depth 3 "$Q"
	[[ $stderr == *"$Q exists with --depth 2, not 3" ]]
	status 73 ipc-mq create -S 51 "$Q"
	[[ $stderr == *"-S 50, not 51" ]]
	status 73 ipc-mq create -m 600 "$Q"
	[[ $stderr == *"mode 0640, not 0600" ]]
	ipc-mq create --depth 4 -S 100 "$K"
	status 0 ipc-mq create --depth 4 -S 100 "$K"
	status 73 ipc-mq create -x "$K"
	status 73 ipc-mq create --depth 5 -S 100 "$K"
	[[ $stderr == *"room for 400 bytes, not 500" ]]
	status 73 ipc-mq create -m 666 "$K"
}

@test "create: a queue that may only be written to is compared; one that may not be used is 77; a key needs its file" {
	need root
	ipc-mq create -m 622 --depth 3 -S 10 "$Q"
	status 0 as_nobody ipc-mq create --depth 3 -S 10 "$Q"
	status 73 as_nobody ipc-mq create --depth 4 -S 10 "$Q"
	ipc-mq rm "$Q"
	ipc-mq create -m 600 "$Q"
	status 77 as_nobody ipc-mq create "$Q"
	[[ $stderr == *"exists; open it"* ]]
	status 66 ipc-mq create 'sysv:./none#a'
	[[ $stderr == *"make the key"* ]]
	status 66 ipc-mq send 'sysv:./none#a' x
}

@test "stat names who is told of a message by mq_notify" {
	need gcc
	cat >notify.c <<-'C'
		#include <fcntl.h>
		#include <mqueue.h>
		#include <signal.h>
		#include <unistd.h>
		int main(int c, char **v)
		{
			struct sigevent e = {.sigev_notify = SIGEV_NONE};
			mqd_t q = mq_open(v[c - 1], O_RDONLY);
			if (mq_notify(q, &e) != 0 || write(8, "\n", 1) != 1)
				return 1;
			return pause();
		}
	C
	gcc -o notify notify.c -lrt
	ipc-mq create "$Q"
	ready ./notify "$Q"
	status 0 ipc-mq stat "$Q"
	grep -qx "notify: $PID" .out
	kill "$PID"
}

@test "create: System V private queues print their id; ids and half sizes are refused" {
	local id
	id=$(ipc-mq create sysv:private)
	[[ $id == sysv:id=* ]]
	ipc-mq send "$id" hello
	[[ $(ipc-mq recv "$id") == hello ]]
	ipc-mq rm "$id"
	status 66 ipc-mq send "$id" hello
	status 64 ipc-mq create sysv:id=5
	status 64 ipc-mq create --depth 5 "$K"
	status 64 ipc-mq create -S 5 "$K"
}

@test "limits: msg_max and msgsize_max are named, with what would fit" {
	local max size
	max=$(</proc/sys/fs/mqueue/msg_max) size=$(</proc/sys/fs/mqueue/msgsize_max)
	status 71 as_nobody ipc-mq create --depth $((max + 1)) "$Q"
	[[ $stderr == *"--depth $((max + 1)) is more than fs.mqueue.msg_max = $max "*"; --depth $max would fit" ]]
	status 71 as_nobody ipc-mq create -S $((size + 1)) "$Q"
	[[ $stderr == *"fs.mqueue.msgsize_max = $size "*"; -S $size would fit" ]]
	status 71 ipc-mq create --depth 65537 "$Q"
	[[ $stderr == *"allows 65536 to root"* ]]
	status 71 ipc-mq create -S 17M "$Q"
	status 66 ipc-mq stat "$Q"
}

@test "limits: RLIMIT_MSGQUEUE is named, and what is said to fit does fit" {
	need root
	[[ $(getconf LONG_BIT) == 64 ]] || skip "the overhead differs"
	ulimit -q 4000
	status 71 as_stranger ipc-mq create -S 400 --depth 9 "$Q"
	[[ $stderr == *"it costs 4464 bytes (9 x (400 + 96)), but RLIMIT_MSGQUEUE (ulimit -q) is 4000; --depth 8 would fit" ]]
	status 0 as_stranger ipc-mq create -S 400 --depth 8 "$Q"
	status 71 as_stranger ipc-mq create -S 400 --depth 1 "$Q.2"
	[[ $stderr == *"RLIMIT_MSGQUEUE"*"queues"*" hold "* ]]
	status 71 as_stranger ipc-mq create -S 8000 --depth 1 "$Q.2"
	as_stranger ipc-mq rm "$Q"
}

@test "limits: EMFILE means RLIMIT_MSGQUEUE or RLIMIT_NOFILE, and we tell which" {
	need_strace
	status 71 strace -o log -e inject=mq_open:error=EMFILE ipc-mq create "$Q"
	[[ $stderr == *"RLIMIT_MSGQUEUE (ulimit -q) is "* ]]
	local first call # fcntl64 where a program has 32 bits
	call=$(grep -o '^fcntl[0-9]*' log | head -n 1)
	first=$(grep '^fcntl' log | grep -n 'F_DUPFD_CLOEXEC, 3)' | cut -d: -f1)
	status 71 strace -o log -e inject=mq_open:error=EMFILE -e "inject=$call:error=EMFILE:when=$first" ipc-mq create "$Q"
	[[ $stderr == *"RLIMIT_NOFILE (ulimit -n) is $(ulimit -n)" ]]
}

@test "limits: ENOSPC names queues_max and msgmni, ENOSYS is 71" {
	need_strace
	status 71 strace -o log -e inject=mq_open:error=ENOSPC ipc-mq create "$Q"
	[[ $stderr == *"fs.mqueue.queues_max = $(</proc/sys/fs/mqueue/queues_max) "* ]]
	status 71 strace -o log -e inject=msgget:error=ENOSPC ipc-mq create "$K"
	[[ $stderr == *"kernel.msgmni = $(</proc/sys/kernel/msgmni) "* ]]
	status 71 strace -o log -e inject=mq_open:error=ENOSYS ipc-mq create "$Q"
	status 71 strace -o log -e inject=mq_open:error=EOVERFLOW ipc-mq create --depth 3 -S 5 "$Q"
	[[ $stderr == *"--depth 3 times -S 5: "* ]]
	status 64 strace -o log -e inject=mq_open:error=EINVAL ipc-mq create --depth 3 -S 5 "$Q" ||
		status 70 strace -o log -e inject=mq_open:error=EINVAL ipc-mq create --depth 3 -S 5 "$Q"
	status 71 strace -o log -e inject=msgget:error=ENOMEM ipc-mq create "$K"
	# Without /proc the kernel's own defaults are named.
	status 71 strace -o log -e trace=openat -P /proc/sys/fs/mqueue/msg_max -e inject=openat:error=ENOENT ipc-mq create --depth 65537 "$Q"
	[[ $stderr == *"65536 to root, 10 to others"* ]]
}

@test "limits: queues of the user that cannot be listed are said to be there" {
	need root
	ulimit -q 4000
	as_stranger ipc-mq create -S 400 --depth 6 "$Q"
	status 71 as_stranger ipc-mq create -S 400 --depth 5 "$Q.2"
	[[ $stderr == *"hold more than 1520; fewer or smaller messages would fit" || $stderr == *"1 other queues hold 2976; --depth 2 would fit" ]]
	as_stranger ipc-mq rm "$Q"
}

@test "limits: queues_max for real, in an IPC namespace of our own" {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under the sanitizer"
	unshare -i sh -c 'echo 1 >/proc/sys/fs/mqueue/queues_max' 2>/dev/null || skip "no namespace of our own"
	status 71 unshare -i sh -c '
		echo 1 >/proc/sys/fs/mqueue/queues_max
		ipc-mq create /first || exit 1
		exec setpriv --reuid=65534 --regid=65534 --clear-groups ipc-mq create /second'
	[[ $stderr == *"fs.mqueue.queues_max = 1 queues already"* ]]
}

@test "limits: msgmnb for System V, with what would fit" {
	local max
	max=$(</proc/sys/kernel/msgmnb)
	status 71 as_nobody ipc-mq create --depth $((max + 1)) -S 1 "$K"
	[[ $stderr == *"kernel.msgmnb = $max "*"; --depth $max would fit" ]]
	status 71 as_nobody ipc-mq create --depth 2 -S $((max + 1)) "$K"
	[[ $stderr == *"; --depth 1 -S $max would fit" ]]
	status 66 ipc-mq stat "$K"
}

@test "send: operands, lines, NUL-terminated, blocks and raw bytes" {
	ipc-mq create --depth 10 -S 100 "$Q"
	ipc-mq send "$Q" "one two" "" three
	[[ $(ipc-mq recv -c 3 --format '<%m>' "$Q" | paste -sd' ') == "<one two> <> <three>" ]]
	printf 'a\n\nb' | ipc-mq send "$Q"
	[[ $(ipc-mq recv -a --format '<%m>' "$Q" | paste -sd' ') == "<a> <> <b>" ]]
	printf 'a\nb\0c\0' | ipc-mq send -0 "$Q"
	[[ $(ipc-mq recv -a -0 "$Q" | od -An -tx1 | tr -d ' \n') == 610a62006300 ]]
	printf abcdef | ipc-mq send --record-size 3 "$Q"
	[[ $(ipc-mq recv -a "$Q" | paste -sd' ') == "abc def" ]]
	printf 'x\0y\nz\n' | ipc-mq send --raw "$Q"
	[[ $(posix_depth) == 1 ]]
	[[ $(ipc-mq recv --raw "$Q" | od -An -tx1 | tr -d ' \n') == 7800790a7a0a ]]
	: | ipc-mq send "$Q"
	[[ $(posix_depth) == 0 ]]
}

@test "send: a message that does not fit is 65, and nothing of it is sent" {
	local max
	ipc-mq create --depth 10 -S 10 "$Q"
	status 65 ipc-mq send "$Q" fits 12345678901
	[[ $stderr == *"message 2 is 11 bytes; $Q takes at most 10 (its mq_msgsize)" ]]
	[[ $(posix_depth) == 0 ]]
	printf '%s\n' fits 0123456789ab >in
	status 65 sh -c 'ipc-mq send "$1" <in' - "$Q"
	[[ $stderr == *"message 2 is 12 bytes; "*"; 1 sent before" ]]
	[[ $(posix_depth) == 1 ]]
	head -c 200000 /dev/zero >in
	status 65 sh -c 'ipc-mq send "$1" <in' - "$Q"
	[[ $stderr == *"message 1 is more than 10 bytes"* ]]
	status 65 sh -c 'printf abcde | ipc-mq send --record-size 3 "$1"' - "$Q"
	[[ $stderr == *"ended inside a record of 3 bytes; 1 sent before" ]]
	max=$(</proc/sys/kernel/msgmax)
	ipc-mq create "$K"
	head -c $((max + 1)) /dev/zero | tr '\0' x >in
	status 65 sh -c 'ipc-mq send "$1" <in' - "$K"
	[[ $stderr == *"is more than $max bytes; $K takes at most $max (kernel.msgmax)" || $stderr == *" $((max + 1)) bytes"* ]]
	ipc-mq rm "$K"
	ipc-mq create --depth 2 -S 5 "$K"
	status 65 ipc-mq send "$K" 12345678901
	[[ $stderr == *"takes at most 10 (its msg_qbytes)" ]]
	[[ $(sysv_depth) == 0 ]]
}

@test "send: the longest message passes whole, both kinds" {
	local max
	ipc-mq create "$Q"
	max=$("$PEER" attr "$Q" | cut -d' ' -f2)
	head -c "$max" /dev/urandom >in
	ipc-mq send --raw "$Q" <in
	ipc-mq recv --raw "$Q" | cmp - in
	ipc-mq create "$K"
	head -c "$(</proc/sys/kernel/msgmax)" /dev/urandom >in
	ipc-mq send --raw "$K" <in
	ipc-mq recv --raw "$K" | cmp - in
}

@test "send: what the kind of queue does not have is refused" {
	ipc-mq create "$Q"
	ipc-mq create "$K"
	status 64 ipc-mq send -T 3 "$Q" x
	status 64 ipc-mq send -p 3 "$K" x
	status 64 ipc-mq recv -T 3 "$Q"
	status 64 ipc-mq send -p 32768 "$Q" x
	status 64 ipc-mq send -p -1 "$Q" x
	status 64 ipc-mq send -T 0 "$K" x
	status 64 ipc-mq send --depth 5 "$Q" x
	[[ $stderr == *"--create"* ]]
}

@test "full: -n is 75, -w is 124 and not before, -E one status for both" {
	local q start
	ipc-mq create --depth 1 -S 10 "$Q"
	ipc-mq create --depth 1 -S 10 "$K"
	for q in "$Q" "$K"; do
		ipc-mq send "$q" 0123456789
		status 75 ipc-mq send -n "$q" y
		[[ $stderr == "ipc-mq send: $q is full ("*" of "*"): would block" ]]
		status 124 ipc-mq send -w 0 "$q" y
		start=${EPOCHREALTIME/./}
		status 124 ipc-mq send -w 200ms "$q" y
		[[ $((${EPOCHREALTIME/./} - start)) -ge 200000 ]]
		status 9 ipc-mq send -E 9 -n "$q" y
		status 9 ipc-mq send -E 9 -w .01 "$q" y
		status 75 ipc-mq send -q -n "$q" y
		[[ $stderr == "" ]]
		[[ $(ipc-mq recv -a "$q") == 0123456789 ]]
	done
}

@test "full: a blocked sender goes on when room is made, with and without -w" {
	local q opt
	ipc-mq create --depth 1 -S 10 "$Q"
	ipc-mq create --depth 1 -S 10 "$K"
	for q in "$Q" "$K"; do
		for opt in -q "-w 20"; do
			ipc-mq send "$q" 0123456789
			# shellcheck disable=SC2086
			sleeper ipc-mq send $opt "$q" 9876543210
			[[ $(ipc-mq recv "$q") == 0123456789 ]]
			wait $PID
			[[ $(ipc-mq recv -n "$q") == 9876543210 ]]
		done
	done
}

@test "empty: -n is 75, -w is 124 and not before, -a is 0" {
	local q start
	ipc-mq create "$Q"
	ipc-mq create "$K"
	for q in "$Q" "$K"; do
		status 75 ipc-mq recv -n "$q"
		[[ $stderr == "ipc-mq recv: no message in $q: would block" ]]
		status 124 ipc-mq recv -w 0 "$q"
		start=${EPOCHREALTIME/./}
		status 124 ipc-mq recv -w 0.2 "$q"
		[[ $((${EPOCHREALTIME/./} - start)) -ge 200000 ]]
		status 0 ipc-mq recv -a "$q"
		ipc-mq send "$q" a b c
		status 124 ipc-mq recv -c 5 -w .01 "$q"
		[[ $output == $'a\nb\nc' && $stderr == *"; 3 received before: timed out" ]]
		ipc-mq send "$q" a b c
		[[ $(ipc-mq recv "$q") == a ]]
		[[ $(ipc-mq recv -a -c 1 "$q") == b ]]
		[[ $(ipc-mq recv -a "$q") == c ]]
	done
	status 64 ipc-mq recv -c 0 "$Q"
	status 64 ipc-mq recv -f -c 1 "$Q"
	status 64 ipc-mq recv -f -a "$Q"
}

@test "no verb polls, save wait on System V: a wait with a limit is a handful of system calls" {
	need_strace
	ipc-mq create "$Q"
	ipc-mq create "$K"
	for verb in "recv -w .4 $Q" "recv -w .4 $K" "wait -w .4 $Q"; do
		# shellcheck disable=SC2086
		status 124 strace -o log ipc-mq $verb
		[[ $(grep -cE '^(msgrcv|mq_timedreceive|ppoll|msgctl)' log) -le 8 ]]
	done
	# Nothing can wake it: ten looks a second.
	status 124 strace -o log ipc-mq wait -w .4 "$K"
	[[ $(grep -cE '^(msgrcv|ppoll|msgctl)' log) -le 16 ]]
}

@test "recv -f goes on, prints at once, and is ready when it says so" {
	local q
	ipc-mq create "$Q"
	ipc-mq create "$K"
	for q in "$Q" "$K"; do
		ready ipc-mq recv -f --ready-fd 8 "$q" >got
		until_true blocked "$PID"
		ipc-mq send "$q" one
		until_true grep -qx one got
		ipc-mq send "$q" two three
		until_true grep -qx three got
		kill -TERM "$PID"
		status 143 wait_for "$PID"
		[[ $(paste -sd' ' got) == "one two three" ]]
	done
}

wait_for() { wait "$1"; }

@test "recv -f -w: the limit counts from the last message" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" one two
	status 124 ipc-mq recv -f -w .05 "$Q"
	[[ $output == $'one\ntwo' ]]
}

@test "types: exact, up to, except; wrong ones are refused" {
	ipc-mq create "$K"
	local t
	for t in 5 2 9 2 7; do ipc-mq send -T $t "$K" m$t; done
	[[ $(ipc-mq recv -T '<=6' "$K") == m2 ]]
	[[ $(ipc-mq recv -T 9 "$K") == m9 ]]
	[[ $(ipc-mq recv -T 5 --except "$K") == m2 ]]
	status 75 ipc-mq recv -n -T '<=4' "$K"
	status 75 ipc-mq recv -n -T 4 "$K"
	[[ $(ipc-mq recv -a -T 0 "$K" | paste -sd' ') == "m5 m7" ]]
	ipc-mq send -T 2147483647 "$K" huge
	[[ $(ipc-mq recv -T 2147483647 --format '%t %m' "$K") == "2147483647 huge" ]]
	for t in -1 '<=0' '<=x' x '' '>3' 99999999999999999999; do
		status 64 ipc-mq recv -T "$t" "$K"
	done
	status 64 ipc-mq recv --except "$K"
	status 64 ipc-mq recv --except -T '<=3' "$K"
}

@test "a wait for one type is not ended by another" {
	ipc-mq create "$K"
	sleeper ipc-mq recv -w 20 -T 7 "$K" >got
	ipc-mq send -T 6 "$K" no
	ipc-mq send -T 7 "$K" yes
	wait $PID
	[[ $(<got) == yes && $(sysv_depth) == 1 ]]
}

@test "--format and -J; a bad format takes nothing" {
	need python3
	ipc-mq create "$Q"
	ipc-mq send -p 2 "$Q" $'tab\there' b c d
	[[ $(ipc-mq recv --format '%i|%p|%l|%t|%%|%m' "$Q") == $'1|2|8|0|%|tab\there' ]]
	[[ $(ipc-mq recv -c 2 --raw --format '%m\t%i\\\n' "$Q") == $'b\t1\\\nc\t2\\' ]]
	[[ $(ipc-mq recv -0 --format 'x\0y' "$Q" | od -An -tx1 | tr -d ' \n') == 78007900 ]]
	ipc-mq send "$Q" keep
	for bad in '%x' '%' 'a\q' '\'; do
		status 64 ipc-mq recv --format "$bad" "$Q"
	done
	status 64 ipc-mq recv -J --format %m "$Q"
	status 64 ipc-mq recv -J "$Q" -- cat
	status 64 ipc-mq recv -J --record-size 4 "$Q"
	[[ $(posix_depth) == 1 ]]
	printf 'a"\\\x1b\xff\0\n' | ipc-mq send -p 3 --raw "$Q"
	ipc-mq recv -J "$Q" | python3 -c '
import json, sys
m = json.loads(sys.stdin.readline())
assert m["priority"] == 3 and m["length"] == 7, m
assert m["message"].encode("utf-8", "surrogateescape") == b"a\"\\\x1b\xff\0\n", m'
}

@test "--record-size out: another length is 65, and the message is not lost" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" abc toolong
	status 65 ipc-mq recv -c 2 --record-size 3 "$Q"
	[[ $output == abctoolong && $stderr == *"message 2 is 7 bytes, not 3"* ]]
}

@test "CMD gets each message on stdin and its facts in the environment" {
	ipc-mq create "$Q"
	ipc-mq create "$K"
	ipc-mq send -p 4 "$Q" one two
	ipc-mq send -T 8 "$K" three
	IPC_MSG_TYPE=stale ipc-mq recv -c 2 "$Q" -- sh -c \
		'echo "$IPC_OBJECT $IPC_MSG_ID $IPC_MSG_PRIO ${IPC_MSG_TYPE-none} $IPC_MSG_ATTEMPT $(cat)"' >got
	IPC_MSG_PRIO=stale ipc-mq recv "$K" -- sh -c \
		'echo "$IPC_OBJECT $IPC_MSG_ID ${IPC_MSG_PRIO-none} $IPC_MSG_TYPE $(cat)"' >>got
	printf '%s\n' "$Q 1 4 none 1 one" "$Q 2 4 none 1 two" "$K 1 none 8 three" | cmp - got
	head -c 8000 /dev/urandom >in
	ipc-mq send --raw "$Q" <in
	ipc-mq recv "$Q" -- cat | cmp - in
	ipc-mq send "$Q" unread
	ipc-mq recv "$Q" -- true
}

@test "CMD starts with default SIGPIPE, an empty mask and no stray descriptors" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" x
	ipc-mq recv "$Q" -- grep -E '^Sig(Blk|Ign)' /proc/self/status >got
	grep -qx $'SigBlk:\t0000000000000000' got
	[[ ! $(grep ^SigIgn: got) =~ [13579bdf]...$ ]]
	ipc-mq send "$Q" x
	[[ $(ipc-mq recv "$Q" -- sh -c 'ls /proc/$$/fd' 3>&- 4>&- | grep -c '^[3-9]') -le 1 ]]
}

@test "a CMD that fails ends recv with its status; the rest stays in the queue" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" 0 7 0
	status 7 ipc-mq recv -f "$Q" -- sh -c 'read -r n; exit $n'
	[[ $(posix_depth) == 1 ]]
	status 137 ipc-mq recv "$Q" -- sh -c 'kill -KILL $$'
}

@test "a CMD that cannot be run costs no message" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" x
	echo data >plain
	PATH=$BIN:/usr/bin:/bin status 127 ipc-mq recv "$Q" -- no-such-command
	status 127 ipc-mq recv "$Q" -- ./no-such-file
	status 126 ipc-mq recv "$Q" -- ./plain
	status 126 ipc-mq recv "$Q" -- "$T"
	status 64 ipc-mq recv "$Q" --
	[[ $(posix_depth) == 1 ]]
}

@test "a CMD that cannot be started costs no message: no descriptors, no interpreter" {
	program "the shell has descriptors of its own"
	local q n few
	printf '#!/no/such/interpreter\n' >bad
	chmod +x bad
	ipc-mq create "$Q"
	ipc-mq create "$K"
	for q in "$Q" "$K"; do
		ipc-mq send "$q" x
		few=0
		for ((n = 4; n < 20; n++)); do
			(ulimit -n $n && exec ipc-mq recv "$q" -- true) 2>err && break
			few=$((few + 1))
			status 0 ipc-mq stat -J "$q"
			[[ $output == *'"messages":1,'* ]]
		done
		((few > 0 && n < 20))
		ipc-mq send "$q" y
		status 127 ipc-mq recv "$q" -- ./bad
		[[ $stderr == *"in the queue again"* ]]
		status 0 ipc-mq recv -n "$q"
		[[ $output == y ]]
	done
}

@test "TERM while CMD works: it finishes its message, then recv ends with 143" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" job next
	mkfifo go
	bg ipc-mq recv -f "$Q" -- sh -c 'cat >started; read -r x <go; echo "$x" >finished'
	local pid=$!
	until_true test -s started
	kill -TERM $pid
	timeout 20 sh -c 'echo over >go'
	status 143 wait_for $pid
	[[ $(<finished) == over && $(posix_depth) == 1 ]]
}

@test "a second TERM is passed on to CMD" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" job
	bg ipc-mq recv -f "$Q" -- sh -c 'trap "echo told >told; exit 5" TERM; echo >started; while :; do read -r -t 1 x <>/dev/zero || :; done' 2>/dev/null
	local pid=$!
	until_true test -e started
	until_true sh -c "kill -TERM $pid; test -e told"
	status 5 wait_for $pid
}

@test "a stop signal ends a wait with 128+N, on both kinds and all verbs" {
	local q s
	ipc-mq create "$Q"
	ipc-mq create "$K"
	for q in "$Q" "$K"; do
		for s in TERM HUP; do
			sleeper ipc-mq recv "$q"
			kill -$s $PID
			status $((128 + $(kill -l $s))) wait_for $PID
			sleeper ipc-mq wait "$q"
			kill -$s $PID
			status $((128 + $(kill -l $s))) wait_for $PID
		done
	done
}

@test "a stop signal in the instant before msgrcv blocks is not missed" {
	need_strace
	ipc-mq create "$K"
	local n
	# The last change of the mask before msgrcv lets the signal through.
	status 124 strace -o log ipc-mq recv -w .01 "$K"
	n=$(sed '/^msgrcv(.*[^T])  *= -1 EINTR\|^msgrcv(.*ERESTART/,$d' log | grep -c '^rt_sigprocmask')
	for n in $((n - 1)) "$n"; do
		status 143 timeout 20 strace -o log -e "inject=rt_sigprocmask:signal=SIGTERM:when=$n" ipc-mq recv "$K"
	done
}

@test "a stop signal between taking and writing loses nothing" {
	need_strace
	ipc-mq create "$Q"
	ipc-mq create "$K"
	ipc-mq send "$Q" kept
	ipc-mq send "$K" kept
	strace -o log -e inject=mq_timedreceive:signal=SIGTERM:when=1 ipc-mq recv "$Q" >got || :
	strace -o log -e inject=msgrcv:signal=SIGTERM:when=1 ipc-mq recv "$K" >>got || :
	[[ $(paste -sd' ' got) == "kept kept" ]]
}

@test "a stop signal ends a recv -f that never has to wait" {
	need_strace
	ipc-mq create "$K"
	seq 1000 | ipc-mq send "$K"
	status 143 strace -o log -e inject=msgrcv:signal=SIGTERM:when=1 ipc-mq recv -f "$K"
	[[ $(wc -l <<<"$output") -le 100 && $((1000 - $(wc -l <<<"$output"))) == "$(sysv_depth)" ]]
}

@test "EINTR out of nowhere: one message, once" {
	need_strace
	ipc-mq create "$Q"
	ipc-mq create "$K"
	strace -o log -e inject=mq_timedsend:error=EINTR:when=1..3 ipc-mq send "$Q" a
	strace -o log -e inject=msgsnd:error=EINTR:when=1..3 ipc-mq send "$K" a
	[[ $(posix_depth) == 1 && $(sysv_depth) == 1 ]]
	[[ $(strace -o log -e inject=mq_timedreceive:error=EINTR:when=1..3 ipc-mq recv "$Q") == a ]]
	bg strace -o log -e inject=msgrcv:error=EINTR:when=2..4 ipc-mq recv -w 20 "$K" >got
	wait $!
	[[ $(<got) == a ]]
}

@test "the reader of stdout gone: nothing is taken any more" {
	local q
	ipc-mq create "$Q"
	ipc-mq create "$K"
	mkfifo pipe
	exec 7<>pipe 6>pipe 7<&-
	for q in "$Q" "$K"; do
		ipc-mq send "$q" one
		status 141 to_pipe ipc-mq recv "$q"
		status 141 to_pipe ipc-mq recv -f "$q"
		[[ $(ipc-mq recv -n "$q") == one ]]
	done
	exec 6>&-
}

to_pipe() { "$@" >&6; }

@test "a recv -f that waits on a POSIX queue notices at once that its reader has gone" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" one
	(timeout --foreground 30 ipc-mq recv -f "$Q" && :; echo $? >rc) | head -n 1 >got
	[[ $(<got) == one && $(<rc) == 141 ]]
}

@test "stdout full or closed is 74, stdin closed is 74" {
	ipc-mq create "$Q"
	ipc-mq send "$Q" a b c
	status 74 sh -c 'ipc-mq recv "$1" >/dev/full' - "$Q"
	[[ $stderr == "ipc-mq recv: write stdout: No space left on device" ]]
	status 74 sh -c 'ipc-mq recv "$1" >&-' - "$Q"
	[[ $(posix_depth) == 2 ]]
	status 74 sh -c 'ipc-mq send "$1" <&-' - "$Q"
	status 74 sh -c 'ipc-mq ls >/dev/full'
}

@test "a queue that is removed ends the waits on it with 66" {
	ipc-mq create --depth 1 -S 10 "$K"
	sleeper ipc-mq recv "$K"
	local a=$PID
		ipc-mq rm "$K"
	status 66 wait_for $a
	ipc-mq create --depth 1 -S 10 "$K"
	ipc-mq send "$K" 0123456789
	bg ipc-mq send -w 20 "$K" x
	a=$!
	until_true blocked $a
	ipc-mq rm "$K"
	status 66 wait_for $a
}

@test "a missing queue is 66; --create makes it" {
	local q
	for q in "$Q" "$K"; do
		for verb in send recv wait peek stat; do
			status 66 ipc-mq $verb "$q"
			[[ $stderr == "ipc-mq $verb: open $q: No such file or directory" ]]
		done
	done
	ipc-mq send --create -m 640 --depth 3 -S 77 "$Q" x
	[[ $("$PEER" attr "$Q") == "3 77 1 640" ]]
	ipc-mq send --create "$Q" y
	[[ $(ipc-mq recv -c 2 --create "$Q" | paste -sd' ') == "x y" ]]
	status 75 ipc-mq recv -n --create "$K"
	ipc-mq send "$K" x
}

@test "permission is 77" {
	need root
	ipc-mq create -m 600 "$Q"
	ipc-mq create -m 600 "$K"
	local q
	for q in "$Q" "$K"; do
		status 77 as_nobody ipc-mq send "$q" x
		status 77 as_nobody ipc-mq recv -n "$q"
		status 77 as_nobody ipc-mq rm "$q"
	done
	ipc-mq create -m 622 "$Q.2"
	status 0 as_nobody ipc-mq send "$Q.2" x
	status 77 as_nobody ipc-mq recv "$Q.2"
	status 0 as_nobody ipc-mq stat "$Q.2"
	ipc-mq rm "$K"
	ipc-mq create -m 622 "$K"
	status 0 as_nobody ipc-mq send "$K" x
	status 77 as_nobody ipc-mq recv "$K"
	status 0 as_nobody ipc-mq stat "$K"
	[[ $output == *"messages: 1"* ]]
}

@test "peek shows and leaves, in the order that recv would take" {
	ipc-mq create "$K"
	local t
	for t in 5 2 9 2; do ipc-mq send -T $t "$K" m$t; done
	[[ $(ipc-mq peek "$K") == m5 ]]
	[[ $(ipc-mq peek -c 3 --format '%i%m' "$K" | paste -sd' ') == "1m5 2m2 3m9" ]]
	[[ $(ipc-mq peek -a "$K" | paste -sd' ') == "m5 m2 m9 m2" ]]
	[[ $(ipc-mq peek -a -T '<=5' "$K" | paste -sd' ') == "m2 m2 m5" ]]
	[[ $(ipc-mq peek -a -T 2 --except "$K" | paste -sd' ') == "m5 m9" ]]
	[[ $(ipc-mq peek -T 9 -J "$K") == '{"queue":"'"$K"'","number":1,"type":9,"length":2,"message":"m9"}' ]]
	status 75 ipc-mq peek -T 1 "$K"
	status 0 ipc-mq peek -a -T 1 "$K"
	[[ $(sysv_depth) == 4 ]]
	head -c 8000 /dev/urandom >in
	ipc-mq send -T 1 --raw "$K" <in
	ipc-mq peek -T 1 --raw "$K" | cmp - in
	ipc-mq create "$Q"
	status 71 ipc-mq peek "$Q"
	[[ $stderr == *"POSIX queue"* ]]
}

@test "peek on a kernel without MSG_COPY says so" {
	need_strace
	ipc-mq create "$K"
	status 71 strace -o log -e inject=msgrcv:error=ENOSYS ipc-mq peek "$K"
	[[ $stderr == *CONFIG_CHECKPOINT_RESTORE* ]]
}

@test "wait returns when a message is there, and leaves it there" {
	local q
	ipc-mq create "$Q"
	ipc-mq create "$K"
	for q in "$Q" "$K"; do
		status 75 ipc-mq wait -n "$q"
		status 124 ipc-mq wait -w .02 "$q"
		ready ipc-mq wait -w 20 --ready-fd 8 "$q"
		until_true blocked "$PID"
		ipc-mq send "$q" x
		status 0 wait_for "$PID"
		status 0 ipc-mq wait "$q"
		[[ $(ipc-mq recv -a "$q") == x ]]
	done
}

@test "wait on System V: an empty message is noticed and stays where it is, types are told apart" {
	ipc-mq create "$K"
	sleeper ipc-mq wait -w 20 "$K"
	ipc-mq send -T 6 "$K" ''
	wait $PID
	[[ $(ipc-mq recv -n --format '<%t%m>' "$K") == "<6>" ]]
	ipc-mq send -T 6 "$K" ''
	status 0 ipc-mq wait -w 20 "$K"
	sleeper ipc-mq wait -w 20 -T 3 "$K"
	ipc-mq send -T 4 "$K" no
	kill -0 $PID
	ipc-mq send -T 3 "$K" yes
	wait $PID
	[[ $(sysv_depth) == 3 ]]
}

@test "wait on System V takes no message out, and needs no permission to write" {
	need root
	ipc-mq create -m 644 "$K"
	status 124 as_nobody "$BIN/ipcbox" ipc-mq wait -w .3 "$K"
	ipc-mq send "$K" '' second
	status 0 as_nobody "$BIN/ipcbox" ipc-mq wait "$K"
	[[ $(ipc-mq recv -a --format '<%m>' "$K") == $'<>\n<second>' ]]
}

@test "System V: without MSG_COPY wait and peek are 71, and no message is lost" {
	need_strace
	ipc-mq create "$K"
	ipc-mq send "$K" ''
	for verb in wait peek; do
		status 71 strace -qq -o log -e trace=msgrcv -e inject=msgrcv:error=ENOSYS ipc-mq $verb "$K"
		[[ $stderr == *"no MSG_COPY"* ]]
		[[ $(sysv_depth) == 1 ]]
	done
}

@test "System V: a message that is longer than msgmax is by now is there, and can be received" {
	need_strace
	ipc-mq create "$K"
	ipc-mq send "$K" text
	# What the kernel says then, the limit of the whole machine left alone.
	local -a late=(strace -qq -o log -e trace=msgrcv -e inject=msgrcv:error=EINVAL:when=1)
	status 0 "${late[@]}" ipc-mq wait -n "$K"
	status 71 "${late[@]}" ipc-mq wait -n -T 1 "$K"
	status 71 "${late[@]}" ipc-mq peek "$K"
	[[ $stderr == *"longer than kernel.msgmax"* ]]
	[[ $(ipc-mq recv "$K") == text ]]
	ipc-mq rm "$K"
	status 66 ipc-mq wait -n "$K"
}

@test "two readers, one message: one gets it, the other waits on" {
	ipc-mq create "$Q"
	local i a b got
	for i in 1 2 3 4 5; do
		bg ipc-mq recv -w 20 "$Q" >a
		a=$!
		bg ipc-mq recv -w 20 "$Q" >b
		b=$!
		until_true blocked $a
		until_true blocked $b
		ipc-mq send "$Q" first
		until_true grep -q first a b
		ipc-mq send "$Q" second
		wait $a $b
		got=$(sort a b | paste -sd' ')
		[[ $got == "first second" ]]
	done
}

@test "many senders, many readers: every line once" {
	local q i
	ipc-mq create "$Q"
	ipc-mq create "$K"
	for q in "$Q" "$K"; do
		for i in 1 2 3; do bg ipc-mq recv -f -w 3 -q "$q" >got.$i; done
		for i in 1 2 3 4; do bg sh -c 'seq "$2" "$3" | ipc-mq send -w 20 "$1"' - "$q" ${i}001 ${i}500; done
		wait
		for i in 1 2 3 4; do seq ${i}001 ${i}500; done | cmp - <(sort -n got.*)
		rm got.*
	done
}

@test "SIGKILL of waiting readers and senders loses nothing for the others" {
	local q i
	ipc-mq create --depth 1 -S 10 "$Q"
	ipc-mq create --depth 1 -S 10 "$K"
	for q in "$Q" "$K"; do
		sleeper ipc-mq recv "$q"
		kill -KILL $PID
		wait $PID 2>/dev/null || :
		ipc-mq send "$q" 0123456789
		sleeper ipc-mq send "$q" never
		kill -KILL $PID
		wait $PID 2>/dev/null || :
		[[ $(ipc-mq recv "$q") == 0123456789 ]]
		status 75 ipc-mq recv -n "$q"
	done
}

@test "stat: what C programs, ipcs and /proc say" {
	need python3
	ipc-mq create -m 640 --depth 5 -S 99 "$Q"
	ipc-mq send "$Q" abc de
	sleeper "$PEER" hold "$Q"
	local holder=$PID
	ipc-mq stat -J "$Q" >json
	python3 - "$Q" $holder <<-'P'
		import json, os, sys
		d = json.load(open("json"))
		assert d["queue"] == sys.argv[1] and d["kind"] == "posix", d
		assert (d["messages"], d["bytes"], d["depth"], d["size"]) == (2, 5, 5, 99), d
		assert d["mode"] == "0640" and d["uid"] == os.geteuid(), d
		u = [u for u in d["users"] if u["pid"] == int(sys.argv[2])]
		assert len(u) == 1 and u[0]["doing"] == "open" and "hold" in u[0]["command"], d
	P
	status 0 ipc-mq stat "$Q"
	[[ $output == *$'messages: 2\nbytes: 5\ndepth: 5\nsize: 99\nmode: 0640\n'* && $output == *"user: $holder open "* ]]
	ipc-mq create "$K"
	ipc-mq send "$K" abc
	local sender
	sender=$(awk -v k="$N" '$1 == k { print $6 }' /proc/sysvipc/msg)
	ipc-mq stat -J "$K" >json
	grep -q '"messages":1,"bytes":3,"capacity":'"$(</proc/sys/kernel/msgmnb)"',.*"last_sender":'"$sender",'.*"last_received":null' json
}

@test "stat: who sleeps on a System V queue" {
	program "the sleeper has the name of the shell"
	[[ -r /proc/self/syscall ]] && grep -q '^[0-9]' /proc/self/syscall || skip "no /proc/PID/syscall"
	ipc-mq create "$K"
	sleeper ipc-mq recv -T 5 "$K"
	local pid=$PID
		until_true sh -c 'ipc-mq stat "$1" | grep -q "^user: $2 receiving ipc-mq recv"' - "$K" $pid
	kill $pid
}

@test "ls: System V queues always; POSIX ones without /dev/mqueue where we may, else it says so" {
	need python3
	ipc-mq create "$Q"
	ipc-mq create "$K"
	ipc-mq send "$K" abc
	status 0 ipc-mq ls
	[[ $output == *"sysv:$(printf 0x%08x "$N")"*" 1 "*" 3 "* ]]
	if [[ $stderr == "" ]]; then
		[[ $output == *"$Q"* ]]
		ipc-mq ls -J | python3 -c 'import json, sys
assert [q["size"] > 0 for q in json.load(sys.stdin) if q["queue"] == sys.argv[1]] == [True]' "$Q"
	fi
	[[ $(id -u) == 0 && ! -e /dev/mqueue ]] || return 0
	status 0 as_nobody ipc-mq ls
	[[ $output == *"sysv:"* && $stderr == *"POSIX queues are hidden: /dev/mqueue is not mounted"* ]]
	status 0 as_nobody ipc-mq ls -q
	[[ $stderr == "" ]]
}

@test "ls: only the queues of our own IPC namespace, nothing left mounted" {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under the sanitizer"
	unshare -im true 2>/dev/null || skip "no namespace of our own"
	ipc-mq create "$Q"
	local mounted
	mounted=$(grep -c mqueue /proc/mounts) || :
	status 0 unshare -im sh -c 'ipc-mq create /mine; ipc-mq create sysv:7; ipc-mq ls; ipc-mq ls -J | grep -c mine; grep -c mqueue /proc/mounts || :'
	[[ $output == *$'\n/mine '* && $output != *"$Q"* && $output == *"sysv:0x00000007 "* && $output == *$'\n1\n'"$mounted" ]]
}

@test "ls: unprivileged, through a mounted /dev/mqueue, unreadable queues shown as such" {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under the sanitizer"
	unshare -im sh -c 'mount -t tmpfs none /dev && mkdir /dev/mqueue && mount -t mqueue none /dev/mqueue' \
		2>/dev/null || skip "cannot mount"
	status 0 unshare -im sh -c '
		mount -t tmpfs none /dev && mkdir /dev/mqueue && mount -t mqueue none /dev/mqueue
		ipc-mq create -m 600 /secret; ipc-mq create -m 644 --depth 3 -S 9 /open; ipc-mq send /open abc
		exec setpriv --reuid=65534 --regid=65534 --clear-groups ipc-mq ls'
	[[ $output =~ /secret\ +-\ +-\ +-\ +-\ +0600\ root && $output =~ /open\ +-\ +1\ +3\ +3x9\ +0644\ root ]]
}

@test "rm: all that are there, the worst status, more than any table of ours" {
	local i names=()
	for i in $(seq 80); do
		ipc-mq create "sysv:$((N + i))"
		names+=("sysv:$((N + i))")
	done
	ipc-mq create "$Q"
	status 66 ipc-mq rm "$Q.missing" "${names[@]}" sysv:id=2147483647 "$Q"
	[[ $(grep -c . <<<"$stderr") == 2 ]]
	status 66 ipc-mq stat "$Q"
	for i in "${names[@]}"; do ipc-mq stat "$i" 2>/dev/null && return 1; done
	status 64 ipc-mq rm
	status 64 ipc-mq rm sysv:private
}

@test "bad command lines are 64 and do nothing" {
	status 64 ipc-mq
	status 64 ipc-mq recv
	status 64 ipc-mq stat "$Q" "$Q"
	status 64 ipc-mq create --depth 0 "$Q"
	status 64 ipc-mq create --depth -1 "$Q"
	status 64 ipc-mq create --depth 3x "$Q"
	status 64 ipc-mq create -S 0 "$Q"
	status 64 ipc-mq create -m 9 "$Q"
	status 64 ipc-mq recv -w 5parsecs "$Q"
	status 64 ipc-mq recv --nosuch "$Q"
	status 64 ipc-mq send -l -0 "$Q"
	status 64 ipc-mq ls "$Q"
	status 66 ipc-mq stat "$Q"
}
