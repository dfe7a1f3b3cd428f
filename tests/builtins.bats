#!/usr/bin/env bats
# The applets loaded into bash: what runs in the shell's own process does the same as the program, and leaves
# the shell as it was.
load helper
load builtins

local_setup() {
	with_builtins
}

inproc() { # lines "APPLET VERB" of the verbs that run in-process
	ipcbox --spec | awk -F'\t' '$1 == "verb" && $4 ~ /inproc/ && $3 != "-" { print $2, $3 }'
}

@test "all applets load, are builtins, and unload" {
	status 0 shell 'type -t ipc-event; enable -d ipc-event; type -t ipc-event || echo gone'
	[[ $output == $'builtin\ngone' ]]
	printf '%s\n' "${applets[@]}" | sort >want
	shell 'enable -a' | sed -n 's/^enable \(ipc-\)/\1/p' | sort | diff -u want -
}

@test "loading and unloading again and again leaves no mapping behind" {
	status 0 shell "for i in {1..50}; do enable -f '$SO' ipc-event; ipc-event set x; enable -d ipc-event; done
		enable -d ${applets[*]} 2>/dev/null
		grep -c ipcbox.so /proc/\$\$/maps"
	[[ $output == 0 ]] || status 0 shell "enable -d ${applets[*]}; ! grep ipcbox.so /proc/\$\$/maps"
} 2>/dev/null

@test "an in-process verb starts no process" {
	need strace
	printf '%s\n' 'ipc-event set x' 'ipc-event stat x >/dev/null' >commands
	{ cat load commands; } >script
	strace -f -qq -e trace=%process -o trace bash script
	status 1 grep -E 'fork|clone|vfork' trace
	{ cat load; echo 'ipc-event wait x -- true'; } >script
	strace -f -qq -e trace=%process -o trace bash script
	grep -qE 'fork|clone' trace
}

@test "a builtin is the same object as the program's" {
	shell 'ipc-event set here'
	ipc-event wait -n here
	ipc-event clear here
	status 75 shell 'ipc-event wait -n here'
}

@test "status, stdout and message are those of the program, for every in-process verb" {
	local args
	while read -r a v; do
		# What ls shows are the machine's objects, which other tests make and remove meanwhile.
		[[ $v != ls ]] || continue
		# Only a shell can hold what it names.
		[[ $a != ipc-lock || $v != acquire && $v != release ]] || continue
		for args in --help --no-such-option "" "-n ./missing/object" "-n ./missing/object x y z" "-n 'bad	name'" "-w nonsense x"; do
			printf '%s %s %s\n' "$a" "$v" "$args" >line
			local s1=0 s2=0
			(eval "$(<line)") >1 2>1.err </dev/null || s1=$?
			shell "$(<line)" >2 2>2.err </dev/null || s2=$?
			[[ $s1 == "$s2" ]] || { echo "$(<line): builtin $s2, program $s1"; cat 1.err 2.err; false; }
			diff 1 2
			diff 1.err 2.err
		done
	done < <(inproc)
}

@test "a verb that is not for this process runs as the program, with its status" {
	status 0 shell 'ipc-event set x; ipc-event wait x -- echo ran'
	[[ $output == ran ]]
	status 7 shell 'ipc-barrier wait -c 1 b -- sh -c "exit 7"'
	status 143 shell 'ipc-event set x; ipc-event wait x -- sh -c "kill -TERM \$\$"'
	# The child has the shell's exported variables, those of this one command included.
	status 0 shell 'export A=1; ipc-event set x; B=2 ipc-event wait x -- sh -c "echo \$A\$B"'
	[[ $output == 12 ]]
	cp "$SO" lonely.so
	status 127 env PATH=/usr/bin:/bin bash -c "enable -f ./lonely.so ipc-event; ipc-event wait x -- true"
	[[ $stderr == *IPCBOX* ]]
	status 0 bash -c "enable -f ./lonely.so ipc-event; ipc-event set x; ipc-event wait x -- true"
	status 0 env PATH=/usr/bin:/bin bash -c "enable -f ./lonely.so ipc-event; IPCBOX=$BIN/ipcbox; ipc-event set x; ipc-event wait x -- true"
}

