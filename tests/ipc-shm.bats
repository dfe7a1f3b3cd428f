#!/usr/bin/env bats
# ipc-shm: bytes, atomic words and waiting, with Python, perl and C at the other end.

load helper

local_setup() {
	N=ipcshm.$$.$BATS_TEST_NUMBER # of objects that are the machine's
	KEY=$(printf '0x%x' $((0x6e000000 + $$ * 64 + BATS_TEST_NUMBER)))
}

local_teardown() {
	[[ -n ${N-} ]] || return 0
	rm -f "/dev/shm/$N" "/dev/shm/$N".*
	ipc-shm rm "sysv:$KEY" 2>/dev/null || :
}

# holders SHM N: N processes have it mapped or open.
holders() {
	[[ $(ipc-shm stat -J "$1" | grep -o '"pid"' | wc -l) == "$2" ]]
}

# hold CMD...: start CMD, whose stdin ends at release. Its pid is in $PID.
hold() {
	mkfifo hold.$$
	"$@" <hold.$$ 3>&- 4>&- 7>&- &
	PID=$!
	exec 7>hold.$$
	rm hold.$$
}

# release: let it end, and wait for it.
release() {
	exec 7>&-
	wait "$PID"
}

# lockfile SHM: the file whose lock is that of a System V segment.
lockfile() {
	ls -A /dev/shm/.ipc-shm-*-"$(ipc-shm stat -J "$1" | grep -o '"id":[0-9]*' | cut -d: -f2)".lock
}

# locker FILE KIND: a Python process takes an OFD lock, KIND 0 shared, 1 exclusive, until release.
locker() {
	rm -f locked
	hold python3 -c '
import fcntl, struct, sys
f = open(sys.argv[1], "r+b")
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", int(sys.argv[2]), 0, 0, 0, 0))
open("locked", "w").close(); sys.stdin.read()' "$1" "$2"
	until_true test -e locked
}

# c NAME: compile stdin to ./NAME.
c() {
	cat >"$1.c"
	gcc -O2 -Wall -o "$1" "$1.c"
}

# ---- segments

@test "create makes zeros of an exact size and mode, with memory behind them" {
	umask 077
	status 0 ipc-shm create -m 0664 -S 5000 "posix:/$N"
	[[ $(stat -c '%s %a' "/dev/shm/$N") == "5000 664" ]]
	(($(stat -c %b "/dev/shm/$N") * 512 >= 5000))
	[[ $(tr -d '\0' <"/dev/shm/$N" | wc -c) == 0 ]]
	umask 0
	status 0 ipc-shm create -S 1K a
	[[ $(stat -c '%s %a' "$IPC_DIR/a.shm") == "1024 600" ]]
	status 0 ipc-shm create -S 10 ./f
	status 0 ipc-shm create -S 10 "file:$T/g"
	[[ $(stat -c '%s %a' f g) == $'10 600\n10 600' ]]
	status 0 ipc-shm create -m 0640 -S 10 "sysv:$KEY"
	[[ $(ipc-shm stat "sysv:$KEY") == *$'size 10\nmode 0640'* ]]
}

@test "create leaves what exists alone, and says what differs" {
	for shm in "posix:/$N" a ./f "sysv:$KEY"; do
		status 0 ipc-shm create -S 4096 "$shm"
		ipc-shm write "$shm" kept
		status 0 ipc-shm create -S 4096 "$shm"
		status 0 ipc-shm create -S 100 "$shm"
		status 0 ipc-shm create -m 600 -S 100 "$shm"
		[[ $(ipc-shm read --string "$shm") == kept ]]
		status 73 ipc-shm create -x -S 4096 "$shm"
		status 73 ipc-shm create -S 4097 "$shm"
		[[ $stderr == *"exists with 4096 bytes, not 4097"* ]]
		status 73 ipc-shm create -m 0644 -S 4096 "$shm"
		[[ $stderr == *"exists with mode 0600, not 0644"* ]]
	done
}

@test "twenty that create the same at once: one makes it, all can use it" {
	pids=()
	for ((i = 0; i < 20; i++)); do
		{ ipc-shm create -x -S 4096 "posix:/$N" 2>/dev/null && echo made >>made; ipc-shm add --create a 0 1 >/dev/null; } 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	[[ $(wc -l <made) == 1 ]]
	[[ $(ipc-shm get a 0) == 20 ]]
}

@test "System V names: key, id, private, ftok as Python and C make it" {
	: >ftok
	c key <<-'E'
	#include <stdio.h>
	#include <sys/ipc.h>
	int main(void) { printf("0x%08x\n", (unsigned)ftok("ftok", 'S')); }
	E
	status 0 ipc-shm create -S 64 sysv:ftok#S
	status 0 ipc-shm add "sysv:$(./key)" 0 7
	[[ $output == 7 && $(ipc-shm get "sysv:$(./key)" 0) == 7 ]]
	status 0 ipc-shm rm sysv:ftok#S
	status 66 ipc-shm get sysv:missing#S 0
	id=$(ipc-shm create -S 64 sysv:private)
	[[ $id == sysv:id=* ]]
	ipc-shm write "$id" hello
	[[ $(ipc-shm read --string "$id") == hello ]]
	ipc-shm rm "$id"
	status 66 ipc-shm get "$id" 0
	status 64 ipc-shm get sysv:private 0
	status 64 ipc-shm create -S 1 sysv:0
	status 66 ipc-shm create -S 1 sysv:id=2000000000
}

@test "no lock file of a System V segment is left behind" {
	ipc-shm create -S 64 "sysv:$KEY"
	ipc-shm write "sysv:$KEY" x
	id=$(ipc-shm stat -J "sysv:$KEY" | grep -o '"id":[0-9]*' | cut -d: -f2)
	[[ $(ls -A /dev/shm | grep -c -- "^\.ipc-shm-.*-$id\.lock$") == 1 ]]
	ipc-shm rm "sysv:$KEY"
	[[ $(ls -A /dev/shm | grep -c -- "^\.ipc-shm-.*-$id\.lock$") == 0 ]]
}

