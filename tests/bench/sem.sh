# tests/bench/sem.sh: ipc-sem, the cost of a call and of a short job under a slot.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

bench_cc empty || exit 1
R=$BENCH/repeat
B=posix:/ipcbox-bench.$$
ipc-sem create --value 1000000 "$B"
ipc-sem create --value 4 s
compare "sem: 500 posix posts / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-sem post $B" "$R 500 $BENCH/empty"
compare "sem: 500 posix waits that pass / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-sem wait $B" "$R 500 $BENCH/empty"
compare "sem: 500 gets of slots / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-sem get s" "$R 500 $BENCH/empty"
ipc-sem rm "$B"
have flock && compare "sem: 200 short jobs, run -j4 / flock" "<= 0.6" 9 \
	"$R 200 ipc-sem run -j4 s -- $BENCH/empty" "$R 200 flock f $BENCH/empty"
# GNU parallel's sem; moreutils has another program of its name.
if have sem && sem --version 2>/dev/null | grep -q parallel; then
	compare "sem: 20 short jobs, run -j4 / GNU sem --fg" "<= 0.02" 5 \
		"$R 20 ipc-sem run -j4 s -- $BENCH/empty" "$R 20 sem --fg -j4 --id x $BENCH/empty"
fi
