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
    """Those lists, by name; raises redis-py's errors. Only the names of a db's lists are read, and a few messages."""
    names = {str(name) for name in broker.scan_iter(count=_STEP, _type="list")}
    others = sorted(name for name in names - set(READ) if not _BETWEEN_WORKERS.fullmatch(name))
    return [stray for name in others if (stray := _stray(broker, name))]


def _stray(broker: Redis, name: str) -> Stray | None:
    by_name = _LIKE_OURS.fullmatch(name) is not None
    try:
        found = [broker.lindex(name, index) for index in _ENDS]
        if not any(message and _is_ours(str(message), by_name=by_name) for message in found):
            return None
        return Stray(name, int(broker.llen(name)))
    except ResponseError as error:
        if code_of(error) != FORBIDDEN:
            raise
        return Stray(name, None) if by_name else None


def _is_ours(message: str, *, by_name: bool) -> bool:
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
