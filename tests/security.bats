#!/usr/bin/env bats
# The claims of ipcbox-security(7), each as an attacker would try it. What needs a second user needs root.
load helper

local_setup() {
	chmod 711 "$BATS_TEST_TMPDIR" "$T"
	mkdir -m 700 ipc
	echo "the victim's" >victim
	chmod 600 victim
}

need_root() {
	need root
	# Nobody must reach the programs.
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "the sanitizer needs rights that nobody lacks"
	as_nobody "$BIN/ipcbox" --list >/dev/null 2>&1 || skip "nobody cannot reach the programs"
}

# place: a directory that nobody can reach, in $P; removed at the end with $T when it can be there.
place() {
	P=$(mktemp -d /tmp/ipcbox-security.XXXXXX)
	chmod 755 "$P"
}

local_teardown() {
	[[ -z ${P-} ]] || rm -rf "$P"
}

# absent PATTERN FILE...: no line of the files matches.
absent() {
	if LC_ALL=C grep -e "$1" -- "${@:2}" | cat -v; [[ ${PIPESTATUS[0]} == 0 ]]; then
		return 1
	fi
}

# The victim is as it was: contents, mode, inode, time of the last change of contents.
look() { stat -c '%i %a %u %s %y' "$@"; }
untouched() { [[ $(look victim) == "$before" && $(<victim) == "the victim's" ]]; }

# tries VERB...: a name for each kind of object; $1 stands for the object.
every_verb() {
	local o=$1
	cat <<-END
		ipc-lock run -n $o -- true
		ipc-lock test $o
		ipc-lock run --family dotlock -n $o -- true
		ipc-fifo create $o
		ipc-fifo create -m 0666 $o
		ipc-fifo write -n $o x
		ipc-fifo read -n $o
		ipc-fifo rm $o
		ipc-ring create -S 4096 -m 0666 $o
		ipc-ring put -n --create -S 4096 $o x
		ipc-ring get -n $o
		ipc-ring close $o
		ipc-ring rm $o
		ipc-event set -m 0666 $o
		ipc-event clear $o
		ipc-event wait -n $o
		ipc-event rm $o
		ipc-barrier wait -n -c 2 $o
		ipc-barrier break $o
		ipc-barrier rm $o
		ipc-sem create -m 0666 $o
		ipc-sem try $o
		ipc-sem set $o 3
		ipc-sem rm $o
		ipc-spool create -m 0777 $o
		ipc-spool put $o /dev/null
		ipc-spool run $o -- true
		ipc-spool rm --force $o
		ipc-recvfd --listen -m 0666 -w 0.02 $o
		ipc-sendfd -n $o 0
		ipc-sock recv -t dgram -n -m 0666 $o
		ipc-sock send -n $o x
		ipc-door call -n $o
		ipc-sock stat $o
		ipc-door rm $o
		ipc-fdstore store -n $o x 0
		timeout 0.05 ipc-door serve -m 0666 $o -- true
		timeout 0.05 ipc-fdstore serve -m 0666 $o
		timeout 0.05 ipc-sock serve --echo -m 0666 $o
		timeout 0.05 ipc-sock serve --echo --pidfile $o ./pid.sock
		ipc-rm $o
		ipc-rm --force $o
		ipc-rm -q --stale -t fifo,socket,lock $o
	END
}

# The verbs of ipc-shm, for which any file is a segment: only where there is none can nothing be touched.
shm_verbs() {
	local o=$1
	cat <<-END
		ipc-shm create -m 0666 -S 4096 $o
		ipc-shm create -x -S 4096 $o
		ipc-shm write $o x
		ipc-shm read $o
		ipc-shm get $o 0
		ipc-shm set --create -m 0666 $o 0 1
		ipc-shm add --create $o 0 1
		ipc-shm cas $o 0 0 1
		ipc-shm wait -n $o 0 eq 1
		ipc-shm resize -S 8192 $o
		ipc-shm run -S 4096 $o -- true
		ipc-shm rm $o
	END
}

@test "a set-user-ID or set-group-ID ipcbox refuses to run: 77, whatever its name" {
	need_root
	local s mode
	place
	findmnt -no OPTIONS -T "$P" 2>/dev/null | grep -q nosuid && skip "nosuid here"
	cp "$IPCBOX_BUILD/ipcbox" "$P/ipc-event"
	for mode in 4755 2755; do
		chmod "$mode" "$P/ipc-event"
		status 77 as_nobody env IPC_DIR="$P" "$P/ipc-event" set x
		[[ $stderr == *"refuses to run set-user-ID or set-group-ID"* ]]
	done
	chmod 755 "$P/ipc-event"
	status 0 as_nobody "$P/ipc-event" --help
}

@test "an ipcbox with file capabilities refuses to run: 77" {
	need_root
	need python3
	place
	findmnt -no OPTIONS -T "$P" 2>/dev/null | grep -q nosuid && skip "nosuid here"
	cp "$IPCBOX_BUILD/ipcbox" "$P/ipc-event"
	# CAP_NET_RAW, permitted and effective: harmless, and enough.
	python3 -c 'import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))' "$P/ipc-event" ||
		skip "no file capabilities here"
	chmod 755 "$P/ipc-event"
	status 77 as_nobody env IPC_DIR="$P" "$P/ipc-event" set x
}

@test "\$IPC_DIR of root is good for others when it is sticky; without leave to write nothing is made" {
	need_root
	need nobody
	place
	mkdir -m 1777 "$P/all"
	mkdir -m 755 "$P/roots"
	status 0 as_nobody env IPC_DIR="$P/all" "$BIN/ipc-event" set x
	[[ $(stat -c '%u %a' "$P/all/x.event") == "65534 600" ]]
	status 77 as_nobody env IPC_DIR="$P/roots" "$BIN/ipc-event" set x
	IPC_DIR=$P/roots ipc-event set -m 0644 y
	[[ $(ls "$P/roots") == y.event ]]
}

@test "\$IPC_DIR of another user is refused: 77, and nothing is made there" {
	need_root
	mkdir -m 755 his
	chown 65534 his
	export IPC_DIR=$T/his
	for v in "ipc-event set" "ipc-lock run" "ipc-sem try" "ipc-spool put" "ipc-fifo create" "ipc-door call" \
		"ipc-ring create -S 4096" "ipc-barrier break" "ipc-sendfd"; do
		local rest=()
		[[ $v != "ipc-lock run" ]] || rest=(-- true)
		[[ $v != ipc-sendfd ]] || rest=(0)
		# shellcheck disable=SC2086
		status 77 $v x "${rest[@]}"
	done
	[[ -z $(ls -A his) ]]
}