@test "what is too large names its limit, and leaves nothing" {
	status 71 ipc-shm create -S 1024T "posix:/$N"
	[[ $stderr == *free* || $stderr == *"File too large"* ]]
	[[ ! -e /dev/shm/$N ]]
	status 71 bash -c "ulimit -f 1; exec ipc-shm create -S 1M ./f"
	[[ $stderr == *"ulimit -f"* && ! -e f ]]
	status 71 ipc-shm create -S 4194304T "sysv:$KEY"
	[[ $stderr == *kernel.shm* || $stderr == *memory* ]]
}

@test "a full tmpfs is an error for create, resize, write and words, never a SIGBUS" {
	need root
	mkdir m
	mount -t tmpfs -o size=64k none m 2>/dev/null || skip "cannot mount"
	truncate -s 32k m/holes
	ipc-shm create -S 4096 m/small
	head -c 100k /dev/zero >m/fill 2>/dev/null || :
	for cmd in "create -S 32k m/new" "resize -S 64k m/small" "set m/holes 4096 1" \
		"add m/holes 16384 1" "write -o 8192 m/holes text"; do
		# shellcheck disable=SC2086
		status 71 ipc-shm $cmd || { umount m; false; }
	done
	size=$(stat -c %s m/small)
	get=$(ipc-shm get m/holes 8192)
	umount m
	[[ $size == 4096 && $get == 0 ]]
}

@test "resize grows, and refuses to shrink under those who have it mapped" {
	need python3
	ipc-shm create -S 4096 "posix:/$N"
	ipc-shm write "posix:/$N" abc
	status 0 ipc-shm resize -S 10000 "posix:/$N"
	[[ $(stat -c %s "/dev/shm/$N") == 10000 ]]
	(($(stat -c %b "/dev/shm/$N") * 512 >= 10000))
	[[ $(ipc-shm read --string "posix:/$N") == abc ]]
	cat >map.py <<-'E'
	import mmap, sys
	f = open(sys.argv[1], "r+b"); m = mmap.mmap(f.fileno(), 0); f.close()
	open("mapped", "w").close(); sys.stdin.read()
	E
	hold python3 map.py "/dev/shm/$N"
	until_true test -e mapped
	status 75 ipc-shm resize -S 100 "posix:/$N"
	[[ $stderr == *"process $PID"* ]]
	status 0 ipc-shm resize -S 20000 "posix:/$N"
	status 0 ipc-shm resize --force -S 8192 "posix:/$N"
	release
	status 0 ipc-shm resize -S 100 "posix:/$N"
	[[ $(stat -c %s "/dev/shm/$N") == 100 ]]
	ipc-shm create -S 100 "sysv:$KEY"
	status 71 ipc-shm resize -S 200 "sysv:$KEY"
}

@test "resize does not shrink when it cannot see who has it mapped" {
	need root
	cp "$IPCBOX_BUILD/ipcbox" ipc-shm
	chmod 755 "$T" ipc-shm
	ipc-shm create -m 0666 -S 4096 "posix:/$N"
	status 75 as_nobody "$T/ipc-shm" resize -S 100 "posix:/$N"
	[[ $stderr == *--force* ]]
	status 0 as_nobody "$T/ipc-shm" resize -S 8192 "posix:/$N"
	status 0 as_nobody "$T/ipc-shm" resize --force -S 100 "posix:/$N"
	ipc-shm rm "posix:/$N"
	status 0 as_nobody "$T/ipc-shm" create -S 4096 "posix:/$N"
	status 0 as_nobody "$T/ipc-shm" resize -S 100 "posix:/$N"
}

@test "resize asks the kernel who has it mapped: in a pid namespace, and for a private mapping" {
	need root python3
	ipc-shm create -S 65536 "posix:/$N"
	cat >map.py <<-'E'
	import mmap, os, sys
	f = os.open(sys.argv[1], os.O_RDONLY); m = mmap.mmap(f, 0, mmap.MAP_PRIVATE, mmap.PROT_READ); os.close(f)
	open("mapped", "w").close(); sys.stdin.read()
	E
	hold python3 map.py "/dev/shm/$N"
	until_true test -e mapped
	status 75 unshare -pf --mount-proc ipc-shm resize -S 4096 "posix:/$N"
	[[ $stderr == *"cannot be seen"* && $(stat -c %s "/dev/shm/$N") == 65536 ]]
	status 75 ipc-shm resize -S 4096 "posix:/$N"
	[[ $stderr == *"process $PID"* ]]
	release
	status 0 unshare -pf --mount-proc ipc-shm resize -S 4096 "posix:/$N"
	[[ $(stat -c %s "/dev/shm/$N") == 4096 ]]
}

@test "create warns of what logind will remove" {
	need root
	cp "$IPCBOX_BUILD/ipcbox" ipc-shm
	chmod 755 "$T" ipc-shm
	inside() { unshare -m sh -c "mount -t tmpfs none /run && mount -t tmpfs none /etc || exit 99; $1; IPC_DIR=/tmp/$N.ipc exec setpriv --reuid=$2 --clear-groups $T/ipc-shm create -S 64 $3"; }
	inside : 0 "posix:/$N" >out 2>err || skip "cannot mount"
	rm "/dev/shm/$N"
	inside 'mkdir -p /run/systemd/users' 4321 "posix:/$N" 2>err
	grep -q RemoveIPC err
	rm "/dev/shm/$N"
	inside 'mkdir -p /run/systemd/users' 4321 "sysv:$KEY" 2>err
	grep -q RemoveIPC err
	inside 'mkdir -p /run/systemd/users' 4321 "/tmp/$N.file" 2>err
	rm -f "/tmp/$N.file"
	[[ ! -s err ]]
	inside : 4321 "posix:/$N" 2>err
	rm "/dev/shm/$N"
	[[ ! -s err ]]
	inside 'mkdir -p /run/systemd/users /etc/systemd; printf "[Login]\nRemoveIPC=no\n" >/etc/systemd/logind.conf' 4321 "posix:/$N" 2>err
	[[ ! -s err ]]
}

