"""The values that pass between a claim, its calls and their record.

Of each order there is one `Job`: a named tuple, which costs a third of a frozen dataclass. Jobs of which the same is
said share one `Decided`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.codes import Verdict
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.orders import OrderRef

Meter = Literal["single", "batch"]
Slots = Literal["settle", "keep", "release"]
Act = Literal["finish", "confirm", "retry", "return"]


class Job(NamedTuple):
    """A claimed job: one order to cancel; `attempts` counts the present one, `left_s` is the time to its deadline.

    `ref` names it by its ordId as soon as that is known, although `id` may name it by a client id.
    """

    id: str
    ref: OrderRef
    account: str
    attempts: int
    generation: int
    left_s: float
    batches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call of a claim: the account that makes it, its meter and its jobs (one if `single`, else 2 to 20)."""

    id: str
    account: Credentials
    meter: Meter
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A job that a verb ended because its attempts or its time were used up: the order may still be live."""

    job: str
    lane: str
    account: str
    batches: tuple[str, ...]
    attempts: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Jobs and slots of one lane, taken together: the calls to make, or the `reason` why there are none.

    `due_s` is the time until the lane needs its next turn (None: no work). `asked_at` is the `time.monotonic()`
    from just before the claim was asked for: every first byte must be written within 1 s of it. `probes` are the
    resting scopes that these calls probe. `exhausted` are the jobs that the claim ended instead, `lost` the ids of jobs
    that stood in the lane and are not known any more.
    """

    id: str
    lane: str
    user: User
    asked_at: float
    calls: tuple[Call, ...]
    due_s: float | None
    reason: str = ""
    probes: tuple[str, ...] = ()
    exhausted: tuple[Exhausted, ...] = ()
    lost: tuple[str, ...] = ()


class Decided(NamedTuple):
    """What becomes of jobs: ended with `status`, sent again after `delay_s`, or given back unsent.

    `confirm`: they are believed to end with `status`, and the book will tell. `ords`: the exchange's id of the order,
    by the id of a job that names it by a client id. `attempt`: what their history is to say of the call, JSON.
    """

    jobs: tuple[Job, ...]
    act: Act
    code: str
    message: str
    attempt: str
    status: str = ""
    ords: Mapping[str, str] = MappingProxyType({})
    delay_s: float = 0.0
    counts: bool = True
    verdict: Verdict | None = None
    """What the exchange's word means; None if nothing was sent."""
    whole: bool = False
    """It was said of a request for several orders."""


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
class Done:
    """A call that was made, and all that it brought."""

    claim: Claim
    call: Call
    result: Result


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record answered of one call: when its lane needs the next turn, and how many jobs it no longer held.

    `rested` are the scopes whose rest began with this record, or goes on because their probe failed.
    """

    due_s: float | None
    stale: int
    rested: tuple[str, ...] = ()
