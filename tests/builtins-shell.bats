#!/usr/bin/env bats
# The applets loaded into bash, and what bash itself does with signals, traps, jobs, variables and descriptors.
# shellcheck disable=SC2016
load helper
load builtins

local_setup() {
	with_builtins
	export BIN
	mkfifo go
	# Scripts below: say when a verb is waiting, and have others act then.
	cat >>load <<-'EOS'
		exec 7<>go
		# at_ready CMD: run CMD in the background once a verb has written its newline to descriptor 7
		at_ready() { { read -r _ <&7; eval "$1"; } & }
		mask() { # into $mask: what is blocked, ignored and caught, read by the shell itself
			local k v
			mask=
			while read -r k v; do
				case $k in Sig[BIC]*) mask+="$k$v " ;; esac
			done </proc/$$/status
		}
	EOS
}

# ---------------------------------------------------------------- ipc-signal

@test "ipc-signal wait in the shell takes the shell's signals, with sender and value, into variables" {
	status 0 shell 'at_ready "$BIN/ipc-signal send --value 7 USR1 $$; $BIN/ipc-signal send --value -3 RTMIN+1 $$"
		ipc-signal wait -w 20 -c 2 --ready-fd 7 -a got --format "%n %v %u" USR1 RTMIN+1; echo $?
		printf "%s\n" "${got[@]}"; wait
		at_ready "kill -USR2 $$"
		ipc-signal -v one wait -w 20 --ready-fd 7 --format "%n %c" USR2; echo "$? $one"
		ipc-signal wait -n -v one USR2; echo "$? $one"; ipc-signal wait -q -w 20ms -v one USR2; echo "$? $one"'
	[[ $output == $'0\nUSR1 7 '$UID$'\nRTMIN+1 -3 '$UID$'\n0 USR2 user\n75 USR2 user\n124 USR2 user' ]] || { echo "$output"; false; }
}

@test "ipc-signal wait: traps of the same signal run before and behind, not meanwhile; others run" {
	status 0 shell 'trap "echo trap \$here" USR1; trap "echo other" USR2
		here=before; kill -USR1 $$
		here=during; at_ready "kill -USR1 $$"; ipc-signal wait -w 20 --ready-fd 7 --format taken USR1; echo $?; wait
		here=behind; kill -USR1 $$
		at_ready "kill -USR2 $$"; ipc-signal wait -w 20 --ready-fd 7 USR1; echo $?; wait
		here=last; kill -USR1 $$'
	[[ $output == $'trap before\ntaken\n0\ntrap behind\nother\n140\ntrap last' ]] || { echo "$output"; false; }
}

@test "ipc-signal leaves mask and handlers as they were, however it ends" {
	status 0 shell 'trap "echo usr1" USR1; trap "" USR2; mask; before=$mask
		check() { mask; [[ $mask == "$before" ]] || echo "$1: $before, then $mask"; }
		at_ready "kill -USR1 $$"; ipc-signal wait -v X -w 20 --ready-fd 7 USR1 RTMIN TERM; check taken
		wait # or the jobs end comes as CHLD below
		ipc-signal wait -n USR1 RTMAX; check none; ipc-signal wait -q -w 5ms CHLD WINCH INT ALRM; check timeout
		ipc-signal wait KILL; check usage; ipc-signal wait --format %z USR1; check format; ipc-signal wait -n 0; check zero
		ipc-signal send 0 $$; check send; ipc-signal send -v WINCH $$; check winch; ipc-signal ls $$ >ls; check ls
		ipc-signal stop --signal 0 -w 5ms $PPID >/dev/null; check stop; ipc-signal hold HUP; ipc-signal release HUP; check hold
		trap "check trap" HUP; at_ready "kill -HUP $$"; mask; before=$mask; ipc-signal wait -w 20 --ready-fd 7 USR1; check hup' 2>&1
	[[ $output == usr1 || $output == "" ]] || { echo "$output"; false; }
}

