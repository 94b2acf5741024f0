"""The desks of a runner's shards: who asks says an account or a batch, and is led to the desk that has it.

With one shard nothing is asked to find it, and everything is as at its own desk.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from heapq import merge
from typing import Final

from pydantic import ValidationError

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import PartlyTakenError, UnknownBatchError
from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll, parse_cancel_all
from bulk_cancel.tasks.messages import Envelope
from bulk_cancel.tasks.outcomes import Outcome
from bulk_cancel.tasks.receipts import MassReceipt
from bulk_cancel.tasks.utf8 import is_writable
from bulk_cancel.worker.operators.desk import Desk
from bulk_cancel.worker.state.positions import compose, parse, parse_for_one
from bulk_cancel.worker.state.shards import Each, Shard, ShardAwayError, Shards, TwoShardsError

TURN_S: Final = 0.2
"""How long one shard's stream is listened to before it is the next one's turn."""

Taken = tuple[Desk, MassReceipt]

Sees = Callable[[str], bool]
"""Whether an account is one of the caller's."""


def sees_all(_account: str) -> bool:
    """Of who may see every account."""
    return True


class Desks:
    """Raises BulkCancelError (ShardAwayError, where one of several Redis did not answer) and redis-py's errors."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards

    def at(self, name: str) -> Desk:
        """The desk of the shard called `name`."""
        return Desk(self.shards.of(name))

    def of_account(self, account: object) -> Asking[Desk]:
        """The desk that has the account; of what is no account's name any one, which refuses it."""
        if not self.shards.several:
            return self.at(self.shards.names[0])
        try:
            name = Envelope.model_validate({"account": account, "batch_id": "-"}).account
        except ValidationError:
            return self.at(self.shards.names[0])
        return Desk((yield from self.shards.ask_of_account(name)))

    def home(self, batch_id: str, sees: Sees = sees_all) -> Asking[Desk]:
        """The desk that has the batch. Raises UnknownBatchError only if every shard answered, or for what is no id.

        TwoShardsError: the id was given to batches on two shards; ask one of them (BULK_CANCEL_SHARD). Whose accounts
        (`sees`) only one of them is of is led to that one: nobody else can lock them out.
        """
        if not is_writable(batch_id):
            raise UnknownBatchError(batch_id)
        if not self.shards.several:
            return self.at(self.shards.names[0])
        told = yield from self.shards.ask_each(lambda shard: _account_of(shard, batch_id))
        every = {name: account for name, account in told.answers.items() if account is not None}
        found = [name for name, account in every.items() if sees(account)] or list(every)
        if len(found) > 1:
            raise TwoShardsError(f"there is a batch {batch_id!r} on each of the shards {' and '.join(found)}; ask one")
        if found:
            return self.at(found[0])
        for error in told.failed.values():
            raise error
        raise UnknownBatchError(batch_id)

    def submit_all(self, fields: Mapping[str, object]) -> Asking[list[Taken]]:
        """Takes a mass cancel; that of `*` on every shard, at once. Raises PartlyTakenError if one did not take it."""
        return self.take_all(parse_cancel_all(fields))

    def take_all(self, asked: CancelAll) -> Asking[list[Taken]]:
        """The same of a message that is read already."""
        if asked.account != ALL_ACCOUNTS:
            return (yield from _take(Desk((yield from self.shards.ask_of_account(asked.account))), asked))
        told = yield from self.shards.ask_each(lambda shard: self._take_all(shard, asked))
        taken = [each for found in told.answers.values() for each in found]
        if told.failed and not taken and len(told.failed) == len(self.shards.names):
            raise next(iter(told.failed.values()))
        if told.failed:
            raise PartlyTakenError(asked.batch_id, [receipt for _, receipt in taken], told.failed)
        return taken

    def _take_all(self, shard: Shard, asked: CancelAll) -> Asking[list[Taken]]:
        if (yield from self.shards.ask_is_empty(shard)):
            return []
        return (yield from _take(Desk(shard), asked))

    def since(self, position: str, wait_s: float) -> Asking[list[Outcome]]:
        """Outcomes after a position, of several shards those of each in their order; waits for the first.

        What others have is told although one is away; that one's position stays where it is. Raises ShardAwayError if
        it is away and the others have nothing, NotAPositionError before anything is asked.
        """
        if not self.shards.several:
            name = self.shards.names[0]
            return (yield from self.at(name).since(parse_for_one(position, name), wait_s))
        at, ends = parse(position, self.shards.names), time.monotonic() + wait_s
        while True:
            told = yield from self.shards.ask_each(lambda shard: Desk(shard).since(at[shard.name], 0))
            for error in told.failed.values():
                if not isinstance(error, ShardAwayError):  # a position that is lost is said at once
                    raise error
            found = _with_positions(told, at)
            left_s = ends - time.monotonic()
            if found:
                return found
            for error in told.failed.values():
                raise error
            if left_s <= 0:
                return []
            yield from self._listen(at, min(left_s, TURN_S))

    def _listen(self, at: Mapping[str, str], wait_s: float) -> Asking[None]:
        """Until one has something, or its turn is over: all are listened to at once."""
        yield from self.shards.ask_each(lambda shard: Desk(shard).since(at[shard.name], wait_s))

    def newest(self) -> Asking[str]:
        """The position after which outcomes are still to come; raises ShardAwayError if one cannot tell its own."""
        if not self.shards.several:
            return (yield from self.at(self.shards.names[0]).newest())
        told = yield from self.shards.ask_each(lambda shard: Desk(shard).newest())
        for error in told.failed.values():
            raise error
        return compose(told.answers)


def _account_of(shard: Shard, batch_id: str) -> Asking[str | None]:
    """Whose the batch is; None: it is not there."""
    try:
        return (yield from shard.store.batches.ask_state(batch_id)).account
    except UnknownBatchError:
        return None


def _take(desk: Desk, asked: CancelAll) -> Asking[list[Taken]]:
    return [(desk, receipt) for receipt in (yield from desk.take_all(asked))]


def _with_positions(told: Each[list[Outcome]], at: Mapping[str, str]) -> list[Outcome]:
    """All of them by the time of their entry, each shard's in their order, with the positions of all in each."""
    reached = dict(at)
    rows: Sequence[list[tuple[int, str, Outcome]]] = [
        [(int(each.position.partition("-")[0]), name, each) for each in outcomes]
        for name, outcomes in told.answers.items()
    ]
    found = []
    for _, name, outcome in merge(*rows, key=lambda row: row[0]):
        reached[name] = outcome.position
        found.append(replace(outcome, position=compose(reached)))
    return found
