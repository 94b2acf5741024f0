"""What the demo runs on: a Redis, a simulated exchange and real workers, all gone when the block ends.

The broker is always the embedded Redis: on a Redis of yours the demo's workers would take your runner's messages. In
yours only the demo's own keys are written, under a prefix and for a User ID of its own, and removed again; the key
`bulk-cancel:clock` stays, since all runners there share it. Should this process be killed, a watcher ends the workers.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TypeVar

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.cli.demo.plan import Plan
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis, RedisNotStarted
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.process import Simulator, SimulatorError
from bulk_cancel.worker.state.store import Store, adopt, open_store

ACCOUNT: Final = "demo"
START_S: Final = 30.0
T = TypeVar("T")
_WATCH: Final = 'read -r _; dir="$1"; shift; kill -9 "$@"; rm -rf "$dir"'


class StageError(BulkCancelError):
    """Something that the demo runs on did not start; the text says what and, of a process, has the end of its log."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs; `uid` is the account's User ID at the simulated exchange."""

    store: Store
    exchange: Simulator
    uid: str
    workers: int
    own_redis: bool


@contextmanager
def stage(plan: Plan, *, workers: int, delay_ms: float) -> Iterator[Stage]:
    """Starts everything and waits until every worker is ready.

    Raises StageError, SettingsError, or redis-py's errors.
    """
    theirs = load_settings() if {f"{PREFIX}REDIS_URL", f"{PREFIX}REDIS_URL_FILE"} & os.environ.keys() else None
    with ExitStack() as stack:
        broker = started(stack, EmbeddedRedis())
        exchange, key = _exchange(stack, plan, delay_ms)
        told = _told(theirs, broker.url, exchange, key)
        store = open_store(settings_of(told, ACCOUNT))
        stack.callback(store.redis.close)
        if theirs is None:
            adopt(store)
        else:
            stack.callback(_remove_keys, store, key.uid)
        start_workers(stack, store, told, workers)
        yield Stage(store, exchange, key.uid, workers, own_redis=theirs is None)


def _exchange(stack: ExitStack, plan: Plan, delay_ms: float) -> tuple[Simulator, ApiKey]:
    key = ApiKey("demo-key", "demo-secret", "demo-pass", uid=str(10**11 + secrets.randbelow(10**11)))
    network = Network(delay_ms=0.4 * delay_ms, jitter_ms=1.2 * delay_ms)  # each way: the delay ± 60 %
    config = Config(accounts=(key,), instruments=tuple(plan.orders), network=network)
    return started(stack, Simulator(config)), key


def started(stack: ExitStack, server: AbstractContextManager[T]) -> T:
    """The server, running until the stack ends; the simulator's errors are not of our tree and become StageError."""
    try:
        return stack.enter_context(server)
    except (RedisNotStarted, SimulatorError) as error:
        raise StageError(str(error)) from error


def _told(theirs: Settings | None, broker_url: str, exchange: Simulator, key: ApiKey) -> dict[str, str]:
    """The workers' settings, by contract name; the timeout of a shared Redis decides how long a restart blocks it."""
    account = f"ACCOUNTS__{ACCOUNT.upper()}__"
    state = {"REDIS_URL": broker_url}
    if theirs is not None:
        state = {"REDIS_URL": theirs.redis_url.get_secret_value(), "HTTP_TIMEOUT_S": str(theirs.http_timeout_s)}
    return {
        **state,
        "BROKER_URL": broker_url,
        "OKX_BASE_URL": exchange.url,
        "OKX_WS_URL": exchange.ws_url,
        "KEY_PREFIX": f"demo-{secrets.token_hex(4)}",
        "LOG_LEVEL": "WARNING",
        f"{account}API_KEY": key.key,
        f"{account}API_SECRET": key.secret,
        f"{account}PASSPHRASE": key.passphrase,
        f"{account}UID": key.uid,
    }


def settings_of(told: Mapping[str, str], account_name: str) -> Settings:
    """The same settings for this process, and nothing of what the environment or `.env` says about a real runner."""
    plain: dict[str, Any] = {name.lower(): value for name, value in told.items() if not name.startswith("ACCOUNTS")}
    prefix = f"ACCOUNTS__{account_name.upper()}__"
    account = {name.removeprefix(prefix).lower(): value for name, value in told.items() if name.startswith(prefix)}
    nobody = f"no variable of {PREFIX}"
    return Settings(_env_prefix=nobody, _env_file=None, **plain, accounts={account_name: account})


def start_workers(stack: ExitStack, store: Store, told: Mapping[str, str], count: int) -> list[subprocess.Popen[bytes]]:
    """Workers with these settings (by contract name), ready when this returns, ended with the stack."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulk-cancel-demo-")))
    processes: list[subprocess.Popen[bytes]] = []
    stack.callback(_end, processes)
    for number in range(count):
        processes.append(_worker(number, directory, told))  # noqa: PERF401 (each is ended even if the next fails)
    pids = [str(process.pid) for process in processes]
    watch = ["/bin/sh", "-c", _WATCH, "watch", str(directory), *pids]
    watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)
    stack.callback(_end, [watcher])  # before the workers: later their ids may belong to somebody else
    _wait_ready(store, processes, directory)
    return processes


def _worker(number: int, directory: Path, told: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A worker as anybody starts one; in an empty directory, where no `.env` and no other `worker` is found."""
    command = [sys.executable, "-P", "-m", "celery", "-A", "bulk_cancel.worker", "worker", "-n", f"demo{number}@%h"]
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith((PREFIX, "CELERY"))}
    ours = {f"{PREFIX}{name}": value for name, value in told.items()}
    with _log_of(number, directory).open("wb") as log:
        return subprocess.Popen(
            command,
            env={**kept, **ours, "TMPDIR": str(directory)},  # its pulse goes with the directory
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us
        )


def _log_of(number: int, directory: Path) -> Path:
    return directory / f"worker{number}.log"


def _wait_ready(store: Store, processes: Sequence[subprocess.Popen[bytes]], directory: Path) -> None:
    ends = time.monotonic() + START_S
    while store.redis.hlen(store.keys.of("workers")) < len(processes):
        for number, process in enumerate(processes):
            if process.poll() is not None or time.monotonic() > ends:
                lines = _log_of(number, directory).read_text("utf-8", "replace").splitlines()
                raise StageError("\n".join([f"worker {number} did not start; its log ends:", *lines[-5:]]))
        time.sleep(0.02)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()


def _remove_keys(store: Store, uid: str) -> None:
    redis = store.redis
    windows = map(str, redis.scan_iter(store.keys.of("window", f"{uid}[:/]*"), count=1000))
    users = (key for key in map(str, redis.scan_iter(store.keys.of("user", "*"))) if redis.get(key) == uid)
    ours = map(str, redis.scan_iter(match=f"{store.keys.prefix}:*", count=1000))
    names = chain(windows, users, ours)
    while part := list(islice(names, 1000)):
        redis.unlink(*part)
    # of the workers of all runners, ours did not take leave
    for name in map(str, redis.hkeys(store.keys.of("fleet"))):
        if name.startswith(f"{store.keys.prefix} "):
            redis.hdel(store.keys.of("fleet"), name)
