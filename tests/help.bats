#!/usr/bin/env bats
# --help of the toolbox, of every applet and of every verb: short enough to be read, right, and the same
# by every way of asking.
load helper

APPLET_LINES=30 VERB_LINES=40

verbs() { # lines "APPLET VERB"; VERB is - where the applet has no verb word
	ipcbox --spec | awk -F'\t' '$1 == "verb" { print $2, $3 }'
}

# short FILE LINES: not longer, and no line wider than 80 columns.
short() {
	[[ -s $1 ]] || { echo "$1 is empty"; return 1; }
	[[ $(wc -l <"$1") -le $2 ]] || { echo "longer than $2 lines:"; cat "$1"; return 1; }
	! LC_ALL=C.UTF-8 grep -nE '^.{81}' "$1"
}

@test "ipcbox --help fits a screen and names every applet" {
	ipcbox --help >help
	short help 45
	ipcbox --list | while read -r a; do grep -q "^  $a  *[^ ]" help; done
}

@test "each applet's help fits a screen and 80 columns, and has an example" {
	for a in $(ipcbox --list); do
		status 0 "$a" --help
		[[ -z $stderr ]]
		cp .out "$a.help"
		# Each verb takes two lines at least.
		n=$((8 + 2 * $(ipcbox --spec | awk -F'\t' -v a="$a" '$1 == "verb" && $2 == a && $4 !~ /hidden/' | wc -l)))
		short "$a.help" $((n > APPLET_LINES ? n : APPLET_LINES))
		grep -q '^example: ' "$a.help" || { echo "$a: no example"; false; }
	done
}

@test "an applet's help lists each of its verbs with its summary and usage" {
	ipcbox --spec | awk -F'\t' '$1 == "verb" && $4 !~ /hidden/ && $3 != "-"' |
		while IFS=$'\t' read -r _ a v _ summary; do
			ipcbox "$a" --help >help
			grep -qE "^  $v +" help || { echo "$a: $v is not listed"; exit 1; }
			tr -s ' \n' ' ' <help | grep -qF -- "$summary" || { echo "$a $v: summary is missing"; exit 1; }
		done
	ipcbox --spec | awk -F'\t' '$1 == "verb" && $4 !~ /hidden/ { seen[$2, $3] = 1 }
		$1 == "usage" && seen[$2, $3] && $3 != "-" { print $2 "\t" $4 }' |
		while IFS=$'\t' read -r a line; do
			ipcbox "$a" --help | tr -s ' \n' ' ' | grep -qF -- "$line" || { echo "$a: no line: $line"; exit 1; }
		done
}

@test "each verb's help fits a screen and 80 columns and shows every option" {
	while read -r a v; do
		[[ $v != - ]] || v=
		# shellcheck disable=SC2086
		status 0 "$a" $v --help
		[[ -z $stderr ]]
		cp .out help
		short help $VERB_LINES || { echo "in $a $v"; false; }
		ipcbox --spec | awk -F'\t' -v a="$a" -v v="${v:--}" \
			'$1 == "option" && $2 == a && $3 == v { print $4 "\t" $5 }' >options
		while IFS=$'\t' read -r letter name; do
			[[ $letter == - ]] || grep -qE "^ +-$letter\b" help || { echo "$a $v: -$letter"; false; }
			[[ $name == - ]] || grep -qE -- "--$name( |\$)" help || { echo "$a $v: --$name"; false; }
		done <options
	done < <(verbs)
}

@test "--help, -h, ipcbox APPLET VERB --help and ipcbox help APPLET VERB say the same" {
	while read -r a v; do
		[[ $v != - ]] || continue
		"$a" "$v" --help >1
		[[ $(ipcbox --spec | grep -cE "^option	$a	$v	h	help	") == 0 ]] || "$a" "$v" -h | diff 1 -
		ipcbox "$a" "$v" --help | diff 1 -
		ipcbox "${a#ipc-}" "$v" --help | diff 1 -
		ipcbox help "$a" "$v" | diff 1 -
		ipcbox help "${a#ipc-}" "$v" | diff 1 -
	done < <(verbs)
	for a in $(ipcbox --list); do
		"$a" --help >1
		"$a" -h | diff 1 -
		ipcbox help "$a" | diff 1 -
		ipcbox "$a" --help | diff 1 -
	done
}

@test "the examples that help shows begin with their applet and verb" {
	while read -r a v; do
		[[ $v != - ]] || v=
		# shellcheck disable=SC2086
		"$a" $v --help | sed -n 's/^example: //p' >example
		[[ ! -s example ]] || grep -qE "(^|[ |(])$a${v:+ $v}( |\$)|(^|[ |(])$a .* |flock" example ||
			{ echo "$a $v: $(cat example)"; false; }
	done < <(verbs)
}

@test "help to a full device is an error with its status" {
	local s=0
	ipcbox --help >/dev/full 2>err || s=$?
	[[ $s == 74 ]]
	grep -qx 'ipcbox: write stdout: No space left on device' err
}

@test "a mistake in the command line names the way to help" {
	for a in $(ipcbox --list); do
		status 64 "$a" --no-such-option
		[[ $stderr == *--help* ]] || { echo "$stderr"; false; }
	done
}
