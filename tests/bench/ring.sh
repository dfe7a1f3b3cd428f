# tests/bench/ring.sh: ipc-ring against message queues, a C ring at the limit, ZeroMQ, the shell, pipes.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

N=1000000
LINES=$BENCH/lines.$$
trap 'rm -f "$LINES"' EXIT

stream() { # stream RECORDS: the command that moves so many lines of $LINES through a new ring
	echo "ipc-ring create -S 1M r; ipc-ring get -f r >/dev/null & ipc-ring put r <$LINES; ipc-ring close r; wait; ipc-ring rm r"
}

bench_cc repeat && bench_cc empty && bench_cc mq && bench_cc spsc || exit 1
awk -v n=$N 'BEGIN { for (i = 0; i < n; i++) printf "%0100d\n", i }' >"$LINES"
ipc-mq create /ipcbox-bench.$$
compare "ring: $N lines of 100 bytes, put to get / C mq loop (<= 0.1 is 10 x)" "<= 0.1" 5 \
	"$(stream)" "$BENCH/mq stream /ipcbox-bench.$$ $N 100"
compare "ring: the same / batched C ring of one writer and one reader" "<= 2.86" 5 \
	"$(stream)" "$BENCH/spsc $N 100 <$LINES"
compare "ring: two writers, one reader / C mq loop" "<= 0.5" 5 \
	"ipc-ring create -S 1M r; ipc-ring get -f r >/dev/null & ipc-ring put r <$LINES & p=\$!; ipc-ring put r <$LINES; wait \$p; ipc-ring close r; wait; ipc-ring rm r" \
	"$BENCH/mq stream /ipcbox-bench.$$ $((2 * N)) 100"
ipc-mq rm /ipcbox-bench.$$
if bench_cc zmqpush -lzmq 2>/dev/null; then
	compare "ring: $N lines of 100 bytes / ZeroMQ push to pull over ipc://" "<= 0.167" 5 \
		"$(stream)" "$BENCH/zmqpush $N 100"
else
	row "ring / ZeroMQ push to pull" "<= 0.167" "no libzmq3-dev"
fi
awk 'NR <= 20000' "$LINES" >"$LINES.few" && mv "$LINES.few" "$LINES"
compare "ring: 20000 lines / a shell's while read" "<= 0.01" 5 \
	"$(stream)" "while read -r x; do :; done <$LINES"
ipc-ring create -S 1M r
compare "ring: 300 puts of one record / 300 empty static programs" "<= 1.3" 9 \
	"$BENCH/repeat 300 ipc-ring put --full drop-oldest r x" "$BENCH/repeat 300 $BENCH/empty"
ipc-ring rm r
