#!/usr/bin/env python3
"""spool_powercut.py [N|all]: cut the power at every point of a recorded run of ipc-spool.

A script of puts, takes and results runs under strace(1). Its file operations become a list. What is on disk after a
power cut is, at each moment, all that an fsync(2), fdatasync(2) or syncfs(2) has covered, and any prefix of the
rest: fsync of a file covers its bytes, of a directory its entries, rename(2) is atomic. Each different state that
can come out is built as a directory again and given to ipc-spool (N of them, evenly chosen; default 60), as after a
reboot. It must be usable, hold each job whose id had been printed, whole, and give no id twice."""
import hashlib, os, re, shutil, subprocess, sys

LIMIT = sys.argv[1] if len(sys.argv) > 1 else '60'
ROOT = os.path.abspath('q')
SCRIPT = r'''
ipc-spool create --max-attempts 2 ./q
printf 'first\n' | ipc-spool put ./q
printf 'second\n' | ipc-spool put -p 7 ./q
seq -f 'group %g' 12 | ipc-spool put ./q
ipc-spool run -q -c 3 ./q -- sh -c 'cat >/dev/null'
printf 'late\n' | ipc-spool put --delay 1ms ./q
ipc-spool run -q -c 1 --backoff 0 ./q -- false
ipc-spool run -q -c 1 --backoff 0 ./q -- false
printf 'third\n' | ipc-spool put -p 8 ./q
seq -f 'unsynced %g' 3 | ipc-spool put --sync none -p 2 ./q
printf 'fourth\n' | ipc-spool put -p 2 ./q
ipc-spool run -q --sync full -c 2 ./q -- sh -c 'cat >/dev/null'
printf 'fifth\n' | ipc-spool put ./q
'''
CALLS = ('openat,mkdirat,renameat,renameat2,linkat,unlinkat,write,pwrite64,ftruncate,fsync,fdatasync,'
         'syncfs,copy_file_range,sendfile,splice')

# ---- the recording ----


def record():
    subprocess.run(['strace', '-f', '-qq', '-y', '-xx', '-s', '65536', '-e', 'trace=' + CALLS, '-e', 'signal=none',
                    '-o', 'trace', 'sh', '-c', SCRIPT], stdout=subprocess.DEVNULL)
    unfinished = {}
    for line in open('trace'):
        pid, line = line.rstrip('\n').split(None, 1)
        if line.endswith('<unfinished ...>'):
            unfinished[pid] = line[:-len('<unfinished ...>')].rstrip()
            continue
        resumed = re.match(r'<\.\.\. \w+ resumed>(.*)', line)
        if resumed:
            line = unfinished.pop(pid) + resumed.group(1)
        call = re.match(r'(\w+)\((.*)\)\s+= (-?\d+)(<[^>]*>)?', line)
        if call and int(call.group(3)) >= 0:
            yield call.group(1), call.group(2), int(call.group(3))


def text(hexed):
    return bytes.fromhex(hexed.replace('\\x', ''))


STRING = r'"((?:\\x[0-9a-f]{2})*)"'
FD = r'(?:AT_FDCWD|\d+)<([^>]*)>(?:\(deleted\))?'


def unhex(path):
    return text(path).decode() if path.startswith('\\x') else path


class Volume:
    """What the kernel sees: names to inodes. Inode 1 is the directory above the spool."""

    def __init__(self):
        self.dirs, self.files, self.next = {1: {}}, {}, 2

    def find(self, path):
        if path == os.path.dirname(ROOT):
            return 1
        if not (path + '/').startswith(ROOT + '/'):
            return None
        ino = 1
        for part in os.path.relpath(path, os.path.dirname(ROOT)).split('/'):
            ino = self.dirs.get(ino, {}).get(part)
            if ino is None:
                return None
        return ino

    def apply(self, op):
        kind = op[0]
        if kind == 'entry':
            for parent, name, ino, is_dir in op[1]:
                entries = self.dirs.get(parent)
                if entries is None:
                    continue
                if ino is None:
                    entries.pop(name, None)
                else:
                    entries[name] = ino
                    if is_dir:
                        self.dirs.setdefault(ino, {})
                    else:
                        self.files.setdefault(ino, b'')
        elif kind == 'data':
            _, ino, off, data = op
            old = self.files.get(ino, b'')
            self.files[ino] = old[:off].ljust(off, b'\0') + data + old[off + len(data):]
        elif kind == 'cut':
            self.files[op[1]] = self.files.get(op[1], b'')[:op[2]]

    def tree(self, ino=None, path=''):
        if ino is None:
            ino = self.dirs[1].get('q')
            if ino is None:
                return
        for name, child in sorted(self.dirs.get(ino, {}).items()):
            at = path + name
            if child in self.dirs:
                yield at + '/', None
                yield from self.tree(child, at + '/')
            else:
                yield at, self.files.get(child, b'')


