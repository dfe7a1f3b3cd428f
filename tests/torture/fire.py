"""tests/torture/fire.py: what the torture scripts share: processes started, killed, stopped, continued, signalled."""
import os, random, signal, subprocess, tempfile, time

# A seed makes the choices the same again; not the machine's timing.
SEED = os.environ.get("SEED") or str(random.randrange(1 << 30))
random.seed(SEED)
SOFT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
# How one ends that was fired at: killed, by a signal's default action, or after having cleaned up.
FIRED = {-signal.SIGKILL} | {-s for s in SOFT} | {128 + s for s in SOFT}
shots = {"kills": 0, "stops": 0, "signals": 0}
losses = 0


def home():
    """Work in a directory of our own."""
    work = tempfile.mkdtemp(prefix="ipc-torture.")
    os.chdir(work)
    os.environ["IPC_DIR"] = work + "/ipc"
    return work


def start(*words, **more):
    return subprocess.Popen(words, **{"stdin": subprocess.DEVNULL, **more})


def call(*words, limit=30, **more):
    return subprocess.run(words, **{"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": limit, **more})


def pause(longest=0.03):
    time.sleep(random.random() * longest)


def stop_a_while(p, longest=0.03):
    p.send_signal(signal.SIGSTOP)
    pause(longest)
    p.send_signal(signal.SIGCONT)
    shots["stops"] += 1


def fire(processes):
    """Kill one of them, or send it another signal, or stop it and let it go on. How many were shot at."""
    p, how = random.choice(processes), random.random()
    try:
        if how < 0.3:
            stop_a_while(p)
            return 0
        soft = how < 0.5
        p.send_signal(random.choice(SOFT) if soft else signal.SIGKILL)
        shots["signals" if soft else "kills"] += 1
        return 1
    except ProcessLookupError:
        return 0


def say(what, rounds, lost):
    """What a play has come to, with the shots since the last one."""
    global losses
    losses += lost
    print(f"{what}: {rounds} rounds, {shots['kills']} kills, {shots['signals']} other signals, "
          f"{shots['stops']} stops, {lost} losses", flush=True)
    shots.update(kills=0, stops=0, signals=0)


def until(what, condition, limit=20):
    """Wait until CONDITION holds; what was killed may take a moment to be gone. 0, or 1 with a message."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return 0
        time.sleep(0.02)
    print(f"{what}: does not come true")
    return 1
