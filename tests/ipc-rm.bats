#!/usr/bin/env bats
# ipc-rm: every kind by name, what is stale, and above all what it must not remove.
load helper

local_setup() {
	U=ipcrm-$$-$BATS_TEST_NUMBER
}

local_teardown() {
	[[ -z ${U-} ]] || rm -f "/dev/shm/$U" "/dev/shm/sem.$U"
	local id
	for id in ${SHMS-}; do ipcrm -m "$id" 2>/dev/null || :; done
	for id in ${MSGS-}; do ipcrm -q "$id" 2>/dev/null || :; done
	for id in ${SEMS-}; do ipcrm -s "$id" 2>/dev/null || :; done
	ipc-mq rm "/$U" 2>/dev/null || :
	[[ -z ${OPEN-} ]] || rm -rf "$OPEN"
}

# holding FILE: a process that has FILE mapped.
holding() {
	rm -f up
	bg python3 -c "
import mmap, os, signal
f = os.open('$1', os.O_RDWR); m = mmap.mmap(f, 4096); os.close(f)
open('up', 'w'); signal.pause()"
	H=$!
	until_true test -e up
}

rm_() { # STATUS ARG...
	local want=$1
	shift
	status "$want" timeout 60 ipc-rm "$@"
}

@test "posix segment, semaphore and queue by name; -t tells those of one name apart" {
	head -c 4096 /dev/zero >"/dev/shm/$U"
	ipc-sem create --value 1 "posix:/$U"
	rm_ 64 "posix:/$U"
	[[ $stderr == *several*'-t KIND'* && $stderr == *shm* && $stderr == *sem* ]]
	rm_ 0 -t sem "posix:/$U"
	[[ -e /dev/shm/$U && ! -e /dev/shm/sem.$U ]]
	rm_ 66 -t sem "posix:/$U"
	rm_ 0 "posix:/$U"
	[[ ! -e /dev/shm/$U ]]
	rm_ 66 "posix:/$U"
	[[ $(id -u) == 0 || -d /dev/mqueue ]] || skip "needs root or /dev/mqueue"
	ipc-mq create --depth 2 -S 16 "/$U"
	ipc-mq send "/$U" x
	rm_ 0 "posix:/$U"
	status 66 ipc-mq stat "/$U"
}

@test "System V objects by id and by key" {
	SHMS=$(ipcmk -M 4096 | grep -o '[0-9]*$')
	MSGS=$(ipcmk -Q | grep -o '[0-9]*$')
	SEMS=$(ipcmk -S 1 | grep -o '[0-9]*$')
	rm_ 0 -t shm "sysv:id=$SHMS"
	rm_ 0 -t sem "sysv:id=$SEMS"
	rm_ 0 "sysv:$(ipcs -q | awk -v i="$MSGS" '$2 == i { print $1 }')"
	status 1 bash -c "ipcs -m | awk '{ print \$2 }' | grep -qx $SHMS"
	status 1 bash -c "ipcs -s | awk '{ print \$2 }' | grep -qx $SEMS"
	status 1 bash -c "ipcs -q | awk '{ print \$2 }' | grep -qx $MSGS"
	rm_ 66 -t shm "sysv:id=$SHMS"
	rm_ 64 sysv:private
	rm_ 64 sysv:0
}

@test "files: FIFO, dead socket, ring, event, barrier, slots, spool, by path and by word" {
	need python3
	ipc-fifo create f ./f2
	ipc-ring create -S 4096 r
	ipc-event set ./ev
	ipc-sem create --value 2 s
	ipc-lock run l -- true
	ipc-spool create ./q
	python3 -c "
import socket
s = socket.socket(socket.AF_UNIX); s.bind('dead')"
	rm_ 0 -v f ./f2 r ./ev s l ./q ./dead
	[[ $(grep -c '^removed ' <<<"$output") == 8 ]]
	[[ -z $(ls ipc) && ! -e f2 && ! -e ev && ! -e q && ! -e dead ]]
	rm_ 66 f
	rm_ 66 ./f2
}

