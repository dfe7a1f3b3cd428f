#!/usr/bin/env bats
# The EXAMPLES of every manual page are run, in dash and in bash, each in an empty directory: their status
# is 0, and stdout is what their "# prints: TEXT" comments say, in order. A block without such a comment
# only has to succeed.
load helper

# run_block SHELL N: block N of the page in $T/blocks.
run_block() {
	local dir=$T/run.$1.$2 got=0
	mkdir "$dir" "$dir.ipc"
	chmod 700 "$dir.ipc"
	(
		cd "$dir" || exit 125
		IPC_DIR=$dir.ipc timeout 180 "$1" "$T/blocks/$2.sh" >"$T/got" 2>"$T/err" </dev/null 3>&- 4>&-
	) || got=$?
	[[ ! -s $T/blocks/$2.want ]] || diff -u --label promised --label printed "$T/blocks/$2.want" "$T/got" ||
		got=${got/#0/differs}
	[[ $got == 0 ]] && return
	echo "${page##*/}: block $2 (line $(cat "$T/blocks/$2.line")) in $1: $got"
	cat "$T/blocks/$2.sh"
	echo "stderr:"
	cat "$T/err"
	return 1
}

# run_page PAGE [SHELL...]: all its blocks in all shells; false when one of them failed.
run_page() {
	local page=$1 shells=("${@:2}") n i sh bad=0
	[[ ${#shells[@]} -gt 0 ]] || shells=(dash bash)
	rm -rf "$T/blocks" "$T"/run.*
	mkdir "$T/blocks"
	n=$("$ROOT/tests/examples/extract" "$page" "$T/blocks") || return 1
	[[ $n -gt 0 ]] || { echo "${page##*/}: no example"; return 1; }
	for sh in "${shells[@]}"; do
		command -v "$sh" >/dev/null || continue
		for ((i = 1; i <= n; i++)); do
			run_block "$sh" "$i" || bad=1
		done
	done
	return $bad
}

# Every fourth page from the ($1+1)th on: parts, so that they run side by side. EXAMPLES=ipc-lock.1 runs
# only that page.
run_part() {
	local i=0 bad=0 page
	need python3
	for page in "$ROOT"/man/*.[17]; do
		[[ -z ${EXAMPLES-} || ${page##*/} == "$EXAMPLES" ]] || continue
		((i++ % 4 == $1)) || continue
		run_page "$page" || bad=1
	done
	[[ $bad == 0 ]]
}

@test "the pages' examples do what the pages say (1 of 4)" {
	run_part 0
}

@test "the pages' examples do what the pages say (2 of 4)" {
	run_part 1
}

@test "the pages' examples do what the pages say (3 of 4)" {
	run_part 2
}

@test "the pages' examples do what the pages say (4 of 4)" {
	run_part 3
}

@test "README's tour does what it says, in dash, bash and busybox sh" {
	need python3
	mkdir shells
	printf '#!/bin/sh\nexec busybox sh "$@"\n' >shells/busybox-sh
	chmod 755 shells/busybox-sh
	PATH=$PWD/shells:$PATH
	local shells=(dash bash)
	! command -v busybox >/dev/null || shells+=(busybox-sh)
	run_page "$ROOT/README.md" "${shells[@]}"
	# Each task of the tour has its block, and each block is one of the kinds that are looked at.
	[[ $(sed -n '/^## A tour/,/^## Exit/p' "$ROOT/README.md" | grep -c '^\*\*') == $(grep -c '^```sh$' "$ROOT/README.md") ]]
	status 1 grep -nE '^(```(sh|shell|text)?[^`]+|    [^ ].*)$' <(grep -vxE '```(sh|shell|text)' "$ROOT/README.md")
}

@test "what README tells a stranger to type is there: targets of make, files, words of ipcbox" {
	local word
	sed -n '/^```shell$/,/^```$/p' "$ROOT/README.md" | grep -v '^```' >lines
	grep -oE '\bmake [a-z-]+' "$ROOT/README.md" | sort -u | while read -r _ word; do
		[[ $word != that ]] || continue
		grep -qE "^\.PHONY:.*\b$word\b" "$ROOT"/{Makefile,mk/*.mk} || { echo "make $word"; false; }
	done
	grep -oE '(^|[ (])(lib|tests|man|applets)/[A-Za-z0-9_./-]+[a-z0-9]' "$ROOT/README.md" | tr -d ' (' | sort -u | while read -r word; do
		[[ $word == *NAME* || -e $ROOT/$word ]] || { echo "no $word"; false; }
	done
	while read -r word _; do
		[[ $word == make || $word == build/ipcbox ]] || { echo "unknown: $word"; false; }
	done <lines
	mkdir bin
	status 0 "$IPCBOX_BUILD/ipcbox" --install -s bin
	[[ -L bin/ipc-lock ]]
}

@test "the demo counts the same words with and without IPC" {
	mkdir include
	printf 'int a;\nint b; int a2;\n' >include/a.h
	printf 'char c;\n' >include/b.h
	DEMO_DIR=$T/include status 0 timeout 60 "$ROOT/tests/demo"
	[[ $output == *"the totals are equal"* ]]
}

@test "the runner itself: escapes, comments, differences" {
	need python3
	mkdir blocks
	cat >page.1 <<-'EOF'
		.Sh EXAMPLES
		Text.
		.Bd -literal -offset indent
		echo 'a\eb' \(aq\-x\(aq	# prints: a\eb -x
		printf '%s\en' "\&.x"	# prints: .x
		.Ed
		.Bd -literal
		echo wrong	# prints: right
		.Ed
		.Sh SEE ALSO
		.Bd -literal
		false
		.Ed
	EOF
	[[ $("$ROOT/tests/examples/extract" page.1 blocks) == 2 ]]
	[[ $(head -n 1 blocks/1.sh) == "echo 'a\\b' '-x'"* ]]
	[[ $(<blocks/1.want) == 'a\b -x
.x' ]]
	printf '%s\n' 'Text.' '```text' 'no' '```' '```sh' 'echo a	# prints: a' '```' >page.md
	mkdir md
	[[ $("$ROOT/tests/examples/extract" page.md md) == 1 && $(<md/1.want) == a ]]
	page=page.1
	run_block bash 1
	run run_block bash 2
	[[ $status == 1 && $output == *'block 2 (line 7) in bash'* && $output == *-right* ]]
}
