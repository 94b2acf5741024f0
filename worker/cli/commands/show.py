"""`status`, `outcomes` and `refused`: the runner, one batch, its outcomes, and what was refused."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.console import RenderableType

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.context import Json, Watch
from bulk_cancel.worker.cli.errors import CommandError, Exit, exit_of
from bulk_cancel.worker.cli.mass_status import mass_status
from bulk_cancel.worker.cli.screen.dashboard import dashboard_parts, snapshot_line
from bulk_cancel.worker.cli.screen.live import ended_words, every, present, watch
from bulk_cancel.worker.cli.screen.output import (
    clean,
    console,
    is_terminal,
    number,
    plural,
    print_lines,
    reader_is_gone,
    show,
)
from bulk_cancel.worker.cli.screen.render import (
    batch_parts,
    outcome_lines,
    outcome_table,
    refused_table,
    rest_line,
)
from bulk_cancel.worker.cli.screen.runner import snapshot_parts
from bulk_cancel.worker.operators.formats import legible
from bulk_cancel.worker.operators.shapes import FIELDS, batch_json, csv_cell, document, placed, row_json
from bulk_cancel.worker.operators.standing import Standing
from bulk_cancel.worker.operators.status import read_snapshot
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.following import follow_outcomes
from bulk_cancel.worker.state.refused import Entry, Refusals
from bulk_cancel.worker.state.rests import read_pauses
from bulk_cancel.worker.state.statuses import Status
from bulk_cancel.worker.state.store import Store

REFRESH_S: Final = 1.0
ROWS_IN_TABLE: Final = 1_000


class Format(StrEnum):
    """How outcomes are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


def status(
    batch: Annotated[str | None, typer.Argument(help="A batch; the whole runner without one.")] = None,
    *,
    follow: Watch = False,
    as_json: Json = False,
) -> int:
    """Lanes, rates, workers, what rests and why; or one batch.

    Of a batch the exit status is 1 if any of its orders was rejected or exhausted so far.
    """
    if batch is None:
        with context.whole() as whole:
            return _runner_status(whole, follow=follow, as_json=as_json)
    with context.whole() as whole, whole.at_batch(batch) as shard:
        return _batch_status(shard.store, batch, follow=follow, as_json=as_json)


def _runner_status(whole: Whole, *, follow: bool, as_json: bool) -> int:
    if follow:
        standings = every(lambda: _standing(whole), REFRESH_S)
        watch(standings, draw=_dashboard, line=_line, tell=_told, as_json=as_json)
    shown = present(_standing(whole), draw=_parts, tell=_told, as_json=as_json)
    return Exit.DEAD if shown.away else Exit.OK


def _standing(whole: Whole) -> Standing:
    told = whole.each(lambda shard: read_snapshot(shard.store))
    away = {name: "; ".join(context.failures({name: error})) for name, error in told.failed.items()}
    return Standing({whole.label(name): each for name, each in context.answers(told).items()}, away)


def _told(standing: Standing) -> dict[str, object]:
    return document("status", standing.json)


def _parts(standing: Standing) -> list[RenderableType]:
    return snapshot_parts(standing.as_one)


def _line(standing: Standing) -> str:
    return snapshot_line(standing.as_one)


def _batch(state: BatchState) -> dict[str, object]:
    return document("batch", batch_json(state))


def _dashboard(standing: Standing) -> list[RenderableType]:
    return dashboard_parts(standing.as_one, console())


def _batch_status(store: Store, batch: str, *, follow: bool, as_json: bool) -> int:
    if store.batches.state(batch).mass:
        return mass_status(store, batch, follow=follow, as_json=as_json)
    if follow:
        states = store.batches.wait(batch, timeout_s=None)
        last = watch(states, draw=batch_parts, line=_progress, tell=_batch, as_json=as_json)
    else:
        last = present(store.batches.state(batch), draw=batch_parts, tell=_batch, as_json=as_json)
    pauses = [] if as_json or last.complete else read_pauses(store, last.account)
    if pauses:
        show(*map(rest_line, pauses))
    return exit_of(dead=last.dead)


