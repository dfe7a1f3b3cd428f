#!/usr/bin/env bats
# ipc-sock: addresses, who is behind them, and what is bound.
# shellcheck disable=SC2094,SC2216,SC2217 # bg reads stdin; names of our own
load helper
load sock

@test "--allow: in a user namespace a user that it does not know stays a stranger" {
	need userns unshare
	ready unshare -U "$BIN/ipc-sock" serve -v --ready-fd 8 --echo "@stranger$$" 2>err
	[[ -z $(echo in | ipc-sock connect "@stranger$$" 2>/dev/null) ]]
	until_true grep -q 'refused uid' err
	stop
	ready unshare -U "$BIN/ipc-sock" serve --allow uid:65534,gid:65534 --ready-fd 8 --echo "@stranger$$"
	[[ -z $(echo in | ipc-sock connect "@stranger$$" 2>/dev/null) ]]
	stop
	ready unshare -U "$BIN/ipc-sock" serve --allow any --ready-fd 8 --echo "@stranger$$"
	[[ $(echo in | ipc-sock connect "@stranger$$") == in ]]
	stop
}
