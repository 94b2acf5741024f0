"""What `check` says of the broker: whether it answers, and whether what waits there is read by a worker."""

from collections.abc import Mapping
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from bulk_cancel.tasks.queues import QUEUES
from bulk_cancel.worker.config.settings import Settings, redacted
from bulk_cancel.worker.config.shards import broker_setting
from bulk_cancel.worker.operators.point import Point, brief
from bulk_cancel.worker.state.connection import UnfitRedisError, check_redis, check_rights, connect_broker
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.queues import READ, lists_of, why_unread, wrong_types

STRAY: Final = "celery"
"""The queue in which a message ends up whose producer named none."""


def broker_points(settings: Settings) -> list[Point]:
    """Every point about the broker."""
    where = redacted(settings.broker_url)
    try:
        with connect_broker(settings) as broker:
            return _asked(broker, settings, where)
    except RedisError as error:
        mend = f"start it, or correct {broker_setting(settings)}"
        return [Point("broker", "FAIL", f"no answer from {where}: {brief(error)}", mend)]


def _asked(broker: Redis, settings: Settings, where: str) -> list[Point]:
    try:
        if settings.accounts:
            check_rights(broker, Keys(settings.key_prefix), "broker")
        check_redis(broker.info())
    except UnfitRedisError as error:
        return [Point("broker", "FAIL", f"{where}: {error}", "workers refuse to start with it")]
    wrong = wrong_types(broker, (STRAY, *READ))
    found = [
        Point(
            "broker",
            "FAIL",
            f"the key {key!r} {why_unread(kind)}",
            "find who writes it: queues need names of their own",
        )
        for key, kind in wrong.items()
    ]
    lengths = {queue: _length(broker, lists, wrong) for queue, lists in _queues().items()}
    return found if found and not any(lengths.values()) else [*found, queue_point(lengths, where)]


def _queues() -> dict[str, list[str]]:
    return {STRAY: [STRAY], **{queue: lists_of(queue) for queue in QUEUES}}


def _length(broker: Redis, lists: list[str], wrong: Mapping[str, str]) -> int:
    return sum(int(broker.llen(name)) for name in lists if name not in wrong)


def queue_point(lengths: Mapping[str, int], where: str) -> Point:
    """Pure: what the queues' lengths say; messages in `celery` are read by nobody."""
    stray = lengths[STRAY]
    if stray:
        mend = 'a producer forgot queue="cancel" (or "urgent"); have it say so, and move or delete the list'
        what = "message lies" if stray == 1 else "messages lie"
        return Point("broker", "warn", f"{stray:,} {what} in the queue {STRAY!r}, which nobody reads", mend)
    waiting = ", ".join(f"{count:,} in {queue}" for queue, count in lengths.items() if count)
    return Point("broker", "ok", f"{where} answers; " + (f"waiting: {waiting}" if waiting else "its queues are empty"))