@test "what is held stays: 75 naming the holder; --force takes it" {
	need python3
	head -c 4096 /dev/zero >"/dev/shm/$U"
	holding "/dev/shm/$U"
	rm_ 75 "posix:/$U"
	[[ -e /dev/shm/$U && $stderr == *"in use by $H python3"*--force* || $stderr == *"in use by $H "*python3*--force* ]]
	rm_ 75 --dry-run "posix:/$U"
	rm_ 0 --force "posix:/$U"
	[[ ! -e /dev/shm/$U ]]
	mkfifo f
	bg sh -c 'exec 9<>f; echo >up2; exec sleep 300'
	until_true test -e up2
	rm_ 75 ./f
	[[ -p f ]]
}

@test "a lock that is held or waited for stays; a live server's socket stays" {
	bg ipc-lock run l -- sh -c 'echo >up; exec sleep 300'
	until_true test -e up
	rm_ 75 l
	bg flock k sh -c 'echo >up3; exec sleep 300'
	until_true test -e up3
	rm_ 75 ./k
	ready ipc-sock serve --ready-fd 8 --echo ./srv
	rm_ 75 ./srv
	[[ -S srv ]]
	rm_ 75 --stale ./srv
}

@test "--force on what is waited for tells the waiters" {
	code=0
	bg ipc-event wait e
	w=$!
	until_true bash -c "timeout 60 ipc-ls -q -t event -o waiters | grep -q $w"
	rm_ 75 e
	rm_ 0 --force e
	wait "$w" || code=$?
	[[ $code == 66 ]]
}

@test "--force on what is waited for works where SIGCHLD was ignored" {
	ipc-ring create -S 4096 r
	bg ipc-ring get -w 20 r
	local p=$! st=0
	until_true blocked $p
	status 0 perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' ipc-rm --force r
	wait $p || st=$?
	[[ $st == 66 && ! -e $IPC_DIR/r.ring ]]
}

@test "what is marked for removal already, keys of no file, files that may not be looked at" {
	status 0 ipc-shm run -S 4096 sysv:private -- sh -c 'timeout 60 ipc-rm "$IPC_OBJECT" 2>&1; echo $?'
	[[ $output == *"removed already, it goes with its last holder"*$'\n66' ]]
	rm_ 66 "sysv:./none#1"
	[[ $(id -u) == 0 ]] || return 0
	OPEN=$(mktemp -d /tmp/ipcrm.XXXXXX)
	mkdir -m 700 "$OPEN/closed"
	mkfifo "$OPEN/closed/f"
	chmod 755 "$OPEN"
	cp "$(readlink -f "$BIN/ipc-rm")" "$OPEN/ipc-rm"
	as_nobody "$OPEN/ipc-rm" --help >/dev/null || skip "nobody does not get here"
	status 77 as_nobody timeout 60 "$OPEN/ipc-rm" "$OPEN/closed/f"
	[[ $stderr == *"look at $OPEN/closed/f"* ]]
	# A directory that may be written to and searched, but not read.
	mkdir "$OPEN/blind"
	mkfifo "$OPEN/blind/f"
	chown 65534 "$OPEN/blind/f"
	chmod 733 "$OPEN/blind"
	status 0 as_nobody timeout 60 "$OPEN/ipc-rm" "$OPEN/blind/f"
	[[ ! -e $OPEN/blind/f ]]
}

@test "what becomes another, or is taken into use, between the look and the removal is spared" {
	need python3
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("./dead")'
	# A server that starts holds the directory.
	mkfifo hold
	flock . sh -c 'echo >held; read -r x <hold' 3>&- &
	local p=$!
	until_true test -e held
	rm_ 75 ./dead
	[[ $stderr == *"was taken into use meanwhile"* && -S dead ]]
	echo >hold
	wait $p
	rm_ 0 ./dead
	need strace
	[[ -z ${IPCBOX_SANITIZE-}${IPCBOX_COVERAGE-} ]] || skip "no strace under the sanitizer"
	: >l
	: >new
	strace -qq -o trace -e trace=flock -e inject=flock:delay_enter=3000000:when=1 ipc-rm -t lock ./l 2>err 3>&- &
	p=$!
	local st=0
	until_true grep -q flock trace
	mv new l
	wait $p || st=$?
	[[ $st == 75 && -e l ]]
	grep -q 'has become another meanwhile' err
	SHMS=$(ipcmk -M 4096 | grep -o '[0-9]*$')
	python3 -c '
import ctypes, sys, time
libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
print(flush=True); open("hold").read(); libc.shmat(int(sys.argv[1]), None, 0); time.sleep(60)' "$SHMS" 3>&- >up &
	local user=$!
	until_true test -s up
	strace -qq -o trace -e trace=shmctl -e inject=shmctl:delay_enter=3000000:when=1 ipc-rm "sysv:id=$SHMS" 2>err 3>&- &
	p=$! st=0
	until_true grep -q shmctl trace
	echo >hold
	wait $p || st=$?
	kill $user
	[[ $st == 75 ]]
	grep -q 'was taken into use meanwhile' err
}