@test "\$IPC_DIR that others may write is refused, unless it is sticky" {
	chmod 777 ipc
	status 77 ipc-event set x
	status 77 ipc-door call x
	[[ -z $(ls -A ipc) ]]
	chmod 1777 ipc
	status 0 ipc-event set x
}

# another CMD...: run by a user of this test's own, whose directory is /tmp/ipc-$uid.
another() {
	setpriv --reuid=$uid --regid=65534 --clear-groups env HOME=/nonexistent "$@"
}

@test "/tmp/ipc-UID: another's, a link or open to others is refused, and the message says whose" {
	need root
	need nobody
	unset IPC_DIR
	chmod 755 .
	local uid=$((200000000 + $$ * 10 % 1000000 + BATS_TEST_NUMBER)) mode how
	local d=/tmp/ipc-$uid
	for how in "mkdir -m 777" "ln -s $T/ipc"; do
		$how "$d"
		status 77 another "$BIN/ipc-event" set x
		[[ $stderr == *"$d"*"user root"*"IPC_DIR"* ]]
		status 77 another "$BIN/ipc-lock" run x -- true
		[[ $stderr == *"user root"* ]]
		status 77 another "$BIN/ipc-sem" run x -- true
		[[ $stderr == *"user root"* ]]
		status 77 another "$BIN/ipc-sock" connect x
		[[ $stderr == *"user root"* ]]
		rm -rf "$d"
	done
	another mkdir -m 700 "$d"
	for mode in 777 1777 770; do
		chmod $mode "$d"
		status 77 another "$BIN/ipc-event" set x
		[[ $stderr == *"other users can write into $d (mode "*$mode")"* ]]
	done
	[[ -z $(ls -A "$d") ]]
	rmdir "$d"
	status 0 another "$BIN/ipc-event" set x
	[[ $(stat -c '%u %a' "$d") == "$uid 700" ]]
	rm -rf "$d"
}

@test "new objects are for their owner alone, with umask 0; -m is exact, with umask 077" {
	umask 0
	ipc-event set ./event
	ipc-ring create -S 4096 ./ring
	ipc-barrier wait -c 1 ./barrier
	ipc-sem create ./sem
	ipc-spool create ./spool
	ipc-lock run word -- true
	ready ipc-door serve --ready-fd 8 ./door -- true
	ready ipc-fdstore serve --ready-fd 8 ./fdstore
	ipc-shm create -S 64 ./shm
	for o in event ring barrier sem spool ipc/word.lock door fdstore shm; do
		[[ $(stat -c %a $o) == ?00 ]] || { ls -l $o; false; }
	done
	umask 077
	ipc-event set -m 0664 ./event2
	ipc-ring create -m 0664 -S 4096 ./ring2
	ipc-barrier wait -m 0664 -c 1 ./barrier2
	ipc-sem create -m 0664 ./sem2
	ipc-lock run -m 0664 ./lock2 -- true
	ipc-fifo create -m 0664 ./fifo2
	ipc-shm create -m 0664 -S 64 ./shm2
	ready ipc-sock serve --echo -m 0664 --ready-fd 8 ./sock2
	for o in event ring barrier sem lock fifo sock shm; do
		[[ $(stat -c %a ${o}2) == 664 ]] || { ls -l ${o}2; false; }
	done
}

@test "another user gets 77 where the mode says no, and where it says yes can lock what he may only read" {
	need_root
	need nobody
	umask 022
	place
	cd "$P" || return 1
	ipc-event set ./event
	ipc-ring create -S 4096 ./ring
	ipc-sem create ./sem
	ipc-spool create ./spool
	ipc-fifo create -m 0600 ./fifo
	ipc-shm create -S 64 ./shm
	ipc-barrier wait -c 1 ./barrier
	echo x >lock
	chmod 600 lock
	status 77 as_nobody "$BIN/ipc-event" wait -n ./event
	status 77 as_nobody "$BIN/ipc-event" set ./event
	status 77 as_nobody "$BIN/ipc-ring" get -n ./ring
	status 77 as_nobody "$BIN/ipc-sem" try ./sem
	status 77 as_nobody "$BIN/ipc-spool" put ./spool /dev/null
	status 77 as_nobody "$BIN/ipc-fifo" read -n ./fifo
	status 77 as_nobody "$BIN/ipc-barrier" break ./barrier
	for v in "read ./shm" "get ./shm 0" "set ./shm 0 1" "wait -n ./shm 0 eq 0" "write ./shm x" "resize -S 9 ./shm" "rm ./shm"; do
		# shellcheck disable=SC2086
		status 77 as_nobody "$BIN/ipc-shm" $v
	done
	status 77 as_nobody "$BIN/ipc-lock" run -n ./lock -- true
	chmod 644 lock
	status 75 as_nobody "$BIN/ipc-lock" run -n ./lock -- "$BIN/ipc-lock" run -n ./lock -- true
	[[ $(<lock) == x ]]
}

@test "locks, FIFOs and sockets by path have the shell's mode; the flock form follows links as flock does" {
	umask 027
	ipc-lock run ./lock -- true
	ipc-fifo create ./fifo
	ready ipc-sock serve --echo --ready-fd 8 ./sock
	[[ $(stat -c %a lock fifo sock | tr '\n' ' ') == "640 640 750 " ]]
	ln -s made link
	ipc-lock link true
	[[ -f made && -L link ]]
}

@test "POSIX names that are links are not opened: segments, semaphores" {
	local n=ipcbox-sec-$$-$BATS_TEST_NUMBER
	[[ -w /dev/shm ]] || skip "no /dev/shm to write to"
	ipc-sem create --value 1 "posix:/$n"
	ipc-shm create -S 64 "posix:/$n"
	ln -s "$n" "/dev/shm/$n.l"
	ln -s "sem.$n" "/dev/shm/sem.$n.l"
	got=
	for v in "ipc-shm read" "ipc-shm write" "ipc-shm create -S 64" "ipc-sem get" "ipc-sem try" "ipc-sem post" \
		"ipc-sem create --value 1"; do
		code=0
		# shellcheck disable=SC2086
		timeout -k 1 10 $v "posix:/$n.l" </dev/null >out 2>err || code=$?
		got="$got $code"
	done
	value=$(ipc-sem get "posix:/$n")
	rm -f "/dev/shm/$n" "/dev/shm/$n.l" "/dev/shm/sem.$n" "/dev/shm/sem.$n.l"
	[[ $value == 1 ]]
	for code in $got; do
		[[ $code == 65 || $code == 73 || $code == 77 ]] || { echo "$got"; false; }
	done
}

