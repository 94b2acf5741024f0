"""Does a job wait for the book's word, and end with nothing else? The verbs of confirmation on a real Redis."""

from typing import cast

import pytest
from redis import Redis

from bulk_cancel.worker.books.confirm.confirmations import Look
from bulk_cancel.worker.books.confirm.proof import SEND_AGAIN_AFTER_S, Finding, seen_as, seen_open
from bulk_cancel.worker.state.claims import Claim, Decided
from tests.support.lane_rig import TIMING, LaneRig, believed, finished, orders, retried

CLAIM_S = TIMING.claim_us / 1e6
OPEN = {"state": "live"}
CANCELED = {"state": "canceled", "accFillSz": "0"}
FILLED = {"state": "filled", "accFillSz": "3"}


def accepted(rig: LaneRig, count: int = 1, status: str = "accepted") -> list[Claim]:
    """Batch `b`, every cancel answered."""
    rig.submit("b", orders(count))
    claim = rig.claim(permits=count)
    for call in claim.calls:
        rig.record(claim, call, decided=tuple(believed(job, status) for job in call.jobs))
    return [claim]


def look(rig: LaneRig) -> Look:
    """The look that is due."""
    found = rig.confirmations.begin(rig.user)
    assert found
    return found


def told(rig: LaneRig, *rows: dict[str, str], state: str = "canceled") -> None:
    """The exchange pushes."""
    rig.confirmations.pushed("u1", [{"instId": "BTC-USDT", "state": state, "accFillSz": "0", **row} for row in rows])


