# tests/bench/fdstore.sh: ipc-fdstore, the cost of storing and of retrieving, beside s6's fd-holder.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

have s6-fdholderd s6-fdholder-daemon s6-fdholder-store s6-fdholder-retrieve || return
bench_cc empty && bench_cc numbered || exit 1
N=$BENCH/numbered
D=$(mktemp -d)
mkfifo "$D/up"

ipc-fdstore serve --ready-fd 8 "$D/ours" 8>"$D/up" &
fdstore_ours=$!
read -r _ <"$D/up"
# s6 lets nobody do anything until it is told to: our own user may, with any name.
mkdir -p "$D/rules/uid/self/env"
: >"$D/rules/uid/self/allow"
for f in STORE RETRIEVE; do
	echo . >"$D/rules/uid/self/env/S6_FDHOLDER_${f}_REGEX"
done
[ "$(id -u)" != 0 ] || cp -R "$D/rules/uid/self" "$D/rules/uid/0"
s6-fdholder-daemon -1 -n 8000 -i "$D/rules" "$D/s6" >"$D/up" &
fdstore_s6=$!
read -r _ <"$D/up"

# Every store is of a new name, which is dropped by expiry (2 s) lest the stores fill up.
compare "fdstore: 300 stores / s6-fdholder-store" "<= 0.35" 9 \
	"$N 300 ipc-fdstore store --replace --expire 2 $D/ours x.% 0" \
	"n=\$(date +%s%N) && $N 300 s6-fdholder-store -d 0 -T 2000 $D/s6 \$n.%"
ipc-fdstore store "$D/ours" kept 0 </dev/null
s6-fdholder-store -d 0 "$D/s6" kept </dev/null
compare "fdstore: 300 retrieves, and exec / s6-fdholder-retrieve" "<= 0.35" 9 \
	"$N 300 ipc-fdstore retrieve --to 0 $D/ours kept -- $BENCH/empty" \
	"$N 300 s6-fdholder-retrieve $D/s6 kept $BENCH/empty"
kill "$fdstore_ours" "$fdstore_s6"
wait "$fdstore_ours" "$fdstore_s6" 2>/dev/null
rm -rf "$D"
