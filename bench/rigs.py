"""What does a measurement run on? A Redis as it is deployed, and a runner that is connected and has worked before."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from bench.before import Build
from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Network
from tests.support.rig import Rig, orders

DEPLOYED: Final = {"appendonly": "yes", "appendfsync": "everysec"}
"""What the README asks of a user's Redis."""

WARM: Final = tuple(f"WARM{number}-USDT" for number in range(4))
START_S: Final = 120.0
SETTLE_S: Final = 3.0
"""Longer than a window, so that no slot of the warming-up is used in the measurement."""


def config_of(
    inst_ids: Sequence[str], *, network: Network | None = None, keys: Sequence[ApiKey] = (DEFAULT_KEY,)
) -> Config:
    """An exchange with these instruments, and those of the warming-up."""
    return Config(accounts=tuple(keys), instruments=(*inst_ids, *WARM), network=network or Network())


@contextmanager
def warm_rig(
    config: Config, *, workers: int, settings: Mapping[str, str] | None = None, build: Build | None = None
) -> Iterator[Rig]:
    """Workers that know and hear every account and have done some work, on an exchange that has logged nothing yet.

    They are of this checkout, or of another `build`.
    """
    confirms = (settings or {}).get("CONFIRM", "on") == "on"
    with Rig(workers=0 if build else workers, config=config, redis=DEPLOYED, settings=settings) as rig:
        if build:
            rig.start_workers(workers, build.python, build.app, build.cwd)
            until(lambda: rig.consuming() >= workers)
        until(lambda: int(rig.store.redis.hlen(rig.store.keys.of("identity"))) >= len(config.accounts))
        if confirms:
            until(lambda: rig.exchange.control.summary().channels >= len(config.accounts))
        hand_in(rig, open_orders(rig, dict.fromkeys(WARM, 3)), batch_id="warm")
        rig.done("warm")
        time.sleep(SETTLE_S)
        rig.exchange.control.reset_log()
        yield rig


def open_orders(rig: Rig, counts: Mapping[str, int]) -> list[dict[str, str]]:
    """So many new orders on the books of the instruments, as a producer hands them in."""
    control = rig.exchange.control
    return [row for name, count in counts.items() for row in orders(name, control.place(DEFAULT_KEY.uid, name, count))]


def hand_in(rig: Rig, rows: Sequence[dict[str, str]], *, batch_id: str) -> None:
    """The orders as one batch; returns when Redis has them."""
    rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=rows, batch_id=batch_id))


def until(true: Callable[[], bool]) -> None:
    """Returns once `true()` holds; TimeoutError if that takes longer than any start should."""
    ends = time.monotonic() + START_S
    while not true():
        if time.monotonic() > ends:
            raise TimeoutError(f"what the bench waits for did not start in {START_S:.0f} s")
        time.sleep(0.05)