@test "redirections, pipes and command substitution work on builtins" {
	status 0 shell 'ipc-event set x; ipc-event stat x >file; a=$(ipc-event stat x); [[ $a == "$(<file)" && -n $a ]]
		ipc-event stat x | grep -c state
		ipc-event stat nonesuch 2>err; grep -c nonesuch err
		echo before; ipc-event stat x >&-; echo $?; echo after'
	[[ $output == $'1\n1\nbefore\n74\nafter' ]]
	status 0 shell 'ipc-event set x; ipc-event stat x >/dev/full; echo $?; ipc-event stat x >/dev/null; echo $?'
	[[ $output == $'74\n0' ]]
}

@test "a thousand calls, good and bad, change nothing in the shell" {
	cat >commands <<-'EOF'
		state() {
			# Read by the shell itself: while it forks, it blocks signals for a moment. And first: a trap for a
			# child that has ended can cost it a line.
			while read -r k v; do
				case $k in Sig[BIP]* | Shd* | Threads*) echo "$k $v" ;; esac
			done </proc/$$/status
			for f in /proc/$$/fd/*; do echo "${f##*/} $(readlink "$f")"; done | grep -vE 'pipe:|/before|/after|/fd/| $'
			trap -p
			umask
			pwd
			jobs
		}
		trap 'echo usr1' USR1
		trap 'echo pipe' PIPE
		trap 'echo child' CHLD
		ipc-event set x
		ipc-event wait -n nothing 2>/dev/null
		state >before
		for ((i = 0; i < 250; i++)); do
			ipc-event set x
			ipc-event wait -n x
			ipc-event wait -w 1ms nothing
			ipc-event stat --no-such-option
		done >/dev/null 2>&1
		state >after
		kill -USR1 $$
	EOF
	status 0 shell "$(<commands)"
	[[ $output == *usr1* ]]
	diff -u before after | head -n 40
	cmp before after
}

@test "the shell's memory does not grow with the number of calls" {
	status 0 shell 'ipc-event set x; ipc-event stat x >/dev/null
		grow() { for ((i = 0; i < $1; i++)); do ipc-event set x; ipc-event stat -o seq x >/dev/null; ipc-event stat y; done 2>/dev/null
			sed -n "s/VmData:[^0-9]*\([0-9]*\).*/\1/p" /proc/$$/status; }
		a=$(grow 1); grow 500 >1; grow 2000 >2; cat 1 2'
	read -r -d '' one two <<<"$output" || :
	((two - one <= 300)) || { echo "$one -> $two kB"; false; }
}

@test "a waiting builtin ends with -w, by ^C, and wakes when the event is set" {
	status 124 shell 'ipc-event wait -q -w 20ms never'
	bg shell 'echo $$ >pid; ipc-event wait later; echo $? >result'
	until_true test -s pid
	until_true blocked "$(<pid)"
	ipc-event set later
	wait $!
	until_true test -s result
	[[ $(<result) == 0 ]]
	rm pid
	# SIGINT ends the whole script, as it does while any builtin runs.
	bg env bash -c 'trap - INT; PATH=/usr/bin:/bin; '"$(<load)"'; echo $$ >pid; ipc-event wait never; echo went on >result2'
	local p=$!
	until_true test -s pid
	until_true blocked "$(<pid)"
	kill -TERM "$(<pid)"
	local s=0
	wait $p || s=$?
	[[ $s == 143 && ! -e result2 ]]
}

