"""Serves the door until SIGTERM or Ctrl-C, and ends within seconds, however many streams are open."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, socket
from threading import Thread, Timer
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from bulk_cancel.worker.gateway.shell import Shell

END_S: Final = 3
"""Answers under way have so long once the end was asked for; streams end at once."""

LAST_S: Final = END_S + 1
"""After this the process is over, whatever is still under way."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """uvicorn's own handling of signals ends the process by the signal, and lets streams block the end."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None], started: Callable[[str], None]) -> None:
        super().__init__(config)
        self._ending = ending
        self._told = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are the loop's, see `startup`."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listens, and from then on knows how to end."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._end)
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._told(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    def _end(self) -> None:
        self.should_exit = True
        self._ending()
        # a thread in the midst of a long answer cannot be ended, nobody is there any more to whom it would be told, and
        # Python would wait for it; nothing is lost with it: what was taken is in Redis
        last = Timer(LAST_S, os._exit, (0,))
        last.daemon = True
        last.start()


@contextmanager
def serving(app: Shell, *, port: int = 0, root_path: str = "") -> Iterator[str]:
    """Serves this machine from a thread, for the length of a block; gives the address. Raises OSError."""
    # asyncio turns Nagle's algorithm off only for a socket that says it is TCP: else each answer takes 40 ms
    with socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", port))
        listening.listen()
        server = uvicorn.Server(_config(app, root_path=root_path))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="door", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            app.close()
            server.should_exit = True
            thread.join()


def _config(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0, root_path: str = "") -> uvicorn.Config:
    return uvicorn.Config(
        app, host=host, port=port, root_path=root_path, log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=END_S, lifespan="off", ws="none",
    )  # fmt: skip


def serve(
    app: ASGIApp, *, host: str, port: int, root_path: str, ending: Callable[[], None], started: Callable[[str], None]
) -> bool:
    """Serves until the process is told to end; `started` gets the address. False if it could not listen."""
    server = _Server(_config(app, host=host, port=port, root_path=root_path), ending, started)
    try:
        server.run()
    except SystemExit:  # uvicorn's answer to a port that is taken; it has logged why
        return False
    return server.started
