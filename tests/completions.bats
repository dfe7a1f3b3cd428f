#!/usr/bin/env bats
# The completions, in the real shells; and that the committed files are what the records give.
load helper

local_setup() {
	export HOME=$T XDG_CONFIG_HOME=$T/config XDG_DATA_HOME=$T/data TMPDIR=$T
	kind=$(ipcbox --spec | awk -F'\t' '$1 == "applet" && $2 == "ipc-lock" { print $3 }')
	mkdir -m 700 "$IPC_DIR"
	: >"$IPC_DIR/nightly.$kind"
	: >"$IPC_DIR/weekly.$kind"
	: >"$IPC_DIR/another.kind"
	: >"$IPC_DIR/state.shm"
	: >"$IPC_DIR/sum.door"
	: >"$IPC_DIR/kept.fdstore"
	: >"$IPC_DIR/hand.sock"
	: >"$T/notes"
	dir=$ROOT/completions
}

# offers SHELL LINE: what SHELL completes LINE with, sorted, in $output.
offers() {
	output=$("$1_offers" "$2")
	output=$(sort -u <<<"$output")
}

bash_offers() { bash "$ROOT/tests/completions/capture.bash" "$dir" "$1"; }
zsh_offers() { timeout 60 zsh -f "$ROOT/tests/completions/capture.zsh" "$dir" "$1" 3>&-; }
fish_offers() { timeout 60 fish "$ROOT/tests/completions/capture.fish" "$dir" "$1"; }

# all SHELL LINE WORD...: each WORD is offered (not, when it begins with !).
all() {
	local w line=$2 shell=$1
	offers "$1" "$2"
	shift 2
	for w; do
		if [[ $w == !* ]]; then
			! grep -qxF -e "${w#!}" <<<"$output"
		else
			grep -qxF -e "$w" <<<"$output"
		fi || { printf '%s: %s: %s\noffered:\n%s\n' "$shell" "$line" "$w" "$output"; return 1; }
	done
}

# What every shell must do. $1: the shell; what it puts in front of a value in --family=VALUE is $2.
common() {
	local s=$1 pre=${2-} applets
	mapfile -t applets < <(ipcbox --list)
	all "$s" 'ipcbox ' "${applets[@]}" help
	all "$s" 'ipcbox lock ' run test stat
	all "$s" 'ipcbox ipc-lock r' run '!test'
	all "$s" 'ipcbox help ' "${applets[@]}"
	all "$s" 'ipcbox help lock ' run test stat
	all "$s" 'ipc-lock ' run test stat
	all "$s" 'ipc-lock t' test '!run'
	all "$s" 'ipc-lock run --fam' --family
	all "$s" 'ipc-lock test --fam' '!--famous'
	all "$s" 'ipc-lock run --family ' both flock ofd '!notes' '!nightly'
	all "$s" "ipc-lock run --family=f" "${pre}flock" "!${pre}both"
	all "$s" 'ipc-lock run -w ' '!nightly' '!notes'
	all "$s" 'ipc-lock run ' nightly weekly notes '!another'
	all "$s" 'ipc-lock run -n -w 5 n' nightly notes '!weekly'
	all "$s" 'ipc-lock run -- n' nightly notes
	all "$s" 'ipc-lock run nightly -- trunc' truncate '!nightly'
	all "$s" 'ipc-lock run nightly -- cat no' notes '!nightly'
	all "$s" 'ipcbox lock run n' nightly
	all "$s" "$BIN/ipc-lock run n" nightly
	# Each applet's own objects; those that take all kinds get all.
	all "$s" 'ipc-shm ' create write read get set wait run rm
	all "$s" 'ipc-shm read ' state notes '!nightly' '!sum'
	all "$s" 'ipc-shm wait state 0 ' eq ge bits '!state'
	all "$s" 'ipc-door ' serve call stat rm
	all "$s" 'ipc-door call ' sum '!state'
	all "$s" 'ipc-fdstore retrieve ' kept '!sum'
	all "$s" 'ipc-sendfd ' hand notes '!kept'
	all "$s" 'ipc-rm ' state sum kept hand nightly notes
	all "$s" 'ipc-rm -t ' fifo shm lock '!nightly'
	all "$s" 'ipc-ls --kind ' fifo shm lock '!nightly'
	all "$s" 'ipc-ls --st' --stale
	all "$s" 'ipc-signal send ' TERM USR1 '!nightly'
	# zsh offers the processes of its terminal only, the others all.
	all "$s" 'ipc-signal send TERM ' '!nightly' && grep -qxE '[0-9]+' <<<"$output"
}

@test "the committed completions, the list in ipcbox(1) and README are not stale" {
	mkdir gen man
	cp "$ROOT/man/ipcbox.1" man
	cp "$ROOT/README.md" .
	"$ROOT/completions/gen" "$BIN/ipcbox" gen .
	for f in ipcbox.bash _ipcbox ipcbox.fish; do
		diff -u "$ROOT/completions/$f" "gen/$f" || { echo "run make completions"; false; }
	done
	diff -u "$ROOT/man/ipcbox.1" man/ipcbox.1 || { echo "run make completions"; false; }
	diff -u "$ROOT/README.md" README.md || { echo "run make completions"; false; }
}

@test "bash: applets, verbs, options, values, live objects, files, commands" {
	common bash
	all bash 'ipc-signal stop --tree ' "$$" '!nightly'
	all bash 'ipc-ls -t s' shm sem sock spool '!fifo'
	all bash 'ipc-ls -t shm,f' shm,fifo shm,fdstore '!fifo'
	all bash 'ipc-ls -o ' kind waiters inode
	all bash 'ipc-ls -o +i' +id +inode
	all bash 'ipc-ls -o kind,wa' kind,waiters kind,warning '!waiters'
	all bash 'ipcbox --' --list --install --spec --version --help
	all bash 'ipc-lock run nightly -' --
	all bash 'ipc-lock run -' -w --timeout -n -E
}

@test "zsh: applets, verbs, options, values, live objects, files, commands" {
	need zsh
	common zsh
	all zsh 'ipc-lock run -' -w --timeout -n -E
}

@test "fish: applets, verbs, options, values, live objects, files, commands" {
	need fish
	common fish --family=
	all fish 'ipc-signal stop --tree ' "$$" '!nightly'
	all fish 'ipcbox --' --list --install --spec --version --help
	all fish 'ipc-lock run -' -w --timeout -n -E
}

@test "every verb and long option of every applet is offered" {
	local a v name
	while IFS=$'\t' read -r a v; do
		mapfile -t names < <(ipcbox --spec | awk -F'\t' -v a="$a" -v v="$v" \
			'$1 == "option" && $2 == a && $3 == v && $5 != "-" { print "--" $5 }')
		[[ $v != - ]] || v=
		all bash "$a${v:+ $v} --" "${names[@]}"
	done < <(ipcbox --spec | awk -F'\t' '$1 == "verb" && $4 !~ /hidden|fallback/ { print $2 "\t" $3 }')
}

@test "the files are read without a word by their shells" {
	status 0 bash -n "$dir/ipcbox.bash"
	[[ -z $stderr ]]
	! command -v zsh || { status 0 zsh -n "$dir/_ipcbox" && [[ -z $stderr ]]; }
	! command -v fish || { status 0 fish -n "$dir/ipcbox.fish" && [[ -z $stderr ]]; }
}

@test "no words are lost where there are no objects, no directory and no ipcbox" {
	rm -rf "$IPC_DIR"
	all bash 'ipc-lock run ' notes
	PATH=/usr/bin:/bin all bash 'ipc-lock run ' notes
}