@test "ipc-signal wait: what comes behind the last one runs its trap; without a trap it has no effect" {
	need python3
	# Two real-time signals and a standard one are there at once: RTMIN+1 is taken, the others are left.
	cat >three <<-'EOS'
		import os, signal, sys
		p = int(sys.argv[1])
		os.kill(p, signal.SIGSTOP)
		for s in sys.argv[2:]: os.kill(p, int(s))
		os.kill(p, signal.SIGCONT)
	EOS
	status 0 shell 'at_ready "python3 three $$ 35 36 10"
		ipc-signal wait -w 20 --ready-fd 7 --format %n RTMIN+1 RTMIN+2 USR1; echo $?; wait; echo alive
		trap "echo trap USR1" USR1; trap "echo trap RT" RTMIN+2
		at_ready "python3 three $$ 35 36 10 28"
		ipc-signal wait -w 20 --ready-fd 7 --format %n RTMIN+1 RTMIN+2 USR1; echo $?; wait; echo alive'
	sort <<<"$output" >sorted
	[[ $(<sorted) == $'0\n0\nUSR1\nUSR1\nalive\nalive\ntrap RT' ]] || { echo "$output"; false; }
}

@test "hold: what comes between two waits is neither lost, nor runs a trap, nor kills the shell" {
	status 0 shell 'trap "echo trap" USR1
		ipc-signal hold USR1 TERM RTMIN+1
		kill -USR1 $$; kill -TERM $$; for i in 1 2 3; do ipc-signal send --value $i RTMIN+1 $$; done
		echo "still $(echo here)"
		ipc-signal wait -a all --format "%n %v" USR1 TERM RTMIN+1; printf "%s\n" "${all[@]}"
		kill -USR1 $$; ipc-signal wait -n --format %n USR1; ipc-signal wait -n USR1 2>/dev/null; echo $?
		kill -USR1 $$; kill -TERM $$; ipc-signal release; echo released
		kill -USR1 $$; ipc-signal release 2>&1; echo $?; ipc-signal release USR1 2>&1; echo $?'
	[[ $output == $'still here\nUSR1 -\nTERM -\nRTMIN+1 1\nRTMIN+1 2\nRTMIN+1 3\nUSR1\n75\ntrap\nreleased\ntrap\n0\nipc-signal release: USR1 is not held\n66' ]] || { echo "$output"; false; }
	status 64 ipc-signal hold USR1
	status 64 shell 'ipc-signal hold CHLD'
	status 64 shell 'ipc-signal hold STOP'
}

@test "hold: children, subshells and substitutions of the shell do not inherit it; unloading ends it" {
	status 0 shell 'mask() { sed -n "s/^SigBlk:.*\(........\)/\1/p" /proc/self/status; }; a=$(mask); mask >a
		ipc-signal hold USR1 TERM
		mask >b; (mask) >c; b=$(mask); { mask & wait; } >d; ipc-lock run l -- sed -n "s/^SigBlk:.*\(........\)/\1/p" /proc/self/status >e; mask < <(mask >f; echo) >g
		for i in b c d e f g; do cmp a $i; done; [[ $a == "$b" ]] && echo same
		(sh -c "kill -USR1 \$PPID"; sleep 0; echo survived) 2>/dev/null; echo $?
		(ipc-signal release USR1) 2>/dev/null; echo $?
		read -r _ _ < <(sed -n "s/^SigBlk:/x/p" /proc/$$/status); sed -n "s/^SigBlk:.*\(....\)/\1/p" /proc/$$/status
		enable -d '"${applets[*]}"'
		sed -n "s/^SigBlk:.*\(....\)/\1/p" /proc/$$/status'
	[[ $output == $'same\n138\n66\n4200\n0000' ]] || { echo "$output $stderr"; false; }
}

@test "the shell's children are never stolen: wait CHLD tells of them, and their statuses and traps are there" {
	status 0 shell 'mkfifo b; trap "echo chld" CHLD
		{ read -r _ <b; exit 5; } & job=$!
		at_ready "echo >b" ; helper=$!
		ipc-signal wait -w 20 -a ends --ready-fd 7 --format "%n %p %c" -c 1 CHLD; echo $?
		wait $job; echo "job $?"; wait $helper; echo "helper $?"
		[[ ${ends[0]} == "CHLD $job exited" || ${ends[0]} == "CHLD $helper exited" ]] && echo told || echo "${ends[@]}"
		trap - CHLD; (exit 9) & wait $!; echo $?'
	grep -v chld <<<"$output" >rest
	[[ $(<rest) == $'0\njob 5\nhelper 0\ntold\n9' ]] || { echo "$output"; false; }
	[[ $(grep -c chld <<<"$output") == 2 ]] || { echo "$output"; false; }
}

