"""How do the runner, a batch, outcomes and refusals look? Values in, tables and lines out; no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli.screen.attempts import attempt_json, attempt_line
from bulk_cancel.worker.cli.screen.notices import notices
from bulk_cancel.worker.cli.screen.output import clean, clock, iso, iso_us, moment, number, plural, styled, table
from bulk_cancel.worker.operators.status import Lane, Snapshot
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.fleet import START_WORKER, Worker
from bulk_cancel.worker.state.refused import Entry
from bulk_cancel.worker.state.rests import Rest

LANES_SHOWN: Final = 20
FIELDS: Final = (
    "batch_id", "account", "instId", "ordId", "clOrdId", "status", "sCode", "sMsg", "attempts",
    "enqueued_at", "first_sent_at", "accepted_at", "finished_at", "accFillSz",
)  # fmt: skip
"""What `outcomes --format jsonl` prints of an order, in this order."""

_PAYLOAD_SHOWN: Final = 100
_REASONS_SHOWN: Final = 5
"""Of one entry, which may hold many rows; `--json` has all that are kept."""


def snapshot_parts(snapshot: Snapshot) -> list[RenderableType]:
    """The runner: a head line, what rests and why, the busiest lanes, workers, batches with waiting orders."""
    parts: list[RenderableType] = [*_head(snapshot), *notices(snapshot), *map(rest_line, _wide(snapshot.rests))]
    if snapshot.lanes:
        parts += [Text(), _lane_table(snapshot.lanes[:LANES_SHOWN]), *_more(snapshot.lanes)]
    if snapshot.workers:
        parts += [Text(), _worker_table(snapshot.workers)]
    if snapshot.batches:
        parts += [Text(), _batch_table(snapshot)]
    return parts


def _head(snapshot: Snapshot) -> list[Text]:
    workers = Text(plural(snapshot.alive, "worker"), style="green" if snapshot.alive else "bold red")
    facts = (
        f"{plural(snapshot.waiting, 'order')} waiting, {plural(snapshot.batches_waiting, 'open batch', 'open batches')}"
    )
    refused = f"{number(snapshot.refused)} refused (see bulk-cancel refused)" if snapshot.refused else "nothing refused"
    lines = [Text.assemble(f"{clock(snapshot.at)}  ", workers, f", {facts}, {refused}")]
    if snapshot.outcomes:
        lines.append(Text.assemble("ended     ", counts_text(snapshot.outcomes)))
    if not snapshot.alive:
        lines.append(Text(f"no worker is alive; start one: {START_WORKER}", style="red"))
    return lines


def counts_text(counts: Mapping[str, int]) -> Text:
    """`390 accepted, 10 gone`, each status in its colour."""
    shown = [Text.assemble(f"{number(count)} ", styled(status)) for status, count in sorted(counts.items()) if count]
    return Text(", ").join(shown)


def _wide(rests: Iterable[Rest]) -> Iterable[Rest]:
    return (rest for rest in rests if rest.paused_by or not rest.scope.startswith("lane:"))


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


def _held_back(rest: Rest) -> str:
    return f"paused {_why_paused(rest)}" if rest.paused_by else f"{clean(rest.reason)}, {_until(rest)}"


def _lane_table(lanes: Sequence[Lane]) -> Table:
    numbers = ("queued", "sending", "retry", "batch", "single", "sent", "429")
    made = table("lane", *numbers, "held back", right=numbers, flexible=("held back",))
    for lane in lanes:
        figures = map(number, (lane.queued, lane.sending, lane.retrying))
        windows = (f"{lane.batch_used}/{lane.limits.batch}", f"{lane.single_used}/{lane.limits.single}")
        refused = Text(number(lane.refused), style="bold red" if lane.refused else "")
        held = _held_back(lane.rest) if lane.rest else ""
        made.add_row(lane.name, *figures, *windows, number(lane.sent), refused, held)
    return made


def _more(lanes: Sequence[Lane]) -> list[Text]:
    left = lanes[LANES_SHOWN:]
    if not left:
        return []
    waiting = sum(lane.waiting for lane in left)
    return [Text(f"and {plural(len(left), 'lane')} more with {plural(waiting, 'order')} waiting; --json shows all")]


def _worker_table(workers: Sequence[Worker]) -> Table:
    made = table("worker", "state", "calls", "since", "problems", right=("calls",), flexible=("worker", "problems"))
    for worker in workers:
        state = Text("alive", style="green") if worker.alive else Text(f"silent for {worker.late_s:.0f} s", style="red")
        problems = "; ".join(f"{name}: {clean(why)}" for name, why in worker.problems.items())
        made.add_row(worker.name, state, f"{worker.in_flight}/{worker.permits}", clock(worker.started_at), problems)
    return made


def _batch_table(snapshot: Snapshot) -> Table:
    made = table(
        "batch", "account", "orders", "waiting", "dead", "deadline", "why",
        right=("orders", "waiting", "dead"), flexible=("batch", "why"),
    )  # fmt: skip
    for state in snapshot.batches:
        figures = (number(state.size), number(state.waiting), number(state.dead))
        why = ", ".join(filter(None, ("urgent" if state.urgent else "", clean(state.reason))))
        made.add_row(state.batch_id, state.account, *figures, clock(state.deadline_at), why)
    return made


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


def snapshot_json(snapshot: Snapshot) -> dict[str, object]:
    """The runner for programs, every lane of it; times are datetimes."""
    return {
        "at": snapshot.at,
        "workers_alive": snapshot.alive,
        "waiting": snapshot.waiting,
        "outcomes": dict(snapshot.outcomes),
        "refused": snapshot.refused,
        "may_be_live": snapshot.may_be_live,
        "oldest_urgent": snapshot.oldest_urgent,
        "switches": snapshot.switches,
        "batches_waiting": snapshot.batches_waiting,
        "rests": snapshot.rests,
        "masses": snapshot.masses,
        "lanes": snapshot.lanes,
        "workers": snapshot.workers,
        "batches": [batch_json(state) for state in snapshot.batches],
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


def outcome_lines(rows: Sequence[Row]) -> list[Text]:
    """A line per order, and one for each of its attempts below it."""
    lines: list[Text] = []
    for row in rows:
        part = f", {clean(row.accFillSz or '')} filled" if row.partly_filled else ""
        said = f"{part}  {row.sCode or ''} {clean(row.sMsg or '')}".rstrip()
        lines.append(Text.assemble((f"{row.instId} {_order(row)}", "bold"), "  ", styled(row.status), said))
        lines += [Text(f"    {attempt_line(attempt)}", style="dim") for attempt in row.log]
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
