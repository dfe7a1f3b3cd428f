# tests/bench/builtins.sh: the applets as builtins of bash (ipcbox.so). Loops of one shell against loops of one
# shell; what a loop costs with nothing in it is part of both sides.
# shellcheck shell=sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

if [ ! -e "$IPCBOX_BUILD/ipcbox.so" ] || ! have bash; then
	row "builtins of bash" "-" "not built (make builtins)"
	exit 0
fi
N=${N:-20000}
IPC_DIR=$(mktemp -d)
export IPC_DIR N
q=/ipcbox-bench-$$ s=posix:/ipcbox-bench-$$ m=posix:/ipcbox-bench-$$
cleanup() {
	ipc-sem rm -q "$s" 2>/dev/null
	ipc-mq rm -q "$q" 2>/dev/null
	ipc-shm rm -q "$m" 2>/dev/null
	rm -rf "$IPC_DIR"
}
trap cleanup EXIT

# loop COUNT COMMANDS: a shell that has loaded the applets and runs COMMANDS so often.
loop() {
	printf 'exec bash -c '\''%s; exec 9<>%s/fd9; for ((i = 0; i < %d; i++)); do %s; done'\''' \
		"$(ipcbox --bash | tr -d "'")" "$IPC_DIR" "$1" "$2"
}

# budget LABEL COMMANDS COLONS COUNT CALL: a loop of COMMANDS, which are COUNT operations, against what the goal allows:
# twice the same loop of COLONS, and COUNT times the system call that syscalls.c makes as CALL. Printed are the median of
# the ratios and the three in ns: a turn of ours, a turn of COLONS, a call.
budget() {
	: >"$BENCH/pairs.$$"
	for budget_i in 0 1 2 3 4 5 6 7; do
		if ! budget_a=$(bench_time "$(loop $N "$2")") || ! budget_b=$(bench_time "$(loop $N "$3")") ||
			! budget_c=$(bench_time "$BENCH/syscalls $5 $((10 * N))"); then
			row "$1" "<= 1" "failed"
			return 1
		fi
		[ "$budget_i" = 0 ] || echo "$budget_a $budget_b $budget_c" >>"$BENCH/pairs.$$"
	done
	row "$1" "<= 1" "$(awk -v n=$N -v k="$4" '{ a = $1 / n; b = $2 / n; c = $3 / n / 10
		print a / (2 * b + k * c), a, b, c }' "$BENCH/pairs.$$" | sort -g | awk '{ r[NR] = $0 } END {
		split(r[int((NR + 1) / 2)], v, " "); printf "%.2f (%d: %d, %d)", v[1], v[2], v[3], v[4] }')"
	rm -f "$BENCH/pairs.$$" "$BENCH/ns.$$" "$BENCH/err.$$"
}
bench_cc syscalls || exit 1

colons=$(loop $N ': ; :')
compare "lock+unlock on a kept handle / two :" "<= 3" 7 \
	"$(loop $N 'ipc-lock 9; ipc-lock -u 9')" "$colons"
compare "the same with acquire and release, both families" "-" 7 \
	"$(loop $N 'ipc-lock acquire 9; ipc-lock release 9')" "$colons"
compare "the same by name, both families / two :" "-" 7 \
	"$(loop $N 'ipc-lock acquire l; ipc-lock release l')" "$colons"
compare "300 lock+unlock / 300 of flock 9; flock -u 9" "<= 0.01" 3 \
	"$(loop 300 'ipc-lock 9; ipc-lock -u 9')" \
	"$(loop 300 'flock 9; flock -u 9')"

ipc-sem create --value 0 "$s"
ipc-shm create -S 4K "$m"
compare "sem post, its system call included / :" "-" 7 "$(loop $N "ipc-sem post $s")" "$(loop $N ':')"
budget "sem post / 2 x : and its system call" "ipc-sem post $s" : 1 fstat
budget "shm add -v / 2 x : and its system call" "ipc-shm add -v X $m 0 1" : 1 futex
budget "shm set / 2 x : and its system call" "ipc-shm set $m 0 1" : 1 futex
# No more than ten messages fit a queue that anybody may make: to take them out again is part of it, on both sides.
ipc-mq create "$q"
send="ipc-mq send $q x; " ten=': ; : ; : ; : ; : ; : ; : ; : ; : ; :'
all=$N N=$((N / 10))
budget "ten mq send + recv -a / 2 x ten : and their calls" \
	"$send$send$send$send$send$send$send$send$send$send ipc-mq recv -a A $q" "$ten" 10 mq
N=$all
ipc-sem create --value 1 pool
compare "sem wait + post, a slot of the shell / two :" "-" 7 "$(loop $N 'ipc-sem wait pool; ipc-sem post pool')" "$colons"
compare "300 of the same / 300 by the program" "-" 3 "$(loop 300 'ipc-sem wait pool; ipc-sem post pool')" \
	"$(loop 300 "env ipc-sem wait --owner \$\$ pool; env ipc-sem post --owner \$\$ pool")"
compare "mq send + recv -v / two :" "-" 7 "$(loop $N "ipc-mq send $q x; ipc-mq recv -v X $q")" "$colons"

# 100-byte records: what a batch of the ring costs, against a line each from a pipe.
line=$(printf '%0100d' 0)
yes "$line" | head -n $N >"$IPC_DIR/lines"
ipc-ring create -S 4M "$IPC_DIR/ring"
compare "$N records: ring get -a / while read -r" "<= 0.05" 5 \
	"ipc-ring put $IPC_DIR/ring <$IPC_DIR/lines; $(loop 1 "n=0; while ((n < N)); do ipc-ring get -a A $IPC_DIR/ring; ((n += \${#A[@]})); done")" \
	"cat $IPC_DIR/lines | $(loop 1 'while read -r line; do :; done')"