@test "wait CHLD hands the signal on: the shell has reaped its child, and run its trap, by the next command" {
	status 0 shell 'mkfifo b; exec 8<>b; { read -r _ <&8; exit 5; } & job=$!; trap "echo chld" CHLD
		ipc-signal wait -w 20 --ready-fd 8 -v how --format "%p %c" CHLD; echo "after $?"; [[ $how == "$job exited" ]] && echo told; [[ -e /proc/$job ]] || echo reaped; wait $job; echo $?'
	[[ $output == $'chld\nafter 0\ntold\nreaped\n5' ]] || { echo "$output"; false; }
}

@test "children that end while a verb waits do not end it; the CHLD trap runs for each behind it" {
	status 0 shell 'trap "echo chld" CHLD
		mkfifo end; sh -c "read -r _ <end; exit 3" & b=$!; at_ready "echo >end; while kill -0 $b 2>/dev/null; do :; done; ipc-event set e"; a=$!
		ipc-event wait -w 20 --ready-fd 7 e; echo "verb $?"; trap - CHLD
		wait $a; echo "a $?"; wait $b; echo "b $?"; jobs'
	[[ $output == *"verb 0"* && $output == *$'a 0\nb 3' ]] || { echo "$output"; false; }
	[[ $output == *chld* ]]
}

@test "INT during a wait runs the user's trap and ends the verb; without a trap it ends the script" {
	status 0 shell 'trap "echo interrupted" INT; at_ready "kill -INT $$"
		ipc-signal wait -w 20 --ready-fd 7 USR1; echo $?; wait
		at_ready "kill -INT $$"; ipc-signal wait -w 20 --ready-fd 7 --format %n INT; echo $?; wait'
	[[ $output == $'interrupted\n130\nINT\n0' ]] || { echo "$output"; false; }
	local s=0
	shell 'at_ready "kill -INT $$"; ipc-signal wait -w 20 --ready-fd 7 USR1; echo "not reached"' >out 2>&1 || s=$?
	[[ $s == 130 && ! -s out ]] || { echo "$s"; cat out; false; }
	s=0
	shell 'at_ready "kill -TERM $$"; ipc-signal wait -w 20 --ready-fd 7 USR1; echo "not reached"' >out 2>&1 || s=$?
	[[ $s == 143 ]] || { echo "$s"; cat out; false; }
	status 1 grep reached out
}

@test "in the background a wait is ended by what it does not wait for, and takes what it does" {
	status 0 shell 'ipc-signal wait -f --ready-fd 7 --format %n USR1 USR2 >names & p=$!; read -r _ <&7
		until grep -q USR1 names; do kill -USR1 $p; done; until grep -q USR2 names; do kill -USR2 $p; done
		kill -TERM $p; wait $p; echo $?; sort -u names
		(ipc-signal wait -w 20 --ready-fd 7 --format %n USR1; exit 4) & p=$!; read -r _ <&7; kill -USR1 $p; wait $p; echo $?
		for i in {1..20}; do
			ipc-signal wait -c 1 --ready-fd 7 --format %n USR1 >n & p=$!; read -r _ <&7
			while kill -USR1 $p 2>/dev/null; do :; done; wait $p || echo $?
		done; cat n'
	[[ $output == $'143\nUSR1\nUSR2\nUSR1\n4\nUSR1' ]] || { echo "$output $stderr"; false; }
}

# ---------------------------------------------------------------- traps, options, contexts

@test "RETURN, ERR, EXIT and DEBUG traps run around builtins, and interrupted ones in functions" {
	status 7 shell 'trap "echo hup" HUP; trap "ipc-event set done; ipc-event stat -o seq done" EXIT
		f() { trap "echo return" RETURN; at_ready "kill -HUP $$"; ipc-event wait -w 20 --ready-fd 7 never; echo "in f $?"; trap - RETURN; return 3; }
		trap "echo err" ERR; f; echo "f $?"; trap - ERR; wait
		n=0; trap "((++n))" DEBUG; ipc-event set x; trap - DEBUG; ((n > 0)) && echo debug; exit 7'
	[[ $output == $'hup\nin f 129\nerr\nf 3\ndebug\n1' ]] || { echo "$output $stderr"; false; }
}

