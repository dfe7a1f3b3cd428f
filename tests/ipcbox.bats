#!/usr/bin/env bats
# The toolbox itself: names, --install, what is said when words are wrong, and odd standard descriptors.
load helper

local_setup() {
	first=$(ipcbox --list | head -n 1)
}

@test "--list prints each applet once, in the table's order" {
	ipcbox --list >list
	sed -n 's/^	&ipc_\([[:lower:]]*\),$/ipc-\1/p' "$ROOT/applets/table.c" | diff -u - list
	[[ $(sort list | uniq -d) == '' ]]
}

@test "--version prints name and version, one line" {
	status 0 ipcbox --version
	[[ $output =~ ^ipcbox\ [0-9]+\.[0-9]+ && $(wc -l <.out) == 1 ]]
}

@test "an applet runs by its link, by its name and by its short name" {
	"$first" --help >1
	ipcbox "$first" --help | diff 1 -
	ipcbox "${first#ipc-}" --help | diff 1 -
	ln -s "$BIN/ipcbox" "./$first"
	"./$first" --help | diff 1 -
	ln "$IPCBOX_BUILD/ipcbox" ./box 2>/dev/null || cp "$IPCBOX_BUILD/ipcbox" ./box
	./box "$first" --help | diff 1 -
}

@test "an unknown applet or none is 64 and names --list or prints help" {
	status 64 ipcbox no-such-applet
	[[ $stderr == 'ipcbox: no-such-applet: no such applet; see ipcbox --list' && -z $output ]]
	status 64 ipcbox
	[[ $output == usage:* && $stderr == 'ipcbox: '* ]]
	status 64 ipcbox --no-such-option
	[[ $stderr == *--no-such-option* ]]
	status 64 ipcbox help no-such-applet
	status 64 ipcbox help "$first" no-such-verb
	[[ $stderr == *no-such-verb* ]]
}

@test "a called program without a name does not crash" {
	need python3
	python3 - "$BIN/ipcbox" <<-'EOF'
		import ctypes, os, sys
		libc = ctypes.CDLL(None)
		pid = os.fork()
		if pid == 0:
		    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
		    os.dup2(1, 2)
		    libc.execv(sys.argv[1].encode(), (ctypes.c_char_p * 1)(None))
		    os._exit(1)
		status = os.waitpid(pid, 0)[1]
		sys.exit(not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == 64))
	EOF
}

@test "--install makes hard links, -s symbolic ones, and both run" {
	mkdir a b
	cp "$IPCBOX_BUILD/ipcbox" box
	./box --install a
	ls a | diff -u <({ echo ipcbox; ipcbox --list; } | sort) -
	[[ a/$first -ef box ]]
	"a/$first" --help | diff - <("$first" --help)
	./box --install -s b
	[[ $(readlink "b/$first") == "$PWD/box" ]]
	"b/$first" --help | diff - <("$first" --help)
}

@test "--install again replaces its links, changes their kind, and leaves other files alone" {
	mkdir a
	cp "$IPCBOX_BUILD/ipcbox" box
	./box --install a
	./box --install a
	./box --install -s a
	[[ -L a/$first ]]
	./box --install a
	[[ ! -L a/$first && a/$first -ef box ]]
	rm "a/$first"
	echo mine >"a/$first"
	status 73 ./box --install a
	[[ $(<"a/$first") == mine && $stderr == *"a/$first"* ]]
}

@test "--install makes ipcbox too, but never a link to itself" {
	mkdir a b
	cp "$IPCBOX_BUILD/ipcbox" a/ipcbox
	a/ipcbox --install -s b
	status 0 b/ipcbox --version
	a/ipcbox --install -s a
	[[ ! -L a/ipcbox && -L a/$first ]]
	status 0 a/ipcbox --version
	a/ipcbox --install a
	status 0 a/ipcbox --version
	b/ipcbox --install b
	[[ ! -L b/ipcbox && b/ipcbox -ef a/ipcbox ]]
}

@test "--install says what is wrong" {
	status 64 ipcbox --install
	status 64 ipcbox --install -s
	status 64 ipcbox --install --no-such-option
	status 64 ipcbox --install a b
	status 66 ipcbox --install missing
	[[ $stderr == *missing* ]]
	echo x >file
	status 66 ipcbox --install file
	mkdir shut
	chmod 555 shut
	chmod 755 .
	status 77 as_nobody ipcbox --install -s shut
	[[ $(ls shut) == '' ]]
}

