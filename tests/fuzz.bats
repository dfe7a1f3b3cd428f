#!/usr/bin/env bats
# The fuzz targets over their seeds, and two seconds further: `make fuzz` does the rest.
load helper

@test "every target builds, takes its seeds, and finds nothing in a moment" {
	need clang
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "built with sanitizers of its own"
	[[ -z ${IPCBOX_AGAIN-} ]] || skip "done with another build already"
	local s=0
	# One build for all ways of linking: it takes half a minute the first time.
	TIME=${FUZZ_TIME:-2} timeout 280 "$ROOT/tests/fuzz/run" build-fuzz >out 2>err </dev/null || s=$?
	[[ $s != 69 ]] || skip "clang has no libFuzzer here"
	cat out err
	[[ $s == 0 ]]
	local n
	n=$(find "$ROOT/tests/fuzz" -maxdepth 1 -name '*.c' | wc -l)
	[[ $(tail -n 1 out) == "fuzz: $n targets, "*" executions, 0 crashes" ]]
	! grep -q ': 0 executions' out || { echo "a target did not run" >&2; return 1; }
}

@test "there are seeds for each target, a target for all seeds, and they are small" {
	local d
	for d in "$ROOT"/tests/fuzz/corpus/*/; do
		d=${d%/}
		[[ -e $ROOT/tests/fuzz/${d##*/}.c ]]
	done
	for d in "$ROOT"/tests/fuzz/*.c; do
		d=${d##*/}
		[[ -n $(find "$ROOT/tests/fuzz/corpus/${d%.c}" -type f) ]]
	done
	[[ $(find "$ROOT/tests/fuzz/corpus" -type f -exec cat {} + | wc -c) -lt 100000 ]]
}

@test "a crash is counted, told and ends with 1" {
	need clang
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "built with sanitizers of its own"
	[[ -z ${IPCBOX_AGAIN-} ]] || skip "done with another build already"
	mkdir -p tree/tests/fuzz/corpus/bad tree/out/fuzz
	cp "$ROOT/tests/fuzz/run" tree/tests/fuzz/
	printf 'out/fuzz/bad: ; true\n' >tree/Makefile
	printf x >tree/tests/fuzz/corpus/bad/seed
	echo 'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) { if (n > 0 && p[0] == 120) __builtin_trap(); return 0; }' >tree/tests/fuzz/bad.c
	clang -fsanitize=fuzzer -o tree/out/fuzz/bad tree/tests/fuzz/bad.c 2>/dev/null || skip "clang has no libFuzzer here"
	local s=0
	SEED=7 TIME=1 timeout 60 tree/tests/fuzz/run out >out 2>err </dev/null || s=$?
	cat out err
	[[ $s == 1 ]]
	grep -q 'Seed: 7$' tree/out/fuzz/bad.log
	grep -q '^bad: .* executions, 1 crashes$' out
	[[ $(tail -n 1 out) == "fuzz: 1 targets, "*" 1 crashes" ]]
	ls tree/out/fuzz/crashes/bad-crash-*
}
