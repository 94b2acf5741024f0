"""Orders as the verb `admit` takes them."""

from collections.abc import Sequence
from typing import NamedTuple


class Asked(NamedTuple):
    """An order that is handed in: its job's id and lane, its number in the batch and its client id, "" for none.

    In a batch that grows, that of a mass cancel, it gets its number from the verb.
    """

    job: str
    lane: str
    n: str = ""
    cl: str = ""


def columns(orders: Sequence[Asked]) -> dict[str, list[str]]:
    """What they say, field by field; a field that none of them has is left out."""
    named = zip(Asked._fields, map(list, zip(*orders, strict=True)), strict=False)
    return {name: said for name, said in named if any(said)}
