"""Does the sweep end whatever waits past its deadline, whatever became of it, at a bearable cost?"""

from typing import Any

import pytest
from redis import Redis

from bulk_cancel.worker.alerts.conditions import may_be_live
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.state.board import QUIET_US
from bulk_cancel.worker.state.jobs import ask_jobs
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.window import Timing
from tests.support.lane_rig import LANE, LIMITS, TIMING, LaneRig, believed, finished, orders
from tests.support.waiting import PATIENCE_S

CLIENT = [{"instId": "BTC-USDT", "clOrdId": "x1"}]


def answered(rig: LaneRig, *, ord_id: str = "") -> None:
    """Whatever is in line waits for the book."""
    for call in (claim := rig.claim(permits=60)).calls:
        rig.record(claim, call, decided=tuple(believed(job, ord_id=ord_id) for job in call.jobs))


def overdue(rig: LaneRig, seconds: float) -> None:
    """So much later; a waker has told Redis what time it is."""
    rig.advance(seconds)
    rig.board.wake(0)


class TestCost:
    """What it reads."""

    def test_a_batch_that_waits_for_the_book_is_read_every_five_seconds(self, rig: LaneRig) -> None:
        """Nothing of it could end."""
        rig.submit("b", orders(3), deadline_s=10)
        answered(rig)
        reads = []
        for _ in range(12):
            overdue(rig, 1)
            reads += [rig.board._overdue()]
            rig.board.sweep()
        assert [len(found) for found in reads] == [0] * 9 + [1, 0, 0]
        overdue(rig, 3)
        assert rig.board._overdue() == ["b"]

    def test_a_batch_of_which_some_ended_is_read_again_after_a_second(self, rig: LaneRig) -> None:
        """The rest may be sent back any moment."""
        rig.submit("b", orders(2), deadline_s=10)
        rig.claim(permits=1)
        overdue(rig, 10)
        assert len(rig.board.sweep()) == 1
        overdue(rig, 1)
        assert rig.board._overdue() == ["b"]


