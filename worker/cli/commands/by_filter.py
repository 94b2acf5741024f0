"""`retry` and `withdraw` by filter: the orders of many batches; how many fit is shown, and asked, before it is done."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Generic, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from bulk_cancel.tasks.errors import BulkCancelError, UnknownAccountError, UnsealedBatchError
from bulk_cancel.tasks.faults import faults_in
from bulk_cancel.tasks.messages import InstId
from bulk_cancel.tasks.outcomes import Retried, Withdrawn
from bulk_cancel.worker.cli.context import answers, failures
from bulk_cancel.worker.cli.errors import CommandError
from bulk_cancel.worker.cli.screen.output import clean, plural
from bulk_cancel.worker.cli.screen.render import counts_text
from bulk_cancel.worker.cli.when import WHEN, time_given
from bulk_cancel.worker.operators.decisions import Asked, Decisions
from bulk_cancel.worker.operators.matching import Filter, Match, Matching, orders_of
from bulk_cancel.worker.operators.served import once_each
from bulk_cancel.worker.operators.shapes import placed
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.batches import BatchState, UnknownBatchError
from bulk_cancel.worker.state.shards import Each, Shard
from bulk_cancel.worker.state.statuses import Again
from bulk_cancel.worker.state.store import Store

Accounts = Annotated[list[str] | None, typer.Option("--account", help="Only this account's (repeatable).")]
InstIds = Annotated[list[str] | None, typer.Option("--inst-id", help="Only of this instrument (repeatable).")]
Codes = Annotated[
    list[str] | None, typer.Option("--code", metavar="SCODE", help="Only if the exchange said this last (repeatable).")
]
EndedSince = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help=f"Only orders that ended then or later: {WHEN}.")
]
CameSince = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help=f"Only orders handed in then or later: {WHEN}.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before a filter's orders are taken.")]

BATCHES_NAMED: Final = 10

_INST_ID: Final = TypeAdapter(InstId)

Done = TypeVar("Done", Retried, Withdrawn)
Found = Each[list[Match]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The orders that fit, by batch, and the batches that take no decision now, with why."""

    matches: Sequence[Match]
    left_out: Sequence[tuple[BatchState, BulkCancelError]] = ()

    @property
    def orders(self) -> int:
        """Each counts once, whoever handed it in."""
        return orders_of(self.matches)

    @property
    def unserved(self) -> list[str]:
        """Why batches were left out that will take none by themselves either."""
        return [str(why) for _, why in self.left_out if not isinstance(why, UnsealedBatchError)]


