#!/usr/bin/env bats
# Where pidfd_open(2) is refused, as by old container profiles, processes are named by their directories in /proc.
# Everything that watches, signals or waits for a process does what it does elsewhere.
load helper

local_setup() {
	program "what a process is refused"
	need refuse
}

# each TEXT: run TEXT for each way of refusing; $R is the prefix of a command.
each() {
	local err R
	for err in ENOSYS EPERM; do
		R=(refuse pidfd_open "$err" --)
		"$1"
	done
}

childless() {
	[[ -z $(kids $PID) ]]
}

connections() {
	rm -f s
	ready "${R[@]}" ipc-sock serve -v --ready-fd 8 ./s -- sh -c 'read -r x; echo "got $x"; exit 3' 2>log
	local i
	for i in 1 2 3; do
		[[ $(echo $i | ipc-sock connect ./s) == "got $i" ]]
	done
	until_true childless
	[[ $(grep -c 'pidfd_open(2) is refused' log) == 1 ]]
	kill $PID
	wait $PID || [[ $? == 143 || $? == 0 ]]
}

@test "ipc-sock serve -- CMD sees each CMD end" {
	each connections
}

doors() {
	rm -f d
	ready "${R[@]}" ipc-door serve --ready-fd 8 ./d -- sh -c 'exit "$1"' sh
	status 5 ipc-door call ./d 5
	status 0 ipc-door call ./d 0
	kill $PID
	wait $PID || [[ $? == 143 || $? == 0 ]]
}

@test "ipc-door serve answers with the status of each handler" {
	each doors
}

spools() {
	rm -rf q log
	ipc-spool create ./q
	for i in 1 2 3 4; do echo $i | ipc-spool put ./q; done
	status 0 timeout 60 "${R[@]}" ipc-spool run -j 2 ./q -- sh -c 'echo $(cat) >>log'
	[[ $(sort log | xargs) == "1 2 3 4" ]]
	# The minder ends what a killed runner has left.
	echo job | ipc-spool put ./q
	bg "${R[@]}" ipc-spool run ./q -- sh -c 'sleep 60 & echo $! >child.new; mv child.new child; wait'
	local pid=$!
	until_true test -s child
	kill -KILL $pid
	wait $pid || :
	until_true gone "$(<child)"
	rm child
}

gone() {
	! kill -0 "$1" 2>/dev/null || [[ $(sed 's/.*) //; s/ .*//' "/proc/$1/stat") == Z ]]
}

@test "ipc-spool run sees jobs end, and its minder ends what a killed runner left" {
	each spools
}

slots() {
	rm -f s
	ipc-sem create ./s
	bg sh -c 'read -r x <go'
	local owner=$!
	status 0 "${R[@]}" ipc-sem wait --owner $owner ./s
	status 75 ipc-sem wait -n --owner $$ ./s
	# Given back by post, then by the owner's end, for which somebody waits.
	status 0 "${R[@]}" ipc-sem post --owner $owner ./s
	status 0 "${R[@]}" ipc-sem wait --owner $owner ./s
	bg "${R[@]}" ipc-sem run -w 60 ./s -- touch ran
	local waiter=$!
	echo >go
	wait $waiter
	[[ -e ran ]]
	rm ran
}

@test "ipc-sem wait --owner lasts as long as its owner, and is waited for" {
	mkfifo go
	each slots
}

signals() {
	bg sleep 600
	local p=$!
	status 0 "${R[@]}" ipc-signal ls $p
	status 0 "${R[@]}" ipc-signal stop -v $p
	[[ $output == "$p ended"* && $stderr == *"pidfd_open(2) is refused"* ]]
	bg sleep 600
	p=$!
	status 0 "${R[@]}" ipc-signal send TERM $p
	wait $p || [[ $? == 143 ]]
	status 69 "${R[@]}" ipc-signal send TERM $p
	# Stopped processes do not end of TERM: the kill comes after the grace.
	bg sh -c 'trap "" TERM; echo >up; while :; do sleep 600; done'
	p=$!
	read -r _ <up
	status 137 "${R[@]}" ipc-signal stop --tree --grace 0.1 $p
}

@test "ipc-signal ls, send and stop find, signal and wait for processes" {
	mkfifo up
	each signals
}

threads() {
	# A number of a thread is no process; one whose first thread has ended still lives.
	bg python3 -c '
import ctypes, os, threading
def run():
    open("tid", "w").write("%d\n" % threading.get_native_id())
    os.rename("tid", "tid.ready")
    open("go").read()
    os._exit(0)
threading.Thread(target=run).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)'
	local p=$!
	until_true test -s tid.ready
	until_true grep -q ' Z ' "/proc/$p/stat"
	status 69 "${R[@]}" ipc-signal send 0 "$(<tid.ready)"
	status 0 "${R[@]}" ipc-signal send 0 $p
	status 124 "${R[@]}" ipc-signal stop --signal 0 --grace 60 -w 0.1 $p
	echo >go
	wait $p
	rm tid.ready
}

@test "a thread is no process, and a process whose first thread has ended lives" {
	need python3
	mkfifo go
	each threads
}

measured() {
	status 0 timeout 60 "${R[@]}" ipc-bench -q --time 0.1 -t pipe -S 64
}

@test "ipc-bench measures" {
	each measured
}
