"""The code with which Redis refused a command, whatever its version, and wherever the command stood.

redis-py gives some codes a class and takes them out of the text, and leaves others in it. Redis 6.2 wraps the refusal
of a command within a script into an error of the script; 7.0 and Valkey put the code first. Pure.
"""

import re
from typing import Final

from redis.exceptions import RedisError, ResponseError

_PIPED: Final = re.compile(r"Command # \d+ \(.*\) of pipeline caused error: ", re.DOTALL)
"""What redis-py puts first where the command stood in a pipeline."""

_FIRST: Final = re.compile(r"([A-Z]+) ")
_WITHIN: Final = re.compile(
    r"(?:ERR )?Error running script \(call to f_\w+\): @user_script:\d+: @user_script: \d+: -?([A-Z]+) "
)
_PLACE: Final = re.compile(
    r"^(?:ERR )?Error running script \(call to f_\w+\): @user_script:\d+: @user_script: \d+: -?"
    r"| script: \w+, on @user_script:\d+\.$"
)

FULL: Final = "OOM"
WRONG_TYPE: Final = "WRONGTYPE"
LATER: Final = frozenset({"MISCONF", "BUSY", "MASTERDOWN", "LOADING"})
"""Refusals before anything was written, which pass: no disk, a long script, a link or a start under way."""

ELSEWHERE: Final = frozenset({"READONLY", "NOREPLICAS"})
"""This is not, or not for long, the primary: Sentinel is asked for the one that is."""


UNWRITABLE: Final = ELSEWHERE | {"MISCONF"}
"""It answers, and takes no writes, until somebody mends its replicas or its disk, or names its primary."""

FORBIDDEN: Final = "NOPERM"
REFUSES_WRITES: Final = LATER | ELSEWHERE | {FORBIDDEN}
"""Who gets one of these is as well off as without a Redis; a full one (OOM) still takes most of what workers write."""


def code_of(error: RedisError) -> str:
    """The error's code, such as `OOM`; "" if it has none, as all that does not come from Redis."""
    if not isinstance(error, ResponseError):
        return ""
    code = getattr(error, "status_code", None)
    if code == "ERR" or code is None:
        text = _PIPED.sub("", str(error), count=1)
        found = _WITHIN.match(text) or _FIRST.match(text)
        return found[1] if found else (code or "")
    return str(code)


def words_of(error: RedisError) -> str:
    """What Redis said, without the place in a script where it said so."""
    return _PLACE.sub("", str(error))


def is_full(error: RedisError) -> bool:
    """Redis refused for want of memory."""
    return code_of(error) == FULL
