#!/usr/bin/env bats
# ipc-sock: addresses, who is behind them, and what is bound.
# shellcheck disable=SC2094,SC2216,SC2217 # bg reads stdin; names of our own
load helper
load sock

@test "--allow: in a user namespace a user that it does not know stays a stranger" {
	need userns unshare
	ready unshare -U "$BIN/ipc-sock" serve -v --ready-fd 8 --echo "@stranger$$" 2>err
	[[ -z $(echo in | ipc-sock connect "@stranger$$" 2>/dev/null) ]]
	until_true grep -q 'refused uid' err
	stop
	ready unshare -U "$BIN/ipc-sock" serve --allow uid:65534,gid:65534 --ready-fd 8 --echo "@stranger$$"
	[[ -z $(echo in | ipc-sock connect "@stranger$$" 2>/dev/null) ]]
	stop
	ready unshare -U "$BIN/ipc-sock" serve --allow any --ready-fd 8 --echo "@stranger$$"
	[[ $(echo in | ipc-sock connect "@stranger$$") == in ]]
	stop
}

@test "serve: the path stays with the successor that got the listening socket" {
	need python3
	bg ipc-recvfd --listen ./succ -- ipc-sock serve fd:3 -- echo new
	ready ipc-sock serve --ready-fd 8 --listen-fds ./web -- sh -c 'ipc-sendfd --ack --retry 9 ./succ 3 && exit 9'
	[[ $(ipc-sock connect ./web </dev/null) == new ]]
	local s=0
	wait "$PID" || s=$?
	[[ $s == 9 && -S web ]]
	[[ $(ipc-sock connect ./web </dev/null) == new ]]
}

@test "serve: a socket of LISTEN_FDS is known by its file, whatever the names" {
	need python3
	mkdir real
	ln -s real link
	cat >give.py <<-'PY'
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5)
		os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
		os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
		os.execvp(sys.argv[2], sys.argv[2:])
	PY
	local a
	for a in "./real/s ./link/s" "$T/real/s ./real/s" "real/s $T/link/s"; do
		set -- $a
		ready python3 give.py "$1" ipc-sock serve --ready-fd 8 --echo "$2"
		[[ $(echo x | ipc-sock connect ./real/s) == x ]]
		stop
		rm real/s
	done
}