class TestLook:
    """Whose book is looked at, when, and by whom."""

    def test_an_accepted_job_has_not_ended(self, rig: LaneRig) -> None:
        """It has left its lane, and its user's book is due a tenth of a second later."""
        accepted(rig)
        assert (rig.row("b").status, rig.batches.state("b").waiting) == ("accepted", 1)
        assert rig.places() == {"ready": [], "later": [], "claimed": []}
        assert rig.board.wake(9).users == ()
        rig.advance(0.1)
        assert rig.board.wake(9).users == ("u1",)

    def test_the_bell_rings_for_the_first_of_them(self, rig: LaneRig) -> None:
        """Or a waker would sleep over it."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.redis.delete(rig.keys.of("bell"))
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
        assert rig.redis.llen(rig.keys.of("bell")) == 1

    def test_later_ones_do_not_put_the_look_off(self, rig: LaneRig) -> None:
        """The first one's look is everybody's."""
        rig.submit("b", orders(2))
        claim = rig.claim(permits=2)
        for call in claim.calls:
            rig.record(claim, call, decided=(believed(call.jobs[0]),))
            rig.advance(0.06)
        assert rig.board.wake(9).users == ("u1",)

    def test_a_look_that_never_happens_is_due_again(self, rig: LaneRig) -> None:
        """One waker gets it, for a second."""
        accepted(rig)
        rig.advance(0.1)
        assert rig.board.wake(9).users == ("u1",)
        assert rig.board.wake(9).users == ()
        rig.advance(1)
        assert rig.board.wake(9).users == ("u1",)

    def test_one_look_at_a_time(self, rig: LaneRig) -> None:
        """The second one finds nothing to do until the first has ended."""
        accepted(rig)
        first = look(rig)
        assert rig.confirmations.begin(rig.user) is None
        assert rig.confirmations.end(first, again_in_s=0.2) == 1
        assert rig.board.wake(9).users == ()
        rig.advance(0.2)
        assert rig.board.wake(9).users == ("u1",)
        assert [job.id for job in look(rig).jobs] == ["u1/BTC-USDT/o1"]

    def test_a_look_whose_worker_died_is_another_ones_turn(self, rig: LaneRig) -> None:
        """One that goes on says so."""
        accepted(rig)
        begun = look(rig)
        before = rig.redis.pttl(rig.keys.of("looking", "u1"))
        assert 7_000 < before <= 8_000
        rig.redis.pexpire(rig.keys.of("looking", "u1"), 10)
        rig.confirmations.renew(begun)
        assert rig.redis.pttl(rig.keys.of("looking", "u1")) > 7_000
        rig.redis.delete(rig.keys.of("looking", "u1"))  # as time does
        assert look(rig).id != begun.id
        assert rig.confirmations.end(begun, again_in_s=0) == 1
        assert rig.redis.exists(rig.keys.of("looking", "u1"))

    def test_nobody_looks_while_the_exchange_rests(self, rig: LaneRig) -> None:
        """But at its end."""
        accepted(rig)
        scope = rig.keys.of("rest", rig.exchange_scope)
        rig.redis.hset(scope, "until", rig.us + 5_000_000)
        assert rig.confirmations.begin(rig.user) is None
        rig.advance(4.9)
        assert rig.board.wake(9).users == ()
        rig.advance(0.1)
        assert rig.board.wake(9).users == ("u1",)

    def test_a_look_tells_how_long_ago_each_was_answered(self, rig: LaneRig) -> None:
        """The age bounds what a reading that begins now can prove."""
        accepted(rig, 2)
        rig.advance(0.7)
        assert [job.since_s for job in look(rig).jobs] == [0.7, 0.7]

    def test_after_the_last_one_nobody_looks(self, rig: LaneRig) -> None:
        """A user is forgotten with its last job."""
        accepted(rig)
        begun = look(rig)
        rig.confirmations.write([seen_as(begun.jobs[0], CANCELED)])
        assert rig.confirmations.end(begun, again_in_s=0.2) == 0
        rig.advance(100)
        assert rig.board.wake(9).users == ()

    def test_what_may_have_been_missed_is_looked_for_now(self, rig: LaneRig) -> None:
        """After a gap of the channel; without unconfirmed jobs there is nothing to look for."""
        rig.confirmations.sooner("u1")
        assert rig.board.wake(9).users == ()
        accepted(rig)
        rig.confirmations.sooner("u1")
        assert rig.board.wake(9).users == ("u1",)


class TestFindings:
    """What the book told."""

    @pytest.mark.parametrize(
        ("row", "status", "filled"),
        [
            (CANCELED, "canceled", "0"),
            (FILLED, "filled", "3"),
            ({"state": "canceled", "accFillSz": "0.5"}, "canceled", "0.5"),
            ({"state": "canceled"}, "canceled", ""),
        ],
    )
    def test_a_job_ends_as_it_was_seen(self, rig: LaneRig, row: dict[str, str], status: str, filled: str) -> None:
        """In its batch, in the stream, and in the lane's counter; given twice, once."""
        accepted(rig)
        finding = seen_as(look(rig).jobs[0], row)
        assert rig.confirmations.write([finding]).ended == 1
        assert rig.confirmations.write([finding]).ended == 0
        ended = rig.row("b")
        assert (ended.status, ended.sCode, ended.accFillSz) == (status, "0", filled or None)
        ((_, told),) = cast("list[tuple[str, dict[str, str]]]", rig.redis.xrange(rig.keys.of("outcomes")))
        assert (told["status"], told["accFillSz"]) == (status, filled)
        assert ended.accepted_at is not None
        assert ended.finished_at is not None
        assert rig.batches.state("b").complete
        assert rig.redis.xlen(rig.keys.of("outcomes")) == 1
        assert rig.redis.hget(rig.keys.of("lane", "u1/BTC-USDT"), f"status:{status}") == "1"

    def test_what_was_gone_keeps_the_code_that_said_so(self, rig: LaneRig) -> None:
        """It was never accepted."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone", "51400"),))
        rig.confirmations.write([seen_as(look(rig).jobs[0], FILLED)])
        assert (rig.row("b").status, rig.row("b").sCode, rig.row("b").accepted_at) == ("filled", "51400", None)

    def test_an_order_still_open_is_cancelled_again_in_its_place(self, rig: LaneRig) -> None:
        """Before those behind it; the history says why."""
        accepted(rig)
        rig.submit("c", orders(1, first=9))
        rig.advance(1)
        assert rig.confirmations.write([seen_open(look(rig).jobs[0])]).again == 1
        assert rig.places()["ready"] == ["o1", "o9"]
        assert "still live" in str(rig.row("b").log[-1]["sMsg"])
        claim = rig.claim()
        assert [(job.id, job.attempts) for job in claim.calls[0].jobs] == [("u1/BTC-USDT/o1", 1)]

    def test_a_slow_book_uses_up_no_attempts(self, rig: LaneRig) -> None:
        """A cancel that was answered did not fail, so it goes again until the deadline; the row counts every cancel."""
        rig.submit("b", orders(1), deadline_s=60)
        for cancels in range(1, 6):
            claim = rig.claim()
            rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
            rig.advance(8.5)
            begun = look(rig)
            assert begun.jobs[0].again == cancels - 1
            assert rig.confirmations.write([seen_open(begun.jobs[0])]).again == 1
            rig.confirmations.end(begun, again_in_s=0.2)
            assert (rig.row("b").status, rig.row("b").attempts) == ("queued", cancels)
        rig.advance(20)
        assert [ended.job for ended in rig.board.sweep()] == ["u1/BTC-USDT/o1"]
        assert (rig.row("b").status, rig.row("b").attempts) == ("exhausted", 5)

    def test_an_order_that_is_given_up_on_the_book_does_not_seem_unsent(self, rig: LaneRig) -> None:
        """Whoever acts on it must know that cancels were accepted."""
        rig.submit("b", orders(1), deadline_s=5)
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
        rig.advance(6)
        rig.confirmations.write([seen_open(look(rig).jobs[0])])
        (ended,) = rig.claim().exhausted
        assert ended.message == rig.row("b").sMsg == "deadline passed before it could be sent again"

    def test_an_order_still_open_after_its_last_attempt_is_exhausted(self, rig: LaneRig) -> None:
        """Its last cancel had no answer, and the book shows that it had no effect; told to whoever reports it."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "exhausted", "50004"),))
        rig.advance(3)
        written = rig.confirmations.write([seen_open(look(rig).jobs[0])])
        assert [ended.job for ended in written.exhausted] == ["u1/BTC-USDT/o1"]
        assert (rig.row("b").status, rig.row("b").attempts) == ("exhausted", 1)

    def test_a_finding_about_an_earlier_generation_changes_nothing(self, rig: LaneRig) -> None:
        """Its job ended meanwhile, and another effort for the same order is under way."""
        rig.submit("b", [{"instId": "BTC-USDT", "clOrdId": "mine"}])
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
        late = seen_as(look(rig).jobs[0], CANCELED)
        rig.confirmations.write([Finding(late.job, "end", "gone")])
        rig.submit("c", [{"instId": "BTC-USDT", "clOrdId": "mine"}])
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
        assert rig.confirmations.write([late]).ended == 0
        assert rig.row("c").status == "accepted"

    def test_how_often_it_was_not_known_is_remembered(self, rig: LaneRig) -> None:
        """Between two looks."""
        accepted(rig, status="gone")
        begun = look(rig)
        rig.confirmations.write([Finding(begun.jobs[0], "stay", looks=1)])
        rig.confirmations.end(begun, again_in_s=0)
        assert look(rig).jobs[0].looks == 1

    def test_an_order_is_gone_two_seconds_after_it_was_first_unknown(self, rig: LaneRig) -> None:
        """However late the first look came: the exchange may have been away, and not see its book yet."""
        accepted(rig)
        rig.advance(60)
        for later_s in (0, 0.2, 1.7, 0.1):
            assert rig.row("b").status == "accepted"
            rig.advance(later_s)
            begun = look(rig)
            rig.confirmations.write([seen_as(begun.jobs[0], {})])
            rig.confirmations.end(begun, again_in_s=0)
        assert rig.row("b").status == "gone"

    @pytest.mark.parametrize(("row", "status"), [(CANCELED, "canceled"), (OPEN, "exhausted")])
    def test_the_book_is_asked_before_an_order_whose_last_claim_ran_out_is_given_up(
        self, redis: Redis, row: dict[str, str], status: str
    ) -> None:
        """Its worker died, perhaps after the exchange had taken the cancel."""
        rig = LaneRig(redis, max_attempts=1, confirm=True)
        rig.submit("b", orders(1))
        rig.claim()
        rig.advance(CLAIM_S)
        assert rig.claim().exhausted == ()
        assert rig.row("b").status == "accepted"
        rig.advance(0.1)
        assert rig.board.wake(9).users == ("u1",)
        rig.advance(SEND_AGAIN_AFTER_S)
        found = look(rig)
        rig.confirmations.write([seen_as(job, row) for job in found.jobs])
        assert (rig.row("b").status, rig.batches.state("b").complete) == (status, True)

    def test_the_deadline_of_the_batch_does_not_end_what_is_believed_off(self, rig: LaneRig) -> None:
        """Confirmation has a deadline of its own."""
        accepted(rig)
        rig.advance(901)
        assert rig.board.sweep() == []
        assert rig.row("b").status == "accepted"

    def test_a_later_batch_waits_for_the_same_look(self, rig: LaneRig) -> None:
        """One job, one look, both batches get the row."""
        accepted(rig)
        rig.submit("c", orders(1))
        rig.confirmations.write([seen_as(look(rig).jobs[0], FILLED)])
        assert (rig.row("b").status, rig.row("c").status) == ("filled", "filled")

    def test_without_confirmation_accepted_is_the_end(self, rig: LaneRig) -> None:
        """And such a job is not taken for one that waits."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0]),))
        rig.submit("c", orders(1))
        assert (rig.row("b").status, rig.row("c").status) == ("accepted", "queued")


class TestPushes:
    """What the exchange tells by itself."""

    def test_a_push_ends_the_job_at_once(self, rig: LaneRig) -> None:
        """Whatever place it is in: what is canceled need not be cancelled."""
        rig.submit("b", orders(3))
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
        told(rig, {"ordId": "1"}, {"ordId": "3"})
        assert [row.status for row in rig.batches.rows("b")] == ["canceled", "queued", "canceled"]
        assert rig.places()["ready"] == ["o2"]

    def test_a_push_may_be_faster_than_the_answer(self, rig: LaneRig) -> None:
        """The record then ends the job, with its own facts."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        told(rig, {"ordId": "1", "accFillSz": "3"}, state="filled")
        assert rig.row("b").status == "sending"
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone", "51400"),))
        row = rig.row("b")
        assert (row.status, row.sCode, row.accFillSz, row.attempts) == ("filled", "51400", "3", 1)
        assert row.first_sent_at is not None

    def test_a_push_beats_a_retry(self, rig: LaneRig) -> None:
        """The call failed, but the order is off the book."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        told(rig, {"ordId": "1"})
        rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 1.0),))
        assert rig.row("b").status == "canceled"

    @pytest.mark.parametrize(("ord_id", "status"), [("77", "canceled"), ("55", "accepted")])
    def test_a_client_ids_push_must_be_about_its_own_order(self, rig: LaneRig, ord_id: str, status: str) -> None:
        """The same client id may have named another order before."""
        rig.submit("b", [{"instId": "BTC-USDT", "clOrdId": "mine"}])
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], ord_id="77"),))
        told(rig, {"ordId": ord_id, "clOrdId": "mine"})
        assert rig.row("b").status == status

    @pytest.mark.parametrize(("ord_id", "status"), [("77", "canceled"), ("55", "accepted")])
    def test_so_must_one_that_was_faster(self, rig: LaneRig, ord_id: str, status: str) -> None:
        """The answer says whose order it is."""
        rig.submit("b", [{"instId": "BTC-USDT", "clOrdId": "mine"}])
        claim = rig.claim()
        told(rig, {"ordId": ord_id, "clOrdId": "mine"})
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], ord_id="77"),))
        assert rig.row("b").status == status

    def test_the_last_answer_says_whose_order_it_is(self, rig: LaneRig) -> None:
        """What an earlier attempt was told of a client id does not count any more."""
        rig.submit("b", [{"instId": "BTC-USDT", "clOrdId": "mine"}])
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], ord_id="77"),))
        rig.advance(SEND_AGAIN_AFTER_S)
        assert rig.confirmations.write([seen_open(look(rig).jobs[0])]).again == 1
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone", "51400"),))
        told(rig, {"ordId": "77", "clOrdId": "mine"})
        assert rig.row("b").status == "accepted"

    @pytest.mark.parametrize("max_attempts", [1, 3])
    @pytest.mark.parametrize("state", ["canceled", "filled"])
    def test_a_push_outlives_the_worker_that_sent_the_cancel(self, redis: Redis, max_attempts: int, state: str) -> None:
        """The claim ran out, be it the last one: what was told is how the order ended, and nothing goes again."""
        rig = LaneRig(redis, max_attempts=max_attempts)
        rig.submit("b", orders(1))
        rig.claim()
        told(rig, {"ordId": "1"}, state=state)
        rig.advance(CLAIM_S)
        claim = rig.claim()
        assert (claim.calls, claim.exhausted) == ((), ())
        assert (rig.row("b").status, rig.batches.state("b").complete) == (state, True)

    def test_a_deadline_does_not_undo_what_was_told(self, rig: LaneRig) -> None:
        """Neither at the claim nor in the sweep."""
        rig.submit("b", orders(1), deadline_s=2)
        claim = rig.claim()
        told(rig, {"ordId": "1"})
        rig.record(
            claim, slots="release", decided=(Decided(claim.calls[0].jobs, "return", "", "", "{}", counts=False),)
        )
        rig.advance(3)
        assert rig.board.sweep() == []
        assert rig.row("b").status == "canceled"

    def test_strangers_and_open_orders_change_nothing(self, rig: LaneRig) -> None:
        """Most pushes are not about us."""
        accepted(rig)
        told(rig, {"ordId": "1"}, {"ordId": "99"}, state="live")
        told(rig, {"ordId": "99"}, {"clOrdId": "x"}, {})
        told(rig, {"ordId": "1"}, state="a new word")
        assert rig.row("b").status == "accepted"


class TestMeters:
    """Slots of reading calls."""

    def take(self, rig: LaneRig, call: str) -> float:
        """How long to wait, in seconds."""
        meter = {"meter": "u1:pending", "call": call, "limit": 3, "window_us": 2_001_000}
        reply = rig.scripts.run("slot_take", {**meter, "open_us": 7_000_000, "blackout_us": 9_000_000})
        return float(reply["wait"]) / 1e6

    def settle(self, rig: LaneRig, call: str, slots: str = "settle") -> None:
        """What came of it."""
        rig.scripts.run("slot_settle", {"meter": "u1:pending", "call": call, "slots": slots, "window_us": 2_001_000})

    def test_no_more_slots_than_the_limit(self, rig: LaneRig) -> None:
        """The fourth waits for the first's answer and one window."""
        assert [self.take(rig, name) for name in "abc"] == [0, 0, 0]
        assert self.take(rig, "d") == pytest.approx(9.001)
        rig.advance(0.5)
        self.settle(rig, "a")
        assert self.take(rig, "d") == pytest.approx(2.001)
        rig.advance(2.001)
        assert self.take(rig, "d") == 0
        assert self.take(rig, "e") > 0

    def test_the_same_call_has_one_slot(self, rig: LaneRig) -> None:
        """A lost reply is asked again."""
        assert [self.take(rig, "a") for _ in range(5)] == [0] * 5
        assert [self.take(rig, name) for name in "bc"] == [0, 0]

    def test_a_released_slot_is_free_and_one_kept_is_not(self, rig: LaneRig) -> None:
        """Never sent, or perhaps still on its way."""
        for name in "abc":
            self.take(rig, name)
        self.settle(rig, "a", "release")
        self.settle(rig, "b", "keep")
        assert self.take(rig, "d") == 0
        assert self.take(rig, "e") == pytest.approx(9.001)

    def test_a_restarted_redis_grants_nothing_until_forgotten_slots_have_ended(self, rig: LaneRig) -> None:
        """As for cancels."""
        rig.restart_redis("b2")
        assert self.take(rig, "a") == pytest.approx(9.0)
        rig.advance(9)
        assert self.take(rig, "a") == 0
