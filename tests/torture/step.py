#!/usr/bin/env python3
"""tests/torture/step.py KILLS|all [VERB...]: kill a verb at single instructions, from where it opens its object to
its exit, and check the survivors.

KILLS: about so many of each verb, spread evenly. all: put and get of a ring at every instruction, the others at every
seventh. Prints for each verb how many instructions there are, how many kills, how often the object was as before and
as after, and "bad N"; status 1 when something was lost, there twice, or could not be used.
"""
import concurrent.futures, itertools, os, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(os.path.abspath(os.environ["IPCBOX_BUILD"]), "bin")
LIMIT = 60  # seconds for whatever must not hang
counter = itertools.count()


def sh(line, where):
    """The output of LINE, or None when it failed or hung."""
    try:
        p = subprocess.run(["sh", "-c", line], cwd=where, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           stdin=subprocess.DEVNULL, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return None
    return p.stdout.decode() if p.returncode == 0 else None


# What is in a ring, taken out, with a last record put through it to see that it works.
RING = "ipc-ring put -w 10 ./r end && ipc-ring close ./r && ipc-ring get -f -w 10 ./r"
EVENT = "ipc-event stat -o seq ./e && ipc-event stat -o state ./e && ipc-event set ./e && ipc-event wait -w 10 -n ./e"
# A spool's jobs are done, those of a dead owner when its guard has gone: where each job stands then.
SPOOL = r"""stand() { find q -type f -name '0*' | sed 's|q/||; s|/.*||'; }
i=0; ipc-spool run ./q -- cat >/dev/null || exit 1
while stand | grep -q 'cur\|new' && [ $i -lt 200 ]; do i=$((i + 1)); sleep 0.05; ipc-spool run ./q -- cat >/dev/null; done
stand"""

# verb: set-up, the file that it opens, the command, the check, what the check may say: before, after.
VERBS = {
    "ring put": ("ipc-ring create -S 160 ./r; ipc-ring put ./r first", "r", "ipc-ring put ./r second", RING,
                 "first\nend\n", "first\nsecond\nend\n"),
    "ring get": ("ipc-ring create -S 160 ./r; ipc-ring put ./r first second", "r", "ipc-ring get ./r", RING,
                 "first\nsecond\nend\n", "second\nend\n"),
    "event set": ("ipc-event clear ./e", "e", "ipc-event set ./e", EVENT, None, None),
    "event wait": ("ipc-event set --auto ./e", "e", "ipc-event wait -n ./e", EVENT.replace("event set", "event set --auto"), None, None),
    "shm add": ("ipc-shm create -S 64 ./m", "m", "ipc-shm add ./m 8 1", "ipc-shm get ./m 8", "0\n", "1\n"),
    "lock, release": (":", "l", "ipc-lock run ./l -- true", "ipc-lock run -w 20 ./l -- echo in", "in\n", "in\n"),
    "dotlock, release": (":", ".", "ipc-lock run --family dotlock ./d -- true",
                         "ipc-lock run --family dotlock -w 20 ./d -- echo in", "in\n", "in\n"),
    "sem run": ("ipc-sem create ./s", "s", "ipc-sem run ./s -- true",
                "ipc-sem run -w 20 ./s -- echo in && ipc-sem get ./s", "in\n1\n", "in\n1\n"),
    "spool put": ("echo job >job; ipc-spool create ./q", "format", "ipc-spool put ./q job", SPOOL, "", "done\n"),
    "spool take": ("echo job | ipc-spool put ./q", "format", "ipc-spool take --owner 1 -n ./q", None, None, None),
    "spool ack": ("echo job | ipc-spool put ./q; ipc-spool take --owner 1 ./q", "format", "ipc-spool ack ./q 1", SPOOL,
                  "done\n", "done\n"),
}


class Stepper:
    def __init__(self, tool, top, name):
        self.tool, self.top = tool, top
        self.setup, self.mark, command, self.check, self.before, self.after = VERBS[name]
        self.command = command.split()
        self.command[0] = os.path.join(BIN, self.command[0])
        self.template = os.path.join(top, "template")
        os.mkdir(self.template)
        self.owner = None
        if "--owner" in command or "--owner" in self.setup:
            self.owner = subprocess.Popen(["sleep", "100000"], cwd="/")
            self.setup = self.setup.replace("--owner 1", f"--owner {self.owner.pid}")
        sh(self.setup, self.template)
        if self.check is None:  # the owner ends: the job comes back, and is done once
            self.check = SPOOL
            self.before = self.after = "done\n"
        elif self.owner:
            self.owner.kill()
            self.owner.wait()

    def run(self, steps):
        """After STEPS instructions: how many it made, how it ended, and what the check says."""
        where = os.path.join(self.top, str(next(counter)))
        shutil.copytree(self.template, where)
        command, owner = self.command, None
        if "--owner" in command:
            owner = subprocess.Popen(["sleep", "1000"], cwd="/")
            command = [str(owner.pid) if word == "1" else word for word in command]
        p = subprocess.run([self.tool, self.mark, str(steps)] + command, cwd=where, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        n, how = p.stderr.decode().split()
        if owner:
            owner.kill()
            owner.wait()
        says = sh(self.check, where)
        shutil.rmtree(where, ignore_errors=True)
        return int(n), how, says


def step(tool, name, kills, pool):
    with tempfile.TemporaryDirectory(prefix="ipc-step.") as top:
        s = Stepper(tool, top, name)
        total, how, after = s.run(0)
        if how != "0" or after is None or s.after not in (None, after):
            print(f"{name}: not killed it ends with {how}, and then: {after!r}")
            return 1
        before = s.before if s.before is not None else s.run(1)[2]
        stride = (1 if name.startswith("ring") else 7) if kills == "all" else max(1, total // int(kills))
        at = range(1 + total % stride, total, stride)
        found = {"before": 0, "after": 0}
        bad = 0
        for n, (_, how, says) in zip(at, pool.map(s.run, at)):
            if says in (before, after):
                found["after" if says == after else "before"] += 1
            else:
                bad += 1
                print(f"{name}: killed after {n} of {total} instructions: {says!r}")
        print(f"{name}: {total} instructions, {len(at)} kills, {found['before']} as before, {found['after']} as after, "
              f"bad {bad}", flush=True)
        if s.owner:
            s.owner.kill()
            s.owner.wait()
        return bad


def main():
    os.environ["PATH"] = BIN + ":" + os.environ["PATH"]
    with tempfile.TemporaryDirectory(prefix="ipc-step.") as d, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        tool = os.path.join(d, "step")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", tool, os.path.join(HERE, "step.c")], check=True)
        chosen = sys.argv[2:] or list(VERBS)
        return 1 if sum([step(tool, name, sys.argv[1], pool) for name in chosen]) else 0


sys.exit(main())
