#!/usr/bin/env bats
# ipc-ls: one list of everything, compared with the tools that show parts of it; holders, waiters, verdicts.
# Objects are made by programs that are not ours, in the test's own directory and $IPC_DIR.
load helper

local_setup() {
	U=ipcls-$$-$BATS_TEST_NUMBER
	cat >zoo.py <<'EOF'
import ctypes, fcntl, mmap, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
d, u = os.getcwd(), sys.argv[1]
def check(r):
    if r in (-1, None): raise OSError(ctypes.get_errno(), "zoo")
    return r
keep, ids = [], {}
def srv():
    s = socket.socket(socket.AF_UNIX); s.bind(d + "/srv"); s.listen(5)
    c = socket.socket(socket.AF_UNIX); c.connect(d + "/srv"); a, _ = s.accept()
    keep.extend([s, c, a])
def abstract():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("\0" + u); keep.append(s)
def pair():
    keep.extend(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
def locks():
    f = open("l.flock", "w"); fcntl.flock(f, fcntl.LOCK_EX); keep.append(f)
    f = open("l.posix", "w"); fcntl.lockf(f, fcntl.LOCK_EX, 10, 5); keep.append(f)
    f = open("l.ofd", "w"); fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 3, 4, 0)); keep.append(f)
def fifo():
    os.mkfifo("ff"); f = os.open("ff", os.O_RDWR); os.write(f, b"hello"); keep.append(f)
def pipe():
    keep.extend(os.pipe())
def memfd():
    f = os.memfd_create(u); os.truncate(f, 8192); keep.append(f)
def eventfd():
    keep.append(check(libc.eventfd(3, 0)))
def sysv():
    ids["m"] = check(libc.shmget(0, 4096, 0o1640)); check(libc.shmat(ids["m"], None, 0))
    ids["q"] = check(libc.msgget(0, 0o1600)); ids["s"] = check(libc.semget(0, 2, 0o1600))
    libc.msgsnd(ids["q"], struct.pack("l5s", 1, b"hello"), 5, 0)
def shm():
    f = os.open("/dev/shm/" + u, os.O_RDWR | os.O_CREAT, 0o600); os.truncate(f, 4096)
    keep.append(mmap.mmap(f, 4096)); os.close(f)
def gone():
    shm(); os.unlink("/dev/shm/" + u)
def fgone():
    f = open("l.gone", "w"); fcntl.flock(f, fcntl.LOCK_EX); os.unlink("l.gone"); keep.append(f)
def sem():
    lib = ctypes.CDLL("libpthread.so.0", use_errno=True); lib.sem_open.restype = ctypes.c_void_p
    check(lib.sem_open(("/" + u).encode(), os.O_CREAT, 0o600, 2))
def mq():
    rt = ctypes.CDLL("librt.so.1", use_errno=True)
    class attr(ctypes.Structure): _fields_ = [(n, ctypes.c_long) for n in ("f", "m", "s", "c", "r0", "r1", "r2", "r3")]
    a = attr(0, 4, 16, 0, 0, 0, 0, 0)
    q = check(rt.mq_open(("/" + u).encode(), os.O_RDWR | os.O_CREAT, 0o600, ctypes.byref(a)))
    check(rt.mq_send(q, b"hi", 2, 0))
for what in sys.argv[2:]: globals()[what]()
print(os.getpid(), *[k + "=" + str(v) for k, v in ids.items()], file=open("zoo.out", "w"), flush=True)
os.rename("zoo.out", "zoo.ready")
sys.stdin.read()
EOF
}

# for_nobody: go to a directory where nobody can work, with our own copy of the program as ./ipc-ls.
for_nobody() {
	need root
	OPEN=$(mktemp -d /tmp/ipcls.XXXXXX)
	cp zoo.py "$OPEN"
	cd "$OPEN" || return 1
	chmod 777 .
	mkdir -m 700 ipc && chown 65534:65534 ipc
	IPC_DIR=$OPEN/ipc
	cp "$(readlink -f "$BIN/ipc-ls")" ipcbox
	ln -s ipcbox ipc-ls && ln -s ipcbox ipc-lock && ln -s ipcbox ipc-fifo
	as_nobody ./ipc-ls --help >/dev/null || skip "nobody does not get here"
}

local_teardown() {
	[[ -z ${OPEN-} ]] || rm -rf "$OPEN"
	exec 7>&- 2>/dev/null || :
	if [[ ${ZOO:-0} != 0 ]]; then
		kill -KILL "$ZOO" 2>/dev/null || :
		wait "$ZOO" 2>/dev/null || :
	fi
	[[ -z ${U-} ]] || rm -f "/dev/shm/$U" "/dev/shm/sem.$U" "/dev/shm/sem.$U.2"
	local id
	for id in ${SEMS-}; do ipcrm -s "$id" 2>/dev/null || :; done
	for id in ${SHMS-}; do ipcrm -m "$id" 2>/dev/null || :; done
	for id in ${MSGS-}; do ipcrm -q "$id" 2>/dev/null || :; done
	[[ -z ${MQ-} ]] || ipc-mq rm "/$MQ" 2>/dev/null || :
}

# zoo WHAT...: a python program that holds these until descriptor 7 is closed. Its pid is in $ZOO.
zoo() {
	mkfifo zoo.in
	(exec python3 zoo.py "$U" "$@" <zoo.in 3>&- 4>&-) &
	ZOO=$!
	exec 7>zoo.in
	until_true test -e zoo.ready
	read -r ZPID rest <zoo.ready
	[[ $ZPID == "$ZOO" ]]
	# shellcheck disable=SC2086
	for w in $rest; do declare -g "ID_${w%%=*}=${w#*=}"; done
	SHMS+=" ${ID_m-}" MSGS+=" ${ID_q-}" SEMS+=" ${ID_s-}"
}

# query EXPR: EXPR in python over the list L of `ipc-ls -J -t all`, with T, U and P (the zoo's pid) at hand.
query() {
	timeout 60 ipc-ls -J -q -t all >list.json </dev/null
	python3 - "$1" "$T" "$U" "${ZOO:-0}" "${2-}" <<'EOF'
import json, sys, os
L = json.load(open("list.json"))
T, U, P, A = sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
def named(name): return [o for o in L if o["name"] == name]
def one(name, kind=None):
    l = [o for o in named(name) if kind in (None, o["kind"])]
    assert len(l) == 1, (name, l)
    return l[0]
def pids(l): return [p["pid"] for p in l]
r = eval(sys.argv[1])
if r is not True:
    print(json.dumps(r, indent=1, default=str))
    sys.exit(1)
EOF
}

