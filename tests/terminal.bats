#!/usr/bin/env bats
# A CMD and its terminal: keys are pressed on real terminals (tests/terminal.py), in bash, dash, busybox sh and zsh.
load helper

SHELLS="bash dash busybox zsh"

local_setup() {
	program "the terminal of a process"
	need python3
	export PYTHONPATH=$ROOT/tests PYTHONDONTWRITEBYTECODE=1
}

# shells CODE: run the Python CODE for each shell that is installed, as SHELL.
shells() {
	local sh n=0
	for sh in $SHELLS; do
		command -v "$sh" >/dev/null || continue
		n=$((n + 1))
		python3 -c "from terminal import *; SHELL = '$sh'
$1" || { echo "in $sh"; return 1; }
	done
	[[ $n -gt 0 ]] || skip "no shell is installed"
}

# terminal CODE: the same once, without a shell of its own.
terminal() {
	python3 -c "from terminal import *
import subprocess
$1"
}

@test "^C stops the script in a verb that cleans up before it ends" {
	mkfifo f
	cat >verbs <<-'E'
		ipc-event wait e --ready-fd 1
		ipc-ring get --create -f r --ready-fd 1
		ipc-spool run -f --ready-fd 1 ./q -- true
		ipc-signal wait --ready-fd 1 USR1
		ipc-sock recv --ready-fd 1 ./s
	E
	shells "
for verb in open('verbs').read().splitlines():
    applet, name, *rest = verb.split()
    at = rest.index('--ready-fd')
    verb = ' '.join([applet, name, '--ready-fd 9'] + rest[:at] + rest[at + 2:])
    t = script(SHELL, '''
for i in 1 2; do
    echo ready
    %s 9>&1
    echo on
done
''' % verb)
    t.until('ready\\r\\n')
    t.until('\\r\\n')
    t.press(b'\x03')
    shown = t.rest()
    assert 'on' not in shown, (verb, shown)
    assert t.end() in (-2, 130), verb
"
}

@test "^C stops the script, whatever applet runs its command" {
	cat >verbs <<-'E'
		ipc-lock run l --
		ipc-lock run --family dotlock ./d --
		ipc-lock run --tree l --
		flock l env
		ipc-sem run -j 1 s --
		ipc-signal run --
		ipc-shm run -S 4K memfd:m --
		ipc-event wait e --
		ipc-barrier wait -c 1 b --
		ipc-pipe run -- cat --
	E
	shells "
for verb in open('verbs').read().splitlines():
    t = script(SHELL, '''
for i in 1 2; do
    %s sh -c 'echo ready; exec sleep 60'
    echo on
done
''' % verb)
    t.until('ready')
    t.press(b'\x03')
    shown = t.rest()
    assert 'on' not in shown and 'ready' not in shown, (verb, shown)
    assert t.end() in (-2, 130), verb
"
}

@test "^\\ ends CMD and supervisor, and leaves no second core" {
	shells "
t = script(SHELL, '''
ulimit -c 0
ipc-lock run l -- sh -c 'echo ready; exec sleep 60'
echo st-\$?
''')
t.until('ready')
t.press(b'\x1c')
shown = t.rest()
assert t.end() == -signal.SIGQUIT or 'st-131' in shown, shown
"
	ulimit -c unlimited 2>/dev/null || ulimit -c "$(ulimit -Hc)"
	terminal "
p = subprocess.Popen(['ipc-lock', 'run', 'l', '--', 'sh', '-c', 'ulimit -c 0; kill -QUIT \$\$'])
status = os.waitpid(p.pid, 0)[1]
assert os.WTERMSIG(status) == signal.SIGQUIT and not os.WCOREDUMP(status), status
"
}

@test "who supervises a CMD that is killed dies of the same signal; flock only of one that it got" {
	terminal "
for sig in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGSEGV, signal.SIGRTMIN + 1):
    for verb in ('ipc-lock run l', 'ipc-sem run -j 1 s', 'ipc-signal run', 'ipc-shm run -S 4K memfd:m'):
        got = subprocess.run(verb.split() + ['--', 'sh', '-c', 'ulimit -c 0; kill -%d \$\$' % sig]).returncode
        assert got == -sig, (verb, sig, got)
    assert subprocess.run(['flock', 'l', 'sh', '-c', 'kill -%d \$\$' % sig]).returncode == 128 + sig
assert subprocess.run(['ipc-lock', 'run', 'l', '--', 'sh', '-c', 'exit 130']).returncode == 130
p = subprocess.Popen(['ipc-lock', 'run', 'l', '--', 'sh', '-c', 'echo; exec sleep 60'], stdout=subprocess.PIPE)
p.stdout.read(1)
p.terminate()
assert p.wait() == -signal.SIGTERM
assert subprocess.run(['ipc-lock', 'test', 'l']).returncode == 0
"
}

