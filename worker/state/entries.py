"""Reads a stream of the runner page by page, either way."""

from collections.abc import Iterator
from typing import cast

from redis import Redis

Entry = tuple[str, dict[str, str]]
"""An id and its fields."""


def entries(redis: Redis, key: str, *, newest_first: bool, page: int, first: int | None = None) -> Iterator[Entry]:
    """Every entry of the stream, `page` at a time, and `first` before these; raises redis-py's errors.

    A short page is the last one: backwards beyond the first entry Redis walks through all of them to find nothing.
    """
    after, size = "", first or page
    while True:
        found = _page(redis, key, f"({after}" if after else "", size, newest_first=newest_first)
        yield from found
        if len(found) < size:
            return
        after, size = found[-1][0], page


def _page(redis: Redis, key: str, bound: str, size: int, *, newest_first: bool) -> list[Entry]:
    if newest_first:
        return cast("list[Entry]", redis.xrevrange(key, max=bound or "+", count=size))
    return cast("list[Entry]", redis.xrange(key, min=bound or "-", count=size))
