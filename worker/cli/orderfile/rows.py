"""The values that pass while a file is read: its rows, and why a file or a row cannot be used."""

import json
from dataclasses import dataclass
from typing import Final

from bulk_cancel.tasks.errors import BulkCancelError

SHOWN: Final = 200
"""Characters of a bad row, or of the exchange's words, that a message repeats."""


class OrderFileError(BulkCancelError, ValueError):
    """A file that is no list of orders; one line per file: which, what is wrong, where, how to mend it."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that names no order: its file, its line (from 1), every reason, and the row, shortened.

    `kind` is the same for rows with the same faults, whatever their values.
    """

    source: str
    line: int
    errors: tuple[str, ...]
    payload: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {'; '.join(self.errors)}"


@dataclass(frozen=True, slots=True)
class Row:
    """What a file has in the place of one order: `line` from 1, `place` within a list, `errors` if it is unreadable.

    `account` is whose order the file says it is; empty if it does not say.
    """

    line: int
    value: object
    place: str = ""
    errors: tuple[str, ...] = ()
    account: str = ""


def shown(value: object) -> str:
    """The row as JSON, shortened."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
