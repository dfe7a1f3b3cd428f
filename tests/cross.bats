#!/usr/bin/env bats
# tests/cross.bats: what `make cross` has built, next to this machine's programs: 32 bit and 64 bit share their
# objects, and under an emulator (qemu-user) each verb works, or fails with a message and a status of ours.

load helper

# need_built MACHINE: its programs are in $OTHER.
need_built() {
	OTHER=$IPCBOX_BUILD-$1/bin
	[[ -x $OTHER/ipcbox ]] || skip "not built for $1: make cross"
}

# need_32: the programs of 32 bits, in $OTHER, run here.
need_32() {
	need_built i386
	"$OTHER/ipcbox" --list >/dev/null 2>&1 || skip "no 32-bit program runs here"
}

need_qemu() {
	need qemu-aarch64
	need_built arm64
}

emulated() {
	local name=$1
	shift
	qemu-aarch64 "$OTHER/$name" "$@"
}

@test "32 and 64 bit: a ring made by one is read and written by both" {
	need_32
	"$OTHER/ipc-ring" create -S 64K r
	ipc-ring put r one
	[[ $("$OTHER/ipc-ring" get -c 1 r) == one ]]
	bg "$BIN/ipc-ring" get -c 1 r >got
	until_true blocked $!
	"$OTHER/ipc-ring" put r two
	wait $!
	[[ $(<got) == two ]]
}

@test "32 and 64 bit: an event wakes the other, a barrier gathers both" {
	need_32
	bg "$OTHER/ipc-event" wait e
	until_true blocked $!
	ipc-event set e
	wait $!
	bg "$OTHER/ipc-barrier" wait -c 2 b
	ipc-barrier wait -c 2 b
	wait $!
}

# one_dies DEAD LIVE: programs of DEAD and LIVE wait at a barrier; DEAD's is killed, LIVE's ends with 76.
one_dies() {
	local dead live
	come() {
		ipc-barrier stat b | grep -qx "arrived $1"
	}
	bg "$1/ipc-barrier" wait -c 3 b
	dead=$!
	until_true come 1
	bg "$2/ipc-barrier" wait -w 20 -c 3 b
	live=$!
	until_true come 2
	kill -KILL "$dead"
	local got=0
	wait "$live" || got=$?
	[[ $got == 76 ]]
	ipc-barrier rm b
}

@test "32 and 64 bit: a party that is killed at a barrier is noticed by the other" {
	need_32
	one_dies "$OTHER" "$BIN"
	one_dies "$BIN" "$OTHER"
}

@test "32 and 64 bit: one holds a slot or a lock, the other is told so" {
	need_32
	"$OTHER/ipc-sem" create --value 1 s
	status 75 ipc-sem run s -- "$OTHER/ipc-sem" run -n s -- true
	status 75 "$OTHER/ipc-sem" run s -- "$BIN/ipc-sem" run -n s -- true
	status 75 ipc-lock run l -- "$OTHER/ipc-lock" run -n l -- true
	status 75 "$OTHER/ipc-lock" run l -- "$BIN/ipc-lock" run -n l -- true
}

@test "32 bit: a file of 3 GiB is locked, and what does not fit into memory is 71" {
	need_32
	truncate -s 3G f
	[[ $("$OTHER/ipc-lock" run f -- echo locked) == locked ]]
	status 71 "$OTHER/ipc-ring" create -S 5G big
	[[ $stderr == "ipc-ring create: big: does not fit into the address space of a 32-bit program" ]]
	[[ ! -e $IPC_DIR/big.ring ]]
	status 71 "$OTHER/ipc-mq" create --depth 100000 -S 100000 sysv:0x1234567
	[[ -n $stderr ]]
}

@test "32 bit: a semaphore of glibc is used by both, and is refused by 64 bit" {
	need_32
	local n=/ipcbox-cross-$$-$BATS_TEST_NUMBER p
	p=posix:$n
	cat >s.c <<-'EOF'
		#include <fcntl.h>
		#include <semaphore.h>
		#include <stdlib.h>
		int main(int argc, char **argv)
		{
			sem_t *s = sem_open(argv[1], 0);
			int n = s == SEM_FAILED ? exit(1), 0 : atoi(argv[2]);
			for (; n > 0; n--)
				sem_post(s);
			for (; n < 0; n++)
				sem_wait(s);
			return 0;
		}
	EOF
	gcc -m32 -o s s.c -pthread 2>/dev/null || skip "gcc -m32 does not link here"
	"$OTHER/ipc-sem" create --value 3 "$p"
	./s "$n" -1
	[[ $("$OTHER/ipc-sem" get "$p") == 2 ]]
	status 65 ipc-sem get "$p"
	bg ./s "$n" -3
	local c=$!
	until_true blocked "$c"
	"$OTHER/ipc-sem" post "$p"
	wait "$c"
	bg "$OTHER/ipc-sem" wait "$p"
	local ours=$!
	until_true blocked "$ours"
	./s "$n" 2
	wait "$ours"
	[[ $("$OTHER/ipc-sem" get "$p") == 1 ]]
	"$OTHER/ipc-sem" rm "$p"
}

@test "qemu: verbs that need files and the kernel's objects alone work" {
	need_qemu
	emulated ipc-fifo create f
	[[ -p $IPC_DIR/f.fifo ]]
	echo job | emulated ipc-spool put sp >id
	[[ $(<id) == 0* ]]
	[[ $(ipc-spool run sp -- cat) == job ]]
	emulated ipcbox --list | grep -qx ipc-lock
	emulated ipc-fifo rm f
	[[ ! -e $IPC_DIR/f.fifo ]]
}

@test "qemu: what it cannot do ends with a message and a status of ours" {
	need_qemu
	status 71 emulated ipc-ring create -S 64K r
	[[ $stderr == "ipc-ring create: "* ]]
	status 71 emulated ipc-event set e
	[[ $stderr == "ipc-event set: "* ]]
	status 125 emulated ipc-lock run l -- true
	[[ $stderr == "ipc-lock run: start true: "* ]]
}

@test "qemu: a command is started once, or its failure is told apart from the command's" {
	need_qemu
	emulated ipc-pipe run -- sh -c 'echo started >>n; echo hi' -- cat >out
	[[ $(<out) == hi && $(<n) == started ]]
	status 3 emulated ipc-pipe run -- echo -- sh -c 'exit 3'
	status 127 emulated ipc-pipe run -- /nonexistent -- true
	[[ $stderr == "ipc-pipe run: execute /nonexistent: No such file or directory" ]]
	: >plain
	status 126 emulated ipc-pipe run -- ./plain -- true
}

@test "qemu: a socket has its mode from birth" {
	need_qemu
	bg emulated ipc-sock serve -m 640 ./s -- cat
	until_true ipc-sock wait -n ./s
	[[ $(stat -c %a s) == 640 ]]
	[[ $(echo hi | ipc-sock connect ./s) == hi ]]
}
