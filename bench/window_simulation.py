"""Why is a slot settled by its answer? A seeded simulation of the window rules under delay, without machine or network.

One lane with work without end. A rule says when a slot granted at `g`, arrived at `a` and answered at `s` may be
granted again; the exchange counts arrivals in a strict sliding window and refuses what is too much.

Run it with `python -m bench.window_simulation`.
"""

import argparse
import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.meters import Charge, Limits, Meters, max_in_window

LIMIT: Final = 60
WINDOW_US: Final = 2_000_000
GUARD_US: Final = 1_000
CALLS: Final = 20_000
SEED: Final = 4


@dataclass(frozen=True, slots=True)
class Trip:
    """One call: granted, arrived at the exchange, answered; µs."""

    granted: int
    arrived: int
    answered: int


@dataclass(frozen=True, slots=True)
class Rule:
    """`free_at` says when the slot of a trip is free again."""

    name: str
    free_at: Callable[[Trip], int]


RULES: Final = (
    Rule("grant time, exact", lambda trip: trip.granted + WINDOW_US),
    Rule("grant time + 50 ms margin", lambda trip: trip.granted + WINDOW_US + 50_000),
    Rule("grant time + 200 ms margin", lambda trip: trip.granted + WINDOW_US + 200_000),
    Rule("open until answered, then settled (ours)", lambda trip: trip.answered + WINDOW_US + GUARD_US),
    Rule("settled by the exchange's own stamp", lambda trip: max(trip.answered, trip.arrived + WINDOW_US + GUARD_US)),
)
"""The last one needs the exchange's clock in the answer, and trust in it."""

OURS: Final = RULES[3]

NEAR: Final = "10 ms + exp(10 ms)"
FAR: Final = "50 ms + exp(20 ms), 1 % 200 ms late"

DELAYS: Final = {
    "20 ± 5 ms": Network(delay_ms=15, jitter_ms=10),
    NEAR: Network(delay_ms=10, exp_ms=10),
    FAR: Network(delay_ms=50, exp_ms=20, tail_share=0.01, tail_ms=200),
}
"""One way; the way in and the way out are drawn each for itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule does under a delay: `refused` share of calls, `use` share of the allowed rate, worst window."""

    rule: str
    delay: str
    refused: float
    use: float
    most_in_window: int


def simulate(rule: Rule, delay: Network, *, calls: int = CALLS, seed: int = SEED) -> list[Trip]:
    """All trips in order of their grants; the same for the same seed."""
    dice = random.Random(seed)
    free = [0] * LIMIT
    trips = []
    for _ in range(calls):
        trip = _travel(heapq.heappop(free), delay, dice)
        heapq.heappush(free, rule.free_at(trip))
        trips.append(trip)
    return trips


def judge(rule: Rule, delay_name: str, trips: Sequence[Trip]) -> Finding:
    """Counts as the exchange does, at arrival."""
    arrivals = sorted(trip.arrived for trip in trips)
    meters = Meters(Limits(window_ms=WINDOW_US // 1_000, single=LIMIT))
    accepted = [at for at in arrivals if meters.admit([Charge("single", "lane", 1)], at)]
    least_us = (-(-len(accepted) // LIMIT) - 1) * WINDOW_US
    return Finding(
        rule.name,
        delay_name,
        refused=1 - len(accepted) / len(arrivals),
        use=least_us / (accepted[-1] - accepted[0]),
        most_in_window=max_in_window(arrivals, WINDOW_US),
    )


def table(findings: Sequence[Finding]) -> str:
    """Markdown, one row per rule, refused calls and use of the rate per delay."""
    delays = list(dict.fromkeys(finding.delay for finding in findings))
    head = f"| a slot is free again one window after | {' | '.join(f'{delay}: refused | use' for delay in delays)} |"
    rows = [_row(name, [each for each in findings if each.rule == name]) for name in _rules(findings)]
    return "\n".join([head, "|---|" + "---|---|" * len(delays), *rows])


def _rules(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.rule for finding in findings))


def _row(name: str, findings: Sequence[Finding]) -> str:
    cells = (f"{finding.refused:.2%} | {finding.use:.1%}" for finding in findings)
    return f"| {name} | {' | '.join(cells)} |"


def _travel(granted: int, delay: Network, dice: random.Random) -> Trip:
    arrived = granted + delay.draw_us(dice)
    return Trip(granted, arrived, arrived + delay.draw_us(dice))


def compare(*, calls: int = CALLS, seed: int = SEED) -> list[Finding]:
    """Every rule under every delay."""
    return [
        judge(rule, name, simulate(rule, delay, calls=calls, seed=seed))
        for rule in RULES
        for name, delay in DELAYS.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Compares, keeps."""
    from bench.report import UNKEPT, is_whole, keep  # noqa: PLC0415 (the simulation itself is without a Redis)

    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--tiny", action="store_true", help="a tenth of the calls")
    told = parser.parse_args(arguments)
    findings = compare(calls=told.calls // 10 if told.tiny else told.calls, seed=told.seed)
    print(table(findings))
    if is_whole(parser, told):
        keep("window_simulation", table(findings), findings)


if __name__ == "__main__":
    main()