@test "stat shows who has it mapped or open" {
	need python3
	ipc-shm create -S 8192 ./f
	ipc-shm create -S 8192 "sysv:$KEY"
	hold python3 -c 'import mmap, sys; f = open("f", "r+b"); m = mmap.mmap(f.fileno(), 0); sys.stdin.read()'
	until_true holders ./f 1
	[[ $(ipc-shm stat -J ./f) == *"\"pid\":$PID,\"mapped\":true"* ]]
	ipc-shm stat -J ./f | python3 -m json.tool >/dev/null
	[[ $(ipc-shm stat ./f) =~ $PID\ +mapped\ .*python3 ]]
	release
	holders ./f 0
	c attach <<-'E'
	#include <stdlib.h>
	#include <sys/shm.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		char c;
		shmat(shmget((key_t)strtoul(argv[1], NULL, 16), 0, 0), NULL, 0);
		return read(0, &c, 1) != 0;
	}
	E
	hold ./attach "$KEY"
	until_true holders "sysv:$KEY" 1
	[[ $(ipc-shm stat -J "sysv:$KEY") == *'"attached":1,'*"\"pid\":$PID,\"mapped\":true"* ]]
	release
	[[ $(ipc-shm stat -J "sysv:$KEY") == *'"attached":0,'* ]]
}

@test "ls shows posix, System V and words; no semaphores" {
	need python3
	ipc-shm create -S 100 "posix:/$N"
	ipc-shm create -S 200 "sysv:$KEY"
	ipc-shm create -S 300 word
	: >"/dev/shm/sem.$N"
	status 0 ipc-shm ls
	rm -f "/dev/shm/sem.$N"
	[[ $output == *"posix:/$N"* && $output == *"sysv:$KEY"* && $output == *" word"* ]]
	[[ $output != *"sem.$N"* ]]
	ipc-shm ls -J | python3 -c '
import json, sys
l = {o["object"]: o for o in json.load(sys.stdin)}
assert l[sys.argv[1]]["size"] == 100 and l[sys.argv[2]]["attached"] == 0 and l["word"]["kind"] == "word", l
' "posix:/$N" "sysv:$KEY"
}

@test "rm: missing 66, others are removed all the same" {
	ipc-shm create -S 1 a
	ipc-shm create -S 1 "posix:/$N"
	status 66 ipc-shm rm a missing "posix:/$N"
	[[ ! -e $IPC_DIR/a.shm && ! -e /dev/shm/$N ]]
	status 66 ipc-shm rm "sysv:$KEY"
	mkdir d
	status 65 ipc-shm rm ./d
	[[ -d d ]]
	words=()
	for ((i = 0; i < 100; i++)); do ipc-shm create -S 1 "w$i"; words+=("w$i"); done
	status 0 ipc-shm rm "${words[@]}"
}

# ---- bytes

@test "write and read: operand, stdin, offset, length, string" {
	for shm in "posix:/$N" a ./f "sysv:$KEY"; do
		ipc-shm create -S 64 "$shm"
		status 0 ipc-shm write "$shm" 0123456789
		status 0 ipc-shm write -o 4 "$shm" xy
		printf 'a\0b' | ipc-shm write -o 60 "$shm"
		printf 'zz' >file
		ipc-shm write -o 8 "$shm" <file
		status 0 ipc-shm read --length 10 "$shm"
		[[ $output == 0123xy67zz ]]
		[[ $(ipc-shm read -o 60 "$shm" | od -An -c | tr -s ' ') == ' a \0 b \0' ]]
		status 0 ipc-shm write --string "$shm" short
		[[ $(ipc-shm read --string "$shm") == short ]]
		ipc-shm read "$shm" >whole
		[[ $(stat -c %s whole) == 64 ]]
		ipc-shm read --length 0 -o 64 "$shm" >none
		[[ ! -s none ]]
	done
}

@test "stdin begins where its offset is" {
	ipc-shm create -S 16 a
	printf 'skipped\nkept' >file
	{ read -r _; ipc-shm write a; } <file
	[[ $(ipc-shm read --string a) == kept ]] || [[ $(ipc-shm read --string a) == kept* ]]
}

@test "what does not fit is 65, says the size, and writes nothing" {
	for shm in a "sysv:$KEY"; do
		ipc-shm create -S 10 "$shm"
		ipc-shm write "$shm" 0123456789
		status 65 ipc-shm write -o 5 "$shm" abcdef
		[[ $stderr == *"its size is 10"* ]]
		printf 'abcdefghijk' >file
		code=0; ipc-shm write "$shm" <file 2>err || code=$?
		[[ $code == 65 && $(<err) == *"its size is 10"* ]]
		code=0; cat file | ipc-shm write "$shm" 2>err || code=$?
		[[ $code == 65 && $(<err) == *"nothing was written"* ]]
		code=0; timeout 20 ipc-shm write "$shm" </dev/zero 2>err || code=$?
		[[ $code == 65 ]]
		status 65 ipc-shm write -o 11 "$shm" ''
		status 65 ipc-shm read -o 11 "$shm"
		status 65 ipc-shm read -o 5 --length 6 "$shm"
		[[ $(ipc-shm read "$shm") == 0123456789 ]]
	done
}

@test "a producer that is killed or slow changes nothing and locks nobody out" {
	ipc-shm create -S 1M a
	ipc-shm write a old
	mkfifo p
	ipc-shm write a <p 3>&- 4>&- 7>&- &
	pid=$!
	exec 7>p
	printf new >&7
	until_true blocked $pid
	status 0 ipc-shm read -n --string a
	[[ $output == old ]]
	kill -TERM $pid
	code=0; wait $pid || code=$?
	exec 7>&-
	[[ $code == 143 && $(ipc-shm read --string a) == old ]]
}

@test "a slow reader of the output keeps no writer waiting" {
	ipc-shm create -S 4M a
	mkfifo p
	ipc-shm read a >p 3>&- 4>&- &
	pid=$!
	exec 7<p
	until_true blocked $pid
	head -c 1 <&7 >/dev/null # it writes, so it has its copy
	status 0 ipc-shm write -w 20 a new
	[[ $(($(wc -c <&7) + 1)) == 4194304 ]]
	exec 7<&-
	wait $pid
	[[ $(ipc-shm read --string a) == new ]]
}

@test "no read is torn: writers of uniform bytes, readers that look" {
	for ch in a b; do head -c 2M /dev/zero | tr '\0' $ch >$ch; done
	for shm in "posix:/$N" "sysv:$KEY"; do
		ipc-shm create -S 2M "$shm"
		ipc-shm write "$shm" <a
		pids=()
		for ch in a b; do
			while [[ ! -e stop ]]; do ipc-shm write "$shm" <$ch; ipc-shm write "$shm" < <(cat $ch); done 3>&- 4>&- &
			pids+=($!)
		done
		: >torn
		for ((i = 0; i < 25; i++)); do
			ipc-shm read "$shm" >snap
			cmp -s snap a || cmp -s snap b || echo file >>torn
			[[ $(ipc-shm read "$shm" | tr -s ab | wc -c) == 1 ]] || echo pipe >>torn
		done
		: >stop
		wait "${pids[@]}"
		rm stop
		[[ ! -s torn ]]
	done
}

