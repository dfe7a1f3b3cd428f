# tests/bench/shm.sh: ipc-shm, the cost of a word, of waking a waiter, and of a big copy.
# shellcheck shell=sh source=tests/bench/lib.sh
. "${BENCH_DIR:?run it with make bench}/lib.sh"

for c in empty futexpong shmcopy; do bench_cc $c || exit 1; done
R=$BENCH/repeat
N=ipcbox-bench.$$
trap 'rm -f "/dev/shm/$N" "/dev/shm/$N.dd"' EXIT
ipc-shm create -S 4096 "posix:/$N"
compare "shm: 500 gets of a word / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-shm get posix:/$N 0" "$R 500 $BENCH/empty"
compare "shm: 500 adds to a word / 500 empty static programs" "<= 1.3" 9 \
	"$R 500 ipc-shm add posix:/$N 0 1" "$R 500 $BENCH/empty"

# Two scripts that answer each other; the limit starts as many empty programs and wakes by bare futexes.
cat >pong.sh <<EOF
i=0
while [ "\$i" -lt 300 ]; do
	i=\$((i + 1))
	ipc-shm wait -t u32 posix:/$N 64 ge "\$i" >/dev/null
	ipc-shm set -t u32 posix:/$N 128 "\$i"
done
EOF
cat >ping.sh <<EOF
ipc-shm set posix:/$N 64 0; ipc-shm set posix:/$N 128 0
sh ./pong.sh &
i=0
while [ "\$i" -lt 300 ]; do
	i=\$((i + 1))
	ipc-shm set -t u32 posix:/$N 64 "\$i"
	ipc-shm wait -t u32 posix:/$N 128 ge "\$i" >/dev/null
done
wait
EOF
compare "shm: 300 round trips of two scripts / C futex, same number of starts" "<= 1.2" 5 \
	"sh ./ping.sh" "$BENCH/futexpong 300 $BENCH/empty"

ipc-shm resize -S 1G "posix:/$N"
head -c 1G /dev/zero >file
compare "shm: write 1 GiB / C, read and pwrite by 256 KiB" "<= 1.11" 7 \
	"ipc-shm write posix:/$N <file" "$BENCH/shmcopy $N 256 <file"
compare "shm: write 1 GiB / C, read and pwrite by 1 MiB" "<= 1.11" 7 \
	"ipc-shm write posix:/$N <file" "$BENCH/shmcopy $N 1024 <file"
compare "shm: write 1 GiB / C, memcpy between mappings" "<= 1.11" 3 \
	"ipc-shm write posix:/$N <file" "$BENCH/shmcopy $N 0 <file"
compare "shm: write 1 GiB / dd bs=1M to a new file in /dev/shm" "<= 0.67" 3 \
	"ipc-shm write posix:/$N <file" "rm -f /dev/shm/$N.dd; dd if=file of=/dev/shm/$N.dd bs=1M"
compare "shm: write 1 GiB / dd bs=1M into the same segment" "-" 3 \
	"ipc-shm write posix:/$N <file" "dd if=file of=/dev/shm/$N bs=1M conv=notrunc"
