"""Gives lanes their turns: claims with the free permits of this process, begins the calls, records, claims again.

Lanes that want a turn queue up for permits; each call that frees one hands it to the next lane, so a lane keeps going
without another message. Whoever claims writes the calls; their answers come on one thread, and few others conclude and
record them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Condition, Event
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.alerts.exhausted import report_exhausted
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.sending.caller import Caller, Came
from bulk_cancel.worker.sending.events import log_call, log_lost
from bulk_cancel.worker.sending.permits import Permits
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.sending.recorder import Recorder
from bulk_cancel.worker.sending.threads import ThreadPool
from bulk_cancel.worker.sending.wanting import WantingLanes
from bulk_cancel.worker.state.claims import Call, Claim, Done, Recorded
from bulk_cancel.worker.state.ids import holder_of
from bulk_cancel.worker.state.lanes import Lanes

log = structlog.get_logger(__name__)

THREADS: Final = 2
"""They conclude, record and claim: one waits for Redis while the other one works; more only stand in line."""


class Sender:
    """Drains lanes with `concurrency` calls in flight at most, of those users for whom the gate is open.

    `freed` is called whenever there may be more `room` than before; `idle` is set while no call is in flight. Lanes
    whose address is out of reach are left to other workers.
    """

    def __init__(
        self,
        lanes: Lanes,
        caller: Caller,
        gate: Gate,
        reachability: Reachability,
        *,
        concurrency: int,
        freed: Callable[[], None] = lambda: None,
        idle: Event | None = None,
    ) -> None:
        self._lanes = lanes
        self._caller = caller
        self._gate = gate
        self._addresses = {user.base_url for user in gate.users.values()}
        self._reachability = reachability
        self._freed = freed
        self._idle = idle or Event()
        self._idle.set()
        self._others_wait = False
        self._changed = Condition()
        self._permits = Permits(concurrency)
        self._wanting = WantingLanes(gate, reachability)
        self._stopping = Event()
        self._recorder = Recorder(lanes, self._stopping, self._recorded)
        self._threads = ThreadPool(THREADS, self._finish, name="send", expected=lambda: self.in_flight)

    @property
    def in_flight(self) -> int:
        """Permits in use now."""
        return self._permits.in_flight

    def room(self) -> int:
        """How many lanes more would be given a turn at once that is worth a claim."""
        return max(0, self._permits.handfuls - len(self._wanting)) if self.may_send() else 0

    def room_for_one(self) -> bool:
        """Whether a lane would be given a turn at once, be it for a single call."""
        return bool(self.may_send() and self._permits.free and not self._wanting)

    def opened(self, uid: str) -> None:
        """The gate is open for this user: its lanes, which waited for that, get their turn."""
        with self._changed:
            self._wanting.opened(uid)
        self._pump(at_least=1)
        self._freed()

    def drain(self, lanes: Sequence[str], *, others_wait: bool = False) -> None:
        """Gives the lanes their turn, now or as soon as permits are free.

        `others_wait`: there are lanes on the board that found no room. Until the next call of this, a lane gets its
        further turns from the board as well, in its order there, and not at once.
        """
        self._others_wait = others_wait
        for lane in lanes:
            self._want(lane)
        self._pump(at_least=1)

    def close(self) -> None:
        """No new claims; what is claimed and not sent yet goes back."""
        self._stopping.set()

    def stop(self, timeout_s: float) -> bool:
        """Waits until the calls in flight are recorded. False if some were not in time."""
        self.close()
        with self._changed:
            self._wanting.clear()
            done = self._changed.wait_for(lambda: not self._permits.in_flight, timeout_s)
        if done:  # else they are needed for what may still come
            self._threads.dismiss()
        return done

    def may_send(self) -> bool:
        """Whether there is a user for whom this worker could send now."""
        return self._gate.any_open and any(map(self._reachability.reaches, self._addresses))

    def _want(self, lane: str) -> None:
        with self._changed:
            self._wanting.add(lane)

    def _want_again(self, lane: str) -> None:
        if not self._others_wait:
            self._want(lane)

    def _pump(self, *, at_least: int) -> None:
        """Turns for the lanes that want one, as long as so many permits are free: a claim for one costs as for ten."""
        while turn := self._next_turn(at_least):
            lane, permits = turn
            used = 0
            try:
                used = self._turn(lane, permits)
            finally:
                self._give(permits - used)

    def _next_turn(self, at_least: int) -> tuple[str, int] | None:
        """The next lane and its part of the free permits, taken; None if nobody wants or too few are free."""
        with self._changed:
            self._wanting.drop_lost()
            if self._stopping.is_set() or not self._wanting or self._permits.free < at_least:
                return None
            permits = self._permits.take(lanes=len(self._wanting))
            self._idle.clear()
            return self._wanting.pop(), permits

    def _give(self, permits: int) -> None:
        with self._changed:
            self._permits.give(permits)
            if not self._permits.in_flight:
                self._idle.set()
            self._changed.notify_all()

    def _turn(self, lane: str, permits: int) -> int:
        """Claims and hands each call to the pool; returns how many permits are in use by it."""
        try:
            claim = self._lanes.claim(lane, self._gate.user(holder_of(lane)), permits=permits)
        except RedisError as error:
            log.warning("claim_failed", lane=lane, error=str(error))
            return 0
        except Exception:  # the lane is on the board and gets another turn
            log.exception("claim_failed", lane=lane)
            return 0
        report_exhausted(claim.exhausted)
        log_lost(claim)
        for call in claim.calls:
            self._begin(claim, call)
        if claim.calls and claim.due_s == 0:
            self._want_again(lane)
        return len(claim.calls)

    def _begin(self, claim: Claim, call: Call) -> None:
        """The call is written, or goes back; whoever records it frees its permit."""
        if self._stopping.is_set():
            self._threads.hand(partial(self._caller.give_back, claim, call, "worker stopping"))
        elif not self._caller.reaches(claim):
            self._threads.hand(partial(self._caller.give_back, claim, call, "no connection to the exchange"))
        else:
            self._caller.begin(claim, call, self._came)

    def _came(self, came: Came) -> None:
        self._threads.hand(partial(self._caller.conclude, came))

    def _finish(self, conclusions: Sequence[Callable[[], Done]]) -> None:
        """Concludes the calls and records them, together with what others conclude meanwhile."""
        calls = [done for conclude in conclusions if (done := self._concluded(conclude))]
        self._recorder.add(calls)
        self._pump(at_least=self._permits.handful)
        self._freed()

    def _concluded(self, conclude: Callable[[], Done]) -> Done | None:
        try:
            return conclude()
        except Exception:
            log.exception("call_failed")
            self._give(1)
            return None

    def _recorded(self, calls: Sequence[tuple[Done, Recorded | None]]) -> None:
        """The permits are free again, and a lane that is due now wants its turn: whoever ends a call next gives it."""
        for done, recorded in calls:
            if recorded and recorded.due_s == 0:
                self._want_again(done.claim.lane)
        # after the lanes, so that whoever takes the permits finds these lanes; before the log, which nobody waits for
        self._give(len(calls))
        for done, recorded in calls:
            log_call(done, recorded)
