"""Looks at all that can place orders besides a program: which kinds there are, how many, and on which instruments.

Each of the eighteen lists is read under a window of its own. One that cannot be read is not known, never empty.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bulk_cancel.worker.books.able import Able, Survey
from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.errors import ExchangeError, OutcomeUnknown, Refused
from bulk_cancel.worker.okx.sources import LISTS, SourceList, instruments_of

AT_ONCE: Final = 6
"""Lists that are read at the same time: a call mostly waits."""

TRIES: Final = 3
AGAIN_S: Final = 1.0
"""Three tries last longer than the window of a list that was refused for speed."""

Means = Callable[[SourceList, Row], bool]
"""Whether a row of a list counts."""


def survey(book: Book, user: User, means: Means = lambda _listed, _row: True) -> Survey:
    """All of the user's sources that the scope means, as they stand; raises redis-py's errors and ReadingStopped."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="survey") as pool:
        return _together(pool.map(lambda listed: _read(book, user, listed, means), LISTS))


def _together(read: Iterator[Survey]) -> Survey:
    parts = list(read)
    return Survey(
        able=tuple(able for part in parts for able in part.able),
        unknown={name: why for part in parts for name, why in part.unknown.items()},
        unavailable=tuple(name for part in parts for name in part.unavailable),
    )


def _read(book: Book, user: User, listed: SourceList, means: Means) -> Survey:
    """What one list shows, tried a few times."""
    for left in reversed(range(TRIES)):
        try:
            rows = list(book.sources(user, listed))
            if not listed.tells(rows):
                return Survey(unknown={listed.name: "the answer does not say it"})
            able = (row for row in rows if means(listed, row) and listed.is_able(row))
            return Survey(able=counted((listed, row) for row in able))
        except ExchangeError as error:
            if listed.is_unavailable(error.code):
                return Survey(unavailable=(listed.name,))
            if isinstance(error, Refused) or not left:
                return Survey(unknown={listed.name: error.told})
        time.sleep(AGAIN_S)
    raise OutcomeUnknown


def counted(rows: Iterable[tuple[SourceList, Row]]) -> tuple[Able, ...]:
    """Rows of lists, by kind and instrument."""
    found: dict[str, Counter[str]] = {}
    for listed, row in rows:
        inst = "/".join(instruments_of(row))
        found.setdefault(listed.kind_of(row), Counter())[inst] += 1
    return tuple(Able(kind, counts.total(), _told(counts)) for kind, counts in sorted(found.items()))


def _told(counts: Mapping[str, int]) -> dict[str, int]:
    """By instrument, the most first; those whose rows name none are left out."""
    return {inst: count for inst, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])) if inst}
