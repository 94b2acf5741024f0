"""Which figures must be reached, and are they? The bars of the task as data, judged against what is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench import measured
from bench.figures import Kept
from bench.window_simulation import FAR, NEAR


@dataclass(frozen=True, slots=True)
class Bar:
    """`of` finds one figure per round; the median and the worst are held against `limit`, written as `shown` says."""

    name: str
    limit: float
    of: measured.Reader
    shown: str = "{:.2f} s"
    at_least: bool = False

    def worst(self, values: Sequence[float]) -> float:
        """The one farthest on the wrong side."""
        return min(values) if self.at_least else max(values)

    def verdict(self, values: Sequence[float]) -> str:
        """Whether every round met it, the median only, or not even that."""
        if self._met(self.worst(values)):
            return "met"
        return "**median only**" if self._met(median(values)) else "**missed**"

    def _met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


BARS: Final = (
    Bar("1×300 flat", 0.12, measured.flat_s("1×300"), "{:.3f} s"),
    Bar("1×500 flat", 2.2, measured.flat_s("1×500")),
    Bar("8×500 flat", 2.5, measured.flat_s("8×500")),
    Bar("20×200 flat", 0.6, measured.flat_s("20×200")),
    Bar("200×50 flat", 1.5, measured.flat_s("200×50")),
    Bar("8×120 flat, single endpoint", 2.4, measured.flat_s("8×120, single endpoint")),
    Bar("refusals in a lap, every scenario", 0, measured.refusals, "{:.0f}"),
    Bar("orders left live in a lap, every scenario", 0, measured.left_live, "{:.0f}"),
    Bar("first byte p50", 10, measured.first_byte_ms(0.5), "{:.1f} ms"),
    Bar("first byte p99", 50, measured.first_byte_ms(0.99), "{:.1f} ms"),
    Bar("first byte p50 after seconds of quiet", 10, measured.first_byte_ms(0.5, idle=True), "{:.1f} ms"),
    Bar("first byte p99 after seconds of quiet", 50, measured.first_byte_ms(0.99, idle=True), "{:.1f} ms"),
    Bar(f"window use, {NEAR}", 0.96, measured.window_use(NEAR), "{:.1%}", at_least=True),
    Bar(f"window use, {FAR}", 0.90, measured.window_use(FAR), "{:.1%}", at_least=True),
    Bar("refusals in a run of window use", 0, measured.window_refusals, "{:.0f}"),
    Bar("CPU per 1,000 orders, single", 0.9, measured.cpu_s("single"), "{:.3f} s"),
    Bar("CPU per 1,000 orders, batched", 0.12, measured.cpu_s("auto"), "{:.3f} s"),
    Bar("verbs per HTTP call, single", 2, measured.verbs("single"), "{:.2f}"),
    Bar("verbs per HTTP call, batched", 2, measured.verbs("auto"), "{:.2f}"),
    Bar("memory per queued job", 600, measured.bytes_per_job("usual"), "{:.0f} bytes"),
    Bar("memory per queued job, longest ids", 600, measured.bytes_per_job("longest"), "{:.0f} bytes"),
    Bar("`submit()`", 20_000, measured.submitted_per_s, "{:,.0f} orders/s", at_least=True),
)

HEAD: Final = (
    "| | bar | `CONFIRM=off`: median | worst | | `CONFIRM=on`, the default: median | worst | |",
    "|---|---|---|---|---|---|---|---|",
)


def table(kept: Kept) -> str:
    """Markdown, one row per bar."""
    return "\n".join([*HEAD, *(_row(bar, bar.of(kept, "off"), bar.of(kept, "on")) for bar in BARS)])


def _row(bar: Bar, off: Sequence[float], on: Sequence[float]) -> str:
    limit = f"{'≥' if bar.at_least else '≤'} {bar.shown.format(bar.limit)}"
    return f"| {' | '.join([bar.name, limit, *_cells(bar, off), *_cells(bar, on)])} |"


def _cells(bar: Bar, values: Sequence[float]) -> list[str]:
    """Median, worst and verdict; dashes where it was not measured, and for the worst of one figure."""
    if not values:
        return ["–", "–", "–"]
    worst = _shown(bar, bar.worst(values)) if len(values) > 1 else "–"
    return [_shown(bar, median(values)), worst, bar.verdict(values)]


def _shown(bar: Bar, value: float) -> str:
    return "never" if value == measured.NEVER else bar.shown.format(value)