@test "the rest of the pipeline reads from the terminal beside a CMD" {
	shells "
t = interactive(SHELL)
t.ask('ipc-signal run -- sh -c \"echo ready; exec sleep 0.2\" | sh -c \"read -r r; echo \\\$r; read -r x </dev/tty; echo it is \\\$x; cat\"')
t.until('ready')
t.say('mine')
t.until('it is mine')
t.ask('exit')
t.rest()
"
}

@test "a CMD whose input is a pipe reads from the terminal, also in \$(...) and under timeout --foreground" {
	shells "
for line in ('echo x | ipc-signal run -- sh -c \"echo ready; read -r p </dev/tty; echo it is \\\$p\"',
             'v=\$(ipc-signal run -- sh -c \"echo ready >/dev/tty; read -r p </dev/tty; echo it is \\\$p\"); echo \"\$v\"',
             'timeout --foreground 60 ipc-signal run --foreground -- sh -c \"echo ready; read -r p </dev/tty; echo it is \\\$p\"'):
    t = interactive(SHELL)
    t.ask(line)
    t.until('ready')
    t.say('word')
    t.until('it is word')
    t.ask('exit')
    t.rest()
"
}

@test "^Z stops a CMD and its supervisor, fg continues both" {
	shells "
for verb in ('ipc-signal run', 'ipc-lock run l', 'ipc-sem run -j 1 s'):
    t = interactive(SHELL)
    t.ask(verb + ' -- sh -c \"echo ready; read -r p; echo it is \\\$p\"')
    t.until('ready')
    t.press(b'\x1a')
    t.ask(' fg') # zsh loses the first character
    t.say('word')
    t.until('it is word')
    t.ask('exit')
    t.rest()
"
}

@test "started in the background and brought to the foreground, a CMD can read" {
	SHELLS="bash dash z""sh"
	shells "
t = interactive(SHELL)
t.ask('ipc-signal run -- sh -c \"echo ready >here; read -r p; echo it is \\\$p\" &')
wait_for(os.path.exists, 'here')
t.ask('fg')
t.say('word')
t.until('it is word')
t.ask('exit')
t.rest()
os.unlink('here')
"
}

@test "a terminal that hangs up ends CMD and supervisor, and frees the lock" {
	terminal "
for verb in ('ipc-lock run l', 'ipc-signal run'):
    t = script('bash', verb + ' -- sh -c \'echo \$\$; exec sleep 60\'')
    pid = int(t.until('\n'))
    t.hang_up()
    wait_for(lambda: state(pid) is None)
    t.end()
wait_for(lambda: subprocess.run(['ipc-lock', 'test', 'l']).returncode == 0)
"
}

@test "under sudo ^C stops CMD" {
	need sudo
	sudo -n true || skip "sudo asks for a password"
	terminal "
t = script('bash', 'sudo -n env PATH=\"\$PATH\" IPC_DIR=\"\$IPC_DIR\" ipc-signal run -- sh -c \'echo ready; exec sleep 60\'; echo st-\$?')
t.until('ready')
t.press(b'\x03')
shown = t.rest() # sudo may have a terminal of its own for CMD: then our shell gets no ^C
assert 'st-' not in shown or 'st-130' in shown, shown
t.end()
"
}

@test "under timeout the end of the time stops CMD" {
	terminal "
t = script('bash', 'timeout 0.3 ipc-signal run -- sleep 60; echo st-\$?')
t.until('st-124')
t.end()
"
}

@test "setsid need not fork under ipc-signal run, with a terminal and without" {
	status 0 ipc-signal run -- setsid sh -c 'sleep 0.1; echo worked'
	[[ $output == worked ]]
	terminal "
t = script('bash', 'ipc-signal run -- setsid sh -c \"sleep 0.1; echo worked\"; echo st-\$?')
t.until('worked')
t.until('st-0')
t.end()
"
}

@test "--foreground is taken, and changes nothing; -w 0 is no limit" {
	status 3 ipc-signal run --foreground -w 0 -- sh -c 'sleep 0.1; exit 3'
}

@test "where pidfd_open is refused CMD runs all the same, under its lock" {
	need strace
	local err
	for err in EPERM ENOSYS; do
		strace -f -qq -o /dev/null -e trace=pidfd_open -e inject=pidfd_open:error=$err true || skip "strace cannot inject here"
		status 0 strace -f -qq -o trace -e trace=pidfd_open -e inject=pidfd_open:error=$err \
			"$BIN/ipc-lock" run l -- sh -c 'ipc-lock test l && echo free || echo held'
		[[ $output == held ]]
		status 0 ipc-lock test l
		status 4 strace -f -qq -o trace -e trace=pidfd_open -e inject=pidfd_open:error=$err \
			"$BIN/ipc-sem" run -j 1 s -- sh -c 'exit 4'
		status 5 strace -f -qq -o trace -e trace=pidfd_open -e inject=pidfd_open:error=$err \
			"$BIN/ipc-signal" run --grace 5 -- sh -c 'setsid sleep 600 & exit 5'
	done
}
