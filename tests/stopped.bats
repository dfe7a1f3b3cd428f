#!/usr/bin/env bats
# A holder that is stopped, as by ^Z, keeps what it holds: messages, stat and ipc-ls say so.
load helper

local_setup() {
	program "a process that is stopped"
	mkfifo up
}

# stopped_holder CMD...: run CMD -- a sleeper in the background and stop it. Its pid is in $PID.
stopped_holder() {
	bg "$@" -- sh -c 'echo >up; exec sleep 600'
	PID=$!
	read -r _ <up
	kill -STOP $PID
	until_true eval '[[ $(state_of $PID) == T ]]'
}

teardown_holder() {
	kill -CONT $PID
	kill $PID
	wait $PID || :
}

@test "ipc-lock: the conflict and stat say that the holder is stopped" {
	need python3
	stopped_holder ipc-lock run ./f
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr == *", stopped)"* ]] || { echo "$stderr"; false; }
	[[ $(ipc-lock stat ./f) == *"sleep 600 (stopped)"* ]]
	ipc-lock stat -J ./f | python3 -c 'import json, sys; assert json.load(sys.stdin)["holders"][0]["stopped"] is True'
	kill -CONT $PID
	until_true eval '[[ $(state_of $PID) != T ]]'
	status 75 ipc-lock run -n ./f -- true
	[[ $stderr != *stopped* ]]
	teardown_holder
	stopped_holder ipc-lock run --family dotlock ./d
	status 75 ipc-lock run -n --family dotlock ./d -- true
	[[ $stderr == *", stopped)"* ]]
	[[ $(ipc-lock stat ./d) == *"(stopped)"* ]]
	teardown_holder
}

@test "ipc-sem: the conflict and stat say that the holder is stopped" {
	need python3
	ipc-sem create ./s
	stopped_holder ipc-sem run ./s
	status 75 ipc-sem run -n ./s -- true
	[[ $stderr == *", stopped)"* ]] || { echo "$stderr"; false; }
	[[ $(ipc-sem stat ./s) == *"(stopped)"* ]]
	ipc-sem stat -J ./s | python3 -c 'import json, sys; assert json.load(sys.stdin)["holders"][0]["stopped"] is True'
	teardown_holder
}

@test "ipc-ls: a holder that is stopped is shown as that; a title of setproctitle is shown whole" {
	need python3
	stopped_holder ipc-lock run lock
	[[ $(ipc-ls -o holders --noheadings --pid $PID) == *"$PID ipc-lock stopped"* ]] || { ipc-ls --pid $PID; false; }
	teardown_holder
	bg python3 -c '
import ctypes, os, signal
f = open("held", "w")
import fcntl
fcntl.flock(f, fcntl.LOCK_EX)
# The title over the arguments, as setproctitle(3) writes it.
stat = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
start, end = int(stat[45]), int(stat[46])
title = b"postgres: walwriter main"
ctypes.memmove(start, title + b"\0" * (end - start - len(title)), end - start)
open("up", "w").write("\n")
signal.pause()'
	PID=$!
	read -r _ <up
	[[ $(ipc-ls -o holders --noheadings --pid $PID) == *"$PID postgres: walwriter main"* ]] || { ipc-ls --pid $PID; false; }
	teardown_holder
}
