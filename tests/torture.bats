#!/usr/bin/env bats
# A short run of what `make torture` does at length, for the applets whose own files have none.

load helper

@test "locks, slots, barriers, events, queues and counters while participants are killed" {
	need python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "a sanitizer's start is too slow for a fair number of kills"
	status 0 timeout 100 "$ROOT/tests/torture/state.py" 16
	for what in lock sem barrier event mq shm; do
		[[ $output == *"$what"*": "*" rounds, "*" 0 losses"* ]]
	done
}

@test "FIFOs, socket servers and descriptor stores while participants are killed" {
	need python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "a sanitizer's start is too slow for a fair number of kills"
	status 0 timeout 100 "$ROOT/tests/torture/serve.py" 16
	for what in fifo "sock serve --echo" "sock serve -- cat" fdstore; do
		[[ $output == *"$what: "*" rounds, "*" 0 losses"* ]]
	done
}

@test "rings, events and barriers whose files are changed while verbs run" {
	need python3
	status 0 timeout 100 "$ROOT/tests/torture/mutate.py" 8
	[[ $output == *" bad 0"* ]]
}

@test "verbs killed at single instructions leave events, words, locks, slots and spools that work" {
	need gcc python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "single steps through a sanitizer take too long"
	status 0 timeout 300 "$ROOT/tests/torture/step.py" 6 || { echo "$output"; false; }
	[[ $(grep -c ' kills, .* bad 0$' <<<"$output") == 11 ]]
}
