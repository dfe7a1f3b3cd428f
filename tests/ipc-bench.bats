#!/usr/bin/env bats
# ipc-bench: what it measures, what it says when it cannot, and what is left when somebody is killed. No
# number is compared with another machine's: tests/bench/bench.sh compares them with a plain C program.

load helper

ALL="pipe fifo stream seqpacket dgram tcp mq sysv ring futex eventfd signal spin file sendfd door"

# quick ARG...: a short run; table or JSON in $output.
quick() {
	status 0 timeout 60 ipc-bench -q --quick "$@"
}

# json EXPR: a Python expression on the report d must be true.
json() {
	python3 - "$T/.out" "$1" <<-'EOF'
		import json, sys
		d = json.load(open(sys.argv[1]))
		R = {(r["mechanism"], r["size"]): r for r in d["results"]}
		sys.exit(0 if eval(sys.argv[2]) else "false: %s\n%s" % (sys.argv[2], json.dumps(d, indent=1)))
	EOF
}

# players PID: the processes that PID has started.
players() {
	kids "$1"
}

has_players() {
	[[ $(players "$1" | wc -l) -ge $2 ]]
}

# queues PID...: the System V queues that one of these processes used last.
queues() {
	awk -v pids=" $* " 'NR > 1 && (index(pids, " " $6 " ") || index(pids, " " $7 " "))' /proc/sysvipc/msg
}

has_queues() {
	# shellcheck disable=SC2046
	[[ $(queues $(players "$1") | wc -l) == 2 ]]
}

gone() {
	local p
	for p; do
		[[ ! -d /proc/$p || $(sed -n 's/^.*) \(.\) .*/\1/p' "/proc/$p/stat" 2>/dev/null) == [ZX] ]] || return 1
	done
}

@test "a pipe is measured in a moment: percentiles, rate, a bar, a recommendation" {
	LC_ALL=C quick -t pipe -S 64
	grep -qE '^pipe( +[0-9.]+){4} +[0-9.]+[kMG]? +[0-9.]+ +[0-9]+% #' <<<"$output"
	grep -q '^64 bytes' <<<"$output"
	grep -q '^Recommended for request, 64 bytes:' <<<"$output"
	grep -q '^Recommended for stream, 64 bytes:' <<<"$output"
	grep -qF 'pipe (ipc-pipe):' <<<"$output"
	[[ -z $stderr ]]
}

@test "lines fit into 80 columns" {
	LC_ALL=C quick --pattern queue
	cp .out lines
	status 1 grep -E '^.{80}' lines
}

@test "every mechanism is measured with the same sizes, or says why not" {
	need python3
	quick -J -S 1,64,1000
	json "len(d['results']) == 48 and sorted(set(r['mechanism'] for r in d['results'])) == sorted('$ALL'.split())"
	json "all(r[p]['error'] is None or r['mechanism'] == 'spin' for r in d['results'] for p in ('request', 'stream'))"
	json "all(0 < q['p50'] <= q['p90'] <= q['p99'] <= q['max'] for q in (r['request'] for r in d['results']) if not q['error'])"
	json "all(abs(r['stream']['bytes'] - r['stream']['messages'] * r['size']) <= 1 for r in d['results'] if not r['stream']['error'])"
	json "all(q['batches'] >= 1 and (q['noisy'] == (q['spread'] > .1)) for r in d['results'] for q in (r['request'], r['stream']) if not q['error'])"
	json "d['measurements'] in (96, 90) and d['noisy'] <= 96"
}

@test "large messages go through whatever has no limit" {
	need python3
	quick -J -S 1M -t pipe,fifo,stream,tcp,ring,futex,eventfd,signal,file,sendfd,door
	json "all(r[p]['error'] is None for r in d['results'] for p in ('request', 'stream'))"
}

