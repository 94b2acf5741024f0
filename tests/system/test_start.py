"""How a worker's start ends when there is no Redis that it can use."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from tests.support.checkout import ROOT
from tests.support.desks import hand_in
from tests.support.rig import Rig, orders
from tests.support.waiting import comes

Start = Callable[[str], subprocess.Popen[bytes]]
PAGE = 4096
ACCOUNT = "BULK_CANCEL_ACCOUNTS__DESK1__"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a worker with this Redis; its words are in the file `log`."""
    with ExitStack() as stack:

        def started(redis_url: str) -> subprocess.Popen[bytes]:
            secrets = {f"{ACCOUNT}{name}": "x" for name in ("API_KEY", "API_SECRET", "PASSPHRASE")}
            log = stack.enter_context((tmp_path / "log").open("wb"))
            command = [sys.executable, "-m", "celery", "-A", "worker", "worker"]
            env = {**os.environ, **secrets, "BULK_CANCEL_REDIS_URL": redis_url}
            process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield started


def test_sigterm_ends_a_worker_that_waits_for_redis(start: Start, tmp_path: Path) -> None:
    """At once, and not when it would have given up."""
    worker = start("redis://127.0.0.1:1/0")
    assert comes(lambda: "waiting_for_redis" in (tmp_path / "log").read_text())
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert time.monotonic() - began < 10


def fill(writing: int) -> None:
    """Not one more byte has room in the pipe."""
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b".")


def test_a_worker_whose_words_nobody_reads_cancels_and_ends() -> None:
    """Its stdout and stderr are a pipe that is full: neither its work nor its end waits for a reader."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PAGE)
    with Rig(workers=0, settings={"LOG_LEVEL": "DEBUG"}) as rig:
        rig.log_file = Path(f"/proc/self/fd/{writing}")
        (worker,) = rig.start_workers(1)
        ids = rig.exchange.control.place(DEFAULT_KEY.uid, "BTC-USDT", 200)
        hand_in(rig, "b", orders("BTC-USDT", ids))
        assert rig.done("b").counts == {"canceled": 200}
        fill(writing)
        began = time.monotonic()
        assert rig.stop_worker(worker) == 0
        assert time.monotonic() - began < 10
    os.close(reading)
    os.close(writing)


def test_an_unfit_redis_is_one_sentence(start: Start, tmp_path: Path) -> None:
    """Status 2, without a traceback."""
    with EmbeddedRedis(options={"cluster-enabled": "yes"}) as server:
        assert start(server.url).wait(30) == 2
    said = (tmp_path / "log").read_text()
    assert "bulk-cancel worker refuses to start: this Redis is part of a cluster" in said
    assert "Traceback" not in said
