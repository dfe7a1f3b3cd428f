# tests/bench/bench.sh: ipc-bench against plain C programs that measure the same: its numbers shall be
# within 10 % of theirs. Processes are pinned on both sides, or it is the scheduler that is compared. Each row is the median of ratios of neighbouring runs.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

# ours MECHANISM SIZE: "p50 in ns, messages a second", from about half a second each.
ours() {
	ipc-bench -q -J --pin -t "$1" -S "$2" --time 1s 2>/dev/null |
		sed 's/.*"p50":\([0-9.]*\).*"messages":\([0-9.]*\).*/\1 \2/' |
		awk '{ printf "%.0f %.0f\n", $1 * 1e9, $2 }'
}

ratios() { # MECHANISM SIZE RUNS
	: >"$BENCH/ratios.$$"
	bench_i=0
	while [ "$bench_i" -lt "$3" ]; do
		echo "$(ours "$1" "$2") $("$BENCH/benchplain" "$1" "$2" 500)" >>"$BENCH/ratios.$$"
		bench_i=$((bench_i + 1))
	done
	for bench_col in 1 2; do
		[ "$bench_col" = 1 ] && bench_what="round trip" || bench_what="messages a second"
		row "$1, $2 bytes, $bench_what: ipc-bench / plain C" "0.9-1.1" "$(awk -v c="$bench_col" '
			{ print $c / $(c + 2) }' "$BENCH/ratios.$$" | sort -g | awk '{ r[NR] = $1 }
			END { printf "%.3f (%.3f-%.3f)", r[int((NR + 1) / 2)], r[1], r[NR] }')"
	done
	rm -f "$BENCH/ratios.$$"
}

bench_cc benchplain || exit
for bench_kind in pipe stream mq; do
	ratios "$bench_kind" 64 7
	ratios "$bench_kind" 4096 7
done
measure "a default run (all mechanisms, three sizes)" "< 20 s" 1 "ipc-bench -q"
