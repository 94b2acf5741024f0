"""Does a job wait for the book's word, and end with nothing else? The verbs of confirmation on a real Redis."""

from typing import cast

import pytest
from redis import Redis

from bulk_cancel.tasks.asking import answered
from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.confirm.confirmations import Look
from bulk_cancel.worker.books.confirm.proof import FIRED, SEND_AGAIN_AFTER_S, Finding, seen_as, seen_open
from bulk_cancel.worker.books.mass.by_operator import call_off
from bulk_cancel.worker.config.users import algos_of
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.sources import as_order
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.state.claims import Claim, Decided
from bulk_cancel.worker.state.outcomes import Outcomes
from bulk_cancel.worker.state.statuses import Again
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

    def test_what_is_heard_is_left_to_the_channel_for_a_second(self, rig: LaneRig) -> None:
        """Each job by itself: one look must not read for those that were answered just now."""
        rig.redis.set(rig.keys.of("heard", "u1"), "1")
        rig.submit("b", orders(2))
        claim = rig.claim(permits=2)
        rig.record(claim, claim.calls[0], decided=(believed(claim.calls[0].jobs[0]),))
        rig.advance(0.9)
        assert (rig.board.wake(9).users, rig.confirmations.begin(rig.user)) == ((), None)
        rig.record(claim, claim.calls[1], decided=(believed(claim.calls[1].jobs[0]),))
        rig.advance(0.1)
        assert rig.board.wake(9).users == ("u1",)
        first = look(rig)
        assert [job.id for job in first.jobs] == [claim.calls[0].jobs[0].id]
        assert rig.confirmations.end(first, again_in_s=0.15) == 2

    def test_a_look_goes_on_when_the_channel_has_told_it_all(self, rig: LaneRig) -> None:
        """Its lease is renewed, though no job is old enough now."""
        accepted(rig)
        first, lease = look(rig), rig.keys.of("looking", "u1")
        rig.redis.set(rig.keys.of("heard", "u1"), "1")
        rig.redis.pexpire(lease, 4_000)
        rig.confirmations.renew(first)
        assert int(rig.redis.pttl(lease)) > 4_000

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
        assert 4_000 < before <= 8_000
        rig.redis.pexpire(rig.keys.of("looking", "u1"), 4_000)
        rig.confirmations.renew(begun)
        assert rig.redis.pttl(rig.keys.of("looking", "u1")) > 4_000
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

    def test_a_partly_filled_order_that_goes_again_is_none_until_it_ends(self, rig: LaneRig) -> None:
        """As is one that was never known."""
        accepted(rig)
        gone = Finding(look(rig).jobs[0], "end", "gone", filled="0.5", known=True)
        rig.confirmations.write([gone])
        assert rig.batches.state("b").partly_filled == 1
        assert rig.decisions.retry("b", Asked("ann"), statuses=[Again.GONE]).opened == 1
        assert rig.batches.state("b").partly_filled == 0

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
        assert rig.batches.state("b").partly_filled == ended.partly_filled
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
        assert rig.confirmations.write([seen_open(look(rig).jobs[0], OPEN)]).again == 1
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
            assert rig.confirmations.write([seen_open(begun.jobs[0], OPEN)]).again == 1
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
        rig.confirmations.write([seen_open(look(rig).jobs[0], OPEN)])
        (ended,) = rig.claim().exhausted
        assert ended.message == rig.row("b").sMsg == "deadline passed before it could be sent again"

    def test_an_order_still_open_after_its_last_attempt_is_exhausted(self, rig: LaneRig) -> None:
        """Its last cancel had no answer, and the book shows that it had no effect; told to whoever reports it."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "exhausted", "50004"),))
        rig.advance(3)
        written = rig.confirmations.write([seen_open(look(rig).jobs[0], OPEN)])
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


class TestKnown:
    """Whether the exchange ever knew an order that is gone: else its id may be a wrong one."""

    def looked(self, rig: LaneRig, *rows: dict[str, str]) -> None:
        """One look after another finds the order so."""
        for row in rows:
            begun = look(rig)
            findings = [seen_open(job, row) if row else seen_as(job, row) for job in begun.jobs]
            rig.confirmations.write(findings)
            rig.confirmations.end(begun, again_in_s=0)
            rig.advance(2)

    def known(self, rig: LaneRig) -> tuple[bool | None, int, str]:
        """In its row, how many of its batch were not, and in the stream."""
        assert rig.row("b").status == "gone"
        ((_, told),) = cast("list[tuple[str, dict[str, str]]]", rig.redis.xrange(rig.keys.of("outcomes")))
        return rig.row("b").known, rig.batches.state("b").never_known, told["known"]

    def test_an_order_that_was_unknown_from_the_first(self, rig: LaneRig) -> None:
        """Nothing to cancel, it was said, and nobody lists it."""
        accepted(rig, status="gone")
        self.looked(rig, {}, {})
        assert self.known(rig) == (False, 1, "0")
        assert rig.decisions.retry("b", Asked("ann"), statuses=[Again.GONE]).opened == 1
        assert rig.batches.state("b").never_known == 0
        assert "known" not in str(rig.redis.hget(rig.keys.of("rows", "b"), "u1/BTC-USDT/o1"))

    def test_one_whose_cancel_was_taken(self, rig: LaneRig) -> None:
        """The exchange has forgotten it since."""
        accepted(rig)
        self.looked(rig, {}, {})
        assert self.known(rig) == (True, 0, "1")

    def test_one_that_was_listed(self, rig: LaneRig) -> None:
        """Although there was nothing to cancel, as was said of it twice."""
        accepted(rig, status="gone")
        rig.advance(1)
        self.looked(rig, OPEN)
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone"),))
        self.looked(rig, {}, {})
        assert self.known(rig) == (True, 0, "1")

    def test_one_that_a_mass_cancel_found(self, rig: LaneRig) -> None:
        """It was listed, or it would not be in it."""
        rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "b"}))
        listing = rig.masses.begin("b", lease_s=7)
        assert listing
        rig.masses.admit(listing, [{"instId": "BTC-USDT", "ordId": "1"}])
        claim = rig.claim()
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "gone", "51400"),))
        assert self.known(rig) == (True, 0, "1")

    def test_others_say_nothing_of_it(self, rig: LaneRig) -> None:
        """How they ended says it."""
        accepted(rig)
        rig.confirmations.write([seen_as(look(rig).jobs[0], CANCELED)])
        assert (rig.row("b").known, rig.batches.state("b").never_known) == (None, 0)


class TestChildren:
    """What an algo order has placed that fired before its cancel came."""

    LANE = "u1:algo/BTC-USDT"

    def fired(self, rig: LaneRig) -> None:
        """The cancel of algo order 7 is answered, and the exchange tells what it has placed."""
        claim = rig.claim(lane=self.LANE)
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone", "51400"),))
        self.told_twice(rig)

    def told_twice(self, rig: LaneRig) -> None:
        """A worker may die in between, and another one is told the same."""
        found = rig.confirmations.begin(algos_of(rig.user))
        assert found
        row = as_order({"algoId": "7", "state": "effective", "ordIdList": "1,2", "subAlgoIdList": "8"})
        findings = [seen_as(found.jobs[0], row)]
        rig.confirmations._children.follow(findings)
        rig.confirmations.write(findings)
        rig.confirmations.end(found, again_in_s=0)

    def test_a_mass_cancel_has_found_them(self, rig: LaneRig) -> None:
        """They wait in their lanes when the fired one ends; one that has ended in between is left alone."""
        rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "b", "with": ["algos"], "until_flat_s": 1}))
        listing = rig.masses.begin("b", lease_s=7)
        assert listing
        rig.masses.admit(listing, [{"instId": "BTC-USDT", "ordId": "1"}])
        rig.masses.admit(listing, [{"instId": "BTC-USDT", "ordId": "7"}], holder="u1:algo")
        rig.end_proved()
        self.fired(rig)
        rows = {row.ordId or f"algo {row.algoId}": row for row in rig.batches.rows("b")}
        assert {name: row.status for name, row in rows.items()} == {
            "1": "canceled", "algo 7": "gone", "2": "queued", "algo 8": "queued"
        }  # fmt: skip
        assert (rows["algo 7"].known, rows["algo 7"].sMsg) == (True, f"{FIRED}: ordId 1, ordId 2, algoId 8")
        state = rig.batches.state("b")
        assert (state.size, state.waiting, state.sealed) == (4, 2, False)
        assert [job.id for call in rig.claim(9).calls for job in call.jobs] == ["u1/BTC-USDT/o2"]
        assert [job.id for call in rig.claim(9, self.LANE).calls for job in call.jobs] == ["u1:algo/BTC-USDT/o8"]

    def test_a_push_may_tell_of_them_before_the_answer_comes(self, rig: LaneRig) -> None:
        """They are cancelled at once; the answer ends the fired one, and its row names them."""
        rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "b", "with": ["algos"], "until_flat_s": 1}))
        listing = rig.masses.begin("b", lease_s=7)
        assert listing
        rig.masses.admit(listing, [{"instId": "BTC-USDT", "ordId": ident} for ident in "78"], holder="u1:algo")
        claim = rig.claim(lane=self.LANE)
        rows = [
            {"instId": "BTC-USDT", "algoId": ident, "state": "effective", "ordIdList": f"{ident}1"} for ident in "78"
        ]
        rig.confirmations.pushed("u1:algo", [*map(as_order, rows), as_order({**rows[0], "algoId": "9"})])
        found = {row.ordId or row.algoId: row.status for row in rig.batches.rows("b")}
        assert found == {"7": "sending", "8": "gone", "71": "queued", "81": "queued"}
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone", "51400"),))
        ended = {row.algoId: (row.status, row.children, row.known) for row in rig.batches.rows("b") if row.algoId}
        assert ended == {
            ident: ("gone", ({"instId": "BTC-USDT", "ordId": f"{ident}1"},), True) for ident in "78"
        }  # fmt: skip

    def test_one_that_two_of_them_name_is_found_once(self, rig: LaneRig) -> None:
        """Counted twice its end would leave the mass cancel waiting for ever; there may be thousands, too."""
        rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "b", "with": ["algos"], "until_flat_s": 1}))
        listing = rig.masses.begin("b", lease_s=7)
        assert listing
        rig.masses.admit(listing, [{"instId": "BTC-USDT", "ordId": ident} for ident in "78"], holder="u1:algo")
        shared = {"instId": "BTC-USDT", "state": "effective", "ordIdList": ",".join(map(str, range(100, 9100)))}
        rig.confirmations.pushed("u1:algo", [as_order({**shared, "algoId": ident}) for ident in "78"])
        state = rig.batches.state("b")
        assert (state.size, state.waiting, len([*rig.batches.rows("b")])) == (9002, 9000, 9002)

    def test_an_order_that_a_page_names_twice_is_found_once(self, rig: LaneRig) -> None:
        """The same holds of a listing."""
        rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "b"}))
        listing = rig.masses.begin("b", lease_s=7)
        assert listing
        rig.masses.admit(listing, [{"instId": "BTC-USDT", "ordId": "1"}] * 2)
        assert (rig.batches.state("b").size, rig.batches.state("b").waiting) == (1, 1)

    def test_one_that_a_push_told_of_is_known(self, rig: LaneRig) -> None:
        """Its id is no wrong one, though no cancel of it was taken."""
        rig.submit("b", [{"instId": "BTC-USDT", "algoId": "7"}])
        claim = rig.claim(lane=self.LANE)
        row = {"instId": "BTC-USDT", "algoId": "7", "state": "effective", "ordIdList": "71"}
        rig.confirmations.pushed("u1:algo", [as_order(row)])
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone", "51400"),))
        assert (rig.row("b").status, rig.row("b").known, rig.batches.state("b").never_known) == ("gone", True, 0)

    @pytest.mark.parametrize("over", [False, True])
    def test_who_handed_it_in_is_told_of_them(self, rig: LaneRig, over: bool) -> None:  # noqa: FBT001 (a case)
        """By the batch and by the stream, as rows that may be handed in; an ended mass cancel takes no more."""
        if over:
            rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "m"}))
            listing = rig.masses.begin("m", lease_s=7)
            assert listing
            rig.masses.admit(listing, [{"instId": "BTC-USDT", "ordId": "7"}], holder="u1:algo")
            call_off(rig.scripts, "m", by="ann", reason="")
        rig.submit("b", [{"instId": "BTC-USDT", "algoId": "7"}])
        self.fired(rig)
        children = (
            {"instId": "BTC-USDT", "ordId": "1"},
            {"instId": "BTC-USDT", "ordId": "2"},
            {"instId": "BTC-USDT", "algoId": "8"},
        )
        assert (rig.row("b").status, rig.row("b").children) == ("gone", children)
        outcome = answered(Outcomes(rig.redis, rig.keys).ask_since("0"))[-1]
        assert (outcome.algoId, outcome.children) == ("7", children)
        assert rig.claim().calls == ()
        assert not over or rig.batches.state("m").size == 1
        rig.decisions.retry("b", Asked("ann"), statuses=[Again.GONE])
        assert (rig.row("b").status, rig.row("b").children) == ("queued", ())
        assert rig.submit("again", children).new == 3


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

    def test_the_first_answer_says_whose_order_it_is(self, rig: LaneRig) -> None:
        """It is named by its ordId from then on, so another order of the client id is none of this job's."""
        rig.submit("b", [{"instId": "BTC-USDT", "clOrdId": "mine"}])
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], ord_id="77"),))
        rig.advance(SEND_AGAIN_AFTER_S)
        assert rig.confirmations.write([seen_open(look(rig).jobs[0], OPEN)]).again == 1
        claim = rig.claim()
        assert claim.calls[0].jobs[0].ref == OrderRef("BTC-USDT", "77")
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0], "gone", "51400"),))
        told(rig, {"ordId": "99", "clOrdId": "mine"})
        assert rig.row("b").status == "accepted"
        told(rig, {"ordId": "77", "clOrdId": "mine"})
        assert rig.row("b").status == "canceled"

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
