"""How a command ends: its exit status, errors that a command finds itself, and how lines look on stderr.

Exit status: 0 all orders off the book (or nothing dead so far), 1 some rejected or exhausted, or one of several Redis
away while others answered, or a question answered with no, 2 bad usage, input or configuration, or something that we
need is away, 3 waiting timed out, 130 interrupted, 141 whoever read stdout went away. With `--json` an error is one
object on stderr, `{"schema": "error/1", "error": [line, …], "exit": 2}`; stdout holds results only.
"""

import os
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from bulk_cancel.tasks.errors import BulkCancelError

_PREFACE: Final = re.compile(r"(?<=': )(?:Value error, |Input (?=should))")
"""How whatever reads a value begins, before it comes to what is wrong."""


class Exit(IntEnum):
    """The contract's exit statuses, and those of the shell."""

    OK = 0
    DEAD = 1
    BAD = 2
    TIMEOUT = 3
    INTERRUPTED = 130
    PIPE = 141


class CommandError(BulkCancelError):
    """Bad usage or input that a command found itself; its lines say what, where, how to mend."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))


def usage_lines(message: str, command: str) -> list[str]:
    """What is told of a command line that makes no sense."""
    return [_PREFACE.sub("", message, count=1), f"try: {command} --help"]


def exit_of(*, dead: int, complete: bool = True) -> Exit:
    """The contract's exit status of a batch that was waited for."""
    if not complete:
        return Exit.TIMEOUT
    return Exit.DEAD if dead else Exit.OK


def quiet_stdout(redirect_to: int) -> None:
    """After a reader went away (`| head`), so that flushing at the end raises no second error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), redirect_to)


def joined(lines: Sequence[str]) -> str:
    """The lines as a person sees them on stderr."""
    return "".join(f"bulk-cancel: {line}\n" for line in lines)