@test "posix segments: owner, mode, size, who maps them" {
	need python3
	zoo shm
	query 'one("posix:/"+U, "shm")["mode"] == "0600" and one("posix:/"+U, "shm")["size"] == 4096'
	query 'one("posix:/"+U, "shm")["holders"][0]["pid"] == P and one("posix:/"+U, "shm")["holders"][0]["mapped"]'
	query 'one("posix:/"+U, "shm")["uid"] == os.getuid() and one("posix:/"+U, "shm")["stale"] is None'
}

@test "posix semaphores: value, who maps them; of another word size without the value" {
	need python3
	zoo sem
	query 'pids(one("posix:/"+U, "sem")["holders"]) == [P]'
	query 'one("posix:/"+U, "sem")["used"] == '"$(same_word && echo 2 || echo None)"
	# The other size.
	head -c $((48 - $(stat -c %s "/dev/shm/sem.$U"))) /dev/zero >"/dev/shm/sem.$U.2"
	query '(one("posix:/"+U+".2", "sem")["used"] is None) is '"$(same_word && echo True || echo False)"
}

@test "posix queues: messages, depth and holder, also without /dev/mqueue" {
	need python3
	MQ=$U
	zoo mq
	[[ $(id -u) == 0 || -d /dev/mqueue ]] || skip "needs root or /dev/mqueue"
	query 'one("posix:/"+U)["used"] == 1 and one("posix:/"+U)["room"] == 4'
	query 'one("posix:/"+U)["size"] == 2 and pids(one("posix:/"+U)["holders"]) == [P]'
}

@test "an unprivileged user is told that queues are hidden, and sees those that his processes hold" {
	need python3
	[[ $(id -u) == 0 && ! -d /dev/mqueue ]] || skip "needs root, and no /dev/mqueue"
	need nobody_python
	for_nobody
	MQ=$U
	as_nobody timeout 60 ./ipc-ls -t mq >out 2>err </dev/null
	grep -q 'not seen: POSIX queues that nobody has open' err
	mkfifo zoo.in
	(nobody_python zoo.py "$U" mq <zoo.in 3>&- 4>&-) &
	ZOO=$!
	exec 7>zoo.in
	until_true test -e zoo.ready
	as_nobody timeout 60 ./ipc-ls -t mq -q >out </dev/null
	grep "posix:/$U" out
}

@test "System V objects are all that ipcs and lsipc show, with holders from the maps" {
	need python3
	zoo sysv
	query 'one("sysv:id='"$ID_m"'", "shm")["attached"] == 1 and pids(one("sysv:id='"$ID_m"'", "shm")["holders"]) == [P]'
	query 'one("sysv:id='"$ID_m"'", "shm")["mode"] == "0640" and one("sysv:id='"$ID_m"'", "shm")["creator"] == P'
	query 'one("sysv:id='"$ID_q"'", "mq")["used"] == 1 and one("sysv:id='"$ID_q"'", "mq")["size"] == 5'
	query 'one("sysv:id='"$ID_s"'", "sem")["used"] == 2 and one("sysv:id='"$ID_s"'", "sem")["unit"] == "semaphores"'
	# All that were there before and after our look.
	for k in m q s; do ipcs -$k | awk '$2 ~ /^[0-9]+$/ { print $2 }' | sort >"before.$k"; done
	timeout 60 ipc-ls -q -t shm,mq,sem -o kind,id --noheadings </dev/null | awk '$2 != "-"' >ours
	for k in m q s; do
		kind=$([[ $k == m ]] && echo shm || { [[ $k == q ]] && echo mq || echo sem; })
		awk -v k="$kind" '$1 == k { print $2 }' ours | sort >ids
		ipcs -$k | awk '$2 ~ /^[0-9]+$/ { print $2 }' | sort | comm -12 - "before.$k" | comm -23 - ids >missing
		[[ ! -s missing ]] || { echo "$kind: $(cat missing)"; false; }
	done
	if command -v lsipc >/dev/null; then
		lsipc -m -o ID,KEY,OWNER,PERMS,SIZE,BYTES -e 2>/dev/null | grep -q "ID=\"$ID_m\"" || lsipc -m | grep -q "$ID_m"
	fi
}

@test "a semop sleeper is a waiter of its set, a msgrcv sleeper of its queue" {
	need python3 word
	SEMS=$(ipcmk -S 1 | grep -o '[0-9]*$')
	MSGS=$(ipcmk -Q | grep -o '[0-9]*$')
	bg python3 -c "
import ctypes
ctypes.CDLL(None).semop($SEMS, (ctypes.c_short * 3)(0, -1, 0), 1)"
	a=$!
	bg python3 -c "
import ctypes
ctypes.CDLL(None).msgrcv($MSGS, ctypes.create_string_buffer(64), 32, 0, 0)"
	b=$!
	until_true query '[w["pid"] for o in L if o.get("id") == int(A.split()[0]) and o["kind"] == "sem" for w in o["waiters"]] == [int(A.split()[1])]' "$SEMS $a"
	until_true query '[w["in"] for o in L if o.get("id") == int(A.split()[0]) and o["kind"] == "mq" for w in o["waiters"]] == ["msgrcv"]' "$MSGS $b"
	timeout 60 ipc-ls -q --pid "$a" </dev/null | grep -q "$a python3.* waits"
	kill "$a" "$b"
}

@test "unix sockets: all that ss -x shows, by inode, with state, peer and backlog" {
	need ss python3
	zoo srv abstract pair
	ss -xaH | awk '{ print $6; print $8 }' | grep -v '^0$' | grep -E '^[0-9]+$' | sort -u >before
	timeout 60 ipc-ls -q -t sock -o inode --noheadings </dev/null | tr -d ' ' | sort -u >ours
	ss -xaH | awk '{ print $6; print $8 }' | grep -E '^[0-9]+$' | sort -u | comm -12 - before | comm -23 - ours >missing
	[[ ! -s missing ]] || { cat missing; false; }
	query 'len([o for o in named(T+"/srv") if o["state"] == "listening"]) == 1 and len([o for o in named(T+"/srv") if o["state"] == "connected"]) == 1'
	query '[o["room"] for o in named(T+"/srv") if o["state"] == "listening"] == [5]'
	query '[pids(o["peers"]) for o in named(T+"/srv") if o["state"] == "connected"] == [[P]]'
	query 'one("@"+U)["type"] == "dgram" and pids(one("@"+U)["holders"]) == [P]'
	query 'len([o for o in L if o["kind"] == "sock" and o["type"] == "seqpacket" and pids(o["holders"]) == [P]]) == 2'
}

