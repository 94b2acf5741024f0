"""The command `batches`: which batches there were, found again by account, time and what became of them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.by_filter import refuse_unknown
from bulk_cancel.worker.cli.errors import CommandError
from bulk_cancel.worker.cli.screen.output import clean, is_narrow, moment, number, print_lines, show, table, unzipped
from bulk_cancel.worker.cli.screen.render import ID_WHOLE, outcomes_text
from bulk_cancel.worker.cli.when import WHEN, time_given
from bulk_cancel.worker.operators.past import Kind, past_batches
from bulk_cancel.worker.operators.shapes import batch_json, placed
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.shards import Shard


def batches(
    *,
    account: Annotated[list[str] | None, typer.Option("--account", help="Only this account's (repeatable).")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help=f"Created then or later: {WHEN}.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Created then or before.")] = None,
    only: Annotated[
        list[Kind] | None,
        typer.Option(
            "--status", help="Only batches that are so, or have orders that ended so (repeatable: any of them)."
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100_000, help="How many, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> int:
    """Past and present batches, the newest first: by account, by time, by what became of them.

    As far back as they are kept (RETENTION_S, a week by default). Mass cancels are among them.
    """
    names = dict.fromkeys(name.lower() for name in account or ())
    start, end = time_given(since, "--since"), time_given(until, "--until")
    if start and end and end < start:
        raise CommandError("--until is before --since: no batch fits")

    def newest(shard: Shard) -> list[BatchState]:
        fitting = _fitting(past_batches(shard.store, since=start, until=end), names, only or ())
        return list(islice(fitting, count + 1))

    with context.whole() as whole:
        told = whole.each(newest)
        found = whole.placed(context.answers(told), lambda state: state.created_at, newest_first=True)
        if not found:
            refuse_unknown(whole, names)
    shown = found[:count]
    if as_json:
        print_lines("batch", (placed(shard, batch_json(state)) for shard, state in shown))
    elif shown:
        show(_table(shown), *(["and older ones; --count shows more"] if len(found) > count else []))
    elif not told.failed:
        show("no batch")
    return context.tell_failed(told.failed, as_json=as_json)


def _fitting(states: Iterable[BatchState], accounts: Collection[str], kinds: Sequence[Kind]) -> Iterator[BatchState]:
    for state in states:
        if (not accounts or state.account in accounts) and (not kinds or any(kind.fits(state) for kind in kinds)):
            yield state


def _table(rows: Sequence[tuple[str, BatchState]]) -> Table:
    """One line per batch; in a narrow terminal more, so that ids stay whole and what became of it has room."""
    if is_narrow():
        return _narrow_table(rows)
    states, shards = unzipped(rows)
    made = table(
        "created", "batch", "account", "orders", "outcomes", "why",
        right=("orders",), flexible=("outcomes", "why"), shards=shards,
    )  # fmt: skip
    for state in states:
        outcomes, why = outcomes_text(state, waiting=state.waiting), clean(_why(state))
        made.add_row(moment(state.created_at), state.batch_id, state.account, number(state.size), outcomes, why)
    return made


def _narrow_table(rows: Sequence[tuple[str, BatchState]]) -> Table:
    states, shards = unzipped(rows)
    long = ["batch"] if any(len(state.batch_id) > ID_WHOLE for state in states) else []
    columns = ("created", "batch", "orders", "outcomes")
    made = table(*columns, right=("orders",), flexible=(*long, "outcomes"), shards=shards)
    for state in states:
        said = (outcomes_text(state, waiting=state.waiting), Text(clean(_why(state))))
        *date, hour, zone = moment(state.created_at).split(" ")
        created, batch = "\n".join([*date, f"{hour} {zone}"]), f"{state.batch_id}\n{state.account}"
        made.add_row(created, batch, number(state.size), Text("\n").join(filter(None, said)))
    return made


def _why(state: BatchState) -> str:
    holds = state.hold and not state.sealed
    kind = ("mass cancel" if state.mass else "", "on hold" if holds else "", "urgent" if state.urgent else "")
    who = f"by {state.requested_by}" if state.requested_by else ""
    return ", ".join(filter(None, (*kind, who, state.reason)))
