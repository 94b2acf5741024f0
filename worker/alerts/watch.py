"""Notices what no call tells: that Redis is away, an account paused, urgent work late. A thread in every worker.

One worker of the runner looks each second for what all of them would see; each for itself whether it reaches Redis.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final, cast

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.alerts.alerts import Condition, alert
from bulk_cancel.worker.alerts.conditions import URGENT_TOO_OLD_S, oldest_urgent, pauses
from bulk_cancel.worker.alerts.mass_news import tell_of_masses
from bulk_cancel.worker.state.batches import Batches, BatchState
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lease import take_lease
from bulk_cancel.worker.state.loop import Loop
from bulk_cancel.worker.state.scripts import Scripts, is_away

log = structlog.get_logger(__name__)

ROUND_S: Final = 1.0
LEASE_S: Final = 0.95
"""A little less than a round: whoever looked in this one may be the first to ask in the next."""
LOST_AFTER_S: Final = 2.0
ASKED_EVERY_S: Final = 0.25
"""While Redis is away."""

ENDED_AT_ONCE: Final = 500
"""Batches of which one round logs that they are complete."""

TOLD_S: Final = 60
"""People are told of late urgent work once in so long, of a pause once while it lasts."""


class Watch(Loop):
    """Looks until stopped; `accounts` (name → uid) are those that may be paused."""

    def __init__(self, scripts: Scripts, keys: Keys, accounts: Mapping[str, str], *, worker: str) -> None:
        super().__init__("watch", pause_s=ROUND_S)
        self._redis = scripts.redis
        self._scripts = scripts
        self._keys = keys
        self._batches = Batches(scripts.redis, keys, scripts.formats)
        self._accounts = accounts
        self._worker = worker
        self._reached_at = time.monotonic()
        self._lost = False

    def round(self) -> None:
        """Looks, and knows that Redis is there."""
        self._notice()
        self._reached()

    def without_redis(self, error: RedisError) -> float | None:
        """Asks more often while Redis is away, or takes no writes. A full one is there: it refuses only a few."""
        if not is_away(error):
            self._reached()
            return super().without_redis(error)
        self._missed(error)
        return ASKED_EVERY_S

    def _notice(self) -> None:
        if not take_lease(self._scripts, "watch", for_s=LEASE_S):
            return
        self._tell_of_pauses()
        self._tell_of_late_work()
        self._tell_of_ended_batches()
        tell_of_masses(self._redis, self._keys)

    def _reached(self) -> None:
        now = time.monotonic()
        if self._lost:
            self._tell_of_redis(back=True, away_s=now - self._reached_at, why="", level=logging.WARNING)
        self._lost, self._reached_at = False, now

    def _missed(self, error: RedisError) -> None:
        away_s = time.monotonic() - self._reached_at
        if away_s > LOST_AFTER_S and not self._lost:
            self._lost = True
            why = f"{type(error).__name__}: {error}"
            self._tell_of_redis(back=False, away_s=away_s, why=why, level=logging.ERROR)

    def _tell_of_redis(self, *, back: bool, away_s: float, why: str, level: int) -> None:
        subject = f"{self._worker} {'back' if back else 'away'}"
        facts = {"worker": self._worker, "back": back, "away_s": round(away_s, 1), "why": why}
        alert(Condition.REDIS_LOST, subject, facts, level=level)

    def _tell_of_pauses(self) -> None:
        for pause in pauses(self._redis, self._keys, self._accounts):
            since = pause.since.isoformat()
            told = f"{Condition.ACCOUNT_PAUSED}:{pause.account}:{since}"
            if take_lease(self._scripts, "told", told, for_s=TOLD_S, renew=True):
                facts = {"account": pause.account, "why": pause.why, "by": pause.by, "since": since}
                alert(Condition.ACCOUNT_PAUSED, pause.account, facts)

    def _tell_of_late_work(self) -> None:
        urgent = oldest_urgent(self._redis, self._keys)
        if urgent is None or urgent.waits_s <= URGENT_TOO_OLD_S:
            return
        if take_lease(self._scripts, "told", Condition.OLDEST_URGENT, for_s=TOLD_S):
            facts = {"oldest_urgent_s": round(urgent.waits_s, 1), "order": urgent.order, "account": urgent.account}
            facts |= {"lane": urgent.lane, "batches": (urgent.batch,)}
            alert(Condition.OLDEST_URGENT, "", facts, level=logging.WARNING)

    def _tell_of_ended_batches(self) -> None:
        """A line for each; one may come twice if a worker dies in between."""
        key = self._keys.of("ended")
        ids = self._redis.zrange(key, 0, ENDED_AT_ONCE - 1)
        for batch in self._batches.known(cast("list[str]", ids)):
            if batch.completed_at:  # people may have let it go on since
                log.info("batch_completed", **_facts(batch, batch.completed_at))
        if ids:
            self._redis.zrem(key, *ids)


def _facts(batch: BatchState, completed_at: datetime) -> dict[str, object]:
    """What became of the batch's orders, and how long that took."""
    return {
        "batch": batch.batch_id,
        "account": batch.account,
        "mass": batch.mass,
        "orders": batch.size,
        "outcomes": dict(batch.counts),
        "refused": batch.refused,
        "took_s": round((completed_at - batch.created_at).total_seconds(), 3),
        "by": batch.requested_by,
    }
