"""Whatever happens in whatever order: is no job lost or doubled, and no window ever too full at arrival?

A random run of admissions, claims, arrivals, records (late, lost and repeated ones too), rests, decisions of an
operator and the passing of time on a real Redis, against what the exchange would have seen and what must hold after
every step.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from bulk_cancel.tasks.errors import BatchConflictError
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.operators.decisions import RETRIED, Asked
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.meters import max_in_window
from bulk_cancel.worker.state.claims import Call, Claim, Decided
from bulk_cancel.worker.state.jobs import read_jobs
from bulk_cancel.worker.state.statuses import Again, row_ended
from tests.support.lane_rig import TIMING, LaneRig, finished, rest, retried, returned

LIMITS = Limits(single=2, batch=5)
LANES = ("u1/BTC-USDT", "u1/BTC-USD:option")
IDS = [
    *({"instId": "BTC-USDT", "ordId": str(number)} for number in range(1, 7)),
    *({"instId": "BTC-USDT", "clOrdId": f"c{number}"} for number in range(2)),
    {"instId": "BTC-USD-271231-100000-C", "ordId": "8"},
    {"instId": "BTC-USD-271231-100000-P", "ordId": "9"},
]
ASKED = Asked("model")
PLACES = {"queued": "ready", "retrying": "later", "sending": "claimed"}


@dataclass(slots=True)
class Sent:
    """One call that the model's workers hold: when it was granted, whether and when it arrived."""

    claim: Claim
    call: Call
    granted_us: int
    recorded: bool = False
    arrived: bool = False
    dropped: bool = False


