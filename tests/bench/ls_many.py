#!/usr/bin/env python3
"""ls_many.py OBJECTS PROCESSES FILE: make that many IPC objects and processes that hold them, create FILE
when they are there, and take all away at the end of stdin. SysV semaphores, POSIX segments, locks, FIFOs,
sockets and eventfds in equal parts; each process has a share of those that have descriptors open."""
import ctypes
import fcntl
import mmap
import os
import signal
import socket
import sys

objects, processes, ready = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)
part = objects // 6
sems, shms, kids = [], [], []
share = part // processes + 1


def child(n):
    keep = []
    for i in range(n * share, min((n + 1) * share, part)):
        name = f"/dev/shm/ipcls-bench.{os.getppid()}.{i}"
        fd = os.open(name, os.O_RDWR)
        keep.append(mmap.mmap(fd, 4096))
        os.close(fd)
        f = open(f"lock.{i}", "w")
        fcntl.flock(f, fcntl.LOCK_EX)
        os.mkfifo(f"fifo.{i}")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.bind(f"sock.{i}")
        s.listen(1)
        keep += [f, os.open(f"fifo.{i}", os.O_RDWR), s, libc.eventfd(0, 0)]
    os.write(w, b"x")
    signal.pause()


try:
    for i in range(part):
        sems.append(libc.semget(0, 1, 0o1600))
        name = f"/dev/shm/ipcls-bench.{os.getpid()}.{i}"
        fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(fd, 4096)
        os.close(fd)
        shms.append(name)
    r, w = os.pipe()
    for n in range(processes):
        pid = os.fork()
        if pid == 0:
            os.close(r)
            os.close(0)
            child(n)
            os._exit(0)
        kids.append(pid)
    got = 0
    while got < processes:
        got += len(os.read(r, 4096))
    open(ready, "w").close()
    sys.stdin.read()
finally:
    for pid in kids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for name in shms:
        os.unlink(name)
    for s in sems:
        libc.semctl(s, 0, 0)