@test "readers share, writers exclude; -n is 75, -w is 124, also for System V" {
	need python3
	for shm in ./f "sysv:$KEY"; do
		ipc-shm create -S 64 "$shm"
		ipc-shm write "$shm" x
		file=f
		[[ $shm == ./f ]] || file=$(lockfile "$shm")
		for kind in 0 1; do
			locker "$file" $kind
			status 75 ipc-shm write -n "$shm" x
			status 124 ipc-shm write -w 0.1 "$shm" x
			status 124 ipc-shm write -w 0 "$shm" x
			status 9 ipc-shm write -n -E 9 "$shm" x
			if [[ $kind == 0 ]]; then
				status 0 ipc-shm read -n "$shm"
			else
				status 75 ipc-shm read -n "$shm"
				status 124 ipc-shm read -w 0.1 "$shm"
			fi
			release
		done
		status 0 ipc-shm write -n "$shm" x
	done
}

@test "a writer killed in the middle gives the lock back" {
	ipc-shm create -S 64M "posix:/$N"
	head -c 64M /dev/zero | tr '\0' a >big
	for ((i = 0; i < 10; i++)); do
		ipc-shm write "posix:/$N" <big 3>&- 4>&- &
		pid=$!
		until_true eval "[[ \$(head -c 1 /dev/shm/$N) == a ]]"
		kill -KILL $pid || : # it may have finished
		wait $pid || :
		ipc-shm write -w 20 "posix:/$N" "$(printf 'b%.0s' {1..10})"
		[[ $(ipc-shm read -w 20 --length 10 "posix:/$N") == bbbbbbbbbb ]]
	done
}

@test "TERM in the middle of a write does not tear it" {
	ipc-shm create -S 64M "posix:/$N"
	head -c 64M /dev/zero | tr '\0' a >big
	ipc-shm write "posix:/$N" <big 3>&- 4>&- &
	pid=$!
	until_true eval "[[ \$(head -c 1 /dev/shm/$N) == a ]]"
	kill -TERM $pid || : # it may have finished
	wait $pid || :
	cmp big "/dev/shm/$N"
}

@test "a segment removed while waiting for its lock is not written" {
	need python3
	ipc-shm create -S 64 "posix:/$N"
	locker "/dev/shm/$N" 1
	ipc-shm write "posix:/$N" new 3>&- 4>&- 7>&- &
	pid=$!
	until_true blocked $pid
	rm "/dev/shm/$N"
	ipc-shm create -S 128 "posix:/$N"
	release
	wait $pid
	[[ $(ipc-shm read --string "posix:/$N") == new ]]
}

@test "much moves through with a progress bar" {
	ipc-shm create -S 256M "posix:/$N"
	truncate -s 256M zeros
	status 0 sh -c "ipc-shm write -P posix:/$N <zeros"
	[[ $stderr == *256M*100%* ]]
	status 0 sh -c "ipc-shm read -P posix:/$N >/dev/null"
	[[ $stderr == *256M*100%* ]]
	head -c 256M /dev/zero | ipc-shm write "posix:/$N"
}

@test "errors of stdin and stdout" {
	ipc-shm create -S 4096 a
	status 74 sh -c 'ipc-shm read a >/dev/full'
	status 74 sh -c 'ipc-shm get a 0 >/dev/full'
	status 74 sh -c 'ipc-shm write a <.'
	code=0; ipc-shm read a | true || code=${PIPESTATUS[0]}
	status 74 sh -c 'ipc-shm write a <&-'
	[[ $stderr == *"read stdin: Bad file descriptor"* ]]
	status 74 sh -c 'ipc-shm get a 0 >&-'
	status 0 sh -c 'ipc-shm set a 0 7 <&- >&- 2>&-'
	[[ $(ipc-shm get a 0) == 7 ]]
}

# ---- words

@test "words of every type: get, set, add, swap, cas, and wrapping" {
	ipc-shm create -S 64 a
	for t in u8:255:0 u16:65535:0 u32:4294967295:0 u64:18446744073709551615:0 i8:127:-128 \
		i16:32767:-32768 i32:2147483647:-2147483648 i64:9223372036854775807:-9223372036854775808; do
		IFS=: read -r type max next <<<"$t"
		status 0 ipc-shm set -t $type a 8 $max
		[[ $(ipc-shm get -t $type a 8) == "$max" ]]
		[[ $(ipc-shm add -t $type a 8 1) == "$next" ]]
		[[ $(ipc-shm add -t $type a 8 -1) == "$max" ]]
		[[ $(ipc-shm swap -t $type a 8 5) == "$max" ]]
		status 1 ipc-shm cas -t $type a 8 4 6
		[[ $output == 5 ]]
		status 0 ipc-shm cas -t $type a 8 5 6
		[[ $output == 5 && $(ipc-shm get -t $type a 8) == 6 ]]
		[[ $(ipc-shm get a 16) == 0 ]]
		ipc-shm set a 8 0
	done
	[[ $(ipc-shm set a 0 0x10; ipc-shm get a 0x0) == 16 ]]
	ipc-shm set -t f64 a 8 0.1
	[[ $(ipc-shm add -t f64 a 8 0.2) == 0.30000000000000004 ]]
	ipc-shm set -t f32 a 8 1e10
	[[ $(ipc-shm get -t f32 a 8) == 1e+10 ]]
	ipc-shm set -t f64 a 8 -inf
	[[ $(ipc-shm get -t f64 a 8) == -inf ]]
}

@test "values and offsets that are wrong" {
	ipc-shm create -S 20 a
	for bad in "set -t u8 a 0 256" "set -t u8 a 0 -1" "set -t i8 a 0 128" "set a 0 9223372036854775808" \
		"set a 0 x" "set a 0 1.5" "set -t f64 a 0 1.5x" "set -t f32 a 0 1e39" "set -t f64 a 0 1e400" \
		"get a 4" "get -t u16 a 1" "get -t u32 a 2" "get a -8" "get a x" "get -t u128 a 0" \
		"wait a 0 near 1" "wait -t f64 a 0 bits 1" "get a" "set a 0" "cas a 0 1" "get memfd:x 0"; do
		# shellcheck disable=SC2086
		status 64 ipc-shm $bad
	done
	status 65 ipc-shm get a 16
	status 65 ipc-shm get a 24
	status 65 ipc-shm get a 0x7ffffffffffffff8
	status 0 ipc-shm get -t u32 a 16
	status 0 ipc-shm get -t u8 a 19
}