@test "ipcbox --bash prints the line that loads all, where it is built and where it is installed" {
	# shellcheck disable=SC2016
	status 0 bash -c 'eval "$(ipcbox --bash)"; for n in $(ipcbox --list); do type -t "$n"; done | sort | uniq -c'
	[[ $output =~ ^\ *[0-9]+\ builtin$ ]]
	mkdir -p "it's here/bin" "it's here/lib/bash"
	cp "$IPCBOX_BUILD/ipcbox" "it's here/bin"
	cp "$SO" "it's here/lib/bash"
	# shellcheck disable=SC2016
	status 0 env PATH=/usr/bin:/bin bash -c 'eval "$("./it'\''s here/bin/ipcbox" --bash)"; ipc-event set x; ipc-event wait x -- echo ran'
	[[ $output == ran ]]
	rm "it's here/lib/bash/ipcbox.so"
	status 66 "it's here/bin/ipcbox" --bash
	# Where there is nothing to load, a script can tell.
	# shellcheck disable=SC2016
	status 1 env PATH=/usr/bin:/bin bash -c 'eval "$("./it'\''s here/bin/ipcbox" --bash)"'
}

@test "the line of ipcbox --bash works through what --install made, and a second time in silence" {
	mkdir links
	ipcbox --install -s links
	# shellcheck disable=SC2016
	status 0 env PATH="$PWD/links:/usr/bin:/bin" bash -c 'eval "$(ipcbox --bash)" && eval "$(ipcbox --bash)" && type -t ipc-event'
	[[ $output == builtin && -z $stderr ]]
}

@test "help shows the applet's help" {
	shell 'help ipc-lock' | sed 1d | sed 's/^    //' | diff - <(ipc-lock --help)
}

@test "-v receives into a variable, before the verb or among its options, without a process" {
	status 0 shell 'ipc-ring create -S 4K r; ipc-ring put r "a  b" "" $'"'c\\td'"' e f
		ipc-ring get -v X r; echo "<$X>"; ipc-ring -v X get r; echo "<$X>"; ipc-ring get -w 1 -v X r; echo "<$X>"
		f() { local X; ipc-ring get -v X r; echo "<$X>"; }; f; echo "<$X>"
		declare -A M; ipc-ring -v "M[k]" get r; echo "<${M[k]}>"
		X=before; ipc-ring get -q -n -v X r; echo "$? <$X>"
		ipc-event set e; ipc-event -v S stat -o seq e; echo "<$S>"; ipc-event stat -v S e; echo "$S"'
	[[ $output == $'<a  b>\n<>\n<c\td>\n<e>\n<c\td>\n<f>\n75 <before>\n<1>\nkind manual\nstate set\nseq 1' ]] || { echo "$output"; false; }
	# A line feed at the end of a record is kept, a NUL byte is refused.
	printf 'x\n\n' >two
	status 0 shell 'ipc-ring create -S 4K s; ipc-ring put --raw s <two; ipc-ring get --raw -v X s; printf %s "$X" | cmp - two && echo same
		printf "a\0b" | ipc-ring put --raw s; X=old; ipc-ring get -v X s; echo "$? $X"'
	[[ $output == $'same\n65 old' && $stderr == *"NUL byte"* ]]
	need strace
	{ cat load; echo 'ipc-ring create -S 4K t; ipc-ring put t a b; ipc-ring get -v X t; ipc-ring get -a A t'; } >script
	strace -f -qq -e trace=%process,pipe,pipe2 -o trace bash script
	status 1 grep -E 'fork|clone|pipe' trace
}

@test "-v means verbose where it did" {
	status 0 shell 'ipc-lock test -v name; ipc-event set x; ipc-event stat -v x; echo $?'
	[[ $output == *$'seq 1\n0' ]]
	status 64 shell 'ipc-event stat -v no-name x'
	status 64 shell 'ipc-event -v V wait x -- true'
	status 64 shell 'ipc-event wait -v V x -- true'
}

@test "a received descriptor is bound to a variable, several to an array" {
	echo hello >file
	ipc-sendfd --listen ./s 5 5<file 3>&- &
	status 0 shell 'ipc-recvfd -v FD --retry 10 -w 20 ./s && cat <&"$FD"; exec {FD}<&-'
	[[ $output == hello ]]
	wait $!
	echo world >other
	ipc-sendfd --listen ./t 5 6 5<file 6<other 3>&- &
	status 0 shell 'ipc-recvfd -a FDS --retry 10 -w 20 ./t; cat <&"${FDS[1]}"; echo "${#FDS[@]}"; cat <&"${FDS[0]}"'
	[[ $output == $'world\n2\nhello' ]]
	wait $!
}