@test "abstract names are escaped, NUL and @ are told apart" {
	need python3
	bg python3 -c "
import socket, sys
a = socket.socket(socket.AF_UNIX); a.bind('\0$U\0b')
b = socket.socket(socket.AF_UNIX); b.bind('\0$U@b')
import signal
open('up', 'w'); signal.pause()"
	p=$!
	until_true test -e up
	timeout 60 ipc-ls -q -t sock -o name --noheadings </dev/null | grep -F "$U" | sort >names
	[[ $(wc -l <names) == 2 && $(sort -u names | wc -l) == 2 ]]
	grep -qF "@$U@b" names
	grep -qF "@$U\\x00b" names
	kill "$p"
}

@test "locks of every family: all that lslocks shows, with the true holder" {
	need lslocks python3
	zoo locks
	query '[(l["family"], l["mode"], l["start"], l["end"]) for l in one(T+"/l.flock")["locks"]] == [("flock", "write", 0, None)]'
	query '[(l["family"], l["start"], l["end"], l["pid"]) for l in one(T+"/l.posix")["locks"]] == [("posix", 5, 14, P)]'
	query '[(l["family"], l["start"], l["end"], l["pid"]) for l in one(T+"/l.ofd")["locks"]] == [("ofd", 3, 6, P)]'
	lslocks -n -u -o PATH 2>/dev/null | grep "^$T/" | sort -u >before
	timeout 60 ipc-ls -q -t lock -o path --noheadings </dev/null | sed 's/ *$//' | sort -u >ours
	lslocks -n -u -o PATH 2>/dev/null | grep "^$T/" | sort -u | comm -12 - before | comm -23 - ours >missing
	[[ -s before && ! -s missing ]] || { cat before missing; false; }
}

@test "the holder of a lock is who has it now, not who took it and died" {
	need python3
	# The shell that took it is gone, its child has the descriptor; /proc/locks names the dead one.
	bash -c 'exec 9>inherited; flock 9; sleep 300 & echo $! >child' 3>&- 4>&-
	read -r child <child
	query 'pids(one(T+"/inherited")["holders"]) == [int(A)]' "$child"
	kill "$child"
}

@test "waiters for locks: flock, fcntl and OFD" {
	need python3 word
	zoo locks
	bg flock l.flock true
	a=$!
	bg python3 -c "
import fcntl
fcntl.lockf(open('l.posix', 'w'), fcntl.LOCK_EX)"
	b=$!
	bg python3 -c "
import fcntl, struct
fcntl.fcntl(open('l.ofd', 'w'), 38, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))"
	c=$!
	until_true query '[pids(one(T+"/l."+f)["waiters"]) for f in ("flock", "posix", "ofd")] == [[int(p)] for p in A.split()]' "$a $b $c"
	query 'all(pids(one(T+"/l."+f)["holders"]) == [P] for f in ("flock", "posix", "ofd"))'
}

@test "a waiter for a lock that is older than the holder" {
	need python3 word
	mkfifo go
	bg bash -c 'read -r _ <go; exec flock l.old true'
	a=$!
	bg python3 -c "
import fcntl, time
f = open('l.old', 'w')
fcntl.flock(f, fcntl.LOCK_EX)
open('held', 'w').close()
time.sleep(120)"
	b=$!
	until_true test -e held
	echo >go
	until_true query 'pids(one(T+"/l.old")["waiters"]) == [int(A)]' "$a"
	query '[w["command"] for w in one(T+"/l.old")["waiters"]] == ["flock l.old true"]'
	kill "$b"
}

@test "FIFOs that are open, and one that somebody waits for alone to be opened" {
	need python3 word
	zoo fifo
	query 'one(T+"/ff")["used"] == 5 and pids(one(T+"/ff")["holders"]) == [P] and one(T+"/ff")["holders"][0]["writes"]'
	mkfifo lonely
	bg sh -c 'exec cat <lonely'
	a=$!
	until_true query '[(w["pid"], w["in"]) for w in one(T+"/lonely")["waiters"]] == [(int(A), "open")]' "$a"
	kill "$a"
}

@test "pipes, memfds and eventfds" {
	need python3
	zoo pipe memfd eventfd
	query 'one("memfd:"+U)["size"] == 8192 and pids(one("memfd:"+U)["holders"]) == [P]'
	query '[o["used"] for o in L if o["kind"] == "eventfd" and P in pids(o["holders"])] == [3]'
	query 'len([o for o in L if o["kind"] == "pipe" and P in pids(o["holders"])]) >= 1'
	timeout 60 ipc-ls -q -o kind --noheadings </dev/null | status 1 grep -qx pipe
}

@test "what lsof shows of these kinds for a process is there" {
	need lsof python3
	zoo srv abstract pair locks fifo memfd sysv shm
	lsof -n -w -p "$ZOO" -F ftin 2>/dev/null | awk '
		/^f/ { if (t != "") print t, i; t = i = "" }
		/^t/ { t = substr($0, 2) }
		/^i/ { i = substr($0, 2) }
		END { if (t != "") print t, i }' | awk '$1 == "unix" || $1 == "FIFO"' | sort -u >theirs
	timeout 60 ipc-ls -q -J -t all --pid "$ZOO" </dev/null >mine.json
	python3 - "$ZOO" <<'EOF'
import json, os, sys
pid = sys.argv[1]
have = {o["inode"] for o in json.load(open("mine.json"))}
links = [os.readlink(f"/proc/{pid}/fd/{f}") for f in os.listdir(f"/proc/{pid}/fd")]
want = {int(l[8:-1]) for l in links if l.startswith("socket:[")} | {int(l[6:-1]) for l in links if l.startswith("pipe:[")}
assert want and want <= have, want - have
for t, i in (l.split() for l in open("theirs")):
    assert t != "FIFO" or int(i) in have, (t, i)
names = {o["name"] for o in json.load(open("mine.json"))}
for f in ("ff", "l.flock", "l.posix", "l.ofd", "srv"):
    assert os.path.realpath(f) in names, (f, names)
EOF
}

