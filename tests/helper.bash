# tests/helper.bash: loaded by every bats file. Each test gets a directory of its own ($T, also the
# working directory), its own $IPC_DIR, the applets on PATH, and its background jobs killed at the end.
# shellcheck shell=bash

# A test that failed is tried again $IPCBOX_RETRIES times, by default never. Each one that was is named in the
# file $IPCBOX_RETRIED, so that none passes unseen.
# shellcheck disable=SC2034
BATS_TEST_RETRIES=${IPCBOX_RETRIES:-0}

setup() {
	[[ ${BATS_TEST_TRY_NUMBER-1} == 1 || -z ${IPCBOX_RETRIED-} ]] ||
		echo "${BATS_TEST_FILENAME##*/}: $BATS_TEST_DESCRIPTION" >>"$IPCBOX_RETRIED"
	plain_environment
	[[ -z ${IPCBOX_TMPDIR-} ]] || export TMPDIR=$IPCBOX_TMPDIR
	T=$(mktemp -d "${IPCBOX_TMPDIR-$BATS_TEST_TMPDIR}/t.XXXXXX")
	cd "$T" || return 1
	export IPC_DIR=$T/ipc
	export HISTFILE=/dev/null # else an interactive shell writes into the user's
	export PATH=${IPCBOX_BUILD:?run the tests with make check}/bin:$PATH
	BIN=$IPCBOX_BUILD/bin
	ROOT=$BATS_TEST_DIRNAME/..
	[[ -z ${IPCBOX_BUILTINS-} ]] || load_builtins
	[[ $(type -t local_setup) != function ]] || local_setup
}

# plain_environment: what the caller has set for others, or for make, says nothing to a test (tests/hostile).
plain_environment() {
	# A name that was exported stays so when it is set: unset all of one or two letters.
	local names
	mapfile -t names < <(compgen -e | grep -xE '[A-Z]{1,2}|(IPC|LISTEN)_.*')
	unset "${names[@]}" BIN ROOT OBJ PID XDG_RUNTIME_DIR NOTIFY_SOCKET NO_COLOR COLUMNS CDPATH MAKEFLAGS MFLAGS MAKELEVEL
	umask 022
}

teardown() {
	[[ $(type -t local_teardown) != function ]] || local_teardown
	local p
	for p in $(jobs -p); do
		kill -KILL "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	cd / || return 1
	# Whatever a test left running, orphans too: known by its working directory.
	for p in $(find /proc/[0-9]*/cwd -maxdepth 0 -lname "$T*" 2>/dev/null | cut -d/ -f3); do
		kill -KILL "$p" 2>/dev/null || :
	done
	rm -rf "$T"
}

# load_builtins: from now on the applets are builtins of the test's own shell (make check-builtins); what is started
# by another program (strace, timeout, sh, env) is the program on PATH as before.
load_builtins() {
	local names
	mapfile -t names < <(command ipcbox --list)
	enable -f "$IPCBOX_BUILD/ipcbox.so" "${names[@]}"
}

# unused: builtins keep objects open; after this they have none, and a file system can be unmounted.
unused() {
	[[ -z ${IPCBOX_BUILTINS-} ]] && return
	local names
	mapfile -t names < <(command ipcbox --list)
	enable -d "${names[@]}"
	load_builtins
}

# program WHY: skip the test when the applets are builtins: it is about the program as a process, WHY says how.
program() {
	[[ -z ${IPCBOX_BUILTINS-} ]] || skip "of the program alone: $1"
}

# bg CMD...: run in the background with no hold on bats' descriptors; its pid is in $!.
bg() {
	"$@" 3>&- 4>&- &
}

# full_pipe: descriptor 8 is a pipe that takes no byte more.
full_pipe() {
	mkfifo full
	exec 8<>full
	dd if=/dev/zero bs=4K count=4096 oflag=nonblock of=/dev/fd/8 2>/dev/null || :
}

# blocked PID: it sleeps in the kernel (for processes that must be waiting before the test goes on).
blocked() {
	[[ $(state_of "$1") == S ]]
}

