"""Who sends? Claims with the free permits of this process, calls on a pool of threads, records, claims again.

A permit is the right to one call in flight. Lanes that want a turn queue up for permits; each thread that frees one
hands it to the next lane, so a lane keeps going without another message, and a hung call holds no Celery thread.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Condition, Event

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.alerts.exhausted import report_exhausted
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.codes import Verdict
from bulk_cancel.worker.okx.errors import ExchangeError, NeverSent, OutcomeUnknown, TooLate
from bulk_cancel.worker.sending.conclude import Concluder
from bulk_cancel.worker.sending.events import log_call, log_lost
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.sending.recorder import Recorder
from bulk_cancel.worker.sending.threads import ThreadPool
from bulk_cancel.worker.state.claims import Call, Claim, Done, Recorded, Result
from bulk_cancel.worker.state.ids import uid_of
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.window import WRITE_WITHIN_S

log = structlog.get_logger(__name__)


class Sender:
    """Drains lanes with `concurrency` calls in flight at most; `users` are those whose lanes it may send for.

    `freed` is told whenever there may be more `room` than before. While `others_wait`, lanes that are on the board and
    find no room, a lane here gets its next turn from the board as well, in its order. Lanes whose address is out of
    `reachability` are left to other workers.
    """

    others_wait = False

    def __init__(
        self,
        lanes: Lanes,
        client: OkxClient,
        concluder: Concluder,
        users: Mapping[str, User],
        reachability: Reachability,
        *,
        concurrency: int,
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        self._lanes = lanes
        self._client = client
        self._concluder = concluder
        self._users = users
        self._addresses = {user.base_url for user in users.values()}
        self._reachability = reachability
        self._freed = freed
        self._permits = concurrency
        self._concurrency = concurrency
        self._handful = max(1, concurrency // 8)
        self._wanting: dict[str, None] = {}
        self._unready: dict[str, set[str]] = {uid: set() for uid in users}
        self._ready = False
        self._changed = Condition()
        self._stopping = Event()
        self._recorder = Recorder(lanes, self._stopping, self._recorded)
        # one thread more: whoever records holds no permit for it
        self._threads = ThreadPool(concurrency + 1, self._send, name="send")

    @property
    def in_flight(self) -> int:
        """Permits in use now."""
        return self._concurrency - self._permits

    def room(self) -> int:
        """How many lanes more would be given a turn at once that is worth a claim."""
        return max(0, self._permits // self._handful - len(self._wanting)) if self._may_send() else 0

    def room_for_one(self) -> bool:
        """Whether a lane would be given a turn at once, be it for a single call."""
        return bool(self._may_send() and self._permits and not self._wanting)

    def admit_user(self, uid: str) -> None:
        """From now on the lanes of this user may be sent; before, they wait."""
        with self._changed:
            for lane in self._unready.pop(uid, ()):
                self._wanting.setdefault(lane)
            self._ready = True
        self._pump(at_least=1)
        self._freed()

    def drain(self, lanes: Sequence[str]) -> None:
        """Gives the lanes their turn, now or as soon as permits are free."""
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
            done = self._changed.wait_for(lambda: self._permits == self._concurrency, timeout_s)
        self._threads.dismiss()
        return done

    def _may_send(self) -> bool:
        return self._ready and any(map(self._reachability.reaches, self._addresses))

    def _want(self, lane: str) -> None:
        uid = uid_of(lane)
        with self._changed:
            if uid in self._unready:
                self._unready[uid].add(lane)
            elif uid not in self._users:
                log.warning("lane_of_unknown_user", lane=lane, hint="every worker needs every account")
            elif self._is_reached(lane):
                self._wanting.setdefault(lane)

    def _is_reached(self, lane: str) -> bool:
        return self._reachability.reaches(self._users[uid_of(lane)].base_url)

    def _want_again(self, lane: str) -> None:
        if not self.others_wait:
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
        """The next lane and a fair part of the free permits, taken; None if nobody wants or nothing is free."""
        with self._changed:
            if self._reachability.lost():
                self._wanting = {lane: None for lane in self._wanting if self._is_reached(lane)}
            if self._stopping.is_set() or not self._wanting or self._permits < at_least:
                return None
            permits = min(self._permits, max(self._handful, self._permits // len(self._wanting)))
            self._permits -= permits
            lane = next(iter(self._wanting))
            del self._wanting[lane]
            return lane, permits

    def _give(self, permits: int) -> None:
        with self._changed:
            self._permits += permits
            self._changed.notify_all()

    def _turn(self, lane: str, permits: int) -> int:
        """Claims and hands each call to the pool; returns how many permits are in use by it."""
        try:
            claim = self._lanes.claim(lane, self._users[uid_of(lane)], permits=permits)
        except RedisError as error:
            log.warning("claim_failed", lane=lane, error=str(error))
            return 0
        except Exception:  # the lane is on the board and gets another turn
            log.exception("claim_broke", lane=lane)
            return 0
        report_exhausted(claim.exhausted)
        log_lost(claim)
        for call in claim.calls:
            self._threads.hand((claim, call))
        if claim.calls and claim.due_s == 0:
            self._want_again(lane)
        return len(claim.calls)

    def _send(self, claimed: tuple[Claim, Call]) -> None:
        """Makes the call; whoever records it frees its permit."""
        claim, call = claimed
        try:
            done = self._call(claim, call)
        except Exception:
            log.exception("call_failed", lane=claim.lane, call=call.id)
            self._give(1)
        else:
            self._recorder.add(done)
        self._go_on()

    def _call(self, claim: Claim, call: Call) -> Done:
        if self._stopping.is_set():
            return Done(claim, call, self._concluder.given_back(call, "worker stopping"))
        if not self._reachability.reaches(claim.user.base_url):
            return Done(claim, call, self._concluder.given_back(call, "no connection to the exchange"))
        began = time.monotonic()
        outcome = self._ask(claim, call)
        result = self._concluder.conclude(claim, call, outcome, time.monotonic() - began)
        if isinstance(outcome, NeverSent) and not isinstance(outcome, TooLate):
            result = self._cut_off(claim, result, str(outcome))
        self._resync(claim, result, signed_at=began)
        return Done(claim, call, result)

    def _cut_off(self, claim: Claim, result: Result, why: str) -> Result:
        """No connection: that may be ours alone, so a burst of such calls is one strike against the address."""
        if not self._reachability.lose(claim.user.base_url, why):
            return replace(result, strike=None)
        log.warning("exchange_out_of_reach", exchange=claim.user.base_url, why=why)
        return result

    def _recorded(self, calls: Sequence[tuple[Done, Recorded | None]]) -> None:
        """The permits are free again, and a lane that is due now wants its turn: whoever ends a call next gives it."""
        for done, recorded in calls:
            if recorded and recorded.due_s == 0:
                self._want_again(done.claim.lane)
        self._give(len(calls))
        for done, recorded in calls:
            log_call(done, recorded)

    def _go_on(self) -> None:
        self._pump(at_least=self._handful)
        self._freed()

    def _ask(self, claim: Claim, call: Call) -> Answer | ExchangeError:
        orders = [job.ref for job in call.jobs]
        write_by = claim.asked_at + WRITE_WITHIN_S
        try:
            if call.meter == "single":
                return self._client.cancel(call.account, orders[0], write_by=write_by)
            return self._client.cancel_batch(call.account, orders, write_by=write_by)
        except ExchangeError as error:
            return error
        except Exception as error:  # whatever it was, bytes may have left: the slot and the attempt count
            log.exception("call_broke", lane=claim.lane, call=call.id)
            return OutcomeUnknown(f"{type(error).__name__}: {error}")

    def _resync(self, claim: Claim, result: Result, *, signed_at: float) -> None:
        """Before the record, so that the retry is signed with the right time."""
        if any(decided.verdict is Verdict.CLOCK for decided in result.decided):
            try:
                self._client.correct_clock(claim.user.base_url, signed_at=signed_at)
            except ExchangeError as error:
                log.warning("clock_not_measured", exchange=claim.user.base_url, error=str(error))
