#!/bin/sh
# tests/torture/spool.sh [COUNT]: ipc-spool under fire. COUNT jobs (default 10000) while putters, runners
# and workers are killed at random, then every power cut of a recorded run. Some minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${IPCBOX_BUILD:-$here/../../build}
PATH=$(cd "$build/bin" && pwd):$PATH
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 "$here/spool_kill.py" "${1:-10000}"
python3 "$here/spool_powercut.py" all
