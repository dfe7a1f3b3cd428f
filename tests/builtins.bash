# tests/builtins.bash: for the tests of the applets as builtins of bash.
# shellcheck shell=bash

# with_builtins: skip where there are none; else the file "load" has the line that loads all, which are in $applets.
with_builtins() {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "bash itself is not built for the sanitizers"
	SO=$IPCBOX_BUILD/ipcbox.so
	[[ -e $SO ]] || skip "ipcbox.so was not built (bash-builtins)"
	mapfile -t applets < <(ipcbox --list)
	printf 'enable -f %q' "$SO" >load
	printf ' %q' "${applets[@]}" >>load
	echo >>load
	unset IPCBOX
}

# shell TEXT [OPTION...]: run TEXT in a bash that has loaded all applets. No program of ours is on its PATH.
shell() {
	local text=$1 script
	script=$(mktemp script.XXXXXX)
	shift
	{
		cat load
		printf '%s\n' "$text"
	} >"$script"
	PATH=/usr/bin:/bin timeout 120 bash "$@" "$script"
}