@test "toolbox objects in \$IPC_DIR, by the names that the applets take" {
	need python3
	ipc-ring create -S 4096 r
	ipc-ring put r one two
	ipc-event set e
	ipc-sem create --value 3 s
	ipc-lock run l -- true
	ipc-fifo create f
	ipc-spool create q
	ipc-spool put q >/dev/null <<<job
	query 'sorted((o["kind"], o["name"]) for o in L if o["family"] == "word") == [("event","e"),("fifo","f"),("lock","l"),("ring","r"),("sem","s"),("spool","q")]'
	# The numbers are those of the applets themselves.
	used=$(ipc-ring stat -J r | python3 -c 'import json,sys; print(json.load(sys.stdin)["bytes"])' 2>/dev/null || echo none)
	[[ $used == none ]] || query 'one("r")["used"] == int(A)' "$used"
	query 'one("r")["used"] > 0 and one("r")["room"] >= 4096 and one("e")["state"] == "set" and one("s")["room"] == 3 and one("q")["used"] == 1'
}

@test "slots that are taken, events and rings that are waited for, wherever they are" {
	need python3
	mkdir sub
	bg ipc-sem run -j 2 ./sub/slots -- sleep 300
	bg ipc-event wait ./sub/ev
	w=$!
	ipc-ring create -S 4096 ./sub/ring
	bg ipc-ring get ./sub/ring
	g=$!
	until_true query 'one(T+"/sub/slots")["used"] == 1 and one(T+"/sub/slots")["room"] == 2 and one(T+"/sub/slots")["kind"] == "sem"'
	until_true query 'pids(one(T+"/sub/ev")["waiters"]) == [int(A)]' "$w"
	until_true query 'pids(one(T+"/sub/ring")["waiters"]) == [int(A)] and one(T+"/sub/ring")["kind"] == "ring"' "$g"
}

@test "doors and fd stores, by word and by path" {
	need python3
	ready ipc-door serve --ready-fd 8 d -- true
	door=$PID
	ready ipc-fdstore serve --ready-fd 8 ./store
	query '[pids(o["holders"]) for o in named("d") if o["kind"] == "door"] == [[int(A)]]' "$door"
	query '[pids(o["holders"]) for o in named(T+"/store") if o["state"] == "listening"] == [[int(A)]]' "$PID"
	kill -KILL "$door"
	until_true query '"refused" in (one("d", "door")["stale"] or "")'
}

@test "a barrier shows how many are there and who" {
	need python3
	bg ipc-barrier wait -c 3 b
	p=$!
	until_true query 'one("b")["used"] == 1 and one("b")["room"] == 3 and pids(one("b")["waiters"]) == [int(A)]' "$p"
}

@test "stale: a segment whose creator is gone and that nobody attached; not while the creator lives" {
	need python3
	SHMS=$(ipcmk -M 4096 | grep -o '[0-9]*$')
	query '"creator" in one("sysv:"+A, "shm")["stale"] and "gone" in one("sysv:"+A, "shm")["stale"]' \
		"$(ipcs -m | awk -v i="$SHMS" '$2 == i { print $1 }')"
	bg python3 -c "
import ctypes
open('id', 'w').write(str(ctypes.CDLL(None).shmget(0, 4096, 0o1600)))
import signal
signal.pause()"
	until_true test -s id
	SHMS+=" $(<id)"
	query 'one("sysv:id="+A, "shm")["stale"] is None' "$(<id)"
}

@test "stale: a queue that is empty and whose users are gone; not with a message, not when never used" {
	need python3 sight
	program "its last user would be the shell, which lives on"
	MSGS=$(ipcmk -Q | grep -o '[0-9]*$')
	query '[o["stale"] for o in L if o.get("id") == int(A) and o["kind"] == "mq"] == [None]' "$MSGS"
	ipc-mq send "sysv:id=$MSGS" x
	query '[o["stale"] for o in L if o.get("id") == int(A) and o["kind"] == "mq"] == [None]' "$MSGS"
	ipc-mq recv "sysv:id=$MSGS"
	query '["last user" in o["stale"] for o in L if o.get("id") == int(A) and o["kind"] == "mq"] == [True]' "$MSGS"
}

@test "stale: posix segment and semaphore without a holder" {
	need python3
	zoo shm sem
	query 'all(o["stale"] is None for o in named("posix:/"+U))'
	exec 7>&-
	wait "$ZOO"
	ZOO=0
	query 'len(named("posix:/"+U)) == 2 and all(o["stale"] == "no holder" for o in named("posix:/"+U))'
}

@test "not stale: a removed segment that is still mapped, a removed file that is still locked" {
	need python3
	zoo gone fgone
	query 'one("posix:/"+U, "shm")["stale"] is None and one("posix:/"+U, "shm")["state"] == "removed" and pids(one("posix:/"+U, "shm")["holders"]) == [P] and one("posix:/"+U, "shm")["removed"]'
	query 'one(T+"/l.gone", "lock")["verdict"] == "held" and one(T+"/l.gone", "lock")["removed"]'
}

@test "stale: a socket that refuses; not one that is served, nor one whose path was removed" {
	need python3
	mkdir -m 700 ipc
	python3 -c "
import socket
s = socket.socket(socket.AF_UNIX); s.bind('ipc/dead.sock')"
	zoo srv
	query '"refused" in one("dead", "sock")["stale"]'
	query '[o["stale"] for o in named(T+"/srv")] == [None, None]'
	rm srv
	query 'any("does not lead to it" in (o["warning"] or "") for o in named(T+"/srv")) and all(o["stale"] is None and o["verdict"] == "held" for o in named(T+"/srv"))'
}

@test "stale: a FIFO and a lock file in \$IPC_DIR that nobody uses; a dotlock whose holder is gone" {
	need python3 sight
	ipc-fifo create f
	ipc-lock run l -- true
	query 'one("f")["stale"] == "no holder" and one("l")["stale"] == "no holder"'
	bg ipc-lock run --family dotlock d -- sh -c 'echo >up; exec sleep 300'
	p=$!
	until_true test -e up
	query 'one("d")["stale"] is None and {l["family"] for l in one("d")["locks"]} == {"dotlock"}'
	cp ipc/d.lock saved
	kill -KILL "$p" && wait "$p" || :
	printf '%s\n' "$(head -1 saved | sed "s/^[0-9]* [0-9]*/$p 1/")" >ipc/d.lock
	query '"gone" in one("d")["stale"]'
}

