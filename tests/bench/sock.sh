# tests/bench/sock.sh: ipc-sock: connections a second, one request, bulk, memory of idle clients.
# shellcheck shell=sh
# shellcheck source=tests/bench/lib.sh
. "${BENCH_DIR:-tests/bench}/lib.sh"

bench_cc sockload && bench_cc sockspawn && bench_cc sockepoll && bench_cc empty || exit
sock_dir=$(mktemp -d)
sock_pids=
sock_up() { # ADDR CMD...: start a server and wait for it
	sock_addr=$1
	shift
	"$@" >/dev/null 2>&1 &
	sock_pids="$sock_pids $!"
	ipc-sock wait -w 10 "$sock_addr"
}
D=$sock_dir
L=$BENCH/sockload

# The same command, which does nothing and is static: the cost of the server is what differs.
sock_up "$D/ours" ipc-sock serve "$D/ours" -- "$BENCH/empty"
sock_up "$D/limit" "$BENCH/sockspawn" "$D/limit" "$BENCH/empty"
if have unixserver; then
	sock_up "$D/peer" unixserver -q -c 100 -- "$D/peer" "$BENCH/empty"
	compare "serve -- CMD: 1000 connections one by one / unixserver" "<= 0.83" 9 \
		"$L $D/ours 1000 1" "$L $D/peer 1000 1"
	compare "serve -- CMD: 1000 connections, 50 at once / unixserver" "<= 0.83" 9 \
		"$L $D/ours 1000 50" "$L $D/peer 1000 50"
fi
compare "serve -- CMD: 1000 connections one by one / C accept+vfork+exec" "<= 1.11" 9 \
	"$L $D/ours 1000 1" "$L $D/limit 1000 1"
compare "serve -- CMD: 1000 connections, 50 at once / C accept+vfork+exec" "<= 1.11" 9 \
	"$L $D/ours 1000 50" "$L $D/limit 1000 50"

sock_up "$D/echo" ipc-sock serve --echo "$D/echo"
sock_up "$D/epoll" "$BENCH/sockepoll" "$D/epoll"
compare "serve --echo: 20000 connections, 50 at once / C epoll loop" "<= 1.67" 9 \
	"$L $D/echo 20000 50" "$L $D/epoll 20000 50"
if have unixserver; then
	# A twentieth of the connections: a ratio of 1 is a factor of 20.
	sock_up "$D/cat" unixserver -q -c 100 -- "$D/cat" cat
	compare "serve --echo: 20000 connections / unixserver cat: 1000" "<= 1" 9 \
		"$L $D/echo 20000 50" "$L $D/cat 1000 50"
fi

R=$BENCH/repeat
ask="connect: 100 requests"
if have nc; then
	compare "$ask / nc" "<= 0.3" 9 "$R 100 ipc-sock connect $D/echo" "$R 100 nc -N -U $D/echo"
fi
if have socat; then
	compare "$ask / socat" "<= 0.1" 9 "$R 100 ipc-sock connect $D/echo" \
		"$R 100 socat - UNIX-CONNECT:$D/echo"
	head -c 1000000000 /dev/zero >"$D/big"
	sock_up "$D/sink" ipc-sock serve --collect --raw "$D/sink"
	socat -u -b 262144 "UNIX-LISTEN:$D/sosink,fork" OPEN:/dev/null &
	sock_pids="$sock_pids $!"
	ipc-sock wait -w 10 "$D/sosink"
	compare "1 GB: file, connect, serve, /dev/null / socat -u -b 262144" "<= 0.33" 5 \
		"ipc-sock connect $D/sink <$D/big" "socat -u -b 262144 OPEN:$D/big UNIX-CONNECT:$D/sosink"
fi

mkfifo "$D/hold"
sock_up "$D/idle" ipc-sock serve --echo "$D/idle"
sock_server=${sock_pids##* }
"$L" "$D/idle" 10000 idle <"$D/hold" >"$D/up" &
exec 9>"$D/hold"
timeout 60 tail -n +1 -f "$D/up" | read -r _
row "serve --echo: memory with 10,000 idle clients (kB)" "< 30000" \
	"$(sed -n 's/VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$sock_server/status")"
exec 9>&-

# shellcheck disable=SC2086
kill $sock_pids
wait
rm -rf "$sock_dir"
