"""Tells of mass cancels, for people and programs that trade: that one began, is flat, is not, or takes nothing more.

Also that nobody looked at what one has left that can place orders.
"""

import json
import logging
from collections.abc import Mapping
from typing import Final, cast

from redis import Redis

from bulk_cancel.worker.alerts.alerts import Condition, Notice, alert
from bulk_cancel.worker.okx.sources import UNSEEN
from bulk_cancel.worker.state.keys import Keys

_LEVELS: Final[Mapping[str, int]] = {Notice.MASS_FLAT: logging.INFO, Condition.MASS_NOT_FLAT: logging.ERROR}


def tell_of_masses(redis: Redis, keys: Keys) -> None:
    """All that verbs noted, each as it stands by now; one may come twice if a worker dies in between.

    A worker that is killed takes along what log and webhook have not taken yet.
    """
    noted = keys.of("mass_news")
    for news in cast("list[str]", redis.zrange(noted, 0, -1)):
        event, _, batch_id = news.partition(" ")
        raw = cast("dict[str, str]", redis.hgetall(keys.of("mass", batch_id)))
        if event == Notice.MASS_INCOMPLETE:
            alert(Notice.MASS_INCOMPLETE, batch_id, _unseen(batch_id, raw), level=logging.WARNING)
        elif raw:
            asked = cast("list[str | None]", redis.hmget(keys.of("batch", batch_id), ["requested_by", "reason"]))
            alert(_named(event), batch_id, _facts(batch_id, raw, asked), level=_LEVELS.get(event, logging.WARNING))
        redis.zrem(noted, news)


def _named(event: str) -> Condition | Notice:
    return Condition.MASS_NOT_FLAT if event == Condition.MASS_NOT_FLAT else Notice(event)


def _unseen(batch_id: str, raw: Mapping[str, str]) -> dict[str, object]:
    """Of one whose survey was given up; one that is kept no longer (RETENTION_S) is told by its id alone."""
    what = f"not known: {', '.join(UNSEEN.values())}"
    seen = {"complete": False, "still_able": [], "not_known": dict(UNSEEN), "not_available": []}
    return {**_about(batch_id, raw), "what": what, **seen}


def _facts(batch_id: str, raw: Mapping[str, str], asked: list[str | None]) -> dict[str, object]:
    """`by` and `reason` are of whoever ended it, as long as nobody did of whoever asked for it."""
    by, reason = asked
    return {
        **_about(batch_id, raw),
        "seen_last": int(raw.get("matching", 0)),
        "why": raw.get("trouble", ""),
        "by": raw.get("ended_by", by or ""),
        "reason": raw.get("ended_why", reason or ""),
    }


def _about(batch_id: str, raw: Mapping[str, str]) -> dict[str, object]:
    return {
        "batch": batch_id,
        "account": raw.get("account"),
        "scope": json.loads(raw.get("scope", "null")),
        "hold": raw.get("hold") == "1",
        "state": raw.get("state"),
    }