@test "not stale: what carries messages, jobs, records or a state" {
	need python3
	ipc-ring create -S 4096 r
	ipc-ring put r x
	ipc-event set e
	ipc-sem create --value 3 s
	ipc-spool create q
	query 'all(one(n)["stale"] is None for n in ("r", "e", "s", "q"))'
	ipc-ring get r >/dev/null
	ipc-ring close r
	unused
	query '"closed and empty" in one("r")["stale"]'
}

@test "a user without privilege gets no verdict where another's process may hold the object" {
	need python3
	for_nobody
	as_nobody ./ipc-lock run -m 666 open -- true
	as_nobody ./ipc-fifo create -m 600 mine
	as_nobody timeout 60 ./ipc-ls -J -t lock,fifo >list.json 2>err </dev/null
	grep -q 'not seen: what .* processes hold' err
	python3 -c "
import json
l = {o['name']: o for o in json.load(open('list.json'))}
assert l['mine']['verdict'] == 'unknown' and l['mine']['stale'] is None and l['mine']['users_hidden'], l['mine']
# The kernel proves that nobody has a regular file.
assert l['open']['verdict'] == 'free' and l['open']['stale'] and not l['open']['holders_hidden'], l['open']"
	as_nobody timeout 60 ./ipc-ls -q -t lock >/dev/null 2>err </dev/null
	[[ ! -s err ]]
}

@test "a lock that an invisible process holds is listed without a holder" {
	need python3
	for_nobody
	zoo locks
	ino=$(stat -c %i l.flock)
	as_nobody timeout 60 ./ipc-ls -J -q -t lock >list.json </dev/null
	python3 -c "
import json
l = [o for o in json.load(open('list.json')) if o['inode'] == $ino]
assert len(l) == 1 and l[0]['holders'] == [] and l[0]['stale'] is None and l[0]['holders_hidden'], l"
}

@test "warnings: world-writable, full" {
	need python3
	MQ=$U
	zoo shm mq
	chmod 666 "/dev/shm/$U"
	query 'one("posix:/"+U, "shm")["warning"] == "world-writable"'
	[[ $(id -u) == 0 || -d /dev/mqueue ]] || skip "needs root or /dev/mqueue"
	for i in 1 2 3; do ipc-mq send "/$U" x; done
	query 'one("posix:/"+U, "mq")["warning"] == "full"'
}

@test "-t, --owner, --stale, --older and --pid choose" {
	need python3
	ipc-fifo create f
	ipc-lock run l -- true
	timeout 60 ipc-ls -q -t fifo -o kind --noheadings </dev/null | sort -u | diff - <(echo fifo)
	timeout 60 ipc-ls -q -t lock -u 54321 --noheadings </dev/null | diff - /dev/null
	timeout 60 ipc-ls -q -t fifo,lock --stale -o name --noheadings </dev/null | grep -x l
	timeout 60 ipc-ls -q -t fifo --older 1h -o name --noheadings </dev/null | status 1 grep -qx f
	touch -d '2 hours ago' ipc/f.fifo
	zoo memfd
	timeout 60 ipc-ls -q -t memfd,eventfd --pid "$ZOO" -o name --noheadings </dev/null | diff - <(echo "memfd:$U")
	status 66 ipc-ls --pid 2147483646
	[[ $stderr == *'no such process'* ]]
}

@test "columns: chosen, added, unknown ones refused" {
	ipc-fifo create -m 640 f
	timeout 60 ipc-ls -q -t fifo -o name,mode,path,size </dev/null >out
	head -1 out | grep -qE '^NAME +MODE +PATH +SIZE$'
	grep -qE "^f +0640 +$T/ipc/f.fifo +-$" out
	timeout 60 ipc-ls -q -t fifo -o +inode </dev/null | head -1 | grep -qE '^KIND +NAME .*INODE$'
	timeout 60 ipc-ls -q -o kind,name,path,owner,uid,gid,mode,size,use,created,used,users,holders,waiters,state,peer,stale,warning,note,id,key,inode </dev/null >/dev/null
	status 64 ipc-ls -o name,nonsense
	[[ $stderr == *nonsense*'no such column'* ]]
	status 64 ipc-ls -t fifo,nonsense
	[[ $stderr == *nonsense*'no such kind'* ]]
	status 64 ipc-ls operand
	status 64 ipc-ls -w 1
	status 64 ipc-ls --watch --interval 0
}

# on_tty COLS ROWS CMD: run it on a terminal of that size; what it writes goes to tty.out.
on_tty() {
	python3 - "$@" <<'EOF'
import fcntl, os, pty, struct, sys, termios
cols, rows, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    os.execvp(argv[0], argv)
out = b""
try:
    while True:
        b = os.read(fd, 65536)
        if not b: break
        out += b
except OSError: pass
open("tty.out", "wb").write(out)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
}

@test "on a terminal the table fits 80 columns and is coloured; NO_COLOR and pipes have no colours" {
	need python3
	long=$(printf 'x%.0s' {1..150})
	ipc-fifo create "$long"
	unset NO_COLOR COLUMNS
	TERM=xterm on_tty 80 24 timeout 60 ipc-ls -q
	grep -q $'\033\[1m' tty.out
	LC_ALL=C.UTF-8 sed 's/\x1b\[[0-9;]*m//g; s/\r//' tty.out >plain
	status 1 env LC_ALL=C.UTF-8 grep -nE '^.{81}' plain
	grep -q … plain
	NO_COLOR=1 TERM=xterm on_tty 80 24 timeout 60 ipc-ls -q
	status 1 grep -q $'\033' tty.out
	timeout 60 ipc-ls -q </dev/null >piped
	status 1 grep -q $'\033' piped
	grep -qF "$long" piped
}

@test "names cannot drive the terminal" {
	need python3
	mkdir -m 700 ipc
	mkfifo ipc/$'a\033[2Jb.fifo'
	timeout 60 ipc-ls -q -t fifo </dev/null >out
	status 1 grep -q $'\033' out
	grep -qF 'a^[[2Jb' out
	timeout 60 ipc-ls -q -J -t fifo </dev/null | python3 -c "
import json, sys
assert any(o['name'] == 'a\033[2Jb' for o in json.load(sys.stdin))"
}

@test "--watch logs changes line by line when piped" {
	mkdir -m 700 ipc
	mkfifo ipc/first.fifo out
	(exec timeout 60 ipc-ls -q --watch --interval 50ms -t fifo >out 3>&- 4>&-) &
	p=$!
	exec 6<out
	until_line() {
		while read -r -t 20 -u 6 line; do [[ $line =~ $1 ]] && return; done
		return 1
	}
	until_line '= fifo first +owner: '
	mkfifo ipc/second.fifo
	until_line '\+ fifo second '
	chmod 600 ipc/first.fifo
	until_line '~ fifo first +mode: 0644 -> 0600'
	rm ipc/second.fifo
	until_line '- fifo second$'
	kill "$p"
	wait "$p" || :
	exec 6<&-
}

