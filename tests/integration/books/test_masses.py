"""Do the verbs of a mass cancel keep their promises on a real Redis, whoever dies or comes twice?"""

import pytest
from redis import Redis

from bulk_cancel.tasks.errors import AdmissionError, BatchConflictError, UnknownAccountError
from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.flat import Seen, Verdict
from bulk_cancel.worker.books.mass.masses import Listing, MassEnded, UnknownMassError
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.operators.decisions import Asked
from tests.support.lane_rig import LaneRig, finished, orders

LEASE_S = 7.0
RUNNING = Verdict("running", None, None, 0.5)


def take(rig: LaneRig, batch_id: str = "m", **asked: object) -> Mass:
    """A mass cancel of account a1."""
    (mass,) = rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": batch_id, **asked}))
    return mass


def begin(rig: LaneRig, batch_id: str = "m") -> Listing:
    """A listing that is ours."""
    listing = rig.masses.begin(batch_id, lease_s=LEASE_S)
    assert listing is not None
    return listing


def seen(rig: LaneRig, matching: int = 0) -> Seen:
    """What a listing found that began now."""
    return Seen(rig.us, rig.us, matching, 1, {"side is not buy": 2})


def find(rig: LaneRig, listing: Listing, count: int, *, first: int = 1) -> None:
    """A page with so many open orders of BTC-USDT."""
    rig.masses.admit(
        listing, [{"instId": "BTC-USDT", "ordId": str(first + n), "clOrdId": f"c{n}"} for n in range(count)]
    )


def end_all(rig: LaneRig, status: str) -> None:
    """Whatever waits is sent and ends so."""
    for call in (claim := rig.claim(permits=60)).calls:
        rig.record(claim, call, decided=tuple(finished(job, status) for job in call.jobs))


class TestTaking:
    """What is asked for."""

    def test_it_is_due_at_once(self, rig: LaneRig) -> None:
        """And postponed for whoever else asks."""
        mass = take(rig, side="buy", until_flat_s=2, reason="why", requested_by="ann")
        assert (mass.state, mass.uid, mass.scope.asked, mass.until_flat_s) == ("running", "u1", {"side": "buy"}, 2)
        assert rig.board.wake(9).masses == ("m",)
        assert rig.board.wake(9).masses == ()
        rig.advance(1)
        assert rig.board.wake(9).masses == ("m",)

    def test_the_same_again_changes_nothing(self, rig: LaneRig) -> None:
        """Its time runs from when it was first asked for, and one decision is told."""
        first = take(rig, side="buy")
        rig.advance(5)
        assert take(rig, side="buy", reason="other words") == first
        assert [decision.event for decision in rig.audit.read()] == ["cancel_all"]

    @pytest.mark.parametrize("other", [{}, {"side": "sell"}, {"side": "buy", "until_flat_s": 1}])
    def test_another_scope_under_the_same_id_is_refused(self, rig: LaneRig, other: dict[str, object]) -> None:
        """And so are orders, and a mass cancel under the id of orders."""
        take(rig, side="buy")
        with pytest.raises(BatchConflictError, match="another scope"):
            take(rig, "m", **other)
        with pytest.raises(BatchConflictError):
            rig.submit("m", orders(1))
        rig.submit("b", orders(1))
        with pytest.raises(BatchConflictError):
            take(rig, "b")
        assert rig.batches.state("m").size == 0

    def test_what_cannot_be_done_is_not_taken(self, rig: LaneRig) -> None:
        """An account that nobody knows, time that cannot pass, a name that is too long."""
        with pytest.raises(UnknownAccountError):
            rig.masses.take(parse_cancel_all({"account": "nobody"}))
        with pytest.raises(AdmissionError, match="does not fit into the deadline"):
            take(rig, until_flat_s=60, deadline_s=60)
        with pytest.raises(AdmissionError, match="longer than 128"):
            rig.masses.take(parse_cancel_all({"account": "*", "batch_id": "x" * 127}))
        with pytest.raises(UnknownMassError):
            rig.masses.state("m")


