"""What does the HTTP door cost? `python -m bench.door`: many producers, one order's way, idle browsers."""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bench.cpu import cpu_s
from bench.drivers.wire import now_us
from bench.percentile import percentile
from bench.rigs import config_of, open_orders, warm_rig
from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.simulator.config import Config
from tests.support.rig import Rig

PRODUCERS: Final = 200
BATCHES: Final = 50
ORDERS: Final = 100
ALONE: Final = 500
"""Batches by `submit()` before, and as many afterwards: the machine may have changed meanwhile."""

SAMPLES: Final = 100
BROWSERS: Final = 500
IDLE_S: Final = 20.0
QUIET_S: Final = (0.06, 0.12)


@contextmanager
def gateway(rig: Rig) -> Iterator[tuple[str, int]]:
    """The command of the rig's runner: its address and its process."""
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", "gateway", "--port", "0"]
    process = subprocess.Popen(
        command, env=os.environ | rig.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield (process.stdout or sys.stdin).readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait(10)


def body_of(first: int, count: int) -> list[dict[str, str]]:
    """So many orders of eight instruments."""
    return [{"instId": f"COIN{number % 8}-USDT", "ordId": str(number)} for number in range(first, first + count)]


class Caller:
    """One connection that puts batches, one after the other."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc

    async def open(self) -> None:
        """Connects."""
        host, _, port = self._host.partition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))

    async def call(self, method: str, path: str, body: bytes = b"", headers: str = "") -> int:
        """The status; the answer is read to its end."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n{headers}"
        self._writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        told = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        await self._reader.readexactly(int(told.partition("content-length: ")[2].partition("\r\n")[0]))
        return int(told.split(" ")[1])

    async def listen(self) -> None:
        """Opens the event stream, and waits for its first event."""
        self._writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        await self._reader.readuntil(b"event: snapshot")

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()


@dataclass(frozen=True, slots=True)
class Load:
    """Orders a second that were admitted by `submit()` alone, and by `PUT` of many at once; `lost` of the latter."""

    alone: float
    by_put: float
    lost: int
    statuses: dict[int, int]


def load(producers: int, batches: int) -> Load:
    """All producers at once, on a runner without workers: what is measured is the admission."""
    with Rig(workers=0, config=Config(instruments=("BTC-USDT",))) as rig, gateway(rig) as (url, _):
        before = _alone(rig, "before", ALONE)
        began = time.monotonic()
        statuses = asyncio.run(_put_all(url, producers, batches))
        took_s = time.monotonic() - began
        after = _alone(rig, "after", ALONE)
        states = (rig.store.batches.known([f"p{each}-{n}" for n in range(batches)]) for each in range(producers))
        kept = sum(state.size for some in states for state in some if state.sealed)
    wanted = producers * batches * ORDERS
    return Load((before + after) / 2, wanted / took_s, wanted - kept, statuses)


def _alone(rig: Rig, name: str, batches: int) -> float:
    rows = [body_of(10**12 + 1 + ORDERS * number + 10**9 * len(name), ORDERS) for number in range(batches)]
    began = time.monotonic()
    for number, orders in enumerate(rows):
        asked = parse_cancel_orders(account="desk1", orders=orders, batch_id=f"{name}{number}")
        rig.store.admission.admit(asked)
    return batches * ORDERS / (time.monotonic() - began)


async def _put_all(url: str, producers: int, batches: int) -> dict[int, int]:
    found: dict[int, int] = {}

    async def produce(producer: int) -> None:
        caller = Caller(url)
        await caller.open()
        for number in range(batches):
            first = 1 + ORDERS * (producer * batches + number)
            body = json.dumps({"account": "desk1", "orders": body_of(first, ORDERS)}).encode()
            status = await caller.call("PUT", f"/v1/batches/p{producer}-{number}", body)
            found[status] = found.get(status, 0) + 1
        caller.close()

    await asyncio.gather(*(produce(each) for each in range(producers)))
    return found


def ways(samples: int) -> dict[str, list[float]]:
    """Milliseconds from the call to the order's arrival, of `submit()` and of `PUT`, in turn."""
    names = tuple(f"COIN{number}-USDT" for number in range(50))
    with warm_rig(config_of(names), workers=2) as rig, gateway(rig) as (url, _):
        turns = -(-2 * samples // len(names))
        rows = [row for _ in range(turns) for row in open_orders(rig, dict.fromkeys(names, 1))][: 2 * samples]
        called = asyncio.run(_in_turn(rig, url, rows))
        time.sleep(1)
        arrived = {row.ordIds[0]: row.at_us for row in rig.exchange.control.log(endpoint="cancel-order")}
    return {way: [(arrived[order] - at_us) / 1e3 for order, at_us in ours] for way, ours in called.items()}


async def _in_turn(rig: Rig, url: str, rows: Sequence[dict[str, str]]) -> dict[str, list[tuple[str, int]]]:
    caller = Caller(url)
    await caller.open()
    found: dict[str, list[tuple[str, int]]] = {"submit": [], "put": []}
    for number, row in enumerate(rows):
        await asyncio.sleep(random.uniform(*QUIET_S))
        way = "put" if number % 2 else "submit"
        found[way].append((row["ordId"], now_us()))
        if way == "submit":
            rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=[row]))
        else:
            body = json.dumps({"account": "desk1", "orders": [row]}).encode()
            await caller.call("PUT", f"/v1/batches/way{number}", body)
    caller.close()
    return found


@dataclass(frozen=True, slots=True)
class Idle:
    """What some idle browsers cost: share of a core in the door's process, Redis commands a second."""

    browsers: int
    core: float
    commands: float


def idle(browsers: int) -> Idle:
    """All have the event stream open, and nothing happens."""
    with Rig(workers=0, config=Config(instruments=("BTC-USDT",))) as rig, gateway(rig) as (url, pid):
        return asyncio.run(_idle(rig, url, pid, browsers))


async def _idle(rig: Rig, url: str, pid: int, browsers: int) -> Idle:
    callers = [Caller(url) for _ in range(browsers)]
    for caller in callers:
        await caller.open()
        await caller.listen()
    await asyncio.sleep(2)
    used, commands, began = cpu_s([pid]), _commands(rig), time.monotonic()
    await asyncio.sleep(IDLE_S)
    took_s = time.monotonic() - began
    found = Idle(browsers, (cpu_s([pid]) - used) / took_s, (_commands(rig) - commands - 1) / took_s)
    for caller in callers:
        caller.close()
    return found


def _commands(rig: Rig) -> int:
    return int(rig.store.redis.info("stats")["total_commands_processed"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures all three, and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--producers", type=int, default=PRODUCERS)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--browsers", type=int, default=BROWSERS)
    told = parser.parse_args(arguments)
    came = load(told.producers, told.batches)
    share = came.by_put / came.alone
    print(f"{told.producers} producers × {told.batches} batches × {ORDERS} orders: {came.by_put:,.0f} orders/s by PUT,")
    print(
        f"  {came.alone:,.0f} by submit() alone: {share:.2f}; lost {came.lost:,}; answers {came.statuses}", flush=True
    )
    taken = ways(told.samples)
    middle = {way: percentile(values, 0.5) for way, values in taken.items()}
    print(f"one order to its arrival, p50 of {told.samples}: submit() {middle['submit']:.1f} ms, ", end="")
    print(f"PUT {middle['put']:.1f} ms: {middle['put'] / middle['submit']:.2f}", flush=True)
    for found in (idle(1), idle(told.browsers)):
        print(f"{found.browsers} idle: {found.core:.1%} of a core, {found.commands:.1f} Redis commands a second")


if __name__ == "__main__":
    main()