@test "verbs in trap handlers work, also when another trap is pending" {
	status 0 shell 'ipc-ring create -S 4K r; ipc-event set there
		trap "ipc-ring put r usr1; ipc-event wait -w 20 there; echo \$?; ipc-lock acquire -w 20 l; echo \$?; ipc-lock release l" USR1
		trap "ipc-ring put r usr2; ipc-ring get -v V -w 20 r; echo \$? \$V" USR2
		ipc-signal hold USR1 USR2; kill -USR1 $$; kill -USR2 $$; ipc-signal release
		ipc-ring get -a rest r; echo "${rest[@]}"'
	[[ $output == $'0\n0\n0 usr1\nusr2' ]] || { echo "$output $stderr"; false; }
}

@test "set -u, set -e in functions, posix mode, restricted options and BASH_ENV" {
	status 0 shell 'ipc-ring create -S 4K r; ipc-ring put r a b c d
		ipc-ring get -v unset_before r; ipc-ring get -a arr -c 1 r; ipc-ring get -v "new[2]" r; echo "$unset_before ${arr[*]} ${new[2]}"
		f() { local V; ipc-ring get -v V -w 1 r; echo "$V"; }; f' -u
	[[ $output == $'a b c\nd' ]]
	status 66 shell 'f() { ipc-event stat none; echo never; }; f; echo never' -e
	[[ $output == "" ]]
	status 0 shell 'ipc-event set x; ipc-event stat -v S -o seq x; echo $S; ipc-event wait x -- echo ran; A=1 ipc-event set x; echo "${A-unset}"
		ipc-event stat none 2>/dev/null || echo $?; readonly R; ipc-event stat -v R x 2>/dev/null; echo $?' --posix
	[[ $output == $'1\nran\nunset\n66\n64' ]] || { echo "$output"; false; }
	cat load >env.sh
	status 0 env BASH_ENV=./env.sh PATH=/usr/bin:/bin bash -c 'type -t ipc-event; ipc-event set z; (ipc-event stat -o seq z); bash -c "ipc-event stat -o seq z"'
	[[ $output == $'builtin\n1\n1' ]] || { echo "$output $stderr"; false; }
	status 0 shell 'command ipc-event set y; builtin ipc-event stat -o seq y; time ipc-event set y; ! ipc-event wait -n y; echo $?
		eval "ipc-event stat -o seq y"; ipc-event() { echo function; }; ipc-event set y; unset -f ipc-event; set -x; ipc-event set y; { set +x; } 2>/dev/null'
	[[ $output == $'1\n1\n2\nfunction' ]] || { echo "$output"; false; }
}

@test "pipelines, lastpipe, coprocesses, here-documents, process substitution" {
	status 0 shell 'ipc-ring create -S 64K r; set -o pipefail; seq 3 | ipc-ring put r; ipc-ring get -c 3 r | sort -r | tr "\n" " "; echo $?
		shopt -s lastpipe; ipc-ring put r x y; ipc-ring get -c 2 r | ipc-ring put r; ipc-ring get -a A r; echo "${A[*]}"; shopt -u lastpipe
		: | ipc-event stat none 2>/dev/null; echo $? "${PIPESTATUS[@]}"
		coproc ipc-ring get -f r; ipc-ring put r one two; read -r V <&"${COPROC[0]}"; echo "$V"; kill $COPROC_PID; wait $COPROC_PID 2>/dev/null; echo $?
		ipc-ring rm r; ipc-ring create -S 4K r
		ipc-ring put r <<<"here string"; ipc-ring put r <<-X
			here document
		X
		ipc-ring put r < <(echo process); ipc-ring get -c 3 r > >(cat >copy; echo end >>copy); until grep -q end copy 2>/dev/null; do :; done; cat copy'
	[[ $output == $'3 2 1 0\nx y\n66 0 66\none\n143\nhere string\nhere document\nprocess\nend' ]] || { echo "$output $stderr"; false; }
}

