"""What does a system test run on? A real Redis, the simulated exchange and real worker processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest
from redis import Redis

from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.store import Store, adopt, open_store
from tests.support.checkout import ROOT
from tests.support.simulated import EndingSimulator
from tests.support.waiting import PATIENCE_S, until

START_S: Final = 2 * PATIENCE_S
"""Of several workers at once, beside other tests."""


class Rig:
    """One runner: `settings` are contract names without their prefix, added to those that find the simulator."""

    def __init__(
        self,
        *,
        workers: int = 2,
        config: Config | None = None,
        redis: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        app: str = "worker",
    ) -> None:
        self._stack = ExitStack()
        self.redis = EmbeddedRedis(options=redis)
        self.exchange = EndingSimulator(config)
        self._extra = dict(settings or {})
        self._count = workers
        self._app = app
        self.workers: list[subprocess.Popen[bytes]] = []
        self.log_file = Path(os.environ.get("RIG_LOG", os.devnull))

    def __enter__(self) -> Self:
        self._stack.enter_context(self.redis)
        self._stack.enter_context(self.exchange)
        self.store: Store = open_store(self._settings())
        adopt(self.store)
        for _ in range(self._count):
            self.start_worker()
        self.wait_for(lambda: self.alive() >= self._count and self.consuming() >= self._count, START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a worker, the command line or a producer is told."""
        account = "BULK_CANCEL_ACCOUNTS__DESK1__"
        return {
            "BULK_CANCEL_REDIS_URL": self.redis.url,
            "BULK_CANCEL_OKX_BASE_URL": self.exchange.url,
            "BULK_CANCEL_OKX_WS_URL": self.exchange.ws_url,
            f"{account}API_KEY": DEFAULT_KEY.key,
            f"{account}API_SECRET": DEFAULT_KEY.secret,
            f"{account}PASSPHRASE": DEFAULT_KEY.passphrase,
            **{f"BULK_CANCEL_{name}": value for name, value in self._extra.items()},
        }

    def adopt(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Self:
        """Its environment is this process's, whose folder is a new one: what commands find when a test runs them."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        return self

    def start_worker(self, python: str = sys.executable, app: str = "", cwd: Path = ROOT) -> subprocess.Popen[bytes]:
        """One more worker process; returns at once. `python` and `app` are another release's, or this checkout's.

        What lies in `cwd` is found first.
        """
        command = [python, "-m", "celery", "-A", app or self._app, "worker", "--loglevel", "INFO"]
        with self.log_file.open("ab") as log:
            worker = subprocess.Popen(
                command,
                env=os.environ | self.environment,
                cwd=cwd,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.workers.append(worker)
        return worker

    def configure(self, **settings: str) -> None:
        """Settings (contract names without their prefix) of the workers started from now on."""
        self._extra |= settings

    def start_workers(
        self, count: int, python: str = sys.executable, app: str = "", cwd: Path = ROOT
    ) -> list[subprocess.Popen[bytes]]:
        """So many more worker processes, once all of them have reported themselves."""
        started = [self.start_worker(python, app, cwd) for _ in range(count)]
        pids = {worker.pid for worker in started}
        self.wait_for(lambda: pids <= self.pids(), START_S)
        return started

    def pids(self) -> set[int]:
        """Process ids of the workers that have reported themselves."""
        return {json.loads(beat)["pid"] for beat in self.store.redis.hvals(self.store.keys.of("workers"))}

    def consuming(self) -> int:
        """Workers that wait for messages, one connection in BRPOP each; a worker reports itself a little earlier."""
        broker = Redis.from_url(self.environment.get("BULK_CANCEL_BROKER_URL", self.redis.url))
        with broker:
            return sum(client["cmd"] == "brpop" for client in broker.client_list())

    def alive(self) -> int:
        """Workers that have reported themselves."""
        return int(self.store.redis.hlen(self.store.keys.of("workers")))

    def stop_worker(self, worker: subprocess.Popen[bytes], timeout_s: float = PATIENCE_S) -> int:
        """SIGTERM, as an orchestrator would; its exit code."""
        worker.send_signal(signal.SIGTERM)
        return worker.wait(timeout_s)

    def taken(self, batch_id: str) -> None:
        """Returns as soon as the batch has been admitted, whatever became of its orders."""
        self.wait_for(lambda: bool(self.store.redis.exists(self.store.keys.of("batch", batch_id))))

    def done(self, batch_id: str, timeout_s: float = PATIENCE_S) -> BatchState:
        """The batch once it is complete; an AssertionError with its state when it is not in time."""
        state = None
        for state in self.store.batches.wait(batch_id, timeout_s=timeout_s):
            if state.complete:
                return state
        raise AssertionError(f"not complete in {timeout_s} s: {state}")

    def wait_for(self, true: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Returns as soon as `true()` holds; an AssertionError when it does not in time."""
        until(true, timeout_s)

    def _settings(self) -> Settings:
        with _environment(self.environment):
            return load_settings(require_accounts=True)


class _environment:  # noqa: N801 (used as a function)
    """Sets variables for the length of a block."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._values}
        os.environ.update(self._values)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def orders(inst_id: str, ids: Sequence[str]) -> Iterator[dict[str, str]]:
    """The orders as a producer hands them in."""
    return ({"instId": inst_id, "ordId": order_id} for order_id in ids)
