"""Who races, and what has to run for each? A simulated exchange of its own, Redis and workers where it needs them."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.scenarios import NETWORK, Account, Scenario
from tasks.messages import parse_cancel_orders
from tests.system.rig import Rig, orders
from worker.embedded import EmbeddedRedis
from worker.simulator.config import DEFAULT_KEY, Config
from worker.simulator.faults import Network
from worker.simulator.process import Simulator

ROOT: Final = Path(__file__).resolve().parents[1]
START_S: Final = 60.0
WARM: Final = tuple(f"WARM{number}-USDT" for number in range(4))
SETTLE_S: Final = 3.0
"""Longer than a window, so that no slot of the warming-up is used in the race."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a contender runs on: exchange, Redis, what its driver is told, and the processes that it pays for."""

    exchange: Simulator
    redis_url: str
    environment: dict[str, str]
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contender:
    """`driver` is the module that hands the bulk in; `start` runs everything else."""

    name: str
    driver: str
    start: Callable[[Scenario], AbstractContextManager[Running]]


def config_of(scenario: Scenario, network: Network = NETWORK) -> Config:
    """The exchange of a scenario."""
    keys = (DEFAULT_KEY, *(account.key for account in scenario.people))
    return Config(accounts=keys, instruments=(*scenario.inst_ids, *WARM), network=network)


@contextmanager
def _library(scenario: Scenario) -> Iterator[Running]:
    """A library needs nothing but the exchange."""
    with Simulator(config_of(scenario)) as exchange:
        yield Running(exchange, "", {}, ())


@contextmanager
def _plain_celery(scenario: Scenario) -> Iterator[Running]:
    """A Redis as broker and one worker with the pool that Celery chooses by itself."""
    with EmbeddedRedis() as redis, Simulator(config_of(scenario)) as exchange, tempfile.TemporaryFile() as log:
        told = {"PLAIN_REDIS_URL": redis.url, "PLAIN_EXCHANGE_URL": exchange.url}
        command = [sys.executable, "-m", "celery", "-A", "bench.drivers.celery_app", "worker", "--loglevel", "INFO"]
        worker = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | told, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _until(lambda: b" ready." in os.pread(log.fileno(), 1 << 20, 0))
            yield Running(exchange, redis.url, {}, (redis.pid, worker.pid))
        finally:
            worker.terminate()
            _end(worker)


@contextmanager
def _us(scenario: Scenario, *, workers: int, confirm: str = "off") -> Iterator[Running]:
    """A Redis and `workers` worker processes that know every account and have done some work before."""
    settings = {name: text for account in scenario.people for name, text in _settings(account, scenario).items()}
    settings["CONFIRM"] = confirm
    with Rig(workers=workers, config=config_of(scenario), settings=settings) as rig:
        warm_up(rig, accounts=scenario.accounts + 1)
        pids = (rig.redis.pid, *(worker.pid for worker in rig.workers))
        yield Running(rig.exchange, rig.redis.url, rig.environment, pids)


def warm_up(rig: Rig, *, accounts: int) -> None:
    """Until the workers know who every account is and have done some work; leaves every window free."""
    _until(lambda: int(rig.store.redis.hlen(rig.store.keys.of("identity"))) >= accounts)
    asked = [row for name in WARM for row in orders(name, rig.exchange.control.place(DEFAULT_KEY.uid, name, 3))]
    rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=asked, batch_id="warm"))
    rig.done("warm")
    time.sleep(SETTLE_S)


def _settings(account: Account, scenario: Scenario) -> dict[str, str]:
    prefix = f"ACCOUNTS__{account.name.upper()}__"
    return {
        f"{prefix}API_KEY": account.key.key,
        f"{prefix}API_SECRET": account.key.secret,
        f"{prefix}PASSPHRASE": account.key.passphrase,
        f"{prefix}UID": account.key.uid,
        f"{prefix}ENDPOINTS": "single" if scenario.single else "auto",
    }


def _until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + START_S
    while not true():
        if time.monotonic() > ends:
            raise TimeoutError("a contender did not start")
        time.sleep(0.05)


def _end(worker: subprocess.Popen[bytes]) -> None:
    """A worker with tasks in hand may not end by itself; its children end with it."""
    try:
        worker.wait(5)
    except subprocess.TimeoutExpired:
        worker.send_signal(3)  # SIGQUIT: Celery's cold shutdown
        worker.wait(10)


CONTENDERS: Final[Sequence[Contender]] = (
    Contender("ccxt", "bench.drivers.with_ccxt", _library),
    Contender("python-okx", "bench.drivers.with_python_okx", _library),
    Contender("plain Celery", "bench.drivers.with_celery", _plain_celery),
    *(Contender(f"us ×{count}", "bench.drivers.with_us", partial(_us, workers=count)) for count in (1, 2, 4)),
    Contender("us ×2, confirming", "bench.drivers.with_us", partial(_us, workers=2, confirm="on")),
)
