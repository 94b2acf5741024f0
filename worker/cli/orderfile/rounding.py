"""Finds ids that lost digits in another program, by looking at the ids of a file together. Pure.

A spreadsheet keeps 15 digits of a number, JavaScript what a double holds, which is 16 or 17; both write zeros for the
rest. One id may end in zeros by chance; most ids of a file do not.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

_SHEET_DIGITS: Final = 15
_DOUBLE_DIGITS: Final = 17
_CERTAIN_BITS: Final = 18.0
"""Nothing is refused that happens by chance more often than once in 2^18 files."""

_KEPT: Final = 0.1
"""Share of ids that end in no zero although all were rounded: a file may be put together of several."""


def rounded_ids(ids: Iterable[str]) -> list[str]:
    """The ids that were rounded, if there are so many of them that it is no chance; else none."""
    long = [each for each in ids if len(each) > _SHEET_DIGITS]
    rounded = [each for each in long if _is_rounded(each)]
    certainty = sum(_for(each) for each in rounded) - (len(long) - len(rounded)) * math.log2(0.9 / _KEPT)
    return rounded if certainty >= _CERTAIN_BITS else []


def _is_rounded(ident: str) -> bool:
    """It reads as a program writes it that lost digits: zeros to its end, behind no more digits than were kept."""
    kept = len(ident.rstrip("0"))
    if kept <= _SHEET_DIGITS:
        return True
    return kept <= _DOUBLE_DIGITS < len(ident) and int(Decimal(repr(float(ident)))) == int(ident)


def _for(ident: str) -> float:
    """How much more likely so many zeros are if ids were rounded than by chance, as the logarithm to base 2."""
    zeros = len(ident) - len(ident.rstrip("0"))
    return math.log2((1 - _KEPT) * 10**zeros)