@test "exec: the shell's stdout moves, what replaces the shell inherits nothing of ours" {
	status 0 shell 'ipc-event set x; ipc-lock acquire l; ipc-lock acquire -v F m; exec 3>&1 >file; ipc-event stat -o seq x; echo between; ipc-event stat -o seq x; exec >&3
		cat file; exec 3>&-; exec env -i /bin/ls -l /proc/self/fd'
	[[ $output == $'1\nbetween\n1\n'* ]]
	status 1 grep -E 'event|lock|memfd' <<<"$output"
	status 0 ipc-lock run -n l m -- true
}

@test "disabled, loaded anew and disabled while things are held, in one shell" {
	status 0 shell 'for i in 1 2 3; do
			ipc-lock acquire l; ipc-event set x; ipc-signal hold USR1; ipc-ring create -S 4K "r$i"; ipc-ring get -n -q -v V "r$i"
			enable -d '"${applets[*]}"'; '"'$BIN/ipc-lock'"' run -n l -- true || echo held
			f() { '"$(<load)"'
			}; f >/dev/null 2>&1
		done; ipc-event stat -o seq x; type -t ipc-lock'
	[[ $output == $'3\nbuiltin' ]] || { echo "$output $stderr"; false; }
}

@test "few descriptors: verbs work below a limit of 64, and say what is missing at none" {
	status 0 shell 'ulimit -n 64; for i in {1..40}; do ipc-event set e$i || break; ipc-event -v S stat -o seq e$i || break; done; echo $S $i
		ipc-lock acquire l; ipc-ring create -S 4K r; ipc-ring put r a; ipc-ring get -v V r; echo $V; cat </dev/null && echo lives'
	[[ $output == $'1 40\na\nlives' ]] || { echo "$output $stderr"; false; }
	status 0 shell 'ulimit -S -n 3; ipc-event set f; echo $?; ipc-event -v V stat f; echo "$? ${V-unset}"; ulimit -S -n 64; ipc-event set f; ipc-event -v V stat -o seq f; echo $V'
	[[ $output == $'71\n71 unset\n1' ]] || { echo "$output $stderr"; false; }
}

# ---------------------------------------------------------------- variables

@test "variables of every make: attributes, elements, namerefs, locals, odd names" {
	status 0 shell 'ipc-ring create -S 64K r; put() { ipc-ring put r "$@"; }
		put MiXed; declare -u U; ipc-ring get -v U r; echo "$U"
		put "2 + 3"; declare -i I; ipc-ring get -v I r; echo "$I"
		put exported; declare -x E; ipc-ring get -v E r; sh -c "echo \$E"
		put n1; declare -n N=target; ipc-ring get -v N r; echo "$target"
		put n2; declare -n M="arr[3]"; ipc-ring get -v M r; echo "${arr[3]} ${#arr[@]}"
		put n3 n4; declare -n L=list; ipc-ring get -a L r; echo "${list[*]}"
		put e; i=4; ipc-ring get -v "arr[i + 1]" r; echo "${!arr[*]}"
		put k; declare -A H; ipc-ring get -v "H[a b \"c]" r 2>/dev/null; echo "$? ${#H[@]}"; ipc-ring get -n -q -v X r
		put k2; ipc-ring get -v "H[x y]" r; echo "${H[x y]}"
		put s1 s2; s=scalar; ipc-ring get -a s r; echo "${s[*]}"
		put l1 l2; f() { local la=(old) lv; ipc-ring get -c 1 -v lv r; ipc-ring get -a la r; echo "$lv ${la[*]}"; g; }; g() { put deep; ipc-ring get -v lv r; }; f; echo "${lv-unset} ${la-unset}"
		put plus; A=(1 2); ipc-ring get -v A r; echo "${A[*]}"; put last; ipc-ring get -v "A[-1]" r; echo "${A[*]}"
		put i1 i2; declare -ai IA; ipc-ring put r 1+1 2+2 2>/dev/null; ipc-ring get -c 2 -a X r; ipc-ring get -a IA r; echo "${IA[*]}"'
	diff - <(echo "$output") <<-'EOS'
		MIXED
		5
		exported
		n1
		n2 1
		n3 n4
		3 5
		64 0
		k2
		s1 s2
		l1 l2
		unset unset
		plus 2
		plus last
		2 4
	EOS
}

