# tests/bench/signal.sh: ipc-signal, the cost of sending and of being told.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

bench_cc empty
bench_cc sigpong
R=$BENCH/repeat
(trap '' USR1; exec sleep 1000) >/dev/null 2>&1 &
target=$!
if have /bin/kill; then
	compare "signal: 500 sends / 500 /bin/kill" "<= 0.25" 9 \
		"$R 500 ipc-signal send USR1 $target" "$R 500 /bin/kill -USR1 $target"
fi
compare "signal: 500 sends / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-signal send USR1 $target" "$R 500 $BENCH/empty"
kill "$target"
# A signal with a value, and the line that answers it; the limit is a C receiver by sigwaitinfo(2).
compare "signal: 20000 round trips through wait -f / C sigqueue and sigwaitinfo" "<= 1.2" 9 \
	"$BENCH/sigpong 20000 ipc-signal wait -f --ready-fd 1 RTMIN" "$BENCH/sigpong 20000 $BENCH/sigpong recv"
