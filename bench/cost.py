"""What does a job cost? CPU, Redis calls, memory, admission: `python -m bench.cost`."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

from bench.before import Build, before
from bench.cost_table import text
from bench.cpu import cpu_s
from bench.figures import Confirm, Costs, Endpoints, Ids, Run, Storage
from bench.floor import floor_cpu_s
from bench.report import UNKEPT, is_whole, keep
from bench.rigs import config_of, hand_in, open_orders, warm_rig
from bench.storage import measure_storage
from tests.support.rig import Rig

INSTRUMENTS: Final = 20
PER_INSTRUMENT: Final[Mapping[Endpoints, int]] = {"single": 60, "auto": 300}
"""As many as one window allows, so that nobody waits: what is measured is work."""

KINDS: Final[Sequence[tuple[Endpoints, Confirm]]] = (
    ("single", "off"),
    ("auto", "off"),
    ("single", "on"),
    ("auto", "on"),
)
IDS: Final[Sequence[Ids]] = ("usual", "longest")
RUNS: Final = 5
ADMITTED: Final = 50_000


def measure_run(
    endpoints: Endpoints, confirm: Confirm, *, instruments: int, workers: int = 2, build: Build | None = None
) -> Run:
    """One bulk that fits into one window, on fresh workers, of this checkout or of another build."""
    counts = {f"COIN{number}-USDT": PER_INSTRUMENT[endpoints] for number in range(instruments)}
    settings = {"ACCOUNTS__DESK1__ENDPOINTS": endpoints, "CONFIRM": confirm}
    with warm_rig(config_of(tuple(counts)), workers=workers, settings=settings, build=build) as rig:
        asked = open_orders(rig, counts)
        before = _Reading.of(rig)
        hand_in(rig, asked, batch_id="bulk")
        _wait(rig, "bulk")
        after = _Reading.of(rig)
        calls = rig.exchange.control.summary().arrivals
    run = _run((endpoints, confirm), len(asked), calls, before, after)
    return replace(run, build="before") if build else run


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


def measure(*, runs: int, instruments: int, admitted: int, old: Build | None) -> Costs:
    """Everything `runs` times, by turns, so that a busy minute hits all of it; `old`: what is compared."""
    found: list[Run] = []
    floors: dict[Endpoints, list[float]] = {endpoints: [] for endpoints in PER_INSTRUMENT}
    storages: list[Storage] = []
    for number in range(runs):
        for kind in KINDS:
            for build in (None, old) if old else (None,):
                found.append(measure_run(*kind, instruments=instruments, build=build))
                print(f"  {' '.join(kind)}, run {number + 1}, {found[-1].build}: {_brief(found[-1])}", flush=True)
        for endpoints, bare in floors.items():
            bare.append(floor_cpu_s(INSTRUMENTS * PER_INSTRUMENT[endpoints] // 2, batched=endpoints == "auto"))
        storages += [measure_storage(ids, admitted) for ids in IDS]
    return Costs(tuple(found), {endpoints: median(bare) for endpoints, bare in floors.items()}, tuple(storages))


def _brief(run: Run) -> str:
    return f"{run.cpu_s:.3f} s, {run.verbs_per_call:.2f} verbs a call"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, keeps."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--tiny", action="store_true", help="one run of a tenth")
    told = parser.parse_args(arguments)
    part = 10 if told.tiny else 1
    with before() as old:
        costs = measure(
            runs=1 if told.tiny else told.runs, instruments=INSTRUMENTS // part, admitted=ADMITTED // part, old=old
        )
    print(text(costs))
    if is_whole(parser, told):
        keep("cost", text(costs), costs)


if __name__ == "__main__":
    main()
