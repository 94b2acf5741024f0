"""Who races, and what has to run for each? A simulated exchange of its own, Redis and workers where it needs them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from bench.before import Build
from bench.rigs import DEPLOYED, config_of, until, warm_rig
from bench.scenarios import BEFORE, CELERY, LIBRARIES, NETWORK, TUNED, US, Account, Scenario
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.process import Simulator

OUR_DRIVER: Final = "bench.drivers.with_us"
ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Running:
    """What a contender runs on: exchange, Redis, what its driver is told, and the processes that it pays for.

    `redis_pid` is that one of them that is our Redis.
    """

    exchange: Simulator
    redis_url: str
    environment: dict[str, str]
    pids: tuple[int, ...]
    redis_pid: int | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """`driver` is the module that hands the bulk in; `start` runs everything else."""

    name: str
    driver: str
    start: Callable[[Scenario], AbstractContextManager[Running]]


def exchange_of(scenario: Scenario) -> Config:
    """The exchange of a scenario."""
    keys = (DEFAULT_KEY, *(account.key for account in scenario.people))
    return config_of(scenario.inst_ids, network=NETWORK, keys=keys)


@contextmanager
def _library(scenario: Scenario) -> Iterator[Running]:
    """A library needs nothing but the exchange."""
    with Simulator(exchange_of(scenario)) as exchange:
        yield Running(exchange, "", {}, ())


@contextmanager
def _plain_celery(scenario: Scenario, *, options: Sequence[str] = (), children: int) -> Iterator[Running]:
    """A Redis as broker and one worker, once each of its processes has made a call for every account."""
    with (
        EmbeddedRedis(options=DEPLOYED) as redis,
        Simulator(exchange_of(scenario)) as exchange,
        tempfile.TemporaryFile() as log,
    ):
        worker = _start_celery(scenario, redis, exchange, options, log)
        try:
            until(lambda: _count(log, b" ready.") == 1 and _count(log, b" is warm") == children)
            yield Running(exchange, redis.url, {}, (redis.pid, worker.pid))
        finally:
            worker.terminate()
            _end(worker)


def _start_celery(
    scenario: Scenario, redis: EmbeddedRedis, exchange: Simulator, options: Sequence[str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    keys = [astuple(account.key)[:3] for account in scenario.people]
    told = {
        "PLAIN_REDIS_URL": redis.url,
        "PLAIN_EXCHANGE_URL": exchange.url,
        "PLAIN_KEYS": json.dumps(keys),
    }
    command = [sys.executable, "-m", "celery", "-A", "bench.drivers.celery_app", "worker", "--loglevel", "INFO"]
    return subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        env=os.environ | told,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _count(log: IO[bytes], words: bytes) -> int:
    return os.pread(log.fileno(), 1 << 20, 0).count(words)


@contextmanager
def _us(scenario: Scenario, *, workers: int, confirm: str, build: Build | None = None) -> Iterator[Running]:
    """A Redis and `workers` worker processes that know every account and have done some work before."""
    settings = {name: text for account in scenario.people for name, text in settings_of(account, scenario).items()}
    settings["CONFIRM"] = confirm
    with warm_rig(exchange_of(scenario), workers=workers, settings=settings, build=build) as rig:
        pids = (rig.redis.pid, *(worker.pid for worker in rig.workers))
        yield Running(rig.exchange, rig.redis.url, rig.environment, pids, rig.redis.pid)


def settings_of(account: Account, scenario: Scenario) -> dict[str, str]:
    """What a worker is told of an account of the race, by contract names without their prefix."""
    prefix = f"ACCOUNTS__{account.name.upper()}__"
    return {
        f"{prefix}API_KEY": account.key.key,
        f"{prefix}API_SECRET": account.key.secret,
        f"{prefix}PASSPHRASE": account.key.passphrase,
        f"{prefix}UID": account.key.uid,
        f"{prefix}ENDPOINTS": "single" if scenario.single else "auto",
    }


def _end(worker: subprocess.Popen[bytes]) -> None:
    """A worker with tasks in hand may not end by itself, whatever it is told; its children go with it."""
    try:
        worker.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


CONTENDERS: Final[Sequence[Contender]] = (
    *(Contender(name, f"bench.drivers.with_{name.replace('-', '_')}", _library) for name in LIBRARIES),
    Contender(CELERY, "bench.drivers.with_celery", partial(_plain_celery, children=os.cpu_count() or 1)),
    Contender(
        TUNED,
        "bench.drivers.with_celery",
        partial(_plain_celery, options=("-c", "1", "--prefetch-multiplier", "1"), children=1),
    ),
    *(
        Contender(name, OUR_DRIVER, partial(_us, workers=workers, confirm=confirm))
        for name, workers, confirm in zip(US, (1, 2, 4, 2), ("off", "off", "off", "on"), strict=True)
    ),
)


def of_before(build: Build | None) -> Sequence[Contender]:
    """The build before, in both ways of confirming; none if there is none here."""
    return [
        Contender(name, OUR_DRIVER, partial(_us, workers=2, confirm=confirm, build=build))
        for confirm, name in BEFORE.items()
        if build
    ]
