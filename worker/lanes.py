"""How are jobs claimed and what came of them recorded? Typed Python over the verbs `claim` and `record`."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from worker.grants import Call, Decided, Exhausted, Grant, Job, Recorded, RestFor, Result
from worker.scripts import Scripts
from worker.users import User, account_scope
from worker.window import Timing

STRIKES: Final = 5

CONFIRM_AFTER_US: Final = 100_000
"""A book is looked at so long after a cancel was accepted: cancels take effect a little later, and come in numbers."""


class Lanes:
    """Claims and records for all lanes of one runner; `retention_s` is how long ended jobs are remembered."""

    def __init__(self, scripts: Scripts, timing: Timing, *, max_attempts: int, retention_s: int) -> None:
        self._scripts = scripts
        self._timing = timing
        self._max_attempts = max_attempts
        self._retention_s = retention_s

    def claim(self, lane: str, user: User, *, permits: int) -> Grant:
        """At most `permits` calls of the lane, with their jobs and slots; raises redis-py's errors."""
        claim, asked_at = uuid.uuid4().hex, time.monotonic()
        argument = {
            **self._meters(user),
            "lane": lane,
            "claim": claim,
            "permits": permits,
            "exchange": user.exchange,
            "accounts": [account_scope(account.name) for account in user.accounts],
            "hold_us": self._timing.hold_us,
            "open_us": self._timing.open_us,
            "blackout_us": self._timing.blackout_us,
            "max_attempts": self._max_attempts,
        }
        reply = self._scripts.run("claim", argument)
        return Grant(
            lane,
            claim,
            user,
            reply["account"],
            tuple(reply["probes"]),
            _due(reply),
            reply["reason"],
            tuple(_call(call) for call in reply["calls"]),
            asked_at,
            exhausted_in(reply),
        )

    def record(self, grant: Grant, call: Call, result: Result) -> Recorded:
        """Writes the result of one call, once however often it is given; raises redis-py's errors."""
        argument: dict[str, object] = {
            **self._meters(grant.user),
            "lane": grant.lane,
            "claim": grant.claim,
            "call": call.id,
            "meter": call.meter,
            "slots": result.slots,
            "count": len(call.jobs),
            "probes": grant.probes,
            "elapsed_us": round(result.elapsed_s * 1e6),
            "refused": result.refused,
            "answered": result.answered,
            "exchange": grant.user.exchange,
            "confirm_us": CONFIRM_AFTER_US,
            "rests": _rests(result.rests),
            "mended": result.mended,
            "jobs": [_decided(decided) for decided in result.decided],
        }
        if result.strike:
            argument["strike"] = _rests([result.strike])[0] | {"limit": STRIKES}
        reply = self._scripts.run("record", argument)
        return Recorded(_due(reply), reply["stale"], tuple(reply["rested"]))

    def _meters(self, user: User) -> dict[str, object]:
        return {
            "limits": asdict(user.limits),
            "batch_size": user.batch_size,
            "window_us": self._timing.window_us,
            "retention_s": self._retention_s,
        }


def _due(reply: dict[str, Any]) -> float | None:
    return None if reply["due"] < 0 else reply["due"] / 1e6


def exhausted_in(reply: dict[str, Any]) -> tuple[Exhausted, ...]:
    """What a verb's answer says of the jobs that it ended."""
    return tuple(
        Exhausted(
            each["job"],
            each["lane"],
            each["account"],
            tuple(each["batches"].split()),
            each["attempts"],
            each["message"],
        )
        for each in reply["exhausted"]
    )


def _call(raw: dict[str, Any]) -> Call:
    return Call(raw["id"], raw["meter"], tuple(_job(job) for job in raw["jobs"]))


def _job(raw: dict[str, Any]) -> Job:
    return Job(
        raw["id"],
        raw["account"],
        raw["attempts"],
        raw["generation"],
        raw["left"] / 1e6,
        tuple(raw["batches"].split()),
    )


def _rests(rests: Sequence[RestFor]) -> list[dict[str, object]]:
    return [
        {
            "scope": rest.scope,
            "base_us": round(rest.base_s * 1e6),
            "cap_us": round(rest.cap_s * 1e6),
            "reason": rest.reason,
        }
        for rest in rests
    ]


def _decided(decided: Decided) -> dict[str, object]:
    return {
        "id": decided.job.id,
        "generation": decided.job.generation,
        "act": decided.act,
        "status": decided.status,
        "code": decided.code,
        "message": decided.message,
        "ord": decided.ord_id,
        "delay_us": round(decided.delay_s * 1e6),
        "counts": decided.counts,
        "attempt": json.dumps(decided.attempt, separators=(",", ":")),
    }