@test "the messages really go the way that is named, in the size that is named" {
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	local how
	for how in 'pipe:(write|read)\([0-9]+, .*, 123\) += 123' 'stream:(send|recv)(to|from)?\(.*, 123, .*= 123' \
		'tcp:TCP_NODELAY' 'seqpacket:socketpair\(AF_UNIX, SOCK_SEQPACKET' \
		'dgram:socketpair\(AF_UNIX, SOCK_DGRAM' 'mq:mq_timedreceive\(.*, 123, .* = 123' \
		'sysv:msgrcv\(.*, 123, .* = 123' 'futex:futex(_time64)?\(0x[0-9a-f]+, FUTEX_WAKE,' 'eventfd:eventfd2\(' \
		'signal:kill\([0-9]+, SIGUSR1\)' 'file:fcntl(64)?\([0-9]+, F_SETLKW(64)?, ' 'fifo:mknod.*fifo' \
		'sendfd:SCM_RIGHTS' 'door:execve\(.*"cat"\]'; do
		# A file for each process: in a common one the calls of two cut each other's lines in two.
		rm -f trace.*
		timeout 60 strace -ff -o trace ipc-bench -q --time 10ms -t "${how%%:*}" -S 123 >out 3>&- </dev/null
		grep -qE "${how#*:}" trace.* || { echo "$how"; tail -n 20 trace.*; false; }
	done
}

@test "what polls is never recommended, what is recommended was measured" {
	need python3
	quick -J -S 64,4096
	json "len(d['recommended']) == 4"
	json "all(x['mechanism'] not in ('spin', 'file') and x['applet'].startswith('ipc-') and R[x['mechanism'], x['size']][x['pattern']]['error'] is None and x['reason'] for x in d['recommended'])"
	quick -t file -S 64
	grep -q 'nothing that was measured can be recommended' <<<"$output"
}

# Which is the quickest is the machine's business, and its mood's: what is said is held against what was measured.
@test "the recommendation takes the quickest, or a simpler one that comes near" {
	need python3
	local list a
	list=$(ipc-bench --list | cut -d' ' -f1 | tr '\n' ' ')
	cat >rule.py <<-'EOF'
		import json, sys
		d = json.load(sys.stdin)
		order = sys.argv[1].split()
		def speed(name, pattern, size):
		    for r in d["results"]:
		        if (r["mechanism"], r["size"]) == (name, size) and r[pattern]["error"] is None:
		            return 1 / r[pattern]["p50"] if pattern == "request" else r[pattern]["messages"]
		    return 0
		assert d["recommended"]
		for x in d["recommended"]:
		    s = {m: speed(m, x["pattern"], x["size"]) for m in order if m not in ("spin", "file")}
		    best = max(s, key=s.get)
		    # Rounding may tip what is just at the limit.
		    sure = next(m for m in order if s.get(m, 0) >= 0.801 * s[best])
		    perhaps = next(m for m in order if s.get(m, 0) >= 0.799 * s[best])
		    assert x["mechanism"] in (sure, perhaps), (x, s)
		    assert ("and simpler" in x["reason"]) == (x["mechanism"] != best), (x, s)
	EOF
	for a in pipe,door tcp,ring door,tcp pipe,fifo,stream; do
		quick -J -t "$a" -S 64
		python3 rule.py "$list" <"$T/.out"
	done
	quick -J -S 64,8192
	python3 rule.py "$list" <"$T/.out"
}

@test "--pattern queue: one channel for several, and who cannot says so" {
	need python3
	quick -J --pattern queue -j 4 -S 64,8192
	json "[x['pattern'] for x in d['recommended']] == ['queue', 'queue']"
	json "all(R[m, 64]['queue']['messages'] > 0 and R[m, 64]['queue']['receivers'] == 4 for m in 'pipe fifo seqpacket dgram mq sysv ring file'.split())"
	json "all(R[m, 64]['queue']['error'] == 'one receiver only' for m in 'stream tcp futex eventfd signal sendfd'.split())"
	json "R['door', 64]['queue']['error'] == 'a call has one server'"
	json "'PIPE_BUF' in R['pipe', 8192]['queue']['error'] and R['pipe', 8192]['stream']['error'] is None"
	quick --pattern queue -t stream,mq -S 64
	grep -q '^(1) stream: one receiver only' <<<"$output"
	grep -qE '^Recommended for queue, 64 bytes:' <<<"$output"
	[[ $'\n'$output != *$'\n'"Recommended for stream"* ]]
}

