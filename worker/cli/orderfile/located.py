"""JSON whose values know the line on which they begin. Reads values one after another, and walks into one of them.

The walk steps over whole values with the decoder of the standard library, so a file of 100,000 rows costs little more
than its parsing. A name that comes twice in one object is an error: readers differ in which of the two they take.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bulk_cancel.tasks.once import TwiceError, once
from bulk_cancel.worker.cli.orderfile.rows import OrderFileError

_BLANK: Final = re.compile(r"\s*")
_BETWEEN: Final = re.compile(r"[\s,]*")
_COLON: Final = re.compile(r"\s*:\s*")

_decoder: Final = json.JSONDecoder(object_pairs_hook=once)


@dataclass(frozen=True, slots=True)
class Located:
    """A parsed value, and where it stands in its text: from `start` to `end`, beginning on `line` (from 1)."""

    text: str
    start: int
    end: int
    line: int
    value: object

    def items(self) -> Iterator["Located"]:
        """The items of a list."""
        return _items(self.text, self.start + 1, self.line)

    def member(self, name: str) -> "Located":
        """The value under `name` of an object that has it."""
        position, line = self.start + 1, self.line
        while True:
            key = _value_at(self.text, _skip(_BETWEEN, self.text, position), position, line)
            at = _skip(_COLON, self.text, key.end)
            value = _value_at(self.text, at, key.end, key.line)
            if key.value == name:
                return value
            position, line = value.end, value.line + self.text.count("\n", value.start, value.end)


def values(text: str) -> Iterator[Located]:
    """The JSON values of a text one after another, with nothing but blanks and commas between them.

    Raises:
        OrderFileError: with the line on which the text is no JSON.
    """
    position, line = 0, 1
    while (start := _skip(_BETWEEN, text, position)) < len(text):
        found = _value_at(text, start, position, line)
        yield found
        position, line = found.end, found.line + text.count("\n", found.start, found.end)


def _items(text: str, position: int, line: int) -> Iterator[Located]:
    while text[start := _skip(_BETWEEN, text, position)] != "]":
        found = _value_at(text, start, position, line)
        yield found
        position, line = found.end, found.line + text.count("\n", found.start, found.end)


def _value_at(text: str, start: int, position: int, line: int) -> Located:
    """The value that begins at `start`; `line` is the line of `position`, which is before it."""
    line += text.count("\n", position, start)
    try:
        value, end = _decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise OrderFileError(f"line {error.lineno}: is not JSON: {error.msg}, column {error.colno}") from None
    except TwiceError as error:
        raise OrderFileError(f"line {line}: {error}") from error
    except (ValueError, RecursionError):
        raise OrderFileError("is JSON with numbers or nesting beyond reason") from None
    return Located(text, start, end, line, value)


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
