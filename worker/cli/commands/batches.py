"""The command `batches`: which batches there were, found again by account, time and what became of them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Annotated, Final

import typer
from rich.table import Table

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.output import clean, moment, number, print_lines, show, table
from bulk_cancel.worker.cli.screen.render import batch_json, counts_text
from bulk_cancel.worker.operators.past import past_batches
from bulk_cancel.worker.state.batches import BatchState

_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WHEN: Final = "a time such as 2026-02-26T10:00 (local, unless it names a zone), or how long ago: 90s, 15m, 8h, 7d"


class Kind(StrEnum):
    """How a batch stands as a whole, or an outcome that some of its orders have."""

    OPEN = "open"
    COMPLETE = "complete"
    ACCEPTED = "accepted"
    CANCELED = "canceled"
    FILLED = "filled"
    GONE = "gone"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    WITHDRAWN = "withdrawn"

    def fits(self, state: BatchState) -> bool:
        """Whether the batch is of this kind."""
        match self:
            case Kind.OPEN:
                return not state.complete
            case Kind.COMPLETE:
                return state.complete
        return state.counts.get(self.value, 0) > 0


def batches(
    *,
    account: Annotated[list[str] | None, typer.Option("--account", help="Only this account's (repeatable).")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help=f"Created then or later: {_WHEN}.")
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
    names = {name.lower() for name in account or ()}
    start, end = _time(since, "--since"), _time(until, "--until")
    with context.opened() as store:
        found = _fitting(past_batches(store, since=start, until=end), names, only or ())
        shown = list(islice(found, count))
        more = next(found, None) is not None
    if as_json:
        print_lines("batch", map(batch_json, shown))
    elif shown:
        show(_table(shown), *(["and older ones; --count shows more"] if more else []))
    else:
        show("no batch")
    return Exit.OK


def _fitting(states: Iterable[BatchState], accounts: set[str], kinds: Sequence[Kind]) -> Iterator[BatchState]:
    for state in states:
        if (not accounts or state.account in accounts) and (not kinds or any(kind.fits(state) for kind in kinds)):
            yield state


def _time(text: str | None, flag: str) -> datetime | None:
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise CommandError(f"{flag}: should be {_WHEN}; is {text!r:.60}") from None


def _table(states: Sequence[BatchState]) -> Table:
    made = table(
        "created", "batch", "account", "orders", "outcomes", "why", right=("orders",), flexible=("outcomes", "why")
    )
    for state in states:
        outcomes = counts_text({**state.counts, "waiting": state.waiting})
        made.add_row(
            moment(state.created_at), state.batch_id, state.account, number(state.size), outcomes, clean(_why(state))
        )
    return made


def _why(state: BatchState) -> str:
    kind = ("mass cancel" if state.mass else "", "urgent" if state.urgent else "")
    who = f"by {state.requested_by}" if state.requested_by else ""
    return ", ".join(filter(None, (*kind, who, state.reason)))