# state_of PID: its state's letter (S, R, D, T, Z); nothing and a failure when it is gone.
state_of() {
	local stat
	stat=$(2>/dev/null cat "/proc/$1/stat") || return 1
	stat=${stat##*) }
	echo "${stat%% *}"
}

# kids PID [NAME]: print PID's children (that are called NAME); a failure when there are none.
kids() {
	local p found=1
	for p in $(2>/dev/null cat /proc/"$1"/task/*/children); do
		[[ -z ${2-} || $(2>/dev/null cat "/proc/$p/comm") == "$2" ]] || continue
		echo "$p"
		found=0
	done
	return $found
}

# running REGEX: print the processes whose command line matches; a failure when there are none.
running() {
	local p words found=1
	for p in /proc/[0-9]*; do
		words=()
		{ mapfile -d '' -t words <"$p/cmdline"; } 2>/dev/null
		[[ ${words[*]-} =~ $1 ]] || continue
		echo "${p#/proc/}"
		found=0
	done
	return $found
}

# ready CMD...: start CMD in the background and wait for the newline it writes to descriptor 8
# (give it --ready-fd 8). Its pid is in $PID.
ready() {
	mkfifo ready.$$
	"$@" 8>ready.$$ 3>&- 4>&- &
	PID=$!
	read -r -t 20 <ready.$$ || { echo "not ready: $*" >&2; return 1; }
	rm -f ready.$$
}

# until_true CMD...: retry CMD for up to 60 s; for conditions that have no event to wait for. $! stays.
until_true() {
	local end=$((SECONDS + 60)) never=$BATS_TEST_TMPDIR/never
	[[ -p $never ]] || mkfifo "$never" 2>/dev/null || :
	while ! "$@" >/dev/null 2>&1; do
		[[ $SECONDS -lt $end ]] || { echo "never came true: $*" >&2; return 1; }
		read -r -t 0.01 <>"$never" || :
	done
}

# status N CMD...: CMD must end with status N; stdout and stderr are left in $output and $stderr.
status() {
	local want=$1 got=0
	shift
	"$@" >"$T/.out" 2>"$T/.err" 3>&- </dev/null || got=$?
	output=$(<"$T/.out") stderr=$(<"$T/.err")
	[[ $got == "$want" ]] || {
		echo "status $got, not $want: $*"
		echo "stdout: $output"
		echo "stderr: $stderr"
		return 1
	}
}

# hold FILE CODE: a party of FILE (a mapped object) that is not ours: python3 takes the file's lock, writes the
# file "holds", and when another waits for the lock runs CODE, which may get(AT) and put(AT, N) 32-bit words;
# then it gives the lock back. For bg.
hold() {
	python3 - "$@" <<-'EOF'
		import mmap, os, struct, sys, time
		f = open(sys.argv[1], "r+b")
		m = mmap.mmap(f.fileno(), 0)
		get = lambda at: struct.unpack_from("I", m, at)[0]
		put = lambda at, n: struct.pack_into("I", m, at, n)
		end = time.time() + 30
		while get(24) != 0 and time.time() < end:
		    time.sleep(0.001)
		put(24, os.getpid())
		open("holds", "w").close()
		while not get(24) & 0x80000000 and time.time() < end:
		    time.sleep(0.001)
		exec(sys.argv[2])
		put(24, 0)
	EOF
}

# need_refuse: the program refuse (tests/security/refuse.c) is on PATH: refuse CALL,... ERRNO -- CMD runs CMD with
# these system calls refused.
need_refuse() {
	local dir=$IPCBOX_BUILD/t-bin
	[[ -x $dir/refuse ]] || {
		need gcc
		mkdir -p "$dir"
		gcc -O1 -o "$dir/refuse.$$" "$ROOT/tests/security/refuse.c"
		mv "$dir/refuse.$$" "$dir/refuse"
	}
	PATH=$PATH:$dir
	refuse splice ENOSYS -- true || skip "no filter of system calls can be set here"
}

# refusable WHY CALL...: skip the test when one of these system calls is refused (make check-refused): it is about it,
# WHY says how.
refusable() {
	local why=$1 c
	shift
	for c in "$@"; do
		[[ ,${IPCBOX_REFUSED-}, != *,$c,* ]] || skip "$c is refused: $why"
	done
}

# word_bits: 32 or 64: the word size of the programs under test, which is the class in their ELF header.
word_bits() {
	echo $((32 * $(od -An -tu1 -j4 -N1 "$BIN/ipcbox")))
}

# same_word: they have the word size of this machine's other programs: glibc's sem_t is the same, for example, and
# ipc-ls sees what a system call waits for.
same_word() {
	[[ $(word_bits) == "$(getconf LONG_BIT)" ]]
}

# peer_gcc ARG...: gcc for a partner with the word size of the programs under test.
peer_gcc() {
	need gcc
	local other=()
	same_word || other=(-m"$(word_bits)" -idirafter "/usr/include/$(gcc -print-multiarch)")
	gcc "${other[@]}" "$@"
}

# need WHAT...: skip the test, naming what is missing: root, refuse, userns (an ordinary user's
# namespaces), word (partners that are not built here have our word size), or a program.
need() {
	local c
	for c in "$@"; do
		case $c in
		root) [[ $(id -u) == 0 ]] || skip "only root can do this" ;;
		refuse) need_refuse ;;
		nobody) nobody_gets_here || skip "another user does not get to the programs here" ;;
		sight) sight || skip "processes of other users cannot be looked into" ;;
		nobody_python) nobody_python -c '' 2>/dev/null || skip "another user finds no python3" ;;
		word) same_word || skip "the programs at the other end have another word size" ;;
		userns) unshare -Ur true 2>/dev/null || skip "no user namespace can be made here" ;;
		*) command -v "$c" >/dev/null || skip "$c is not installed" ;;
		esac
	done
}

# nobody_gets_here: another user's programs can start ours: not below a directory of mode 700, as mktemp -d makes it.
nobody_gets_here() {
	[[ $(id -u) != 0 ]] || as_nobody env "$BIN/ipcbox" --list >/dev/null 2>&1
}

# as_nobody CMD...: run as an unprivileged user (the tests may run as root).
as_nobody() {
	if [[ $(id -u) == 0 ]]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}

# nobody_python ARG...: python3 as an unprivileged user, who may not get to root's own one.
nobody_python() {
	local path=$PATH
	[[ $(id -u) != 0 ]] || path=/usr/bin:/bin
	as_nobody env PATH="$path" timeout 60 python3 "$@"
}

# sight: what every process holds can be seen, so that one can say that nobody holds a thing.
sight() {
	local p
	# In another pid namespace than the first one there may be processes that are not in /proc.
	[[ $(readlink /proc/self/ns/pid) == "pid:[4026531836]" ]] || return 1
	for p in /proc/[0-9]*; do
		[[ -r $p/fd || ! -e $p ]] || return 1
	done
}