@test "--watch -J prints an object a line; -w ends it with 124, a reader that goes ends it quietly" {
	need python3
	ipc-fifo create f
	status 124 timeout 60 ipc-ls -q --watch -J -w 0.2 --interval 50ms -t fifo
	python3 -c "
import json
l = [json.loads(x) for x in open('.out')]
assert any(o['name'] == 'f' and o['event'] == 'present' and o['time'] for o in l), l"
	timeout 60 ipc-ls -q --watch --interval 20ms -t fifo </dev/null | head -1 | grep -q fifo
	status 7 ipc-ls -q --watch -w 50ms -E 7 -t fifo
}

@test "--watch redraws in place on a terminal and keeps to its height" {
	need python3
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ipc-fifo create "f$i"; done
	TERM=xterm on_tty 80 10 timeout 60 ipc-ls -q --watch -w 0.3 --interval 100ms -t fifo || [[ $? == 124 ]]
	[[ $(head -c 11 tty.out) == $'\033[?1049h\033[H' && $(grep -oF $'\033[?1049l' tty.out | wc -l) == 1 ]]
	[[ $(grep -oF $'\033[H' tty.out | wc -l) -ge 2 ]]
	grep -q '\.\.\. .* more' tty.out
	[[ $(awk 'BEGIN { RS = "\033\\[H" } { n = gsub(/\n/, "\n"); if (n > m) m = n } END { print m }' tty.out) -le 10 ]]
}

@test "--watch: q ends it, ^Z stops it, and the terminal is as it was each time" {
	need python3
	mkfifo a
	PYTHONPATH=$ROOT/tests PYTHONDONTWRITEBYTECODE=1 TERM=xterm timeout 60 python3 -c '
from terminal import *
t = Terminal("bash", "--norc", "--noprofile", "--noediting", "-i")
t.until(PROMPT)
mode = termios.tcgetattr(t.fd)
t.say("export TERM=xterm; ipc-ls -q --watch -t fifo")
t.until("\x1b[?1049h")
t.until("objects")
t.press(b"\x1a")
t.until("\x1b[?1049l")
t.until("topped")
t.until(PROMPT)
t.say("fg")
t.until("\x1b[?1049h")
t.until("objects")
t.press(b"q")
t.until("\x1b[?1049l")
t.ask("echo status $?")
t.until("status 0")
assert termios.tcgetattr(t.fd) == mode'
}

@test "a narrow terminal does not cut off that somebody waits" {
	need python3
	mkfifo up
	bg ipc-lock run ./l -- sh -c 'echo >up; exec sleep 600'
	local holder=$!
	read -r _ <up
	bg ipc-lock run ./l -- true
	local waiter=$!
	until_true eval '[[ $(ipc-ls -q -o waiters --noheadings --pid '$holder') == *ipc-lock* ]]'
	TERM=xterm NO_COLOR=1 on_tty 28 10 timeout 60 ipc-ls -q -o kind,users --pid $holder
	grep -q 'waits' tty.out || { cat tty.out; false; }
	TERM=xterm NO_COLOR=1 on_tty 22 10 timeout 60 ipc-ls -q -o kind,users --pid $holder
	grep -q 'waits' tty.out || { cat tty.out; false; }
	kill $holder
	wait $waiter
}

@test "thousands of objects, names of any length, unknown files; -b says bytes" {
	need python3
	ipc-event set e # makes $IPC_DIR
	python3 -c '
import os
for i in range(2500): open("%s/l%04d.lock" % (os.environ["IPC_DIR"], i), "w").close()'
	touch "$IPC_DIR/x.unknown" "$IPC_DIR/nodot"
	query '[len([o for o in L if o["kind"] == "lock" and o["name"].startswith("l")]), named("x"), named("nodot")] == [2500, [], []]'
	local long
	long=$T/$(printf 'd%.0s' {1..250})/$(printf 'e%.0s' {1..250})
	mkdir -p "$long" && mkdir -m 700 "$long/ipc"
	IPC_DIR=$long/ipc ipc-event set far
	IPC_DIR=$long/ipc ipc-ls -q -t event -o path --noheadings | grep -qxF "$long/ipc/far.event"
	ipc-ring create -S 1M r
	ipc-ls -q -b -t ring -o name,size --noheadings | grep -qE '^r +104[0-9]{4}$'
}

@test "warnings: a full queue, a full backlog, a full /dev/shm, the limit of queues" {
	need python3
	zoo sysv
	python3 -c '
import ctypes, sys
libc = ctypes.CDLL(None)
for _ in range(2): assert libc.msgsnd(int(sys.argv[1]), ctypes.create_string_buffer(b"\1\0\0\0\0\0\0\0" + b"x" * 7800), 7800, 2048) == 0' "$ID_q"
	query '"bytes full" in [o for o in L if o["kind"] == "mq" and o.get("id") == int(A)][0]["warning"]' "$ID_q"
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("full"); s.listen(0); c = socket.socket(socket.AF_UNIX); c.connect("full")
print(flush=True); time.sleep(60)' >up 3>&- 7>&- &
	local p=$!
	until_true test -s up
	query '"backlog full" in one(T + "/full")["warning"]'
	kill $p
	unshare -im true 2>/dev/null || skip "no name spaces of our own here"
	status 0 unshare -im sh -c 'mount -t tmpfs -o size=64k none /dev/shm || exit 99
		head -c 62000 /dev/zero >/dev/shm/x
		mount -t mqueue none /dev/mqueue 2>/dev/null; echo 2 >/proc/sys/fs/mqueue/queues_max
		ipc-mq create /a; ipc-mq create /b; ipc-ls -t mq,shm'
	[[ $stderr == *"/dev/shm is nearly full"* ]]
	[[ $stderr == *"2 of 2 POSIX queues (fs.mqueue.queues_max)"* ]]
	status 0 unshare -m sh -c 'mount -t tmpfs none /dev && ipc-ls -t shm'
	[[ $stderr == *"not seen: POSIX segments and semaphores: /dev/shm: No such file"* ]]
}