@test "a spool with jobs goes only by force" {
	ipc-spool create ./q
	ipc-spool put ./q >/dev/null <<<job
	code=0
	timeout 60 ipc-rm ./q </dev/null 2>err || code=$?
	[[ $code != 0 && -d q ]]
	rm_ 0 --force ./q
	[[ ! -e q ]]
}

@test "a symbolic link is never followed" {
	mkfifo real
	ln -s real link
	rm_ 65 ./link
	rm_ 65 --force ./link
	[[ -p real && -L link && $stderr == *'symbolic link'* ]]
	mkdir -m 700 ipc
	ln -s ../real ipc/x.fifo
	rm_ 66 x
	rm_ 0 --stale -t fifo
	[[ -p real && -L ipc/x.fifo ]]
}

@test "files that are no IPC objects are not removed" {
	echo precious >file
	mkdir dir
	rm_ 65 ./file
	rm_ 65 ./dir
	rm_ 65 --force ./dir
	rm_ 65 --force -t all ./file
	[[ -s file && -d dir ]]
	: >plain.lock
	rm_ 65 ./plain.lock
	rm_ 0 -t lock ./plain.lock
	[[ ! -e plain.lock ]]
	rm_ 66 ./none
}

@test "another user's object stays, also for root: 77, unless --owner names him" {
	need root
	head -c 4096 /dev/zero >"/dev/shm/$U"
	chown 65534 "/dev/shm/$U"
	rm_ 77 "posix:/$U"
	rm_ 77 --force "posix:/$U"
	rm_ 0 --stale --dry-run
	[[ $output != *"$U"* ]]
	[[ -e /dev/shm/$U ]]
	rm_ 0 --stale --dry-run -u 65534 -t shm
	! sight || [[ $output == *"would remove shm posix:/$U: no holder"* ]]
	rm_ 0 -u nobody "posix:/$U"
	[[ ! -e /dev/shm/$U ]]
}

@test "without permission: 77 from the kernel, and the object stays" {
	need root
	OPEN=$(mktemp -d /tmp/ipcrm.XXXXXX)
	cp "$(readlink -f "$BIN/ipc-rm")" "$OPEN/ipcbox"
	cd "$OPEN"
	ln -s ipcbox ipc-rm
	mkfifo f
	chown 65534 f
	chmod 755 .
	as_nobody ./ipc-rm --help >/dev/null || skip "nobody does not get here"
	status 77 as_nobody timeout 60 ./ipc-rm ./f
	[[ -p f ]]
}

@test "--stale --dry-run only says; --stale removes what it said, and nothing else" {
	need sight
	ipc-fifo create f
	ipc-lock run l -- true
	ipc-ring create -S 4096 r
	ipc-ring put r x
	bg ipc-lock run held -- sh -c 'echo >up; exec sleep 300'
	until_true test -e up
	rm_ 0 --stale --dry-run -t fifo,lock,ring
	grep -x 'would remove fifo f: no holder' .out
	grep -x 'would remove lock l: no holder' .out
	[[ $output != *held* && -e ipc/f.fifo && -e ipc/l.lock ]]
	rm_ 0 --stale --older 1h -t fifo,lock,ring
	[[ -e ipc/f.fifo ]]
	# Only what is ours to remove in this test: files of other tests have no kinds of these in $IPC_DIR.
	rm_ 0 --stale -t fifo,lock,ring
	grep -x 'removed fifo f: no holder' .out
	[[ ! -e ipc/f.fifo && ! -e ipc/l.lock && -e ipc/r.ring && -e ipc/held.lock ]]
	rm_ 75 --stale r
	rm_ 0 --stale -t fifo
	[[ -z $output ]]
}

