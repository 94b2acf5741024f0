"""A batch in hand: how it stands, what became of its orders, and what may be decided about it.

`Submitted` and `MassSubmitted` are the receipts of `submit` and `submit_all` with the same in them; `Batch` is a batch
by its id. `tasks/aio.py` has them for asyncio.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from bulk_cancel.tasks.asking import answered
from bulk_cancel.tasks.errors import NotCompleteError
from bulk_cancel.tasks.outcomes import DEAD, BatchState, Retried, Row, Withdrawn
from bulk_cancel.tasks.receipts import MassReceipt, Receipt

if TYPE_CHECKING:
    from bulk_cancel.worker.books.mass.report import MassReport
    from bulk_cancel.worker.operators.desk import Desk
    from bulk_cancel.worker.operators.desks import Desks

RETRIED: Final = tuple(map(str, DEAD))
"""What goes again unless somebody says otherwise."""


class Held:
    """What a batch in hand is, whoever asks; a copy of it, as a pool of processes makes one, has no connection."""

    __slots__ = ()
    batch_id: str
    _desk: "Desk | Desks | None"

    @property
    def _opened(self) -> "Desk | Desks":
        if self._desk is None:
            raise TypeError(f"this copy has no connection; use batch({self.batch_id!r}) of a client")
        return self._desk

    def __reduce__(self) -> tuple[object, ...]:
        """Without the connection, which may be known to one process only, and has a password."""
        return type(self), tuple(values_of(self).values())


class Handle(Held):
    """A batch of one runner; every call asks Redis, and raises UnknownBatchError or redis-py's errors."""

    __slots__ = ()

    def _at_home(self) -> "Desk":
        """The desk of the shard that has the batch: of a receipt known, of an id asked for where there are several."""
        return answered(self._opened.home(self.batch_id))

    def status(self) -> BatchState:
        """How the batch stands now."""
        return answered(self._at_home().status(self.batch_id))

    def wait(self, timeout_s: float | None = None) -> BatchState:
        """The batch once every order of it has an outcome; which outcomes these are, `counts` and `dead` say.

        Raises:
            NotCompleteError: it is not so after `timeout_s`; `state` is how it stands.
        """
        for asking in self._at_home().waiting(self.batch_id, timeout_s):
            state = answered(asking)
        if not state.complete:
            raise NotCompleteError(state)
        return state

    def outcomes(self) -> Iterator[Row]:
        """Every order of the batch as it stands, each once, in no order; a thousand at a time are in memory."""
        for asking in self._at_home().reading(self.batch_id):
            yield from answered(asking)

    def report(self) -> "MassReport":
        """How a mass cancel stands: what was found, what became of it, what is still open. Raises UnknownMassError."""
        return answered(self._at_home().report(self.batch_id))

    def withdraw(self, *, by: str, reason: str = "") -> Withdrawn:
        """Takes the batch back from every order that was not sent; a mass cancel finds nothing more."""
        return answered(self._at_home().withdraw(self.batch_id, by=by, reason=reason))

    def release(self, *, by: str, reason: str = "") -> bool:
        """Ends the hold of a mass cancel: nothing more is found. Whether it was on. Raises UnknownMassError.

        A `BulkCancelError` if it was never on hold.
        """
        return answered(self._at_home().release(self.batch_id, by=by, reason=reason))

    def retry(
        self, *, by: str, reason: str = "", statuses: Sequence[str] = RETRIED, deadline_s: int | None = None
    ) -> Retried:
        """Lets the orders that ended in one of `statuses` go again, for `deadline_s` or as long as the batch had.

        Raises:
            UnsealedBatchError: the batch is not handed in completely, or its mass cancel still runs.
            MovedAccountError: its account is on another shard by now; UnknownAccountError: nobody serves it.
            ValueError: a status after which no order goes again.
        """
        asked = self._at_home().retry(self.batch_id, by=by, reason=reason, statuses=statuses, deadline_s=deadline_s)
        return answered(asked)


@dataclass(frozen=True, slots=True)
class Batch(Handle):
    """A batch by its id; whether there is one, its calls tell."""

    batch_id: str
    _desk: "Desk | Desks | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Submitted(Receipt, Handle):
    """The receipt of a batch, with the batch in hand."""

    _desk: "Desk | Desks | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MassSubmitted(MassReceipt, Handle):
    """The receipt of a mass cancel, with its batch in hand."""

    _desk: "Desk | Desks | None" = field(default=None, repr=False, compare=False)


def values_of(receipt: Any) -> dict[str, Any]:  # noqa: ANN401 (of any kind)
    """The fields of a receipt."""
    return {each.name: getattr(receipt, each.name) for each in fields(receipt) if each.name != "_desk"}
