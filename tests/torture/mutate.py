#!/usr/bin/env python3
"""mutate.py [SECONDS [SEED]]: verbs run on rings, events and barriers while another process changes
random bytes of their files, and puts most of them back a moment later.

No verb may die of a signal, report a sanitizer's finding (99), give a status that no page names, or
go on for more than SLACK seconds after its -w. The applets are those on PATH."""
import mmap, os, random, subprocess, sys, tempfile, time

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
SLACK = 30  # a lock that stays taken is waited for 10 s; the machine may be busy
OBJECTS = {
    "ring": ("ipc-ring", "create", "-S", "512"),
    "event": ("ipc-event", "clear"),
    "barrier": ("ipc-barrier", "wait", "-n", "-q", "-c", "3"),
}
VERBS = [
    "ipc-ring put -w .2 ring a bb ccc",
    "ipc-ring put --full drop-oldest ring dddd ee",
    "ipc-ring get -w .2 ring",
    "ipc-ring get -w .2 -c 9 --batch 2 ring",
    "ipc-ring get -w .2 ring -- true",
    "ipc-ring stat -J ring",
    "ipc-event set event",
    "ipc-event clear event",
    "ipc-event pulse event",
    "ipc-event wait -w .2 event",
    "ipc-event wait -w .2 --since 3 event",
    "ipc-event wait -w .2 event -- false",
    "ipc-event stat -J event",
    "ipc-event stat -o kind event",
    "ipc-barrier wait -c 3 -w .2 barrier",
    "ipc-barrier wait -c 3 -w .2 barrier -- true",
    "ipc-barrier break barrier",
    "ipc-barrier stat -J barrier",
]
ALLOWED = {0, 1, 64, 65, 66, 69, 71, 73, 75, 76, 124}


def mutate(seed):
    """In a process of its own, until it is killed."""
    rng = random.Random(seed)
    while True:
        path = "./" + rng.choice(list(OBJECTS))
        try:
            with open(path, "r+b") as f:
                m = mmap.mmap(f.fileno(), 0)
        except (OSError, ValueError):
            continue
        for _ in range(rng.randrange(1, 50)):
            # What comes first rules the rest.
            top = rng.choice((128, 128, 1024, len(m)))
            n = rng.choice((1, 2, 4, 4, 8))
            at = rng.randrange(16, min(top, len(m)) - 8) // n * n
            was = m[at : at + n]
            m[at : at + n] = rng.choice((rng.randbytes(n), b"\0" * n, b"\xff" * n))
            time.sleep(rng.random() ** 2 * 0.05)
            if rng.random() < 0.95:
                m[at : at + n] = was
        m.close()


def create():
    for name, verb in OBJECTS.items():
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
        subprocess.run([*verb, "./" + name], stderr=subprocess.DEVNULL)


def start(rng):
    words = rng.choice(VERBS).split()
    words = ["./" + w if w in OBJECTS else w for w in words]
    p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    return p, words, time.monotonic()


def main():
    rng = random.Random(SEED)
    os.chdir(tempfile.mkdtemp(dir=os.environ.get("BATS_TEST_TMPDIR")))
    create()
    mutators = []
    for i in range(2):
        pid = os.fork()
        if pid == 0:
            mutate(SEED + i)
        mutators.append(pid)
    end, fresh, running, runs, bad = time.monotonic() + SECONDS, 0, [], 0, []
    counts = {}
    while running or time.monotonic() < end:
        now = time.monotonic()
        if now >= fresh and now < end:
            create()
            fresh = now + 0.5
        while now < end and len(running) < 16:
            running.append(start(rng))
        for r in list(running):
            p, words, since = r
            if p.poll() is None and now - since <= SLACK:
                continue
            running.remove(r)
            if p.returncode is None:
                p.kill()
                p.wait()
                bad.append("hangs: " + " ".join(words))
                continue
            runs += 1
            counts[p.returncode] = counts.get(p.returncode, 0) + 1
            if p.returncode not in ALLOWED:
                bad.append("status %d: %s" % (p.returncode, " ".join(words)))
        time.sleep(0.002)
    for pid in mutators:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print("mutate: seed %d, %d runs, statuses %s, bad %d" % (SEED, runs, counts, len(bad)))
    print("\n".join(bad[:20]))
    return 1 if bad else 0


sys.exit(main())