@test "what cannot be assigned to is refused before anything is taken" {
	status 0 shell 'ipc-ring create -S 4K r; ipc-ring put r one
		readonly R=1; declare -A M
		ipc-ring get -v R r; echo $?; ipc-ring get -a R r; echo $?; ipc-ring get -a M r; echo $?; ipc-ring get r'
	[[ $output == $'64\n64\n64\none' ]]
	# An integer variable has its value evaluated, which fails and ends the command; the shell goes on.
	status 0 shell 'ipc-ring create -S 4K q; declare -i I; for i in {1..20}; do ipc-ring put q "1 +"; (ipc-ring get -v I q) 2>/dev/null; done
		ipc-ring put q 6*7; ipc-ring get -v I q; echo $I'
	[[ $output == 42 ]]
}

@test "-a receives a batch: what is there, once there is something; or -c N" {
	status 0 shell 'ipc-ring create -S 64K r; seq 1000 | ipc-ring put r; A=(old)
		ipc-ring get -c 3 -a A r; echo "${A[*]}"
		ipc-ring get -a A r; echo "${#A[@]} ${A[0]} ${A[-1]}"
		ipc-ring get -n -q -a A r; echo "$? ${#A[@]}"
		printf "a\nb\0\0c" | ipc-ring put -0 r; ipc-ring get -0 -a A r; echo "${#A[@]}"; printf "<%s>" "${A[@]}"; echo
		ipc-ring put r abcd efgh; ipc-ring get --record-size 4 -a A r; echo "${A[*]}"
		ipc-ring put r "" x; ipc-ring get -a A r; printf "<%s>" "${A[@]}"; echo'
	[[ $output == $'1 2 3\n997 4 1000\n75 997\n3\n<a\nb><><c>\nabcd efgh\n<><x>' ]] || { echo "$output $stderr"; false; }
	local q=/ipcbox-builtins-$$-$BATS_TEST_NUMBER
	status 0 shell "ipc-mq create $q; ipc-mq send $q one two; ipc-mq recv -a A $q; echo \"\${A[*]}\"; ipc-mq send $q three; ipc-mq recv -v X $q; echo \$X; ipc-mq recv -q -n -a A $q; echo \$?; ipc-mq rm $q"
	[[ $output == $'one two\nthree\n75' ]]
}

@test "a lock that the shell holds excludes others, and ends with release, with the shell, with its kill" {
	status 0 shell "ipc-lock acquire l; '$BIN/ipc-lock' run -q -n l -- echo never; echo \$?; ipc-lock release l; '$BIN/ipc-lock' run -n l -- echo free
		ipc-lock acquire -s l; '$BIN/ipc-lock' run -s -n l -- echo shared; '$BIN/ipc-lock' run -q -n l -- true; echo \$?; ipc-lock release l
		ipc-lock acquire ./f; flock -n ./f true; echo \$?; ipc-lock acquire ./f 2>/dev/null; echo \$?; ipc-lock release ./f; flock -n ./f echo free"
	[[ $output == $'75\nfree\nshared\n75\n1\n75\nfree' ]]
	bg shell 'ipc-lock acquire l; echo $$ >pid; read <block'
	mkfifo block
	until_true test -s pid
	status 75 ipc-lock run -q -n l -- true
	kill -KILL "$(<pid)"
	status 0 ipc-lock run -w 20 l -- true
	status 64 ipc-lock acquire l
	status 66 shell 'ipc-lock release l'
	status 66 shell 'ipc-lock release 99'
}

