"""Does a claim take longer when more is queued? Over 10³ to 10⁶ jobs and 1 to 2,000 lanes: `python -m bench.curves`."""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from bench.report import keep
from tasks.messages import parse_cancel_orders
from worker.embedded import EmbeddedRedis
from worker.lanes import Lanes
from worker.settings import Settings
from worker.store import Store, adopt, open_store
from worker.users import users_of
from worker.window import Timing

UID: Final = "1001"
JOBS: Final = (1_000, 10_000, 100_000, 1_000_000)
LANES: Final = (1, 10, 100, 500, 1_000, 2_000)
JOBS_PER_LANE: Final = 50
FEWEST: Final = 2_000
"""Jobs at least, so that a single lane has enough for all the claims that its window allows."""

HOT_LANES: Final = 10
CLAIMS: Final = 100
ROUNDS: Final = 3
CHUNK: Final = 50_000
PREFIX: Final = "no variable of BULK_CANCEL_"


@dataclass(frozen=True, slots=True)
class Point:
    """A claim of one batch request (20 jobs) in ms, as the caller sees it and inside Redis, after an admission."""

    jobs: int
    lanes: int
    claim_ms: float
    in_redis_ms: float
    admitted_per_s: float
    redis_mb: float


@contextmanager
def queue_alone() -> Iterator[Store]:
    """A Redis that only holds lanes: no worker, no exchange."""
    account = {"api_key": "k", "api_secret": "s", "passphrase": "p", "uid": UID}
    with EmbeddedRedis() as redis:
        plain: dict[str, Any] = {"redis_url": redis.url, "accounts": {"desk1": account}}
        store = open_store(Settings(_env_prefix=PREFIX, _env_file=None, **plain))
        with closing(store.redis):
            adopt(store)
            yield store


def measure(jobs: int, lanes: int) -> Point:
    """Admits `jobs` over `lanes`, then claims in lanes taken in turn."""
    with queue_alone() as store:
        began = time.perf_counter()
        _fill(store, jobs, lanes)
        admitted_per_s = jobs / (time.perf_counter() - began)
        before = _in_script(store)
        times = _claim(store, lanes, jobs)
        calls, usec = (after - early for after, early in zip(_in_script(store), before, strict=True))
        mb = int(store.redis.info("memory")["used_memory"]) / 1e6
    return Point(jobs, lanes, median(times) * 1e3, usec / calls / 1e3, admitted_per_s, mb)


def _name(lane: int) -> str:
    return f"COIN{lane}-USDT"


def _fill(store: Store, jobs: int, lanes: int) -> None:
    for start in range(0, jobs, CHUNK):
        part = range(start, min(start + CHUNK, jobs))
        rows = [{"instId": _name(n % lanes), "ordId": str(2510789768709120 + n)} for n in part]
        store.admission.admit(parse_cancel_orders(account="desk1", orders=rows, batch_id=f"bulk{start}"))


def _claim(store: Store, lanes: int, jobs: int) -> list[float]:
    """Seconds of each claim; a lane's window allows 15 batch requests, its jobs perhaps fewer."""
    user = users_of(store.settings)[UID]
    each = min(15, max(1, jobs // lanes // 20))
    claims = Lanes(store.scripts, Timing(2.0, 3.0), max_attempts=8, retention_s=3600)
    claims.claim(f"{UID}/WARM-USDT", user, permits=1)  # the verb is loaded with its first run
    times = []
    for number in range(min(CLAIMS, lanes * each)):
        began = time.perf_counter()
        grant = claims.claim(f"{UID}/{_name(number % lanes)}", user, permits=1)
        times.append(time.perf_counter() - began)
        if len(grant.calls) != 1 or grant.calls[0].meter != "batch":
            raise RuntimeError(f"claim {number} got {len(grant.calls)} calls: {grant.reason}")
    return times


def _in_script(store: Store) -> tuple[int, int]:
    """Runs of verbs and the µs in them so far."""
    stats: dict[str, Any] = store.redis.info("commandstats")
    row = stats["cmdstat_evalsha"]
    return int(row["calls"]), int(row["usec"])


def text(by_jobs: Sequence[Point], by_lanes: Sequence[Point]) -> str:
    """The README's part."""
    head = "| queued jobs | lanes | claim of 20 jobs | of it in Redis | admitted/s | Redis memory |"
    rows = (
        f"| {at.jobs:,} | {at.lanes:,} | {at.claim_ms:.2f} ms | {at.in_redis_ms:.2f} ms | {at.admitted_per_s:,.0f} | "
        f"{at.redis_mb:,.0f} MB |"
        for at in (*by_jobs, *by_lanes)
    )
    pictures = "![claim over jobs](pictures/claim_by_jobs.png)\n![claim over lanes](pictures/claim_by_lanes.png)"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows, "", pictures])


def _draw(name: str, points: Mapping[int, Point], *, xlabel: str) -> None:
    from bench.pictures import draw_curves  # noqa: PLC0415 (a tiny run draws nothing)

    curves = {
        "as the worker sees it": {x: point.claim_ms for x, point in points.items()},
        "in Redis": {x: point.in_redis_ms for x, point in points.items()},
    }
    draw_curves(name, curves, title="A claim of 20 jobs with their slots", xlabel=xlabel)


def _medians(points: Sequence[tuple[int, int]], rounds: int) -> list[Point]:
    """Round by round, so that a slow minute of the machine is not taken for a slow claim."""
    found = [[_measured(*point) for point in points] for _ in range(rounds)]
    return [sorted(same, key=lambda point: point.claim_ms)[rounds // 2] for same in zip(*found, strict=True)]


def _measured(jobs: int, lanes: int) -> Point:
    point = measure(jobs, lanes)
    print(f"  {jobs:,} jobs in {lanes:,} lanes: a claim {point.claim_ms:.2f} ms", flush=True)
    return point


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, draws, keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=JOBS[-1], help="queued jobs at most (10⁶ need about 0.6 GB)")
    parser.add_argument("--tiny", action="store_true", help="nothing is kept")
    told = parser.parse_args(arguments)
    most = 2_000 if told.tiny else told.most
    rounds = 1 if told.tiny else ROUNDS
    by_jobs = _medians([(jobs, HOT_LANES) for jobs in JOBS if jobs <= most], rounds)
    spread = [(max(FEWEST, lanes * JOBS_PER_LANE), lanes) for lanes in LANES]
    by_lanes = _medians([point for point in spread if point[0] <= most], rounds)
    print(text(by_jobs, by_lanes))
    if not told.tiny:
        _draw("claim_by_jobs", {point.jobs: point for point in by_jobs}, xlabel="queued jobs")
        _draw("claim_by_lanes", {point.lanes: point for point in by_lanes}, xlabel="lanes with work")
        keep("curves", text(by_jobs, by_lanes), (*by_jobs, *by_lanes))


if __name__ == "__main__":
    main()
