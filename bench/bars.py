"""Which figures must be reached, and are they? The bars of the task as data, judged against what is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench import measured
from bench.before import COMMIT
from bench.figures import Confirm, Kept
from bench.window_simulation import FAR, NEAR


@dataclass(frozen=True, slots=True)
class Bar:
    """`of` finds one figure per round; the median and the worst are held against `limit`, written as `shown` says.

    `only`: the way of confirming that the limit is for. `before`: what the build before had, when the limit was set.
    """

    name: str
    limit: float
    of: measured.Reader
    shown: str = "{:.2f} s"
    at_least: bool = False
    only: Confirm | None = None
    before: str = "–"

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


HUNDRED: Final = "100 accounts × 8 × 50"
MB: Final = "{:.0f} MB"
_OLD: Final = COMMIT[:7]

_BY_CELERY: Final = "first byte by Celery's `send_task()`"
_NOT_WORSE: Final = {0.5: 1.05, 0.99: 1.25}
"""The p99 is that of three samples."""

BARS: Final = (
    Bar("1×300 flat", 0.12, measured.flat_s("1×300"), "{:.3f} s"),
    Bar("1×500 flat", 2.2, measured.flat_s("1×500")),
    Bar("8×500 flat", 2.5, measured.flat_s("8×500")),
    Bar("20×200 flat", 0.6, measured.flat_s("20×200")),
    Bar("200×50 flat", 1.5, measured.flat_s("200×50")),
    Bar("8×120 flat, single endpoint", 2.4, measured.flat_s("8×120, single endpoint")),
    Bar("refusals in a lap, every scenario", 0, measured.refusals, "{:.0f}"),
    Bar("orders left live in a lap, every scenario", 0, measured.left_live, "{:.0f}"),
    Bar("first byte p50", 10, measured.first_byte_ms(0.5), "{:.1f} ms", before="2.8 ms"),
    Bar("first byte p99", 50, measured.first_byte_ms(0.99), "{:.1f} ms", before="4.0 ms"),
    Bar("first byte p50 after seconds of quiet", 10, measured.first_byte_ms(0.5, idle=True), "{:.1f} ms"),
    Bar("first byte p99 after seconds of quiet", 50, measured.first_byte_ms(0.99, idle=True), "{:.1f} ms"),
    Bar(
        "first byte by Celery's `send_task()` p50", 10, measured.celery_first_byte_ms(0.5), "{:.1f} ms", before="5.2 ms"
    ),
    Bar(
        "first byte by Celery's `send_task()` p99",
        50,
        measured.celery_first_byte_ms(0.99),
        "{:.1f} ms",
        before="8.6 ms",
    ),
    *(
        Bar(f"{name} p{share * 100:.0f} ÷ that of {_OLD}", limit, reader(share), "{:.2f}", before="1")
        for name, reader in (("first byte", measured.first_byte_of_before), (_BY_CELERY, measured.celery_of_before))
        for share, limit in _NOT_WORSE.items()
    ),
    Bar(f"window use, {NEAR}", 0.96, measured.window_use(NEAR), "{:.1%}", at_least=True),
    Bar(f"window use, {FAR}", 0.90, measured.window_use(FAR), "{:.1%}", at_least=True),
    Bar("refusals in a run of window use", 0, measured.window_refusals, "{:.0f}"),
    Bar("CPU per 1,000 orders, single", 0.9, measured.cpu_s("single"), "{:.3f} s"),
    Bar("CPU per 1,000 orders, batched", 0.12, measured.cpu_s("auto"), "{:.3f} s"),
    Bar(
        f"CPU ÷ that of {_OLD}, single",
        0.65,
        measured.cpu_of_before("single", "off"),
        "{:.2f}",
        before="1",
    ),
    Bar(
        f"CPU ÷ that of {_OLD}, batched",
        0.55,
        measured.cpu_of_before("auto", "on"),
        "{:.2f}",
        before="1",
    ),
    Bar("CPU confirming ÷ not, batched", 1.5, measured.cpu_of_confirming("auto"), "{:.2f}", before="2.3"),
    Bar(f"flat confirming ÷ not, {HUNDRED}", 1.3, measured.flat_ratio(HUNDRED), "{:.2f}", before="2.8"),
    Bar("flat confirming ÷ not, 200×50", 1.25, measured.flat_ratio("200×50"), "{:.2f}", before="1.9"),
    Bar(
        "200×50: times as fast as ccxt, confirming",
        11,
        measured.faster_than("ccxt", "200×50"),
        "{:.1f}",
        at_least=True,
        only="on",
        before="6.8",
    ),
    Bar(
        f"orders for 1 s of Redis's CPU, {HUNDRED}",
        28_000,
        measured.orders_per_redis_s(HUNDRED),
        "{:,.0f}",
        at_least=True,
        only="off",
        before="20,000",
    ),
    Bar(
        f"orders for 1 s of Redis's CPU, {HUNDRED}, confirming",
        18_000,
        measured.orders_per_redis_s(HUNDRED),
        "{:,.0f}",
        at_least=True,
        only="on",
        before="11,000",
    ),
    Bar(
        f"orders for 1 s of Redis's CPU ÷ those of {_OLD}, {HUNDRED}",
        1.4,
        measured.orders_per_redis_s_of_before(HUNDRED, "off"),
        "{:.2f}",
        at_least=True,
        only="off",
        before="1",
    ),
    Bar(
        f"orders for 1 s of Redis's CPU ÷ those of {_OLD}, {HUNDRED}, confirming",
        1.64,
        measured.orders_per_redis_s_of_before(HUNDRED, "on"),
        "{:.2f}",
        at_least=True,
        only="on",
        before="1",
    ),
    Bar("memory of a worker for 100 accounts, start", 110, measured.listening_mb(after=False), MB, before="170 MB"),
    Bar("the same after 40,000 orders", 140, measured.listening_mb(after=True), MB, before="280 MB"),
    Bar("verbs per HTTP call, single", 2, measured.verbs("single"), "{:.2f}"),
    Bar("verbs per HTTP call, batched", 2, measured.verbs("auto"), "{:.2f}"),
    Bar("memory per queued job", 600, measured.bytes_per_job("usual"), "{:.0f} bytes"),
    Bar("memory per queued job, longest ids", 600, measured.bytes_per_job("longest"), "{:.0f} bytes"),
    Bar("`submit()`", 20_000, measured.submitted_per_s, "{:,.0f} orders/s", at_least=True),
)

HEAD: Final = (
    "| | bar | before | `CONFIRM=off`: median | worst | | `CONFIRM=on`, the default: median | worst | |",
    "|---|---|---|---|---|---|---|---|---|",
)


def table(kept: Kept) -> str:
    """Markdown, one row per bar."""
    return "\n".join([*HEAD, *(_row(bar, _values(bar, kept, "off"), _values(bar, kept, "on")) for bar in BARS)])


def _values(bar: Bar, kept: Kept, confirm: Confirm) -> Sequence[float]:
    return bar.of(kept, confirm) if bar.only in {None, confirm} else ()


def _row(bar: Bar, off: Sequence[float], on: Sequence[float]) -> str:
    limit = f"{'≥' if bar.at_least else '≤'} {bar.shown.format(bar.limit)}"
    return f"| {' | '.join([bar.name, limit, bar.before, *_cells(bar, off), *_cells(bar, on)])} |"


def _cells(bar: Bar, values: Sequence[float]) -> list[str]:
    """Median, worst and verdict; dashes where it was not measured, and for the worst of one figure."""
    if not values:
        return ["–", "–", "–"]
    worst = _shown(bar, bar.worst(values)) if len(values) > 1 else "–"
    return [_shown(bar, median(values)), worst, bar.verdict(values)]


def _shown(bar: Bar, value: float) -> str:
    return "never" if value == measured.NEVER else bar.shown.format(value)