@test "no update is lost: 8 times 1,000 adds, and a C program that adds all the while" {
	c adder <<-'E'
	#include <fcntl.h>
	#include <stdint.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <sys/mman.h>
	int main(int argc, char **argv)
	{
		int fd = shm_open(argv[1], O_RDWR, 0);
		int64_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		long n = 0;
		for (; __atomic_load_n(p + 1, __ATOMIC_SEQ_CST) == 0; n++)
			__atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST);
		printf("%ld\n", n);
		return 0;
	}
	E
	ipc-shm create -S 4096 "posix:/$N"
	rounds=1000 pids=()
	[[ -z ${IPCBOX_SANITIZE-} ]] || rounds=20
	./adder "/$N" >added 3>&- 4>&- &
	adder=$!
	for ((j = 0; j < 8; j++)); do
		for ((i = 0; i < rounds; i++)); do ipc-shm add "posix:/$N" 0 1; done >/dev/null 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	ipc-shm set "posix:/$N" 8 1
	wait $adder
	[[ $(ipc-shm get "posix:/$N" 0) == $(($(<added) + 8 * rounds)) ]]
}

@test "cas is a lock among scripts" {
	ipc-shm create -S 4096 a
	echo 0 >n
	pids=()
	for ((j = 0; j < 4; j++)); do
		for ((i = 0; i < 50; i++)); do
			until ipc-shm cas a 0 0 1 >/dev/null; do ipc-shm wait -w 20 a 0 eq 0 >/dev/null; done
			echo $(($(<n) + 1)) >n
			ipc-shm set a 0 0
		done 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	[[ $(<n) == 200 ]]
}

@test "--create makes it on the way" {
	status 66 ipc-shm add n 0 1
	status 0 ipc-shm add --create n 0 1
	[[ $output == 1 && $(stat -c %s "$IPC_DIR/n.shm") == 4096 ]]
	status 0 ipc-shm write --create -S 10 -m 0644 ./w hello
	[[ $(stat -c '%s %a' w) == "10 644" ]]
}

# ---- waiting

@test "wait: every test, and its value is printed" {
	ipc-shm create -S 64 a
	ipc-shm set a 0 6
	for yes in "eq 6" "ne 5" "lt 7" "le 6" "gt 5" "ge 6" "bits 2" "bits 6" "gt -1"; do
		# shellcheck disable=SC2086
		status 0 ipc-shm wait -n a 0 $yes
		[[ $output == 6 ]]
	done
	for no in "eq 5" "ne 6" "lt 6" "le 5" "gt 6" "ge 7" "bits 3" "bits 1"; do
		# shellcheck disable=SC2086
		status 75 ipc-shm wait -n a 0 $no
	done
	ipc-shm set -t f64 a 8 nan
	for no in "eq nan" "lt 1" "ge 1"; do
		# shellcheck disable=SC2086
		status 75 ipc-shm wait -n -t f64 a 8 $no
	done
	status 0 ipc-shm wait -n -t f64 a 8 ne 1
	status 75 ipc-shm wait -n -t u32 a 0 eq 4294967295
	ipc-shm set -t u64 a 8 18446744073709551615
	status 0 ipc-shm wait -n -t u64 a 8 gt 1
	status 75 ipc-shm wait -n -t u64 a 8 lt 1
}

@test "set, add, cas and swap wake waiters of every width" {
	ipc-shm create -S 64 a
	for t in u8 u16 u32 u64 f64; do
		for how in "set -t $t a 8 3" "add -t $t a 8 3" "cas -t $t a 8 0 3" "swap -t $t a 8 3"; do
			ready ipc-shm wait -w 20 --ready-fd 8 -t $t a 8 eq 3
			# shellcheck disable=SC2086
			ipc-shm $how >/dev/null
			wait $PID
			ipc-shm set a 8 0
		done
	done
}

@test "the change of a high half, or by a program that does not wake, is seen" {
	need python3
	ipc-shm create -S 64 ./f
	ready ipc-shm wait -w 20 --ready-fd 8 ./f 8 eq 0x100000000
	until_true blocked $PID
	python3 -c '
import mmap
f = open("f", "r+b"); m = mmap.mmap(f.fileno(), 0); m[12] = 1'
	wait $PID
	ready ipc-shm wait -w 20 --ready-fd 8 ./f 16 gt 0
	ipc-shm write -o 16 ./f x
	wait $PID
}

@test "a C program that waits on the futex is woken" {
	c waiter <<-'E'
	#define _GNU_SOURCE
	#include <errno.h>
	#include <fcntl.h>
	#include <linux/futex.h>
	#include <stdint.h>
	#include <sys/mman.h>
	#include <sys/syscall.h>
	#include <time.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		int fd = shm_open(argv[1], O_RDWR, 0);
		uint32_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		struct timespec ts = {20, 0};
		write(8, "\n", 1);
		while (__atomic_load_n(p, __ATOMIC_SEQ_CST) == 0)
			if (syscall(SYS_futex, p, FUTEX_WAIT, 0, &ts, NULL, 0) < 0 && errno == ETIMEDOUT)
				return 1;
		return *p == 5 ? 0 : 2;
	}
	E
	ipc-shm create -S 4096 "posix:/$N"
	ready ./waiter "/$N"
	until_true blocked $PID
	ipc-shm set -t u32 "posix:/$N" 0 5
	wait $PID
}

@test "timeouts are kept, and waiting costs no processor time" {
	ipc-shm create -S 64 a
	start=$(date +%s%N)
	status 124 ipc-shm wait -w 200ms a 0 eq 1
	took=$((($(date +%s%N) - start) / 1000000))
	((took >= 200 && took < 5000))
	[[ $stderr == *"wait for a at 0 eq 1: timed out"* ]]
	status 124 ipc-shm wait -w 0 a 0 eq 1
	status 9 ipc-shm wait -E 9 -w 0 a 0 eq 1
	ready ipc-shm wait -w 60 --ready-fd 8 a 0 eq 1
	read -r -a before <"/proc/$PID/stat"
	read -r -t 1.5 <> <(:) || :
	read -r -a after <"/proc/$PID/stat"
	((after[13] + after[14] - before[13] - before[14] <= 2))
	ipc-shm set a 0 1
	wait $PID
}

