"""What does a job cost? CPU, Redis calls, memory, admission: `python -m bench.cost`."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

from redis import Redis

from bench.contenders import WARM, warm_up
from bench.cpu import cpu_s
from bench.curves import queue_alone
from bench.floor import floor_cpu_s
from bench.report import keep
from tasks.messages import parse_cancel_orders
from tests.system.rig import Rig, orders
from worker.simulator.config import DEFAULT_KEY, Config

Endpoints = Literal["single", "auto"]
Confirm = Literal["off", "on"]

INSTRUMENTS: Final = 20
PER_INSTRUMENT: Final[Mapping[Endpoints, int]] = {"single": 60, "auto": 300}
"""As many as one window allows, so that nobody waits: what is measured is work."""

KINDS: Final[Sequence[tuple[Endpoints, Confirm]]] = (
    ("single", "off"),
    ("auto", "off"),
    ("single", "on"),
    ("auto", "on"),
)
RUNS: Final = 5
ADMITTED: Final = 50_000


@dataclass(frozen=True, slots=True)
class Run:
    """One bulk: CPU seconds per 1,000 orders of workers and Redis, and what Redis was asked per HTTP call."""

    endpoints: Endpoints
    confirm: Confirm
    orders: int
    http_calls: int
    workers_cpu_s: float
    redis_cpu_s: float
    verbs_per_call: float
    commands: dict[str, float]

    @property
    def cpu_s(self) -> float:
        """Workers and Redis together."""
        return self.workers_cpu_s + self.redis_cpu_s


@dataclass(frozen=True, slots=True)
class Storage:
    """`submit()` into an otherwise idle Redis: orders a second, with and without checking the rows, and bytes a job."""

    orders_per_s: float
    admitted_per_s: float
    bytes_per_job: float


@dataclass(frozen=True, slots=True)
class Costs:
    """All of it."""

    runs: tuple[Run, ...]
    storage: Storage
    floors: Mapping[Endpoints, float]
    """CPU seconds per 1,000 orders of the HTTP calls alone."""

    @property
    def text(self) -> str:
        """The README's part."""
        return "\n".join(
            [*_HEAD, *(_row(self.runs, *kind, self.floors[kind[0]]) for kind in KINDS), "", *self._storage()]
        )

    def _storage(self) -> list[str]:
        kept, alone = self.storage, self.floors
        return [
            "| | |",
            "|---|---|",
            f"| the HTTP calls alone, CPU s per 1,000 orders | {alone['single']:.3f}, batched {alone['auto']:.3f} |",
            f"| `submit()` | {kept.orders_per_s:,.0f} orders/s (already parsed: {kept.admitted_per_s:,.0f}) |",
            f"| memory per queued job in Redis | {kept.bytes_per_job:,.0f} bytes |",
        ]


