"""Who was how fast? The table of all scenarios from all laps: medians of times, the worst of the rest."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from bench.race import Lap

HEAD: Final = (
    "| contender | time to flat | ÷ legal minimum | refusals | left live | CPU s / 1,000 orders |",
    "|---|---|---|---|---|---|",
)


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
    cells = [
        laps[0].contender,
        _flat(laps),
        _ratio(laps),
        f"{max(lap.refusals for lap in laps):,}",
        f"{max(lap.live for lap in laps):,}",
        _cpu(laps),
    ]
    return f"| {' | '.join(cells)} |"


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
    flat = [lap.last_s for lap in laps if lap.last_s is not None and not lap.live and not lap.capped]
    if len(flat) < len(laps):
        return "–"
    minimum_s = laps[0].minimum_s
    return f"{median(flat) / minimum_s:.3f}" if minimum_s else f"minimum 0 s: + {median(flat) * 1000:.0f} ms"


def _cpu(laps: Sequence[Lap]) -> str:
    costs = [lap.cpu_s / lap.accepted * 1000 for lap in laps if lap.accepted]
    return f"{median(costs):.2f}" if costs else "–"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