@test "--pattern broadcast: a copy to each" {
	need python3
	quick -J --pattern broadcast -j 5 -S 64
	json "all(R[m, 64]['broadcast']['messages'] > 0 for m in '$ALL'.split() if m not in ('door', 'spin'))"
	json "R['door', 64]['broadcast']['error'] == 'a call has one server'"
	status 0 timeout 60 ipc-bench -q --time 300ms -t pipe -S 64 --pattern broadcast -j 16
}

@test "a limit of the system is named with its value" {
	need python3
	status 71 timeout 60 ipc-bench --quick -t sysv -S 16M
	max=$(cat /proc/sys/kernel/msgmax) mnb=$(cat /proc/sys/kernel/msgmnb)
	[[ $stderr == *"kernel.msgm"*"($((max <= mnb ? max : mnb)))"* ]]
	grep -qE '^sysv +longer than kernel.msgm' <<<"$output"
	quick -J -t mq,pipe -S 16M --time 20ms
	json "R['mq', 16777216]['request']['error'] and R['pipe', 16777216]['request']['error'] is None"
}

@test "no room for queues is said, and the others go on" {
	need python3
	cat >run <<-'EOF'
		ulimit -q 1000 || exit 9
		exec ipc-bench -q --quick -J -t mq,pipe -S 4096
	EOF
	status 0 timeout 60 bash run
	json "'ulimit -q' in R['mq', 4096]['request']['error'] or 'msgsize' in R['mq', 4096]['request']['error']"
	json "R['pipe', 4096]['request']['error'] is None"
}

@test "spinning is left out where all share one processor" {
	need python3
	quick -J -t spin,futex -S 64 --one-cpu
	json "d['processors'] == 'one' and 'two processors' in R['spin', 64]['request']['error'] and R['futex', 64]['request']['error'] is None"
	need taskset
	status 71 timeout 60 taskset -c "$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')" ipc-bench -q --quick -t spin -S 64
	[[ $stderr == *"two processors"* ]]
}

# cpus PID: the processors of its players, one line each.
cpus() {
	local p
	for p in $(players "$1"); do
		sed -n 's/^Cpus_allowed_list:[^0-9]*//p' "/proc/$p/status"
	done
}

two_cpus() {
	[[ $(cpus "$1" | grep -cE '^[0-9]+$') == 2 && $(cpus "$1" | sort -u | wc -l) == "$2" ]]
}

@test "--pin gives each process a processor, --one-cpu all the same one" {
	bg ipc-bench -q --one-cpu --time 60s -t pipe -S 64 >out
	pid=$!
	until_true two_cpus $pid 1
	kill $pid
	[[ $(taskset -cp $$ 2>/dev/null) == *[-,]* ]] || skip "one processor"
	bg ipc-bench -q --pin --time 60s -t pipe -S 64 >out
	pid=$!
	until_true two_cpus $pid 2
	kill $pid
	status 64 ipc-bench --pin --one-cpu --quick
}

@test "TERM, INT and HUP end it at once; nothing is printed, nothing is left" {
	for sig in TERM INT HUP; do
		echo old >plot.svg
		bg env --default-signal=INT ipc-bench --time 60s -t sysv -S 64 --svg plot.svg >out 2>err
		pid=$!
		until_true has_queues $pid
		kids=$(players $pid)
		kill -$sig $pid
		code=0
		wait $pid || code=$?
		[[ $code == $((128 + $(kill -l $sig))) ]]
		gone $kids
		[[ -z $(queues $kids) && ! -s out && $(<plot.svg) == old ]]
		[[ $(ls) == $'err\nout\nplot.svg' ]]
	done
}

