"""The broker's lists: which are read by workers, which of them are no lists, and which others hold our messages."""

from collections.abc import Sequence
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from bulk_cancel.tasks.queues import QUEUES
from bulk_cancel.worker.state.redis_errors import WRONG_TYPE, code_of

PRIORITIES: Final = tuple(range(10))
"""All that a Celery client may name: those that kombu uses by itself, and those of a client with other steps."""

_SEPARATOR: Final = "\x06\x16"
"""kombu's, between the name of a queue and a priority that is not 0."""


def lists_of(queue: str) -> list[str]:
    """The lists in which messages of this queue wait, one for each priority."""
    return [f"{queue}{_SEPARATOR}{priority}" if priority else queue for priority in PRIORITIES]


READ: Final = tuple(name for queue in QUEUES for name in lists_of(queue))
"""Every list that workers read."""


def wrong_types(client: Redis, lists: Sequence[str]) -> dict[str, str]:
    """The type of each key that is neither a list nor absent, by key; raises redis-py's errors."""
    with client.pipeline(transaction=False) as pipe:
        for name in lists:
            pipe.llen(name)
        replies = pipe.execute(raise_on_error=False)
    return {name: _type_of(client, name) for name, reply in zip(lists, replies, strict=True) if _is_wrong(reply)}


def why_unread(kind: str) -> str:
    """What a key of this type does to its queue, and what helps."""
    return f"is a {kind}, not a list: its messages are not read until it is deleted or renamed"


def _is_wrong(reply: object) -> bool:
    """Any other refusal is raised: it says nothing of the key's type."""
    if not isinstance(reply, RedisError):
        return False
    if code_of(reply) != WRONG_TYPE:
        raise reply
    return True


def _type_of(client: Redis, key: str) -> str:
    """A user without the right to ask is told less."""
    try:
        kind: object = client.type(key)
    except RedisError:
        return "key of another type"
    return kind.decode() if isinstance(kind, bytes) else str(kind)
