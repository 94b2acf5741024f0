"""How fast is each contender in one scenario? The exchange's own log says when the last cancel was accepted."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from pydantic import TypeAdapter

from bench.contenders import ROOT, Contender, Running
from bench.cpu import cpu_s
from bench.drivers.wire import Desk, Result, Work
from bench.figures import Lap
from bench.scenarios import Account, Scenario
from bulk_cancel.worker.simulator.log import CANCELS, Arrival

READY_S: Final = 120.0


def run_lap(contender: Contender, scenario: Scenario, *, patience_s: float) -> Lap:
    """Starts everything afresh, races once, and ends everything."""
    with contender.start(scenario) as running:
        work = Work(running.exchange.url, running.redis_url, _place(scenario, running))
        with _driver(contender, running) as driver:
            _tell(driver, TypeAdapter(Work).dump_json(work))
            _expect(driver, READY_S)
            running.exchange.control.reset_log()
            return _go(contender, scenario, running, driver, scenario.cap_s(patience_s))


def _go(
    contender: Contender, scenario: Scenario, running: Running, driver: subprocess.Popen[bytes], cap_s: float
) -> Lap:
    pids = (*running.pids, driver.pid)
    before, redis_before = cpu_s(pids), _redis_s(running)
    _tell(driver, b"go")
    started_us = int(_expect(driver, READY_S))
    line = _hear(driver, cap_s)
    used, redis_used = cpu_s(pids) - before, _redis_s(running) - redis_before
    result = TypeAdapter(Result).validate_json(line) if line else None
    met = [arrival for arrival in running.exchange.control.log() if arrival.endpoint in CANCELS]
    lap = _lap(contender.name, scenario, started_us, result, met=met, used_s=used)
    return replace(lap, redis_cpu_s=redis_used) if running.redis_pid else lap


def _redis_s(running: Running) -> float:
    return cpu_s([running.redis_pid]) if running.redis_pid else 0.0


def _lap(
    name: str, scenario: Scenario, started_us: int, result: Result | None, *, met: list[Arrival], used_s: float
) -> Lap:
    accepted = {order for row in met for order, code in zip(row.ordIds, row.sCodes, strict=False) if code == "0"}
    last = [row.at_us for row in met if "0" in row.sCodes]
    return Lap(
        scenario=scenario.name,
        contender=name,
        orders=scenario.total,
        minimum_s=scenario.minimum_s,
        first_s=(met[0].at_us - started_us) / 1e6 if met else None,
        last_s=(last[-1] - started_us) / 1e6 if last else None,
        handed_in_s=result.handed_in_s if result else None,
        accepted=len(accepted),
        live=scenario.total - len(accepted),
        calls=len(met),
        refusals=sum(row.refused for row in met),
        cpu_s=used_s,
        capped=result is None,
    )


def _place(scenario: Scenario, running: Running) -> tuple[Desk, ...]:
    return tuple(_desk(account, scenario, running) for account in scenario.people)


def _desk(account: Account, scenario: Scenario, running: Running) -> Desk:
    control, key = running.exchange.control, account.key
    placed = {inst_id: control.place(key.uid, inst_id, scenario.orders) for inst_id in scenario.inst_ids}
    return Desk(account.name, key.key, key.secret, key.passphrase, placed)


@contextmanager
def _driver(contender: Contender, running: Running) -> Iterator[subprocess.Popen[bytes]]:
    with Path(os.environ.get("BENCH_LOG", os.devnull)).open("ab") as log:
        driver = subprocess.Popen(
            [sys.executable, "-m", contender.driver],
            cwd=ROOT,
            env=os.environ | running.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
        )
    try:
        yield driver
    finally:
        driver.kill()
        driver.communicate()


def _tell(driver: subprocess.Popen[bytes], line: bytes) -> None:
    pipe = _open(driver.stdin)
    rest = memoryview(line + b"\n")
    while rest:
        rest = rest[pipe.write(rest) :]


def _expect(driver: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    line = _hear(driver, timeout_s)
    if not line:
        raise RuntimeError(f"the driver {driver.args!r} ended or hangs; set BENCH_LOG to a file to see why")
    return line


def _hear(driver: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    """The next line; empty if there was none in time, or the driver ended."""
    pipe = _open(driver.stdout)
    ready, _, _ = select.select([pipe], [], [], timeout_s)
    return pipe.readline() if ready else b""


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("a pipe of the driver is missing")
    return pipe
