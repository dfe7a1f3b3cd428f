#!/usr/bin/env -S python3 -B
"""tests/torture/state.py [ROUNDS]: locks, slots, barriers, events, message queues, shared counters under fire.

Participants are killed with SIGKILL, sent other signals, stopped and continued at random; the state must hold:
  lock     never two CMDs that live inside, also when the supervisor died; free at the end
  sem      never more than two inside; both slots back at the end
  barrier  who is left goes on or is told (76), nobody hangs; the next generation meets
  event    who waited before the set goes on; the state is what was set last
  mq       no message twice; lost at most one for each receiver that was shot at
  shm      a counter is what was acknowledged, and at most one more for each adder that was shot at
Prints rounds, shots and losses of each; status 1 when anything is lost. ROUNDS (default 40) bounds it all.
"""
import os, random, signal, subprocess, sys, time

import fire as torture
from fire import FIRED, call, fire, home, pause, say, shots, start

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
work = home()


def value(*words):
    return int(call(*words).stdout)


def children(pid):
    try:
        return [int(c) for c in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []


def settle(what, wanted, *words):
    """Wait until the words print WANTED; what was killed may take a moment to be gone."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        r = call(*words)
        if r.stdout.decode().strip() == wanted:
            return 0
        time.sleep(0.02)
    print(f"{what}: {' '.join(words)}: {r.stdout.decode().strip()}, not {wanted}: {r.stderr.decode()}")
    return 1


# Who is inside leaves a file with its pid as name. More than $1 of them alive is a loss.
INSIDE = """
>inside.$$
n=0
for f in inside.*; do
	kill -0 "${f#inside.}" 2>/dev/null && n=$((n + 1)) || rm -f "$f"
done
[ $n -le $1 ] || echo "$n inside" >>violations
exec 2>/dev/null
i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done
rm -f inside.$$
"""


def inside(what, most, *words):
    """Contend for WORDS, with CMDs and supervisors killed."""
    open("violations", "w").close()
    running = []
    for i in range(ROUNDS):
        running = [p for p in running if p.poll() is None]
        while len(running) < 6:
            running.append(start(*words, "--", "sh", "-c", INSIDE, "sh", str(most), stderr=subprocess.DEVNULL))
        pause()
        if random.random() < 0.5:
            fire(running)
        else:
            for child in children(random.choice(running).pid)[:1]:
                try:
                    os.kill(child, signal.SIGKILL)
                    shots["kills"] += 1
                except OSError:
                    pass
    for p in running:
        p.wait(60)
    bad = open("violations").read().count("\n")
    for f in os.listdir("."):
        if f.startswith("inside."):
            os.unlink(f)
    return bad


def lock():
    bad = inside("lock", 1, "ipc-lock", "run", "-w", "30", "./l")
    bad += call("ipc-lock", "run", "-w", "20", "./l", "--", "true").returncode != 0
    say("lock", ROUNDS, bad)


def sem():
    call("ipc-sem", "create", "--value", "2", "s")
    bad = inside("sem", 2, "ipc-sem", "run", "-w", "30", "s")
    bad += settle("sem", "2", "ipc-sem", "get", "s")
    say("sem", ROUNDS, bad)


def barrier():
    bad = 0
    for i in range(ROUNDS // 4):
        parties = [start("ipc-barrier", "wait", "-q", "-c", "3", "-w", "10", "b", stderr=subprocess.DEVNULL)
                   for _ in range(3)]
        pause()
        fire(parties)
        for p in parties:
            if p.wait(60) not in {0, 76, 124} | FIRED:
                bad += 1
        call("ipc-barrier", "rm", "b")
        parties = [start("ipc-barrier", "wait", "-c", "3", "-w", "20", "b") for _ in range(3)]
        bad += sum(p.wait(60) != 0 for p in parties)
    say("barrier", ROUNDS // 4, bad)


def event():
    bad = 0
    for i in range(ROUNDS // 4):
        call("ipc-event", "clear", "e")
        waiters = [start("ipc-event", "wait", "-w", "20", "e") for _ in range(4)]
        others = [start("ipc-event", random.choice(("pulse", "clear")), "e") for _ in range(3)]
        fire(others)
        fire(waiters)
        for p in others:
            p.wait(30)
        bad += call("ipc-event", "set", "e").returncode != 0
        bad += sum(p.wait(30) not in {0} | FIRED for p in waiters)
        bad += call("ipc-event", "wait", "-n", "e").returncode != 0
    say("event", ROUNDS // 4, bad)


def mq(queue, *create):
    kills, n, sent, running = 0, 0, set(), []
    if call("ipc-mq", "create", *create, queue).returncode != 0:
        return say("mq " + queue, 0, 1)
    try:
        out = open("got", "ab")
        for i in range(ROUNDS):
            running = [p for p in running if p.poll() is None]
            while len(running) < 2:
                running.append(start("ipc-mq", "recv", "-q", "-c", "20", "-w", "5", queue, stdout=out,
                                     stderr=subprocess.DEVNULL))
            for _ in range(5):
                n += 1
                if call("ipc-mq", "send", "-w", "20", queue, str(n)).returncode == 0:
                    sent.add(str(n))
            kills += fire(running)
        for p in running:
            p.wait(60)
        out.write(call("ipc-mq", "recv", "-q", "-a", queue).stdout)
        out.close()
        got = open("got").read().split()
        twice = len(got) - len(set(got))
        say("mq " + queue, ROUNDS, twice + max(0, len(sent - set(got)) - kills))
    finally:
        call("ipc-mq", "rm", queue)
        os.unlink("got")


def shm():
    call("ipc-shm", "create", "-S", "64", "./c")
    done = killed = 0
    for i in range(ROUNDS):
        adders = [start("ipc-shm", "add", "./c", "8", "1", stdout=subprocess.DEVNULL) for _ in range(6)]
        if random.random() < 0.7:
            fire(adders)
        ends = [p.wait(30) for p in adders]
        done += ends.count(0)
        killed += len(ends) - ends.count(0)
    now = value("ipc-shm", "get", "./c", "8")
    say("shm", ROUNDS, 0 if done <= now <= done + killed else 1)


lock()
sem()
barrier()
event()
mq(f"/ipcbox-torture-{os.getpid()}", "--depth", "8", "-S", "64")
mq(f"sysv:{0x61000000 + os.getpid()}")
shm()
subprocess.run(["rm", "-rf", work])
sys.exit(torture.losses != 0)
