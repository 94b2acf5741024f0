"""The errors by which `submit()`, the workers' doors and the command line refuse, all under one root.

    BulkCancelError
    ├── SettingsError
    ├── InvalidOrders (ValueError)
    ├── UnknownAccountError (LookupError)
    ├── AdmissionError
    │   ├── BatchConflictError
    │   ├── RedisFullError
    │   └── NotReplicatedError
    ├── UnfitRedisError                    worker.state.connection
    ├── UnknownBatchError (LookupError)    worker.state.batches
    ├── UnknownMassError (LookupError)     worker.books.mass.masses
    ├── NotReadableError                   worker.books.reader
    ├── UnknownLaneError (LookupError)     worker.operators.targets
    ├── UnsealedBatchError                 worker.operators.decisions
    ├── NotADrillError                     worker.operators.drill.rules
    ├── CommandError                       worker.cli.errors
    ├── OrderFileError (ValueError)        worker.cli.orderfile.rows
    ├── MissingPackageError                worker.config.extras
    └── StageError                         worker.cli.demo.stage

Those that a producer meets are defined here, so that catching them needs nothing of `worker`. Not in the tree:
redis-py's errors, which say that Redis did not answer; the exchange's (`worker/okx/errors.py`); the simulator's; and
those that never leave a worker.
"""

from collections.abc import Iterable


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
    """A batch that cannot be accepted as it is; `errors` has one line per fault, bad rows by their index."""

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