@test "200 waiters wake; killed ones harm nobody" {
	ipc-shm create -S 64 a
	pids=()
	for ((i = 0; i < 200; i++)); do
		ipc-shm wait -w 60 a 0 ge 3 >/dev/null 3>&- &
		pids+=($!)
	done
	until_true holders a 200
	for ((i = 0; i < 10; i++)); do kill -KILL "${pids[i]}"; done
	ipc-shm add a 0 2 >/dev/null
	ipc-shm add a 0 1 >/dev/null
	for ((i = 10; i < 200; i++)); do wait "${pids[i]}"; done
}

@test "a segment removed or cut short under a waiter ends the wait" {
	ipc-shm create -S 8192 ./f
	ready ipc-shm wait -w 20 --ready-fd 8 ./f 4096 eq 1
	ipc-shm rm ./f
	code=0; wait $PID || code=$?
	[[ $code == 66 ]]
	ipc-shm create -S 8192 ./f
	ready ipc-shm wait -w 20 --ready-fd 8 ./f 4096 eq 1
	truncate -s 100 f
	code=0; wait $PID || code=$?
	[[ $code == 65 ]]
	ipc-shm create -S 64 "sysv:$KEY"
	ready ipc-shm wait -w 20 --ready-fd 8 "sysv:$KEY" 8 eq 1
	ipc-shm rm "sysv:$KEY"
	code=0; wait $PID || code=$?
	[[ $code == 66 ]]
}

# ---- run

@test "run hands on a path, a descriptor and a size" {
	need python3
	ipc-shm create -S 128 "posix:/$N"
	ipc-shm write "posix:/$N" hello
	cat >cmd <<-'E'
	import mmap, os
	fd = int(os.environ["IPC_SHM_FD"])
	m = mmap.mmap(fd, int(os.environ["IPC_SHM_SIZE"]))
	assert os.environ["IPC_OBJECT"].startswith("posix:/")
	print(m[:5].decode(), os.path.samefile(os.environ["IPC_SHM_PATH"], "/proc/self/fd/%d" % fd))
	m[:5] = b"HELLO"
	raise SystemExit(7)
	E
	status 7 ipc-shm run "posix:/$N" -- python3 cmd
	[[ $output == "hello True" && $(ipc-shm read --string "posix:/$N") == HELLO ]]
	status 127 ipc-shm run "posix:/$N" -- ./missing
	status 143 ipc-shm run "posix:/$N" -- sh -c 'kill -TERM $$'
	status 66 ipc-shm run missing -- true
	status 64 ipc-shm run -S 5 "posix:/$N" -- true
	status 0 ipc-shm run --create -S 5 new -- true
}

@test "run memfd: nobody can shrink it, and it is gone afterwards" {
	status 0 ipc-shm run -S 1M memfd:work -- sh -c '
		ipc-shm write "$IPC_OBJECT" one
		(ipc-shm add "$IPC_SHM_PATH" 64 41; ipc-shm add "$IPC_OBJECT" 64 1) >/dev/null
		ipc-shm get "$IPC_OBJECT" 64
		ipc-shm read --string "$IPC_SHM_PATH"
		ipc-shm resize --force -S 1 "$IPC_OBJECT" 2>/dev/null; echo $?
		ipc-shm resize -S 2M "$IPC_OBJECT"; echo $?
		stat -Lc "%s %a" "$IPC_SHM_PATH"'
	[[ $output == $'42\none\n77\n0\n2097152 600' ]]
	status 64 ipc-shm run memfd:work -- true
}

@test "waiting for a word of a segment without a name" {
	status 0 ipc-shm run -S 4096 memfd:x -- sh -c '
		for o in "$IPC_OBJECT" "$IPC_SHM_PATH"; do
			ipc-shm wait -w 20 "$o" 0 eq 1 & ipc-shm add "$o" 0 1 >/dev/null; wait $! && ipc-shm set "$o" 0 0
		done
		ipc-shm stat "$IPC_SHM_PATH"'
	[[ $output == $'1\n1\n'*"without a name"* ]]
}

@test "two users of an inherited memfd exclude each other" {
	# Both have one open file description, whose locks would not.
	status 0 ipc-shm run -S 2M memfd:x -- bash -c '
		head -c 2M /dev/zero | tr "\0" a >a; head -c 2M /dev/zero | tr "\0" b >b
		ipc-shm write "$IPC_OBJECT" <a
		for f in a b; do (while [ ! -e stop ]; do ipc-shm write "$IPC_OBJECT" <$f; done) & done
		for i in $(seq 20); do ipc-shm read "$IPC_OBJECT" >s; cmp -s s a || cmp -s s b || echo torn; done
		>stop; wait'
	[[ $output == "" ]]
}

@test "run sysv:private leaves nothing, even when it is killed" {
	status 0 ipc-shm run -S 4096 sysv:private -- sh -c '
		ipc-shm write "$IPC_OBJECT" hello; ipc-shm read --string "$IPC_OBJECT"; echo "$IPC_SHM_ID" >id'
	[[ $output == hello ]]
	status 66 ipc-shm stat "sysv:id=$(<id)"
	[[ $(ls -A /dev/shm) != *"-$(<id).lock"* ]]
	mkfifo p
	bg ipc-shm run -S 4096 sysv:private -- sh -c 'echo "$IPC_SHM_ID" >id2; read -r x <p'
	pid=$!
	until_true test -s id2
	kill -KILL $pid
	wait $pid || :
	until_true eval '! ipc-shm stat "sysv:id=$(<id2)" 2>/dev/null'
	echo >p
}

@test "fd: objects, and descriptors that are not there" {
	ipc-shm create -S 64 ./f
	exec 5<>f
	status 0 ipc-shm write fd:5 text
	[[ $(ipc-shm read --string fd:5) == text ]]
	exec 5>&-
	status 66 ipc-shm read fd:55
	status 64 ipc-shm rm fd:55
}

# ---- other programs

