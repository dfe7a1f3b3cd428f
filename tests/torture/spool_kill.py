#!/usr/bin/env python3
"""spool_kill.py COUNT [SEED]: put COUNT jobs and run them while putters, runners and workers are killed
with SIGKILL at random, or stopped for a moment. Works in the current directory with ipc-spool on PATH.

Holds: every job whose id was printed is done at least once; ids are unique; at most one extra attempt per
kill; at the end nothing is leased, abandoned or left over in tmp/ but drafts of killed putters."""
import collections, os, random, signal, subprocess, sys, time

count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else os.getpid()
random.seed(seed)
spool = './kill.spool'
cmd = ['sh', '-c', 'read -r data; echo "$IPC_MSG_ID start" >>log; echo "$IPC_MSG_ID end $data" >>log']
ids, log = open('ids', 'a'), open('log', 'a')
subprocess.run(['ipc-spool', 'create', '--max-attempts', '0', '--keep', '1000000', spool], check=True)


def putter(first, last):
    # Full durability now and then; it is slow where other things write.
    sync = random.choice(['full', 'none', 'none', 'none', 'data'])
    p = subprocess.Popen(['ipc-spool', 'put', '--sync', sync, '-p', str(random.randint(3, 6)), spool],
                         stdin=subprocess.PIPE, stdout=ids)
    p.stdin.write(b''.join(b'job %d\n' % i for i in range(first, last)))
    p.stdin.close()
    return p


def runner():
    return subprocess.Popen(['ipc-spool', 'run', '-q', '-f', '-j', '2', '--backoff', '1ms', spool, '--'] + cmd)


def kill_worker(pid):
    try:
        children = open('/proc/%d/task/%d/children' % (pid, pid)).read().split()
        if children:
            os.kill(int(random.choice(children)), 9)
            return 1
    except OSError:
        pass
    return 0


given, kills, put_kills, stops, putters, runners = 0, 0, 0, 0, [], [runner(), runner()]
while given < count or putters:
    if given < count and len(putters) < 3:
        n = min(random.randint(1, 40), count - given)
        putters.append(putter(given, given + n))
        given += n
    time.sleep(random.random() * 0.004)
    what = random.random()
    if what < 0.06 and putters:
        p = random.choice(putters)
        if p.poll() is None:
            p.kill()
            put_kills += 1
    elif what < 0.2:
        i = random.randrange(2)
        runners[i].kill()
        runners[i].wait()
        runners[i] = runner()
        kills += 2  # it had up to two jobs
    elif what < 0.3:
        kills += kill_worker(runners[random.randrange(2)].pid)
    elif what < 0.4:
        p = random.choice(putters + runners)
        if p.poll() is None:
            p.send_signal(signal.SIGSTOP)
            time.sleep(random.random() * 0.01)
            p.send_signal(signal.SIGCONT)
            stops += 1
    for p in putters:
        if p.poll() not in (None, 0, -9):
            sys.exit('put ended with %d (seed %d)' % (p.returncode, seed))
    putters = [p for p in putters if p.poll() is None]

end = time.time() + 120
while True:
    text = subprocess.run(['ipc-spool', 'stat', spool], capture_output=True, text=True, check=True).stdout
    stat = dict(line.split()[:2] for line in text.splitlines())
    if all(stat[k] == '0' for k in ('ready', 'leased', 'abandoned', 'delayed')):
        break
    if time.time() > end:
        sys.exit('jobs are stuck (seed %d):\n%s' % (seed, text))
    time.sleep(0.02)
for r in runners:
    r.terminate()
    r.wait()

printed = open('ids').read().split()
starts, ends = collections.Counter(), collections.Counter()
for line in open('log'):
    words = line.split()
    (starts if words[1] == 'start' else ends)[words[0]] += 1
missing = [i for i in printed if ends[i] == 0]
extra = sum(n - 1 for n in starts.values())
print('%d jobs printed, %d done, %d extra attempts, %d kills of runners\' jobs and workers, %d of putters, %d stops, seed %d'
      % (len(printed), len(ends), extra, kills, put_kills, stops, seed))
assert not missing, 'lost: %s' % missing
assert len(printed) == len(set(printed)), 'an id was given twice'
assert extra <= kills, '%d extra attempts after %d kills' % (extra, kills)
assert int(stat['done']) == len(ends) and stat['dead'] == '0', text