@test "names that cannot be assigned to are refused before anything is taken" {
	status 0 shell 'ipc-ring create -S 4K r; ipc-ring put r kept
		readonly -a RA=(1); readonly RS=1; declare -n RN=RS RE="RA[2]" RR=RN; f() { local -r RL=1; ipc-ring get -v RL r; echo $?; }; f
		for n in "RA[0]" "RA[7]" RS RN RE RR "RN[1]" "RS[0]" FUNCNAME GROUPS; do ipc-ring get -v "$n" r; echo $?; done
		for n in RA RS RN RE; do ipc-ring get -a "$n" r; echo $?; done
		for n in "A[0]" 1x "" - "A[" "a b" "a]"; do ipc-ring get -a "$n" r; echo $?; done
		for n in 1x "A[]" "A[" "a b" "a=b"; do ipc-ring get -v "$n" r; echo $?; done
		ipc-ring get -w 20 r'
	[[ $(sort -u <<<"$output") == $'64\nkept' && $(wc -l <<<"$output") == 28 ]] || { echo "$output $stderr"; false; }
	# A subscript has its value only when it is assigned: the shell says so and goes on.
	status 0 shell 'ipc-ring create -S 4K r; ipc-ring put r a b; A=(); (ipc-ring get -v "A[-5]" r; echo $?); (ipc-ring get -v "A[1 +]" r); echo alive'
	[[ $output == *alive ]]
}

# ---------------------------------------------------------------- timers, WINCH

@test "read -t, TMOUT and ALRM of bash beside our -w" {
	status 0 shell 'mkfifo empty; exec 5<>empty
		ipc-event wait -q -w 30ms never; echo $?; read -t 0.03 -r V <&5; (($? > 128)) && echo timeout
		ipc-lock run l -- sh -c "echo >&8; read _ </dev/tty; exec cat" <&5 8>&7 2>/dev/null & read -r _ <&7
		ipc-lock acquire -q -w 30ms l; echo $?; read -t 0.03 -r V <&5; (($? > 128)) && echo timeout; TMOUT=1
		trap "echo alrm" ALRM; at_ready "kill -ALRM $$"; ipc-event wait -w 20 --ready-fd 7 never; echo $?
		read -t 0.03 -r V <&5; (($? > 128)) && echo timeout; ipc-event wait -q -w 30ms never; echo $?; kill %1'
	[[ $output == $'124\ntimeout\n124\ntimeout\nalrm\n142\ntimeout\n124' ]] || { echo "$output $stderr"; false; }
}

@test "WINCH does not end a wait; with a trap it does" {
	status 0 shell 'shopt -s checkwinsize; at_ready "kill -WINCH $$; kill -CONT $$; kill -URG $$; ipc-event set e"; ipc-event wait -w 20 --ready-fd 7 e; echo $?; wait
		trap "echo winch" WINCH; at_ready "kill -WINCH $$"; ipc-event wait -w 20 --ready-fd 7 never; echo $?'
	[[ $output == $'0\nwinch\n156' ]] || { echo "$output $stderr"; false; }
}

@test "the reader of --ready-fd has gone: the shell goes on; the descriptor stays open" {
	status 0 shell 'ipc-event set e; mkfifo p; exec 8<>p 9>p; exec 8>&-; ipc-event wait --ready-fd 9 e; echo $?; ipc-event -v V wait --ready-fd 9 e; echo $?
		exec 8<>p; ipc-event wait --ready-fd 9 e; echo $?; echo x >&9 && echo open'
	[[ $output == $'0\n0\n0\nopen' ]] || { echo "$output $stderr"; false; }
}

@test "with a closed stdout, stdin or stderr no object is taken for one of these" {
	status 0 shell 'ipc-shm create -S 4K ./m; ipc-shm set ./m 0 7; ipc-event set ./e; ipc-spool create ./q; ipc-ring create -S 4K ./r'
	cp m m.was
	status 0 shell 'ipc-shm get ./m 0 >&-; echo $?; ipc-shm stat ./m >&-; echo $?; ipc-event stat ./e >&-; echo $?; ipc-spool put ./q <&- >&-; echo $?
		ipc-ring put ./r <&-; echo $?; ipc-shm read ./m 2>&- >/dev/null; echo $?; ipc-shm get ./m 99999 2>&-; echo $?
		exec 8>&1 >&-; ipc-shm add ./m 0 0; a=$?; ipc-event pulse ./e; b=$?; ipc-event -v V stat -o seq ./e; exec >&8 2>&- <&-; echo $a $b $V
		ipc-shm get ./m 99999; echo $?; ipc-ring get -n ./r; echo $?; ipc-shm get ./m 0'
	[[ $output == $'74\n74\n74\n74\n74\n0\n64\n74 0 2\n64\n75\n7' ]] || { echo "$output $stderr"; false; }
	cmp m m.was
	status 0 shell 'ipc-fifo create ./f; exec 5<>./f; ipc-fifo write ./f x; ipc-fifo read -n ./f >&- ; echo $?; ipc-fifo read -q -n ./f; echo $?
		ipc-signal hold USR1; kill -USR1 $$; ipc-signal wait USR1 >&-; echo $?'
	[[ $output == $'74\nx\n0\n74' && $(grep -c "write stdout: Bad file descriptor" <<<"$stderr") == 2 ]] || { echo "$output $stderr"; false; }
}