@test "Python: multiprocessing.shared_memory both ways" {
	need python3
	cat >py <<-'E'
	import sys
	from multiprocessing import shared_memory, resource_tracker
	m = shared_memory.SharedMemory(name=sys.argv[1], create=sys.argv[2] == "create", size=4096)
	if sys.argv[2] == "create":
	    m.buf[:6] = b"python"
	    resource_tracker.unregister(m._name, "shared_memory")
	else:
	    print(bytes(m.buf[:5]).decode(), m.size)
	    m.buf[8] = 9
	    resource_tracker.unregister(m._name, "shared_memory")
	m.close()
	E
	ipc-shm create -S 4096 "posix:/$N"
	ipc-shm write "posix:/$N" shell
	status 0 python3 py "$N" attach
	[[ $output == "shell 4096" && $(ipc-shm get -t u8 "posix:/$N" 8) == 9 ]]
	ipc-shm rm "posix:/$N"
	status 0 python3 py "$N" create
	[[ $(ipc-shm read --string "posix:/$N") == python ]]
}

@test "perl: shmget, shmwrite, shmread" {
	ipc-shm create -S 64 "sysv:$KEY"
	ipc-shm write "sysv:$KEY" shell
	status 0 perl -e 'my $id = shmget('"$KEY"', 0, 0); shmread($id, my $b, 0, 5) or die; print $b; shmwrite($id, "perl", 8, 4) or die'
	[[ $output == shell && $(ipc-shm read -o 8 --string "sysv:$KEY") == perl ]]
}

@test "C: shmat and atomics" {
	c sysv <<-'E'
	#include <stdint.h>
	#include <stdlib.h>
	#include <sys/shm.h>
	int main(int argc, char **argv)
	{
		int id = shmget((key_t)strtoul(argv[1], NULL, 16), 4096, IPC_CREAT | 0600);
		int32_t *p = shmat(id, NULL, 0);
		for (int i = 0; i < 50000; i++)
			__atomic_add_fetch(p + 1, 1, __ATOMIC_SEQ_CST);
		return 0;
	}
	E
	./sysv "$KEY" 3>&- 4>&- &
	pid=$!
	until_true ipc-shm stat "sysv:$KEY"
	for ((i = 0; i < 100; i++)); do ipc-shm add -t i32 "sysv:$KEY" 4 1 >/dev/null; done
	wait $pid
	[[ $(ipc-shm get -t i32 "sysv:$KEY" 4) == 50100 ]]
}

@test "memwriter and memreader: a segment and a semaphore, C on either side" {
	c memreader <<-'E'
	#include <fcntl.h>
	#include <semaphore.h>
	#include <stdio.h>
	#include <sys/mman.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		int fd = shm_open(argv[1], O_RDWR, 0600);
		char *p = mmap(NULL, 512, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		sem_t *sem = sem_open(argv[2], O_CREAT, 0600, 0);
		write(8, "\n", 1);
		if (sem_wait(sem) == 0)
			puts(p);
		sem_unlink(argv[2]);
		return 0;
	}
	E
	c post <<-'E'
	#include <semaphore.h>
	int main(int argc, char **argv) { return sem_post(sem_open(argv[1], 0)); }
	E
	ipc-shm create -m 0644 -S 512 "posix:/$N"
	ready sh -c "exec ./memreader /$N /$N.s >out"
	ipc-shm write --string "posix:/$N" "This is the way the world ends..."
	./post "/$N.s"
	wait $PID
	[[ $(<out) == "This is the way the world ends..." ]]
}

@test "mmap producer and consumer: the file is the segment" {
	need python3
	ipc-shm create -S 128 ./shared
	python3 -c 'import mmap; f = open("shared", "r+b"); m = mmap.mmap(f.fileno(), 128); m[:12] = b"from a map\n\0"'
	[[ $(ipc-shm read --string ./shared) == "from a map"* ]]
	ipc-shm write ./shared "from a shell"
	[[ $(python3 -c 'import mmap; f = open("shared", "r+b"); m = mmap.mmap(f.fileno(), 128); print(m[:12].decode())') == "from a shell" ]]
	[[ $(head -c 12 shared) == "from a shell" ]]
}

# ---- wrong things

@test "missing, of another kind, not allowed" {
	for verb in "get %s 0" "set %s 0 1" "read %s" "write %s x" "stat %s" "resize -S 1 %s"; do
		for shm in missing ./missing ./no/such posix:/no.such sysv:0x7fffff01 sysv:id=2000000001; do
			# shellcheck disable=SC2059,SC2046
			status 66 ipc-shm $(printf "$verb" "$shm")
		done
	done
	mkdir d
	mkfifo p
	ln -s f l
	for bad in ./d ./p /dev/null; do
		status 65 ipc-shm read "$bad"
		status 65 ipc-shm write "$bad" x
	done
	ln -s /etc/passwd "/dev/shm/$N"
	status 65 ipc-shm read "posix:/$N"
	rm "/dev/shm/$N"
	for bad in unix:x tcp:a:1 @x posix:x posix:/a/b sysv:x .x ''; do
		status 64 ipc-shm get "$bad" 0
	done
	status 64 ipc-shm
	status 64 ipc-shm poke
	status 64 ipc-shm create x
	status 64 ipc-shm create -S x x
	status 64 ipc-shm create -S 0 x
	status 64 ipc-shm run x
	status 64 ipc-shm read -w x a
}

