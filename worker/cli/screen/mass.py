"""A mass cancel on the screen: a live view, then its report as lines and tables."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.books.mass.report import MassReport, NotOff
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.live import LINE_S, Bars
from bulk_cancel.worker.cli.screen.mass_words import empty_s, filters_words, listing_words, scope_words
from bulk_cancel.worker.cli.screen.output import STYLES, clean, iso, number, plural, styled, table
from bulk_cancel.worker.cli.screen.render import counts_text
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.statuses import DEAD, OFF_THE_BOOK, OUTCOMES, Status

ORDERS_NAMED: Final = 1_000
_EMPTY: Final = "empty s"

Progress = Sequence[tuple[Mass, BatchState]]


class MassProgress:
    """Mass cancels on their way, on stderr: bars, or a line now and then without a terminal."""

    def __init__(self) -> None:
        self._bars = Bars()
        self._told_at, self._told = 0.0, ""

    def follow(self, progress: Iterable[Progress]) -> Progress:
        """Shows each state; returns the last one."""
        last: Progress = ()
        with self._bars:
            for last in progress:
                self._draw(last)
        return last

    def _draw(self, now: Progress) -> None:
        size = sum(state.size for _, state in now)
        counts = sum((Counter(state.counts) for _, state in now), Counter[str]())
        done = {"ended": size - sum(state.waiting for _, state in now), **counts}
        total = dict.fromkeys(done, size)
        asked_s = max(mass.until_flat_s for mass, _ in now)
        if asked_s:
            done[_EMPTY], total[_EMPTY] = round(min(empty_s(mass) for mass, _ in now)), round(asked_s)
        self._bars.draw(done, total, STYLES)
        if self._bars.hidden:
            self._line(now, done["ended"], size, counts)
        else:
            self._trouble(now)

    def _trouble(self, now: Progress) -> None:
        """Above the bars, which cannot say it."""
        words = "; ".join(listing_words(mass) for mass, _ in now if mass.trouble and not mass.ended)
        if words and words != self._told:
            self._bars.say(words)
        self._told = words

    def _line(self, now: Progress, ended: int, size: int, counts: Mapping[str, int]) -> None:
        line = f"{ended:,} of {size:,} found ended" + (f": {_counts(counts)}" if counts else "")
        line += "".join(f"; {words}" for words in dict.fromkeys(listing_words(mass) for mass, _ in now))
        over = all(mass.ended and state.complete for mass, state in now)
        if line != self._told and (over or time.monotonic() - self._told_at >= LINE_S):
            sys.stderr.write(f"{line}\n")
            self._told_at, self._told = time.monotonic(), line


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number(count)} {name}" for name, count in sorted(counts.items()) if count)


def report_parts(report: MassReport) -> list[RenderableType]:
    """One report as a person reads it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _facts(report):
        grid.add_row(name, value)
    return [grid, *_not_off(report.not_off)]


def _facts(report: MassReport) -> list[tuple[str, str | Text]]:
    applied = [("by the exchange: ", report.scope.by_exchange), ("by us: ", report.scope.by_us)]
    how = "; ".join(f"{who}{filters_words(filters)}" for who, filters in applied if filters)
    flat = f"; until empty for {report.until_flat_s:g} s" if report.until_flat_s else ""
    facts: list[tuple[str, str | Text]] = [
        ("mass cancel", clean(report.batch_id)),
        ("account", report.account),
        ("scope asked", scope_words(report.scope) + flat),
        ("scope applied", how or "no filter"),
        ("matched", _matched(report)),
        ("not affected", _not_affected(report) if report.listings else "not known"),
        ("started", iso(report.started_at)),
        *_end(report),
        ("listings", f"{number(report.listings)} complete, {plural(report.calls, 'reading call')}"),
    ]
    optional = (("trouble", report.trouble), ("reason", report.reason), ("requested by", report.requested_by))
    facts += [(name, clean(value)) for name, value in optional if value]
    return [*facts, ("result", _result(report))]


def _matched(report: MassReport) -> Text:
    counts = {**report.outcomes, "waiting": report.waiting}
    if not report.matched:
        return Text("nothing was open in this scope" if report.listings else "not known: no listing is complete")
    shown = sorted((name for name, count in counts.items() if count), key=_rank)
    said = Text.assemble(
        f"{number(report.matched)} = ", Text(" + ").join(counts_text({name: counts[name]}) for name in shown)
    )
    if report.partly_filled:
        said.append(f"; {number(report.partly_filled)} partly filled", "bold yellow")
    return said if report.adds_up else Text.assemble(said, ("  does not add up", "bold red"))


def _rank(name: str) -> int:
    """Orders that wait come last."""
    return OUTCOMES.index(Status(name)) if name in OUTCOMES else len(OUTCOMES)


def _not_affected(report: MassReport) -> str:
    listed = [f"{plural(count, 'order')}: {clean(why)}" for why, count in sorted(report.not_affected.items())]
    unseen = [f"not listed and not counted: {report.scope.not_listed}"] if report.scope.not_listed else []
    return "; ".join([", ".join(listed) or "none that was listed", *unseen])


def _end(report: MassReport) -> list[tuple[str, str]]:
    if report.until_flat_s:
        since = (report.flat_at - report.started_at).total_seconds() if report.flat_at else 0.0
        flat = f"{iso(report.flat_at)}, {since:.1f} s after the start" if report.flat_at else "not"
        if report.still_open:
            flat += f": {plural(report.still_open, 'order')} still open at the last complete listing"
        return [("flat at", flat)]
    if report.state == "done" and report.ended_at:
        return [("listed", iso(report.ended_at))]
    return [("listed", "not completely" if report.ended_at else f"not yet; deadline {iso(report.deadline_at)}")]


def _result(report: MassReport) -> Text:
    return Text("; ".join(filter(None, (_state(report), _left(report)))), style=_style(report))


def _style(report: MassReport) -> str:
    if report.state == "running":
        return "yellow"
    return "bold green" if report.succeeded else "bold red"


def _left(report: MassReport) -> str:
    waiting = f"{plural(report.waiting, 'order')} without an outcome yet" if report.waiting else ""
    dead = f"{plural(report.dead, 'order')} without a confirmed end" if report.dead else ""
    others = sorted(set(report.outcomes) - {*OFF_THE_BOOK, *DEAD})
    open_ = [f"{plural(report.outcomes[name], 'order')} {name}" for name in others if report.outcomes[name]]
    return "; ".join(filter(None, (waiting, dead, *open_)))


def _state(report: MassReport) -> str:
    return {
        "running": f"still running, until {iso(report.deadline_at)} at most",
        "done": "listed once" + (", and all of it is off the book" if report.matched and not report.not_off else ""),
        "flat": "flat",
        "not flat": "NOT FLAT: the deadline passed first",
        "not read": "NOT READ: the deadline passed before one listing was complete; orders may be live",
        "withdrawn": "withdrawn by an operator",
    }[report.state]


def _not_off(orders: Sequence[NotOff]) -> list[RenderableType]:
    """The orders whose end is not confirmed, by name."""
    if not orders:
        return []
    made = table("not off the book", "order", "client id", "status", "sCode", "message", flexible=("message",))
    for order in orders[:ORDERS_NAMED]:
        names = (order.instId, order.ordId or "", clean(order.clOrdId or ""))
        made.add_row(*names, styled(order.status), order.sCode or "", clean(order.sMsg or ""))
    more = len(orders) - ORDERS_NAMED
    return [Text(), made, *([Text(f"and {number(more)} more; --json names all")] if more > 0 else [])]
