"""Batches, outcomes, refusals and rests as tables and lines: values in, renderables out; no I/O."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli.screen.attempts import attempt_line
from bulk_cancel.worker.cli.screen.output import (
    by_whom,
    clean,
    clock,
    fact_grid,
    is_narrow,
    moment,
    number,
    styled,
    table,
    unzipped,
)
from bulk_cancel.worker.operators.shapes import iso
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.refused import Entry
from bulk_cancel.worker.state.rests import Rest
from bulk_cancel.worker.state.scopes import ScopeKind, parse_scope
from bulk_cancel.worker.state.statuses import Status
from bulk_cancel.worker.state.times import time_of

_PAYLOAD_SHOWN: Final = 100
ID_WHOLE: Final = 40
"""Characters of an id that stays whole."""
_REASONS_SHOWN: Final = 5
"""Of one entry, which may hold many rows; `--json` has all that are kept."""


def counts_text(counts: Mapping[str, int], *, never_known: int = 0, partly_filled: int = 0) -> Text:
    """`390 accepted, 10 gone`, each status in its colour; `10 gone (3 never known)` says whose ids may be wrong.

    Behind them `; 2 partly filled`.
    """
    shown = [Text.assemble(f"{number(count)} ", styled(status)) for status, count in sorted(counts.items()) if count]
    for text in shown:
        if never_known and text.plain.endswith(Status.GONE):
            text.append(f" ({number(never_known)} never known)", "bold yellow")
    said = Text(", ").join(shown)
    return said.append(f"; {number(partly_filled)} partly filled", "bold yellow") if partly_filled else said


def outcomes_text(state: BatchState, *, waiting: int = 0) -> Text:
    """What became of a batch's orders so far."""
    counts = {**state.counts, "waiting": waiting}
    return counts_text(counts, never_known=state.never_known, partly_filled=state.partly_filled)


NEVER_KNOWN: Final = "the exchange never knew these: ended long ago, or not this account's, or the ids are rounded"


def rest_line(rest: Rest) -> Text:
    """What rests until when and why; or who paused it, and how it goes on."""
    if rest.paused_by:
        kind, name = parse_scope(rest.scope)
        is_lane = kind == ScopeKind.LANE
        shown = f"lane {name}" if is_lane else ", ".join(rest.accounts) or name
        resume = f"(bulk-cancel resume {name if is_lane else (*rest.accounts, name)[0]})"
        since = f" since {moment(rest.since)}" if rest.since else ""
        return Text.assemble(
            ("paused    ", "bold yellow"),
            f"{clean(shown)}{since} {by_whom(rest.paused_by, rest.reason)} {clean(resume)}",
        )
    return Text.assemble(("rests     ", "bold yellow"), f"{clean(rest.scope)} {_until(rest)}: {clean(rest.reason)}")


def _until(rest: Rest) -> str:
    return "is being probed" if rest.probing or not rest.until else f"until {clock(rest.until)}"


def held_back(rest: Rest) -> str:
    """The same in few words, beside the name of a lane."""
    if rest.paused_by:
        return f"paused {by_whom(rest.paused_by, rest.reason)}"
    return f"{clean(rest.reason)}, {_until(rest)}"


def batch_parts(state: BatchState) -> list[RenderableType]:
    """One batch: what was asked, what came of it, what still waits."""
    return [fact_grid(_batch_facts(state))]


def _batch_facts(state: BatchState) -> list[tuple[str, str | Text]]:
    labels = ", ".join(f"{clean(name)}={clean(value)}" for name, value in state.labels.items())
    facts: list[tuple[str, str | Text]] = [
        ("batch", clean(state.batch_id)),
        ("account", state.account + (" (urgent)" if state.urgent else "")),
        (
            "orders",
            number(state.size) + ("" if state.sealed else ", not all handed in yet: submit the same batch again"),
        ),
        ("outcomes", outcomes_text(state) if state.counts else "none yet"),
        ("waiting", Text(number(state.waiting), style="yellow" if state.waiting else "green")),
        ("created", iso(state.created_at)),
        ("completed", iso(state.completed_at) if state.completed_at else f"not yet; deadline {iso(state.deadline_at)}"),
    ]
    optional: list[tuple[str, str | Text]] = [
        ("never known", Text(NEVER_KNOWN, "bold yellow") if state.never_known else ""),
        ("reason", clean(state.reason)),
        ("requested by", clean(state.requested_by)),
        ("labels", labels),
    ]
    return facts + [(name, value) for name, value in optional if value]


