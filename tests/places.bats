#!/usr/bin/env bats
# Where the objects of bare words live (ipcbox(1), IPC_DIR).

load helper

# The user's directory is /tmp/ipc-$UID: each test has a /tmp of its own, in namespaces.
local_setup() {
	need userns
	mkdir -p own/home own/run
	chmod 755 . own
	cp "$IPCBOX_BUILD/ipcbox" own/box
}

# own CODE: run it by sh with ./own as /tmp, its home as HOME and without IPC_DIR; `box APPLET ...` is ours.
own() {
	# shellcheck disable=SC2016
	env -u IPC_DIR HOME=/tmp/home unshare -Urm sh -c 'mount --bind own /tmp || exit 99
		box() { /tmp/box "$@"; }
		'"$1"
}

@test "one directory whatever started us; spools lie in the home directory" {
	status 75 own 'export XDG_RUNTIME_DIR=/tmp/run
		box lock run b -- env -u XDG_RUNTIME_DIR /tmp/box lock run -n b -- echo both'
	[[ -z $output ]]
	[[ -e own/ipc-0/b.lock && ! -e own/run/ipc && $(stat -c %a own/ipc-0) == 700 ]]
	status 0 own 'box spool create s && echo job | box spool put s'
	[[ -d own/home/.local/state/ipc/s.spool && $(stat -c %a own/home/.local/state/ipc) == 700 ]]
	status 0 own 'XDG_STATE_HOME=/tmp/state box spool create t'
	[[ -d own/state/ipc/t.spool ]]
	status 0 own 'box event set e; box ls -o name,kind; box --objects'
	[[ $output == *e*event* && $output == *s*spool* ]]
	IPC_DIR=$T/given status 0 ipc-spool create u
	[[ -d given/u.spool ]]
}

@test "an ordinary user without a home names a spool by its path" {
	status 64 own 'unset HOME; box spool create s'
	[[ $stderr == *"HOME is not set; name it by a path: ./s"* ]]
	status 0 own 'unset HOME; box spool create ./s; box event set e'
}

@test "nothing is made in another user's home, or in another's directory that the environment names" {
	need root
	chmod 755 .
	mkdir -p theirs/run
	chown -R 12345 theirs
	cp -a theirs own/
	HOME=$T/theirs status 77 env -u IPC_DIR ipc-spool create s
	[[ $stderr == *"$T/theirs/.local/state/ipc is not made"* ]]
	[[ ! -e theirs/.local ]]
	status 0 own 'XDG_RUNTIME_DIR=/tmp/theirs/run box lock run w -- true'
	[[ -z $(ls own/theirs/run) && -e own/ipc-0/w.lock ]]
}

@test "what version 0.1 made is found, with a warning" {
	mkdir -m 700 own/run/ipc
	: >own/run/ipc/old.lock
	IPC_DIR=$T/own/run/ipc ipc-event set e
	IPC_DIR=$T/own/run/ipc ipc-spool create s
	status 0 own 'export XDG_RUNTIME_DIR=/tmp/run; box lock run -v old -- true; box event wait -n e; box spool stat s'
	[[ $stderr == *"old: found as /tmp/run/ipc/old.lock; the next version looks in /tmp/ipc-0 only"* ]]
	[[ $stderr == *"e: found as"* && $stderr == *"s: found as"* && ! -e own/ipc-0/old.lock ]]
	status 0 own 'export XDG_RUNTIME_DIR=/tmp/run; box event set new; box ls -o name'
	[[ -e own/ipc-0/new.event && $output == *new* && $output == *old* ]]
	# One of that name in the directory of today comes first.
	status 0 own 'box lock run old -- true'
	status 0 own 'export XDG_RUNTIME_DIR=/tmp/run; box lock run old -- true'
	[[ -z $stderr ]]
}

@test "a directory that cannot be used is named" {
	IPC_DIR=$T/none/dir status 66 ipc-event set w
	[[ $stderr == *"w: open its directory $T/none/dir (IPC_DIR): No such file"* ]]
	IPC_DIR=$T/none/dir status 66 ipc-lock run w -- true
	[[ $stderr == *"$T/none/dir"* ]]
	: >file
	IPC_DIR=$T/file status 65 ipc-sem run w -- true || [[ $stderr == *"$T/file"* ]]
	[[ $stderr == *"$T/file"*"Not a directory"* ]]
	local long
	printf -v long '%0300d/' {1..20}
	IPC_DIR=/$long status 71 ipc-event set w || [[ $stderr == *"too long"* ]]
	[[ $stderr == *"too long"* ]]
}
