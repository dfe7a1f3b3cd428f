#!/bin/bash
# tests/torture/builtins.sh BUILD [N]: N calls of builtins in one shell, of all verbs that run in it, good ones and
# failing ones; descriptors, mappings, memory, signal handlers, the mask and the limits must be as before.
set -eu
build=${1:?usage: builtins.sh BUILD [N]}
n=${2:-1000000}
dir=$(mktemp -d)
export IPC_DIR=$dir/ipc
id=ipcbox-torture-$$ store=
finish() {
	[[ -z $store ]] || kill "$store" 2>/dev/null || :
	for o in "ipc-sem rm -q posix:/$id" "ipc-mq rm -q /$id" "ipc-shm rm -q posix:/$id"; do $o 2>/dev/null || :; done
	cd / && rm -rf "$dir"
}
trap finish EXIT
load=$("$build/ipcbox" --bash)
mapfile -t applets < <("$build/ipcbox" --list)
eval "$load"
cd "$dir"

calls=0
# is STATUS CMD...: CMD must end with STATUS, or with one of two.
is() {
	local got=0
	"${@:2}" || got=$?
	((++calls))
	[[ $got == "${1%,*}" || $got == "${1#*,}" ]] || { echo "status $got, not $1: ${*:2}" >&3; exit 1; }
}

# Short ones on objects that stay.
short() {
	is 0 ipc-lock acquire lock
	is 75 ipc-lock acquire lock
	is 0 ipc-lock release lock
	is 0 ipc-lock acquire -v fd other
	is 1 ipc-lock test other
	is 0 ipc-lock release "$fd"
	is 0 ipc-lock 9
	is 0 ipc-lock flock -u 9
	is 0 ipc-sem post "posix:/$id"
	is 0 ipc-sem get -v value "posix:/$id"
	is 0 ipc-sem wait "posix:/$id"
	is 0 ipc-sem post "posix:/$id"
	is 0 ipc-sem acquire "posix:/$id"
	is 1 ipc-sem try -q "posix:/$id"
	is 0 ipc-mq send "/$id" message
	is 0 ipc-mq wait "/$id"
	is 0 ipc-mq recv -v message "/$id"
	is 75 ipc-mq recv -n -q "/$id"
	is 0 ipc-ring put ring one two
	is 0 ipc-ring get -a records ring
	is 64 ipc-ring get --no-such-option
	is 0 ipc-event set event
	is 0 ipc-event stat -v state -o seq event
	is 0 ipc-event wait event
	is 75 ipc-event wait -q -n never
	is 0 ipc-event pulse pulse
	is 0 ipc-event clear event
	is 66 ipc-event stat missing
	is 0 ipc-shm set shm 8 5
	is 0 ipc-shm add -v sum shm 8 37
	is 0 ipc-shm get -v word shm 8
	is 0 ipc-shm cas shm 8 42 1
	is 1 ipc-shm cas -v was shm 8 42 1
	is 0 ipc-shm swap -v was shm 8 2
	is 0 ipc-shm wait shm 8 eq 2
	is 124 ipc-shm wait -q -w 0 shm 8 eq 3
	is 0 ipc-shm write -o 64 shm text
	is 0 ipc-shm read -o 64 --length 4 -v text shm
	is 0 ipc-signal send 0 $$
	is 0 ipc-signal hold USR1
	is 0 ipc-signal send USR1 $$
	is 0 ipc-signal wait -v name --format %n USR1
	is 0 ipc-signal release USR1
	is 75 ipc-signal wait -n -q USR2
	is 64 ipc-signal wait KILL
	is 66 ipc-signal release USR1
	is 0 ipc-fifo write ./fifo line
	is 0 ipc-fifo read -v line -c 1 ./fifo
	is 75 ipc-fifo write -q -n ./nobody line
	is 66 ipc-spool stat ./missing
	[[ $message == message && ${records[*]} == "one two" && $sum == 42 && $word == 42 && $text == text && $name == USR1 ]]
}

