"""Which orders contradict an empty listing: the private channel told of them as open, and of no end since. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.okx.answers import Row

SETTLE_US: Final = 300_000
"""An order's end is pushed within this: whatever is still told of as open then was open when the scope seemed empty."""

KEPT_S: Final = 5.0
"""What was told is renewed far more often; older, its listener is gone, and nothing is known."""

NAMED: Final = 3
"""Orders that a report names; of the others it says how many there are."""


@dataclass(frozen=True, slots=True)
class Told:
    """The open orders of one user as his private channel told of them, as of `at_us` on Redis's own clock.

    A row has the fields that a scope's filters ask for.
    """

    at_us: int
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """What `opened_tell` wrote."""
        said = json.loads(text)
        return cls(int(said["at"]), tuple(said["orders"]))


def contradicting(told: Told | None, scope: Scope, *, since_us: int, now_us: int, now_ms: float) -> list[Row]:
    """The orders in scope that were open after listings had found none since `since_us`, as far as anybody was told.

    `now_us` is Redis's own clock, `now_ms` the exchange's. Nothing told, or too long ago, is nothing known: none.
    """
    if told is None or told.at_us < since_us + SETTLE_US or now_us - told.at_us > KEPT_S * 1e6:
        return []
    return [row for row in told.rows if not scope.leaves_out(row, now_ms=now_ms)]


def in_words(order_ids: Sequence[str]) -> str:
    """Why the scope is not flat, for a report."""
    named = ", ".join(order_ids[:NAMED]) + (f" and {len(order_ids) - NAMED:,} more" if len(order_ids) > NAMED else "")
    return (
        f"the open orders were listed as none in scope, but the private channel told of {named} as open, "
        "and of no end since"
    )
