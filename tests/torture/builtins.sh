#!/bin/bash
# tests/torture/builtins.sh BUILD [N]: N calls of builtins in one shell; descriptors, memory, signal handlers and the
# mask must be as before.
set -eu
build=${1:?usage: builtins.sh BUILD [N]}
n=${2:-1000000}
IPC_DIR=$(mktemp -d)
export IPC_DIR
trap 'rm -rf "$IPC_DIR"; ipc-sem rm -q "posix:/ipcbox-torture-$$" 2>/dev/null || :; ipc-mq rm "/ipcbox-torture-$$" 2>/dev/null || :' EXIT
eval "$("$build/ipcbox" --bash)"
s=posix:/ipcbox-torture-$$ q=/ipcbox-torture-$$
ipc-ring create -S 64K ring
ipc-sem create --value 0 "$s"
ipc-mq create "$q"

round() {
	ipc-lock acquire lock
	ipc-lock release lock
	ipc-lock acquire -v fd other
	ipc-lock release "$fd"
	ipc-sem post "$s"
	ipc-sem wait "$s"
	ipc-mq send "$q" message
	ipc-mq recv -v message "$q"
	ipc-ring put ring one two
	ipc-ring get -a records ring
	ipc-event set event
	ipc-event stat -v state -o seq event
	ipc-event wait -q -n never || :
	ipc-event stat missing 2>/dev/null || :
	ipc-ring get --no-such-option 2>/dev/null || :
	[[ $message == message && ${records[*]} == "one two" ]]
}
state() { # into $state: descriptors, handlers; $memory: kB
	local k v f
	state=
	for f in /proc/$$/fd/*; do state+="${f##*/} "; done
	memory=0
	while read -r k v _; do
		case $k in
		Sig[BIC]* | Threads:) state+="$k$v " ;;
		VmData:) memory=$v ;;
		esac
	done </proc/$$/status
}
for ((i = 0; i < 1000; i++)); do round; done
state
before=$state at=$memory
for ((i = 0; i < n / 15; i++)); do round; done
state
[[ $state == "$before" ]] || { printf 'before %s\nafter  %s\n' "$before" "$state"; exit 1; }
((memory - at <= 400)) || { echo "memory: $at kB, then $memory kB"; exit 1; }
echo "builtins: $n calls, memory $at -> $memory kB"
