# tests/bench/pipe.sh: ipc-pipe beside the shell's own pipes, and socat's full duplex.
# shellcheck shell=sh disable=SC2016 source=tests/bench/lib.sh # expanded by the sh that is measured
. "${BENCH_DIR:?run it with make bench}/lib.sh"

# The programs have a path, or true would be a builtin and no process at all.
TRUE=$(command -v env) && TRUE=${TRUE%/env}/true
export TRUE
bench_cc empty || exit 1

compare "three stages started, beside sh -c 'a | b | c'" "<= 1" 11 \
	'$BENCH/repeat 200 ipc-pipe run $TRUE -- $TRUE -- $TRUE' \
	'$BENCH/repeat 200 sh -c "$TRUE | $TRUE | $TRUE"'
compare "three stages of an empty program, beside sh" "<= 1" 11 \
	'$BENCH/repeat 200 ipc-pipe run $BENCH/empty -- $BENCH/empty -- $BENCH/empty' \
	'$BENCH/repeat 200 sh -c "$BENCH/empty | $BENCH/empty | $BENCH/empty"'
compare "2 GiB through three stages, beside sh's pipes" "<= 1" 5 \
	'ipc-pipe run head -c 2G /dev/zero -- cat -- cat >/dev/null' \
	'head -c 2G /dev/zero | cat | cat >/dev/null'
compare "2 GiB through ipc-pipe meter -q, beside cat" "<= 0.8" 5 \
	'head -c 2G /dev/zero | ipc-pipe meter -q | cat >/dev/null' \
	'head -c 2G /dev/zero | cat | cat >/dev/null'
if have pv; then
	compare "2 GiB through ipc-pipe meter -q, beside pv -q" "<= 1" 5 \
		'head -c 2G /dev/zero | ipc-pipe meter -q | cat >/dev/null' \
		'head -c 2G /dev/zero | pv -q | cat >/dev/null'
fi

# 20,000 rounds of one byte: what a question and its answer cost without a copier in between.
bench_cc pingpong || exit 1
if have socat; then
	compare "dialogue of 20,000 rounds (-d), beside socat EXEC EXEC" "<= 0.7" 5 \
		'ipc-pipe run -d $BENCH/pingpong 20000 -- $BENCH/pingpong' \
		'socat EXEC:"$BENCH/pingpong 20000" EXEC:$BENCH/pingpong'
	compare "the same over one socket pair (-d -t stream)" "<= 0.7" 5 \
		'ipc-pipe run -d -t stream $BENCH/pingpong 20000 -- $BENCH/pingpong' \
		'socat EXEC:"$BENCH/pingpong 20000" EXEC:$BENCH/pingpong'
fi