@test "others' permissions: read-only users read under the lock, the rest is 77" {
	need root
	cp "$IPCBOX_BUILD/ipcbox" ipc-shm
	chmod 755 "$T" ipc-shm
	ipc-shm create -m 0644 -S 64 "posix:/$N"
	ipc-shm create -m 0644 -S 64 "sysv:$KEY"
	for shm in "posix:/$N" "sysv:$KEY"; do
		ipc-shm write "$shm" text
		status 0 as_nobody "$T/ipc-shm" read --string "$shm"
		[[ $output == text ]]
		status 0 as_nobody "$T/ipc-shm" get -t u8 "$shm" 0
		status 0 as_nobody "$T/ipc-shm" wait -n -t u8 "$shm" 0 gt 0
		status 77 as_nobody "$T/ipc-shm" write "$shm" x
		status 77 as_nobody "$T/ipc-shm" set "$shm" 0 1
		status 77 as_nobody "$T/ipc-shm" rm "$shm"
	done
	ipc-shm rm "posix:/$N" "sysv:$KEY"
	ipc-shm create -S 64 "posix:/$N"
	ipc-shm create -S 64 "sysv:$KEY"
	for shm in "posix:/$N" "sysv:$KEY"; do
		status 77 as_nobody "$T/ipc-shm" read "$shm"
		status 77 as_nobody "$T/ipc-shm" get "$shm" 0
	done
	# A lock file that a stranger has put there is not believed.
	id=$(ipc-shm stat -J "sysv:$KEY" | grep -o '"id":[0-9]*' | cut -d: -f2)
	lock=/dev/shm/.ipc-shm-$(printf %x "$(stat -Lc %i /proc/self/ns/ipc)")-$id.lock
	as_nobody sh -c "umask 0; : >$lock"
	status 77 ipc-shm read "sysv:$KEY"
	[[ $stderr == *stranger* ]]
	rm "$lock"
	status 0 ipc-shm read --length 0 "sysv:$KEY"
	# One who may write, and comes first, makes a lock that the owner can use.
	ipc-shm rm "sysv:$KEY"
	ipc-shm create -m 0666 -S 64 "sysv:$KEY"
	status 0 as_nobody "$T/ipc-shm" write "sysv:$KEY" theirs
	status 0 ipc-shm write "sysv:$KEY" ours
	[[ $(as_nobody "$T/ipc-shm" read --length 4 "sysv:$KEY") == ours ]]
}

@test "names and sizes that cannot be; keys that are none; a System V lock that is no file" {
	need python3
	status 64 ipc-shm create -S 5 fd:5
	status 64 ipc-shm rm .x
	ipc-shm create -S 64 a
	status 64 sh -c 'echo x | ipc-shm write --string a'
	status 64 ipc-shm run sysv:private -- true
	status 64 ipc-shm get sysv:0 0
	status 66 ipc-shm rm sysv:private
	status 66 ipc-shm create -S 64 "sysv:./none#1"
	[[ $stderr == *"make a key of"* ]]
	ipc-shm create -S 64 sysv:private >id
	status 0 ipc-shm ls
	[[ $'\n'$output$'\n' == *" $(<id)"$'\n'* ]]
	ipc-shm rm "$(<id)"
	ipc-shm create -S 64 "sysv:$KEY"
	ipc-shm write "sysv:$KEY" x
	local lock
	lock=$(lockfile "sysv:$KEY")
	rm "$lock"
	mkfifo "$lock"
	status 77 ipc-shm read "sysv:$KEY"
	[[ $stderr == *stranger* ]]
	rm "$lock"
	ln -s /dev/null "$lock"
	status 77 ipc-shm read "sysv:$KEY"
	[[ $stderr == *"the lock of sysv:$KEY"* ]]
	rm "$lock"
	ipc-shm create -S 64 "posix:/$N"
	locker "/dev/shm/$N" 1
	ipc-shm write "posix:/$N" new 3>&- 4>&- 7>&- 2>err &
	pid=$!
	until_true blocked $pid
	rm "/dev/shm/$N"
	release
	code=0; wait $pid || code=$?
	[[ $code == 66 ]]
	grep -q 'was removed' err
}

@test "interrupted and refused system calls" {
	need strace
	[[ -z ${IPCBOX_SANITIZE:-} ]] || skip "not under a sanitizer"
	ipc-shm create -S 1M a
	head -c 1M /dev/urandom >data
	status 0 sh -c 'strace -f -o /dev/null -e inject=pwrite64:error=EINTR:when=2+3 ipc-shm write a <data'
	cmp data "$IPC_DIR/a.shm"
	status 74 sh -c 'strace -f -o /dev/null -e inject=pwrite64:error=EIO:when=2 ipc-shm write a <data'
	status 71 strace -f -o /dev/null -e inject=fallocate:error=ENOSPC ipc-shm create -S 1M b
	[[ $stderr == *"do not fit"* && ! -e $IPC_DIR/b.shm ]]
	status 0 strace -f -o /dev/null -e inject=fallocate:error=EINTR:when=1 ipc-shm create -S 1M b
	status 0 strace -f -o /dev/null -e inject=fallocate:error=EOPNOTSUPP ipc-shm create -S 1M c
	[[ $(stat -c %s "$IPC_DIR/c.shm") == 1048576 ]]
	ipc-shm create -S 64 ./f
	status 71 strace -f -o /dev/null -P ./f -e inject=openat:error=EMFILE ipc-shm get ./f 0
	# What is read is cut short, or cannot be read, in the middle.
	head -c 5M /dev/zero >long
	ipc-shm create -S 5M ./big
	status 74 sh -c 'strace -f -o /dev/null -P ./long -e inject=read:error=EIO:when=2 ipc-shm write ./big <long'
	[[ $stderr == *"written in part"* ]]
	status 65 sh -c 'strace -f -o /dev/null -P ./long -e inject=read:retval=0:when=2+ ipc-shm write ./big <long'
	[[ $stderr == *"cut short"*"written in part"* ]]
	status 65 strace -f -o /dev/null -P ./big -e inject=pread64:retval=0:when=2 ipc-shm read ./big
	[[ $stderr == *"cut short"* ]]
	status 71 strace -f -o /dev/null -e inject=shmget:error=EINVAL:when=2 ipc-shm create -S 64 "sysv:$KEY" ||
		status 71 strace -f -o /dev/null -e inject=shmget:error=EINVAL ipc-shm create -S 64 "sysv:$KEY"
	[[ $stderr == *"kernel.shmmax"* ]]
	status 71 strace -f -o /dev/null -e inject=shmget:error=ENOSPC ipc-shm run -S 64 sysv:private -- true
	[[ $stderr == *"kernel.shmmni"* ]]
}

@test "any bytes can be a segment: hostile contents harm nobody" {
	head -c 8192 /dev/urandom >h
	status 0 ipc-shm get ./h 0
	status 0 ipc-shm get -t f32 ./h 4
	status 0 ipc-shm add -t f64 ./h 8 1
	status 0 ipc-shm read --string ./h
	printf '\033]0;x\a' >"/dev/shm/$N"
	mv "/dev/shm/$N" "/dev/shm/$N."$'\033x'
	status 0 ipc-shm ls
	rm -f "/dev/shm/$N."*
	[[ $output != *$'\033'* ]]
}
