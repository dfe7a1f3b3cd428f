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

# stop: end the server, and want it to end with 0.
stop() {
	kill "${1:-$PID}"
	local s=0
	wait "${1:-$PID}" || s=$?
	[[ $s == 0 ]] || { echo "the server ended with $s"; return 1; }
}

lines_in() { [[ $(wc -l <"$1") -ge $2 ]]; }
gone() { [[ ! -e $1 ]]; }
