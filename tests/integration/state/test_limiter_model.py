"""Is the limiter alone ever too fast, or stuck, against an adversary who owns the network, the callers and the clock?

Every call's way in, its answer's way back, its loss and its caller's death are drawn at random and then happen in the
order of their times, on a real Redis. The arrivals are counted by brute force, as the exchange counts them.
"""

import heapq
import itertools
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.claims import Call, Claim, Meter
from tests.support.lane_rig import TIMING, LaneRig, orders, retried, returned

LIMITS: Final = Limits(single=3, batch=8)
EXCHANGE_WINDOW_US: Final = 2_000_000
TIMEOUT_US: Final = round(TIMING.timeout_s * 1e6)
WRITE_US: Final = 1_000_000
EXAMPLES: Final = int(os.environ.get("MODEL_EXAMPLES", "60"))

Fate = Literal["answered", "cut", "never sent", "killed"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the adversary does to one call; times in µs, each from the event before it.

    `wait`: grant to first byte. `way`: to the exchange, for a call that is cut up to twice the timeout. `back`: from
    there to the record. A killed caller's bytes still arrive, and nobody records them.
    """

    fate: Fate
    wait: int
    way: int
    back: int


@dataclass(frozen=True, slots=True)
class Move:
    """`after` µs from the last move a caller claims, the server's clock steps back, or Redis restarts with nothing."""

    kind: Literal["claim", "step back", "restart"]
    after: int
    permits: int


def times(most: int) -> st.SearchStrategy[int]:
    """Any time up to `most` µs, its ends most of all."""
    return st.one_of(st.sampled_from([0, 1, most // 2, most - 1, most]), st.integers(0, most))


PLANS: Final = st.builds(
    Plan,
    fate=st.sampled_from(["answered", "answered", "answered", "cut", "never sent", "killed"]),
    wait=times(WRITE_US),
    way=times(2 * TIMEOUT_US),
    back=times(TIMEOUT_US),
)
MOVES: Final = st.builds(
    Move,
    kind=st.sampled_from(["claim"] * 8 + ["step back", "restart"]),
    after=st.one_of(times(2_001_000), times(9_000_000), st.just(0)),
    permits=st.integers(1, 6),
)


AT_ONCE: Final = Plan("answered", 0, 0, 0)
THEN_AT_ONCE: Final = {
    name: [plan] * LIMITS.single + [AT_ONCE] * 500
    for name, plan in {
        "slow way": Plan("answered", WRITE_US, TIMEOUT_US, 0),
        "cut": Plan("cut", WRITE_US, 2 * TIMEOUT_US, 0),
        "killed": Plan("killed", WRITE_US, 2 * TIMEOUT_US, 0),
    }.items()
}
"""The first calls arrive as late as they can, all later ones at once: whoever forgets a slot too early is found out."""

FREE: Final = {
    0: {"single": LIMITS.single},
    4: {"single": LIMITS.single, "batch": LIMITS.batch},
    7: {"single": LIMITS.single, "batch": LIMITS.batch - 1},
}
"""What can be sent when every slot is free, by batch size: sevens leave one slot, and no request of one may take it."""

EVERY_100_MS: Final = [Move("claim", 100_000, 6)] * 100


def charged(call: Call) -> Meter:
    """The meter that the exchange charges: a batch request of one order counts as a single one."""
    return "batch" if len(call.jobs) > 1 else "single"


class Run:
    """One run: events by time; the rig's clock is moved to each."""

    def __init__(self, redis: Redis, plans: list[Plan], *, batch_size: int) -> None:
        redis.flushall()
        self.rig = LaneRig(redis, limits=LIMITS, batch_size=batch_size, max_attempts=1000, retention_s=100_000)
        self.rig.submit("b", orders(400))
        self.arrivals: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self.behind = 0
        self._plans = itertools.cycle(plans)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._lives = itertools.count(2)

    def at(self, us: int, what: Callable[[], None]) -> None:
        """Plans an event."""
        heapq.heappush(self._events, (us, next(self._number), what))

    def until(self, us: int) -> None:
        """Lets everything happen up to then."""
        while self._events and self._events[0][0] <= us:
            at, _, what = heapq.heappop(self._events)
            self._go_to(at)
            what()
        self._go_to(us)

    def move(self, move: Move) -> None:
        """One move of the adversary, after its pause."""
        self.until(self.rig.us + move.after)
        match move.kind:
            case "claim":
                self.claim(move.permits)
            case "step back":
                self._step_back()
            case "restart":
                self._restart()

    def claim(self, permits: int) -> int:
        """A caller claims, and its calls meet their fates; how many calls it got."""
        claim = self.rig.claim(permits)
        for call in claim.calls:
            self._meet(claim, call, next(self._plans))
        return len(claim.calls)

    def _meet(self, claim: Claim, call: Call, plan: Plan) -> None:
        written = self.rig.us + plan.wait
        if plan.fate == "never sent":
            self.at(written, lambda: self._record(claim, call, "release"))
            return
        way = plan.way if plan.fate != "answered" else min(plan.way, TIMEOUT_US)
        self.at(written + way, lambda: self._arrive(call))
        if plan.fate == "cut":
            self.at(written + TIMEOUT_US, lambda: self._record(claim, call, "keep"))
        elif plan.fate == "answered":
            self.at(written + min(way + plan.back, TIMEOUT_US), lambda: self._record(claim, call, "settle"))

    def _arrive(self, call: Call) -> None:
        self.arrivals[charged(call)].append((self.rig.us, len(call.jobs)))

    def _record(self, claim: Claim, call: Call, slots: str) -> None:
        decide = returned if slots == "release" else lambda job: retried(job, 0.0)
        decided = tuple(decide(job) for job in call.jobs)
        self.rig.record(claim, call, slots=slots, decided=decided, answered=slots == "settle")

    def _go_to(self, us: int) -> None:
        self.rig.us = us
        self.rig.redis.set("test:us", us - self.behind)

    def _step_back(self) -> None:
        """For good: Redis's clock is 5 s more behind real time from here on; what was planned happens in real time."""
        self.behind += 5_000_000
        self._go_to(self.rig.us)

    def _restart(self) -> None:
        """Redis comes back with none of its windows and another identity."""
        for key in self.rig.redis.scan_iter("bulk-cancel:window:*"):
            self.rig.redis.delete(key)
        self.rig.restart_redis(f"a{next(self._lives)}")

    def most(self, meter: str) -> int:
        """The greatest weight in any window of the exchange, by brute force."""
        found = self.arrivals[meter]
        return max(
            (sum(weight for at, weight in found if first <= at < first + EXCHANGE_WINDOW_US) for first, _ in found),
            default=0,
        )


@settings(max_examples=EXAMPLES, phases=set(Phase) - {Phase.explain})
@given(
    st.lists(PLANS, min_size=1, max_size=12), st.lists(MOVES, min_size=5, max_size=40), st.sampled_from(sorted(FREE))
)
@example(THEN_AT_ONCE["slow way"], EVERY_100_MS, 0)
@example(THEN_AT_ONCE["cut"], EVERY_100_MS, 0)
@example(THEN_AT_ONCE["cut"], EVERY_100_MS, 4)
@example(THEN_AT_ONCE["killed"], EVERY_100_MS, 0)
@example(THEN_AT_ONCE["killed"], [EVERY_100_MS[0], Move("restart", 0, 1), *EVERY_100_MS], 0)
@example([AT_ONCE], EVERY_100_MS, 7)
@example([AT_ONCE], [*EVERY_100_MS[:5], Move("step back", 0, 1), *EVERY_100_MS], 4)
def test_never_above_the_limit_at_arrival_and_never_stuck(
    redis_server: EmbeddedRedis, plans: list[Plan], moves: list[Move], batch_size: int
) -> None:
    """For any delay, loss, death, restart and step of the clock; and after all of it the whole limit is there again."""
    with Redis.from_url(redis_server.url, decode_responses=True, protocol=2) as redis:
        run = Run(redis, plans, batch_size=batch_size)
        for move in moves:
            run.move(move)
        run.until(run.rig.us + TIMING.open_us + TIMING.window_us + TIMING.blackout_us + 1)
        run.claim(0)  # a restart is noticed by the first claim after it
        run.until(run.rig.us + TIMING.blackout_us + TIMING.open_us + TIMING.window_us)
        taken: defaultdict[str, int] = defaultdict(int)
        for call in [call for _ in range(2) for call in run.rig.claim(99).calls]:
            taken[charged(call)] += len(call.jobs)
        assert taken == FREE[batch_size]
        assert run.most("single") <= LIMITS.single
        assert run.most("batch") <= LIMITS.batch
