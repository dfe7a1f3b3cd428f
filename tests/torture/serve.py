#!/usr/bin/env -S python3 -B
"""tests/torture/serve.py [ROUNDS]: FIFOs, socket servers and descriptor stores while who uses them is shot at.

Participants are killed with SIGKILL, sent other signals, stopped and continued at random; what must hold:
  fifo     each acknowledged record comes out, once, but that a killed reader's last one may come again; none is torn
  sock     who ended with 0 has all of its answer; the server has no client, child or descriptor left at the end
  fdstore  what was stored is there until it is removed, through takeovers; the server has no descriptor too many
Prints rounds, shots and losses of each; status 1 when anything is lost. ROUNDS (default 40) bounds it all.
"""
import hashlib, os, random, signal, subprocess, sys

import fire as torture
from fire import FIRED, call, fire, home, pause, say, shots, start, stop_a_while, until

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
work = home()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid):
    return open(f"/proc/{pid}/task/{pid}/children").read().split()


def body(name, length):
    text = f"{name} " + "x" * length
    return text + " " + hashlib.md5(text.encode()).hexdigest()


def fifo():
    """Records of up to PIPE_BUF; the FIFO is held open, so that a dead reader takes none of them with it."""
    call("ipc-fifo", "create", "./f")
    held = os.open("f", os.O_RDWR)
    out = open("got", "ab")
    bad = shot = n = 0
    sent, tried, writers = set(), set(), {}

    def reader():
        return start("ipc-fifo", "read", "-f", "--until", "END", "./f", stdout=out)

    def settled(p):
        nonlocal bad
        if p.returncode == 0:
            sent.update(writers[p])
        elif p.returncode not in FIRED:
            print(f"a write ended with {p.returncode}")
            bad += 1
        del writers[p]

    read = reader()
    for i in range(ROUNDS):
        for p in [p for p in writers if p.poll() is not None]:
            settled(p)
        while len(writers) < 4:
            n += 1
            records = [body(f"{n}.{k}", random.choice((1, 50, 900, 3900))) for k in range(3)]
            tried.update(records)
            writers[start("ipc-fifo", "write", "-w", "60", "./f", *records, stderr=subprocess.DEVNULL)] = records
        pause(0.01)
        if random.random() < 0.7:
            fire(list(writers))
        else:
            shot += fire([read])
            pause(0.01)
            if read.poll() is not None:
                read = reader()
    for p in list(writers):
        p.wait(90)
        settled(p)
    bad += call("ipc-fifo", "write", "-w", "60", "./f", "END", limit=90).returncode != 0
    if read.wait(60) in FIRED:  # by a signal that came late
        bad += reader().wait(60) != 0
    else:
        bad += read.returncode != 0
    os.close(held)
    got = open("got").read().split("\n")[:-1]
    twice, torn = len(got) - len(set(got)), len(set(got) - tried)
    lost = len(sent - set(got))
    if lost or twice + torn > shot:
        print(f"fifo: {lost} lost, {twice} twice, {torn} torn")
    say("fifo", ROUNDS, bad + lost + (twice + torn > shot))


