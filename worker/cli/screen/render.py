"""Batches, outcomes, refusals and rests as tables, lines and JSON: values in, renderables out; no I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli.screen.attempts import attempt_json, attempt_line
from bulk_cancel.worker.cli.screen.output import clean, clock, iso, iso_us, moment, number, styled, table
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.refused import Entry
from bulk_cancel.worker.state.rests import Rest

FIELDS: Final = (
    "batch_id", "account", "instId", "ordId", "clOrdId", "status", "sCode", "sMsg", "attempts",
    "enqueued_at", "first_sent_at", "accepted_at", "finished_at", "accFillSz",
)  # fmt: skip
"""What `outcomes --format jsonl` prints of an order, in this order."""

_PAYLOAD_SHOWN: Final = 100
_REASONS_SHOWN: Final = 5
"""Of one entry, which may hold many rows; `--json` has all that are kept."""


def counts_text(counts: Mapping[str, int]) -> Text:
    """`390 accepted, 10 gone`, each status in its colour."""
    shown = [Text.assemble(f"{number(count)} ", styled(status)) for status, count in sorted(counts.items()) if count]
    return Text(", ").join(shown)


def rest_line(rest: Rest) -> Text:
    """What rests until when and why; or who paused it, and how it goes on."""
    if rest.paused_by:
        kind, _, name = rest.scope.partition(":")
        shown = f"lane {name}" if kind == "lane" else ", ".join(rest.accounts) or name
        resume = f"(bulk-cancel resume {name if kind == 'lane' else (*rest.accounts, name)[0]})"
        since = f" since {moment(rest.since)}" if rest.since else ""
        return Text.assemble(
            ("paused    ", "bold yellow"), f"{clean(shown)}{since} {_why_paused(rest)} {clean(resume)}"
        )
    return Text.assemble(("rests     ", "bold yellow"), f"{clean(rest.scope)} {_until(rest)}: {clean(rest.reason)}")


def _until(rest: Rest) -> str:
    return "is being probed" if rest.probing or not rest.until else f"until {clock(rest.until)}"


def _why_paused(rest: Rest) -> str:
    return clean(f"by {rest.paused_by}" + (f": {rest.reason}" if rest.reason else ""))


def held_back(rest: Rest) -> str:
    """The same in few words, beside the name of a lane."""
    return f"paused {_why_paused(rest)}" if rest.paused_by else f"{clean(rest.reason)}, {_until(rest)}"


def batch_parts(state: BatchState) -> list[RenderableType]:
    """One batch: what was asked, what came of it, what still waits."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _batch_facts(state):
        grid.add_row(name, value)
    return [grid]


def _batch_facts(state: BatchState) -> list[tuple[str, str | Text]]:
    labels = ", ".join(f"{clean(name)}={clean(value)}" for name, value in state.labels.items())
    facts: list[tuple[str, str | Text]] = [
        ("batch", clean(state.batch_id)),
        ("account", state.account + (" (urgent)" if state.urgent else "")),
        (
            "orders",
            number(state.size) + ("" if state.sealed else ", not all handed in yet: submit the same batch again"),
        ),
        ("outcomes", counts_text(state.counts) if state.counts else "none yet"),
        ("waiting", Text(number(state.waiting), style="yellow" if state.waiting else "green")),
        ("created", iso(state.created_at)),
        ("completed", iso(state.completed_at) if state.completed_at else f"not yet; deadline {iso(state.deadline_at)}"),
    ]
    optional = (("reason", clean(state.reason)), ("requested by", clean(state.requested_by)), ("labels", labels))
    return facts + [(name, value) for name, value in optional if value]


def batch_json(state: BatchState) -> dict[str, object]:
    """One batch for programs; times are datetimes."""
    return {
        "batch_id": state.batch_id,
        "account": state.account,
        "size": state.size,
        "waiting": state.waiting,
        "counts": dict(state.counts),
        "dead": state.dead,
        "complete": state.complete,
        "sealed": state.sealed,
        "urgent": state.urgent,
        "created_at": state.created_at,
        "deadline_at": state.deadline_at,
        "completed_at": state.completed_at,
        "reason": state.reason,
        "requested_by": state.requested_by,
        "labels": dict(state.labels),
    }


def row_json(row: Row, *, verbose: bool = False) -> dict[str, object]:
    """One order as the contract spells it; `verbose` adds its attempts."""
    times = ("enqueued_at", "first_sent_at", "accepted_at", "finished_at")
    said = {name: getattr(row, name) for name in FIELDS}
    said |= {name: iso_us(getattr(row, name)) for name in times}
    said |= {"sCode": row.sCode or None, "sMsg": row.sMsg or None}
    return said | ({"log": [attempt_json(attempt) for attempt in row.log]} if verbose else {})


def outcome_table(rows: Sequence[Row]) -> Table:
    """One line per order."""
    made = table(
        "instrument", "order", "status", "filled", "sCode", "message", "tries", "finished",
        right=("filled", "tries"), flexible=("message", "order"),
    )  # fmt: skip
    for row in rows:
        finished = clock(_at(row.finished_at)) if row.finished_at else ""
        said = (row.sCode or "", clean(row.sMsg or ""), str(row.attempts), finished)
        made.add_row(row.instId, _order(row), styled(row.status), _filled(row), *said)
    return made


def outcome_lines(rows: Sequence[Row], *, verbose: bool) -> list[Text]:
    """A line per order; `verbose` adds one for each of its attempts below it."""
    lines: list[Text] = []
    for row in rows:
        part = f", {clean(row.accFillSz or '')} filled" if row.partly_filled else ""
        said = f"{part}  {row.sCode or ''} {clean(row.sMsg or '')}".rstrip()
        lines.append(Text.assemble((f"{row.instId} {_order(row)}", "bold"), "  ", styled(row.status), said))
        lines += [Text(f"    {attempt_line(attempt)}", style="dim") for attempt in row.log if verbose]
    return lines


def _filled(row: Row) -> Text:
    """How much of it was filled, loud where the order ended otherwise."""
    return Text(clean(row.accFillSz or ""), style="bold yellow" if row.partly_filled else "")


def _order(row: Row) -> str:
    return row.ordId or clean(row.clOrdId or "")


def _at(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6).astimezone()


def refused_table(entries: Sequence[Entry]) -> Table:
    """What could not be admitted, newest first, with the reasons."""
    made = table("at", "from", "batch", "account", "why", "what", flexible=("batch", "why", "what"))
    for entry in entries:
        cut = "…" if entry.length > _PAYLOAD_SHOWN else ""
        payload = clean(entry.payload[:_PAYLOAD_SHOWN]) + cut
        more = len(entry.errors) - _REASONS_SHOWN
        why = clean("; ".join(entry.errors[:_REASONS_SHOWN])) + (f"; and {more} more reasons" if more > 0 else "")
        made.add_row(clock(entry.at), clean(entry.source), clean(entry.batch_id), clean(entry.account), why, payload)
    return made