@test "killed by SIGKILL it leaves no process and no queue" {
	bg ipc-bench -q --time 60s -t sysv -S 64 >out
	pid=$!
	until_true has_queues $pid
	kids=$(players $pid)
	kill -KILL $pid
	wait $pid || :
	until_true gone $kids
	[[ -z $(queues $kids) ]]
	[[ -z $(ls -A | grep -v '^out$') ]]
	# Those that no vanished queue wakes.
	bg ipc-bench -q --time 60s -t pipe -S 64 >out
	pid=$!
	until_true has_players $pid 2
	kids=$(players $pid)
	kill -KILL $pid
	wait $pid || :
	until_true gone $kids
}

@test "a process of the measurement that is killed fails that one alone" {
	for which in 1 2; do
		bg ipc-bench -q --time 8s -t pipe -S 64 >out.$which 2>err.$which
		pids[which]=$!
		until_true has_players ${pids[which]} 2
		kill -KILL "$(players ${pids[which]} | sed -n ${which}p)"
	done
	for which in 1 2; do
		wait ${pids[which]}
		grep -qE '^pipe +(-|[0-9.]+ .*-)' out.$which
		grep -q '^(1) pipe: a process of the measurement was killed' out.$which
	done
}

@test "a mechanism that hangs is given up, and its processes end" {
	mkdir bin
	printf '#!/bin/sh\necho $$ >>%s/cats\nexec sleep 1000\n' "$T" >bin/cat
	chmod +x bin/cat
	PATH=$T/bin:$PATH status 71 timeout 100 ipc-bench -q --quick -t door -S 64
	[[ $stderr == *"no end within 10 s"* ]]
	mapfile -t kids <cats
	until_true gone "${kids[@]}"
}

@test "door: a cat that fails, and none at all, are told" {
	mkdir bin
	printf '#!/bin/sh\nexit 3\n' >bin/cat
	chmod +x bin/cat
	PATH=$T/bin:$PATH status 71 timeout 60 ipc-bench -q --quick -t door -S 64
	[[ $stderr == *"nothing could be measured: cat did not end with status 0"* ]]
	status 71 env PATH=/nowhere "$BIN/ipc-bench" -q --quick -t door -S 64
	[[ $stderr == *"run cat: No such file or directory"* ]]
}

@test "no descriptors, no processes: said, not suffered" {
	status 71 timeout 60 bash -c 'ulimit -n 5; exec ipc-bench -q --quick -t pipe,tcp,ring -S 64'
	[[ $stderr == *"Too many open files"* || $stderr == *"No file descriptors available"* ]]
	need strace
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	status 0 timeout 60 strace -o trace -e inject=pipe2:error=EMFILE:when=2 ipc-bench -q --quick -t pipe -S 64
	[[ $output == *$'\n'"(1) pipe: make a pipe: "* ]]
	status 71 timeout 60 strace -o trace -e inject=fork,vfork,clone,clone3:error=EAGAIN ipc-bench -q --quick -t pipe,sysv -S 64
	[[ $stderr == *"start a process: "* ]]
}

