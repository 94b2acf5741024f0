"""Claims jobs with their slots, and records what came of them: typed Python over the verbs `claim` and `record`."""

import time
import uuid
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.state.claims import Call, Claim, Decided, Done, Exhausted, Job, Recorded, RestFor
from bulk_cancel.worker.state.ids import order_of
from bulk_cancel.worker.state.scopes import account_scope, exchange_scope
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.window import Timing

STRIKES: Final = 5
"""Calls in a row without an answer that rest an address: one timeout in a hundred must not stop a pool."""

CONFIRM_AFTER_US: Final = 100_000
"""A book is looked at so long after a cancel was accepted: cancels take effect a little later, and come in numbers."""

HEARD_US: Final = 1_000_000
"""The same while the user's private channel is heard: nearly always its push has ended the job by then."""


class Lanes:
    """Claims and records for all lanes of one runner; `retention_s` is how long ended jobs are remembered.

    `confirm`: what became of an order whose last attempt has no answer is asked of the book before it is given up.
    """

    def __init__(
        self, scripts: Scripts, timing: Timing, *, max_attempts: int, retention_s: int, confirm: bool = False
    ) -> None:
        self._scripts = scripts
        self._timing = timing
        self._max_attempts = max_attempts
        self._retention_s = retention_s
        self._confirming = {"confirm_us": CONFIRM_AFTER_US} if confirm else {}

    def claim(self, lane: str, user: User, *, permits: int) -> Claim:
        """At most `permits` calls of the lane, with their jobs and slots; raises redis-py's errors."""
        claim_id, asked_at = uuid.uuid4().hex, time.monotonic()
        argument = {
            **_meters(user),
            "window_us": self._timing.window_us,
            "retention_s": self._retention_s,
            "lane": lane,
            "claim": claim_id,
            "permits": permits,
            "exchange": exchange_scope(user.base_url),
            "accounts": [account_scope(account.name) for account in user.accounts],
            "claim_us": self._timing.claim_us,
            "open_us": self._timing.open_us,
            "blackout_us": self._timing.blackout_us,
            "max_attempts": self._max_attempts,
            **self._confirming,
        }
        reply = self._scripts.run("claim", argument)
        return Claim(
            id=claim_id,
            lane=lane,
            user=user,
            asked_at=asked_at,
            calls=tuple(_call(call, user.accounts[reply["account"]]) for call in reply["calls"]),
            due_s=_due(reply["due"]),
            reason=reply["reason"],
            probes=tuple(reply["probes"]),
            exhausted=exhausted_in(reply),
            lost=tuple(reply["lost"]),
        )

    def record(self, calls: Sequence[Done]) -> list[Recorded]:
        """Writes what came of calls, each once however often it is given; raises redis-py's errors."""
        argument = {
            "window_us": self._timing.window_us,
            "retention_s": self._retention_s,
            "confirm_us": CONFIRM_AFTER_US,
            "heard_us": HEARD_US,
            "lanes": {done.claim.lane: _lane(done.claim.user) for done in calls},
            "calls": [_done(done) for done in calls],
        }
        reply = self._scripts.run("record", argument)
        return [
            Recorded(_due(reply["due"][done.claim.lane]), said["stale"], tuple(said["rested"]))
            for done, said in zip(calls, reply["calls"], strict=True)
        ]


def _meters(user: User) -> dict[str, object]:
    return {"limits": {"single": user.limits.single, "batch": user.limits.batch}, "batch_size": user.batch_size}


def _lane(user: User) -> dict[str, object]:
    return {**_meters(user), "exchange": exchange_scope(user.base_url)}


def _done(done: Done) -> dict[str, object]:
    claim, call, result = done.claim, done.call, done.result
    said: dict[str, object] = {
        "lane": claim.lane,
        "claim": claim.id,
        "call": call.id,
        "meter": call.meter,
        "slots": result.slots,
        "count": len(call.jobs),
        "elapsed_us": round(result.elapsed_s * 1e6),
        "answered": result.answered,
        "decided": list(_decided(result.decided)),
    }
    seldom: dict[str, object] = {
        "probes": claim.probes,
        "refused": result.refused,
        "rests": _rests(result.rests),
        "mended": result.mended,
        "strike": result.strike and _rests([result.strike])[0] | {"limit": STRIKES},
    }
    return said | {name: value for name, value in seldom.items() if value}


def _due(us: int) -> float | None:
    return None if us < 0 else us / 1e6


def exhausted_in(reply: dict[str, Any]) -> tuple[Exhausted, ...]:
    """What a verb's answer says of the jobs that it ended."""
    return tuple(
        Exhausted(
            each["job"],
            each["lane"],
            each["account"],
            tuple(each["batches"].split()),
            each["attempts"],
            each["code"],
            each["message"],
        )
        for each in reply["exhausted"]
    )


def _call(raw: dict[str, Any], account: Credentials) -> Call:
    return Call(raw["id"], account, raw["meter"], tuple(job for alike in raw["jobs"] for job in _jobs(alike)))


def _jobs(alike: dict[str, Any]) -> Iterable[Job]:
    """Of neighbours that are alike it is said once what they are."""
    left_s, batches = alike["left"] / 1e6, tuple(alike["batches"].split())
    account, attempts, generation = alike["account"], alike["attempts"], alike["generation"]
    refs = ((job, order_of(job)) for job in alike["ids"])
    if alike["ord"]:
        refs = ((job, OrderRef(ref.instId, alike["ord"])) for job, ref in refs)
    return (Job(job, ref, account, attempts, generation, left_s, batches) for job, ref in refs)


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


def _decided(decided: Iterable[Decided]) -> Iterable[dict[str, object]]:
    for each in decided:
        for generation, jobs in groupby(each.jobs, key=attrgetter("generation")):
            said: dict[str, object] = {
                "act": each.act,
                "status": each.status,
                "code": each.code,
                "message": each.message,
                "counts": each.counts,
                "attempt": each.attempt,
                "generation": generation,
                "jobs": [job.id for job in jobs],
            }
            seldom = {"delay_us": round(each.delay_s * 1e6), "ords": dict(each.ords)}
            yield said | {name: value for name, value in seldom.items() if value}
