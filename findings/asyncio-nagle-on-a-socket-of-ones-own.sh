#!/bin/sh
# What a good engineer would guess: asyncio turns Nagle's algorithm off for every TCP connection (so its documentation says),
#   and a server answers as fast whether it binds its port itself or is given a socket that somebody bound and listens on.
# What happens: asyncio sets TCP_NODELAY only on sockets whose `proto` is IPPROTO_TCP. Those of `socket.create_server()` and
#   `socket.socket(AF_INET, SOCK_STREAM)` have 0, which is TCP all the same, and what they accept inherits it. uvicorn writes
#   the head and the body of an answer apart, so on a connection that is kept the body waits for the client's delayed ACK:
#   each request takes 40 ms and more over loopback. With `proto=IPPROTO_TCP` the same server answers in less than one.
# So a gateway that binds first (to know its port, to drop rights, for systemd's sockets, in a test) is forty times slower.
# Seen with: uvicorn 0.54.0, h11 0.16.0, Python 3.11.7, Linux 6.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0
cat >"$folder/seen.py" <<'PYTHON'
import http.client
import platform
import socket
import statistics
import sys
import threading
import time

import uvicorn

REQUESTS = 20
SLOW_MS = 20


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def listener(proto):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, proto)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def median_ms(proto):
    sock = listener(proto)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", loop="asyncio", lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    connection = http.client.HTTPConnection(*sock.getsockname())
    took = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
        took.append((time.perf_counter() - began) * 1000)
    connection.close()
    server.should_exit = True
    thread.join(10)
    return statistics.median(took)


unnamed, named = median_ms(0), median_ms(socket.IPPROTO_TCP)
print(f"Python {platform.python_version()}, uvicorn {uvicorn.__version__}")
print(f"socket(AF_INET, SOCK_STREAM):              {unnamed:6.1f} ms a request")
print(f"socket(AF_INET, SOCK_STREAM, IPPROTO_TCP): {named:6.1f} ms a request")
if not (unnamed > SLOW_MS > named):
    sys.exit("asyncio or uvicorn has changed")
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