@test "whatever call a mechanism is refused is named; nothing hangs, nothing is left" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "no strace under the sanitizer"
	local mech call error text s linker="" bits
	bits=$(word_bits)
	! head -c 4096 "$BIN/ipcbox" | grep -qa ld-linux || linker=1
	while read -r mech call error text; do
		# The dynamic loader makes these two itself.
		[[ -z $linker || ($call != read && $call != pread64) ]] || continue
		# With 32 bits some are other calls, and glibc makes all of sockets by socketcall(2).
		[[ $bits != 32 || $call != futex ]] || call=futex_time64
		[[ $bits != 32 || $call != @(send*|recv*|socketpair|connect|bind|accept4|get*) ]] || continue
		s=0
		timeout 60 strace -f -qq -o /dev/null -e "inject=$call:error=$error" ipc-bench -q --quick -J -t "$mech" -S 64 >out || s=$?
		output=$(<out)
		# Who is never late at a ring need not sleep: then only one of the two measurements fails.
		[[ $s == 71 || ($mech == ring && $s == 0) ]] || { echo "$mech, $call: status $s, $output"; return 1; }
		[[ $output == *"\"error\":\"$text"* ]] || { echo "$mech, $call: $output"; return 1; }
	done <<-'END'
		mq mq_timedsend EBADMSG mq_send:
		mq mq_timedreceive EBADMSG mq_receive:
		sysv msgsnd ENOMEM msgsnd:
		sysv msgrcv EACCES msgrcv:
		sysv msgget ENOSPC make a queue (kernel.msgmni
		sysv pidfd_open EMFILE open a pidfd:
		pipe pipe2 EMFILE make a pipe:
		fifo mknodat,mknod EACCES make a FIFO:
		fifo mkdir,mkdirat EACCES make a directory in $TMPDIR
		file pwrite64 ENOSPC make a file in $TMPDIR
		file pwrite64 ENOSPC:when=3+ write to the file:
		file pread64 EIO read the file:
		ring futex EINVAL wait for the others:
		eventfd eventfd2 EMFILE make an eventfd:
		eventfd read EIO read from an eventfd:
		signal rt_sigtimedwait EINVAL wait for SIGUSR1:
		stream socketpair EMFILE make a socket pair:
		stream sendto ENOBUFS send:
		seqpacket recvfrom EIO receive:
		dgram getsockopt ENOBUFS read the buffer's size:
		tcp connect ECONNREFUSED connect to 127.0.0.1:
		sendfd sendmsg EIO send a descriptor:
		sendfd recvmsg EIO receive a descriptor:
		door bind EADDRINUSE listen:
		door connect ECONNREFUSED connect:
		door accept4 EMFILE accept:
		door getsockname ENOBUFS find the door:
		door sendmsg EIO send descriptors:
		door recvmsg EIO receive descriptors:
		door vfork EAGAIN run cat:
	END
	# EINTR changes nothing at all.
	status 0 timeout 60 strace -f -qq -o /dev/null \
		-e inject=mq_timedsend,mq_timedreceive,msgsnd,msgrcv,sendto,recvfrom,recvmsg,sendmsg:error=EINTR:when=3+7 \
		ipc-bench -q --quick -J -t mq,sysv,stream,seqpacket,sendfd -S 64
	json "all(r[p]['error'] is None for r in R.values() for p in ('stream', 'round') if p in r)"
}

@test "a machine that is too noisy is told so, with status 0" {
	need strace python3
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "not under strace"
	status 0 timeout 100 strace -f -o trace -e inject=write:delay_enter=40000:when=20+37 ipc-bench --quick -J -t pipe -S 64
	[[ $stderr == *"the machine is too noisy: "*" of 2 measurements"* ]]
	json "d['noisy'] > 0"
}

