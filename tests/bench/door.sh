# tests/bench/door.sh: ipc-door: what one call of a handler that does nothing costs.
# shellcheck shell=sh
# shellcheck source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

bench_cc doorlimit && bench_cc empty || exit
door_dir=$(mktemp -d)
D=$door_dir
R=$BENCH/repeat
L=$BENCH/doorlimit
ipc-door serve "$D/door" -- "$BENCH/empty" &
door_pids=$!
"$L" serve "$D/limit" "$BENCH/empty" &
door_pids="$door_pids $!"
ipc-door call --retry 10 "$D/door"
ipc-sock wait -w 10 "$D/limit"

compare "200 calls, empty handler / C: connect, send 0 1 2, vfork, exec" "<= 1.25" 9 \
	"$R 200 ipc-door call $D/door" "$R 200 $L call $D/limit"
if have s6-ipcserver s6-ipcclient; then
	# The exchange: the handler's status back to the caller, who has no other way than a line of text.
	cat >"$D/s6h" <<-END
		#!/bin/sh
		"$BENCH/empty"
		echo \$?
	END
	cat >"$D/s6c" <<-'END'
		#!/bin/sh
		read -r s <&6
		exit "$s"
	END
	chmod +x "$D/s6h" "$D/s6c"
	s6-ipcserver "$D/s6" "$D/s6h" &
	door_pids="$door_pids $!"
	ipc-sock wait -w 10 "$D/s6"
	compare "200 calls, empty handler / s6-ipcclient + s6-ipcserver" "<= 0.4" 9 \
		"$R 200 ipc-door call $D/door" "$R 200 s6-ipcclient $D/s6 $D/s6c"
	# With programs in place of the two shells, which takes the status for granted.
	s6-ipcserver "$D/s6b" "$BENCH/empty" &
	door_pids="$door_pids $!"
	ipc-sock wait -w 10 "$D/s6b"
	compare "200 calls, empty handler / the same without status, no shells" "-" 9 \
		"$R 200 ipc-door call $D/door" "$R 200 s6-ipcclient $D/s6b $BENCH/empty"
fi

# 200 MB through the door: the filters alone are the limit.
head -c 200000000 /dev/zero >"$D/big"
ipc-door serve "$D/cat" -- wc -c &
door_pids="$door_pids $!"
ipc-door call --retry 10 "$D/cat" </dev/null >/dev/null
compare "cat 200 MB | ipc-door call | wc / cat | wc -c | wc" "<= 1.05" 5 \
	"cat $D/big | ipc-door call $D/cat | wc -l" "cat $D/big | wc -c | wc -l"

# shellcheck disable=SC2086
kill $door_pids
wait
rm -rf "$door_dir"
