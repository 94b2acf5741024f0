"""Which words and which exit status does an error get? Plain lines: what, where, how to mend; never a traceback.

Exit status: 0 all orders off the book (or nothing dead so far), 1 some rejected or exhausted, 2 bad usage, input or
configuration, or something that we need is away, 3 waiting timed out, 130 interrupted. With `--json` an error is one
object on stderr, `{"error": [line, …], "exit": 2}`; stdout holds results only.
"""

import os
from collections.abc import Sequence
from enum import IntEnum
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.config.urls import redacted


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


def lines_of(error: Exception, redis_url: str) -> list[str]:
    """What a person is told; `redis_url` is shown without its password, and no line holds that password."""
    if isinstance(error, BulkCancelError):
        return str(error).splitlines()
    if isinstance(error, RedisError):
        return [_without_password(_redis_line(error, redis_url), redis_url)]
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return [f"{where}{error.strerror or error}"]
    return [_without_password(f"internal error, please report it: {type(error).__name__}: {error}", redis_url)]


def _redis_line(error: RedisError, redis_url: str) -> str:
    where, name = redacted(redis_url), f"{PREFIX}REDIS_URL"
    if isinstance(error, AuthenticationError | NoPermissionError):
        return f"Redis at {where} does not let us in: {error}; correct user and password in {name}"
    if isinstance(error, ResponseError | BusyLoadingError):
        return f"Redis at {where} refused a command: {error}"
    return f"no answer from Redis at {where}: {_first_line(error)}; is it running? {name} says where it is"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _without_password(line: str, redis_url: str) -> str:
    try:
        password = urlsplit(redis_url).password
    except ValueError:
        password = None
    return line.replace(password, "***") if password else line


def usage_lines(message: str, command: str) -> list[str]:
    """What is told of a command line that makes no sense."""
    return [message, f"try: {command} --help"]


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
