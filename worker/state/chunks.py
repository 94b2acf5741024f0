"""Gives much work in chunks, so that nobody else waits long."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in their order, `size` at a time, the last chunk as many as are left; nothing of nothing."""
    return (items[start : start + size] for start in range(0, len(items), size))