@test "no verb makes a file through a symbolic link to nothing, and none goes round and round" {
	mkdir d
	ln -s ../made d/x
	{ every_verb ./d/x; shm_verbs ./d/x; } >verbs
	while read -r -a v; do
		code=0
		timeout 20 "${v[@]}" </dev/null >out 2>&1 3>&- || code=$?
		[[ $code != 0 || ${v[*]} == *"test ./d/x"* || ${v[*]} == *" rm ./d/x" || ${v[*]} == *pidfile* ]] ||
			{ echo "done: ${v[*]}"; return 1; }
		[[ ! -e made ]] || { echo "made it: ${v[*]}"; return 1; }
		# Those with timeout(1) may end by it only when they have served on a name of their own.
		[[ $code != 124 || ${v[0]} == timeout ]] || { echo "no end: ${v[*]}"; return 1; }
		[[ -L d/x || ${v[*]} == *pidfile* ]] || { echo "link gone: ${v[*]}"; return 1; }
		[[ -L d/x ]] || ln -s ../made d/x
	done <verbs
	for v in "ipc-lock run" "ipc-lock run -m 0600" "ipc-lock run --family dotlock"; do
		# shellcheck disable=SC2086
		status 77 timeout 20 $v ./d/x -- true
	done
	status 65 timeout 20 ipc-sem create ./d/x
	status 77 timeout 20 ipc-event set ./d/x
}

@test "a file that is no object keeps its contents, mode and name, also through links" {
	ln -s victim soft
	ln victim hard
	before=$(look victim)
	for o in ./victim ./soft ./hard; do
		every_verb $o >verbs
		while read -r -a v; do
			[[ ${v[*]} != *pidfile* ]] || continue
			timeout 20 "${v[@]}" </dev/null >out 2>&1 3>&- || :
			[[ -e $o ]] || { echo "removed: ${v[*]}"; return 1; }
			untouched || { echo "touched: ${v[*]}"; return 1; }
		done <verbs
	done
	[[ -L soft ]]
}

@test "a --pidfile that is a link is replaced, not followed; another's pidfile stays" {
	before=$(look victim)
	ln -s victim pid
	ready ipc-sock serve --echo --pidfile pid --ready-fd 8 ./s
	[[ ! -L pid && $(<pid) == "$PID" ]]
	untouched
	echo 1 >new
	mv new pid
	kill "$PID"
	wait "$PID" || :
	[[ $(<pid) == 1 ]]
}

@test "ipc-bench: --svg goes where a link leads, and nothing else of it has a name that others may use" {
	[[ -z ${IPCBOX_COVERAGE-} ]] || skip "the counters have a name"
	echo old >plot.svg
	ln -s plot.svg link.svg
	ipc-bench -q --quick -t pipe -S 64 --svg link.svg >/dev/null
	[[ -L link.svg && $(head -c 4 plot.svg) != "old" ]]
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	umask 0
	timeout 60 strace -f -qq -o log -e trace=openat,mknodat,mknod,mkdirat,mkdir,mq_open,msgget,bind,memfd_create \
		ipc-bench -q --quick -S 64 >/dev/null
	grep -q 'mq_open.*0600' log
	# Whatever is made is made with 0600; and no socket has a path.
	grep -E 'O_CREAT|mknod|mkdir|IPC_CREAT' log >made
	absent ', 0[0-7]*[1-7][0-7]\?[,)]' made
	absent 'sun_path="' log
}

# race MODE DIR TARGET OBJECT: all verbs on OBJECT for a good second, while the attacker swaps.
race() {
	local end rounds=0 pid
	"${CC:-cc}" -O2 -w -o swap "$ROOT/tests/security/swap.c"
	mkfifo go
	exec 7<>go
	./swap "$1" "$2" "$3" <go >swaps 3>&- 4>&- &
	pid=$!
	every_verb "$4" | grep -v ' ipc-\(door\|sock\|fdstore\) serve' >verbs
	printf '%s\n' "ipc-fifo create -m 0666 $4" "ipc-fifo create -m 0666 $4" "ipc-event rm $4" >>verbs
	end=$((SECONDS + 3))
	while ((SECONDS < end)); do
		while read -r -a v; do
			timeout 20 "${v[@]}" </dev/null >/dev/null 2>>errors 3>&- || :
		done <verbs
		rounds=$((rounds + 1))
	done
	echo >&7
	wait "$pid"
	echo "$rounds rounds, $(<swaps) swaps"
	[[ $rounds -gt 0 && $(<swaps) -gt 100 ]]
}

@test "a racing attacker who swaps the name for links to the victim: it is never touched" {
	need cc
	mkdir d
	before=$(look victim)
	race name d "$T/victim" ./d/x
	untouched
	absent 'Sanitizer\|Bad address' errors
}

@test "a racing attacker who swaps the directory for a link to the victim's: no file there is touched" {
	need cc
	mkdir d his
	for i in x .keep; do
		echo "the victim's" >his/$i
	done
	local was now
	was=$(look his/x his/.keep)
	race parent "$T/d" "$T/his" ./d/x
	now=$(look his/x his/.keep)
	[[ $now == "$was" && $(<his/x) == "the victim's" ]]
	[[ $(ls -A his | sort | tr '\n' ' ') == ".keep x " ]]
}

@test "a job that is a hard link does not empty the file it is" {
	before=$(look victim)
	ipc-spool create ./q
	ipc-spool put ./q /dev/null
	local job
	job=$(find q/new -type f)
	ln -f victim "$job"
	status 0 ipc-spool run ./q -- true
	untouched
	# The same at ack.
	ipc-spool put ./q /dev/null
	job=$(find q/new -type f)
	ln -f victim "$job"
	id=$(ipc-spool take ./q | cut -f1)
	ipc-spool ack ./q "$id" || :
	untouched
}

