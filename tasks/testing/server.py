"""A Redis within this process: fakeredis behind a real socket, so that every client of any library speaks to it by URL.

It says of itself what a runner asks: fakeredis knows no INFO. No guarantee can be tested on it: it has one clock with
this process, no memory to be full, and no server to fail.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from fakeredis._commands import SUPPORTED_COMMANDS, command
from fakeredis._socket._fakesocket import FakeSocket
from redis.exceptions import ResponseError

VERSION: Final = (7, 0)

_STOPS_WITHIN_S: Final = 0.01


RUN_ID: Final = uuid.uuid4().hex


def info(_socket: FakeSocket, *_sections: bytes) -> bytes:
    """What runners and verbs read of it, whatever sections were asked for."""
    told = {"redis_version": "7.0.0", "run_id": RUN_ID, "redis_mode": "standalone", "role": "master"}
    told |= {"maxmemory": "0", "used_memory": "0", "maxmemory_policy": "noeviction", "cluster_enabled": "0"}
    return "".join(f"{name}:{value}\r\n" for name, value in told.items()).encode()


if "info" not in SUPPORTED_COMMANDS:
    FakeSocket.info = command(name="INFO", fixed=(), repeat=(bytes,))(info)  # type: ignore[attr-defined]


class _Handler(TCPFakeRequestHandler):
    """One connection. fakeredis would close it after each error that it answers; no server does."""

    def setup(self) -> None:
        """Errors are answers like others."""
        super().setup()
        read = self.current_client.read_response

        def answer() -> object:
            try:
                return read()
            except ResponseError as error:
                return error

        self.current_client.read_response = answer  # type: ignore[method-assign,assignment]


@contextmanager
def fake_redis() -> Iterator[str]:
    """The URL of an empty one."""
    server = TcpFakeServer(("127.0.0.1", 0), server_version=VERSION)
    server.RequestHandlerClass = _Handler
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": _STOPS_WITHIN_S}, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
