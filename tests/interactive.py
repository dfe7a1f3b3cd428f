# tests/interactive.py: an interactive bash on a terminal of its own, for the tests that type.
import os
import pty
import select
import time

pid, fd = pty.fork()
if pid == 0:
    os.environ["PS1"] = "$ "
    os.execvp("bash", ["bash", "--norc", "--noediting", "-i"])

seen = b""


def until(text):
    """Read on until the terminal has shown TEXT; what comes after it is kept for the next call."""
    global seen
    end = time.time() + 25
    while text not in seen:
        r, _, _ = select.select([fd], [], [], max(end - time.time(), 0))
        assert r, (text, seen)
        seen += os.read(fd, 4096)
    seen = seen[seen.index(text) + len(text):]


def press(keys):
    """Type KEYS, without an end of line."""
    os.write(fd, keys)


def say(text):
    """Type a line."""
    press(text.encode() + b"\n")


def asleep():
    """Wait until the shell itself sleeps."""
    while open("/proc/%d/stat" % pid).read().split(")")[1].split()[0] != "S":
        time.sleep(0.01)


def status():
    """Wait for the shell to end: its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