_COLUMNS: Final = (
    "endpoints", "confirmation", "orders", "CPU s per 1,000 orders", "of it workers", "Redis", "÷ the HTTP calls alone",
    "verbs per HTTP call",
)  # fmt: skip
_HEAD: Final = (f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|")


def _row(runs: Sequence[Run], endpoints: Endpoints, confirm: Confirm, floor: float) -> str:
    mine = [run for run in runs if (run.endpoints, run.confirm) == (endpoints, confirm)]
    cells = [
        "single" if endpoints == "single" else "auto (20 a request)",
        confirm,
        f"{mine[0].orders:,} × {len(mine)} runs",
        f"**{median(run.cpu_s for run in mine):.3f}**",
        f"{median(run.workers_cpu_s for run in mine):.3f}",
        f"{median(run.redis_cpu_s for run in mine):.3f}",
        f"{median(run.cpu_s for run in mine) / floor:.1f}",
        f"{median(run.verbs_per_call for run in mine):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def measure_run(endpoints: Endpoints, confirm: Confirm, *, instruments: int, workers: int = 2) -> Run:
    """One bulk that fits into one window, on fresh workers."""
    names = tuple(f"COIN{number}-USDT" for number in range(instruments))
    settings = {"ACCOUNTS__DESK1__ENDPOINTS": endpoints, "CONFIRM": confirm}
    with Rig(workers=workers, config=Config(instruments=(*names, *WARM)), settings=settings) as rig:
        warm_up(rig, accounts=1)
        each = PER_INSTRUMENT[endpoints]
        asked = [row for name in names for row in orders(name, rig.exchange.control.place(DEFAULT_KEY.uid, name, each))]
        rig.exchange.control.reset_log()
        before = _Reading.of(rig)
        rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=asked, batch_id="bulk"))
        _wait(rig, "bulk")
        after = _Reading.of(rig)
        calls = rig.exchange.control.summary().arrivals
    return _run((endpoints, confirm), len(asked), calls, before, after)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Counters at one moment."""

    workers_s: float
    redis_s: float
    commands: dict[str, int]

    @classmethod
    def of(cls, rig: Rig) -> "_Reading":
        stats: dict[str, Any] = rig.store.redis.info("commandstats")
        commands = {name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in stats.items()}
        return cls(cpu_s(worker.pid for worker in rig.workers), cpu_s([rig.redis.pid]), commands)


def _run(kind: tuple[Endpoints, Confirm], count: int, calls: int, before: _Reading, after: _Reading) -> Run:
    commands = {name: (n - before.commands.get(name, 0)) / calls for name, n in after.commands.items()}
    return Run(
        *kind,
        count,
        calls,
        (after.workers_s - before.workers_s) / count * 1000,
        (after.redis_s - before.redis_s) / count * 1000,
        commands.get("evalsha", 0.0) + commands.get("eval", 0.0),
        {name: round(per_call, 3) for name, per_call in sorted(commands.items()) if per_call},
    )


def _wait(rig: Rig, batch_id: str) -> None:
    """Polls seldom, so that watching does not show in Redis's CPU time."""
    ends = time.monotonic() + 60
    while not rig.store.batches.state(batch_id).complete:
        if time.monotonic() > ends:
            raise TimeoutError(f"{batch_id} did not complete")
        time.sleep(0.1)


def measure_storage(count: int) -> Storage:
    """`count` orders in one batch, on a Redis without workers."""
    with queue_alone() as store:
        rows = [{"instId": "BTC-USDT-SWAP", "ordId": str(2510789768709120 + 1_000 * n)} for n in range(count)]
        memory, began = _memory(store.redis), time.perf_counter()
        asked = parse_cancel_orders(account="desk1", orders=rows, batch_id="bulk")
        parsed = time.perf_counter()
        store.admission.admit(asked)
        ended = time.perf_counter()
        return Storage(count / (ended - began), count / (ended - parsed), (_memory(store.redis) - memory) / count)


def _memory(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--tiny", action="store_true", help="nothing is kept")
    told = parser.parse_args(arguments)
    runs: list[Run] = []
    floors: dict[Endpoints, list[float]] = {"single": [], "auto": []}
    for number in range(1 if told.tiny else told.runs):
        for kind in KINDS:
            run = measure_run(*kind, instruments=2 if told.tiny else INSTRUMENTS)
            print(
                f"  {' '.join(kind)}, run {number + 1}: {run.cpu_s:.3f} s, {run.verbs_per_call:.2f} verbs a call",
                flush=True,
            )
            runs.append(run)
        for endpoints, found in floors.items():
            found.append(floor_cpu_s(INSTRUMENTS * PER_INSTRUMENT[endpoints] // 2, batched=endpoints == "auto"))
    bare = {endpoints: median(found) for endpoints, found in floors.items()}
    costs = Costs(tuple(runs), measure_storage(2_000 if told.tiny else ADMITTED), bare)
    print(costs.text)
    if not told.tiny:
        keep("cost", costs.text, costs)


if __name__ == "__main__":
    main()
