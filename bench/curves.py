"""Does a claim take longer when more is queued? Over 10³ to 10⁶ jobs and 1 to 2,000 lanes: `python -m bench.curves`."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from bench.report import UNKEPT, is_whole, keep
from bench.storage import UID, memory_bytes, queue_alone
from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.window import Timing

JOBS: Final = (1_000, 10_000, 100_000, 1_000_000)
LANES: Final = (1, 10, 100, 500, 1_000, 2_000)
JOBS_PER_LANE: Final = 50
FEWEST: Final = 2_000
"""Jobs at least, so that a single lane has enough for all the claims that its window allows."""

HOT_LANES: Final = 10
CLAIMS: Final = 100
"""Of one queue at most, and of one point in one round at least: a small one is filled as often as that takes."""

ROUNDS: Final = 3
CHUNK: Final = 50_000


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of one batch request (20 jobs), as the caller sees it and inside Redis."""

    caller_s: float
    redis_us: int


@dataclass(frozen=True, slots=True)
class Filled:
    """One queue: what was claimed after the admission, and what that took."""

    claims: tuple[Claim, ...]
    admitted_per_s: float
    redis_mb: float


@dataclass(frozen=True, slots=True)
class Point:
    """Medians over all claims and all queues of one size."""

    jobs: int
    lanes: int
    claims: int
    claim_ms: float
    in_redis_ms: float
    admitted_per_s: float
    redis_mb: float


def measure(jobs: int, lanes: int) -> list[Filled]:
    """One queue after the other, until there are enough claims."""
    found: list[Filled] = []
    while sum(len(filled.claims) for filled in found) < CLAIMS:
        found.append(_measure(jobs, lanes))
    return found


def _measure(jobs: int, lanes: int) -> Filled:
    with queue_alone() as store:
        began = time.perf_counter()
        _fill(store, jobs, lanes)
        admitted_per_s = jobs / (time.perf_counter() - began)
        mb = memory_bytes(store.redis) / 1e6  # waits until no rewrite of the file is in the way, too
        return Filled(tuple(_claims(store, lanes, jobs)), admitted_per_s, mb)


def _name(lane: int) -> str:
    return f"COIN{lane}-USDT"


def _fill(store: Store, jobs: int, lanes: int) -> None:
    for start in range(0, jobs, CHUNK):
        part = range(start, min(start + CHUNK, jobs))
        rows = [{"instId": _name(n % lanes), "ordId": str(2510789768709120 + n)} for n in part]
        store.admission.admit(parse_cancel_orders(account="desk1", orders=rows, batch_id=f"bulk{start}"))


def _claims(store: Store, lanes: int, jobs: int) -> list[Claim]:
    """In lanes taken in turn; a lane's window allows 15 batch requests, its jobs perhaps fewer."""
    each = min(15, max(1, jobs // lanes // 20))
    lanes_of = Lanes(store.scripts, Timing(2.0, 3.0), max_attempts=8, retention_s=3600)
    # the verb is loaded with its first run
    lanes_of.claim(f"{UID}/WARM-USDT", users_of(store.settings)[UID], permits=1)
    return [_claim(store, lanes_of, _name(number % lanes)) for number in range(min(CLAIMS, lanes * each))]


def _claim(store: Store, lanes: Lanes, name: str) -> Claim:
    user = users_of(store.settings)[UID]
    before_us, began = _in_verbs_us(store), time.perf_counter()
    claim = lanes.claim(f"{UID}/{name}", user, permits=1)
    caller_s = time.perf_counter() - began
    if len(claim.calls) != 1 or claim.calls[0].meter != "batch":
        raise RuntimeError(f"a claim in {name} got {len(claim.calls)} calls: {claim.reason}")
    return Claim(caller_s, _in_verbs_us(store) - before_us)


def _in_verbs_us(store: Store) -> int:
    """µs in verbs so far."""
    stats: dict[str, Any] = store.redis.info("commandstats")
    return int(stats["cmdstat_evalsha"]["usec"])


def text(by_jobs: Sequence[Point], by_lanes: Sequence[Point]) -> str:
    """The README's part."""
    head = "| queued jobs | lanes | claims | claim of 20 jobs | of it in Redis | admitted/s | Redis memory |"
    rows = map(_row, (*by_jobs, *by_lanes))
    pictures = "![claim over jobs](pictures/claim_by_jobs.png)\n![claim over lanes](pictures/claim_by_lanes.png)"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows, "", pictures])


def _row(at: Point) -> str:
    cells = [
        f"{at.jobs:,}",
        f"{at.lanes:,}",
        f"{at.claims:,}",
        f"{at.claim_ms:.2f} ms",
        f"{at.in_redis_ms:.2f} ms",
        f"{at.admitted_per_s:,.0f}",
        f"{at.redis_mb:,.0f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def _draw(name: str, points: Mapping[int, Point], *, xlabel: str) -> None:
    from bench.pictures import draw_curves  # noqa: PLC0415 (only a run that is kept draws)

    curves = {
        "as the worker sees it": {x: point.claim_ms for x, point in points.items()},
        "in Redis": {x: point.in_redis_ms for x, point in points.items()},
    }
    draw_curves(name, curves, title="A claim of 20 jobs with their slots", xlabel=xlabel)


def _medians(sizes: Sequence[tuple[int, int]], rounds: int) -> list[Point]:
    """Round by round, so that a slow minute of the machine is not taken for a slow claim."""
    found: dict[tuple[int, int], list[Filled]] = {size: [] for size in sizes}
    for number in range(rounds):
        for size, filled in found.items():
            filled.extend(measure(*size))
            print(f"  {size[0]:,} jobs in {size[1]:,} lanes, round {number + 1}", flush=True)
    return [_point(*size, filled) for size, filled in found.items()]


def _point(jobs: int, lanes: int, filled: Sequence[Filled]) -> Point:
    claims = [claim for each in filled for claim in each.claims]
    return Point(
        jobs,
        lanes,
        len(claims),
        claim_ms=median(claim.caller_s for claim in claims) * 1e3,
        in_redis_ms=median(claim.redis_us for claim in claims) / 1e3,
        admitted_per_s=median(each.admitted_per_s for each in filled),
        redis_mb=median(each.redis_mb for each in filled),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, draws, keeps."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--most", type=int, default=JOBS[-1], help="queued jobs at most (10⁶ need about 0.6 GB)")
    parser.add_argument("--tiny", action="store_true", help="2,000 jobs at most, one round")
    told = parser.parse_args(arguments)
    most = 2_000 if told.tiny else told.most
    rounds = 1 if told.tiny else ROUNDS
    by_jobs = _medians([(jobs, HOT_LANES) for jobs in JOBS if jobs <= most], rounds)
    spread = [(max(FEWEST, lanes * JOBS_PER_LANE), lanes) for lanes in LANES]
    by_lanes = _medians([point for point in spread if point[0] <= most], rounds)
    print(text(by_jobs, by_lanes))
    if is_whole(parser, told):
        _draw("claim_by_jobs", {point.jobs: point for point in by_jobs}, xlabel="queued jobs")
        _draw("claim_by_lanes", {point.lanes: point for point in by_lanes}, xlabel="lanes with work")
        keep("curves", text(by_jobs, by_lanes), (*by_jobs, *by_lanes))


if __name__ == "__main__":
    main()
