#!/usr/bin/env -S python3 -B
"""tests/torture/ring.py KILLS [SEED]: writers and readers of one ring, killed with SIGKILL at random moments, and
between that stopped and continued, or asked to end by TERM, INT or HUP (which loses nothing).

Each put of one record by one process is acknowledged by its exit status 0. What must hold: every
acknowledged record is got exactly once, except those that a killed reader had taken (readers take one at
a time here, so at most one for each kill of a reader); none is torn; none comes twice; an unacknowledged
one comes once or never. The survivors go on throughout.
"""
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading

from fire import FIRED

KILLS = int(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
random.seed(SEED)
home = tempfile.mkdtemp()
ring = os.path.join(home, "ring")
subprocess.run(["ipc-ring", "create", "-S", "2048", ring], check=True)


def record(writer, n):
    body = f"{writer} {n} " + "x" * (n * 37 % 190)
    return body + " " + hashlib.md5(body.encode()).hexdigest()


acknowledged, attempted, got = set(), set(), []
lock = threading.Lock()
alive = set()
done = threading.Event()
kills = {"put": 0, "get": 0}


def run(cmd, kind, **kw):
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **kw)
    with lock:
        alive.add((p, kind))
    out = p.communicate()[0]
    with lock:
        alive.discard((p, kind))
    return p.returncode, out


def writer(w):
    n = 0
    while not done.is_set():
        n += 1
        with lock:
            attempted.add((w, n))
        status, _ = run(["ipc-ring", "put", "-w", "30", ring, record(w, n)], "put")
        if status == 0:
            with lock:
                acknowledged.add((w, n))
        elif status not in FIRED:
            print(f"a put ended with {status}")
            os._exit(1)


def reader(follow):
    while True:
        cmd = ["ipc-ring", "get", "-w", "30", "--batch", "1"] + (["-f"] if follow else []) + [ring]
        status, out = run(cmd, "get")
        with lock:
            got.extend(out.decode().split("\n")[:-1])
            if out and not out.endswith(b"\n"):
                print("half a record was printed")
                os._exit(1)
        if (status == 0 and follow) or status == 69:
            return
        if status not in {0} | FIRED:
            print(f"a get ended with {status}")
            os._exit(1)


writers = [threading.Thread(target=writer, args=(w,)) for w in range(3)]
readers = [threading.Thread(target=reader, args=(r == 0,)) for r in range(3)]
for t in writers + readers:
    t.start()
pause, others = threading.Event(), 0
while sum(kills.values()) < KILLS:
    pause.wait(random.uniform(0, 0.004))
    with lock:
        if alive:
            p, kind = random.choice(list(alive))
            how = random.random()
            if p.poll() is not None:
                continue
            if how < 0.1:
                p.send_signal(signal.SIGSTOP)
                pause.wait(random.uniform(0, 0.01))
                p.send_signal(signal.SIGCONT)
                others += 1
            elif how < 0.25:
                p.send_signal(random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
                others += 1
            else:
                p.send_signal(signal.SIGKILL)
                kills[kind] += 1
done.set()
for t in writers:
    t.join()
subprocess.run(["ipc-ring", "close", ring], check=True)
for t in readers:
    t.join()

torn = twice = 0
seen = set()
for line in got:
    w, n = (line.split(" ") + ["", ""])[:2]
    if not n.isdigit() or line != record(int(w), int(n)) or (int(w), int(n)) not in attempted:
        torn += 1
        continue
    twice += (int(w), int(n)) in seen
    seen.add((int(w), int(n)))
missing = len(acknowledged - seen)
lost = max(0, missing - kills["get"])
repairs = subprocess.run(["ipc-ring", "stat", ring], capture_output=True, text=True).stdout.split("dead holders ")[1]
print(f"seed {SEED}: {sum(kills.values())} kills ({kills['put']} of writers, {kills['get']} of readers), {others} stops and signals, "
      f"{len(acknowledged)} acknowledged, {len(seen)} got, {missing} gone with a killed reader, "
      f"{repairs.strip()} killed in the lock: lost {lost}, torn {torn}, twice {twice}")
subprocess.run(["ipc-ring", "rm", ring])
os.rmdir(home)
sys.exit(1 if lost or torn or twice else 0)
