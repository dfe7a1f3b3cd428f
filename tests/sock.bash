# tests/sock.bash: what the test files of ipc-sock share.
# shellcheck shell=bash

local_setup() {
	PORT=$((20000 + ($$ + BATS_TEST_NUMBER * 37) % 12000))
}

local_teardown() {
	[[ -z ${PG-} ]] || rm -rf "$PG"
}

# serve ARG...: a server in the background, ready to accept; its pid in $PID.
serve() { ready ipc-sock serve --ready-fd 8 "$@"; }

# tcp VERB ARG...: ipc-sock VERB on a free port, in $PORT; TCP and UDP among ARG become the address.
tcp() {
	local i verb=$1
	shift
	for ((i = 0; i < 50; i++)); do
		local args=("${@/#TCP/tcp:127.0.0.1:$PORT}")
		ready ipc-sock "$verb" --ready-fd 8 "${args[@]/#UDP/udp:127.0.0.1:$PORT}" 2>tcp.err && return 0
		rm -f ready.*
		PORT=$((PORT + 1))
	done
	cat tcp.err
	return 1
}

# bound VERB ARG...: ipc-sock VERB in the background, ready; $address and $port say where.
bound() {
	mkfifo bound.$$
	ipc-sock "$1" --ready-fd 8 "${@:2}" 8>bound.$$ 3>&- 4>&- &
	PID=$!
	# shellcheck disable=SC2034
	read -r -t 20 address <bound.$$ || { echo "not ready: $*" >&2; return 1; }
	# shellcheck disable=SC2034
	port=${address##*:}
	rm -f bound.$$
}

# stop: end the server, and want it to end with 0.
stop() {
	kill "${1:-$PID}"
	local s=0
	wait "${1:-$PID}" || s=$?
	[[ $s == 0 ]] || { echo "the server ended with $s"; return 1; }
}

lines_in() { [[ $(wc -l <"$1") -ge $2 ]]; }
gone() { [[ ! -e $1 ]]; }