class LanesModel(RuleBasedStateMachine):
    """The lanes of one user with two lanes, one of them an option family."""

    server: ClassVar[EmbeddedRedis]

    def __init__(self) -> None:
        super().__init__()
        self.redis = Redis.from_url(self.server.url, decode_responses=True, protocol=2)
        self.redis.flushall()
        self.calls: list[Sent] = []
        self.arrivals: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self.batches: dict[str, list[dict[str, str]]] = {}
        self.paused: set[str] = set()
        self.arrived: set[tuple[str, int]] = set()

    def teardown(self) -> None:
        """Everything handed in ends: the run is brought to its end without faults."""
        if hasattr(self, "rig"):
            self._finish_everything()
        self.redis.close()

    @initialize(batch_size=st.sampled_from([0, 3]))
    def begin(self, batch_size: int) -> None:
        """Single endpoint only, or batches of up to three."""
        self.rig = LaneRig(self.redis, limits=LIMITS, batch_size=batch_size, retention_s=100_000)

    @rule(
        name=st.sampled_from("abcd"),
        picked=st.lists(st.sampled_from(IDS), min_size=1, max_size=6),
        urgent=st.booleans(),
        deadline_s=st.sampled_from([2, 30, 900]),
    )
    def submit(self, name: str, picked: list[dict[str, str]], urgent: bool, deadline_s: int) -> None:  # noqa: FBT001
        """A new batch, or a known id with the same or with other orders."""
        try:
            self.rig.submit(name, picked, urgent=urgent, deadline_s=deadline_s)
        except BatchConflictError:
            assert name in self.batches
        else:
            self.batches.setdefault(name, picked)

    @rule(name=st.sampled_from("abcd"))
    def submit_again(self, name: str) -> None:
        """The same message once more changes nothing."""
        if name in self.batches:
            before = self.rig.batches.state(name)
            assert self.rig.submit(name, self.batches[name]).new == 0
            assert self.rig.batches.state(name) == before

    @rule(lane=st.sampled_from(LANES), permits=st.integers(1, 6))
    def claim(self, lane: str, permits: int) -> None:
        """A worker claims; the jobs come in the order of the line."""
        claim = self.rig.claim(permits, lane)
        assert not (claim.calls and self.paused & {"a1", lane})
        jobs = [job for call in claim.calls for job in call.jobs]
        places = [int(fields["place"]) for _, fields in read_jobs(self.redis, self.rig.keys, [job.id for job in jobs])]
        assert places == sorted(places)
        self.calls += [Sent(claim, call, self.rig.us) for call in claim.calls]

    @rule(seconds=st.sampled_from([0.001, 0.4, 1.0, 2.001, 3.1, 7.1]))
    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.rig.advance(seconds)

    @rule()
    def step_back(self) -> None:
        """The server's clock steps back: real time goes on, Redis's time stands until it has caught up."""
        self.redis.incrby("test:us", -300_000)
        self.rig.board.wake(9)
        self.redis.incrby("test:us", 300_000)

    @precondition(lambda self: bool(self._flying()))
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        """A call's bytes reach the exchange, at most as late as its deadline and the network allow."""
        sent = data.draw(st.sampled_from(self._flying()))
        sent.arrived = True
        self.arrived |= {(job.id, job.generation) for job in sent.call.jobs}
        weight = len(sent.call.jobs)
        self.arrivals.setdefault((sent.claim.lane, sent.call.meter), []).append((self.rig.us, weight))

    @precondition(lambda self: any(sent for sent in self.calls if sent.arrived and not sent.recorded))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """An arrived call is answered and recorded, however late."""
        sent = data.draw(st.sampled_from([sent for sent in self.calls if sent.arrived and not sent.recorded]))
        decided = tuple(self._decide(data, job) for job in sent.call.jobs)
        rests = data.draw(
            st.sampled_from([(), (), (rest(f"lane:{sent.claim.lane}", 2, 4),), (rest("account:a1", 2, 4),)])
        )
        blamed = {each.scope for each in rests}
        mended = tuple(scope for scope in sent.claim.probes if scope not in blamed)
        self.rig.record(sent.claim, sent.call, decided=decided, rests=rests, mended=mended)
        sent.recorded = True

    @precondition(lambda self: bool(self._flying()))
    @rule(data=st.data())
    def never_sent(self, data: st.DataObject) -> None:
        """No connection: slots and jobs go back."""
        sent = data.draw(st.sampled_from(self._flying()))
        sent.dropped = sent.recorded = True
        decided = tuple(returned(job) for job in sent.call.jobs)
        self.rig.record(sent.claim, sent.call, slots="release", decided=decided, answered=False)

    @precondition(lambda self: any(sent for sent in self.calls if not sent.recorded and not sent.arrived))
    @rule(data=st.data())
    def deadline(self, data: st.DataObject) -> None:
        """No answer in time: recorded as unknown, while the bytes may still arrive."""
        sent = data.draw(st.sampled_from([sent for sent in self.calls if not sent.recorded and not sent.arrived]))
        if self.rig.us - sent.granted_us < TIMING.claim_us:
            return
        decided = tuple(retried(job, 0.25) for job in sent.call.jobs)
        self.rig.record(sent.claim, sent.call, slots="keep", decided=decided, answered=False)
        sent.recorded = True

    @precondition(lambda self: any(sent for sent in self.calls if sent.recorded))
    @rule(data=st.data())
    def record_again(self, data: st.DataObject) -> None:
        """The reply to a record was lost: given again, with whatever decision, it does nothing."""
        sent = data.draw(st.sampled_from([sent for sent in self.calls if sent.recorded]))
        before = self._snapshot()
        self.rig.record(sent.claim, sent.call)
        assert self._snapshot() == before

    @precondition(lambda self: bool(self.batches))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """A batch is taken back: what waits afterwards was sent, or may have been; what was withdrawn was not."""
        name = data.draw(st.sampled_from(sorted(self.batches)))
        waited, others = self._rows(name, ended=False), self._rows_but(name)
        done = self.rig.decisions.withdraw(name, ASKED)
        assert self._rows_but(name) == others
        left = self._rows(name, ended=False)
        assert (len(left), len(waited) - len(left)) == (done.sent, done.withdrawn)
        withdrawn = {job: json.loads(row) for job, row in self._rows(name, ended=True).items() if job in waited}
        assert {row["status"] for row in withdrawn.values()} <= {"withdrawn"}
        assert not self.arrived & {(job, int(row["generation"])) for job, row in withdrawn.items()}

    @precondition(lambda self: bool(self.batches))
    @rule(data=st.data(), statuses=st.sampled_from([RETRIED, tuple(Again)]), deadline_s=st.sampled_from([None, 2, 30]))
    def retry(self, data: st.DataObject, statuses: tuple[Again, ...], deadline_s: int | None) -> None:
        """What ended in vain goes again, for as long as the batch had or another time."""
        name = data.draw(st.sampled_from(sorted(self.batches)))
        counts = self.rig.batches.state(name).counts
        vain = sum(counts.get(status, 0) for status in statuses)
        done = self.rig.decisions.retry(name, ASKED, statuses=statuses, deadline_s=deadline_s)
        assert done.changed == vain
        assert not done.state.completed_at or done.state.complete

    @rule(whom=st.sampled_from(("a1", *LANES)))
    def pause(self, whom: str) -> None:
        """Nothing more is granted there, whatever probes and rests do."""
        if "/" in whom and self.redis.zscore(self.rig.keys.of("lanes"), whom) is None:
            return
        assert self.rig.decisions.pause(whom, ASKED).changed == (whom not in self.paused)
        self.paused.add(whom)

    @precondition(lambda self: bool(self.paused))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        """And goes on."""
        whom = data.draw(st.sampled_from(sorted(self.paused)))
        self.paused.discard(whom)
        assert any(ended.by for ended in self.rig.decisions.resume(whom, ASKED).ended)

    @rule()
    def upkeep(self) -> None:
        """A waker's round."""
        self.rig.board.wake(9)
        self.rig.board.sweep()

    @invariant()
    def each_live_job_is_in_the_one_place_of_its_state(self) -> None:
        """And nothing else is in any place."""
        found = Counter((job, place) for lane in LANES for place in PLACES.values() for job in self._in(lane, place))
        expected = {}
        for key in self.redis.scan_iter("t:job:*", count=1000):
            job = key.removeprefix("t:job:")
            ((_, fields),) = read_jobs(self.redis, self.rig.keys, [job])
            if fields["state"] in PLACES:
                expected[job, PLACES[fields["state"]]] = 1
        assert found == expected

    @invariant()
    def every_lane_with_work_is_on_one_board(self) -> None:
        """And no other lane."""
        for lane in LANES if hasattr(self, "rig") else ():
            boards = [self.redis.zscore(f"t:board:{name}", lane) is not None for name in ("urgent", "normal")]
            assert sum(boards) == any(self._in(lane, place) for place in PLACES.values())

    @invariant()
    def batches_add_up(self) -> None:
        """Counters equal rows; a waiting row has a live job that knows its batch."""
        for name in self.batches:
            state, rows = self.rig.batches.state(name), self.rig.batches.rows(name)
            assert state.size == len(rows)
            ended = Counter(row.status for row in rows if row.status not in PLACES)
            assert ended == state.counts
            assert state.waiting == len(rows) - ended.total()
            assert state.complete == (state.waiting == 0)

    @invariant()
    def every_generation_ends_once(self) -> None:
        """The outcome stream has no pair twice."""
        entries = cast("list[tuple[str, dict[str, str]]]", self.redis.xrange("t:outcomes"))
        ends = Counter((fields["order"], fields["generation"]) for _, fields in entries)
        assert not ends or max(ends.values()) == 1

    @invariant()
    def no_window_was_ever_too_full_at_arrival(self) -> None:
        """The exchange's own count, by brute force."""
        for (lane, meter), arrivals in self.arrivals.items():
            times, weights = [at for at, _ in arrivals], [weight for _, weight in arrivals]
            limit = LIMITS.single if meter == "single" else LIMITS.batch
            assert max_in_window(times, 2_000_000, weights) <= limit, (lane, meter)

    def _decide(self, data: st.DataObject, job: object) -> Decided:
        kind = data.draw(st.sampled_from(["accepted", "gone", "rejected", "now", "later", "free"]))
        match kind:
            case "now" | "later":
                return retried(job, 0.0 if kind == "now" else 1.5)  # type: ignore[arg-type]
            case "free":
                return retried(job, 0.0, counts=False)  # type: ignore[arg-type]
            case _:
                return finished(job, kind)  # type: ignore[arg-type]

    def _flying(self) -> list[Sent]:
        """Calls whose bytes may still arrive: not answered, and not later than an open slot ends."""
        return [
            sent
            for sent in self.calls
            if not sent.arrived and not sent.dropped and self.rig.us - sent.granted_us <= TIMING.open_us
        ]

    def _in(self, lane: str, place: str) -> list[str]:
        return [str(job) for job in self.redis.zrange(f"t:{place}:{lane}", 0, -1)]

    def _snapshot(self) -> dict[str, object]:
        """What a repeated record must not change: jobs, rows, batches, windows, counters."""
        kept = ("t:rows:*", "t:batch:*", "t:lane:*", "t:rest:*")
        hashes: dict[str, object] = {
            key: self.redis.hgetall(key) for pattern in kept for key in self.redis.scan_iter(pattern, count=1000)
        }
        windows: dict[str, object] = {
            key: self.redis.zrange(key, 0, -1, withscores=True) for key in self.redis.scan_iter("bulk-cancel:w*")
        }
        jobs: dict[str, object] = {key: self.redis.get(key) for key in self.redis.scan_iter("t:job:*", count=1000)}
        return hashes | windows | jobs

    def _rows(self, name: str, *, ended: bool) -> dict[str, str]:
        rows = self.redis.hgetall(self.rig.keys.of("rows", name))
        return {str(job): str(row) for job, row in rows.items() if row_ended(str(row)) == ended}

    def _rows_but(self, name: str) -> dict[str, object]:
        return {other: self.redis.hgetall(self.rig.keys.of("rows", other)) for other in self.batches if other != name}

    def _finish_everything(self) -> None:
        for target in self.paused:
            self.rig.decisions.resume(target, ASKED)
        for _ in range(200):
            self.rig.advance(8)
            self.rig.board.wake(9)
            self.rig.board.sweep()
            for lane in LANES:
                claim = self.rig.claim(9, lane)
                for call in claim.calls:
                    self.rig.record(claim, call, mended=claim.probes)
            if all(self.rig.batches.state(name).complete for name in self.batches):
                return
        raise AssertionError([self.rig.batches.state(name) for name in self.batches])


def test_lanes_keep_their_promises_under_every_run(redis_server: EmbeddedRedis) -> None:
    """Random runs, shrunk to the shortest that breaks a promise."""
    LanesModel.server = redis_server
    examples = int(os.environ.get("MODEL_EXAMPLES", "40"))
    run_state_machine_as_test(LanesModel, settings=settings(max_examples=examples, stateful_step_count=40))