class TestRows:
    """Each gets its outcome."""

    @pytest.mark.parametrize("lost", ["deleted", "ended"])
    def test_a_row_whose_job_is_lost_ends_past_the_deadline(self, rig: LaneRig, lost: str) -> None:
        """Its batch is complete, somebody is told, and `check` names the order until it is off the book."""
        rig.submit("b", orders(2), deadline_s=10)
        key = rig.keys.of("job", f"{LANE}/o1")
        rig.redis.set(key, '{"state":"canceled","generation":1,"result":""}')
        if lost == "deleted":
            rig.redis.delete(key)
        overdue(rig, 9)
        assert rig.board.sweep() == []
        overdue(rig, 1)
        told = {ended.job: ended.message for ended in rig.board.sweep()}
        assert told == {
            f"{LANE}/o1": "lost: Redis knows nothing of its job", f"{LANE}/o2": "deadline passed",
        }  # fmt: skip
        state, row = rig.batches.state("b"), rig.row("b")
        assert (state.complete, state.counts) == (True, {"exhausted": 2})
        assert (row.status, row.sMsg) == ("exhausted", told[f"{LANE}/o1"])
        assert may_be_live(rig.redis, rig.keys, retention_s=600)[0] == 2
        assert rig.board.sweep() == []

    def test_what_is_left_of_a_deleted_job_stops_no_lane(self, rig: LaneRig) -> None:
        """It is taken out of line; the order may be asked for again, and is then off the list of `check`."""
        rig.submit("b", orders(1), deadline_s=10)
        rig.redis.delete(rig.keys.of("job", f"{LANE}/o1"))
        overdue(rig, 10)
        (ended,) = rig.board.sweep()
        assert (ended.account, ended.batches) == ("a1", ("b",))
        assert rig.places() == {"ready": [], "later": [], "claimed": []}
        (_, (order,)) = may_be_live(rig.redis, rig.keys, retention_s=600)
        assert (order.order, order.account, order.batches) == (f"{LANE}/o1", "a1", ("b",))
        rig.submit("c", orders(1))
        claim = rig.claim()
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "canceled"),))
        assert may_be_live(rig.redis, rig.keys, retention_s=600)[0] == 0

    def test_a_row_whose_order_another_batch_has_since_asked_for_ends_too(self, rig: LaneRig) -> None:
        """That batch's job does not know of it, and goes on."""
        rig.submit("b", orders(1), deadline_s=10)
        rig.redis.delete(rig.keys.of("job", f"{LANE}/o1"))
        rig.submit("c", orders(1))
        overdue(rig, 10)
        (ended,) = rig.board.sweep()
        assert (ended.batches, rig.batches.state("b").complete, rig.batches.state("c").waiting) == (("b",), True, 1)
        assert rig.claim().calls

    def test_rows_that_end_while_they_are_read_are_left_alone(
        self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They were waiting when the sweep read them."""
        rig.submit("b", orders(2), deadline_s=10)
        rig.submit("c", orders(1), deadline_s=900)
        claim = rig.claim(permits=2)
        overdue(rig, 10)
        waiting = list(rig.board._waiting("b"))
        monkeypatch.setattr(rig.board, "_waiting", lambda _: waiting)
        for call in claim.calls:
            rig.record(claim, call)
        assert rig.board.sweep() == []
        assert rig.batches.state("b").counts == {"accepted": 2}

    def test_who_follows_a_given_up_job_is_due(self, rig: LaneRig) -> None:
        """A client id asked for again while the book was awaited, of an account that nobody serves any more."""
        rig.submit("b", CLIENT, deadline_s=10)
        answered(rig, ord_id="77")
        rig.submit("c", CLIENT, deadline_s=5_000)
        overdue(rig, 901)
        rig.board.sweep()
        overdue(rig, 601)
        assert rig.due() is None
        assert len(rig.board.sweep()) == 1
        assert (rig.due(), rig.places()["ready"]) == (0, ["cx1"])

    def test_a_job_whose_worker_died_ends_though_nobody_serves_its_lane(self, rig: LaneRig) -> None:
        """Nobody takes its claim back: it is given up ten minutes after the claim's end, and may be live."""
        rig.submit("b", orders(1), deadline_s=10)
        rig.claim()
        overdue(rig, TIMING.claim_us / 1e6 + 600)
        assert rig.board.sweep() == []
        overdue(rig, QUIET_US / 1e6)
        (ended,) = rig.board.sweep()
        assert ended.message == rig.row("b").sMsg == "its claim ran out, and nobody sends for this account"
        assert (rig.row("b").status, rig.row("b").attempts, rig.batches.state("b").complete) == ("exhausted", 1, True)
        assert rig.places() == {"ready": [], "later": [], "claimed": []}

    def test_thousands_end_in_one_step(self, redis: Redis) -> None:
        """More than Lua can unpack at once."""
        rig = LaneRig(redis, batch_size=20, limits=Limits(1_000, 20_000))
        rig.submit("b", orders(9_000), deadline_s=5)
        rig.advance(6)
        assert len(rig.claim(permits=500).exhausted) == 9_000
        assert rig.batches.state("b").counts == {"exhausted": 9_000}


def test_a_lane_that_was_never_claimed_from_is_forgotten(rig: LaneRig) -> None:
    """With its counters, a week after it left the list of lanes."""
    rig.submit("b", orders(1))
    rig.decisions.withdraw("b", Asked("ann"))
    rig.advance(86_401)
    rig.board.sweep()
    assert 0 < rig.redis.ttl(rig.keys.of("lane", LANE)) <= 604_800


def test_a_batch_that_was_not_handed_in_completely_is_kept_from_its_deadline_on(
    rig: LaneRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its producer may complete it until then; if nobody does, it is forgotten."""
    ask, calls = rig.scripts.ask, iter([True, False])
    monkeypatch.setattr(rig.scripts, "ask", lambda *args: ask(*args) if next(calls) else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rig.submit("b", orders(1200), deadline_s=900)
    monkeypatch.setattr(rig.scripts, "ask", ask)
    while (claim := rig.claim(permits=60)).calls:
        for call in claim.calls:
            rig.record(claim, call)
        rig.advance(3)
    left_s = 900 - (rig.us - int(rig.redis.hget(rig.keys.of("batch", "b"), "created") or 0)) / 1e6
    for name in ("batch", "rows"):
        assert 600 + left_s - PATIENCE_S < rig.redis.ttl(rig.keys.of(name, "b")) <= 600 + left_s + 4


def test_whoever_needs_longer_waits_longer_after_a_restart(rig: LaneRig) -> None:
    """A runner whose calls are cut sooner noticed the restart first."""
    quick = Timing(window_s=2.0, timeout_s=1.0)
    rig.submit("b", orders(1))
    rig.restart_redis("b2")
    Lanes(rig.scripts, quick, max_attempts=3, retention_s=600).claim(LANE, rig.user, permits=1)
    rig.advance(quick.blackout_us / 1e6)
    assert rig.claim().reason == "redis restarted"
    rig.advance((TIMING.blackout_us - quick.blackout_us) / 1e6)
    assert rig.claim().calls


def test_an_adopted_redis_is_waited_for_by_nobody(redis: Redis) -> None:
    """However long he would."""
    rig = LaneRig(redis, limits=LIMITS)
    rig.submit("b", orders(2))
    for timeout_s in (1.0, 6.0):
        lanes = Lanes(rig.scripts, Timing(window_s=2.0, timeout_s=timeout_s), max_attempts=3, retention_s=600)
        assert lanes.claim(LANE, rig.user, permits=1).calls


def test_a_row_that_ends_while_its_job_is_read_says_how(rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not its status alone, with no attempts and no code."""
    rig.submit("b", orders(2))
    claim = rig.claim()

    def late(*args: Any) -> Any:  # noqa: ANN401
        rig.record(claim)
        return ask_jobs(*args)

    monkeypatch.setattr("bulk_cancel.worker.state.batches.ask_jobs", late)
    ended, waiting = rig.batches.rows("b")
    assert (ended.status, ended.attempts, ended.sCode, waiting.status) == ("accepted", 1, "0", "queued")
    assert ended.finished_at