class TestListing:
    """Who lists, and what a listing writes."""

    def test_one_lists_at_a_time(self, rig: LaneRig) -> None:
        """Until the lease lapses, which each page renews; then the other's word does not count any more."""
        take(rig)
        first = begin(rig)
        assert rig.masses.begin("m", lease_s=LEASE_S) is None
        renewed = rig.masses.go_on(first, lease_s=LEASE_S)
        assert renewed.id == first.id
        rig.redis.delete(rig.keys.of("listing", "m"))  # its time runs on the server's own clock
        second = begin(rig)
        for late in (
            lambda: rig.masses.go_on(first, lease_s=LEASE_S),
            lambda: rig.masses.end(first, seen(rig), RUNNING),
        ):
            with pytest.raises(MassEnded):
                late()
        rig.masses.end(second, seen(rig), RUNNING)
        assert rig.masses.state("m").listings == 1

    def test_a_dead_worker_s_listing_is_taken_up(self, rig: LaneRig) -> None:
        """As soon as its lease has lapsed."""
        take(rig)
        rig.board.wake(9)
        begin(rig)
        rig.advance(LEASE_S - 0.001)
        assert rig.board.wake(9).masses == ()
        rig.advance(0.001)
        assert rig.board.wake(9).masses == ("m",)

    def test_the_next_listing_is_due_when_it_was_said(self, rig: LaneRig) -> None:
        """With what the last one saw."""
        take(rig)
        rig.masses.end(begin(rig), seen(rig, matching=3), RUNNING)
        rig.advance(0.499)
        assert rig.board.wake(9).masses == ()
        rig.advance(0.001)
        assert rig.board.wake(9).masses == ("m",)
        mass = rig.masses.state("m")
        assert (mass.matching, mass.left_out, mass.calls) == (3, {"side is not buy": 2}, 1)

    def test_a_failed_listing_begins_the_count_anew(self, rig: LaneRig) -> None:
        """Nobody saw whether the scope stayed empty; one that is handed back changes nothing."""
        take(rig, until_flat_s=3)
        rig.masses.end(begin(rig), seen(rig), Verdict("running", rig.us, rig.us, 0.2))
        rig.masses.hand_back(begin(rig), again_in_s=0)
        assert rig.masses.state("m").flat_at is not None
        rig.masses.interrupt(begin(rig), "HTTP 503", again_in_s=1)
        mass = rig.masses.state("m")
        assert (mass.flat_at, mass.flat_since_us, mass.trouble) == (None, None, "HTTP 503")

    def test_the_end_seals_the_batch(self, rig: LaneRig) -> None:
        """It is complete once nothing waits; nothing more is listed or taken."""
        take(rig)
        listing = begin(rig)
        find(rig, listing, 2)
        rig.masses.end(listing, seen(rig, matching=2), Verdict("done", None, None))
        state = rig.batches.state("m")
        assert (state.size, state.waiting, state.sealed, state.complete) == (2, 2, True, False)
        end_all(rig, "canceled")
        assert rig.batches.state("m").complete
        assert rig.masses.begin("m", lease_s=LEASE_S) is None
        with pytest.raises(MassEnded):
            find(rig, listing, 1, first=9)
        rig.advance(100)
        assert rig.board.wake(9).masses == ()
        assert 0 < rig.redis.ttl(rig.keys.of("mass", "m")) <= 600

    def test_it_outlives_its_retention_while_it_runs(self, redis: Redis) -> None:
        """Nothing waits between two listings, and an order may be opened at any time."""
        rig = LaneRig(redis, retention_s=2)
        take(rig, until_flat_s=100, deadline_s=900)
        find(rig, begin(rig), 1)
        end_all(rig, "canceled")
        assert [redis.ttl(rig.keys.of(name, "m")) for name in ("batch", "rows", "mass")] == [-1, -1, -1]
        listing = _again(rig)
        find(rig, listing, 1, first=2)
        end_all(rig, "canceled")
        rig.masses.give_up(listing, "not read")
        assert rig.batches.state("m").counts == {"canceled": 2}
        assert all(0 < redis.ttl(rig.keys.of(name, "m")) <= 2 for name in ("batch", "rows", "mass"))

    def test_it_ends_even_if_somebody_deleted_its_batch(self, rig: LaneRig) -> None:
        """Nothing is made of the batch anew; what is known of the mass cancel is kept for a day."""
        take(rig)
        listing = begin(rig)
        rig.redis.delete(rig.keys.of("batch", "m"))
        rig.masses.give_up(listing, "not read")
        assert (rig.masses.state("m").state, rig.redis.exists(rig.keys.of("batch", "m"))) == ("not read", 0)
        assert 0 < rig.redis.ttl(rig.keys.of("mass", "m")) <= 86_400


