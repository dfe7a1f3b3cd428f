#!/usr/bin/env bats
# The records: is what `ipcbox --spec` says consistent with the tree and with itself?
load helper

local_setup() {
	ipcbox --spec >"$T/spec"
	ipcbox --list | sort >"$T/list"
}

# spec KIND: the lines of one kind, without the kind.
spec() {
	sed -n "s/^$1	//p" "$T/spec"
}

@test "every applet of the table has a file, and every file stands in the table" {
	(
		cd "$ROOT/applets"
		for f in ipc-*; do echo "${f%.c}"; done
	) | sort -u >files
	diff -u files list
	spec applet | cut -f1 | sort | diff -u list -
}

@test "every applet has a link in bin, a manual page and a test file" {
	while read -r a; do
		[[ -x $BIN/$a ]]
		[[ -f $ROOT/man/$a.1 ]] || { echo "man/$a.1 is missing"; false; }
		[[ -f $ROOT/tests/$a.bats ]] || { echo "tests/$a.bats is missing"; false; }
	done <list
}

@test "the dump is well formed: known lines, right number of fields, none empty" {
	status 0 awk -F'\t' '
		BEGIN { n["applet"] = 5; n["verb"] = 5; n["usage"] = 4; n["option"] = 9; n["operand"] = 9 }
		!($1 in n) || NF != n[$1] { print "line " NR ": " $0; bad = 1 }
		{ for (i = 1; i <= NF; i++) if ($i == "") { print "empty field " i ": " $0; bad = 1 } }
		END { exit bad }' spec
}

@test "names are lower-case words, letters are single" {
	status 0 awk -F'\t' '
		$1 == "verb" && $3 !~ /^(-|[a-z][a-z0-9-]*)$/ { print; bad = 1 }
		$1 == "option" && $4 !~ /^[A-Za-z0-9-]$/ { print; bad = 1 }
		$1 == "option" && $5 !~ /^(-|[a-z][a-z0-9-]+)$/ { print; bad = 1 }
		$1 == "option" && $4 == "-" && $5 == "-" { print; bad = 1 }
		END { exit bad }' spec
}

@test "no verb has a letter, a long name, or a name twice" {
	status 0 awk -F'\t' '
		$1 == "verb" && seen[$2, $3]++ { print "verb twice: " $0; bad = 1 }
		$1 == "option" && $4 != "-" && letter[$2, $3, $4]++ { print "letter twice: " $0; bad = 1 }
		$1 == "option" && $5 != "-" && name[$2, $3, $5]++ { print "name twice: " $0; bad = 1 }
		END { exit bad }' spec
}

# The flock(1) form is a contract of its own: its letters are flock's.
@test "a standard letter has its one meaning everywhere, and a standard name its letter" {
	awk -v RS='[[]STD_' '/\.help = / {
		l = match($0, /\.letter = \047.\047/) ? substr($0, RSTART + 11, 1) : "-"
		match($0, /\.name = "[^"]*"/)
		print l "\t" substr($0, RSTART + 9, RLENGTH - 10)
	}' "$ROOT/lib/std.c" >std
	[[ $(wc -l <std) -ge 17 ]]
	status 0 awk -F'\t' '
		NR == FNR { name[$1] = $2; letter[$2] = $1; next }
		$1 == "applet" && $4 != "-" { alias[$2] = 1 }
		$1 == "verb" { free[$2, $3] = alias[$2] && $4 ~ /raw/ }
		$1 != "option" || free[$2, $3] { next }
		$4 != "-" && $4 in name && name[$4] != $5 {
			print $2 " " $3 ": -" $4 " means --" name[$4] ", not --" $5; bad = 1
		}
		$5 != "-" && $5 in letter && letter[$5] != $4 {
			print $2 " " $3 ": --" $5 " is -" letter[$5] ", not -" $4; bad = 1
		}
		END { exit bad }' std spec
}

@test "a verb that runs in-process starts no process, and the other way round" {
	status 1 awk -F'\t' '$1 == "verb" && $4 ~ /inproc/ && $4 ~ /spawns/ { print; n++ } END { exit n == 0 }' spec
	status 1 awk -F'\t' '$1 == "verb" && $4 ~ /inproc/ && $4 ~ /needs-command/ { print; n++ } END { exit n == 0 }' spec
}

@test "options that take a value name it, and choices are listed" {
	status 0 awk -F'\t' '
		$1 == "option" && $7 != "flag" && $6 == "-" { print "no metavar: " $0; bad = 1 }
		$1 == "option" && $7 == "flag" && $6 != "-" { print "flag with metavar: " $0; bad = 1 }
		$1 == "option" && $7 == "choice" && $8 == "-" { print "no choices: " $0; bad = 1 }
		$1 == "operand" && $5 == "choice" && $8 == "-" { print "no choices: " $0; bad = 1 }
		END { exit bad }' spec
}

@test "summaries and help: a small first letter, no full stop" {
	status 0 awk -F'\t' '
		function bad_text(s) { return s ~ /\.$/ || s ~ /^[A-Z][a-z]/ || s == "-" }
		$1 == "applet" && bad_text($5) { print; bad = 1 }
		$1 == "verb" && bad_text($5) { print; bad = 1 }
		$1 == "option" && bad_text($9) { print; bad = 1 }
		END { exit bad }' spec
}

@test "no verb has more options of its own than fit, nor two operands of any number" {
	max=$(sed -n 's/^#define OPTS_MAX \([0-9]*\)$/\1/p' "$ROOT/lib/applet.h")
	[[ $max -gt 0 ]]
	status 0 awk -F'\t' -v max="$max" '
		$1 == "option" && ++n[$2, $3] > max { print "too many: " $0; bad = 1 }
		$1 == "operand" && $7 == 0 && many[$2, $3]++ { print "two of any number: " $0; bad = 1 }
		END { exit bad }' spec
}

# Sockets are one kind of object, whichever applet made them.
@test "objects are kept under one kind per applet" {
	status 1 sh -c "sed -n 's/^applet	//p' spec | cut -f2 | grep -vx -e - -e sock | sort | uniq -d | grep ."
}

# The rooms: what must not be said in them.
@test "applets include no other applet and lib knows none" {
	status 1 grep -nE '\bipc_[a-z]+\b' "$ROOT"/lib/*.[ch] --exclude='host_*'
	[[ $(cat "$ROOT/main.c" "$ROOT"/lib/[!h]*.c "$ROOT/Makefile" | grep -cE '"ipc-[a-z]+"') == 0 ]]
}

@test "no source file is longer than 400 lines, the Makefile than 200" {
	mapfile -t sources < <(find "$ROOT/applets" "$ROOT/lib" -name '*.[ch]')
	status 0 awk 'FNR > 400 && FNR != n[FILENAME]++ { long[FILENAME] = FNR }
		END { for (f in long) print f; exit length(long) > 0 }' "$ROOT"/main.c "${sources[@]}"
	[[ $(wc -l <"$ROOT/Makefile") -le 200 ]]
}

@test "a verb that needs a command also takes one" {
	status 1 awk -F'\t' '$1 == "verb" && $4 ~ /needs-command/ && $4 !~ /(^|,)command/ { print; n++ }
		END { exit n == 0 }' spec
}
