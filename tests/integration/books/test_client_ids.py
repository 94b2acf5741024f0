"""Is a client id that was used again never the death of the newer order? Verbs and looks, with a book of the test's."""

import json
from collections.abc import Callable

import pytest
from redis import Redis

from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.state.claims import Claim
from bulk_cancel.worker.state.statuses import Again
from tests.support.book_rig import CANCELED, OPEN, FakeBook, confirmer, look
from tests.support.lane_rig import TIMING, LaneRig, believed, finished, orders, retried, returned

CLIENT: list[dict[str, object]] = [{"instId": "BTC-USDT", "clOrdId": "x1"}]
ASKED = Asked("ann")
Failed = Callable[[LaneRig], None]


def sent(rig: LaneRig, batch: str = "b") -> Claim:
    """The client id was handed in, and is being sent."""
    rig.submit(batch, CLIENT)
    return rig.claim()


def unanswered(rig: LaneRig, batch: str = "b") -> None:
    """Its first cancel had no answer."""
    claim = sent(rig, batch)
    rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 0.0),), answered=False)


def ran_out(rig: LaneRig, batch: str = "b") -> None:
    """The worker that sent its first cancel died."""
    sent(rig, batch)
    rig.advance(TIMING.claim_us / 1e6)


def open_order(rig: LaneRig, ord_id: str, *, ago_s: float) -> dict[str, str]:
    """An open order of the client id, placed so long ago."""
    return OPEN | {"ordId": ord_id, "cTime": rig.placed(ago_s)}


def book_of(*rows: Row, order: Row | None = None) -> FakeBook:
    """What is listed, and what the exchange tells of the client id by itself."""
    book = FakeBook(lambda _: order or {})
    book.open = list(rows)
    return book


def sent_as(rig: LaneRig) -> list[str | None]:
    """The ordIds by which the jobs that are claimed now are sent; None: by their client id."""
    return [job.ref.ordId for call in rig.claim(permits=9).calls for job in call.jobs]


def test_a_first_cancel_asks_nobody(rig: LaneRig) -> None:
    """Nor does one that was given back unsent."""
    claim = sent(rig)
    rig.record(claim, slots="release", decided=(returned(claim.calls[0].jobs[0]),), answered=False)
    assert sent_as(rig) == [None]
    assert rig.board.wake(9).users == ()


@pytest.mark.parametrize("failed", [unanswered, ran_out])
class TestRepetition:
    """After a cancel of which nothing is known."""

    def test_the_order_that_is_meant_goes_again_by_its_ordid(self, rig: LaneRig, failed: Failed) -> None:
        """From then on, without being looked for again."""
        failed(rig)
        assert sent_as(rig) == []
        assert (rig.row("b").status, rig.board.wake(9).users) == ("retrying", ("u1",))
        look(rig, book_of(open_order(rig, "7", ago_s=60)))
        for attempts in (2, 3):
            claim = rig.claim()
            (job,) = claim.calls[0].jobs
            assert (job.ref.ordId, job.ref.clOrdId, job.attempts) == ("7", None, attempts)
            rig.record(claim, decided=(retried(job, 0.0),), answered=False)

    @pytest.mark.parametrize("state", ["live", "partially_filled", "canceled", "filled"])
    def test_a_newer_order_is_not_touched(self, rig: LaneRig, failed: Failed, state: str) -> None:
        """Listed, or told by itself; it says that the one that is meant is off the book."""
        failed(rig)
        assert sent_as(rig) == []
        newer = open_order(rig, "8", ago_s=-0.01) | {"state": state}
        look(rig, book_of(newer) if state == "live" else book_of(order=newer))
        assert sent_as(rig) == []
        row = rig.row("b")
        assert (row.status, rig.batches.state("b").complete) == ("gone", True)
        assert "order 8" in (row.sMsg or "")

    def test_the_order_that_is_meant_has_ended(self, rig: LaneRig, failed: Failed) -> None:
        """Its cancel was taken after all; one that had ended before may be an older one, until two seconds are over."""
        failed(rig)
        assert sent_as(rig) == []
        rig.advance(0.9)
        ended = open_order(rig, "7", ago_s=60) | CANCELED
        look(rig, book_of(order=ended | {"uTime": rig.placed(50)}))
        assert (rig.row("b").status, sent_as(rig)) == ("retrying", [])
        look(rig, book_of(order=ended | {"uTime": rig.placed(0.5)}))
        assert (rig.row("b").status, sent_as(rig)) == ("canceled", [])

    def test_nothing_is_sent_while_the_book_is_silent(self, rig: LaneRig, failed: Failed) -> None:
        """In the end the order may be live."""
        failed(rig)
        assert sent_as(rig) == []
        book = book_of()
        book.down = True
        looks = confirmer(rig, book, deadline_s=-1)
        look(rig, book, looks)
        assert sent_as(rig) == []
        assert rig.row("b").status == "exhausted"
        assert "not known" in (rig.row("b").sMsg or "")

    def test_whoever_hands_it_in_meanwhile_has_his_own_order(self, rig: LaneRig, failed: Failed) -> None:
        """The book says which: the first one's is off it, the second one's is cancelled by its ordId."""
        failed(rig)
        rig.advance(1)
        rig.submit("c", CLIENT)
        assert sent_as(rig) == []
        newer = open_order(rig, "8", ago_s=0.5)
        look(rig, book_of(newer))
        assert (rig.row("b").status, rig.row("c").status) == ("gone", "queued")
        assert sent_as(rig) == []
        look(rig, book_of(newer))
        assert sent_as(rig) == ["8"]

    def test_an_order_placed_after_all_hand_ins_is_nobodys(self, rig: LaneRig, failed: Failed) -> None:
        """Although the second one was never sent."""
        failed(rig)
        rig.submit("c", CLIENT)
        rig.advance(1)
        newer = open_order(rig, "8", ago_s=0.5)
        for _ in range(2):
            assert sent_as(rig) == []
            look(rig, book_of(newer))
        assert sent_as(rig) == []
        assert (rig.row("b").status, rig.row("c").status) == ("gone", "gone")


