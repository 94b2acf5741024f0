"""The command `sandbox`: everything that is needed to try the program by hand, with nothing real in it."""

import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Final

import typer

from bulk_cancel.worker.cli.commands.exchange import ACCOUNT, environment, place, submit_hint
from bulk_cancel.worker.cli.demo.stage import settings_of, start_workers, started
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.output import plural
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.store import adopt, open_store

_HOST: Final = "127.0.0.1"
_LOOK_S: Final = 0.5


def sandbox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The exchange's; 0 takes a free one.")] = 18_080,
    ws_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Its private channel's; 0 takes a free one.")
    ] = 18_081,
    redis_port: Annotated[int, typer.Option(min=0, max=65_535, help="Redis's; 0 takes a free one.")] = 16_379,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    orders: Annotated[int, typer.Option(min=0, max=1_000_000, help="Orders to put on the book at start.")] = 1_000,
    delay_ms: Annotated[float, typer.Option(min=0, help="Network delay of each way.")] = 5.0,
) -> int:
    """Redis, the simulated exchange and a worker, until Ctrl-C: prints what to type next.

    Nothing real is touched, and nothing is kept. What it prints can be sourced by a shell, too.
    """
    _check_free({"--port": port, "--ws-port": ws_port, "--redis-port": redis_port})
    with ExitStack() as stack:
        redis = started(stack, EmbeddedRedis(port=redis_port))
        network = Network(delay_ms=delay_ms)
        exchange = started(stack, Simulator(Config(host=_HOST, port=port, ws_port=ws_port, network=network)))
        place(exchange.control, orders)
        told = {f"{PREFIX}REDIS_URL": redis.url, **environment(exchange.url, exchange.ws_url)}
        settings = {name.removeprefix(PREFIX): value for name, value in told.items()}
        store = open_store(settings_of(settings, ACCOUNT))
        stack.callback(store.redis.close)
        adopt(store)
        running = start_workers(stack, store, settings, workers)
        _say(told, exchange.url, workers, orders)
        return _wait([*running, exchange.process])


def _check_free(ports: Mapping[str, int]) -> None:
    for flag, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError as error:
                raise CommandError(f"{flag} {port}: cannot listen there: {error.strerror}; choose another") from None


def _say(told: Mapping[str, str], url: str, workers: int, orders: int) -> None:
    """Lines for a person, which are comments to a shell, and the settings."""
    more = f'{{"uid": "{DEFAULT_KEY.uid}", "instId": "BTC-USDT", "count": 100}}'
    lines = [
        f"# Redis, the exchange with {plural(orders, 'order')} and {plural(workers, 'worker')} run; Ctrl-C ends them",
        "# in another terminal:",
        *(f"export {name}={value}" for name, value in told.items()),
        "# then, for example:",
        "#   bulk-cancel check",
        submit_hint(url),
        f"#   curl -s -X POST '{url}/control/orders' -d '{more}'",
        f"#   bulk-cancel all --account {ACCOUNT} --until-flat 3",
        "#   bulk-cancel batches",
        "# what else the exchange can be told (faults, delays, refusals): bulk-cancel exchange --help",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> Exit:
    try:
        while all(process.poll() is None for process in running):
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        return Exit.OK
    raise CommandError("a part of the sandbox ended by itself; its words are above, if it had any")
