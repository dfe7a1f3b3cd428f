# tests/bench/fifo.sh: streams and records through a FIFO, beside pv, cat and the shell's read.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

dir=$(mktemp -d "$BENCH/fifo.XXXXXX")
# In memory where that is possible: the disk is not what is measured.
[ ! -w /dev/shm ] || { rmdir "$dir"; dir=$(mktemp -d /dev/shm/ipcbox-fifo.XXXXXX); }
trap 'rm -rf "$dir"' EXIT
F=$dir/f DATA=$dir/data LINES=$dir/lines FEW=$dir/few
export F DATA LINES FEW
mkfifo "$F"
head -c "${FIFO_BYTES:-1G}" /dev/zero >"$DATA"
yes "$(printf %99s x)" | head -n 1000000 >"$LINES"
head -n 10000 "$LINES" >"$FEW"

# Each side: writer & reader; wait. The ratio is ours/peer, so a goal of 3 x faster is <= 0.333.
stream() {
	printf '%s & %s >/dev/null; wait' "$1" "$2"
}
ours_w='ipc-fifo write --raw "$F" <"$DATA"' ours_r='ipc-fifo read "$F"'
cat_w='cat "$DATA" >"$F"' cat_r='cat "$F"'

if have pv; then
	compare "file, FIFO, /dev/null: both ends ours, beside pv -q" "<= 0.333" 7 \
		"$(stream "$ours_w" "$ours_r")" "$(stream 'pv -q "$DATA" >"$F"' 'pv -q "$F"')"
fi
compare "the same beside cat" "<= 0.125" 7 "$(stream "$ours_w" "$ours_r")" "$(stream "$cat_w" "$cat_r")"
compare "write ours, cat reads; beside cat" "<= 0.5" 7 "$(stream "$ours_w" "$cat_r")" "$(stream "$cat_w" "$cat_r")"
compare "cat writes, read ours; beside cat" "<= 0.5" 7 "$(stream "$cat_w" "$ours_r")" "$(stream "$cat_w" "$cat_r")"
compare "relay between cat and cat; beside cat" "<= 0.833" 7 \
	"$(stream "$cat_w" "$ours_r | cat")" "$(stream "$cat_w" "$cat_r | cat")"
if bench_cc fifo_splice; then
	compare "both ends ours, beside the least that splice can do" "~ 1" 7 \
		"$(stream "$ours_w" "$ours_r")" \
		"$(stream '$BENCH/fifo_splice <"$DATA" >"$F"' '$BENCH/fifo_splice <"$F"')"
fi
# 100 times as many lines on our side: equal times are 100 x.
compare "1,000,000 lines of 100 bytes: read -l, beside 10,000 by while read" "<= 1" 5 \
	'cat "$LINES" >"$F" & ipc-fifo read -l "$F" >/dev/null; wait' \
	'cat "$FEW" >"$F" & while read -r line; do :; done <"$F"; wait'
compare "the same lines by write and read -l, beside 10,000 by while read" "<= 1" 5 \
	'ipc-fifo write "$F" <"$LINES" & ipc-fifo read -l "$F" >/dev/null; wait' \
	'cat "$FEW" >"$F" & while read -r line; do :; done <"$F"; wait'
