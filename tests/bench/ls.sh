# tests/bench/ls.sh: ipc-ls on a machine with 5,000 objects and 500 processes, and with a tenth of that.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

many() { # OBJECTS PROCESSES COMMAND...: COMMAND with that many there
	D=$(mktemp -d "$BENCH/ls.XXXXXX")
	mkfifo "$D/end"
	(cd "$D" && exec python3 "$BENCH_ABS/ls_many.py" "$1" "$2" "$D/ready") <"$D/end" &
	many_pid=$!
	exec 9>"$D/end"
	while [ ! -e "$D/ready" ] && kill -0 "$many_pid" 2>/dev/null; do sleep 0.1; done
	shift 2
	"$@"
	exec 9>&-
	wait "$many_pid"
	rm -rf "$D"
}

BENCH_ABS=$(cd "$BENCH_DIR" && pwd)
have python3 lsof || exit 0
many 500 50 measure "ls: 500 objects, 50 processes" "-" 5 "ipc-ls"
many 5000 500 measure "ls: 5,000 objects, 500 processes (no quadratic step)" "<= 10 x that" 5 "ipc-ls"
many 5000 500 compare "ls: 5,000 objects, 500 processes / lsof" "<= 0.5" 5 "ipc-ls" "lsof -n -w"
many 5000 500 compare "ls -J: the same" "<= 0.5" 5 "ipc-ls -J" "lsof -n -w"
