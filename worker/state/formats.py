"""The formats of what stands in Redis: which of them a release reads, and how one is told that it cannot go on. Pure.

There are two kinds of state: what all runners on one Redis share (`exchange`: clock, windows, switches), and what is
one runner's (`runner`). Each has a format, a number that is marked in a key of its own; without a mark it is 1, what
release 1.0 wrote. A release writes the marked format, whatever newer one it reads. `worker/README.md` says how a format
changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.state.keys import EXCHANGE_WIDE

Kind = Literal["exchange", "runner"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

FIRST: Final = 1
"""The format of a state without a mark."""


@dataclass(frozen=True, slots=True)
class Reads:
    """The formats that a release understands: `oldest` to `newest`, two at most."""

    oldest: int
    newest: int

    def __str__(self) -> str:
        return str(self.newest) if self.oldest == self.newest else f"{self.oldest} to {self.newest}"


Formats = Mapping[Kind, Reads]
Marks = Mapping[Kind, int]

FORMATS: Final[Formats] = {"exchange": Reads(1, 1), "runner": Reads(1, 1)}
"""What this release reads."""


OF_1_0: Final = (FIRST, FIRST)
"""What a worker reads that says nothing of it: release 1.0, which knew of no format."""


def formats_told(formats: Formats) -> dict[str, tuple[int, int]]:
    """What a heartbeat says of formats: JSON, which the verb `format_raise` reads, too."""
    return {kind: (reads.oldest, reads.newest) for kind, reads in formats.items()}


def mark_of(kind: Kind, prefix: str) -> str:
    """The field of the key `formats` that marks this kind's format."""
    return kind if kind == "exchange" else f"{kind}:{prefix}"


def mark_fields(prefix: str) -> list[str]:
    """The fields that mark the format of each kind, in the order of `KINDS`."""
    return [mark_of(kind, prefix) for kind in KINDS]


def marks_in(values: Sequence[str | None]) -> Marks:
    """What the fields of `mark_fields` say."""
    return {kind: int(mark or FIRST) for kind, mark in zip(KINDS, values, strict=True)}


def unreadable(formats: Formats, marks: Marks) -> UnreadableFormatError | None:
    """Why a release that reads `formats` must leave this Redis alone, in one sentence; None if it need not."""
    for kind in KINDS:
        mark, reads = marks[kind], formats[kind]
        if not reads.oldest <= mark <= reads.newest:
            mend = f"start a release that reads {mark}" if mark > reads.newest else "raise it with the release before"
            return UnreadableFormatError(f"the {kind}'s state in Redis has format {mark}, this reads {reads}: {mend}")
    return None


def readable(formats: Formats, marks: Marks) -> Marks:
    """The marks; raises UnreadableFormatError if a release that reads `formats` must leave this Redis alone."""
    if error := unreadable(formats, marks):
        raise error
    return marks


def guard(formats: Formats) -> str:
    """Lua that stands before every verb: in a format that the release cannot read it does nothing but say so.

    Nobody acts under another meaning, not even a worker that stood still while the mark was raised.
    """
    bad = " or ".join(f"{kind} < {reads.oldest} or {kind} > {reads.newest}" for kind, reads in formats.items())
    return f"""do
  local marks = redis.call('HMGET', '{EXCHANGE_WIDE}:formats', 'exchange', 'runner:' .. KEYS[1])
  local exchange, runner = tonumber(marks[1] or {FIRST}), tonumber(marks[2] or {FIRST})
  if {bad} then return '{{"unreadable":[' .. exchange .. ',' .. runner .. ']}}' end
end
"""