@test "a lock bound to a variable is released by its number; descriptors of the shell are locked as by flock(1)" {
	status 0 shell 'ipc-lock acquire -v A l; ipc-lock -v B acquire m; [[ $A -ge 10 && $B -ge 10 && $A != "$B" && -e /proc/$$/fd/$A ]] && echo bound
		ipc-lock test l; echo $?; ipc-lock release $A; ipc-lock test l; echo $?; [[ -e /proc/$$/fd/$A ]] || echo closed
		ipc-lock test m; echo $?; ipc-lock release "$B"
		ipc-lock acquire -v C l; ipc-lock release l; ipc-lock test l; echo $?
		exec 9>f; ipc-lock acquire 9; flock -n f true; echo $?; ipc-lock release fd:9; flock -n f echo free; echo >&9 && echo open
		ipc-lock 9; flock -n f true; echo $?; ipc-lock -u 9; flock -n f echo free; ipc-lock -n f sh -c "exit 4"; echo $?'
	[[ $output == $'bound\n1\n0\nclosed\n1\n0\n1\nfree\nopen\n1\nfree\n4' ]]
	# The same without a builtin: the description is the shell's.
	exec 9>g
	command ipc-lock acquire -n 9
	status 1 flock -n g true
	command ipc-lock release 9
	exec 9>&-
}

@test "no child of the shell keeps its lock" {
	mkfifo block
	bg shell 'ipc-lock acquire l; (echo >in; read <block) & until [[ -s in ]]; do :; done; sleep 1000 & echo $! >sleeper; echo $$ >pid; wait'
	until_true test -s pid
	status 75 ipc-lock run -q -n l -- true
	kill -KILL "$(<pid)"
	status 0 ipc-lock run -w 20 l -- true
	kill "$(<sleeper)"
	# A subshell has no lock to give back, and cannot take the shell's for its own.
	status 0 shell 'ipc-lock acquire l; (ipc-lock release l; echo $?; ipc-lock acquire -q -n l; echo $?); ipc-lock test l; echo $?; ipc-lock release l; (ipc-lock acquire -n l; echo $?)' 
	[[ $output == $'66\n75\n1\n0' ]]
}

@test "objects stay open from call to call" {
	need strace
	local q=/ipcbox-builtins-$$-$BATS_TEST_NUMBER
	{
		cat load
		cat <<-EOF
			ipc-sem create posix:$q; ipc-mq create $q; ipc-ring create -S 4K r
			for i in {1..50}; do
				ipc-event set e; ipc-lock acquire l; ipc-lock release l; ipc-sem post posix:$q; ipc-sem wait posix:$q
				ipc-mq send $q x; ipc-mq recv -v X $q; ipc-ring put r x; ipc-ring get -v X r
			done
			ipc-sem rm posix:$q; ipc-mq rm $q
		EOF
	} >script
	strace -qq -e trace=openat,open,mq_open,mmap -o trace bash script
	(($(grep -cE '(open|openat)\(.*/(e|l|r)\.' trace) < 20))
	(($(grep -c mq_open trace) < 8 && $(grep -c mmap trace) < 150))
}

@test "what was replaced, moved away or named anew is noticed" {
	status 0 shell 'ipc-ring create -S 4K r; ipc-ring put r old; "'"$BIN"'/ipc-ring" rm r
		ipc-ring put r x 2>/dev/null; echo $?; "'"$BIN"'/ipc-ring" create -S 4K r; ipc-ring put r new; ipc-ring get r
		ipc-event set ./e; mv e f; ipc-event stat ./e 2>/dev/null; echo $?; ipc-event set ./e; ipc-event stat -o seq ./e
		mkdir d; cd d; ipc-event stat ./e 2>/dev/null; echo $?; ipc-event set ./e; cd ..; ipc-event stat -o seq ./d/e
		ipc-lock acquire ./l; ipc-lock release ./l; rm l; ipc-lock acquire ./l; flock -n l true; echo $?; ipc-lock release ./l
		ipc-event set word; IPC_DIR=$PWD/other; export IPC_DIR; ipc-event stat word 2>/dev/null; echo $?; ipc-event set word; ls other'
	[[ $output == $'66\nnew\n66\n1\n66\n1\n1\n66\nword.event' ]]
	local q=/ipcbox-builtins-$$-$BATS_TEST_NUMBER
	status 0 shell "ipc-mq create $q; ipc-mq send $q a; '$BIN/ipc-mq' rm $q; ipc-mq send $q b 2>/dev/null; echo \$?; '$BIN/ipc-mq' create $q; ipc-mq send $q c; '$BIN/ipc-mq' recv -a $q; ipc-mq rm $q
		ipc-sem create --value 3 posix:$q; ipc-sem get posix:$q; '$BIN/ipc-sem' rm posix:$q; '$BIN/ipc-sem' create --value 5 posix:$q; ipc-sem get posix:$q; ipc-sem rm posix:$q; ipc-sem get posix:$q 2>/dev/null; echo \$?"
	[[ $output == $'66\nc\n3\n5\n66' ]]
}

