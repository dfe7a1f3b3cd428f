#!/usr/bin/env bats
# make deb, and that what is built does not depend on where, when, by whom and in which order.
load helper

local_setup() {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "what is built here has no sanitizer"
	[[ -z ${IPCBOX_AGAIN-} ]] || skip "done with another build already"
	# The suite's own build says nothing about these.
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES BUILD LINK CC CFLAGS CPPFLAGS LDFLAGS DESTDIR PREFIX
}

# tree DIR: a copy of the sources in DIR.
tree() {
	mkdir -p "$1"
	tar -C "$ROOT" -cf - --exclude='./build*' --exclude=./.git . | tar -C "$1" -xf -
}

# here CMD... and there CMD...: as two very different people run it.
here() {
	(umask 022 && cd here && LC_ALL=C TZ=UTC0 HOME=/ "$@" >../here.log 2>&1) || { cat here.log; return 1; }
}

there() {
	local locale=C.UTF-8
	# A locale that sorts in another way, when the system's means to make one are here.
	if localedef -i cs_CZ -f UTF-8 "$T/locale" 2>/dev/null; then
		locale=$T/locale
	fi
	(umask 077 && cd link/away/there && LOCPATH=$T LC_ALL=${locale##*/} TZ=Asia/Kolkata USER=other LOGNAME=other \
		"$@" >"$T/there.log" 2>&1) || { cat there.log; return 1; }
}

# twice MAKE-ARG...: two trees, built apart; in the second, to which a link leads, the files are older and private.
twice() {
	tree here
	tree far/away/there
	ln -s far link
	chmod -R go-rwx far
	find far -exec touch -d 2001-02-03 {} +
	here make -j1 "$@"
	there make -j7 "$@"
}

# same FILE...: both builds hold the same.
same() {
	local f
	for f; do
		cmp "here/$f" "far/away/there/$f"
		status 1 grep -qF "$T" "here/$f"
	done
}

linked() { # LINK CC
	need "$2"
	echo 'int main(void) { return 0; }' >try.c
	[[ $1 != static ]] || "$2" -static -o try try.c 2>/dev/null || skip "nothing can be linked statically here"
	# With debugging information, where most of a place would show.
	twice LINK="$1" CC="$2" CFLAGS="-O0 -g -Werror=date-time"
	same build/ipcbox
}

@test "two builds are the same byte for byte: musl" {
	need musl-gcc
	linked musl musl-gcc
}

@test "two builds are the same byte for byte: static" {
	linked static gcc
}

@test "two builds are the same byte for byte: dynamic" {
	linked dynamic gcc
}

@test "completions are the same in every locale" {
	mkdir -p here far/away/there
	ln -s far link
	here "$ROOT/completions/gen" "$BIN/ipcbox" .
	there "$ROOT/completions/gen" "$BIN/ipcbox" .
	same ipcbox.bash ipcbox.fish _ipcbox
}

@test "the version is the same in the Makefile and in debian/changelog" {
	[[ $(sed -n 's/^VERSION = //p' "$ROOT/Makefile") == $(sed -n '1s/^ipcbox (\([^)]*\)).*/\1/p' "$ROOT/debian/changelog") ]]
}

@test "make deb: reproducible, clean for lintian, complete, and it runs from where it is unpacked" {
	need dpkg-buildpackage dh lintian
	(cd "$ROOT" && dpkg-checkbuilddeps 2>/dev/null) || skip "$(cd "$ROOT" && dpkg-checkbuilddeps 2>&1)"
	# Not optimised, for time; what the build would run for a test is run below.
	export DEB_BUILD_OPTIONS="noopt nocheck parallel=2"
	twice deb
	[[ ! -e here/build/ipcbox ]]
	deb=$PWD/here/build/deb
	v=$(sed -n 's/^VERSION = //p' "$ROOT/Makefile")
	[[ -s $deb/ipcbox_$v.dsc && -s $deb/ipcbox_$v.tar.xz && ! -e $deb/ipcbox-$v ]]
	for f in "$deb"/*.deb "$deb"/*.dsc "$deb"/*.tar.xz; do
		cmp "$f" "far/away/there/build/deb/${f##*/}"
	done
	status 0 lintian --allow-root --fail-on error,warning "$deb"/*.changes
	[[ $output == "" ]] || { echo "$output"; false; }

	mkdir root
	dpkg -x "$deb"/ipcbox_*.deb root
	dpkg -x "$deb"/ipcbox-bash_*.deb root
	(cd root && find . ! -type d | sed 's|^\./||') | sort >got
	{
		echo usr/bin/ipcbox usr/share/bash-completion/completions/ipcbox usr/share/fish/vendor_completions.d/ipcbox.fish \
			usr/share/zsh/vendor-completions/_ipcbox usr/lib/bash/ipcbox.so \
			usr/lib/tmpfiles.d/ipcbox.conf
		for a in $(ipcbox --list); do
			echo "usr/bin/$a usr/share/bash-completion/completions/$a usr/share/fish/vendor_completions.d/$a.fish"
		done
		for m in "$ROOT"/man/*.[17]; do
			echo "usr/share/man/man${m##*.}/${m##*/}.gz"
		done
		for p in ipcbox ipcbox-bash; do
			echo "usr/share/doc/$p/changelog.gz usr/share/doc/$p/copyright"
		done
	} | tr ' ' '\n' | sort | diff -u - got

	PATH=$PWD/root/usr/bin:/usr/bin:/bin:/usr/sbin:/sbin
	[[ $(command -v ipcbox) == "$PWD/root/usr/bin/ipcbox" ]]
	[[ $(ipcbox --version) == *"$v"* ]]
	IPCBOX_SO=$PWD/root/usr/lib/bash/ipcbox.so status 0 timeout 120 "$ROOT/debian/tests/smoke"
	# As bash looks for it, and with the programs found from there.
	export BASH_LOADABLES_PATH=$PWD/root/usr/lib/bash
	status 0 env -u IPCBOX PATH=/usr/bin:/bin IPC_DIR="$T/ipc" bash -c '
		enable -f ipcbox.so ipc-event && ipc-event set x && ipc-event wait x -- echo ran'
	[[ $output == ran ]]
}
