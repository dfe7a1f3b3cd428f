"""tests/terminal.py: a program on a terminal of its own, for the tests that press keys.

The terminal echoes nothing, so that what it shows is what programs write. Every wait ends when the text is there, or
fails after a minute.
"""
import os
import pty
import select
import signal
import termios
import time

PATIENCE = 60
PROMPT = "=> "

INTERACTIVE = {
    "bash": ["bash", "--norc", "--noprofile", "--noediting", "-i"],
    "dash": ["dash", "-i"],
    "busybox": ["busybox", "sh", "-i"],
    "zsh": ["zsh", "-f", "+o", "zle", "+o", "promptcr", "+o", "promptsp", "-i"],
}
SCRIPT = {"bash": ["bash"], "dash": ["dash"], "busybox": ["busybox", "sh"], "zsh": ["zsh", "-f"]}


class Terminal:
    """ARGV as the session leader of a new terminal."""

    def __init__(self, *argv):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # Python ignores PIPE, and ours are not the program's.
            for sig in (signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
                signal.signal(sig, signal.SIG_DFL)
            mode = termios.tcgetattr(0)
            mode[3] &= ~termios.ECHO
            termios.tcsetattr(0, termios.TCSANOW, mode)
            os.environ.update(PS1=PROMPT, TERM="dumb", ENV="")
            os.execvp(argv[0], argv)

    def _more(self, end):
        r, _, _ = select.select([self.fd], [], [], max(end - time.time(), 0))
        assert r, ("nothing more after", self.seen)
        try:
            got = os.read(self.fd, 4096)
        except OSError:
            got = b""
        self.seen += got
        return got != b""

    def until(self, text):
        """Read on until TEXT was shown; what follows is kept for the next call. What came before it is returned."""
        text, end = text.encode(), time.time() + PATIENCE
        while text not in self.seen:
            assert self._more(end), ("the end, not %r, after" % text, self.seen)
        at = self.seen.index(text)
        before, self.seen = self.seen[:at], self.seen[at + len(text):]
        return before.decode()

    def press(self, keys):
        """Press KEYS, without an end of line."""
        os.write(self.fd, keys)

    def say(self, line):
        """Type a line."""
        self.press(line.encode() + b"\n")

    def ask(self, line):
        """Type a line at the prompt: what is shown until the next prompt."""
        self.until(PROMPT)
        self.say(line)

    def foreground(self):
        """The foreground process group."""
        return os.tcgetpgrp(self.fd)

    def hang_up(self):
        """Take the terminal away."""
        os.close(self.fd)

    def rest(self):
        """All that is shown until nobody has the terminal open any more."""
        end = time.time() + PATIENCE
        while self._more(end):
            pass
        return self.seen.decode()

    def end(self):
        """Wait for the program: its exit status, or minus the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def wait_for(what, *args):
    """Wait until WHAT(*ARGS) is true."""
    end = time.time() + PATIENCE
    while not what(*args):
        assert time.time() < end, (what, args)
        time.sleep(0.005)


def state(pid):
    """The state of a process: R S D T Z, or None when it is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


def interactive(shell):
    """An interactive SHELL."""
    return Terminal(*INTERACTIVE[shell])


def script(shell, text):
    """A SHELL that runs TEXT as a script."""
    name = "script.%s" % shell
    with open(name, "w", encoding="utf-8") as f:
        f.write(text)
    return Terminal(*SCRIPT[shell], name)