def _progress(state: BatchState) -> str:
    """How far it is; what became of it at the end is shown as a whole."""
    return "" if state.complete else f"{clean(state.batch_id)}: {ended_words(state)}"


def outcomes(
    batch: Annotated[str, typer.Argument(help="The batch's id.")],
    *,
    only: Annotated[
        list[Status] | None, typer.Option("--status", help="Only orders in this state (repeatable).")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Default: table in a terminal, jsonl everywhere else. In csv a text that begins with = + - @ gets a ' "
            "in front, so that no spreadsheet takes it for a formula; jsonl has it as it is.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every attempt, too (table and jsonl).")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Each order as it ends, until the batch is complete; no table.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
) -> int:
    """What became of each order of a batch, one line each, in the order in which they were handed in.

    The exit status is 1 if any order of the batch was rejected or exhausted so far, whatever is shown.
    """
    chosen = _format(form, as_json=as_json)
    if follow:
        return _follow(batch, only or (), chosen, verbose=verbose)
    with context.whole() as whole, whole.at_batch(batch) as shard:
        batches = shard.store.batches
        dead = batches.state(batch).dead
        rows = [row for row in batches.rows(batch) if not only or row.status in only]
    _print_rows(rows, chosen, verbose=verbose)
    return exit_of(dead=dead)


def _follow(batch: str, only: Sequence[Status], form: Format, *, verbose: bool) -> int:
    with context.whole() as whole, whole.at_batch(batch) as shard:
        store = shard.store
        store.batches.state(batch)  # an unknown one is told before anything is printed
        if form is Format.CSV:
            _csv().writeheader()
        for rows in follow_outcomes(store.redis, store.keys, store.batches, batch):
            if reader_is_gone():
                raise BrokenPipeError
            fitting = [row for row in rows if not only or row.status in only]
            if fitting and form is Format.TABLE:
                show(*outcome_lines(fitting, verbose=verbose))
            else:
                _write_rows(fitting, form, verbose=verbose)
        return exit_of(dead=store.batches.state(batch).dead)


def _format(form: Format | None, *, as_json: bool) -> Format:
    if as_json and form not in {None, Format.JSONL}:
        raise CommandError("--json and --format contradict each other; give one of them")
    return Format.JSONL if as_json else form or (Format.TABLE if is_terminal() else Format.JSONL)


def _print_rows(rows: Sequence[Row], form: Format, *, verbose: bool) -> None:
    if form is Format.TABLE:
        shown = rows[:ROWS_IN_TABLE]
        show(*(outcome_lines(shown, verbose=True) if verbose else [outcome_table(shown)]))
        if len(rows) > ROWS_IN_TABLE:
            show(f"and {number(len(rows) - ROWS_IN_TABLE)} more; --format jsonl or csv prints all")
        return
    if form is Format.CSV:
        _csv().writeheader()
    _write_rows(rows, form, verbose=verbose)


def _write_rows(rows: Sequence[Row], form: Format, *, verbose: bool) -> None:
    if form is Format.CSV:
        _csv().writerows({name: csv_cell(value) for name, value in row_json(row).items()} for row in rows)
    else:
        print_lines("outcome", (row_json(row, verbose=verbose) for row in rows))


def _csv() -> "csv.DictWriter[str]":
    return csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")


def refused(
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100_000, help="How many, newest first.")] = 20,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> int:
    """What could not be admitted: messages and rows with every reason, newest first."""
    with context.whole() as whole:
        told = whole.each(lambda shard: _refusals(legible(shard.store).refusals, count))
        newest = {name: entries for name, (entries, _) in context.answers(told).items()}
        entries = whole.placed(newest, lambda entry: entry.at, newest_first=True)[:count]
    left = sum(total for _, total in told.answers.values()) - len(entries)
    if as_json:
        print_lines("refused", (placed(shard, asdict(entry)) for shard, entry in entries))
    elif entries:
        show(refused_table(entries), *([f"and {number(left)} older; --count shows more"] if left > 0 else []))
    elif not told.failed:
        show(f"{plural(0, 'message')} refused")
    return context.tell_failed(told.failed, as_json=as_json)


def _refusals(refusals: Refusals, count: int) -> tuple[list[Entry], int]:
    return refusals.newest(count), refusals.count()
