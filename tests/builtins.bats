#!/usr/bin/env bats
# The applets loaded into bash: what runs in the shell's own process does the same as the program, and leaves
# the shell as it was.
load helper

local_setup() {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "bash itself is not built for the sanitizers"
	SO=$IPCBOX_BUILD/ipcbox.so
	[[ -e $SO ]] || skip "ipcbox.so was not built (bash-builtins)"
	mapfile -t applets < <(ipcbox --list)
	printf 'enable -f %q' "$SO" >load
	printf ' %q' "${applets[@]}" >>load
	echo >>load
	unset IPCBOX
}

# shell TEXT: run TEXT in a bash that has loaded all applets. No program of ours is on its PATH.
shell() {
	{
		cat load
		printf '%s\n' "$1"
	} >script
	PATH=/usr/bin:/bin timeout 120 bash script
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
	status 127 bash -c "enable -f ./lonely.so ipc-event; ipc-event wait x -- true"
	[[ $stderr == *IPCBOX* ]]
	status 0 bash -c "enable -f ./lonely.so ipc-event; IPCBOX=$BIN/ipcbox; ipc-event set x; ipc-event wait x -- true"
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
			for f in /proc/$$/fd/*; do echo "${f##*/} $(readlink "$f")"; done | grep -vE 'pipe:|/before|/after|/fd/| $'
			# Read by the shell itself: while it forks, it blocks signals for a moment.
			while read -r k v; do
				case $k in Sig[BIP]* | Shd* | Threads*) echo "$k $v" ;; esac
			done </proc/$$/status
			trap -p
			umask
			pwd
			jobs
		}
		trap 'echo usr1' USR1
		trap 'echo pipe' PIPE
		trap 'echo child' CHLD
		ipc-event set x
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
	status 0 shell 'grow() { for ((i = 0; i < $1; i++)); do ipc-event set x; ipc-event stat x >/dev/null; ipc-event stat y; done 2>/dev/null
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