@test "more objects than are kept; a file cut short is an error, then opened anew" {
	status 0 shell 'for i in {1..100}; do ipc-event set e$i; done; for i in {1..100}; do ipc-event -v S stat -o seq e$i; [[ $S == 1 ]] || echo $i; done
		set -- /proc/$$/fd/*; (($# < 120)) && echo bounded
		ipc-ring create -S 64K ./r; ipc-ring put ./r x; : >r; ipc-ring put ./r y 2>/dev/null; echo $?; rm r; ipc-ring create -S 4K ./r; ipc-ring put ./r z; ipc-ring get ./r'
	[[ $output == $'bounded\n65\nz' ]]
}

@test "a trap interrupts a waiting builtin at once, and the script goes on" {
	local verb
	for verb in 'ipc-event wait e' 'ipc-ring get r' 'ipc-lock acquire l' 'ipc-fifo read ./f' "ipc-mq recv -v V /ipcbox-trap-$$"; do
		rm -f pid
		mkfifo f 2>/dev/null || :
		ready ipc-lock run l -- sh -c 'echo >&8; exec sleep 1000'
		local holder=$PID
		bg shell "ipc-ring create -S 4K r; ipc-mq create /ipcbox-trap-$$; trap 'echo trapped' HUP USR1; echo \$\$ >pid
			$verb; echo \$?; $verb; echo \$?; ipc-event set alive && echo alive; ipc-mq rm /ipcbox-trap-$$" >out 2>err
		local p=$!
		until_true test -s pid
		until_true blocked "$(<pid)" || { echo "$verb"; cat out err; false; }
		kill -HUP "$(<pid)"
		until_true grep -q 129 out
		until_true blocked "$(<pid)" || { echo "$verb"; cat out err; false; }
		kill -USR1 "$(<pid)"
		wait $p
		[[ $(<out) == $'trapped\n129\ntrapped\n138\nalive' ]] || { echo "$verb"; cat out err; false; }
		kill "$holder"
		wait "$holder" || :
	done
}

@test "set -e, pipefail, conditions, functions and subshells treat them as any builtin" {
	status 66 shell 'set -e; ipc-event stat none || echo caught; ipc-event stat none; echo not reached'
	[[ $output == caught ]]
	status 7 shell 'set -e; if ! ipc-event wait -n x; then echo no; fi; ipc-lock run l -- sh -c "exit 7"; echo not reached'
	status 0 shell 'set -o pipefail; ipc-event stat none 2>/dev/null | cat; echo "$?"; f() { ipc-event stat none; }; f 2>/dev/null; echo $?
		trap "echo err" ERR; ipc-event stat none 2>/dev/null; ipc-event wait e -n 2>/dev/null; trap - ERR
		(ipc-event set s; exit 3); echo $?; x=$(ipc-event set t; ipc-event stat -o seq t); echo $x; ! ipc-event stat none 2>/dev/null; echo $?'
	[[ $output == $'66\n66\nerr\nerr\n3\n1\n0' ]]
}

@test "statuses of other children are not lost while the program runs, CHLD traps and wait -n work" {
	status 0 shell '(exit 3) & a=$!; sh -c "exit 4" & b=$!; ipc-lock run l -- sh -c "exit 5"; echo $?; wait $a; echo $?; wait $b; echo $?
		ipc-event wait -w 20ms -q x; n=0; trap "((n++))" CHLD; ipc-lock run l -- true; ipc-lock run l -- true; trap - CHLD; ((n >= 2)) && echo chld
		(exit 6) & wait -n; echo $?; ipc-lock run l -- sh -c "kill -9 \$\$"; echo $?'
	[[ $output == $'5\n3\n4\nchld\n6\n137' ]]
}

@test "in the background \$! is the program itself, which a signal reaches" {
	mkfifo go
	bg shell 'ipc-lock run l -- sh -c "echo \$\$ >cmd; exec sleep 1000" & echo $! >job; wait $!; echo $? >status'
	until_true test -s cmd
	until_true test -s job
	[[ $(readlink "/proc/$(<job)/exe") == *ipcbox ]]
	kill -TERM "$(<job)"
	until_true test -s status
	[[ $(<status) == 143 ]]
	status 1 test -e "/proc/$(<cmd)"
}

@test "job control: ^Z stops the program, fg goes on; ^C ends a waiting builtin, not the shell" {
	need python3
	PYTHONPATH=$ROOT/tests PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 - "$SO" 3>&- <<-'EOF'
		import sys, time
		from interactive import asleep, press, say, status, until
		say("enable -f '%s' ipc-lock ipc-event; echo load''ed" % sys.argv[1]); until(b"loaded")
		say("ipc-lock run l -- sh -c 'echo star''ted; sleep 1000'; echo stat''us $?"); until(b"started")
		press(b"\x1a"); until(b"Stopped")
		say("jobs; kill %1; fg; echo ba''ck"); until(b"back")
		say("echo waiti''ng; ipc-event wait never"); until(b"waiting"); time.sleep(0.2); asleep()
		press(b"\x03"); until(b"$ ")
		say("echo status $?."); until(b"status 130.")
		say("trap 'echo tra''pped' INT; echo waiti''ng; ipc-event wait never; echo sta''tus $?."); until(b"waiting"); time.sleep(0.2); asleep()
		press(b"\x03"); until(b"trapped"); say("exit"); status()
	EOF
}

@test "twenty thousand calls of all verbs leave descriptors, memory, handlers and mask as they were" {
	status 0 timeout 300 "$ROOT/tests/torture/builtins.sh" "$IPCBOX_BUILD" 20000
}

@test "a failed write is told, and does not poison the shell's stdout" {
	status 0 shell 'ipc-ring create -S 4K r; for i in 1 2 3; do ipc-ring put r $i; done
		ipc-ring get r >/dev/full; echo $?; ipc-ring get r >&-; echo $?; ipc-ring stat r >/dev/full; echo $?; echo fine; printf "%s\n" too; ipc-ring get r'
	[[ $output == $'74\n74\n74\nfine\ntoo'* ]]
	# The reader has gone: the shell is not killed by SIGPIPE.
	status 0 shell 'ipc-ring create -S 64K q; seq 5000 | ipc-ring put q; { ipc-ring get -c 5000 q; echo $? >&2; } | head -n 1 >/dev/null'
}

@test "after unloading nothing is open, and the shell forks and goes on" {
	status 0 shell "ipc-event set x; ipc-ring create -S 4K r; ipc-ring put r 1; ipc-ring get -v X r; ipc-lock acquire l; enable -d ${applets[*]}
		for f in /proc/\$\$/fd/*; do [[ \${f##*/} -lt 128 || \${f##*/} -ge 250 ]] || echo \$f; done; grep -c ipcbox /proc/\$\$/maps; (echo child); x=\$(echo comsub); echo \$x
		'$BIN/ipc-lock' run -n l -- echo free"
	[[ $output == $'0\nchild\ncomsub\nfree' ]]
}