@test "what logind removes at logout is warned of, as its files say" {
	need python3 root
	inside() { # COMMANDS: ... and then the list of the segment that user 4321 has
		unshare -m sh -c "mount -t tmpfs none /run && mount -t tmpfs none /etc && mkdir -p /run/systemd/users /etc/systemd/logind.conf.d || exit 99
			$1
			ipc-ls -q -J -t shm" >list
	}
	inside : || skip "cannot mount"
	: >"/dev/shm/$U"
	chown 4321 "/dev/shm/$U"
	warned() { python3 -c '
import json, sys
w = [o for o in json.load(open("list")) if o["name"] == "posix:/" + sys.argv[1]][0].get("warning") or ""
sys.exit("RemoveIPC" not in w)' "$U"; }
	inside :
	warned
	inside 'echo RemoveIPC=no >/etc/systemd/logind.conf'
	status 1 warned
	inside 'echo RemoveIPC=no >/etc/systemd/logind.conf; echo RemoveIPC=yes >/etc/systemd/logind.conf.d/x.conf'
	warned
	inside 'rmdir /run/systemd/users'
	status 1 warned
}

@test "elsewhere: a socket whose server is in another network namespace is not stale" {
	need python3
	unshare -n true 2>/dev/null || skip "no network namespaces here"
	ready unshare -n ipc-sock serve --ready-fd 8 --echo far
	query 'one("far")["state"] == "elsewhere" and one("far")["stale"] is None'
	kill "$PID"
	wait "$PID" || :
	python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.bind(os.environ["IPC_DIR"] + "/dead.sock")'
	query '"refused" in one("dead")["stale"]'
}

@test "a barrier whose parties were killed is stale; a dotlock of another boot is judged on its machine" {
	need python3
	bg ipc-barrier wait -c 3 b
	local p=$!
	until_true blocked $p
	kill -KILL $p
	wait $p || :
	query 'one("b", "barrier")["stale"] == "its parties are gone"'
	ipc-lock run --family dotlock word -- sh -c 'cp "$IPC_DIR"/word.lock copy'
	awk '{ $3 = "00000000-0000-0000-0000-000000000000"; print }' copy >"$IPC_DIR/other.lock"
	[[ ! -s /etc/machine-id ]] || query '"gone" in one("other")["stale"]'
	awk '{ $3 = "00000000-0000-0000-0000-000000000000"; print $1, $2, $3, $4, $5, $6 }' copy >"$IPC_DIR/other.lock"
	query 'one("other")["stale"] is None'
	echo rubbish >"$IPC_DIR/rubbish.lock"
	query '"rubbish" in [o["name"] for o in L]'
}

@test "an open of a FIFO by the old system call is waiting, too; a long path is whole" {
	need gcc python3
	[[ $(uname -m) == x86_64 ]] || skip "open(2) of its own is x86's here"
	local long
	long=$T/$(printf 'd%.0s' {1..250})
	mkdir -p "$long"
	mkfifo "$long/f"
	peer_gcc -O -x c -o opener - <<-'E'
		#include <fcntl.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		int main(int argc, char **argv) { return syscall(SYS_open, argv[argc - 1], O_RDONLY) < 0; }
	E
	bg ./opener "$long/f"
	local p=$!
	until_true blocked $p
	query '[(w["pid"], w["in"]) for w in one(T + "/" + "d" * 250 + "/f", "fifo")["waiters"]] == [(int(A), "open")]' $p
	: >"$long/f"
	wait $p
}

@test "a full disk and a closed stdout are told of" {
	status 74 bash -c 'ipc-ls -q >/dev/full'
	[[ $stderr == *'No space left'* ]]
	status 74 bash -c 'ipc-ls -q -J >/dev/full'
}

@test "damaged toolbox files are listed, and harm nothing" {
	need python3
	mkdir -m 700 ipc
	head -c 4096 /dev/urandom >ipc/a.ring
	printf 'ipcring\0\1\0\0\0\4\3\2\1' >ipc/b.ring
	printf 'ipcring\0\1\0\0\0\4\3\2\1%04000d' 0 >ipc/c.ring
	printf 'ipcevent\1\0\0\0\4\3\2\1%0100d' 0 >ipc/d.event
	: >ipc/e.sem
	ln -s a.ring ipc/l.ring
	mkdir ipc/m.spool ipc/n.ring
	status 0 timeout 60 ipc-ls -q -J
	query '["damaged" in (one(n)["warning"] or "") for n in ("a", "b", "e")] == [True, True, True]'
	status 0 timeout 60 ipc-ls -q
}

@test "the way without PROCMAP_QUERY finds the same mappings" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	zoo shm sysv
	timeout 60 strace -f -o /dev/null -e inject=ioctl:error=ENOTTY ipc-ls -q -t shm -J >list2.json </dev/null
	python3 -c "
import json
l = {o['name']: o for o in json.load(open('list2.json'))}
for n in ('posix:/$U', 'sysv:id=$ID_m'):
    assert [h['pid'] for h in l[n]['holders']] == [$ZOO], l[n]"
}

@test "descriptors that run out are told of: 71, not a short list" {
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under a sanitizer"
	for n in 4 5; do
		code=0
		timeout 60 bash -c "ulimit -n $n; exec 3>&- 4>&-; exec '$BIN/ipc-ls' -q" >out 2>err </dev/null || code=$?
		[[ $code == 71 && ! -s out ]] || { echo "$n: $code"; cat out err; false; }
		grep -qE 'open files|descriptors' err
	done
}

@test "what lies in a spool's place of the file 'format' is not opened: a FIFO, a link, a device" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under sanitizers"
	mkdir -p "$IPC_DIR/a.spool" "$IPC_DIR/b.spool"
	chmod 700 "$IPC_DIR"
	mkfifo "$IPC_DIR/a.spool/format"
	echo secret >secret
	ln -s "$PWD/secret" "$IPC_DIR/b.spool/format"
	# Opening a FIFO for writing ends when a reader opens it.
	bg sh -c "echo x >'$IPC_DIR/a.spool/format'"
	local writer=$!
	until_true blocked $writer
	strace -y -o t -e trace=openat ipc-ls >/dev/null
	blocked $writer
	[[ -z $(grep -v O_PATH t | grep -F "= " | grep -E "$PWD/(secret|ipc/..spool/format)>") ]]
}

