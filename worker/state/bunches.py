"""The refused rows of one message as few entries: a message of 100,000 bad rows must not push out what others sent.

Up to `SINGLY` rows have an entry each. Of more, a bunch is one entry: its payload is a JSON list of its rows, its
errors name each row. Beyond `BUNCHES` the rest is counted by what is wrong with it, and its rows are not kept.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from bulk_cancel.tasks.reading import Refusal

SINGLY: Final = 20
BUNCHES: Final = 20
ROWS: Final = 33
"""Of one bunch, at most: a row has three faults at most, and 100 are kept with an entry."""

BYTES: Final = 15_000
"""Of a bunch's rows, at most, so that none is cut off."""

_KINDS: Final = 20
_WHICH: Final = re.compile(r"^orders\[\d+\]")


def bunched(refusals: Sequence[Refusal]) -> list[Refusal]:
    """What is to be kept, an entry each; all are of one message."""
    if len(refusals) <= SINGLY:
        return list(refusals)
    bunches = list(_bunches(refusals))
    kept = [_together(bunch) for bunch in bunches[:BUNCHES]]
    rest = [refusal for bunch in bunches[BUNCHES:] for refusal in bunch]
    return [*kept, _counted(rest)] if rest else kept


def _bunches(refusals: Sequence[Refusal]) -> Iterator[list[Refusal]]:
    bunch: list[Refusal] = []
    size = 0
    for refusal in refusals:
        if bunch and (len(bunch) == ROWS or size + len(refusal.payload) > BYTES):
            yield bunch
            bunch, size = [], 0
        bunch.append(refusal)
        size += len(refusal.payload) + 1
    yield bunch


def _together(bunch: Sequence[Refusal]) -> Refusal:
    if len(bunch) == 1:
        return bunch[0]
    payload = f"[{','.join(refusal.payload for refusal in bunch)}]"
    return _of(bunch, payload, tuple(error for refusal in bunch for error in refusal.errors))


def _counted(rest: Sequence[Refusal]) -> Refusal:
    kinds = Counter(_WHICH.sub("orders[…]", error) for refusal in rest for error in refusal.errors)
    errors = [f"{count:,} times {kind}" for kind, count in kinds.most_common(_KINDS)]
    said = f"{len(rest):,} more rows of this message are refused, and not kept; the first of them is shown"
    return _of(rest, rest[0].payload, (said, *errors))


def _of(refusals: Sequence[Refusal], payload: str, errors: tuple[str, ...]) -> Refusal:
    return Refusal(payload, errors, refusals[0].batch_id, refusals[0].account)