@test "what has no name cannot be removed, and says with whom it goes" {
	need python3
	bg python3 -c "
import os, signal, socket
s = socket.socket(socket.AF_UNIX); s.bind('\0$U'); m = os.memfd_create('$U')
open('up', 'w'); signal.pause()"
	p=$!
	until_true test -e up
	rm_ 64 "@$U"
	[[ $stderr == *"$p"* ]]
	rm_ 64 "memfd:$U"
	rm_ 64 tcp:127.0.0.1:1
	rm_ 64 fd:0
}

@test "usage: nothing named, unknown kinds, --older without --stale" {
	rm_ 64
	rm_ 64 -t shm
	rm_ 64 -t nonsense x
	rm_ 64 --older 1h x
	rm_ 64 ''
	rm_ 66 nothing
}

@test "several objects: the good ones go, the worst status counts" {
	ipc-fifo create a b
	rm_ 66 a none b
	[[ -z $(ls ipc) ]]
}

@test "at a terminal it asks: yes removes, anything else does not" {
	need python3
	mkfifo f
	bg sh -c 'exec 9<>f; echo >up; exec sleep 300'
	until_true test -e up
	for answer in n y; do
		python3 - "$answer" <<'EOF' || code=$?
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("timeout", ["timeout", "--foreground", "60", "ipc-rm", "./f"])
out = b""
while b"[y/N]" not in out: out += os.read(fd, 4096)
os.write(fd, sys.argv[1].encode() + b"\n")
try:
    while os.read(fd, 4096): pass
except OSError: pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
		if [[ $answer == n ]]; then
			[[ $code == 75 && -p f ]]
			code=0
		fi
	done
	[[ $code == 0 && ! -e f ]]
}

@test "a socket that came alive and a lock that was taken after the look are spared" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	ipc-lock run l -- true
	# The last look at the lock's file finds it locked: as if another had been faster.
	status 75 timeout 60 strace -f -o /dev/null -e inject=flock:error=EAGAIN ipc-rm l
	[[ -e ipc/l.lock && $stderr == *meanwhile* ]]
}

@test "a spool that is swapped for a link to another one: the other one stays" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	ipc-spool create ./a
	ipc-spool create ./b
	# The applet that removes it starts late.
	bg strace -f -qq -o t -e trace=execve,vfork,clone,clone3 -e inject=execve:delay_enter=2000000 ipc-rm -v ./a
	local pid=$!
	until_true grep -qE 'vfork|clone' t
	mv a was
	ln -s b a
	wait $pid || :
	[[ -f b/format && -h a && ! -e was ]]
}