@test "FIFOs among a spool's files hang nobody" {
	ipc-spool create --max-attempts 1 ./q
	ipc-spool put ./q /dev/null
	status 1 ipc-spool run ./q -- sh -c 'exit 1' || status 0 true
	local why
	why=$(find q/dead -name '*.why')
	[[ -n $why ]]
	rm "$why"
	mkfifo "$why"
	exec 7<>"$why"
	status 0 timeout 20 ipc-spool ls ./q
	exec 7<&-
	ipc-spool put ./q /dev/null
	ipc-spool run --keep-output ./q -- echo out || ipc-spool run ./q -- echo out
	local id
	id=$(find q/done -name '*.s0*' | sed 's,.*/\([0-9]*\)\..*,\1,' | tail -n 1)
	rm -f "$(dirname "$(find q/done -name "$id.*.s0*")")/$id.out"
	mkfifo "$(dirname "$(find q/done -name "$id.*.s0*")")/$id.out"
	code=0
	timeout 20 ipc-spool wait --output ./q "$id" >out 2>err </dev/null || code=$?
	[[ $code != 124 ]]
	rm q/format
	mkfifo q/format
	exec 7<>q/format
	status 65 timeout 20 ipc-spool ls ./q
	exec 7<&-
}

@test "a group shares a spool of mode 2770, and nobody else; rm takes nothing that is not a spool's" {
	need_root
	place
	local member=(setpriv --reuid=65534 --regid=65533 --clear-groups) other=(setpriv --reuid=65534 --regid=65532 --clear-groups)
	(umask 077 && ipc-spool create -m 2770 "$P/q" && chgrp -R 65533 "$P/q")
	find "$P/q" -type d -exec chmod g+s {} +
	ipc-spool put "$P/q" - <<<mine
	status 77 "${other[@]}" "$BIN/ipc-spool" put "$P/q" /dev/null
	status 77 "${other[@]}" "$BIN/ipc-spool" take -n "$P/q"
	status 0 "${member[@]}" "$BIN/ipc-spool" run "$P/q" -- cat
	[[ $output == mine ]]
	status 0 "${member[@]}" "$BIN/ipc-spool" put "$P/q" /dev/null
	status 0 ipc-spool run "$P/q" -- true
	echo "not a job" >"$P/q/README"
	ipc-spool rm --force "$P/q" 2>err || :
	[[ $(<"$P/q/README") == "not a job" ]]
}