class TestFinding:
    """Open orders that a listing hands in."""

    def test_the_batch_grows(self, rig: LaneRig) -> None:
        """Each order once, in the order in which it was found, urgent unless somebody says otherwise."""
        take(rig)
        find(rig, begin(rig), 3)
        listing = rig.masses.go_on(_again(rig), lease_s=LEASE_S)
        find(rig, listing, 5)
        assert [(row.ordId, row.clOrdId) for row in rig.batches.rows("m")] == [
            (str(n), f"c{n - 1}") for n in range(1, 6)
        ]
        assert rig.batches.state("m").size == 5
        assert rig.board.wake(9).lanes == ("u1/BTC-USDT",)
        assert rig.redis.zcard(rig.keys.of("urgent")) == 1

    def test_its_deadline_is_that_of_the_whole(self, rig: LaneRig) -> None:
        """Not one of its own for each listing."""
        take(rig, deadline_s=60)
        rig.advance(59)
        find(rig, begin(rig), 1)
        rig.advance(1)
        rig.board.sweep()
        assert rig.batches.state("m").counts == {"exhausted": 1}

    def test_an_order_that_another_batch_cancels_is_joined(self, rig: LaneRig) -> None:
        """One send for both."""
        rig.submit("b", orders(1))
        take(rig)
        find(rig, begin(rig), 1)
        end_all(rig, "canceled")
        assert rig.batches.state("b").counts == rig.batches.state("m").counts == {"canceled": 1}

    @pytest.mark.parametrize("status", ["canceled", "filled", "gone", "exhausted", "accepted"])
    def test_what_ended_and_is_seen_open_later_goes_again(self, rig: LaneRig, status: str) -> None:
        """Whatever it was said to be: with its history, as a new generation."""
        take(rig)
        find(rig, begin(rig), 1)
        end_all(rig, status)
        rig.advance(1)
        find(rig, _again(rig), 1)
        assert rig.batches.state("m").waiting == 1
        assert rig.batches.state("m").counts == {}
        assert len(rig.row("m").log) == 1
        end_all(rig, "canceled")
        assert rig.batches.state("m").counts == {"canceled": 1}
        assert len(rig.row("m").log) == 2

    @pytest.mark.parametrize("status", ["canceled", "exhausted"])
    def test_what_ended_after_the_page_was_asked_for_stays(self, rig: LaneRig, status: str) -> None:
        """The page shows how it was before."""
        take(rig)
        listing = begin(rig)
        find(rig, listing, 1)
        rig.advance(1)
        end_all(rig, status)
        find(rig, listing, 1)
        assert rig.batches.state("m").counts == {status: 1}

    def test_what_the_exchange_rejects_is_asked_for_once(self, rig: LaneRig) -> None:
        """It would refuse it again."""
        take(rig)
        find(rig, begin(rig), 1)
        end_all(rig, "rejected")
        rig.advance(1)
        find(rig, _again(rig), 1)
        assert rig.batches.state("m").counts == {"rejected": 1}

    def test_what_another_batch_had_off_the_book_is_not_believed_if_it_is_seen(self, rig: LaneRig) -> None:
        """Memory is older than the page; one that is younger is believed."""
        rig.submit("b", orders(2))
        end_all(rig, "canceled")
        take(rig)
        rig.advance(1)
        find(rig, begin(rig), 1)
        assert rig.batches.state("m").waiting == 1
        take(rig, "later")
        listing = begin(rig, "later")
        rig.advance(1)
        rig.submit("c", orders(1, first=3))
        end_all(rig, "canceled")
        find(rig, listing, 1, first=3)
        assert rig.batches.state("later").counts == {"canceled": 1}


class TestCallingOff:
    """An operator ends it."""

    def test_nothing_more_is_found(self, rig: LaneRig) -> None:
        """What was not sent is withdrawn, who did it is told; the listing that is on cannot go on."""
        take(rig)
        listing = begin(rig)
        find(rig, listing, 2)
        done = rig.decisions.withdraw("m", Asked("ann", "wrong account"))
        assert done.withdrawn == 2
        assert (rig.masses.state("m").state, rig.batches.state("m").complete) == ("withdrawn", True)
        with pytest.raises(MassEnded):
            find(rig, listing, 1, first=7)
        told = [(decision.event, decision.by, decision.reason) for decision in rig.audit.read()]
        assert told[1:] == [("called_off", "ann", "wrong account"), ("withdraw", "ann", "wrong account")]


def _again(rig: LaneRig) -> Listing:
    """The next listing, now."""
    rig.redis.delete(rig.keys.of("listing", "m"))
    return begin(rig)
