"""The runner as tables, for `status`: values in, renderables out; no I/O."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli.screen.notices import notices
from bulk_cancel.worker.cli.screen.output import clean, clock, number, on_shard, plural, table, unzipped
from bulk_cancel.worker.cli.screen.render import counts_text, held_back, rest_line
from bulk_cancel.worker.operators.status import Lane, Snapshot
from bulk_cancel.worker.state.fleet import START_WORKER, Worker
from bulk_cancel.worker.state.formats import Marks
from bulk_cancel.worker.state.scopes import ScopeKind, parse_scope

LANES_SHOWN: Final = 20


def snapshot_parts(snapshot: Snapshot) -> list[RenderableType]:
    """The runner: a head line, what rests and why, the busiest lanes, workers, batches with waiting orders."""
    parts: list[RenderableType] = [*head_lines(snapshot)]
    if snapshot.lanes:
        parts += [Text(), _lane_table(snapshot.placed("lanes")[:LANES_SHOWN]), *_more(snapshot.lanes)]
    if snapshot.workers:
        parts += [Text(), worker_table(snapshot.placed("workers")), *_formats(snapshot.formats)]
    if snapshot.batches:
        parts += [Text(), _batch_table(snapshot)]
    return parts


def head_lines(snapshot: Snapshot) -> list[Text]:
    """How the runner stands, what must catch the eye, and what rests and why."""
    away = [Text(clean(line), style="bold red") for line in snapshot.away]
    return [*_head(snapshot), *away, *notices(snapshot), *_wide(snapshot)]


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


def _wide(snapshot: Snapshot) -> Iterator[Text]:
    for shard, rest in snapshot.placed("rests"):
        if rest.paused_by or parse_scope(rest.scope)[0] != ScopeKind.LANE:
            yield on_shard(rest_line(rest), shard)


def _lane_table(placed: Sequence[tuple[str, Lane]]) -> Table:
    numbers = ("queued", "sending", "retry", "batch", "single", "sent", "429")
    lanes, shards = unzipped(placed)
    made = table("lane", *numbers, "held back", right=numbers, flexible=("held back",), shards=shards)
    for lane in lanes:
        figures = map(number, (lane.queued, lane.sending, lane.retrying))
        held = held_back(lane.rest) if lane.rest else ""
        made.add_row(lane.name, *figures, *lane_figures(lane), held)
    return made


def lane_figures(lane: Lane) -> tuple[str | Text, ...]:
    """Slots in use of both windows, calls sent, and how many were refused for speed."""
    windows = (f"{lane.batch_used}/{lane.limits.batch}", f"{lane.single_used}/{lane.limits.single}")
    refused = Text(number(lane.refused), style="bold red" if lane.refused else "")
    return (*windows, number(lane.sent), refused)


def _more(lanes: Sequence[Lane]) -> list[Text]:
    left = lanes[LANES_SHOWN:]
    if not left:
        return []
    waiting = sum(lane.waiting for lane in left)
    return [Text(f"and {plural(len(left), 'lane')} more with {plural(waiting, 'order')} waiting; --json shows all")]


def worker_table(placed: Sequence[tuple[str, Worker]], text: Callable[[str], Text | str] = clean) -> Table:
    """One line per worker; `text` makes what others wrote fit for the screen."""
    head = ("worker", "release", "state", "calls", "since", "problems")
    workers, shards = unzipped(placed)
    made = table(*head, right=("calls",), flexible=("worker", "problems"), shards=shards)
    for worker in workers:
        state = Text("alive", style="green") if worker.alive else Text(f"silent for {worker.late_s:.0f} s", style="red")
        problems = "; ".join(f"{name}: {why}" for name, why in worker.problems.items())
        calls = f"{worker.in_flight}/{worker.permits}"
        made.add_row(text(worker.name), text(worker.release), state, calls, clock(worker.started_at), text(problems))
    return made


def _formats(marks: Marks) -> list[Text]:
    return [Text("formats   " + ", ".join(f"{kind} {mark}" for kind, mark in marks.items()), style="dim")]


def _batch_table(snapshot: Snapshot) -> Table:
    batches, shards = unzipped(snapshot.placed("batches"))
    made = table(
        "batch", "account", "orders", "waiting", "dead", "deadline", "why",
        right=("orders", "waiting", "dead"), flexible=("batch", "why"), shards=shards,
    )  # fmt: skip
    for state in batches:
        figures = (number(state.size), number(state.waiting), number(state.dead))
        why = ", ".join(filter(None, ("urgent" if state.urgent else "", clean(state.reason))))
        made.add_row(state.batch_id, state.account, *figures, clock(state.deadline_at), why)
    return made