@test "hold outlives errors that make bash give up a command" {
	status 0 shell 'ipc-signal hold USR1; echo $((1 +)); :
		kill -USR1 $$; x[-5]=1; echo not reached
		ipc-signal wait -n --format %n USR1; (kill -USR1 $BASHPID; echo never); echo $?'
	[[ $output == $'USR1\n138' ]] || { echo "$output $stderr"; false; }
}

@test "in zsh and ksh the applets are programs: a lock on a descriptor of the shell, a program that stays" {
	local sh found=
	for sh in zsh ksh ksh93 mksh dash; do
		command -v "$sh" >/dev/null || continue
		found+=$sh
		status 0 "$sh" -c 'exec 9>f; ipc-lock acquire -n 9 9>&9 && ! ipc-lock run -q -n ./f -- true; ipc-lock release 9 9>&9; ipc-lock run -n ./f -- echo free'
		[[ $output == free ]] || { echo "$sh: $output"; false; }
	done
	[[ -n $found ]] || skip "neither zsh nor ksh nor dash is installed"
	ipc-ring create -S 4K ./r
	for sh in ksh ksh93 mksh; do
		command -v "$sh" >/dev/null || continue
		status 0 "$sh" -c 'ipc-ring get -f ./r |& ipc-ring put ./r one two; read -p a; read -p b; echo "$a $b"; kill $!'
		[[ $output == "one two" ]] || { echo "$sh: $output"; false; }
	done
	command -v zsh >/dev/null || skip "zsh is not installed"
	status 0 zsh -c 'coproc ipc-ring get -f ./r; ipc-ring put ./r one two; read -p a; read -p b; echo "$a $b"; kill $!'
	[[ $output == "one two" ]]
	status 0 zsh -c 'zmodload zsh/system; : >l; zsystem flock -f fd l; ipc-lock run -q -n ./l -- true; echo $?; zsystem flock -u $fd; ipc-lock run -n ./l -- echo free
		ipc-event set ./e; sysopen -r -o cloexec -u fd ./e && echo opened'
	[[ $output == $'75\nfree\nopened' ]]
}

@test "an interactive shell: ^C ends a wait and not the shell, and what is held stays held" {
	need python3
	PYTHONPATH=$ROOT/tests PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 - "$SO" 3>&- <<-'EOS'
		import sys
		from interactive import press, say, status, until
		say("enable -f '%s' ipc-signal; mkfifo rea''dy; exec 7<>ready; ipc-signal hold USR1 RTMIN+2; echo load''ed" % sys.argv[1]); until(b"loaded")
		say("{ read -r _ <&7; echo waiti''ng; } & ipc-signal wait --ready-fd 7 USR2"); until(b"waiting")
		press(b"\x03"); until(b"$ "); say("echo status $?."); until(b"status 130.")
		say("kill -USR1 $$; kill -RTMIN+2 $$; echo $((1 +))"); until(b"syntax error")
		until(b"$ "); press(b"unfinished"); until(b"unfinished"); press(b"\x03"); until(b"^C"); until(b"$ ")
		say("ipc-signal wait -c 2 -w 20 -a both --format %n USR1 RTMIN+2; echo got ${both[@]}."); until(b"got USR1 RTMIN+2.")
		say("ipc-signal wait -n --format %n-taken INT; echo status $?."); until(b"status 75.")
		say("exit 0"); assert status() == 0
	EOS
}
