"""JSON objects in which every name stands once: readers differ in which of two they take, and one order may be lost."""

from collections import Counter
from collections.abc import Iterable
from typing import Any


class TwiceError(ValueError):
    """One object has a name twice; says which."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these names and values, as `object_pairs_hook` of a decoder; raises TwiceError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        name = twice(name for name, _ in pairs)[0]
        raise TwiceError(f"names {name!r:.60} twice in one object; keep one of them")
    return found


def twice(names: Iterable[str]) -> list[str]:
    """Those that come more than once, as they came first; an object from outside may have a million."""
    return [name for name, count in Counter(names).items() if count > 1]
