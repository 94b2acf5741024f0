"""One point of `check`: a level, a text, and how to mend it."""

from dataclasses import dataclass
from typing import Literal

from bulk_cancel.worker.okx.errors import in_words

Level = Literal["ok", "warn", "ACT", "FAIL"]
"""`ACT`: all is set up well, yet a condition holds that a person must act on; `FAIL`: something must be mended."""


@dataclass(frozen=True, slots=True)
class Point:
    """The answer to one question; `mend` says what to do when it is not ok."""

    name: str
    level: Level
    text: str
    mend: str = ""


def brief(error: Exception) -> str:
    """An error's first line."""
    return (str(error).splitlines() or [in_words(type(error))])[0].rstrip(".")