@test "--svg: a well-formed plot with axes, for light and dark" {
	need python3
	quick --svg plot.svg -S 64,4K,100 --pattern broadcast
	python3 - <<-'EOF'
		import xml.etree.ElementTree as E
		s = "{http://www.w3.org/2000/svg}"
		r = E.parse("plot.svg").getroot()
		assert r.tag == s + "svg" and r.get("viewBox") and r.get("role") == "img"
		text = [t.text for t in r.iter(s + "text")]
		for want in ("microseconds, log scale", "messages a second, log scale", "64 bytes", "4096 bytes", "100 bytes", "pipe", "POSIX queue", "door call"):
		    assert want in text, want
		assert any("A copy to each receiver" in t for t in text)
		style = r.find(s + "style").text
		assert "prefers-color-scheme:dark" in style
		w, h = (float(x) for x in r.get("viewBox").split()[2:])
		marks = [m for m in r.iter() if m.find(s + "title") is not None and m is not r]
		assert len(marks) > 16 * 3 * 2, len(marks)
		for c in r.iter(s + "circle"):
		    assert 186 <= float(c.get("cx")) <= w or c.find(s + "title") is None
		    assert 0 < float(c.get("cy")) < h
	EOF
	# A line for the noise of each point, which the title says too.
	[[ $(grep -c 'class="w c' plot.svg) == $(grep -c '+- [0-9]* %</title>' plot.svg) ]]
	[[ $(grep -c '+- [0-9]* %</title>' plot.svg) -gt 0 ]]
	[[ $(stat -c %a plot.svg) == 644 ]]
}

@test "--svg: replaced when whole; devices, FIFOs and links are written to; who cannot is told first" {
	echo old >plot.svg
	quick -t pipe -S 64 --svg plot.svg
	grep -q '</svg>' plot.svg
	ln -s there link
	echo old >there
	quick -t pipe -S 64 --svg link
	[[ -L link ]]
	grep -q '</svg>' there
	mkfifo pipe
	bg cat pipe >got
	pid=$!
	until_true blocked $pid # in its open(2), by which it is a reader
	quick -t pipe -S 64 --svg pipe
	wait $pid
	[[ -p pipe ]]
	grep -q '</svg>' got
	status 73 timeout 20 ipc-bench --time 60s --svg none/plot.svg
	[[ $stderr == *"create none/plot.svg"* ]]
	mkdir ro
	chmod 755 . && chmod 555 ro
	if [[ $(id -u) == 0 ]] && nobody_gets_here; then
		status 77 as_nobody timeout 20 ipc-bench --time 60s --svg "$T/ro/plot.svg"
	fi
	status 71 timeout 20 ipc-bench -q --quick -t pipe -S 64 --svg /dev/full
	[[ $stderr == *"/dev/full"* ]]
	[[ -c /dev/full ]]
}

@test "a full stdout is 74, a closed one SIGPIPE" {
	status 74 bash -c 'ipc-bench -q --quick -t pipe -S 64 >/dev/full'
	code=0
	timeout 60 ipc-bench -q --quick -t pipe -S 64 3>&- | true || code=${PIPESTATUS[0]}
	[[ ${PIPESTATUS[0]} == 141 || $code == 141 || $code == 0 ]]
	status 0 bash -c 'ipc-bench -q --quick -t pipe,fifo,tcp,mq -S 64 <&- >out'
	grep -q '^mq ' out
}

@test "progress: lines with -P, a line drawn over on a terminal, none with -q" {
	need python3
	status 0 timeout 60 ipc-bench -P --time 5s --pin -t door -S 64,65,66,67,68,69
	[[ -z $stderr || $stderr == *"ipc-bench ["*"/12  door, "* ]]
	cat >terminal.py <<-'EOF'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.dup2(os.open("out", os.O_CREAT | os.O_WRONLY, 0o600), 1)
		    os.execvp(sys.argv[1], sys.argv[1:])
		text = b""
		while True:
		    try:
		        text += os.read(fd, 65536)
		    except OSError:
		        break
		sys.stdout.buffer.write(text)
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	EOF
	status 0 timeout 60 python3 terminal.py ipc-bench --quick -t pipe,tcp -S 64
	[[ $output == *$'\r'"ipc-bench [...................."*"0/4  pipe, 64 bytes, request"*$'\r\e[K'* ]]
	status 0 timeout 60 python3 terminal.py ipc-bench -q --quick -t pipe,tcp -S 64
	[[ $output != *$'\e'* ]]
}

@test "the progress bar stays within its line and ends with everything" {
	status 0 timeout 60 ipc-bench -v --quick -t pipe -S 64
	[[ $(grep -c 'batches, +-' <<<"$stderr") == 2 ]]
	[[ $stderr == *"pipe, 64 bytes, request: "* ]]
}

