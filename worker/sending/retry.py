"""The retry policy: whether an order ends, when it is tried again, and who rests meanwhile. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bulk_cancel.worker.okx.codes import Scope, Verdict
from bulk_cancel.worker.okx.verdicts import Judgement
from bulk_cancel.worker.state.statuses import Status

# the exchange's window: after it no slot of before can count against us
_WINDOW_S = 2.0
_CREDENTIALS_S = 30.0
_ACCOUNT_BASE_S, _ACCOUNT_CAP_S = 2.0, 30.0
EXCHANGE_BASE_S, EXCHANGE_CAP_S = 0.5, 10.0
# 2 ** 30 times any base is beyond any cap, and still a float
_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and how far apart one order is tried; `slow_…` where what must pass takes minutes."""

    max_attempts: int = 8
    base_s: float = 0.25
    cap_s: float = 10.0
    slow_base_s: float = 5.0
    slow_cap_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Finish:
    """The order ends."""

    status: Status


_ENDS: Final = {
    Verdict.ACCEPTED: Finish(Status.ACCEPTED),
    Verdict.GONE: Finish(Status.GONE),
    Verdict.REJECTED: Finish(Status.REJECTED),
    Verdict.BUG: Finish(Status.REJECTED),
}


@dataclass(frozen=True, slots=True)
class Retry:
    """The order is tried again in `delay_s`; `counts`: the attempt was its own fault and uses up one."""

    delay_s: float
    counts: bool


@dataclass(frozen=True, slots=True)
class Rest:
    """A scope stops for `base_s`, doubled with each failed probe up to `cap_s`."""

    scope: Scope
    base_s: float
    cap_s: float


def decide(
    judgement: Judgement, *, attempts: int, left_s: float, policy: Policy, rand: Callable[[], float]
) -> Finish | Retry:
    """What follows for one order.

    `attempts` counts the present one, `left_s` is the time to its deadline, `rand` gives [0, 1). Where a
    wider scope rests, the rest does the waiting: no delay of its own, no attempt used up.
    """
    if ends := _ENDS.get(judgement.verdict):
        return ends
    if left_s <= 0:
        return Finish(Status.EXHAUSTED)
    if judgement.scope is not Scope.ORDER:
        return Retry(0.0, counts=False)
    if attempts >= policy.max_attempts:
        return Finish(Status.EXHAUSTED)
    return Retry(min(left_s, _delay_s(judgement, attempts, policy, rand)), counts=True)


def rest_for(judgement: Judgement, policy: Policy) -> Rest | None:
    """Who else rests because of this; None when it concerns its order only."""
    scope = judgement.scope
    if judgement.verdict in _ENDS or scope in (Scope.ORDER, Scope.WORKER):
        return None
    if judgement.verdict is Verdict.CREDENTIALS:
        return Rest(scope, _CREDENTIALS_S, _CREDENTIALS_S)
    if scope is Scope.ACCOUNT:
        return Rest(scope, _ACCOUNT_BASE_S, _ACCOUNT_CAP_S)
    if judgement.slow:
        return Rest(scope, policy.slow_base_s, policy.slow_cap_s)
    if scope is Scope.LANE:
        return Rest(scope, _WINDOW_S, _WINDOW_S)
    return Rest(scope, EXCHANGE_BASE_S, EXCHANGE_CAP_S)


def _delay_s(judgement: Judgement, attempts: int, policy: Policy, rand: Callable[[], float]) -> float:
    """Full jitter: anything between none and the doubled base, so that a burst does not come back as one."""
    if judgement.verdict is Verdict.CLOCK and attempts <= 1:
        return 0.0  # the clock is measured in between; if that does not help, hurrying won't
    slow = judgement.slow
    base_s, cap_s = (policy.slow_base_s, policy.slow_cap_s) if slow else (policy.base_s, policy.cap_s)
    doubled: float = base_s * 2 ** min(max(attempts - 1, 0), _MAX_DOUBLINGS)
    return rand() * min(cap_s, doubled)
