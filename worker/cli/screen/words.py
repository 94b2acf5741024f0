"""The words that tell an operator what a decision did. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from bulk_cancel.tasks.errors import BulkCancelError, UnsealedBatchError
from bulk_cancel.tasks.outcomes import Retried, Withdrawn
from bulk_cancel.worker.cli.screen.output import by_whom, clean, moment, number, plural
from bulk_cancel.worker.operators.decisions import Paused, Rested, Resumed
from bulk_cancel.worker.operators.holds import Released
from bulk_cancel.worker.operators.shapes import iso
from bulk_cancel.worker.operators.targets import Target
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.scopes import parse_scope
from bulk_cancel.worker.state.statuses import Status

_WAYS: Final = ("opened", "joined", "remembered")


def withdrawn_words(done: Withdrawn, *, called_off: bool) -> Iterator[str]:
    """How many orders were taken back, and what of the others; whether it was a mass cancel that stopped looking."""
    if called_off:
        yield f"mass cancel {clean(done.state.batch_id)} called off: nothing more is listed or cancelled for it"
    said = [
        f"{plural(done.withdrawn, 'order')} withdrawn" if done.withdrawn else "nothing to withdraw",
        f"too late for {plural(done.sent, 'order')} (sent already, going on)" if done.sent else "",
        f"{plural(done.ended, 'order')} had ended before" if done.ended else "",
    ]
    yield f"batch {clean(done.state.batch_id)}: " + "; ".join(filter(None, said))
    if not done.state.sealed:
        yield "the batch is not handed in completely: what is handed in later under its id is not withdrawn"


def retried_words(done: Retried, statuses: Sequence[str]) -> Iterator[str]:
    """How many orders go again, until when, and what became of the others."""
    state, batch = done.state, f"batch {clean(done.state.batch_id)}"
    if not done.changed:
        yield f"{batch}: nothing to retry: no order ended {' or '.join(statuses)} ({_counts(done)})"
    elif not done.opened + done.joined:
        yield f"{batch}: nothing is sent: {_off_the_book(done)}"
    else:
        ways = filter(None, [_joined(done), _off_the_book(done) if done.remembered else ""])
        again = plural(done.opened + done.joined, "order") + " waiting again"
        yield f"{batch}: " + "; ".join([f"{again}, until {iso(state.deadline_at)}", *ways])
        yield f"see: bulk-cancel status {clean(state.batch_id)} --watch"
    withdrawn = state.counts.get(Status.WITHDRAWN, 0)
    if withdrawn and Status.WITHDRAWN not in statuses:
        yield f"{plural(withdrawn, 'withdrawn order')} left as they are; --status withdrawn lets them go again"


def withdrawn_matching_words(done: Sequence[Withdrawn]) -> Iterator[str]:
    """What became of the orders that fit a filter, all batches together."""
    if not done:
        yield "no order fits that was not sent yet: nothing to withdraw"
        return
    withdrawn, sent, ended = (sum(getattr(each, name) for each in done) for name in ("withdrawn", "sent", "ended"))
    said = [
        f"{plural(withdrawn, 'order')} of {plural(len(done), 'batch', 'batches')} withdrawn",
        f"too late for {plural(sent, 'order')} (sent meanwhile, going on)" if sent else "",
        f"{plural(ended, 'order')} ended meanwhile" if ended else "",
    ]
    yield "; ".join(filter(None, said))
    if any(each.state.mass and not each.state.sealed for each in done):
        yield "a mass cancel among them goes on, and leaves these orders alone"


def retried_matching_words(
    done: Sequence[Retried], left_out: Sequence[tuple[BatchState, BulkCancelError]], statuses: Sequence[str]
) -> Iterator[str]:
    """How many of the orders that fit a filter go again, all batches together, and which were left out."""
    if done:
        opened, joined, remembered = (sum(getattr(each, name) for each in done) for name in _WAYS)
        total = replace(done[0], opened=opened, joined=joined, remembered=remembered)
        again = f"{plural(opened + joined, 'order')} of {plural(len(done), 'batch', 'batches')} waiting again"
        yield "; ".join(filter(None, [again, _joined(total), _off_the_book(total) if remembered else ""]))
        yield "see: bulk-cancel batches --status open"
    elif not left_out:
        yield f"nothing to retry: no order that fits ended {' or '.join(statuses)}"
    for state, error in left_out:
        yield f"batch {clean(state.batch_id)} left out: {_why_left_out(state, error)}"


def _why_left_out(state: BatchState, error: BulkCancelError) -> str:
    if not isinstance(error, UnsealedBatchError):
        return f"no worker serves its account {state.account} there any more"
    return "a mass cancel that still runs" if state.mass else "not handed in completely"


def released_words(done: Released) -> Iterator[str]:
    """Whether it was on hold, and what is left to be done."""
    mass, name = done.mass, f"mass cancel {clean(done.mass.batch_id)} of {done.mass.account}"
    if not done.changed:
        yield f"{name} is on hold no more: {mass.state} {moment(mass.ended_at) if mass.ended_at else 'before'}"
        return
    flat = "its scope was flat" if mass.flat else "its scope was NOT FLAT"
    yield f"{name} released: nothing more is listed or found; {flat}"
    if done.batch.waiting:
        yield f"{plural(done.batch.waiting, 'order')} that it found still being cancelled"


def _counts(done: Retried) -> str:
    counts = [f"{number(count)} {status}" for status, count in sorted(done.state.counts.items())]
    return ", ".join([*counts, *([f"{number(done.state.waiting)} waiting"] if done.state.waiting else [])])


def _joined(done: Retried) -> str:
    return f"{number(done.joined)} of them being cancelled already for another batch" if done.joined else ""


def _off_the_book(done: Retried) -> str:
    return f"{plural(done.remembered, 'order')} off the book by now, as another batch found"


def paused_words(done: Paused) -> Iterator[str]:
    """What is paused, whom else that holds back, and how it goes on."""
    whom = _whom(done.target)
    if not done.changed:
        yield f"{whom} paused already since {moment(done.since)} {by_whom(done.by, done.reason)}; that pause stays"
    else:
        yield f"{whom} paused {by_whom(done.by, done.reason)}"
    yield from _sharers(done.target)
    yield "what is in flight finishes; orders that wait keep their deadlines and end as exhausted when they pass"
    yield f"to go on: bulk-cancel resume {clean(done.target.name)}"


def _whom(target: Target) -> str:
    return f"lane {clean(target.name)}" if not target.account else f"account {clean(target.account)}"


def _sharers(target: Target) -> Iterator[str]:
    """An account is never alone in this: its User ID's other accounts send for the same lanes."""
    others = [name for name in target.accounts if name != target.account]
    if target.account and others:
        uid = parse_scope(target.scope)[1]
        yield f"with it: {', '.join(others)} (one User ID, {clean(uid)}: they send for the same lanes)"


def resumed_words(done: Resumed) -> Iterator[str]:
    """What rested, since when and why."""
    whom = _whom(done.target)
    if not done.ended:
        yield f"{whom} is neither paused nor at rest: nothing to resume"
        return
    yield f"{whom} resumed; orders that wait there are tried at once"
    yield from _sharers(done.target)
    yield from (f"it {_rested(rest)}" for rest in done.ended)


def _rested(rest: Rested) -> str:
    if rest.by:
        return f"was paused since {moment(rest.since)} {by_whom(rest.by, rest.reason)}"
    return f"rested ({clean(rest.scope)}) since {moment(rest.since)}: {clean(rest.reason)}"