@test "a name with a C1 control character is escaped, in tables and in messages" {
	name=$(printf 'n\302\2331mred')
	ipc-fifo create "./$name"
	bg ipc-fifo read "./$name"
	until_true blocked $!
	ipc-ls >out 2>err || :
	ipc-rm "./$name" >out2 2>err2 </dev/null || :
	ipc-rm -v --force "./$name" >out3 2>err3
	cat out out2 out3 err err2 err3 >all
	is_raw=$(LC_ALL=C grep -c "$(printf '\302\233')" all) || :
	[[ $is_raw == 0 ]]
	LC_ALL=C grep -qF 'n\x9b1mred' all || LC_ALL=C grep -qF 'n\xc2\x9b1mred' all
}

@test "verdicts: held, free and unknown, each with its reason" {
	need root python3
	zoo shm fifo
	ipc-lock run b -- true
	ipc-fifo create f
	query '[one("posix:/"+U, "shm")["verdict"], one("b")["verdict"], one("f")["verdict"]] == ["held", "free", "free"]'
	query '"lease" in one("b")["verdict_reason"] and "two looks" in one("f")["verdict_reason"]'
	status 0 unshare -pf --mount-proc ipc-ls -q -t shm,fifo,lock -o name,verdict,why
	[[ $output =~ "posix:/$U"\ +held\ +"the kernel says" ]]
	[[ $output =~ (^|$'\n')b\ +free && $output =~ (^|$'\n')f\ +unknown\ +"/proc does not show all" ]]
}

@test "a segment and a queue of another IPC namespace are not taken for ours of the same id or name" {
	need root python3
	SHMS=$(ipcmk -M 4096 | grep -o '[0-9]*$')
	cat >other.py <<-'E'
	import ctypes, os, signal, sys
	libc = ctypes.CDLL(None, use_errno=True); libc.shmat.restype = ctypes.c_void_p
	want, name = int(sys.argv[1]), sys.argv[2]
	def give_up(): open("up", "w").write("no"); sys.exit()
	# Its first segment has the number that we make ours have, too.
	open("/proc/sys/kernel/shm_next_id", "w").write(str(want))
	if libc.shmget(0, 4096, 0o1600) != want or libc.shmat(want, None, 0) is None: give_up()
	q = libc.mq_open(("/" + name).encode(), os.O_RDWR | os.O_CREAT, 0o600, None)
	if q < 0: give_up()
	open("up.new", "w").write("yes"); os.rename("up.new", "up"); signal.pause()
	E
	bg unshare -i python3 other.py "$SHMS" "$U"
	local p=$!
	until_true test -s up
	[[ $(<up) == yes ]] || skip "the same id cannot be had here"
	query '[o["holders"] for o in L if o.get("id") == int(A) and o["kind"] == "shm"] == [[]]' "$SHMS"
	query 'named("posix:/"+U) == []'
	kill $p
}

@test "a removed segment and a memfd that are only mapped: their size, owner and holder" {
	need root python3
	bg python3 -c "
import mmap, os, signal
f = os.open('/dev/shm/$U', os.O_RDWR | os.O_CREAT, 0o640); os.truncate(f, 65536); os.fchown(f, 12, 34)
m = mmap.mmap(f, 4096); os.unlink('/dev/shm/$U'); os.close(f)
g = os.memfd_create('$U'); os.truncate(g, 12288); n = mmap.mmap(g, 4096); os.close(g)
open('up', 'w'); signal.pause()"
	until_true test -e up
	query '[(o["size"], o["uid"], o["mode"], o["verdict"], len(o["holders"])) for o in named("posix:/"+U)] == [(65536, 12, "0640", "held", 1)]'
	query '[(o["size"], o["uid"], o["verdict"]) for o in named("memfd:"+U)] == [(12288, 0, "held")]'
}

@test "a POSIX semaphore without a name, as of python's multiprocessing, is not stale" {
	need python3
	bg python3 -c "
import multiprocessing as m, signal
l = m.get_context('fork').Lock()
open('up', 'w'); signal.pause()"
	local p=$!
	until_true test -e up
	query 'any(o["removed"] and pids(o["holders"]) == [int(A)] for o in L if o["kind"] in ("sem", "shm"))' $p
	query '[o for o in L if o["removed"] and o["stale"]] == []'
}

@test "an event that is set is not stale, though the machine was started since; one that is clear is" {
	need python3
	program "a shell keeps the event open"
	ipc-event set e
	ipc-event set c
	ipc-event clear c
	python3 - ipc/e.event ipc/c.event <<-'E'
	import sys, uuid
	now = uuid.UUID(open("/proc/sys/kernel/random/boot_id").read().strip()).bytes
	for n in sys.argv[1:]:
	    b = open(n, "rb").read()
	    assert now in b
	    open(n, "wb").write(b.replace(now, b"\1" * 16))
	E
	query 'one("e")["stale"] is None and "last boot" in one("c")["stale"]'
}

@test "locks that come and go while it looks leave no rows without a name" {
	bg sh -c 'while [ ! -e stop ]; do flock l true; done'
	local i
	for i in {1..20}; do
		status 0 ipc-ls -q -t lock -o name --noheadings
		[[ ! $output =~ (^|$'\n')[0-9a-f]+:[0-9a-f]+:[0-9]+ ]] || { echo "$output"; : >stop; false; }
	done
	: >stop
}

@test "a socket that was renamed after it was bound, or is bound in another mount namespace, is held" {
	need root python3
	mkdir -m 700 ipc
	bg python3 -c "
import os, signal, socket
s = socket.socket(socket.AF_UNIX); s.bind('$T/ipc/s.tmp'); os.rename('ipc/s.tmp', 'ipc/s.sock'); s.listen(1)
open('up', 'w'); signal.pause()"
	until_true test -e up
	mkdir m
	bg unshare -m sh -c "mount -t tmpfs none m && exec python3 -c \"
import signal, socket
s = socket.socket(socket.AF_UNIX); s.bind('$T/m/s'); s.listen(1)
open('up2', 'w'); signal.pause()\""
	until_true test -e up2
	query '[o["stale"] for o in L if o["kind"] == "sock" and o["stale"] and T in (o["path"] or o["name"])] == []'
	query 'one("s", "sock")["verdict"] == "held" and [o["verdict"] for o in named(T+"/m/s")] == ["held"]'
	# A server that does not listen yet is one.
	bg unshare -n python3 -c "
import signal, socket
s = socket.socket(socket.AF_UNIX); s.bind('ipc/early.sock')
open('up3', 'w'); signal.pause()"
	until_true test -e up3
	query 'one("early", "sock")["verdict"] == "held"'
}