@test "names that another user has taken first: -x says so; queues, semaphores, segments" {
	need_root
	local n=posix:/ipcbox-sec-$$-$BATS_TEST_NUMBER k=sysv:$((0x5ec40000 + $$)) o v bad=
	for o in "$n" "$k"; do
		for v in "mq create --depth 1 -S 16" "sem create --value 1" "shm create -S 64"; do
			# shellcheck disable=SC2086
			as_nobody "$BIN/ipc-${v%% *}" ${v#* } -m 0666 "$o" 2>err || { cat err; bad="$bad nobody:$v:$o"; }
			# shellcheck disable=SC2086
			status 73 "ipc-${v%% *}" ${v#* } -x "$o" || bad="$bad $v:$o"
			"ipc-${v%% *}" rm "$o"
		done
	done
	[[ -z $bad ]] || { echo "$bad"; false; }
}

@test "whose command /proc hides from a user, that one is not named to him" {
	need_root
	place
	unshare -m mount -t proc -o hidepid=2 proc /proc 2>/dev/null || skip "no /proc of our own"
	(umask 022 && : >"$P/l")
	mkfifo up
	bg ipc-lock run "$P/l" -- sh -c 'echo >up; exec sleep 4321'
	read -r -t 20 <up
	status 75 as_nobody "$BIN/ipc-lock" run -n -s "$P/l" -- true
	[[ $stderr == *"ipc-lock run"* ]]
	status 75 unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' sh \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/ipc-lock" run -n -s "$P/l" -- true
	[[ $stderr != *"ipc-lock run $P"* && $stderr != *4321* ]]
}

@test "a socket's path: a live server's is left alone, a dead one's replaced, another's file never" {
	ready ipc-sock serve --echo --ready-fd 8 ./s
	status 75 ipc-sock serve --echo ./s
	[[ $(echo live | ipc-sock connect ./s) == live ]]
	kill -KILL "$PID"
	wait "$PID" || :
	[[ -S s ]]
	ready ipc-sock serve --echo --ready-fd 8 ./s
	[[ $(echo new | ipc-sock connect ./s) == new ]]
	before=$(look victim)
	ln -s victim link
	for o in ./victim ./link; do
		for v in "ipc-sock serve --echo" "ipc-door serve" "ipc-fdstore serve" "ipc-recvfd --listen" "ipc-sock recv -t dgram"; do
			local rest=()
			[[ $v != *door* ]] || rest=(-- true)
			code=0
			# shellcheck disable=SC2086
			timeout 20 $v $o "${rest[@]}" </dev/null >out 2>&1 3>&- || code=$?
			[[ $code != 0 && $code != 124 ]] || { echo "$v $o: $code"; false; }
		done
	done
	untouched
	[[ -L link ]]
}

@test "names with control characters cannot drive a terminal: errors, tables, plain lists, JSON" {
	local esc=$'\e]0;owned\a' c1=$'\xc2\x9b31m' raw=$'\x9b31m' nl=$'a\nipc-lock: all is well'
	local n
	for n in "$esc" "$c1" "$raw" "$nl"; do
		mkdir -p "d$n"
		for v in "ipc-event set" "ipc-fifo read -n" "ipc-lock test" "ipc-spool ls" "ipc-sock send -n" \
			"ipc-sem get" "ipc-ring get -n" "ipc-door call" "ipc-lock stat"; do
			# shellcheck disable=SC2086
			$v "./no$n/x" </dev/null >out 2>err || :
			[[ $(wc -l <err) -le 1 ]] || { echo "$v"; cat err; return 1; }
			absent $'[\x01-\x09\x0b-\x1f\x7f]' err out
			absent $'\x9b' err out
		done
		mkfifo "d$n/f"
		ipc-fifo stat "./d$n/f" >out
		ipc-fifo stat -J "./d$n/f" >>out
		ipc-sem create "./d$n/s"
		ipc-sem stat "./d$n/s" >>out
		ipc-sem stat -J "./d$n/s" >>out
		ipc-lock run "./d$n/l" -- ipc-lock stat "./d$n/l" >>out
		ready ipc-sock serve --echo --ready-fd 8 "./d$n/k"
		ipc-sock stat "./d$n/k" >>out
		ipc-sock stat -J "./d$n/k" >>out
		kill "$PID"
		[[ -s out ]]
		absent $'[\x01-\x09\x0b-\x1f\x7f]' out
		absent $'\x9b' out
	done
}

@test "a process's command line cannot drive a terminal where holders are told" {
	ready ipc-lock run --ready-fd 8 ./l -- sleep 60 2>/dev/null || {
		mkfifo up
		bg ipc-lock run ./l -- bash -c 'echo >up; read -r -t 60 <> <(:) || :' $'\e[31m\xc2\x9b32m\x9b33m'
		read -r -t 20 <up
	}
	status 75 ipc-lock run -n ./l -- true
	[[ $stderr == *"held by"* ]]
	absent $'[\x01-\x09\x0b-\x1f\x7f\x9b]' .err
	status 0 ipc-lock stat ./l
	absent $'[\x01-\x09\x0b-\x1f\x7f\x9b]' .out
}

@test "the host that a lock file names cannot drive a terminal" {
	mkdir d
	ipc-lock run --family dotlock ./d/l -- cp d/l kept
	sed $'s/[0-9a-f-]\\{36\\} /00000000-0000-0000-0000-000000000000 /; s/[^ ]*$/\e[31mhost/' kept >d/l
	status 1 ipc-lock test -v --family dotlock ./d/l
	[[ $output == *'^[[31mhost'* ]]
	status 75 ipc-lock run -n --family dotlock ./d/l -- true
	[[ $stderr == *'^[[31mhost'* ]]
}

@test "an abstract name that another user has taken gets no descriptor: sendfd, recvfd, fdstore" {
	need_root
	need python3 nobody_python
	local name=ipcbox-sec-$$-$BATS_TEST_NUMBER
	(cd / && exec setpriv --reuid=65534 --regid=65534 --clear-groups env PATH=/usr/bin:/bin python3 -c '
import os, socket, sys, threading
def serve(kind, name):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind("\0" + name); s.listen(9); os.write(1, b"up\n")
    while True:
        c, _ = s.accept()
        c.settimeout(10)
        try:
            fds = socket.recv_fds(c, 100, 10)[1]
        except OSError:
            fds = []
        os.write(1, b"got %d\n" % len(fds))
threading.Thread(target=serve, args=(socket.SOCK_STREAM, sys.argv[1])).start()
serve(socket.SOCK_SEQPACKET, sys.argv[1] + ".seq")
' "$name") >log 3>&- 4>&- &
	until_true eval '[[ $(grep -c up log) == 2 ]]'
	status 77 ipc-sendfd "@$name" 0
	status 77 ipc-recvfd -w 20 "@$name"
	status 77 ipc-fdstore store "@$name.seq" x 0
	until_true eval '[[ $(grep -c got log) == 3 ]]'
	absent 'got [1-9]' log
	# Who wants the name now is told, and does not share it.
	status 75 ipc-sock serve --echo "@$name"
	status 75 ipc-fdstore serve "@$name.seq"
}

@test "abstract servers let in root and their own user only; --allow others" {
	need_root
	local name=ipcbox-sec-$$-$BATS_TEST_NUMBER
	ready ipc-sock serve --echo --ready-fd 8 "@$name"
	[[ $(echo x | ipc-sock connect "@$name") == x ]]
	[[ -z $(echo x | as_nobody "$BIN/ipc-sock" connect "@$name" 2>/dev/null) ]]
	ready ipc-sock serve --echo --allow gid:65534 --ready-fd 8 "@$name.2"
	[[ $(echo x | as_nobody "$BIN/ipc-sock" connect "@$name.2") == x ]]
}

@test "where the kernel does not tell who connects, --allow is refused, not believed" {
	status 64 timeout 20 ipc-sock serve --echo --allow any tcp:127.0.0.1:0
	status 64 timeout 20 ipc-sock serve --echo --max-per-uid 1 tcp:127.0.0.1:0
}

@test "a door: others are not let in; when they are, they pass no LD_PRELOAD, PATH or IFS" {
	need_root
	need nobody
	place
	ready ipc-door serve --ready-fd 8 "$P/shut" -- true
	chmod 666 "$P/shut"
	status 77 as_nobody "$BIN/ipc-door" call "$P/shut"
	ready ipc-door serve --allow any --pass OK --ready-fd 8 "$P/open" -- sh -c 'echo "$IPC_PEER_UID:$LD_PRELOAD:$PATH"'
	status 0 as_nobody env LD_PRELOAD= "$BIN/ipc-door" call "$P/open"
	[[ $output == "65534::$PATH" ]]
	for v in LD_PRELOAD PATH IFS BASH_ENV LD_LIBRARY_PATH; do
		status 77 as_nobody "$BIN/ipc-door" call --pass $v "$P/open"
	done
	status 0 as_nobody env OK=1 "$BIN/ipc-door" call --pass OK "$P/open"
}

@test "a door: the handler's identity variables are the kernel's, whatever the caller says" {
	ready ipc-door serve --ready-fd 8 ./d -- sh -c 'echo "$IPC_PEER_UID $IPC_PEER_PID"'
	for v in IPC_PEER_UID IPC_PEER_PID IPC_OBJECT LISTEN_FDS NOTIFY_SOCKET; do
		code=0
		IPC_PEER_UID=0 IPC_PEER_PID=1 ipc-door call --pass $v ./d >out 2>err </dev/null || code=$?
		[[ $code == 6[45] || $code == 77 ]]
	done
	status 0 env IPC_PEER_UID=12345 ipc-door call ./d
	[[ $output == "$(id -u) "* ]]
}

# flood TYPE ADDR: 200 connections, silent, then as many with rubbish, descriptors and half messages.
flood() {
	cat >flood.py <<-'EOF'
		import os, socket, sys
		quiet = []
		def conn():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		    s.settimeout(5)
		    try:
		        s.connect(sys.argv[1])
		    except OSError:
		        pass
		    quiet.append(s)
		    return s
		for i in range(200):
		    conn()
		for i in range(200):
		    s = conn()
		    try:
		        if i % 4 == 0:
		            s.send(os.urandom(3000))
		        elif i % 4 == 1:
		            socket.send_fds(s, [b"x"], [0] * 253)
		        elif i % 4 == 2:
		            s.send(b"ipcdoor\0"[: i % 8])
		        else:
		            socket.send_fds(s, [os.urandom(50)], [0, 1, 2])
		            s.close()
		    except OSError:
		        pass
		print("flooded", flush=True)
		sys.stdin.read()
	EOF
	exec python3 flood.py "$1"
}

# flooded ADDR CMD...: CMD works although ADDR is flooded.
flooded() {
	local addr=$1
	shift
	mkfifo hold log
	exec 6<>hold
	flood "$addr" <hold >log 2>err 3>&- 4>&- &
	local p=$! word
	read -r -t 60 word <log
	[[ $word == flooded ]] || { cat err; return 1; }
	status 0 timeout 60 "$@"
	kill "$p"
	wait "$p" || :
	exec 6<&-
	rm hold log
}

@test "flooded with silent, rude and descriptor-laden connections, door, fdstore and sock go on serving" {
	need python3
	ready ipc-door serve --ready-fd 8 ./door -- echo served
	flooded ./door ipc-door call ./door
	[[ $output == served ]]
	local door=$PID
	ready ipc-fdstore serve --ready-fd 8 ./fds
	flooded ./fds ipc-fdstore store ./fds x 0
	# What the flood passed is closed again: few descriptors are left open there.
	[[ $(find "/proc/$PID/fd" "/proc/$door/fd" -mindepth 1 | wc -l) -lt 100 ]]
	ready ipc-sock serve --echo --ready-fd 8 ./sock
	flooded ./sock ipc-sock send ./sock x
	kill -0 "$door"
}

# crowd ADDR [BYTES]: python3 as the user nobody opens connections to ADDR until it is turned away, sends BYTES on
# each of them (the beginning of a call of a door) and holds them until stdin ends. It says how many were kept.
crowd() {
	need python3
	cat >crowd.py <<-'EOF'
		import os, select, socket, struct, sys
		addr, size, door = sys.argv[1], int(sys.argv[2]), int(sys.argv[2]) > 0
		os.setgroups([]); os.setgid(65534); os.setuid(65534)
		kept = []
		for i in range(3000):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if door else socket.SOCK_SEQPACKET)
		    s.settimeout(20)
		    try:
		        s.connect(addr)
		        if door:
		            s.sendall(struct.pack("4sHHII", b"DOOR", 1, 1, 0, size + 1))
		            s.sendall(b"x" * size)
		    except OSError:
		        break
		    kept.append(s)
		    if select.select([s], [], [], 0.002)[0]:
		        break
		print(len(kept), flush=True)
		sys.stdin.read()
	EOF
	exec python3 crowd.py "$@"
}

# crowded ADDR BYTES: a crowd is there, $kept of them; $CROWD is its pid.
crowded() {
	mkfifo hold log
	exec 6<>hold
	crowd "$@" <hold >log 2>err 3>&- 4>&- &
	CROWD=$!
	read -r -t 100 kept <log || { cat err; return 1; }
	rm hold log
}

@test "a descriptor store: no other user's connections keep the rest out, least of all its owner" {
	need root python3
	chmod 755 .
	ready ipc-fdstore serve --allow any --ready-fd 8 ./fds
	crowded ./fds 0
	[[ $kept -gt 10 && $kept -lt 1024 ]]
	status 71 as_nobody "$BIN/ipc-fdstore" ls ./fds
	[[ $stderr == *"this user has too many connections"* ]]
	status 0 ipc-fdstore store -w 20 ./fds x 0
	status 0 setpriv --reuid=65533 --regid=65533 --clear-groups "$BIN/ipc-fdstore" ls -w 20 ./fds
	kill "$CROWD"
	until_true as_nobody "$BIN/ipc-fdstore" ls ./fds
}

@test "a door: unfinished requests of another user take a bounded part of its memory" {
	need root python3
	chmod 755 .
	ready ipc-door serve --allow any --ready-fd 8 ./door -- echo served
	crowded ./door 2090000
	[[ $kept -gt 2 && $kept -lt 12 ]]
	local rss
	rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$PID/status")
	[[ $rss -lt 60000 ]]
	status 71 as_nobody "$BIN/ipc-door" call -w 20 ./door "$(head -c 100000 /dev/zero | tr '\0' x)"
	[[ $stderr == *"too much"* ]]
	status 0 ipc-door call -w 20 ./door
	[[ $output == served ]]
	status 0 setpriv --reuid=65533 --regid=65533 --clear-groups "$BIN/ipc-door" call -w 20 ./door
	kill "$CROWD"
}

@test "--max-per-uid keeps one user from taking all places" {
	ready ipc-sock serve --echo --max-per-uid 2 --ready-fd 8 ./s
	mkfifo hold
	exec 7<>hold
	local i
	for i in 1 2; do
		mkfifo "o$i"
		ipc-sock connect ./s <hold >"o$i" 3>&- &
		exec {fd}<>"o$i"
	done
	until_true eval '[[ $(find /proc/'"$PID"'/fd -lname "socket:*" | wc -l) -ge 3 ]]'
	[[ -z $(echo x | timeout 20 ipc-sock connect ./s 2>/dev/null) ]]
}

@test "a receiver of descriptors takes no more than it may have open, and keeps none of them" {
	need python3
	ready bash -c 'ulimit -n 40; exec ipc-recvfd --listen --ready-fd 8 ./s -- ls /proc/self/fd'
	python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.connect("./s")
try:
    socket.send_fds(s, [b"x"], [0] * 200); s.shutdown(socket.SHUT_WR); s.recv(1)
except OSError: pass
' || :
	code=0
	wait "$PID" || code=$?
	[[ $code == 71 ]]
}

@test "a ring, event or barrier that a writer has filled with lies hangs and crashes nobody" {
	need python3
	ipc-ring create -S 4096 ./ring
	ipc-ring put ./ring one two
	ipc-event set ./event
	ipc-barrier wait -c 1 ./barrier
	for o in ring event barrier; do
		for seed in 1 2 3 4 5 6; do
			cp $o lie
			python3 -c '
import random, sys
r = random.Random(int(sys.argv[1])); f = open("lie", "r+b"); b = bytearray(f.read())
for i in range(64, len(b)):
    if r.random() < (0.02, 0.9)[int(sys.argv[1]) % 2]: b[i] = r.choice((0, 255, 127, 128, r.randrange(256)))
f.seek(0); f.write(b)' $seed
			case $o in
			ring) verbs=("get -n" "put -n ./lie x" stat close) ;;
			event) verbs=("wait -n" set stat clear) ;;
			*) verbs=("wait -n -c 2" stat break) ;;
			esac
			for v in "${verbs[@]}"; do
				[[ $v == *./lie* ]] || v="$v ./lie"
				code=0
				# shellcheck disable=SC2086
				timeout 30 ipc-$o $v >out 2>err </dev/null || code=$?
				[[ $code != 124 && $code -lt 128 && $code != 70 ]] || { echo "$o $v $seed: $code"; cat err; return 1; }
			done
		done
	done
}

