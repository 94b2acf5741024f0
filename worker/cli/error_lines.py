"""The words for an error that ended a command: plain lines that say what, where and how to mend; never a traceback."""

from typing import Final
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError

from bulk_cancel.tasks.messages import InvalidOrders
from bulk_cancel.worker.books.mass.masses import UnknownMassError
from bulk_cancel.worker.books.reader import NotReadableError
from bulk_cancel.worker.cli.demo.stage import StageError
from bulk_cancel.worker.cli.errors import CommandError
from bulk_cancel.worker.cli.orderfile import OrderFileError
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.config.settings import SettingsError, redacted
from bulk_cancel.worker.operators.decisions import UnsealedBatchError
from bulk_cancel.worker.operators.drill.rules import NotADrillError
from bulk_cancel.worker.operators.targets import UnknownLaneError
from bulk_cancel.worker.simulator.embedded import RedisNotStarted
from bulk_cancel.worker.simulator.process import SimulatorError
from bulk_cancel.worker.state.admission import AdmissionError
from bulk_cancel.worker.state.batches import UnknownBatchError
from bulk_cancel.worker.state.directory import UnknownAccountError

_SPEAK_FOR_THEMSELVES: Final = (
    CommandError, SettingsError, OrderFileError, InvalidOrders, UnknownAccountError, AdmissionError, UnknownBatchError,
    RedisNotStarted, SimulatorError, StageError, UnsealedBatchError, UnknownLaneError, UnknownMassError,
    NotReadableError, NotADrillError,
)  # fmt: skip


def lines_of(error: Exception, redis_url: str) -> list[str]:
    """What a person is told; `redis_url` is shown without its password, and no line holds that password."""
    if isinstance(error, _SPEAK_FOR_THEMSELVES):
        # a LookupError's str() is its message, a plain line each
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
