"""What a job or a row of a batch may be, and the sets of it that decide what follows. Pure; Lua gets the same sets."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from bulk_cancel.tasks.outcomes import DEAD, OFF_THE_BOOK, Status

__all__ = ["DEAD", "DECIDED", "IN_LINE", "OFF_THE_BOOK", "OUTCOMES", "PROVED", "Again", "Status", "row_ended"]


class Again(StrEnum):
    """Outcomes after which people may let an order go again."""

    REJECTED = Status.REJECTED
    EXHAUSTED = Status.EXHAUSTED
    WITHDRAWN = Status.WITHDRAWN
    GONE = Status.GONE


PROVED: Final = (Status.CANCELED, Status.FILLED)
"""The book has told how the order ended: true for ever. `gone` is only what the exchange did not know at the time."""

DECIDED: Final = (Status.REJECTED, Status.WITHDRAWN)
"""The exchange, or an operator, decided it: a mass cancel whose listing shows such an order leaves it alone."""

IN_LINE: Final = (Status.QUEUED, Status.RETRYING)
"""A live job that waits to be sent."""

OUTCOMES: Final = (*OFF_THE_BOOK, Status.ACCEPTED, *DEAD, Status.WITHDRAWN)
"""All that a row can end with, in the order in which people read them."""

_FOR_LUA: Final[Mapping[str, tuple[Status, ...]]] = {
    "OFF_THE_BOOK": OFF_THE_BOOK,
    "PROVED": PROVED,
    "DECIDED": DECIDED,
    "IN_LINE": IN_LINE,
}


def row_ended(row: str) -> bool:
    """Whether a row, as Redis keeps it, has its outcome: it is JSON then, and 'n enqueued clOrdId' before."""
    return row.startswith("{")


def lua_preamble(body: str) -> str:
    """The sets that `body` uses, as Lua tables with `true` for each member."""
    used = set(re.findall(r"\b[A-Z_]+\b", body))
    return "".join(_lua_table(name, statuses) for name, statuses in _FOR_LUA.items() if name in used)


def _lua_table(name: str, statuses: tuple[Status, ...]) -> str:
    return f"local {name} = {{ {', '.join(f'{status} = true' for status in statuses)} }}\n"
