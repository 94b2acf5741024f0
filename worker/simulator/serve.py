"""Runs the simulated exchange in this process."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.server import Server

READY = "the simulated exchange listens on "
CHANNEL_READY = "its private channel listens on "
Ready = Callable[[str, str], None]


def announce(url: str, ws_url: str) -> None:
    """Say on standard output where the exchange and its private channel listen."""
    sys.stdout.write(f"{READY}{url}\n{CHANNEL_READY}{ws_url}\n")
    sys.stdout.flush()


def serve(config: Config, *, until_stdin_ends: bool = False, ready: Ready = announce) -> None:
    """Serve until SIGINT, SIGTERM or `shutdown`; `ready` is told both URLs once connections are accepted.

    Raises:
        OSError: the address cannot be bound.
    """
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(config, ready, until_stdin_ends=until_stdin_ends))


async def _serve(config: Config, ready: Ready, *, until_stdin_ends: bool) -> None:
    loop = asyncio.get_running_loop()
    server = Server(config, loop)
    server.accept_connections()
    await server.open_channels()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    if until_stdin_ends:
        loop.add_reader(sys.stdin.fileno(), _read_stdin, server)
    ready(server.url, server.ws_url)
    await server.run()


def _read_stdin(server: Server) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        server.stop()