def operations():
    """('entry', changes), ('data', ...), ('cut', ...), ('sync', inode or None), ('printed', id) in order."""
    now, ops = Volume(), []

    def do(op):
        now.apply(op)
        ops.append(op)

    for name, args, result in record():
        if name in ('openat', 'mkdirat'):
            m = re.match(FD + ', ' + STRING, args)
            if not m or (name == 'openat' and 'O_CREAT' not in args):
                continue
            base, rel = unhex(m.group(1)), text(m.group(2)).decode()
            path = os.path.normpath(os.path.join(base, rel))
            parent = now.find(os.path.dirname(path))
            if parent is None or now.find(path) is not None:
                continue
            do(('entry', [(parent, os.path.basename(path), now.next, name == 'mkdirat')]))
            now.next += 1
        elif name in ('renameat', 'renameat2', 'linkat'):
            m = re.match(FD + ', ' + STRING + ', ' + FD + ', ' + STRING, args)
            assert m, args
            old = os.path.join(unhex(m.group(1)), text(m.group(2)).decode())
            new = os.path.join(unhex(m.group(3)), text(m.group(4)).decode())
            ino = now.find(old)
            if ino is None:
                continue
            changes = [(now.find(os.path.dirname(new)), os.path.basename(new), ino, False)]
            if name != 'linkat':
                changes.append((now.find(os.path.dirname(old)), os.path.basename(old), None, False))
            do(('entry', changes))
        elif name == 'unlinkat':
            m = re.match(FD + ', ' + STRING, args)
            path = os.path.join(unhex(m.group(1)), text(m.group(2)).decode())
            if now.find(path) is not None:
                do(('entry', [(now.find(os.path.dirname(path)), os.path.basename(path), None, False)]))
        elif name in ('write', 'pwrite64'):
            m = re.match(r'(\d+)<([^>]*)>(?:\(deleted\))?, ' + STRING, args)
            path, data = unhex(m.group(2)), text(m.group(3))[:result]
            ino = now.find(path)
            if ino in now.files:
                off = int(args.rsplit(', ', 1)[1]) if name == 'pwrite64' else len(now.files[ino])
                do(('data', ino, off, data))
            elif m.group(1) == '1' and re.fullmatch(rb'(\d{12}\n)+', data):
                ops.extend(('printed', i.decode()) for i in data.split())
        elif name == 'ftruncate':
            m = re.match(r'\d+<([^>]*)>(?:\(deleted\))?, (\d+)', args)
            ino = now.find(unhex(m.group(1)))
            if ino in now.files:
                do(('cut', ino, int(m.group(2))))
        elif name in ('fsync', 'fdatasync', 'syncfs'):
            ino = now.find(unhex(re.match(r'\d+<([^>]*)>', args).group(1)))
            if ino is not None:
                ops.append(('sync', None if name == 'syncfs' else ino))
        else:
            raise SystemExit('a call that is not modelled: ' + name)
    return ops


# ---- what may be left ----


def states(ops):
    """Every tree that a power cut can leave, with the ids that had been printed by then."""
    changes, durable, printed, seen = [], set(), [], {}
    for op in ops:
        if op[0] == 'printed':
            printed.append(op[1])
            continue
        if op[0] == 'sync':
            for i, change in enumerate(changes):
                touched = {c[0] for c in change[1]} if change[0] == 'entry' else {change[1]}
                if op[1] is None or op[1] in touched:
                    durable.add(i)
        else:
            changes.append(op)
        pending = [i for i in range(len(changes)) if i not in durable]
        for k in range(len(pending) + 1):
            kept = durable | set(pending[:k])
            disk = Volume()
            for i in sorted(kept):
                disk.apply(changes[i])
            if op[0] == 'sync' or k == len(pending) or len(pending) - k < 40:
                tree = list(disk.tree())
                key = hashlib.sha1(repr((tree, printed)).encode()).digest()
                if key not in seen:
                    seen[key] = True
                    yield tree, list(printed)


