#!/usr/bin/env bats
# make install and make uninstall, into a directory of their own.
load helper

local_setup() {
	export DESTDIR=$T/root
	P=$DESTDIR/usr/x
	# What was built is installed as it is: nothing may be compiled here.
	mk=(make -s -C "$ROOT" BUILD="$IPCBOX_BUILD" DESTDIR="$DESTDIR" PREFIX=/usr/x -o "$IPCBOX_BUILD/ipcbox" -o "$IPCBOX_BUILD/bin")
}

tree() {
	(cd "$DESTDIR" && find . ! -type d | sort)
}

@test "binary, links, pages and completions come to the standard places" {
	"${mk[@]}" install
	[[ -x $P/bin/ipcbox && ! -L $P/bin/ipcbox ]]
	ipcbox --list | while read -r a; do
		[[ $(readlink "$P/bin/$a") == ipcbox ]]
		[[ $(readlink "$P/share/bash-completion/completions/$a") == ipcbox ]]
		[[ $(readlink "$P/share/fish/vendor_completions.d/$a.fish") == ipcbox.fish ]]
	done
	for f in "$ROOT"/man/*.[17]; do
		cmp "$f" "$P/share/man/man${f##*.}/${f##*/}"
	done
	cmp "$ROOT/completions/_ipcbox" "$P/share/zsh/site-functions/_ipcbox"
	cmp "$ROOT/completions/ipcbox.bash" "$P/share/bash-completion/completions/ipcbox"
	cmp "$ROOT/completions/ipcbox.fish" "$P/share/fish/vendor_completions.d/ipcbox.fish"
	so=0
	if [[ -e $IPCBOX_BUILD/ipcbox.so ]]; then
		cmp "$IPCBOX_BUILD/ipcbox.so" "$P/lib/bash/ipcbox.so"
		so=1
	fi
	[[ $(tree | wc -l) == $((3 * ($(ipcbox --list | wc -l) + 1) + 1 + $(ls "$ROOT"/man/*.[17] | wc -l) + so)) ]]
}

@test "what is installed runs from there, without the build" {
	"${mk[@]}" install
	PATH=$P/bin:/usr/bin:/bin
	[[ $(command -v ipcbox) == "$P/bin/ipcbox" ]]
	ipcbox --version
	a=$(ipcbox --list | head -n 1)
	"$a" --help | grep -q "$a"
	mkdir links
	ipcbox --install -s links
	[[ $(readlink "links/$a") == "$P/bin/ipcbox" ]]
	"links/$a" --help | grep -q "$a"
}

@test "the installed builtins find the program that is installed with them" {
	[[ -e $IPCBOX_BUILD/ipcbox.so && -z ${IPCBOX_SANITIZE-} ]] || skip "ipcbox.so was not built, or bash cannot load it"
	"${mk[@]}" install
	unset IPCBOX
	status 0 env PATH=/usr/bin:/bin BASH_LOADABLES_PATH="$P/lib/bash" bash -c '
		enable -f ipcbox.so ipc-event && ipc-event set x && ipc-event wait x -- echo ran'
	[[ $output == ran ]]
	rm "$P/bin/ipcbox"
	status 127 env PATH=/usr/bin:/bin BASH_LOADABLES_PATH="$P/lib/bash" bash -c '
		enable -f ipcbox.so ipc-event && ipc-event set x && ipc-event wait x -- echo ran'
	[[ $stderr == *IPCBOX* ]]
}

@test "installing twice is the same as once; uninstall takes exactly that away" {
	mkdir -p "$P/bin" "$P/share/man/man1"
	echo theirs >"$P/bin/other"
	echo theirs >"$P/share/man/man1/other.1"
	tree >before
	"${mk[@]}" install
	tree >first
	"${mk[@]}" install
	tree | diff -u first -
	"${mk[@]}" uninstall
	tree | diff -u before -
	"${mk[@]}" uninstall
	tree | diff -u before -
}

@test "bash, zsh and fish find the installed completions by themselves" {
	"${mk[@]}" install
	if command -v zsh; then
		[[ $(zsh -f -c "fpath=($P/share/zsh/site-functions \$fpath); autoload -U compinit; compinit -D -u; print \$_comps[ipcbox]") == _ipcbox ]]
	fi
	if command -v fish; then
		HOME=$T fish -c "set -p fish_complete_path $P/share/fish/vendor_completions.d; complete -C 'ipcbox '" | grep -q '^help'
		a=$(ipcbox --list | head -n 1)
		PATH=$P/bin:$PATH HOME=$T fish -c "set -p fish_complete_path $P/share/fish/vendor_completions.d; complete -C '$a --'" >/dev/null
	fi
	# shellcheck source=/dev/null
	source "$P/share/bash-completion/completions/ipcbox"
	complete -p ipcbox
}
