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
	until_true asleep "$w"
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

@test "addresses: HOST:PORT asks for tcp:, a bad port is 64, a file is no socket (73), stat follows links" {
	local a
	for a in 127.0.0.1:8080 localhost:8080 '[::1]:8080'; do
		status 64 ipc-sock serve --echo "$a"
		[[ $stderr == *"did you mean tcp:"* ]]
	done
	status 64 ipc-sock connect tcp:127.0.0.1:99999
	status 64 ipc-sock serve --echo udp:127.0.0.1:65536
	: >file
	status 73 ipc-sock connect ./file
	serve --echo ./s
	ln -s s link
	status 0 ipc-sock stat -J ./link
	[[ $output == *'"state":"listening"'* ]]
	stop
}
