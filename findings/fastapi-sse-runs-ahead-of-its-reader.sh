#!/bin/sh
# What a good engineer would guess: a path function that yields goes on behind its `yield` when that item was handed to the
#   server, as with StreamingResponse and with FastAPI's own JSON Lines. So "yield the message, then acknowledge it" loses
#   nothing: what follows the yield runs only for what was sent. And a reader who goes away is no error.
# What happens: with response_class=EventSourceResponse (fastapi.sse) a task of its own draws items from the generator into two
#   streams that hold one each, for the sake of keep-alive. With the first event still in `send`, the generator is four events
#   ahead: they were yielded, whatever follows was done, and a reader who goes never gets them. When he does go while one is
#   waiting, the dependencies with `yield` see an ExceptionGroup (a transaction is rolled back, the server logs an exception
#   in the application); with JSON Lines they end as after any response. An async or a plain generator is the same.
# Seen with: fastapi 0.165.0 (`_sse_producer_cm` in routing.py), starlette 1.10.0, anyio 4.16.0, Python 3.11; the log with
#   uvicorn 0.54.0.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastapi==0.165.0 starlette==1.10.0 anyio==4.16.0
cat >"$folder/seen.py" <<'PYTHON'
import asyncio
import sys
from collections.abc import AsyncIterable, Iterable
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse

EXPECTED = {
    "/sse": ([0, 1, 2, 3], "ExceptionGroup"),
    "/sse/plain": ([0, 1, 2, 3], "ExceptionGroup"),
    "/lines": ([], "no error"),
    "/streamed": ([], "no error"),
}
app = FastAPI()
done: list[int] = []
ended: list[str] = []


async def transaction():
    try:
        yield
    except BaseException as error:
        ended.append(type(error).__name__)
        raise
    else:
        ended.append("no error")


def numbers():
    for number in range(100):
        yield str(number)
        done.append(number)  # "it was sent"


Needed = Annotated[None, Depends(transaction)]


@app.get("/sse", response_class=EventSourceResponse)
async def sse(needed: Needed) -> AsyncIterable[str]:
    for item in numbers():
        yield item


@app.get("/sse/plain", response_class=EventSourceResponse)
def sse_plain(needed: Needed) -> Iterable[str]:
    yield from numbers()


@app.get("/lines")
async def lines(needed: Needed) -> AsyncIterable[str]:
    for item in numbers():
        yield item


@app.get("/streamed", response_class=StreamingResponse)
async def streamed(needed: Needed) -> AsyncIterable[str]:
    for item in numbers():
        yield item


def scope(path):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},  # as uvicorn's
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


async def read_by_nobody(path):
    """What is done behind the yield while the first item is still being sent, and how the dependency ends without reader."""
    done.clear()
    ended.clear()
    gone, bodies = asyncio.Event(), []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        for message in asked:
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.body":
            bodies.append(message["body"])
            await asyncio.Event().wait()  # the reader reads nothing, so this never ends

    call = asyncio.create_task(app(scope(path), receive, send))
    ahead = None
    while not bodies or ahead != done:  # it may run ahead as far as it will
        ahead = list(done)
        await asyncio.sleep(0.5)
    gone.set()
    await asyncio.wait([call], timeout=10)
    call.exception()
    return ahead, *ended


seen = {path: asyncio.run(read_by_nobody(path)) for path in EXPECTED}
for path, (ahead, end) in seen.items():
    print(f"{path:10}  while the first is sent, behind the yield are: {ahead!s:12}  without reader the dependency sees: {end}")
sys.exit(seen != EXPECTED)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
