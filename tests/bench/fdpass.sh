# tests/bench/fdpass.sh: ipc-sendfd and ipc-recvfd: descriptors a second, one way.
# shellcheck shell=sh disable=SC3045 source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

bench_cc fdpass || exit 1
C=$BENCH/fdpass
# The receiver holds them all: as many as may be open here.
ulimit -n "$(ulimit -H -n)" 2>/dev/null
N=$(($(ulimit -n) - 100))
[ "$N" -le 25300 ] || N=25300
awk -v n="$N" 'BEGIN { while (n-- > 0) print 0 }' >fds

# 1/0.7 = 1.43. The socket is there when the sender comes, or is waited for in the same way on both sides.
compare "descriptors one way, $N, both ends / C sendmsg and recvmsg, 253 a message" "<= 1.43" 15 \
	"ipc-recvfd --listen ./ours & ipc-sock wait ./ours; xargs -x -n $N -s 200000 ipc-sendfd ./ours <fds; wait" \
	"$C recv ./c & ipc-sock wait ./c; xargs -x -n $N -s 200000 true <fds; $C send ./c $N </dev/null; wait"