@test "two that are nearly as quick have bars nearly as long" {
	LC_ALL=C ipc-bench --quick -t pipe,fifo -S 64 >out
	# A third of the bar is a factor of four; without a decade under the bars the slower had a tenth.
	[[ $(grep -cE '^(pipe|fifo) .* #{8,}$' out) == 2 ]] || { cat out; false; }
}

@test "bars in block characters only where the locale has them" {
	quick -t pipe -S 64
	LC_ALL=C quick -t pipe -S 64
	[[ $output != *█* && $output == *"% ##"* ]]
	LC_ALL=C.UTF-8 quick -t pipe -S 64
	[[ $output == *█* ]]
}

@test "--list names every mechanism and the applet for it" {
	status 0 ipc-bench --list
	[[ $(awk '{ print $1 }' <<<"$output" | tr '\n' ' ') == "$ALL " ]]
	grep -qE '^mq +ipc-mq +POSIX' <<<"$output"
	[[ $(ipcbox --spec | awk -F'\t' '$1 == "option" && $2 == "ipc-bench" && $5 == "type" { print $8 }') == "${ALL// /,}" ]]
	status 74 bash -c 'ipc-bench --list >/dev/full'
}

@test "what is asked for twice or in another order is measured once" {
	need python3
	quick -J -t tcp,pipe -t pipe -S 64
	json "[r['mechanism'] for r in d['results']] == ['pipe', 'tcp']"
}

@test "wrong words are 64" {
	status 64 ipc-bench -t nosuch
	[[ $stderr == *"nosuch: no such mechanism; see --list"* ]]
	status 64 ipc-bench -t ''
	status 64 ipc-bench -t ,
	for bad in 0 -1 17M x 1.5x '' 99999999999999999999; do
		status 64 ipc-bench -S "$bad"
	done
	status 64 ipc-bench -S 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
	status 64 ipc-bench -j 0
	status 64 ipc-bench -j 17
	status 64 ipc-bench --pattern nosuch
	status 64 ipc-bench --time 0
	status 64 ipc-bench --time x
	status 64 ipc-bench operand
	status 64 ipc-bench --nosuch
}

@test "an inherited SIG_IGN for SIGCHLD, blocked signals and another user change nothing" {
	need python3
	status 0 timeout 60 env --ignore-signal=CHLD --block-signal=USR1 ipc-bench -q --quick -J -t signal,door,sysv -S 64
	json "all(r[p]['error'] is None for r in d['results'] if r['mechanism'] != 'door' for p in ('request', 'stream'))"
	cd /
	TMPDIR=/tmp status 0 timeout 60 env -C / setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/ipc-bench" -q --quick -t fifo,file,mq,sysv -S 64 ||
		[[ $(id -u) != 0 ]]
}

@test "two at once do not disturb each other's objects" {
	need python3
	for i in 1 2 3; do
		bg ipc-bench -q --quick -J -S 64 >"out.$i"
		pids[i]=$!
	done
	for i in 1 2 3; do
		wait "${pids[i]}"
		cp "out.$i" .out
		json "all(r[p]['error'] is None for r in d['results'] if r['mechanism'] != 'spin' for p in ('request', 'stream'))"
	done
}

@test "a TMPDIR that is not there fails those that need it, and no other" {
	need python3
	TMPDIR=$T/none quick -J -t fifo,file,pipe -S 64
	json "'TMPDIR' in R['fifo', 64]['request']['error'] and 'TMPDIR' in R['file', 64]['request']['error'] and R['pipe', 64]['request']['error'] is None"
	TMPDIR=$T quick -J -t fifo,file -S 64
	json "R['fifo', 64]['request']['error'] is None and R['file', 64]['request']['error'] is None"
	[[ -z $(ls) ]]
}
