# tests/bench/mq.sh: ipc-mq against the bare calls and against perl.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

Q=/ipcbox-bench.$$
K=sysv:$((0x4d510000 + $$ % 65536))
LINES=$BENCH/lines.$$

# One call: a process that sends one message, while another takes them away.
one_call() {
	ipc-mq create "$Q" && ipc-mq create "$K"
	"$BENCH/mq" sink "$Q" &
	compare "ipc-mq send, one call, POSIX / C mq_send" "<= 1.3" 15 \
		"$BENCH/repeat 300 ipc-mq send $Q x" "$BENCH/repeat 300 $BENCH/mq send $Q x"
	ipc-mq send "$Q" end
	wait
	if have perl; then
		compare "ipc-mq send, one call, System V / perl msgsnd" "<= 0.12" 7 \
			"$BENCH/repeat 100 ipc-mq send $K x" \
			"$BENCH/repeat 100 perl -e 'msgsnd(msgget(shift, 0), pack(q(l! a*), 1, q(x)), 0) or die' ${K#sysv:}"
	fi
	ipc-mq rm "$Q" "$K"
}

# A stream: one process sends 100-byte lines, one receives them.
streaming() {
	ipc-mq create "$Q" && ipc-mq create "$K"
	awk 'BEGIN { for (i = 0; i < 200000; i++) printf "%0100d\n", i }' >"$LINES"
	compare "ipc-mq, 200000 lines of 100 bytes, POSIX / C mq loop" "<= 1.25" 7 \
		"ipc-mq send $Q <$LINES & ipc-mq recv -c 200000 $Q >/dev/null; wait" \
		"$BENCH/mq stream $Q 200000 100"
	compare "ipc-mq, 200000 lines of 100 bytes, System V / C mq loop" "-" 5 \
		"ipc-mq send $K <$LINES & ipc-mq recv -c 200000 $K >/dev/null; wait" \
		"$BENCH/mq stream $Q 200000 100"
	rm -f "$LINES"
	ipc-mq rm "$Q" "$K"
}

bench_cc repeat && bench_cc mq && one_call && streaming
