"""Finds ids that lost digits in another program, by looking at the ids of a file together. Pure.

A spreadsheet keeps 15 digits of a number, JavaScript what a double holds (exact up to 2^53); both write zeros for the
rest. One id may end in zeros by chance; most ids of a file do not.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

_EXACT: Final = 2**53
_SHEET_DIGITS: Final = 15
_CERTAIN_BITS: Final = 20.0
"""Nothing is refused that happens by chance more often than once in a million files."""


def rounded_ids(ids: Iterable[str]) -> list[str]:
    """The ids that were rounded, if there are so many of them that it is no chance; else none."""
    long = [each for each in ids if int(each) > _EXACT]
    found = {each: bits for each in long if (bits := _surprise_bits(each))}
    return list(found) if len(found) * 2 > len(long) and sum(found.values()) >= _CERTAIN_BITS else []


def _surprise_bits(ident: str) -> float:
    """How unlikely these digits are by chance, as the logarithm to base 2; 0: they are nothing special."""
    cut = ident[_SHEET_DIGITS:]
    by_sheet = len(cut) * math.log2(10) if not cut.strip("0") else 0.0
    return max(by_sheet, _double_bits(ident))


def _double_bits(ident: str) -> float:
    """The same of a number as JavaScript writes it: the shortest digits that stand for its double."""
    value = int(ident)
    spelt = int(Decimal(repr(float(value))))
    return float(value.bit_length() - _EXACT.bit_length() + 1) if value == spelt else 0.0