# locked FILE: a live process of python3 holds the mapped FILE's lock until it is killed; its pid is in $HOLDER.
locked() {
	rm -f holds
	bg python3 -c 'import struct, sys, time, os
f = open(sys.argv[1], "r+b")
f.seek(24); f.write(struct.pack("I", os.getpid())); f.flush()
open("holds", "w").close()
time.sleep(100)' "$1"
	HOLDER=$!
	until_true test -e holds
}

# still_locked FILE: the lock is its holder's, and nothing says that the holder died.
still_locked() {
	[[ $(($(od -An -tu4 -j24 -N4 "$1") & 0x7fffffff)) == "$HOLDER" ]]
}

# no_proc CMD...: with an empty /proc.
no_proc() {
	local as=(unshare -m)
	[[ $(id -u) == 0 ]] || as=(unshare -rm)
	"${as[@]}" sh -c 'mount -t tmpfs none /proc || exit 99; exec "$@"' sh "$@"
}

@test "who cannot read the boot id voids no lock of a mapped file, and makes no file that says so" {
	need python3
	program "a shell has its own descriptors"
	ipc-ring create -S 4096 ./r
	ipc-ring put ./r kept
	locked r
	boot=$(od -An -tx1 -j32 -N16 r)
	# One descriptor is left: the file's own.
	status 124 sh -c 'ulimit -n 4; exec ipc-ring put -w 1 ./r x 3>&-'
	still_locked r
	# The loader of a dynamic program needs one, too.
	local lack=71
	grep -q -e -static "$IPCBOX_BUILD/flags" || lack=127
	status $lack sh -c 'ulimit -n 3; exec ipc-ring put -w 1 ./r x'
	still_locked r
	no_proc true 2>/dev/null || skip "no mount namespaces here"
	if [[ $(stat -fc %T .) != tmpfs ]]; then
		status 71 no_proc ipc-ring put -w 1 ./r x
		[[ $stderr == *"read /proc/sys/kernel/random/boot_id: No such file"* ]]
		status 71 no_proc ipc-event set ./new
		[[ $stderr == *boot_id* && ! -e new ]]
	fi
	still_locked r
	[[ $(od -An -tx1 -j32 -N16 r) == "$boot" ]]
	# Its death is proved: the kernel knows no such process.
	kill -KILL "$HOLDER"
	wait "$HOLDER" || :
	status 0 ipc-ring put -w 20 ./r x
	# What lies in memory is of this boot.
	[[ $(stat -fc %T /dev/shm) == tmpfs ]] || skip "no tmpfs at /dev/shm"
	N=/dev/shm/ipcbox-sec-$$-$BATS_TEST_NUMBER
	ipc-ring create -S 4096 "$N"
	locked "$N"
	status 124 no_proc ipc-ring put -w 1 "$N" x
	still_locked "$N"
	# And back again: who can read it.
	status 124 ipc-ring put -w 1 "$N" x
	still_locked "$N"
	rm "$N"
}