# Objects come and go; what touches disks and peers.
long() {
	is 0 ipc-sem create --value 3 "posix:/$id.2"
	is 0 ipc-sem set "posix:/$id.2" 0
	is 0 ipc-sem zero "posix:/$id.2"
	is 0 ipc-sem stat -v text "posix:/$id.2"
	is 0 ipc-sem ls -a list
	is 0 ipc-sem rm "posix:/$id.2"
	is 66 ipc-sem rm "posix:/$id.2"
	is 0 ipc-mq create "/$id.2"
	is 73 ipc-mq create -x "/$id.2"
	is 71 ipc-mq peek "/$id.2"
	is 0 ipc-mq stat -v text "/$id.2"
	is 0 ipc-mq ls -a list
	is 0 ipc-mq rm "/$id.2"
	is 0 ipc-ring create -S 4K ring2
	is 0 ipc-ring put ring2 x
	is 0 ipc-ring close ring2
	is 0 ipc-ring stat -v text ring2
	is 0 ipc-ring rm ring2
	is 66 ipc-ring get ring2
	is 0 ipc-event rm pulse
	is 0 ipc-barrier wait -c 1 barrier
	is 124 ipc-barrier wait -q -w 1ms -c 2 barrier2
	is 0 ipc-barrier stat -v text barrier
	is 0 ipc-barrier break barrier
	is 0 ipc-barrier rm barrier
	is 0 ipc-barrier rm barrier2
	is 0 ipc-shm create -S 4K shm2
	is 0 ipc-shm resize -S 8K shm2
	is 0 ipc-shm stat -v text shm2
	is 0 ipc-shm ls -a list
	is 0 ipc-shm rm shm2
	is 66 ipc-shm get shm2 0
	is 0 ipc-shm create -S 4K "posix:/$id.3"
	is 0 ipc-shm set "posix:/$id.3" 0 1
	is 0 ipc-shm rm "posix:/$id.3"
	is 0 ipc-fifo create ./fifo2
	is 0 ipc-fifo stat -v text ./fifo2
	is 75 ipc-fifo tee -n ./fifo2 <<<x
	is 0 ipc-fifo rm ./fifo2
	is 0 ipc-spool create ./spool2
	is 0 ipc-spool -v job put --sync none ./spool2 <<<data
	is 124 ipc-spool wait -q -w 0 ./spool2 "$job"
	is 0 ipc-spool ls -a list ./spool2
	is 0 ipc-spool stat -v text ./spool2
	is 76 ipc-spool ack ./spool2 "$job"
	is 76 ipc-spool nack ./spool2 "$job"
	is 0 ipc-spool requeue ./spool2 "$job"
	is 0 ipc-spool rm ./spool2 "$job"
	is 0 ipc-spool rm ./spool2
	is 0 ipc-fdstore store ./store kept 9
	is 0 ipc-fdstore ls -a list ./store
	is 0 ipc-fdstore -v fd retrieve ./store kept
	exec {fd}<&-
	is 0 ipc-fdstore rm ./store kept
	is 66 ipc-fdstore -v fd retrieve ./store kept
	is 66 ipc-fdstore ls ./none
	is 66 ipc-door stat ./none
	is 66 ipc-door rm ./none
	is 0 ipc-sock wait ./store
	is 0 ipc-sock stat -v text ./store
	is 66 ipc-sock send -t dgram ./none x
	is 124 ipc-sock recv -q -w 1ms -t dgram ./box
	is 66 ipc-sendfd ./none 9
	is 124 ipc-recvfd -q --listen -w 1ms ./peer
	is 124 ipc-sendfd -q --listen -w 1ms ./peer 9
	is 0 ipc-pipe meter -q <<<x >/dev/null
	is 0 ipc-signal -v text ls $$
	is 124 ipc-signal stop -q --signal 0 -w 1ms $PPID >/dev/null
	is 69 ipc-signal stop 2147483647 >/dev/null
	is 0 ipc-lock stat -v text lock
}

# With a peer, a program of ours; and one that stays in the background.
peers() {
	"$build/bin/ipc-recvfd" --listen -w 60 ./peer2 -- true &
	is 0 ipc-sendfd --retry 60 ./peer2 9
	wait $!
	"$build/bin/ipc-sock" recv -c 1 -w 60 -t dgram ./box2 >box2.out &
	until [[ -S ./box2 ]]; do :; done
	is 0 ipc-sock send -t dgram ./box2 record
	wait $!
	"$build/bin/ipc-sock" send -t dgram --retry 60 ./box3 record &
	is 0 ipc-sock recv -v record -c 1 -w 60 -t dgram ./box3
	wait $!
	[[ $record == record && $(<box2.out) == record ]]
}

# Every verb that runs in the shell is in one of these.
covered() {
	local text missing=0 word applet verb flags
	text=$(declare -f short long peers)
	while IFS=$'\t' read -r word applet verb flags _; do
		[[ $word == verb && $flags == *inproc* ]] || continue
		[[ $verb != - ]] || verb=
		grep -qE "$applet (-v [a-z]+ )?$verb" <<<"$text" || { echo "not called: $applet $verb"; missing=1; }
	done < <("$build/ipcbox" --spec)
	return $missing
}

# state FILE: what must not change, while nothing is kept open; into $data and $resident kB.
state() {
	local k v
	enable -d "${applets[@]}"
	find /proc/$$/fd -type l -printf 'fd %f %l\n' >"$1"
	sort -o "$1" "$1"
	while read -r _ k _ _ _ v; do
		[[ $v == \[heap* || -z $v ]] || echo "map $k $v"
	done </proc/$$/maps | sort >>"$1"
	while read -r k v _; do
		case $k in
		Sig[BIC]* | Threads:) echo "$k $v" ;;
		VmData:) data=$v ;;
		VmRSS:) resident=$v ;;
		esac
	done < <(cat "/proc/$$/status") >>"$1" # in one read: the shell takes it line by line, while it changes
	umask >>"$1"
	ulimit -a >>"$1"
	trap -p >>"$1"
	pwd >>"$1"
	eval "$load"
}

covered
exec 3>&2 9<>lock9
ipc-fdstore serve ./store &
store=$!
is 0 ipc-sock wait -w 60 ./store
is 0 ipc-ring create -S 64K ring
is 0 ipc-sem create --value 0 "posix:/$id"
is 0 ipc-mq create "/$id"
is 0 ipc-shm create -S 4K shm
is 0 ipc-fifo create ./fifo ./nobody
exec {keep}<>fifo

# some N: about N calls, of which those with peers are the rarest.
some() {
	local i=0 end=$((calls + $1))
	for ((i = 0; calls < end; i++)); do
		short
		((i % 20)) || long
		((i % 400)) || peers
	done >/dev/null 2>&1
}
some $((n < 30000 ? n : 30000)) # from here on nothing may grow
state before
data_before=$data resident_before=$resident calls=0 start=$SECONDS
some "$n"
state after
diff before after
((data - data_before <= 400 && resident - resident_before <= 600)) || {
	echo "memory: $data_before kB ($resident_before resident), then $data kB ($resident)"
	exit 1
}
echo "builtins: $calls calls in $((SECONDS - start)) s, data $data_before -> $data kB, resident $resident_before -> $resident kB," \
	"$(grep -c ^fd after) descriptors, $(grep -c ^map after) mapped files"