def outcome_table(rows: Sequence[Row]) -> Table:
    """One line per order; in a narrow terminal more, so that its id stays whole and its message has room."""
    if is_narrow():
        return _narrow_outcomes(rows)
    made = table(
        "instrument", "order", "status", "filled", "sCode", "message", "tries", "finished",
        right=("filled", "tries"), flexible=("message",),
    )  # fmt: skip
    for row in rows:
        said = (row.sCode or "", clean(row.sMsg or ""), str(row.attempts), _finished(row))
        made.add_row(row.instId, _order(row), _status(row, apart="\n"), _filled(row), *said)
    return made


def _narrow_outcomes(rows: Sequence[Row]) -> Table:
    made = table("order", "status", "message", "tries", "finished", right=("tries",), flexible=("message",))
    for row in rows:
        status, filled = _status(row, apart="\n"), _filled(row)
        ended = Text("\n").join([status, filled.append(" filled")]) if filled else status
        said = f"{row.sCode or ''} {clean(row.sMsg or '')}".strip()
        made.add_row(f"{row.instId}\n{_order(row)}", ended, said, str(row.attempts), _finished(row))
    return made


def _finished(row: Row) -> str:
    return clock(time_of(row.finished_at)) if row.finished_at else ""


def outcome_lines(rows: Sequence[Row], *, verbose: bool) -> list[Text]:
    """A line per order; `verbose` adds one for each of its attempts below it."""
    lines: list[Text] = []
    for row in rows:
        part = f", {clean(row.accFillSz or '')} filled" if row.partly_filled else ""
        said = f"{part}  {row.sCode or ''} {clean(row.sMsg or '')}".rstrip()
        lines.append(Text.assemble((f"{row.instId} {_order(row)}", "bold"), "  ", _status(row), said))
        lines += [Text(f"    {attempt_line(attempt)}", style="dim") for attempt in row.log if verbose]
    return lines


def _status(row: Row, *, apart: str = " ") -> Text:
    """How it ended, loud where the id may be wrong; a column is narrow, so its words stand `apart`."""
    said = Text.assemble(styled(row.status))
    return said.append(f"{apart}(never known)", "bold yellow") if row.known is False else said


def _filled(row: Row) -> Text:
    """How much of it was filled, loud where the order ended otherwise."""
    return Text(clean(row.accFillSz or ""), style="bold yellow" if row.partly_filled else "")


def _order(row: Row) -> str:
    return row.ordId or row.algoId or clean(row.clOrdId or "")


def refused_table(placed: Sequence[tuple[str, Entry]]) -> Table:
    """What could not be admitted, newest first, with the reasons, each with its shard; stacked in a narrow terminal.

    An id that would leave no room for the reasons is folded, as they are.
    """
    entries, shards = unzipped(placed)
    narrow = is_narrow()
    names = ("at", "batch") if narrow else ("at", "from", "batch", "account")
    long = ["batch"] if any(len(entry.batch_id) > ID_WHOLE for entry in entries) else []
    made = table(*names, "why", "what", flexible=(*long, "why", "what"), shards=shards)
    for entry in entries:
        cut = "…" if entry.length > _PAYLOAD_SHOWN else ""
        payload = clean(entry.payload[:_PAYLOAD_SHOWN]) + cut
        more = len(entry.errors) - _REASONS_SHOWN
        why = clean("; ".join(entry.errors[:_REASONS_SHOWN])) + (f"; and {more} more reasons" if more > 0 else "")
        at, batch = (clock(entry.at), clean(entry.source)), (clean(entry.batch_id), clean(entry.account))
        made.add_row(*(["\n".join(at), "\n".join(batch)] if narrow else [*at, *batch]), why, payload)
    return made
