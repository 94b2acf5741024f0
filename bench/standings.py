"""Who was how fast? The table of all scenarios from all laps: medians of times, the worst of the rest."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from bench.figures import Lap

COLUMNS: Final = (
    "contender", "first call", "hand-in", "time to flat", "÷ legal minimum", "refused of calls", "left live",
    "CPU s / 1,000 orders",
)  # fmt: skip
HEAD: Final = (f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|")


def standings(laps: Sequence[Lap]) -> str:
    """Markdown: one table per scenario, in the order in which they were run."""
    parts = [_table([lap for lap in laps if lap.scenario == name]) for name in _distinct(lap.scenario for lap in laps)]
    return "\n\n".join(parts)


def _table(laps: Sequence[Lap]) -> str:
    first = laps[0]
    rounds = max(sum(lap.contender == name for lap in laps) for name in _distinct(lap.contender for lap in laps))
    title = f"**{first.scenario}**: {first.orders:,} orders, legal minimum {first.minimum_s:.1f} s, rounds: {rounds}"
    rows = [_row([lap for lap in laps if lap.contender == name]) for name in _distinct(lap.contender for lap in laps)]
    return "\n".join([title, "", *HEAD, *rows])


def _row(laps: Sequence[Lap]) -> str:
    most_refused = max(laps, key=lambda lap: lap.refusals)
    cells = [
        laps[0].contender,
        _usual(lap.first_s for lap in laps),
        _usual(lap.handed_in_s for lap in laps),
        _flat(laps),
        _ratio(laps),
        f"{most_refused.refusals:,} of {most_refused.calls:,}",
        f"{max(lap.live for lap in laps):,}",
        _cpu(laps),
    ]
    return f"| {' | '.join(cells)} |"


def _usual(times: Iterable[float | None]) -> str:
    known = [each for each in times if each is not None]
    return _time(median(known)) if known else "–"


def _flat(laps: Sequence[Lap]) -> str:
    """Median time, or what was reached instead of being flat."""
    lasts = [lap.last_s for lap in laps if lap.last_s is not None]
    if not lasts:
        return "nothing was accepted"
    if any(lap.capped for lap in laps):
        return f"capped: {min(lap.accepted for lap in laps):,} accepted after {median(lasts):.1f} s"
    never = any(lap.live for lap in laps)
    return f"never (last accepted at {_time(median(lasts))})" if never else _time(median(lasts))


def _ratio(laps: Sequence[Lap]) -> str:
    """Over the legal minimum; where that is 0 s there is no ratio."""
    flat = [lap.flat_s for lap in laps if lap.flat_s is not None]
    if len(flat) < len(laps):
        return "–"
    minimum_s = laps[0].minimum_s
    return f"{median(flat) / minimum_s:.3f}" if minimum_s else f"minimum 0 s: + {median(flat) * 1000:.0f} ms"


def _cpu(laps: Sequence[Lap]) -> str:
    """By accepted order; of a lap in which less than half was accepted that would tell nothing."""
    costs = [lap.cpu_s / lap.accepted * 1000 for lap in laps if lap.accepted and 2 * lap.accepted >= lap.orders]
    return f"{median(costs):.2f}" if costs else "–"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
