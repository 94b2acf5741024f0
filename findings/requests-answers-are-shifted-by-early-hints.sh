#!/bin/sh
# What a good engineer would guess: a server may send an interim response (103 Early Hints) before the real one. A client that
#   knows nothing of hints reads past it; at worst it is an error, and only that one request is lost.
# What happens: Python's http.client reads past 100 alone (`HTTPResponse.begin`), so to requests and urllib3 the 103 is the
#   answer: `ok` is true, raise_for_status() says nothing, the body is empty. As a 1xx has no body the connection goes back into
#   the pool, and unless the real answer has come by then (a server sends hints since that takes a while) the next request gets
#   it: status 200, complete, and another request's. A client that acts on it has acted on the wrong order; nothing is raised.
#   httpx and aiohttp give every request its own answer.
# Seen with: requests 2.34.2, urllib3 2.8.0, httpx 0.28.1, aiohttp 3.14.5, Python 3.11.7, 3.12.1 and 3.13.0. That the 103 is taken for
#   the answer is known (python/cpython, issue 42550); what the next request gets is not said there.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check requests==2.34.2 urllib3==2.8.0 httpx==0.28.1 aiohttp==3.14.5
cat >"$folder/seen.py" <<'PYTHON'
import asyncio
import socket
import sys
import threading

import aiohttp
import httpx
import requests

ORDERS = ("/cancel/1", "/cancel/2")
OWN = [(200, order) for order in ORDERS]
EXPECTED = {
    "requests": [(103, ""), (200, "/cancel/1")],
    "httpx": OWN,
    "aiohttp": OWN,
}


class Server:
    """Sends hints at once, and two seconds later, or when more is asked, the answer: the path that was asked for."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.served, args=(self.listener.accept()[0],), daemon=True).start()

    def served(self, connection):
        try:
            self.serve(connection)
        except ConnectionError:
            pass  # the client went without the last answer

    def serve(self, connection):
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                more = connection.recv(65536)
                if not more:
                    return
                received += more
            head, _, received = received.partition(b"\r\n\r\n")
            path = head.split()[1]
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            connection.settimeout(2)
            try:
                received += connection.recv(65536)
            except TimeoutError:
                pass
            connection.settimeout(None)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))


def with_requests(url):
    with requests.Session() as session:
        answers = [session.post(url + order, timeout=10) for order in ORDERS]
    assert all(answer.ok for answer in answers)
    return [(answer.status_code, answer.text) for answer in answers]


def with_httpx(url):
    with httpx.Client(timeout=10) as client:
        answers = [client.post(url + order) for order in ORDERS]
    return [(answer.status_code, answer.text) for answer in answers]


def with_aiohttp(url):
    async def asked():
        async with aiohttp.ClientSession() as session:
            answers = []
            for order in ORDERS:
                async with session.post(url + order) as answer:
                    answers.append((answer.status, await answer.text()))
            return answers

    return asyncio.run(asked())


clients = {"requests": with_requests, "httpx": with_httpx, "aiohttp": with_aiohttp}
seen = {name: ask(Server().url) for name, ask in clients.items()}
for name, answers in seen.items():
    for order, (status, text) in zip(ORDERS, answers):
        print(f"{name:8}  POST {order}  {status}  {text or '(nothing)'}")
sys.exit(seen != EXPECTED)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
