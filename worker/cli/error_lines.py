"""The words for an error that ended a command: plain lines that say what, where and how to mend; never a traceback."""

from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError

from bulk_cancel.tasks.errors import BulkCancelError, SettingsError
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.config.shards import one_shard
from bulk_cancel.worker.config.urls import redacted
from bulk_cancel.worker.state.redis_errors import UNWRITABLE, code_of, words_of


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
    where, name = redacted(redis_url) if redis_url else "one of the runner's shards", f"{PREFIX}REDIS_URL"
    if isinstance(error, AuthenticationError | NoPermissionError):
        return f"Redis at {where} does not let us in: {error}; correct user and password in {name}"
    if code_of(error) in UNWRITABLE:
        return f"Redis at {where} refuses to write: {words_of(error).rstrip('.')}; bulk-cancel check says more"
    if isinstance(error, ResponseError | BusyLoadingError):
        return f"Redis at {where} refused a command: {words_of(error)}"
    return f"no answer from Redis at {where}: {_first_line(error)}; is it running? {name} says where it is"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it gave no reason"])[0].rstrip(".")


def _without_password(line: str, redis_url: str) -> str:
    try:
        password = urlsplit(redis_url).password
    except ValueError:
        password = None
    return line.replace(password, "***") if password else line


def redis_url() -> str:
    """Where Redis should be, for error messages; empty when the settings cannot say."""
    try:
        return one_shard(load_settings()).redis_url.get_secret_value()
    except SettingsError:
        return ""