@test "a dotlock whose holder cannot be looked at is held: no descriptor left, no /proc, hidepid" {
	program "a shell has its own descriptors"
	mkfifo up
	bg ipc-lock run --family dotlock ./d -- sh -c 'echo >up; exec sleep 60'
	read -r -t 20 <up
	before=$(cat d)
	for n in 3 4 5 6 7 8 9; do
		code=0
		# shellcheck disable=SC2016
		sh -c 'ulimit -n $1; exec ipc-lock run -n --family dotlock ./d -- echo STOLEN' sh $n >out 2>err 3>&- || code=$?
		[[ ($code == 75 || $code == 71 || $code == 127) && ! -s out ]] || { echo "$n: $code"; cat err; false; }
	done
	[[ $(cat d) == "$before" ]]
	no_proc true 2>/dev/null || skip "no mount namespaces here"
	status 75 no_proc ipc-lock run -n --family dotlock ./d -- echo STOLEN
	# Nor is a lock taken that nobody could judge later.
	status 71 no_proc ipc-lock run -n --family dotlock ./new -- echo taken
	[[ $stderr == *"/proc/"* && ! -e new ]]
	[[ $(cat d) == "$before" ]]
	need root
	unshare -m mount -t proc -o hidepid=2 proc /proc 2>/dev/null || skip "no /proc of our own"
	place
	cp d "$P/d"
	chmod 666 "$P/d"
	chmod 777 "$P"
	status 75 unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' sh \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/ipc-lock" run -n --family dotlock "$P/d" -- echo STOLEN
	[[ $(cat "$P/d") == "$before" ]]
}