JOB = re.compile(r'(?:new/\d|cur|delayed|done|dead)/(?:.*/)?(\d{12})\.\d\.\d+(?:\.[ts]\d+)?(\.cut)?$')


def check_tree(tree, printed, contents):
    """The promises, on the bare tree."""
    where = {}
    for path, data in tree:
        m = JOB.fullmatch(path)
        if m:
            where.setdefault(m.group(1), []).append((path, data))
    for ident, places in where.items():
        assert len(places) == 1, 'job %s is there twice: %s' % (ident, places)
    for ident in printed:
        assert ident in where, 'job %s was printed and is lost' % ident
        path, data = where[ident][0]
        # A result has given its data up; the others must have theirs, unless put with --sync none.
        if not path.startswith('done/') and not contents[ident].startswith(b'unsynced'):
            assert data == contents[ident], 'job %s has %r' % (ident, data)


def check_tool(tree, printed, given, contents):
    """The promises, through the tool, as after a reboot."""
    shutil.rmtree('cut', ignore_errors=True)
    os.mkdir('cut')
    for path, data in tree:
        if data is None:
            os.mkdir('cut/' + path)
            continue
        if path == 'seq':
            data = re.sub(rb'boot .{36}', b'boot 00000000-0000-0000-0000-000000000000', data)
        with open('cut/' + path, 'wb') as f:
            f.write(data)
    if printed:
        assert any(path == 'format' for path, _ in tree), 'printed, but no spool is there'

    def tool(*args, **kw):
        return subprocess.run(['ipc-spool', *args], capture_output=True, text=True, check=True, **kw).stdout
    listed = {line.split()[0] for line in tool('put', '-q', '--sync', 'none', './cut', '/dev/null').splitlines()}
    assert not listed & set(given), 'an id was given twice: %s' % listed
    tool('ls', '-a', './cut')
    tool('run', '-q', './cut', '--', 'sh', '-c', 'printf "%s %s\\n" $IPC_MSG_ID "$(cat)" >>ran')
    left = tool('stat', './cut')
    assert re.search(r'^ready +0$', left, re.M) and re.search(r'^delayed +0$', left, re.M), left
    ran = open('ran').read().splitlines() if os.path.exists('ran') else []
    for ident in printed:
        on_tree = [p for p, _ in tree if JOB.fullmatch(p) and ident in p]
        if re.match(r'cur/.*\.2$', on_tree[0]):  # the power went in its last attempt
            assert re.search(ident + ' dead', tool('ls', './cut')), 'job %s is neither done nor dead' % ident
        elif on_tree[0].startswith(('new/', 'cur/', 'delayed/')):
            assert '%s %s' % (ident, contents[ident].decode()) in ran, 'job %s did not run whole' % ident
    if os.path.exists('ran'):
        os.unlink('ran')


def main():
    ops = operations()
    names = [op[1] for op in ops if op[0] == 'printed']
    said = (['first', 'second'] + ['group %d' % i for i in range(1, 13)] + ['late', 'third'] +
            ['unsynced %d' % i for i in range(1, 4)] + ['fourth', 'fifth'])
    assert len(names) == len(said) and names == sorted(names), names
    contents = dict(zip(names, (s.encode() for s in said)))
    all_states = []
    for tree, printed in states(ops):
        durable = [i for i in printed if not contents[i].startswith(b'unsynced')]
        check_tree(tree, durable, contents)
        all_states.append((tree, durable, printed))
    n = len(all_states)
    limit = n if LIMIT == 'all' else min(n, int(LIMIT))
    for i in range(limit):
        check_tool(*all_states[i * n // limit], contents)
    print('%d operations, %d states after a power cut, %d of them given to ipc-spool' % (len(ops), n, limit))


main()
