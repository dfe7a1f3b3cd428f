# tests/bench/lib.sh: the harness of the speed measurements; sourced by tests/bench/*.sh.
# shellcheck shell=sh disable=SC3013 # -nt: dash, bash and busybox have it
#
#   compare LABEL GOAL RUNS 'OUR COMMAND' 'PEER COMMAND'
#       runs the two in turn (A B A B ...), RUNS times each after one warm-up, with `sh -c`, and prints a
#       row: the median of the ratios ours/peer, their range, the goal, the label. A command that fails
#       is shown, not measured.
#   measure LABEL GOAL RUNS 'COMMAND'      the median wall time of one command, when there is no peer
#   bench_cc NAME [CFLAGS]  compiles tests/bench/NAME.c to $IPCBOX_BUILD/bench/NAME (-O2, static where
#       that works, with the compiler of the build)
#   have CMD...             true when the peers are installed; else the row says so: have pv || return
#   row LABEL GOAL TEXT     a row by hand
#
# One ratio comes from two neighbouring runs, so that a slow phase of the machine hits both sides.

: "${IPCBOX_BUILD:?run it with make bench}"
BENCH=$IPCBOX_BUILD/bench
BENCH_DIR=${BENCH_DIR:-tests/bench}
case $PATH in "$IPCBOX_BUILD/bin:"*) ;; *) PATH=$IPCBOX_BUILD/bin:$PATH ;; esac
export IPCBOX_BUILD BENCH PATH
mkdir -p "$BENCH"

bench_cc() {
	bench_src=$BENCH_DIR/$1.c
	[ "$BENCH/$1" -nt "$bench_src" ] && return 0
	bench_name=$1
	shift
	for bench_try in "${BENCH_CC:-cc} -static" "cc -static" "cc"; do
		# shellcheck disable=SC2086
		$bench_try -O2 -std=gnu17 "$@" -o "$BENCH/$bench_name" "$bench_src" 2>"$BENCH/cc.err" && return 0
	done
	cat "$BENCH/cc.err" >&2
	return 1
}

row() {
	printf '%-22s %-14s %s\n' "$3" "$2" "$1"
}

have() {
	for bench_peer in "$@"; do
		command -v "$bench_peer" >/dev/null 2>&1 && continue
		row "(peer $bench_peer is not installed)" "-" "not installed"
		return 1
	done
}

# bench_time COMMAND: its wall time in ns on stdout; false when it failed.
bench_time() {
	"$BENCH/repeat" -o "$BENCH/ns.$$" 1 sh -c "$1" >/dev/null 2>"$BENCH/err.$$" </dev/null || {
		bench_status=$?
		echo "status $bench_status: $1" >&2
		cat "$BENCH/err.$$" >&2
		return 1
	}
	cat "$BENCH/ns.$$"
}

compare() {
	bench_label=$1 bench_goal=$2 bench_runs=$3 bench_ours=$4 bench_peer=$5
	: >"$BENCH/pairs.$$"
	bench_i=0
	while [ "$bench_i" -le "$bench_runs" ]; do
		if ! bench_a=$(bench_time "$bench_ours") || ! bench_b=$(bench_time "$bench_peer"); then
			row "$bench_label" "$bench_goal" "failed"
			return 1
		fi
		[ "$bench_i" = 0 ] || echo "$bench_a $bench_b" >>"$BENCH/pairs.$$"
		bench_i=$((bench_i + 1))
	done
	row "$bench_label" "$bench_goal" "$(awk '{ print $1 / $2 }' "$BENCH/pairs.$$" | sort -g | awk '
		{ r[NR] = $1 }
		END {
			m = NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2
			printf "%.3f (%.3f-%.3f)", m, r[1], r[NR]
		}')"
	rm -f "$BENCH/pairs.$$" "$BENCH/ns.$$" "$BENCH/err.$$"
}

measure() {
	bench_label=$1 bench_goal=$2 bench_runs=$3 bench_ours=$4
	: >"$BENCH/pairs.$$"
	bench_i=0
	while [ "$bench_i" -le "$bench_runs" ]; do
		bench_a=$(bench_time "$bench_ours") || { row "$bench_label" "$bench_goal" "failed"; return 1; }
		[ "$bench_i" = 0 ] || echo "$bench_a" >>"$BENCH/pairs.$$"
		bench_i=$((bench_i + 1))
	done
	row "$bench_label" "$bench_goal" "$(sort -n "$BENCH/pairs.$$" | awk '
		{ t[NR] = $1 / 1e6 }
		END { printf "%.2f ms (%.2f-%.2f)", t[int((NR + 1) / 2)], t[1], t[NR] }')"
	rm -f "$BENCH/pairs.$$" "$BENCH/ns.$$" "$BENCH/err.$$"
}