@test "wait, connect --retry: a server that has not set the mode of its path yet is waited for; at the limit it is 77" {
	need python3
	plain() { if [[ $(id -u) == 0 ]]; then setpriv --bounding-set=-all --inh-caps=-all "$@"; else "$@"; fi; }
	mkfifo go
	exec 7<>go
	(umask 077; exec python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind("./s"); s.listen(5)
os.chmod("./s", 0o0); print(flush=True)
sys.stdin.readline(); os.chmod("./s", 0o777)
while True:
    c, _ = s.accept(); c.sendall(b"in\n"); c.close()' <go >up) 3>&- 7>&- &
	local server=$!
	until_true lines_in up 1
	status 77 plain "$BIN/ipc-sock" wait -w 0.1 "$PWD/s"
	status 77 plain "$BIN/ipc-sock" connect "$PWD/s"
	status 77 plain "$BIN/ipc-sock" connect --retry 0.1 "$PWD/s"
	plain "$BIN/ipc-sock" wait -w 20 "$PWD/s" 3>&- 7>&- &
	local w=$!
	(plain "$BIN/ipc-sock" connect --retry 20 "$PWD/s" </dev/null >out) 3>&- 7>&- &
	local c=$!
	until_true blocked "$w"
	echo >&7
	wait "$w"
	wait "$c"
	[[ $(<out) == in ]]
	exec 7>&-
	kill "$server"
}

@test "serve: an activator's variables are not passed to the commands of its clients" {
	export LISTEN_FDS=1 LISTEN_PID=1 LISTEN_PIDFDID=2 LISTEN_FDNAMES=x WATCHDOG_PID=1 WATCHDOG_USEC=1
	serve ./s -- env
	ipc-sock connect ./s </dev/null >out
	stop
	grep -q ^IPC_CONN_NUM= out
	[[ -z $(grep -E '^(LISTEN_|WATCHDOG_|NOTIFY_)' out) ]]
	serve --listen-fds ./s -- sh -c 'env >env.tmp; mv env.tmp env; exit 9'
	bg ipc-sock connect ./s </dev/null
	until_true test -e env
	grep -q ^LISTEN_FDS=1 env
	[[ -z $(grep -E '^(LISTEN_PIDFDID|WATCHDOG_|NOTIFY_)' env) ]]
}

@test "addresses: HOST:PORT asks for tcp:, a bad port is 64, a file is no socket (65), stat follows links" {
	local a
	for a in 127.0.0.1:8080 localhost:8080 '[::1]:8080'; do
		status 64 ipc-sock serve --echo "$a"
		[[ $stderr == *"did you mean tcp:"* ]]
	done
	status 64 ipc-sock connect tcp:127.0.0.1:99999
	status 64 ipc-sock serve --echo udp:127.0.0.1:65536
	: >file
	status 65 ipc-sock connect ./file
	serve --echo ./s
	ln -s s link
	status 0 ipc-sock stat -J ./link
	[[ $output == *'"state":"listening"'* ]]
	stop
}

@test "udp: an answer comes from the address that was asked, through a relay too" {
	need python3
	cat >ask.py <<-'PY'
		import socket, sys
		for name in "127.0.0.2", "127.0.0.3":
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
		    s.connect((name, int(sys.argv[1]))); s.send(name.encode()); assert s.recv(100) == name.encode()
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.bind(("127.0.0.1", 0))
		for name in "127.0.0.4", "127.0.0.5":
		    s.sendto(b"x", (name, int(sys.argv[1]))); assert s.recvfrom(100)[1][0] == name
	PY
	local host port server
	serve -t dgram --echo ./d
	server=$PID
	for host in '*' 0.0.0.0; do
		bound serve --echo "udp:$host:0"
		timeout 40 python3 ask.py "$port"
		stop
		bound relay --to-type dgram "udp:$host:0" ./d
		timeout 40 python3 ask.py "$port"
		stop
	done
	stop "$server"
}

@test "port 0: --ready-fd, -v and -J give the address that was bound, and stat finds it" {
	local port address
	bound serve -v -J --echo tcp:127.0.0.1:0 >log 2>err
	[[ $address == "tcp:127.0.0.1:$port" && $port -gt 0 ]]
	grep -q "listening on $address" err
	grep -q "\"event\":\"listening\".*\"addr\":\"$address\"" log
	status 0 ipc-sock stat "$address"
	[[ $(echo x | ipc-sock connect "$address") == x ]]
	stop
	bound serve --listen-fds tcp:127.0.0.1:0 -- true
	status 0 ipc-sock stat "$address"
	stop
}

@test "relay: a name with several addresses: the next one when the first refuses" {
	need unshare ip
	unshare -Urmn true 2>/dev/null || skip "no namespaces can be made here"
	printf '::1 two\n127.0.0.1 two\n' >hosts
	cat >in.sh <<-'END'
		set -e
		ip link set lo up
		mount --bind hosts /etc/hosts
		trap 'kill $a $b' EXIT
		ipc-sock serve --ready-fd 8 --echo tcp:127.0.0.1:700 8>up &
		a=$!
		ipc-sock relay --ready-fd 8 ./r tcp:two:700 8>up2 &
		b=$!
		until [ -s up ] && [ -s up2 ]; do sleep 0.01; done
		echo far | ipc-sock connect ./r
	END
	[[ $(timeout 40 unshare -Urmn sh in.sh 3>&-) == far ]]
}

@test "fd:N and LISTEN_FDS: whether a descriptor waits is left as it was" {
	need python3
	cat >keep.py <<-'PY'
		import os, socket, subprocess, sys, threading
		def is_kept(s): assert os.get_blocking(s.fileno()), "left non-blocking"
		a, b = socket.socketpair()
		p = subprocess.Popen(["ipc-sock", "connect", "fd:%d" % b.fileno()], pass_fds=[b.fileno()],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		data = os.urandom(1000000); got = []
		def echo():
		    while True:
		        x = a.recv(65536)
		        if not x: break
		        is_kept(b); a.sendall(x)
		    a.shutdown(socket.SHUT_WR)
		t = threading.Thread(target=echo); t.start()
		out, _ = p.communicate(data, timeout=30); t.join()
		assert out == data and p.returncode == 0
		is_kept(b)
		l = socket.socket(socket.AF_UNIX); l.bind("./l"); l.listen(5)
		for how in ["--echo"], ["-t", "stream", "--", "cat"], ["--listen-fds", "--", "true"]:
		    at = how.index("--") if "--" in how else len(how)
		    r, w = os.pipe()
		    p = subprocess.Popen(["ipc-sock", "serve", "--ready-fd", str(w)] + how[:at] + ["fd:%d" % l.fileno()] + how[at:],
		        pass_fds=[l.fileno(), w])
		    os.read(r, 1); is_kept(l)
		    if how[0] != "--listen-fds":
		        c = socket.socket(socket.AF_UNIX); c.connect("./l"); c.sendall(b"x"); assert c.recv(9) == b"x"; c.close()
		    p.terminate(); p.wait(30); is_kept(l)
	PY
	timeout 90 python3 keep.py 3>&-
}

@test "--collect: what a client has begun when the server stops is lost with a warning; at its own end it is a record" {
	need python3
	mkfifo hold
	exec 7<>hold
	serve --collect --grace 0 ./s >out 2>err
	printf 'whole\nlast' | ipc-sock connect ./s
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("./s"); s.sendall(b"more\npart"); print(flush=True); sys.stdin.read()' \
		<hold >up 3>&- &
	local c=$!
	until_true lines_in out 3
	stop
	[[ $(<out) == $'whole\nlast\nmore' ]]
	grep -q 'connection 2 ended inside a record; 4 bytes are lost' err
	kill "$c" || :
}