@test "a spool is removed by ipc-rm, with its path in what is said" {
	echo x | ipc-spool put ./q
	status 75 ipc-rm ./q
	[[ $stderr == *"/q: has unfinished jobs"* ]]
	[[ $stderr != */proc/* ]]
	status 0 ipc-rm --force ./q
	[[ ! -e q ]]
}

# inside CMD...: in a pid namespace of its own, which shows none of the processes outside.
inside() {
	unshare -pf --mount-proc "$@"
}

@test "--stale keeps a segment that a process outside of the pid namespace maps; it takes it when that has ended" {
	need root python3
	head -c 4096 /dev/zero >"/dev/shm/$U"
	holding "/dev/shm/$U"
	status 75 inside ipc-rm --stale "posix:/$U"
	[[ -e /dev/shm/$U ]]
	# An empty /proc, none at all, and processes that are hidden.
	unshare -m sh -c 'mount -t tmpfs none /proc && exec ipc-rm --stale --dry-run -t shm' >out 2>err 3>&- || :
	[[ $(<out) != *"$U"* ]]
	kill "$H"
	wait "$H" || :
	status 0 inside ipc-rm --stale -t shm "posix:/$U"
	[[ ! -e /dev/shm/$U ]]
}

@test "--stale keeps what is mapped privately, or only a descriptor in flight leads to" {
	need python3
	head -c 4096 /dev/zero >"/dev/shm/$U"
	bg python3 -c "
import mmap, os, signal
f = os.open('/dev/shm/$U', os.O_RDONLY); m = mmap.mmap(f, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ); os.close(f)
open('up', 'w'); signal.pause()"
	local p=$!
	until_true test -e up
	rm_ 75 --stale "posix:/$U"
	rm_ 75 "posix:/$U"
	kill $p
	wait $p || :
	rm up
	bg python3 -c "
import os, signal, socket
a, b = socket.socketpair(socket.AF_UNIX)
f = os.open('/dev/shm/$U', os.O_RDWR); socket.send_fds(a, [b'x'], [f]); os.close(f)
open('up', 'w'); signal.pause()"
	p=$!
	until_true test -e up
	rm_ 75 --stale "posix:/$U"
	[[ -e /dev/shm/$U ]]
	kill $p
	wait $p || :
	rm_ 0 --stale "posix:/$U"
}

@test "--stale keeps a segment that a chain of short processes passes on" {
	need python3
	head -c 4096 /dev/zero >"/dev/shm/$U"
	bg python3 -c "
import mmap, os, time
f = os.open('/dev/shm/$U', os.O_RDWR); m = mmap.mmap(f, 4096); os.close(f)
open('up', 'w')
end = time.time() + 60
while time.time() < end and not os.path.exists('stop'):
    if os.fork(): os._exit(0)"
	until_true test -e up
	local i
	for i in {1..25}; do
		rm_ 75 --stale "posix:/$U"
	done
	: >stop
}

@test "--stale keeps a FIFO where not all processes can be seen, and says why" {
	need root
	ipc-fifo create f
	sleep 60 <>ipc/f.fifo 3>&- &
	status 0 inside ipc-rm --stale -t fifo
	[[ -e ipc/f.fifo && $stderr == *"cannot be told"*"/proc does not show all"* ]]
	status 75 inside ipc-rm --stale f
	[[ $stderr == *"/proc does not show all"* ]]
	kill $!
	rm_ 0 --stale -t fifo
	[[ ! -e ipc/f.fifo ]]
}

@test "--stale keeps a dotlock and a lock file whose holder is outside of the pid namespace" {
	need root
	bg ipc-lock run --family dotlock d -- sh -c 'echo >up; exec sleep 300'
	until_true test -e up
	bg sh -c 'exec 9>"$IPC_DIR/c.lock"; echo >up2; exec sleep 300'
	local p=$!
	until_true test -e up2
	status 0 inside ipc-rm --stale -t lock
	[[ -e ipc/d.lock && -e ipc/c.lock ]]
	# Open is in use, also when it is not locked yet.
	rm_ 0 --stale -t lock
	rm_ 75 c
	[[ -e ipc/d.lock && -e ipc/c.lock ]]
	kill $p
	wait $p || :
	rm_ 0 --stale -t lock
	[[ -e ipc/d.lock && ! -e ipc/c.lock ]]
}

@test "--stale keeps a semaphore set that a process is to undo, whoever used it after that" {
	need python3
	SEMS=$(ipcmk -S 3 | grep -o '[0-9]*$')
	cat >op.py <<-'E'
	import ctypes, struct, sys
	op = ctypes.create_string_buffer(struct.pack("Hhh", int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4], 8)))
	assert ctypes.CDLL(None).semop(int(sys.argv[1]), op, 1) == 0
	if sys.argv[5:]:
	    import signal
	    open("up", "w")
	    signal.pause()
	E
	bg python3 op.py "$SEMS" 0 1 010000 stay
	until_true test -e up
	python3 op.py "$SEMS" 1 1 0
	python3 op.py "$SEMS" 2 1 0
	rm_ 75 --stale "sysv:id=$SEMS"
	# Now the last user of all three has ended, and the first has not.
	python3 op.py "$SEMS" 0 1 0
	rm_ 75 --stale "sysv:id=$SEMS"
	[[ -n $(ipcs -s | awk -v i="$SEMS" '$2 == i') ]]
}

@test "--stale --older: the word verbs of ipc-shm count as use" {
	ipc-shm create -S 4096 "posix:/$U"
	# Once the time of access is later than the others, a mapping does not move it for a day.
	local verb now
	for verb in "get posix:/$U 0" "add posix:/$U 0 1" "set posix:/$U 0 1" "cas posix:/$U 0 1 2"; do
		touch -m -d '1 hour ago' "/dev/shm/$U"
		touch -a -d '+1 hour' "/dev/shm/$U"
		# shellcheck disable=SC2086
		ipc-shm $verb
		now=$(date +%s)
		[[ $(stat -c %X "/dev/shm/$U") -lt $((now + 60)) || $(stat -c %Y "/dev/shm/$U") -gt $((now - 60)) ]]
	done
	rm_ 0 --stale --dry-run --older 10m -t shm
	[[ $output != *"$U"* ]]
}
