# tests/bench/spool.sh: ipc-spool, the cost of a put, of a dispatch, and of both against the number of jobs.
# shellcheck shell=sh disable=SC2016

# shellcheck source=tests/bench/lib.sh
. "${BENCH_DIR:-tests/bench}/lib.sh"
bench_cc empty
bench_cc spoolput
R=$BENCH/repeat
head -c 200 /dev/zero >job
mkdir -p limit/tmp limit/new idiom
ipc-spool put --sync none ./q job >/dev/null

compare "spool: 20 durable puts / mktemp, cat, sync, mv, sync" "<= 0.25" 5 \
	'for i in $(seq 20); do ipc-spool put ./q job; done' \
	'for i in $(seq 20); do t=$(mktemp idiom/tmp.XXXXXX); cat job >"$t"; sync; mv "$t" "idiom/job.${t#*.}"; sync; done'
compare "spool: the same, sync FILE and sync DIR in the idiom" "-" 5 \
	'for i in $(seq 20); do ipc-spool put ./q job; done' \
	'for i in $(seq 20); do t=$(mktemp idiom/tmp.XXXXXX); cat job >"$t"; sync "$t"; mv "$t" "idiom/job.${t#*.}"; sync idiom; done'
compare "spool: 50 durable puts / C limit (write, fsync, rename, fsync)" "<= 1.15" 9 \
	"$R 50 ipc-spool put ./q job" "$R 50 $BENCH/spoolput limit job"
if have tsp; then
	TS_SOCKET=$PWD/tsp.sock TMPDIR=$PWD
	export TS_SOCKET TMPDIR
	tsp -n sleep 1000 >/dev/null # so that tsp only queues
	compare "spool: 100 puts without sync / tsp enqueue" "<= 1.0" 7 \
		"$R 100 ipc-spool put --sync none ./q job" "$R 100 tsp -n true"
	tsp -k
	tsp -K
fi

seq 1000 >numbers
yes '' | head -n 16000 | ipc-spool put --sync none ./dispatch >/dev/null
compare "spool: 1000 empty static jobs, run -j 2 / xargs -P 2" "<= 0.667" 9 \
	"ipc-spool run -j 2 -c 1000 ./dispatch -- $BENCH/empty" "xargs -P 2 -n 1 $BENCH/empty <numbers"
if have parallel; then
	head -n 200 numbers >few
	compare "spool: 200 empty static jobs, run -j 2 / GNU parallel" "<= 0.033" 5 \
		"ipc-spool run -j 2 -c 200 ./dispatch -- $BENCH/empty" "parallel -j 2 $BENCH/empty <few"
fi

# Starts of the program included: 160 us or so of each.
for n in 1000 10000 100000; do
	seq $n | ipc-spool put --sync none ./n$n >/dev/null
	put=$(bench_time "$R 200 ipc-spool put --sync none ./n$n job")
	take=$(bench_time "for i in \$(seq 100); do ipc-spool take -n --owner \$\$ ./n$n; ipc-spool ack ./n$n \$i; done")
	run=$(bench_time "ipc-spool run -j 2 -c 500 ./n$n -- $BENCH/empty")
	row "spool with $n jobs: put; take and ack; dispatch" "the same" \
		"$((put / 200000)); $((take / 100000)); $((run / 500000)) us"
done