def sock(what, *words):
    """Clients of a server that answers all that they say."""
    server = start("ipc-sock", "serve", *words, stderr=subprocess.DEVNULL)
    bad = call("ipc-sock", "connect", "--retry", "10", "./s").returncode != 0
    bad += until("an idle server", lambda: not children(server.pid))
    before, clients, handlers = descriptors(server.pid), {}, 0
    for i in range(ROUNDS):
        while len(clients) < 6:
            said = open(f"said.{len(clients)}.{i}", "w+b")
            said.write(body(i, random.choice((0, 100, 70000))).encode() + b"\n")
            said.seek(0)
            answer = open(f"answer.{len(clients)}.{i}", "w+b")
            clients[start("ipc-sock", "connect", "-w", "60", "./s", stdin=said, stdout=answer,
                          stderr=subprocess.DEVNULL)] = said, answer
        pause(0.01)
        if random.random() < 0.7:
            fire(list(clients))
        elif random.random() < 0.5:
            stop_a_while(server)
        else:
            for pid in children(server.pid)[:1]:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                    handlers += 1
                    shots["kills"] += 1
                except OSError:
                    pass
        for p in [p for p in clients if i == ROUNDS - 1 or p.poll() is not None]:
            said, answer = clients.pop(p)
            status = p.wait(90)
            said.seek(0)
            answer.seek(0)
            if status == 0 and said.read() != answer.read():
                handlers -= 1  # the answer of a killed handler ends early, and is an end all the same
                bad += handlers < 0
            elif status not in {0, 69} | FIRED:
                print(f"{what}: a client ended with {status}")
                bad += 1
            for f in said, answer:
                os.unlink(f.name)
                f.close()
    bad += until(f"{what}: nothing left", lambda: not children(server.pid) and descriptors(server.pid) == before)
    server.terminate()
    bad += server.wait(30) != 0
    bad += os.path.exists("s")
    say(what, ROUNDS, bad)


def fdstore():
    server = start("ipc-fdstore", "serve", "./d", stderr=subprocess.DEVNULL)
    bad = call("ipc-fdstore", "ls", "--retry", "10", "./d").returncode != 0
    # What a successor has open of its own is what the first one has.
    empty, kept, unsure = descriptors(server.pid), {}, set()
    for i in range(ROUNDS):
        name = f"n{i}"
        with open(name, "w+") as f:
            f.write(name)
            f.seek(0)
            stores = [start("ipc-fdstore", "store", "-w", "60", "./d", f"{name}.{k}", "0", stdin=f,
                            stderr=subprocess.DEVNULL) for k in range(3)]
        if random.random() < 0.8:
            fire(stores)
        if random.random() < 0.2:
            stop_a_while(server)
        if i % 8 == 7:
            successor = start("ipc-fdstore", "serve", "--takeover", "./d", stderr=subprocess.DEVNULL)
            if random.random() < 0.5:
                stop_a_while(random.choice((server, successor)))
            bad += server.wait(60) != 0
            server = successor
        for k, p in enumerate(stores):
            status = p.wait(90)
            if status == 0:
                kept[f"{name}.{k}"] = name
            else:
                unsure.add(f"{name}.{k}")
                if status not in FIRED:
                    print(f"fdstore: a store ended with {status}")
                    bad += 1
        if kept:
            some = random.choice(list(kept))
            users = [start("ipc-fdstore", "retrieve", "-w", "60", "./d", some, "--", "test", "-e", "/proc/self/fd/3",
                           stderr=subprocess.DEVNULL) for _ in range(2)]
            fire(users)
            bad += sum(p.wait(90) not in {0} | FIRED for p in users)
        if len(kept) > 20:
            for some in random.sample(list(kept), 5):
                bad += call("ipc-fdstore", "rm", "./d", some).returncode != 0
                del kept[some]
    there = {line.split()[0] for line in call("ipc-fdstore", "ls", "./d").stdout.decode().splitlines()[1:]}
    lost, extra = set(kept) - there, there - set(kept) - unsure
    for name, content in kept.items():
        # The offset is one for all who have it: the first reader reads all.
        r = call("ipc-fdstore", "retrieve", "./d", name, "--", "sh", "-c", "cat /proc/self/fd/3")
        if r.returncode != 0 or r.stdout.decode() != content:
            print(f"fdstore: {name}: {r.returncode} {r.stdout} {r.stderr}")
            bad += 1
    bad += until("fdstore: no descriptor too many", lambda: descriptors(server.pid) <= empty + len(there))
    server.terminate()
    bad += server.wait(30) != 0
    if lost or extra:
        print(f"fdstore: lost {lost}, not removed {extra}")
    say("fdstore", ROUNDS, bad + len(lost) + len(extra))


fifo()
sock("sock serve --echo", "--echo", "./s")
sock("sock serve -- cat", "./s", "--", "cat")
fdstore()
subprocess.run(["rm", "-rf", work])
sys.exit(torture.losses != 0)