@test "--install and --bash without /proc, --install where nothing may be replaced" {
	if [[ $(id -u) == 0 ]]; then
		mkdir d
		ln -s elsewhere d/ipc-lock
		chmod 755 . d
		status 77 as_nobody ipcbox --install -s ./d
		[[ $stderr == *"replace ./d/ipc-lock: Permission denied"* ]]
	fi
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	status 77 strace -qq -o log -e trace=readlink -e inject=readlink:error=EACCES ipcbox --install .
	[[ $stderr == *"read /proc/self/exe: Permission denied"* ]]
	status 77 strace -qq -o log -e trace=readlink -e inject=readlink:error=EACCES ipcbox --bash
}

@test "--install across file systems says the way out" {
	[[ -w /dev/shm && $(stat -c %d /dev/shm) != $(stat -c %d "$IPCBOX_BUILD/ipcbox") ]] || skip "one file system"
	d=$(mktemp -d /dev/shm/install.XXXXXX)
	status 73 ipcbox --install "$d" || { rm -rf "$d"; false; }
	rm -rf "$d"
	[[ $stderr == *-s* ]]
}

@test "--objects lists what is in IPC_DIR, of one kind or all" {
	[[ -z $(ipcbox --objects) ]]
	mkdir -m 700 "$IPC_DIR"
	: >"$IPC_DIR/a.lock"
	: >"$IPC_DIR/b.b.lock"
	: >"$IPC_DIR/c.ring"
	: >"$IPC_DIR/.hidden"
	[[ $(ipcbox --objects lock | sort) == $'a\nb.b' ]]
	[[ $(ipcbox --objects | sort) == $'a\nb.b\nc' ]]
	chmod 777 "$IPC_DIR"
	status 77 ipcbox --objects
}

@test "closed standard descriptors: no crash, and none is taken by something else" {
	local s=0
	ipcbox --list >&- 2>err || s=$?
	[[ $s == 74 ]]
	grep -q 'write stdout' err
	status 0 sh -c 'ipcbox --list <&-'
	status 0 sh -c 'ipcbox --list 2>&-'
	status 64 sh -c 'ipcbox no-such-applet 2>&-'
	status 64 sh -c 'ipcbox no-such-applet <&- >&- 2>&-'
}

@test "a full device under stdout is 74, whatever is printed" {
	for what in --list --spec --version --help "help $first" "$first --help"; do
		local s=0
		# shellcheck disable=SC2086
		ipcbox $what >/dev/full 2>err || s=$?
		[[ $s == 74 ]] || { echo "$what: $s"; false; }
		[[ $(wc -l <err) == 1 ]]
		grep -q 'write stdout: No space left on device' err
	done
}

@test "a reader that has gone ends it by SIGPIPE, silently; ignored SIGPIPE is 74" {
	need python3
	local s
	bash -c 'ipcbox --spec; echo "$?" >status' 2>err | true
	# The pipe may take it all before its reader goes; /dev/null as a pipe end cannot be had, so ask for a closed one.
	s=0
	python3 - "$BIN/ipcbox" <<-'EOF' || s=$?
		import os, signal, subprocess, sys
		r, w = os.pipe()
		os.close(r)
		p = subprocess.run([sys.argv[1], "--spec"], stdout=w, stderr=subprocess.PIPE)
		assert p.returncode == -signal.SIGPIPE and p.stderr == b"", (p.returncode, p.stderr)
		signal.signal(signal.SIGPIPE, signal.SIG_IGN)
		p = subprocess.run([sys.argv[1], "--spec"], stdout=w, stderr=subprocess.PIPE, restore_signals=False)
		assert p.returncode in (74, 141), (p.returncode, p.stderr)
	EOF
	[[ $s == 0 ]]
}

@test "set-user-ID is refused" {
	need root
	cp "$IPCBOX_BUILD/ipcbox" box
	chmod 4755 box
	chmod 755 .
	findmnt -no OPTIONS -T . 2>/dev/null | grep -q nosuid && skip "nosuid here"
	chmod 711 "$BATS_TEST_TMPDIR" .. 2>/dev/null || :
	setpriv --reuid=65534 --regid=65534 --clear-groups true
	local s=0
	setpriv --reuid=65534 --regid=65534 --clear-groups "$PWD/box" --list >out 2>err || s=$?
	[[ $s != 126 ]] || skip "nobody cannot reach this directory"
	[[ $s == 77 ]] && grep -q set-user-ID err
}

@test "many words and long words are taken as they are" {
	local long
	long=$(printf '%0100000d' 0)
	status 64 ipcbox "$long"
	[[ ${#stderr} -gt 100000 ]]
	# shellcheck disable=SC2046
	status 64 ipcbox no-such-applet $(seq 20000)
}
