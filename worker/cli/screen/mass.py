"""A mass cancel on the screen: a live view, then its report as lines and tables."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from bulk_cancel.worker.books.able import NOT_MADE
from bulk_cancel.worker.books.mass.report import MassReport, NotOff
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.live import LINE_S, Bars
from bulk_cancel.worker.cli.screen.mass_words import (
    empty_s,
    filters_words,
    listed_words,
    listing_words,
    product_facts,
    scope_words,
    survey_facts,
)
from bulk_cancel.worker.cli.screen.output import STYLES, clean, fact_grid, number, plural, styled, table
from bulk_cancel.worker.cli.screen.render import counts_text
from bulk_cancel.worker.operators.shapes import iso
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
        line = f"{ended:,} of {size:,} found ended" + (f": {counts_text(counts)}" if counts else "")
        line += "".join(f"; {words}" for words in dict.fromkeys(listing_words(mass) for mass, _ in now))
        over = all(mass.ended and state.complete for mass, state in now)
        if line != self._told and (over or time.monotonic() - self._told_at >= LINE_S):
            sys.stderr.write(f"{line}\n")
            self._told_at, self._told = time.monotonic(), line


def _earliest(report: MassReport) -> list[tuple[str, str | Text]]:
    """What the limits make the last order wait, as far as orders were found."""
    return [("limits allow all by", iso(report.earliest_done_at))] if report.earliest_done_at else []


def report_parts(report: MassReport) -> list[RenderableType]:
    """One report as a person reads it."""
    return [fact_grid(_facts(report)), *_not_off(report.not_off)]


def _facts(report: MassReport) -> list[tuple[str, str | Text]]:
    applied = [("by the exchange: ", report.scope.by_exchange), ("by us: ", report.scope.by_us)]
    how = "; ".join(f"{who}{filters_words(filters)}" for who, filters in applied if filters)
    flat = f"; until empty for {report.until_flat_s:g} s" if report.until_flat_s else ""
    flat += "; on hold until released" if report.hold else ""
    facts: list[tuple[str, str | Text]] = [
        ("mass cancel", clean(report.batch_id)),
        ("account", report.account),
        ("scope asked", scope_words(report.scope) + flat),
        ("scope applied", how or "no filter"),
        ("matched", _matched(report)),
        ("not affected", _not_affected(report) if report.listings else "not known"),
        ("started", iso(report.started_at)),
        *_end(report),
        *([] if report.over else _earliest(report)),
        ("listings", f"{number(report.listings)} complete, {plural(report.calls, 'reading call')}"),
    ]
    optional = (("trouble", report.trouble), ("reason", report.reason), ("requested by", report.requested_by))
    facts += [(name, clean(value)) for name, value in optional if value]
    beyond = [*product_facts(report.products), *_survey(report)]
    facts += [(name, Text(clean(words), style=style)) for name, words, style in beyond]
    if report.over or (report.on_hold and report.survey):
        facts += [("complete", Text("yes" if report.complete else "NO", style="" if report.complete else "bold red"))]
    return [*facts, ("result", _result(report))]


def _survey(report: MassReport) -> list[tuple[str, str, str]]:
    """Beside its orders: what else can place some."""
    if report.survey:
        return survey_facts(report.survey)
    if report.over:
        return survey_facts(NOT_MADE)
    return [("not known", "what else can place orders: it is looked at in the end", "")]


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
    if report.until_flat_s or report.hold:
        since = (report.flat_at - report.started_at).total_seconds() if report.flat_at else 0.0
        flat = f"{iso(report.flat_at)}, {since:.1f} s after the start" if report.flat_at else "not"
        if report.still_open:
            what = ("order or product", "orders and products") if report.products.kinds else ("order",)
            flat += f": {plural(report.still_open, *what)} still open at the last complete listing"
        return [("flat at", flat)]
    if report.state == "done" and report.ended_at:
        return [("listed", iso(report.ended_at))]
    return [("listed", "not completely" if report.ended_at else f"not yet; deadline {iso(report.deadline_at)}")]


def _result(report: MassReport) -> Text:
    able = "what is left can still place orders" if report.survey and report.survey.able else ""
    unknown = "what else can place orders is not known" if report.over and not _surveyed(report) else ""
    said = (_state(report), _left(report), able, unknown)
    return Text("; ".join(filter(None, said)), style=_style(report))


def _surveyed(report: MassReport) -> bool:
    """Whether all of what else can place orders is known."""
    return report.survey is not None and not report.survey.unknown


def _style(report: MassReport) -> str:
    if report.state == "running" and not report.succeeded:
        return "yellow"
    return "bold green" if report.succeeded else "bold red"


def _left(report: MassReport) -> str:
    waiting = f"{plural(report.waiting, 'order')} without an outcome yet" if report.waiting else ""
    dead = f"{plural(report.dead, 'order')} without a confirmed end" if report.dead else ""
    others = sorted(set(report.outcomes) - {*OFF_THE_BOOK, *DEAD})
    open_ = [f"{plural(report.outcomes[name], 'order')} {name}" for name in others if report.outcomes[name]]
    return "; ".join(filter(None, (waiting, dead, *open_)))


def _held(report: MassReport) -> str:
    until = f"until bulk-cancel release {clean(report.batch_id)}"
    if report.held_flat:
        return f"on hold, and flat: whatever comes is cancelled, {until}"
    late = f"NOT FLAT by {iso(report.deadline_at)}" if datetime.now(UTC) > report.deadline_at else "not flat yet"
    return f"on hold, {late}; it goes on, {until}"


def _state(report: MassReport) -> str:
    if report.on_hold:
        return _held(report)
    off = ", and all of it is off the book" if report.matched and not report.not_off else ""
    return {
        "running": f"still running, until {iso(report.deadline_at)} at most",
        "done": listed_words(report.listings) + off,
        "flat": "flat",
        "not flat": "NOT FLAT: the deadline passed first",
        "not read": "NOT READ: the deadline passed before one listing was complete; orders may be live",
        "withdrawn": "withdrawn by an operator",
        "released": "released by an operator" + ("; it was flat" if report.held_flat else "; it was NOT FLAT then"),
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