@dataclass(frozen=True, slots=True)
class Decided(Generic[Done]):
    """What was decided of each batch, and why it was not on some shards."""

    rows: Sequence[Done]
    shards: Sequence[str]
    """Of each row the shard, an empty text if there is no other."""
    failed: Mapping[str, Exception]

    def placed(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What is said of the rows, each of its batches with its shard."""
        return {
            **said,
            "batches": [placed(shard, row) for shard, row in zip(self.shards, said["batches"], strict=True)],
        }


def filter_of(
    accounts: Sequence[str] | None,
    inst_ids: Sequence[str] | None,
    codes: Sequence[str] | None,
    since: str | None,
) -> Filter:
    """What the options say; raises CommandError."""
    return Filter(
        accounts=tuple(dict.fromkeys(name.lower() for name in accounts or ())),
        inst_ids=tuple(dict.fromkeys(map(_inst_id, inst_ids or ()))),
        codes=tuple(dict.fromkeys(map(_code, codes or ()))),
        since=time_given(since, "--since"),
    )


def _inst_id(text: str) -> str:
    try:
        return _INST_ID.validate_python(text)
    except ValidationError as error:
        raise CommandError(*(f"{fault}; is {text!r:.60}" for fault in faults_in(error, within="--inst-id"))) from None


def _code(text: str) -> str:
    if not text.isascii() or not text.isdigit():
        raise CommandError(f"--code: should be an sCode as the exchange tells it, such as 51412; is {text!r:.60}")
    return text


def retry_matching(
    whole: Whole,
    wanted: Filter,
    asked: Asked,
    *,
    batch: str | None,
    statuses: Sequence[Again],
    deadline_s: int | None,
    ask: bool,
) -> tuple[Chosen, Decided[Retried]]:
    """Finds, asks, and lets go again; a batch whose orders may not go again now is left out."""
    found = _found(whole, wanted, batch, lambda store: Matching(store).ended(wanted, statuses, batch))
    told = whole.then(found, _refusals)
    taken = whole.then(told, lambda _, each: [match for match, why in each if why is None])
    left_out = [(match.state, why) for each in answers(told).values() for match, why in each if why]
    chosen = Chosen(_all(taken), left_out)
    _confirm(whole, wanted, chosen, found.failed, "let them go again", ask=ask)
    retry = partial(Decisions.retry_matching, asked=asked, wanted=wanted, statuses=statuses, deadline_s=deadline_s)
    return chosen, _decided(whole, taken, retry)


def withdraw_matching(
    whole: Whole, wanted: Filter, asked: Asked, *, batch: str | None, ask: bool
) -> tuple[Chosen, Decided[Withdrawn]]:
    """Finds, asks, and takes back."""
    found = _found(whole, wanted, batch, lambda store: Matching(store).unsent(wanted, batch))
    chosen = Chosen(_all(found))
    _confirm(whole, wanted, chosen, found.failed, "withdraw them", ask=ask)
    return chosen, _decided(whole, found, partial(Decisions.withdraw_matching, asked=asked, wanted=wanted))


def _refusals(shard: Shard, matches: Sequence[Match]) -> list[tuple[Match, BulkCancelError | None]]:
    decisions = Decisions(shard.store, once_each(shard.ask_where))
    return [(match, decisions.refuses(match)) for match in matches]


def _all(found: Found) -> list[Match]:
    return [match for each in answers(found).values() for match in each]


def _found(whole: Whole, wanted: Filter, batch: str | None, find: Callable[[Store], list[Match]]) -> Found:
    """What fits on each shard that may have some; one that is away is not known to have none.

    Accounts may have left some where they were before they were moved: a shard that answers tells that, too.
    """
    if batch is not None:
        return whole.then(whole.by_batch([batch]), lambda shard, _: find(shard.store))
    homes = whole.by_account(wanted.accounts, str) if wanted.accounts else None
    told = whole.each(lambda shard: find(shard.store))
    if homes is None:
        return told
    found = {name: matches for name, matches in told.answers.items() if matches or name in homes.answers}
    failed = {name: error for name, error in told.failed.items() if name in homes.answers}
    return Each(found, {**homes.failed, **failed})


def _decided(whole: Whole, found: Found, decide: Callable[[Decisions, Match], Done]) -> Decided[Done]:
    """What was decided of each batch; one that went since it was read is passed over."""

    def at(shard: Shard, matches: list[Match]) -> list[Done]:
        done, decisions = [], Decisions(shard.store, shard.ask_where)
        for match in matches:
            with suppress(UnknownBatchError):
                done.append(decide(decisions, match))
        return done

    told = whole.then(found, at)
    rows = [(whole.label(name), each) for name, done in answers(told).items() for each in done]
    return Decided([each for _, each in rows], [shard for shard, _ in rows], told.failed)


def _confirm(
    whole: Whole, wanted: Filter, chosen: Chosen, failed: Mapping[str, Exception], what: str, *, ask: bool
) -> None:
    """Asks a person, who is shown what fits; nothing is asked of nobody's orders."""
    if not chosen.matches:
        refuse_unknown(whole, wanted.accounts)
        return
    if not ask:
        return
    said = f"{plural(chosen.orders, 'order')} of {plural(len(chosen.matches), 'batch', 'batches')}"
    if not sys.stdin.isatty():
        fit = "fits" if chosen.orders == 1 else "fit"
        raise CommandError(f"{said} {fit}, and nobody can be asked here: give --yes to {what}")
    sys.stderr.writelines(f"{line}\n" for line in [*_lines(chosen), *failures(failed)])
    typer.confirm(f"{said}: {what}?", abort=True, err=True)


def refuse_unknown(whole: Whole, accounts: Iterable[str]) -> None:
    """A misspelt account has no orders; raises UnknownAccountError."""
    told = whole.each(lambda shard: shard.store.directory.names())
    names = sorted({name for each in told.answers.values() for name in each})
    for name in accounts:
        if name not in names and not told.failed:
            raise UnknownAccountError(name, names)


def _lines(chosen: Chosen) -> Iterator[str]:
    for match in chosen.matches[:BATCHES_NAMED]:
        counts = Counter(row.status for row in match.rows.values())
        yield f"  batch {clean(match.state.batch_id)} of {match.state.account}: {counts_text(counts)}"
    if len(chosen.matches) > BATCHES_NAMED:
        yield f"  and {plural(len(chosen.matches) - BATCHES_NAMED, 'more batch', 'more batches')}"
