# tests/bench/startup.sh: what a call that does nothing costs, beside an empty program linked alike.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

bench_cc empty || exit 1
compare "a call that does nothing, beside an empty static program" "<= 1.2" 11 \
	'$BENCH/repeat 1000 ipcbox --version' '$BENCH/repeat 1000 $BENCH/empty'
if have strace; then
	faults=$({ command time -f %R ipcbox --version >/dev/null; } 2>&1) || faults="?"
	row "minor page faults of one call (ru_minflt)" "<= 12 + empty" "$faults"
fi
