#!/usr/bin/env bats
# The manual pages say what the records say, no less and no more; README's table too.
load helper

local_setup() {
	ipcbox --spec >"$T/spec"
	ipcbox --list >"$T/list"
	: >"$T/bad"
}

pages() { # the pages of applets that there are
	local a
	while read -r a; do
		[[ ! -f $ROOT/man/$a.1 ]] || echo "$a"
	done <list
}

# Lines ".It Fl x , Fl -long Ar META" that applet $1's record asks for.
items() {
	awk -F'\t' -v a="$1" '$1 == "option" && $2 == a {
		s = ".It"
		if ($4 != "-") s = s " Fl " $4
		if ($4 != "-" && $5 != "-") s = s " ,"
		if ($5 != "-") s = s " Fl -" $5
		if ($6 != "-") s = s " Ar " $6
		print s
	}' spec | sort -u
}

@test "every option of every verb has its item in the page" {
	for a in $(pages); do
		items "$a" >want
		grep '^\.It Fl ' "$ROOT/man/$a.1" | sed 's/[[:space:]]*$//' | sort -u >have
		comm -23 want have | sed "s/^/man\/$a.1 lacks: /" >>bad
	done
	cat bad
	[[ ! -s bad ]]
}

@test "every option item of a page stands in the record" {
	for a in $(pages); do
		items "$a" >want
		grep '^\.It Fl ' "$ROOT/man/$a.1" | sed 's/[[:space:]]*$//' | sort -u >have
		comm -13 want have | sed "s/^/man\/$a.1, not in the record: /" >>bad
	done
	cat bad
	[[ ! -s bad ]]
}

@test "no page speaks of an option that does not exist" {
	for a in $(pages); do
		awk -F'\t' -v a="$a" '$1 == "option" && $2 == a {
			if ($4 != "-") print $4
			if ($5 != "-") print "-" $5
		}' spec | sort -u >known
		echo - >>known # the -- before CMD
		# Fl inside any macro line; quoted text and other programs' options (Li, Ql) are left alone.
		grep '^\.' "$ROOT/man/$a.1" | grep -v '^\.\\"' | grep -oE '(^\.| )Fl [^ ]+' |
			sed 's/.*Fl //' | grep -vE '^[A-Z][a-z]$' | sort -u | grep -vxFf known |
			sed "s/^/man\/$a.1: unknown option Fl /" >>bad || :
	done
	cat bad
	[[ ! -s bad ]]
}

# words: the text without blanks between its words, so that only the words are compared.
words() {
	tr -s ' \t\n' '\n' | tr -d '\n'
}

@test "SYNOPSIS equals the usage lines of --help" {
	need mandoc
	for a in $(pages); do
		mandoc -T ascii -O width=240 "$ROOT/man/$a.1" | sed 's/.\x08//g' |
			sed -n '/^SYNOPSIS/,/^[A-Z]/p' | sed '1d; /^[A-Z]/d; s/^ *//' >synopsis
		awk -F'\t' -v a="$a" '$2 != a { next }
			$1 == "verb" { hidden = $4 ~ /hidden/ }
			$1 == "usage" && !hidden { print $4 }' spec >usage
		[[ $(words <synopsis) == "$(words <usage)" ]] || {
			echo "man/$a.1:"
			diff -u usage synopsis || :
			echo "$a" >>bad
		}
	done
	[[ ! -s bad ]]
}

@test "every page has its sections, its name and its summary line" {
	for a in ipcbox $(pages); do
		for s in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' ENVIRONMENT EXAMPLES 'SEE ALSO'; do
			grep -qx "\.Sh $s" "$ROOT/man/$a.1" || { echo "man/$a.1 has no $s"; false; }
		done
		grep -qx "\.Nm $a" "$ROOT/man/$a.1"
		grep -qx "\.Dt ${a^^} 1" "$ROOT/man/$a.1"
	done
}

@test "every verb is named in its page" {
	while IFS=$'\t' read -r a v; do
		[[ -f $ROOT/man/$a.1 ]] || continue
		grep -qE "^\.(It|Ss|Nm|Cm).*\b$v\b" "$ROOT/man/$a.1" || { echo "man/$a.1: $v"; false; }
	done < <(awk -F'\t' '$1 == "verb" && $3 != "-" && $4 !~ /hidden/ { print $2 "\t" $3 }' spec)
}

@test "mandoc finds nothing to warn about" {
	need mandoc
	run mandoc -T lint -W warning "$ROOT"/man/*.[17]
	output=$(grep -vE 'missing date|unknown system' <<<"$output") || :
	echo "$output"
	[[ -z $output ]]
}

@test "ipcbox(1) lists every applet with its summary, and no other" {
	sed -n 's/^\.It Xr \(ipc-[a-z]*\) 1$/\1/p' "$ROOT/man/ipcbox.1" | diff -u list -
	awk -F'\t' '$1 == "applet" { print $5 }' spec >summaries
	awk '/^\.It Xr ipc-[a-z]* 1$/ { getline; print }' "$ROOT/man/ipcbox.1" | diff -u summaries -
}

@test "ipcbox(1) explains every borrowed option as the record has it" {
	awk -v RS='[[]STD_' '/\.help = / {
		s = ".It"
		l = match($0, /\.letter = \047.\047/)
		if (l) s = s " Fl " substr($0, RSTART + 11, 1) " ,"
		match($0, /\.name = "[^"]*"/)
		s = s " Fl -" substr($0, RSTART + 9, RLENGTH - 10)
		if (match($0, /\.metavar = "[^"]*"/)) s = s " Ar " substr($0, RSTART + 12, RLENGTH - 13)
		print s
	}' "$ROOT/lib/std.c" | sort >want
	[[ $(wc -l <want) -ge 17 ]]
	comm -23 want <(sort "$ROOT/man/ipcbox.1") >bad
	cat bad
	[[ ! -s bad ]]
}

@test "ipcbox(1) and README name every status" {
	for n in 64 65 66 69 70 71 73 74 75 76 77 124 125 126 127; do
		grep -qx "\.It $n" "$ROOT/man/ipcbox.1" || { echo "ipcbox.1: $n"; false; }
		grep -qE "^\|.*\b$n\b.*\|" "$ROOT/README.md" || { echo "README.md: $n"; false; }
	done
}

@test "README's table of applets equals the record" {
	awk -F'\t' '$1 == "applet" { print "| `" $2 "` | " $5 " |" }' spec >want
	grep '^| `ipc-' "$ROOT/README.md" | diff -u want -
}

@test "man finds each page by its name" {
	for f in "$ROOT"/man/*.[17]; do
		n=${f##*/}
		grep -qx "\.Dt $(tr a-z A-Z <<<"${n%.*}") ${n##*.}" "$f" || { echo "$n: wrong .Dt"; false; }
	done
}
