# tests/bench/event.sh: ipc-event, the cost of a call and of waking a waiter.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

bench_cc empty
bench_cc futexpong
IPC_DIR=$(mktemp -d)
export IPC_DIR
ipc-event set e
R=$BENCH/repeat
compare "event: 500 sets / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-event set e" "$R 500 $BENCH/empty"
compare "event: 500 waits that pass / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-event wait e" "$R 500 $BENCH/empty"
# Two scripts that answer each other; the limit starts as many empty programs and wakes by bare futexes.
cat >"$IPC_DIR/pong.sh" <<'EOF'
n=0
while [ "$n" -lt 300 ]; do
	n=$(ipc-event wait --since "$n" ping)
	ipc-event set pong
done
EOF
cat >"$IPC_DIR/ping.sh" <<'EOF'
ipc-event rm ping pong 2>/dev/null
sh "$IPC_DIR/pong.sh" &
n=0
while [ "$n" -lt 300 ]; do
	ipc-event set ping
	n=$(ipc-event wait --since "$n" pong)
done
wait
EOF
compare "event: 300 round trips of two scripts / C futex, same number of starts" "<= 1.2" 5 \
	"sh $IPC_DIR/ping.sh" "$BENCH/futexpong 300 $BENCH/empty"
rm -rf "$IPC_DIR"