def test_a_late_answer_is_taken(rig: LaneRig) -> None:
    """While it is being asked for."""
    rig.submit("b", CLIENT)
    claim = rig.claim()
    rig.advance(TIMING.claim_us / 1e6)
    assert sent_as(rig) == []
    rig.record(claim, decided=(believed(claim.calls[0].jobs[0], ord_id="7"),))
    assert rig.row("b").status == "accepted"
    look(rig, book_of(open_order(rig, "8", ago_s=-9), order=CANCELED | {"ordId": "7"}))
    assert rig.row("b").status == "canceled"


@pytest.mark.parametrize("status", ["accepted", "gone"])
def test_what_was_answered_without_an_ordid_is_no_newer_order(rig: LaneRig, status: str) -> None:
    """Whether the exchange took the cancel or had nothing to cancel: the listing shows another order."""
    claim = sent(rig)
    rig.record(claim, decided=(believed(claim.calls[0].jobs[0], status),))
    rig.advance(60)
    look(rig, book_of(open_order(rig, "8", ago_s=59)))
    assert (rig.row("b").status, sent_as(rig)) == ("gone", [])


def test_a_slow_redis_clock_is_allowed_for(rig: LaneRig) -> None:
    """An order that may have been placed just before is not touched, and may be live."""
    unanswered(rig)
    rig.advance(600)
    assert sent_as(rig) == []
    look(rig, book_of(open_order(rig, "8", ago_s=599.9)))
    assert (rig.row("b").status, sent_as(rig)) == ("exhausted", [])


def test_what_operators_let_go_again_is_what_was_handed_in(redis: Redis) -> None:
    """Hours later, the client id may name another order: it is asked for, and not touched."""
    rig = LaneRig(redis, max_attempts=1)
    for batch in "bc":
        ran_out(rig, batch)
        assert [each.batches for each in rig.claim().exhausted] == [(batch,)]
        rig.advance(60)
    rig.advance(3600)
    before = open_order(rig, "7", ago_s=3790)
    assert rig.decisions.retry("b", ASKED).opened == 1
    assert sent_as(rig) == []
    look(rig, book_of(open_order(rig, "8", ago_s=3700)))
    assert rig.row("b").status == "gone"
    assert rig.decisions.retry("c", ASKED).opened == 1
    assert sent_as(rig) == []
    look(rig, book_of(before))
    assert sent_as(rig) == ["7"]


def test_an_order_that_was_known_by_its_ordid_goes_again_by_it(redis: Redis) -> None:
    """Without being asked for: the row has kept which order it was."""
    rig = LaneRig(redis, max_attempts=2)
    unanswered(rig)
    assert sent_as(rig) == []
    look(rig, book_of(open_order(rig, "7", ago_s=60)))
    claim = rig.claim()
    rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "exhausted", ""),))
    assert rig.decisions.retry("b", ASKED, statuses=[Again.EXHAUSTED]).opened == 1
    assert sent_as(rig) == ["7"]


@pytest.mark.parametrize(("ago_s", "status"), [(3, "gone"), (70, "queued")])
def test_a_job_of_version_1_0_was_handed_in_before_it_was_sent(rig: LaneRig, ago_s: float, status: str) -> None:
    """It did not keep when."""
    unanswered(rig)
    key = rig.keys.of("job", "u1/BTC-USDT/cx1")
    place, _, text = str(rig.redis.get(key)).partition(" ")
    fields = json.loads(text)
    del fields["asked"]
    rig.redis.set(key, f"{place} {json.dumps(fields)}")
    rig.advance(60)
    assert sent_as(rig) == []
    look(rig, book_of(open_order(rig, "8", ago_s=ago_s)))
    assert rig.row("b").status == status


def test_orders_named_by_their_ordid_go_again_unasked(rig: LaneRig) -> None:
    """An ordId names one order for ever."""
    rig.submit("b", orders(1))
    claim = rig.claim()
    rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 0.0),), answered=False)
    assert sent_as(rig) == ["1"]
