"""The stream of endings, read from a position on, so that whoever was stopped goes on without missing one.

A position is where a reader is: the id of the last outcome that it is done with, `0` for all that is kept, or the ms
since the epoch from which on it reads. Each read begins at the last outcome itself: if that is gone, what came next may
be gone, too, and nobody is to take the rest for all.
"""

import json
from collections.abc import Mapping
from typing import Final

from redis import Redis
from redis.client import Pipeline

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import LostPositionError
from bulk_cancel.tasks.outcomes import Outcome
from bulk_cancel.worker.config.users import owner_of
from bulk_cancel.worker.state.formats import FORMATS, Formats, mark_fields, marks_in, readable
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.rows import children_of

START: Final = "0"
PER_READ: Final = 1_000

Entry = tuple[str, Mapping[str, str]]
"""An outcome's id in the stream, and its fields."""


class Outcomes:
    """The stream `outcomes` of one runner; raises UnreadableFormatError and redis-py's errors.

    It looks at the marks each time: who reads a stream that has another meaning, or another place, would miss endings.
    """

    def __init__(self, redis: Redis, keys: Keys, formats: Formats = FORMATS) -> None:
        self._redis = redis
        self._keys = keys
        self._key = keys.of("outcomes")
        self._formats = formats

    def ask_since(self, position: str, *, wait_s: float = 0) -> Asking[list[Outcome]]:
        """At most `PER_READ` outcomes after `position`, in their order; if there are none, waits for the first.

        Raises LostPositionError.
        """
        found = yield from self._after(position)
        if not found and wait_s > 0:
            yield self._redis.xread({self._key: position}, count=1, block=max(1, round(wait_s * 1000)))
            found = yield from self._after(position)
        return [_outcome(ident, fields) for ident, fields in found]

    def ask_newest(self) -> Asking[str]:
        """The position of the latest outcome: what is read from there on is still to come."""
        pipe = self._piped()
        pipe.xrevrange(self._key, count=1)
        newest = yield from self._answer(pipe)
        return newest[0][0] if newest else START

    def _after(self, position: str) -> Asking[list[Entry]]:
        pipe = self._piped()
        pipe.xrange(self._key, min=position, count=PER_READ + 1)
        entries = yield from self._answer(pipe)
        if "-" not in position:  # no outcome's, but a time
            return entries[:PER_READ]
        if not entries or entries[0][0] != position:
            raise LostPositionError(position)
        return entries[1:]

    def _piped(self) -> Pipeline:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hmget(self._keys.of("formats"), mark_fields(self._keys.prefix))
        return pipe

    def _answer(self, pipe: Pipeline) -> Asking[list[Entry]]:
        marks: list[str | None]
        entries: list[Entry]
        marks, entries = yield pipe.execute()
        readable(self._formats, marks_in(marks))
        return entries


def _outcome(position: str, fields: Mapping[str, str]) -> Outcome:
    order = JobId.parse(fields["order"])
    return Outcome(
        position,
        fields["order"],
        owner_of(order.uid),
        order.inst_id,
        None if order.is_algo else order.ord_id,
        order.cl_ord_id,
        fields["account"],
        int(fields["generation"]),
        fields["status"],
        fields["sCode"] or None,
        fields["sMsg"] or None,
        int(fields["attempts"]),
        int(fields["finished"]),
        tuple(fields["batches"].split()),
        fields.get("accFillSz") or None,
        known_of(fields),
        order.ord_id if order.is_algo else None,
        children_of(json.loads(fields.get("children", "[]"))),
    )


def known_of(fields: Mapping[str, str]) -> bool | None:
    """Whether the exchange ever knew an order that is gone; None for all others, and where 1.0 told its end."""
    return {"1": True, "0": False}.get(fields.get("known", ""))