@test "a ring that a process of another pid namespace holds is not repaired" {
	need python3
	local as=(unshare -pfm)
	[[ $(id -u) == 0 ]] || as=(unshare -rpfm)
	"${as[@]}" --mount-proc true 2>/dev/null || skip "no pid namespaces here"
	ipc-ring create -S 4096 ./r
	# Its pid there is none here.
	bg "${as[@]}" --mount-proc sh -c 'ipc-ring put ./r x; exec python3 -c "
import struct, time
f = open(\"r\", \"r+b\")
f.seek(24); f.write(struct.pack(\"I\", 4194300)); f.flush()
open(\"holds\", \"w\").close()
time.sleep(60)"'
	until_true test -e holds
	status 124 ipc-ring put -w 3 ./r y
	[[ $(($(od -An -tu4 -j24 -N4 r) & 0x7fffffff)) == 4194300 ]]
}

@test "what is in use is not called unused by who cannot see the users: hidepid, no descriptor left" {
	need nobody
	program "a shell has its own descriptors"
	need root python3
	unshare -m mount -t proc -o hidepid=2 proc /proc 2>/dev/null || skip "no /proc of our own"
	place
	chmod 777 "$P"
	mkfifo -m 666 "$P/f.fifo"
	bg python3 -c 'import sys, time
f = open(sys.argv[1], "r+b", buffering=0)
open("up", "w").close()
time.sleep(60)' "$P/f.fifo"
	until_true test -e up
	status 0 unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' sh \
		setpriv --reuid=65534 --regid=65534 --clear-groups env IPC_DIR="$P" "$BIN/ipc-ls" -J -t fifo
	[[ $output == *f.fifo* && $output != *'"stale":"'* ]]
	# A segment that is mapped is not cut.
	ipc-shm create -S 8192 ./s
	rm up
	bg python3 -c 'import mmap, time
f = open("s", "r+b")
m = mmap.mmap(f.fileno(), 8192)
open("up", "w").close()
time.sleep(60)'
	until_true test -e up
	for n in 3 4 5 6 7 8; do
		code=0
		sh -c 'ulimit -n $1; exec ipc-shm resize -S 4096 ./s' sh $n >out 2>err 3>&- || code=$?
		[[ $code != 0 && $(stat -c %s s) == 8192 ]] || { echo "$n: $code"; cat err; false; }
	done
}

@test "-n and -w bound the wait for a lock that goes to and fro between two live processes" {
	need python3
	ipc-ring create -S 4096 ./r
	ipc-event set ./e
	status 124 ipc-barrier wait -w 0 -c 2 ./b
	for verb in "r ipc-ring get" "r ipc-ring put" "e ipc-event wait" "b ipc-barrier wait -c 2"; do
		# shellcheck disable=SC2086
		set -- $verb
		local f=$1 data=()
		shift
		[[ $2 != put ]] || data=(x)
		bg python3 -c 'import mmap, os, struct, sys, time
f = open(sys.argv[1], "r+b")
m = mmap.mmap(f.fileno(), 64)
pids = os.getpid(), os.fork() or time.sleep(100)
while pids[1]:
    for p in pids: struct.pack_into("I", m, 24, p)
    open("up", "w").close()' "$f"
		p=$!
		until_true test -e up
		code=0
		timeout 60 "$@" -n ./"$f" "${data[@]}" >out 2>err </dev/null || code=$?
		[[ $code == 75 ]] || { echo "$verb -n: $code"; cat err; false; }
		code=0
		timeout 60 "$@" -w 1 ./"$f" "${data[@]}" >out 2>err </dev/null || code=$?
		[[ $code == 124 && -s err ]] || { echo "$verb -w 1: $code"; cat err; false; }
		kill -KILL $p
		rm up
	done
}

@test "who may open a mapped file can hold up others, but not for ever" {
	need python3
	ipc-event set ./e
	# As if it were of another boot, with the lock of that held.
	printf 'XXXX' | dd of=e bs=1 seek=32 conv=notrunc 2>/dev/null
	mkfifo up
	bg flock ./e sh -c 'echo >up; exec sleep 60'
	read -r -t 20 <up
	code=0
	timeout 50 ipc-event wait -n ./e >out 2>err </dev/null || code=$?
	[[ $code == 124 && $(<err) == *"timed out"* ]]
	# A lock word that names a process which cannot have it.
	ipc-event set ./f
	printf '\1\0\0\0' | dd of=f bs=1 seek=24 conv=notrunc 2>/dev/null
	code=0
	timeout 50 ipc-event set ./f >out 2>err </dev/null || code=$?
	[[ $code == 0 || $code == 75 || $code == 76 ]]
}

@test "signals reach nobody who has the number later, and no other user's processes" {
	local start
	bg sleep 60
	p=$!
	start=$(sed 's/.*) //' /proc/$p/stat | cut -d' ' -f20)
	code=0
	ipc-signal send TERM "$p:$((start + 1))" 2>err || code=$?
	[[ $code != 0 ]]
	kill -0 $p
	if [[ $(id -u) == 0 ]]; then
		status 77 as_nobody "$BIN/ipc-signal" send KILL $p
		status 77 as_nobody "$BIN/ipc-signal" stop $p
		kill -0 $p
	fi
	status 0 ipc-signal send TERM "$p:$start"
}

@test "queues and named semaphores: the kernel's modes, 0600 by default, decide" {
	need_root
	umask 0
	local q=/ipcbox-sec-$$-$BATS_TEST_NUMBER k=sysv:$((0x5ec00000 + $$))
	if ipc-mq create --depth 1 -S 16 "$q" 2>err; then
		status 77 as_nobody "$BIN/ipc-mq" send -n "$q" x
		status 77 as_nobody "$BIN/ipc-mq" rm "$q"
		ipc-mq rm "$q"
	fi
	ipc-sem create "posix:$q"
	status 77 as_nobody "$BIN/ipc-sem" try "posix:$q"
	ipc-sem rm "posix:$q"
	ipc-sem create "$k"
	status 77 as_nobody "$BIN/ipc-sem" try "$k"
	status 77 as_nobody "$BIN/ipc-sem" rm "$k"
	ipc-sem rm "$k"
	ipc-mq create --depth 1 -S 16 "$k"
	status 77 as_nobody "$BIN/ipc-mq" send -n "$k" x
	ipc-mq rm "$k"
}

@test "sticky directories: an object that another has made is used, not replaced; -x says that it is there" {
	need_root
	place
	mkdir -m 1777 "$P/tmp"
	as_nobody "$BIN/ipc-event" set -m 0666 "$P/tmp/e"
	status 0 ipc-event set "$P/tmp/e"
	[[ $(stat -c %u "$P/tmp/e") == 65534 ]]
	as_nobody "$BIN/ipc-ring" create -m 0666 -S 4096 "$P/tmp/r"
	status 73 ipc-ring create -x -S 4096 "$P/tmp/r"
	ipc-event set "$P/tmp/mine"
	status 77 as_nobody "$BIN/ipc-event" rm "$P/tmp/mine"
	[[ -e $P/tmp/mine ]]
}

# gets COMMAND...: the CMD at its end has just the descriptors that one of a shell has.
gets() {
	"$@" sh -c 'ls /proc/self/fd' </dev/null >out 3>&- 4>&-
	diff plain out || { echo "$*"; return 1; }
}

@test "a command gets no descriptor that it was not given" {
	sh -c 'ls /proc/self/fd' </dev/null >plain 3>&- 4>&-
	ipc-event set ./e
	ipc-ring create -S 4096 ./r
	ipc-ring put ./r x
	echo job | ipc-spool put ./q >/dev/null
	local q=/ipcbox-sec-$$-$BATS_TEST_NUMBER
	gets ipc-lock run ./l --
	gets ipc-lock run --family dotlock ./m --
	gets ipc-sem run ./s --
	gets ipc-event wait ./e --
	gets ipc-barrier wait -c 1 ./b --
	gets ipc-signal run --
	gets ipc-ring get ./r --
	gets ipc-spool run ./q --
	if ipc-mq create --depth 1 -S 16 "$q"; then
		ipc-mq send "$q" x
		gets ipc-mq recv "$q" --
		ipc-mq rm "$q"
	fi
	ready ipc-door serve --ready-fd 8 ./d -- sh -c 'ls /proc/self/fd'
	ipc-door call ./d </dev/null >out
	diff plain out
	ready ipc-sock serve --ready-fd 8 ./k -- sh -c 'ls /proc/self/fd'
	ipc-sock connect ./k </dev/null >out
	diff plain out
}
