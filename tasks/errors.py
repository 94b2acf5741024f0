"""The errors by which `submit()`, the workers' doors and the command line refuse, all under one root.

    BulkCancelError
    ├── SettingsError
    ├── InvalidOrders (ValueError)
    ├── UnknownAccountError (LookupError)
    ├── AdmissionError
    │   ├── BatchConflictError
    │   ├── RedisFullError
    │   ├── NotReplicatedError
    │   └── PartlyTakenError
    ├── UnreadableFormatError
    ├── UnknownBatchError (LookupError)
    ├── UnknownMassError (LookupError)
    ├── UnsealedBatchError
    ├── MovedAccountError
    ├── NotCompleteError
    ├── LostPositionError (LookupError)
    ├── NotAPositionError (ValueError)
    ├── ShardAwayError (ConnectionError)   worker.state.shards
    ├── TwoShardsError                     worker.state.shards
    ├── UnfitRedisError                    worker.state.connection
    ├── NotReadableError                   worker.books.reader
    ├── UnknownLaneError (LookupError)     worker.operators.targets
    ├── NotMovableError                    worker.operators.moving
    ├── NotOnHoldError                     worker.operators.holds
    ├── NotADrillError                     worker.operators.drill.rules
    ├── Problem                            worker.gateway.problems
    ├── CommandError                       worker.cli.errors
    ├── OrderFileError (ValueError)        worker.cli.orderfile.rows
    ├── MissingPackageError                worker.config.extras
    └── StageError                         worker.cli.demo.stage

Those that a producer meets are defined here, so that catching them needs nothing of `worker`; but for ShardAwayError
and TwoShardsError, of a runner with several Redis alone, and NotOnHoldError of `release`. ShardAwayError is redis-py's
ConnectionError, too: catch it before that one, and ask again.

Not in the tree: redis-py's errors, which say that Redis did not answer; the exchange's (`worker/okx/errors.py`); the
simulator's; and those that never leave a worker.
"""

from collections.abc import Iterable, Mapping, Sequence

from bulk_cancel.tasks.outcomes import BatchState
from bulk_cancel.tasks.receipts import MassReceipt


class BulkCancelError(Exception):
    """What was asked for is refused, or cannot be done.

    The text is for people: one line for each fault, which says what is wrong, where, and how to mend it. It holds no
    secret.
    """

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled as it is: a pool of processes would call the class with its text alone, which some do not take."""
        return _unpickled, (type(self), self.args, self.__dict__)


def _unpickled(kind: type[BulkCancelError], args: tuple[object, ...], fields: dict[str, object]) -> BulkCancelError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class SettingsError(BulkCancelError):
    """The environment is not usable; one line per fault: which variable, what is wrong, how to mend it."""


class InvalidOrders(BulkCancelError, ValueError):  # noqa: N818 (a finding about the input, not a failure of ours)
    """What cannot be accepted as it is, such as a batch; `errors` has one line per fault, bad rows by their index."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class UnknownAccountError(BulkCancelError, LookupError):
    """No worker and no setting knows this account; the message names those that are known."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known))
        hint = f"known accounts: {names}" if names else "no account is known; start a worker, or set an account here"
        super().__init__(f"unknown account {name!r}; {hint}")


class AdmissionError(BulkCancelError):
    """The batch was not taken as asked; the message says why and what to do."""


class BatchConflictError(AdmissionError):
    """The batch id is known, with other orders."""


class RedisFullError(AdmissionError):
    """Redis has no room for the batch; the message says whether some of it may be there."""


class NotReplicatedError(AdmissionError):
    """Fewer replicas than `WAIT_REPLICAS` confirmed the batch in time."""


class PartlyTakenError(AdmissionError):
    """A mass cancel of all accounts was not taken on every shard; the same again takes the rest.

    `taken` has the receipts of the others, `missing` why it was not taken, by shard.
    """

    def __init__(self, batch_id: str, taken: Sequence[MassReceipt], missing: Mapping[str, Exception]) -> None:
        lines = [f"shard {name}: {error}" for name, error in missing.items()]
        super().__init__(
            "\n".join([f"{batch_id!r} was not taken on every shard; ask again with the same batch_id", *lines])
        )
        self.taken = taken
        self.missing = missing


class UnreadableFormatError(BulkCancelError):
    """Another release has changed what stands in Redis: this one cannot read it, and did nothing."""


class UnknownBatchError(BulkCancelError, LookupError):
    """No batch has this id: never submitted, or past its retention."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"unknown batch {batch_id!r}: never submitted here, or kept no longer (RETENTION_S)")


class UnknownMassError(BulkCancelError, LookupError):
    """No mass cancel has this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"{batch_id!r} is no mass cancel: never asked for here, or kept no longer (RETENTION_S)")


class UnsealedBatchError(BulkCancelError):
    """Not all orders of the batch were handed in yet."""

    def __init__(self, state: BatchState) -> None:
        if state.mass:
            super().__init__(f"mass cancel {state.batch_id!r} still runs, and lets its orders go again by itself")
            return
        super().__init__(
            f"batch {state.batch_id!r} is not handed in completely ({state.size:,} orders were announced): submit the "
            "same batch again first, then retry"
        )


class MovedAccountError(BulkCancelError):
    """The batch is on a shard that does not have its account any more; `shard` has it now, "" if that is not known."""

    def __init__(self, batch_id: str, account: str, *, here: str, shard: str = "") -> None:
        to = f"shard {shard}" if shard else "the shard that has the account"
        super().__init__(
            f"batch {batch_id!r} is on shard {here}, where no worker serves its account {account} any more, so its "
            f"orders would go nowhere: submit them again under a new batch_id, and they go to {to}"
        )
        self.shard = shard


class NotCompleteError(BulkCancelError):
    """A batch was waited for, and has orders without an outcome; `state` is how it stands."""

    def __init__(self, state: BatchState) -> None:
        more = "" if state.sealed else ", and more may come"
        have = "order has" if state.waiting == 1 else "orders have"
        super().__init__(f"batch {state.batch_id!r} is not complete: {state.waiting:,} {have} no outcome yet{more}")
        self.state = state


class LostPositionError(BulkCancelError, LookupError):
    """The outcome at this position is not in Redis any more, so neither may be some that came after it."""

    def __init__(self, position: str) -> None:
        super().__init__(
            f"outcome {position!r} is not in Redis any more: it is older than RETENTION_S, or Redis lost it, and so "
            "may be others that came after it; read your batches by their ids, then go on from a time"
        )


class NotAPositionError(BulkCancelError, ValueError):
    """This text says of no outcome, and of no time, from where on to read; to repeat it is of no use."""

    def __init__(self, position: str) -> None:
        super().__init__(
            f"{position!r} is no position: should be 0, a time in ms, or an outcome's as it was told, such as "
            "1764378000000-0, or a=1764378000000-0;default=1764378000123-4 of several Redis (one alone takes its own)"
        )
