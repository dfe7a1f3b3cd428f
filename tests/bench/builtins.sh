# tests/bench/builtins.sh: the applets as builtins of bash (ipcbox.so). Loops of one shell against loops of one
# shell; what a loop costs with nothing in it is part of both sides.
# shellcheck shell=sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

if [ ! -e "$IPCBOX_BUILD/ipcbox.so" ] || ! have bash; then
	row "builtins of bash" "-" "not built (make builtins)"
	exit 0
fi
N=20000
IPC_DIR=$(mktemp -d)
export IPC_DIR N
q=/ipcbox-bench-$$ s=posix:/ipcbox-bench-$$
cleanup() {
	ipc-sem rm -q "$s" 2>/dev/null
	ipc-mq rm -q "$q" 2>/dev/null
	rm -rf "$IPC_DIR"
}
trap cleanup EXIT

# loop COUNT COMMANDS: a shell that has loaded the applets and runs COMMANDS so often.
loop() {
	printf 'exec bash -c '\''%s; exec 9<>%s/fd9; for ((i = 0; i < %d; i++)); do %s; done'\''' \
		"$(ipcbox --bash | tr -d "'")" "$IPC_DIR" "$1" "$2"
}

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
compare "sem post, its system call included / :" "<= 2" 7 "$(loop $N "ipc-sem post $s")" "$(loop $N ':')"
ipc-mq create "$q"
compare "mq send + recv -v / two :" "-" 7 "$(loop $N "ipc-mq send $q x; ipc-mq recv -v X $q")" "$colons"

# 100-byte records: what a batch of the ring costs, against a line each from a pipe.
line=$(printf '%0100d' 0)
yes "$line" | head -n $N >"$IPC_DIR/lines"
ipc-ring create -S 4M "$IPC_DIR/ring"
compare "$N records: ring get -a / while read -r" "<= 0.05" 5 \
	"ipc-ring put $IPC_DIR/ring <$IPC_DIR/lines; $(loop 1 "n=0; while ((n < N)); do ipc-ring get -a A $IPC_DIR/ring; ((n += \${#A[@]})); done")" \
	"cat $IPC_DIR/lines | $(loop 1 'while read -r line; do :; done')"
