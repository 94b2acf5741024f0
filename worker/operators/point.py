"""What is the answer to one question of `check`?"""

from dataclasses import dataclass
from typing import Literal

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
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
