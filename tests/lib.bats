#!/usr/bin/env bats
# lib/ by itself: tests/unit/*.c, a group per test.
load helper

# group NAME: what failed is on stderr, which bats shows.
group() {
	timeout 120 "$IPCBOX_BUILD/unit" "$1" 2>&1
}

@test "num: integers, sizes, durations, modes, signals, users, and their overflow" {
	group num
}

@test "frame: every framing, limits to the byte, short reads, deadlines" {
	group frame
}

@test "object: every form of name, wrong forms, directories that are not trusted" {
	group object
}

@test "fd: limits, what does not fit at once, new files, progress, and copies" {
	group fd
}

@test "wait: deadlines, children that do not end in time, signals that are passed on" {
	group wait
}

@test "addr: every form of address, both ways, what is none, and paths that are too long" {
	group addr
}

@test "task: who is who in /proc, who is let in, and how a command is found and started" {
	refusable "descriptors of processes are what it looks at" pidfd_open
	group task
}

@test "blocked: what a thread sleeps in, also by ipc(2) and socketcall(2); another word size" {
	group blocked
}

@test "object: a user's default directory made by somebody else is refused" {
	need root
	unset IPC_DIR
	export XDG_STATE_HOME=$T/state
	mkdir -p state/ipc
	chmod 755 . state
	chown 12345 state/ipc
	status 77 ipc-spool create x
	[[ $stderr == *"belongs to user 12345"* ]]
	status 0 ipcbox --objects
}

@test "out: buffers, JSON of any bytes, tables that no name can break" {
	group out
}

@test "call: undo last first, messages, deadlines, pidfile" {
	group call
}

@test "args: options, operands, commands, names" {
	group args
}

@test "shared: the lock of mapped files is declared void only while it names its dead holder" {
	group shared
}

@test "without /proc new objects are made all the same, and nothing is left beside them" {
	program "the shell has its own mount namespace"
	need unshare
	unshare -rm mount -t tmpfs none /proc 2>/dev/null || skip "no mount namespace of our own"
	mkdir d
	# In memory, where no file can be of an earlier boot.
	status 0 unshare -rm sh -c 'mount -t tmpfs none /proc && mount -t tmpfs none d && ipc-ring create -S 4K ./d/r &&
		ipc-event set ./d/e && ipc-sem create ./d/s && ipc-ring put ./d/r x && ls -A d && ipc-ring get ./d/r'
	[[ $output == $'e\nr\ns\nx' ]]
}

@test "each mutant's text is in the sources once, and its tests are there" {
	need python3
	status 0 "$ROOT/tests/mutants/run" "$IPCBOX_BUILD" -c
	[[ $output == "mutants: "*", 0 stale" ]]
}
