"""Reading what became of 100,000 orders: the client, plain and of asyncio, beside a bare HSCAN of the same hash.

`python -m bench.outcomes [ROUNDS]`: each reader in a process of its own, in turns: medians, and how much memory grew.
"""

import json
import subprocess
import sys
from statistics import median
from typing import Final

from redis import Redis

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis

ORDERS: Final = 100_000
BARE: Final = {"plain": "bare HSCAN", "asyncio": "bare HSCAN, asyncio"}
READERS: Final = {
    "bare HSCAN": "rows = Redis.from_url(url, decode_responses=True, protocol=2).hscan_iter('bc:rows:b', count=1000)",
    "plain": "rows = BulkCancel(url).batch('b').outcomes()",
    "bare HSCAN, asyncio": "rows = redis.asyncio.Redis.from_url(url, decode_responses=True, protocol=2)"
    ".hscan_iter('bc:rows:b', count=1000)",
    "asyncio": "rows = aio.BulkCancel(url).batch('b').outcomes()",
}
READ: Final = """
import asyncio, sys, time
import redis, redis.asyncio
from redis import Redis
from bulk_cancel.tasks import BulkCancel, aio
from bulk_cancel.worker.operators.desk import Desk

def memory(name):
    told = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(told[name].split()[0]) / 1024

async def count(rows):
    return sum([1 async for _ in rows])

async def main():
    url = sys.argv[1]
    before, began = memory("VmRSS"), time.perf_counter()
    {rows}
    counted = await count(rows) if hasattr(rows, "__aiter__") else sum(1 for _ in rows)
    print(counted, time.perf_counter() - began, memory("VmHWM") - before)

asyncio.run(main())
"""


def main(rounds: int) -> None:
    """Prints a row for each reader."""
    with EmbeddedRedis() as server:
        _fill(server.url)
        told = [{name: _read(rows, server.url) for name, rows in READERS.items()} for _ in range(rounds)]
    speed = {name: median(each[name][0] for each in told) for name in READERS}
    for name in READERS:
        share = f", {speed[name] / speed[BARE[name]]:.2f} of it" if name in BARE else ""
        print(f"{name}: {speed[name]:,.0f} rows/s{share}; memory +{max(each[name][1] for each in told):.1f} MB")


def _read(rows: str, url: str) -> tuple[float, float]:
    """Rows in a second, and MB by which the process grew."""
    code = READ.replace("{rows}", rows)
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    counted, seconds, grown = map(float, done.stdout.split())
    if counted != ORDERS:
        raise AssertionError(f"{counted:.0f} rows of {ORDERS}")
    return counted / seconds, grown


def _fill(url: str) -> None:
    """A batch whose orders have ended, each with one attempt in its history."""
    at = 1_795_905_085_870_000
    attempt = {
        "at": at,
        "worker": "w@host",
        "call": "c",
        "endpoint": "batch",
        "sCode": "0",
        "sMsg": "",
        "elapsed_ms": 5,
    }
    ended = {"status": "canceled", "sCode": "0", "sMsg": "", "attempts": 1, "accFillSz": "0", "clOrdId": ""}
    times = {"enqueued": at, "first_sent": at, "accepted": at, "finished": at}
    with Redis.from_url(url) as redis:
        for first in range(0, ORDERS, 1000):
            rows = {
                f"1001/BTC-USDT-SWAP/o{2510789768709120 + n}": json.dumps({"n": n, **ended, **times, "log": [attempt]})
                for n in range(first, first + 1000)
            }
            redis.hset("bc:rows:b", mapping=rows)
        batch = {"account": "desk1", "size": ORDERS, "waiting": 0, "sealed": 1, "urgent": 0, "status:canceled": ORDERS}
        redis.hset("bc:batch:b", mapping={**batch, "created": at, "deadline_wall": at})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
