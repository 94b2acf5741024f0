"""How are jobs claimed and what came of them recorded? Typed Python over the verbs `claim` and `record`."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from worker.keys import JobId
from worker.scripts import Scripts
from worker.users import User, account_scope
from worker.window import Timing

Meter = Literal["single", "batch"]
Slots = Literal["settle", "keep", "release"]


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job: one order to cancel; `attempts` counts the present one, `left_s` is the time to its deadline."""

    id: str
    account: str
    attempts: int
    generation: int
    left_s: float
    batches: tuple[str, ...]

    @property
    def order(self) -> JobId:
        """The order that it cancels."""
        return JobId.parse(self.id)


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call that a grant allows: its meter and its jobs (one for `single`, 2 to 20 for `batch`)."""

    id: str
    meter: Meter
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A job that a verb ended because its attempts or its time were used up: the order may still be live."""

    job: str
    lane: str
    batches: tuple[str, ...]
    attempts: int
    message: str


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to a claim: calls to make with one account, or why there are none and when to ask again.

    `due_s` is the time until the lane needs its next turn (None: no work). `asked_at` is the `time.monotonic()`
    from just before the claim was asked for: every first byte must be written within 1 s of it. `exhausted`
    are the jobs that the claim ended instead.
    """

    lane: str
    claim: str
    user: User
    account: int | None
    probes: tuple[str, ...]
    due_s: float | None
    reason: str
    calls: tuple[Call, ...]
    asked_at: float
    exhausted: tuple[Exhausted, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of one job: ended with `status`, sent again after `delay_s`, or given back unsent."""

    job: Job
    act: Literal["finish", "retry", "return"]
    code: str
    message: str
    attempt: dict[str, object]
    status: str = ""
    delay_s: float = 0.0
    counts: bool = True


@dataclass(frozen=True, slots=True)
class RestFor:
    """A scope that shall rest, and why; each failed probe doubles `base_s` up to `cap_s`."""

    scope: str
    base_s: float
    cap_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """All that one call brought; `strike`: it had no answer, and the address rests after `STRIKES` such in a row."""

    slots: Slots
    decided: tuple[Decided, ...]
    elapsed_s: float
    answered: bool
    refused: bool = False
    rests: tuple[RestFor, ...] = ()
    mended: tuple[str, ...] = ()
    strike: RestFor | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to a record: when the lane needs its next turn, and how many jobs the call no longer held.

    `rested` are the scopes whose rest began with this record, or goes on because their probe failed.
    """

    due_s: float | None
    stale: int
    rested: tuple[str, ...] = ()


STRIKES: Final = 5


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
        Exhausted(each["job"], each["lane"], tuple(each["batches"].split()), each["attempts"], each["message"])
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
        "delay_us": round(decided.delay_s * 1e6),
        "counts": decided.counts,
        "attempt": json.dumps(decided.attempt, separators=(",", ":")),
    }
