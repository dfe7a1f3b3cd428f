#!/bin/sh
# tests/torture/door.sh [COUNT]: COUNT calls (default 100000) through one door, some of them killed, timed out,
# half-sent or stuffed with descriptors on the way; then the server has the descriptors that it began with. Minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${IPCBOX_BUILD:-$here/../../build}
PATH=$(cd "$build/bin" && pwd):$PATH
dir=$(mktemp -d)
cd "$dir"
ipc-door serve -j 8 --grace 0.2 --pidfile pid ./d -- sh -c 'exit "$1"' sh &
server=$!
trap 'kill "$server" 2>/dev/null || :; rm -rf "$dir"' EXIT
ipc-door call --retry 10 ./d 0
python3 - "$server" "${1:-100000}" <<'END'
import array, os, random, signal, socket, struct, subprocess, sys, time
server, count = sys.argv[1], int(sys.argv[2])
def request(arg):
    body = struct.pack('III3i', 1, 0, 3, 0, 1, 2) + arg + b'\0\0'
    return struct.pack('4sHHII', b'DOOR', 1, 1, 0, len(body)) + body
def fds():
    return sorted(os.listdir(f'/proc/{server}/fd'))
def send(data, n=3):
    s = socket.socket(socket.AF_UNIX)
    s.connect('./d')
    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1, 2] + [0] * (n - 3)))])
    return s
before, bad = fds(), 0
for i in range(count):
    how = random.random()
    if how < 0.01:
        p = subprocess.Popen(['ipc-door', 'call', '-w', '%f' % random.uniform(0, 0.003), './d', '0'],
            stderr=subprocess.DEVNULL)
        if how < 0.005: p.kill()
        p.wait()
    elif how < 0.05: send(request(b'0')[:random.randrange(1, 40)]).close()
    elif how < 0.10: send(request(b'0')).close()
    elif how < 0.12: send(request(b'0'), random.randrange(4, 253)).close()
    else:
        s, want = send(request(b'%d' % (i % 60))), i % 60
        head = s.recv(16)
        bad += head != struct.pack('4sHHII', b'DOOR', 1, 4, want, 0)
        s.close()
end = time.monotonic() + 60
while fds() != before and time.monotonic() < end: time.sleep(0.01)
print(f'{count} calls, {bad} wrong answers, descriptors {len(before)} before, {len(fds())} after')
sys.exit(bad != 0 or fds() != before)
END
