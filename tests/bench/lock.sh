# tests/bench/lock.sh: ipc-lock beside flock(1) and daemontools' setlock.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:-tests/bench}/lib.sh"

bench_cc empty
LOCK_DIR=$(mktemp -d)
R=$BENCH/repeat F=$LOCK_DIR/f E=$BENCH/empty
if have flock; then
	compare "lock: 300 runs / flock(1)" "<= 0.5" 9 \
		"$R 300 ipc-lock run $F -- $E" "$R 300 flock $F $E"
	compare "lock: 300 runs --exec / flock(1)" "<= 0.4" 9 \
		"$R 300 ipc-lock run --exec $F -- $E" "$R 300 flock $F $E"
	ln -s "$IPCBOX_BUILD/ipcbox" "$LOCK_DIR/flock"
	compare "lock: 300 runs of our flock / flock(1)" "<= 0.5" 9 \
		"$R 300 $LOCK_DIR/flock $F $E" "$R 300 flock $F $E"
	# Eight scripts that count under one lock.
	cat >"$LOCK_DIR/eight" <<'EOF'
for i in 1 2 3 4 5 6 7 8; do
	for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
		"$@"
	done &
done
wait
EOF
	compare "lock: eight contending shells / flock(1)" "<= 0.75" 9 \
		"sh $LOCK_DIR/eight ipc-lock run $F -- $E" "sh $LOCK_DIR/eight flock $F $E"
fi
if have setlock; then
	compare "lock: 300 runs / setlock" "<= 0.85" 9 \
		"$R 300 ipc-lock run $F -- $E" "$R 300 setlock $F $E"
fi
rm -rf "$LOCK_DIR"
