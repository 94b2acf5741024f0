"""Finds messages of ours in lists of the broker that no worker reads: a queue, a priority or a prefix was misnamed."""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from bulk_cancel.worker.state.queues import READ
from bulk_cancel.worker.state.redis_errors import FORBIDDEN, code_of

TASKS: Final = frozenset({"tasks.cancel_orders", "tasks.cancel_order", "tasks.cancel_all"})

_STEP: Final = 1000
"""Keys in one step of a scan: well under a millisecond of the broker."""

_ENDS: Final = (0, 1, -1, -2)
"""Which messages of a list are looked at: its newest and its oldest ones."""

_BETWEEN_WORKERS: Final = re.compile(r".*\.pidbox|celeryev\..*")
"""Celery's own lists: answers to remote control, and events."""

_LIKE_OURS: Final = re.compile(r"(?:.*[^a-z])?(?:cancel|urgent)(?:\W+\d+)?", re.DOTALL)
"""`cancel:5`, `myapp:cancel`: other steps, separators and prefixes of a client."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A list with messages of ours; `count` is None where the user may not look into it, and its name alone tells."""

    name: str
    count: int | None

    def __str__(self) -> str:
        many = "messages, it seems," if self.count is None else f"{self.count:,} message{'s' * (self.count != 1)}"
        return f"{many} in {self.name!r}"


def strays(broker: Redis) -> list[Stray]:
    """Those lists, by name; raises redis-py's errors. Only the names of a db's lists are read, and a few messages.

    As bytes: what other programs write into this db, such as pickles, need be no text.
    """
    keys = {
        key: key.decode(errors="backslashreplace")
        for key in broker.scan_iter(count=_STEP, _type="list", NEVER_DECODE=True)
    }
    others = {key: name for key, name in keys.items() if name not in READ and not _BETWEEN_WORKERS.fullmatch(name)}
    found = (_stray(broker, key, name) for key, name in others.items())
    return sorted((stray for stray in found if stray), key=lambda stray: stray.name)


def _stray(broker: Redis, key: bytes, name: str) -> Stray | None:
    by_name = _LIKE_OURS.fullmatch(name) is not None
    try:
        found = [broker.execute_command("LINDEX", key, index, NEVER_DECODE=True) for index in _ENDS]  # type: ignore[no-untyped-call]
        if not any(message and _is_ours(message, by_name=by_name) for message in found):
            return None
        return Stray(name, int(broker.llen(key)))
    except ResponseError as error:
        if code_of(error) != FORBIDDEN:
            raise
        return Stray(name, None) if by_name else None


def _is_ours(message: bytes, *, by_name: bool) -> bool:
    """A Celery message with one of our tasks, or any Celery message in a list that is named as our queues."""
    try:
        found = json.loads(message)
    except ValueError:
        return False
    if not isinstance(found, dict) or "body" not in found:
        return False
    return by_name or _task_of(found) in TASKS


def _task_of(found: dict[str, Any]) -> object:
    """Protocol 2 names it in a header, protocol 1 in the body."""
    headers = found.get("headers")
    if isinstance(headers, dict) and "task" in headers:
        return headers["task"]
    try:
        body = json.loads(base64.b64decode(str(found["body"])))
    except ValueError:
        return None
    return body.get("task") if isinstance(body, dict) else None
