"""Do the verbs of a mass cancel keep their promises on a real Redis, whoever dies or comes twice?"""

import json
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import AdmissionError, BatchConflictError, UnknownAccountError, UnknownMassError
from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.alerts.conditions import not_flat
from bulk_cancel.worker.alerts.mass_news import tell_of_masses
from bulk_cancel.worker.books.able import Able, Survey
from bulk_cancel.worker.books.mass.flat import Seen, Verdict, judge
from bulk_cancel.worker.books.mass.masses import Listing, MassEnded
from bulk_cancel.worker.books.mass.opened import ToldOrders
from bulk_cancel.worker.books.mass.report import report_json
from bulk_cancel.worker.books.mass.state import NOT_LISTED, Mass
from bulk_cancel.worker.books.mass.told import KEPT_S, Told
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.holds import NotOnHoldError, of_holds, release
from bulk_cancel.worker.operators.reports import read_report
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.times import time_of
from tests.support.lane_rig import LaneRig, believed, finished, orders
from tests.support.waiting import PATIENCE_S

LEASE_S = 7.0
RUNNING = Verdict("running", None, None, 0.5)


def take(rig: LaneRig, batch_id: str = "m", **asked: object) -> Mass:
    """A mass cancel of account a1."""
    (mass,) = rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": batch_id, **asked}))
    return mass


def know_second_account(rig: LaneRig) -> None:
    """Account a2 of user u2, published by a worker."""
    rig.store.directory.publish(rig.scripts)
    accounts = rig.keys.of("accounts")
    fields = json.loads(str(rig.redis.hget(accounts, "a1")))
    rig.redis.hset(accounts, "a2", json.dumps({**fields, "name": "a2", "uid": "u2"}))


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


def news(rig: LaneRig) -> set[str]:
    """What workers are to tell."""
    return {*rig.redis.zrange(rig.keys.of("mass_news"), 0, -1)}


def end_all(rig: LaneRig, status: str) -> None:
    """Whatever waits is sent and ends so."""
    for call in (claim := rig.claim(permits=60)).calls:
        rig.record(claim, call, decided=tuple(finished(job, status) for job in call.jobs))


def completed(rig: LaneRig, ago_s: float) -> BatchState:
    """The batch as if it was completed so long ago by Redis's own clock, which is not the rig's."""
    seconds, micros = rig.redis.time()
    return replace(rig.batches.state("m"), completed_at=time_of(seconds * 1_000_000 + micros - round(ago_s * 1e6)))


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

    def test_given_again_as_urgent_it_is_urgent(self, rig: LaneRig) -> None:
        """So is what was found before, once it is listed again."""
        take(rig, urgent=False)
        find(rig, begin(rig), 2)
        assert take(rig, urgent=True).urgent
        find(rig, _again(rig), 2)
        assert rig.redis.zcard(rig.keys.of("urgent")) == 1

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

    def test_of_all_accounts_one_id_that_is_known_lets_none_begin(self, rig: LaneRig) -> None:
        """As a whole or not at all: who is refused has nothing that runs."""
        know_second_account(rig)
        rig.submit("m-a2", orders(1))
        with pytest.raises(BatchConflictError, match=r"'m-a2' is known .* choose another batch_id$"):
            take(rig, account="*")
        assert rig.masses.running() == []
        assert [decision.event for decision in rig.audit.read()] == ["submitted"]

    def test_what_was_taken_before_an_id_was_lost_is_told(self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another producer takes it after the look: the refusal names what runs."""
        know_second_account(rig)
        look = rig.batches.ask_digests

        def then_lost(ids: Sequence[str]) -> Asking[dict[str, str]]:
            known = yield from look(ids)
            rig.submit("m-a2", orders(1))
            return known

        monkeypatch.setattr(rig.batches, "ask_digests", then_lost)
        with pytest.raises(BatchConflictError, match=r"'m-a2' is known .*\. Taken, and going on: 'm-a1'$"):
            take(rig, account="*")
        assert [mass.batch_id for mass in rig.masses.running()] == ["m-a1"]

    def test_what_version_1_0_cannot_read_is_kept_from_it(self, rig: LaneRig) -> None:
        """It looks at one board, takes what is due there and would only stop others from listing."""
        take(rig, "old", side="buy")
        take(rig, "new", clOrdId_prefix="mm3")
        assert rig.redis.zrange(rig.keys.of("masses"), 0, -1) == ["old"]
        assert sorted(rig.board.wake(9).masses) == ["new", "old"]
        assert sorted(mass.batch_id for mass in rig.masses.running()) == ["new", "old"]
        begin(rig, "new")
        assert rig.redis.zrange(rig.keys.of("masses"), 0, -1) == ["old"]
        rig.decisions.withdraw("new", Asked("ann"))
        assert rig.redis.zcard(rig.keys.of("newer_masses")) == 0

    def test_one_that_1_0_ended_is_due_no_more(self, rig: LaneRig) -> None:
        """It ends a mass cancel that an operator takes back, but does not know of the other board."""
        take(rig, clOrdId_prefix="mm3")
        rig.redis.hset(rig.keys.of("mass", "m"), "state", "withdrawn")
        assert rig.masses.begin("m", lease_s=LEASE_S) is None
        assert rig.redis.zcard(rig.keys.of("newer_masses")) == 0

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


class TestOtherWitnesses:
    """What else than a listing says whether orders are open."""

    def test_what_was_told_of_is_kept_for_those_who_want_it(self, rig: LaneRig) -> None:
        """As of when, for a few seconds; of users with a mass cancel that runs."""
        told = ToldOrders(rig.store)
        assert (told.wanted(), told.read("u1")) == (set(), None)
        take(rig, "old")
        take(rig, "new", hold=True)
        assert told.wanted() == {"u1"}
        told.write("u1", [b'{"ordId":"1"}'])
        assert told.read("u1") is None, "told of by a channel that is not heard: it may have ended since"
        rig.redis.set(rig.keys.of("heard", "u1"), "1")
        told.write("u1", [b'{"ordId":"1"}', b'{"ordId":"2"}'])
        rig.advance(1)
        told.write("u1", [b'{"ordId":"2"}'])
        assert told.read("u1") == Told(rig.us, ({"ordId": "2"},))
        assert 0 < rig.redis.pttl(rig.keys.of("opened", "u1")) <= KEPT_S * 1000

    def test_a_listing_knows_how_many_orders_have_no_end_yet(self, rig: LaneRig) -> None:
        """Of those that it found."""
        take(rig)
        listing = begin(rig)
        assert listing.waiting == 0
        find(rig, listing, 2)
        assert rig.masses.go_on(listing, lease_s=LEASE_S).waiting == 2
        end_all(rig, "canceled")
        assert rig.masses.go_on(listing, lease_s=LEASE_S).waiting == 0


class TestHold:
    """One that goes on until an operator lets go."""

    def test_version_1_0_is_not_given_it(self, rig: LaneRig) -> None:
        """It would end it at its deadline, or with its first listing."""
        mass = take(rig, hold=True, reason="why")
        assert (mass.hold, mass.flat, mass.state) == (True, False, "running")
        assert rig.redis.zcard(rig.keys.of("masses")) == 0
        assert rig.redis.zrange(rig.keys.of("newer_masses"), 0, -1) == ["m"]
        assert [decision.facts.get("hold") for decision in rig.audit.read()] == [True]
        with pytest.raises(BatchConflictError, match="another scope"):
            take(rig)

    def test_each_order_has_its_own_time(self, rig: LaneRig) -> None:
        """From when it was found, long after the hold began; the earliest one is looked at first."""
        take(rig, hold=True, deadline_s=60)
        listing = begin(rig)
        for first in (1, 2):
            rig.advance(50)
            find(rig, rig.masses.go_on(listing, lease_s=LEASE_S), 1, first=first)
        rig.advance(20)
        assert [ended.job for ended in rig.board.sweep()] == ["u1/BTC-USDT/o1"]
        rig.advance(50)
        assert [ended.job for ended in rig.board.sweep()] == ["u1/BTC-USDT/o2"]
        rig.advance(1)
        find(rig, rig.masses.go_on(listing, lease_s=LEASE_S), 2)
        assert rig.batches.state("m").waiting == 2

    def test_a_row_whose_job_is_lost_ends_after_its_own_time(self, rig: LaneRig) -> None:
        """Though others come all the while."""
        take(rig, hold=True, deadline_s=60)
        listing = begin(rig)
        find(rig, listing, 1)
        rig.redis.delete(rig.keys.of("job", "u1/BTC-USDT/o1"))
        for first in (2, 3):
            rig.advance(31)
            find(rig, rig.masses.go_on(listing, lease_s=LEASE_S), 1, first=first)
            rig.board.sweep()
            ended = rig.batches.state("m").counts
            assert ended == ({} if first == 2 else {"exhausted": 1})

    def test_it_is_flat_as_long_as_it_is_known_to_be(self, rig: LaneRig) -> None:
        """A listing that fails says nothing; the hold goes on."""
        take(rig, hold=True)
        flat = Verdict("running", rig.us, rig.us, 0.2, flat=True)
        rig.masses.end(begin(rig), seen(rig), flat)
        assert rig.masses.state("m").flat
        rig.masses.interrupt(begin(rig), "no answer", again_in_s=0.5)
        assert not rig.masses.state("m").flat
        rig.masses.end(begin(rig), seen(rig), flat)
        rig.masses.end(begin(rig), seen(rig, 1), RUNNING)
        assert not rig.masses.state("m").flat
        assert not rig.masses.state("m").ended

    def test_what_else_can_place_orders_is_looked_at_while_it_is_flat(self, rig: LaneRig) -> None:
        """Beside the listings, again after a while, and once more after its release, however late that is."""
        take(rig, hold=True, deadline_s=60)
        rig.masses.end(begin(rig), seen(rig, 1), RUNNING)
        rig.advance(10)
        rig.board.wake(9)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        rig.masses.end(begin(rig), seen(rig), Verdict("running", rig.us, rig.us, 0.2, flat=True))
        assert rig.board.wake(9).surveys == ("m",)
        begin(rig)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is not None
        rig.masses.survey_end("m", "s", Survey())
        assert rig.masses.state("m").survey == Survey()
        rig.advance(29)
        assert rig.board.wake(9).surveys == ()
        rig.advance(1)
        assert rig.board.wake(9).surveys == ("m",)
        rig.advance(3600)
        release(rig.store, "m", Asked("ann"))
        assert rig.masses.state("m").survey is None
        assert rig.board.wake(9).surveys == ("m",)
        assert rig.masses.survey_begin("m", "t", lease_s=LEASE_S) is not None
        rig.masses.survey_end("m", "t", Survey())
        rig.advance(60)
        assert rig.board.wake(9).surveys == ()

    def test_what_is_told_of_it(self, rig: LaneRig) -> None:
        """That it is flat, once, whatever fails in between; that it is so no more; that it was not in time; its end."""
        since = rig.us

        def after(verdict: Verdict, matching: int = 0) -> set[str]:
            rig.redis.delete(rig.keys.of("mass_news"))
            rig.masses.end(begin(rig), seen(rig, matching), verdict)
            return news(rig)

        def pressing() -> list[str]:
            return [found.state for found in not_flat(rig.redis, rig.keys)]

        flat, empty = Verdict("running", since, since, 0.2, flat=True), Verdict("running", since, since, 0.2)
        take(rig, hold=True, deadline_s=60)
        assert news(rig) == {"mass_cancel_began m"}
        assert [after(RUNNING, 2), after(empty)] == [set(), set()]
        assert [after(flat), after(flat)] == [{"mass_cancel_flat m"}, set()]
        rig.masses.interrupt(begin(rig), "no answer", again_in_s=0.5)
        rig.advance(61)
        assert [after(empty), after(flat), after(RUNNING, 1)] == [set(), set(), {"mass_cancel_not_flat m"}]
        assert pressing() == ["running"]
        assert [after(RUNNING, 1), after(flat)] == [set(), {"mass_cancel_flat m"}]
        assert pressing() == []
        rig.redis.delete(rig.keys.of("mass_news"))
        release(rig.store, "m", Asked("ann"))
        assert news(rig) == {"mass_cancel_released m"}

    def test_one_that_cannot_be_listed_any_more_is_told_of(self, rig: LaneRig) -> None:
        """Whether orders came meanwhile is not known; one listing that fails is no news."""
        flat = Verdict("running", rig.us, rig.us, 0.2, flat=True)
        take(rig, hold=True, deadline_s=60)
        rig.masses.end(begin(rig), seen(rig), flat)
        for passed, told in ((0, False), (4, False), (2, True), (9, True)):
            rig.advance(passed)
            rig.masses.interrupt(begin(rig), "no answer", again_in_s=0.5)
            assert ("mass_cancel_not_flat m" in news(rig)) is told
        assert [found.why for found in not_flat(rig.redis, rig.keys)] == ["no answer"]
        rig.redis.delete(rig.keys.of("mass_news"))
        rig.masses.end(begin(rig), seen(rig), flat)
        assert news(rig) == {"mass_cancel_flat m"}
        assert not_flat(rig.redis, rig.keys) == []

    def test_that_it_was_listed_completely_in_between_counts(self, rig: LaneRig) -> None:
        """Two listings that fail are not a row of them."""
        flat = Verdict("running", rig.us, rig.us, 0.2, flat=True)
        take(rig, hold=True, deadline_s=60)
        for _ in range(3):
            rig.masses.end(begin(rig), seen(rig), flat)
            rig.advance(3)
            rig.masses.hand_back(begin(rig), again_in_s=0)
            rig.advance(1)
        assert news(rig) == {"mass_cancel_began m", "mass_cancel_flat m"}
        rig.advance(5)
        rig.masses.hand_back(begin(rig), again_in_s=0)
        assert "mass_cancel_not_flat m" in news(rig)
        assert not rig.masses.state("m").flat

    def test_one_that_nobody_lists_is_not_known_to_be_flat(self, rig: LaneRig) -> None:
        """Nor was it as it was released."""
        take(rig, hold=True)
        rig.masses.end(begin(rig), seen(rig), Verdict("running", rig.us, rig.us, 0.2, flat=True))
        assert rig.masses.state("m").flat
        held = rig.keys.of("held", "m")
        assert 0 < rig.redis.ttl(held) <= 15
        rig.redis.delete(held)  # its workers died
        for mass in (rig.masses.state("m"), *rig.masses.running()):
            assert (mass.flat, mass.flat_at, mass.trouble) == (False, None, NOT_LISTED)
        assert release(rig.store, "m", Asked("ann")).mass.flat is False

    def test_another_one_does_not_speak_for_one_on_hold(self, rig: LaneRig) -> None:
        """It is told of until itself is flat, however soon another was."""
        take(rig, hold=True, deadline_s=60)
        rig.advance(61)
        rig.masses.end(begin(rig), seen(rig, 1), RUNNING)
        take(rig, "p", until_flat_s=1)
        rig.masses.end(begin(rig, "p"), seen(rig), Verdict("flat", rig.us, rig.us))
        assert [found.batch_id for found in not_flat(rig.redis, rig.keys)] == ["m"]

    def test_one_that_is_not_flat_in_time_is_told_of_once(self, rig: LaneRig) -> None:
        """Whether it is listed or not."""
        take(rig, hold=True, deadline_s=60)
        rig.advance(60.001)
        for _ in range(2):
            rig.masses.interrupt(begin(rig), "no answer", again_in_s=0.5)
            assert "mass_cancel_not_flat m" in news(rig)
        assert [found.batch_id for found in not_flat(rig.redis, rig.keys)] == ["m"]

    def test_an_order_that_the_channel_tells_of_is_listed_for_at_once(self, rig: LaneRig) -> None:
        """As soon as reading allows; of other users, and for what is not on hold, nothing changes."""
        take(rig, "plain")
        take(rig, "filter", clOrdId_prefix="x", until_flat_s=5)
        take(rig, hold=True)
        assert rig.board.wake(9).masses == ("plain", "filter", "m")
        assert (rig.masses.hasten("u2"), rig.masses.hasten("u1")) == (0, 1)
        assert rig.board.wake(9).masses == ("m",)
        listing = begin(rig)
        rig.masses.hasten("u1")
        assert rig.board.wake(9).masses == ()
        rig.masses.end(listing, replace(seen(rig), calls=3), Verdict("running", rig.us, rig.us, 0.2, flat=True))
        rig.masses.hasten("u1")
        rig.advance(0.098)
        assert rig.board.wake(9).masses == ()
        rig.advance(0.001)
        assert rig.board.wake(9).masses == ("m",)
        rig.masses.end(begin(rig), seen(rig, 1), RUNNING)
        rig.advance(0.499)
        assert rig.board.wake(9).masses == ()
        rig.advance(0.001)
        assert rig.board.wake(9).masses == ("m",)
        release(rig.store, "m", Asked("ann"))
        assert rig.masses.hasten("u1") == 0

    def test_the_earliest_end_knows_the_limits_of_algo_orders(self, rig: LaneRig) -> None:
        """500 triggers of one instrument take as many windows as 20 of each need, whatever orders take."""
        take(rig, with_=["algos"])
        listing = begin(rig)
        rows = [{"instId": "BTC-USDT", "ordId": str(ident)} for ident in range(500)]
        at_us = max(rig.masses.admit(listing, page, holder="u1:algo") for page in (rows[:100], rows[100:]))
        rig.masses.end(listing, replace(seen(rig, 500), earliest_us=at_us), RUNNING)
        assert at_us - listing.wall_us == 24 * 2_000_000
        rig.masses.end(begin(rig), seen(rig), RUNNING)
        assert read_report(rig.store, "m").earliest_done_at == time_of(at_us)

    @pytest.mark.parametrize("hold", [True, False])
    def test_lists_of_algo_orders_are_read_seldom_and_when_there_is_a_reason(self, rig: LaneRig, *, hold: bool) -> None:
        """A push, or the end of the last order: lists have 20 calls in 2 s for a user."""
        take(rig, hold=hold, until_flat_s=5, with_=["algos"])
        listing = begin(rig)
        find(rig, listing, 2)
        found = replace(seen(rig, 2), calls=9, algo_calls=7)
        rig.masses.end(listing, found, judge(found, until_flat_s=5, flat_since_us=None, flat_wall_us=None, hold=hold))
        rig.advance(0.999)
        assert rig.board.wake(9).masses == ()
        assert (rig.masses.hasten("u2:algo"), rig.masses.hasten("u1"), rig.masses.hasten("u1:algo")) == (0, hold, 1)
        assert rig.board.wake(9).masses == ("m",)
        listing = begin(rig)
        rig.masses.hasten("u1:algo")
        assert rig.board.wake(9).masses == ()
        rig.masses.end(listing, found, Verdict("running", None, None, 1.0))
        rig.advance(0.066)
        assert rig.board.wake(9).masses == ("m",)
        listing = begin(rig)
        rig.end_proved()
        assert (rig.batches.state("m").waiting, rig.board.wake(9).masses) == (0, ())
        rig.masses.end(listing, replace(found, matching=1), RUNNING)
        rig.advance(0.066)
        assert rig.board.wake(9).masses == ("m",)
        find(rig, listing := begin(rig), 1, first=7)
        rig.masses.end(listing, found, Verdict("running", None, None, 1.0))
        rig.advance(0.1)
        assert rig.board.wake(9).masses == ()
        rig.end_proved()
        assert rig.board.wake(9).masses == ("m",)

    def test_released_it_finds_no_more(self, rig: LaneRig) -> None:
        """What it found is sent; who decided is kept; again it does nothing."""
        take(rig, hold=True)
        listing = begin(rig)
        find(rig, listing, 2)
        done = release(rig.store, "m", Asked("ann", "over"))
        assert (done.changed, done.mass.state, done.batch.waiting) == (True, "released", 2)
        with pytest.raises(MassEnded):
            find(rig, listing, 1, first=3)
        assert rig.board.wake(9).masses == ()
        end_all(rig, "canceled")
        assert rig.batches.state("m").complete
        assert not release(rig.store, "m", Asked("bob")).changed
        told = [(each.event, each.by, each.reason) for each in rig.audit.read()]
        assert told[1:] == [("release", "ann", "over")]

    def test_only_a_hold_is_released(self, rig: LaneRig) -> None:
        """Others end by themselves; of several ids none is done if one is wrong."""
        take(rig)
        take(rig, "h", hold=True)
        with pytest.raises(NotOnHoldError, match="'m' is not on hold: it ends by itself"):
            of_holds(rig.store, ["h", "m"])
        rig.decisions.withdraw("m", Asked("ann"))
        with pytest.raises(NotOnHoldError, match=r"'m' is not on hold: it has ended \(withdrawn\)"):
            release(rig.store, "m", Asked("ann"))
        with pytest.raises(UnknownMassError):
            release(rig.store, "nope", Asked("ann"))
        assert rig.masses.state("h").state == "running"

    def test_withdrawn_it_takes_back_what_was_not_sent(self, rig: LaneRig) -> None:
        """As any mass cancel."""
        take(rig, hold=True)
        find(rig, begin(rig), 2)
        assert rig.decisions.withdraw("m", Asked("ann")).withdrawn == 2
        assert rig.masses.state("m").state == "withdrawn"


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

    def test_one_that_is_not_flat_is_told_of_until_one_is(self, rig: LaneRig) -> None:
        """Of the same scope, or of all orders if it was about orders alone."""
        algos = {"with": ["algos"]}
        for batch_id, asked in (("m", {"side": "buy"}), ("n", {"side": "sell"}), ("o", {}), ("a", algos)):
            take(rig, batch_id, **asked)
            rig.masses.give_up(begin(rig, batch_id), "not flat")
        assert {found.batch_id for found in not_flat(rig.redis, rig.keys)} == {"m", "n", "o", "a"}
        for batch_id, asked, left in (("p", {"side": "buy"}, {"n", "o", "a"}), ("q", {}, {"a"}), ("r", algos, set())):
            take(rig, batch_id, **asked, until_flat_s=1)
            rig.masses.end(begin(rig, batch_id), seen(rig), Verdict("flat", rig.us, rig.us))
            assert {found.batch_id for found in not_flat(rig.redis, rig.keys)} == left
        assert news(rig) == {
            *(f"mass_cancel_began {name}" for name in "mnoapqr"),
            *(f"mass_cancel_not_flat {name}" for name in "mnoa"),
            *(f"mass_cancel_flat {name}" for name in "pqr"),
        }

    def test_it_outlives_its_retention_while_it_runs(self, redis: Redis) -> None:
        """Nothing waits between two listings, and an order may be opened at any time."""
        rig = LaneRig(redis, retention_s=60)
        take(rig, until_flat_s=100, deadline_s=900)
        find(rig, begin(rig), 1)
        end_all(rig, "canceled")
        assert [redis.ttl(rig.keys.of(name, "m")) for name in ("batch", "rows", "mass")] == [-1, -1, -1]
        listing = _again(rig)
        find(rig, listing, 1, first=2)
        end_all(rig, "canceled")
        rig.masses.give_up(listing, "not read")
        assert rig.batches.state("m").counts == {"canceled": 2}
        assert all(0 < redis.ttl(rig.keys.of(name, "m")) <= 60 for name in ("batch", "rows", "mass"))

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

    def test_a_step_back_of_the_clock_leaves_nothing(self, rig: LaneRig) -> None:
        """What ended before it ended earlier all the same: for this mass cancel, and for one that begins later."""
        take(rig)
        find(rig, begin(rig), 1)
        end_all(rig, "exhausted")
        rig.submit("b", orders(1, first=9))
        end_all(rig, "canceled")
        rig.advance(-3600)
        listing = _again(rig)
        rig.advance(1)
        find(rig, listing, 1)
        find(rig, listing, 1, first=9)
        assert (rig.batches.state("m").counts, rig.batches.state("m").waiting) == ({}, 2)

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
        rig.end_proved()
        take(rig)
        rig.advance(1)
        find(rig, begin(rig), 1)
        assert rig.batches.state("m").waiting == 1
        take(rig, "later")
        listing = begin(rig, "later")
        rig.advance(1)
        rig.submit("c", orders(1, first=3))
        rig.end_proved()
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


def told_of(rig: LaneRig) -> list[MutableMapping[str, Any]]:
    """What is told of mass cancels now."""
    with capture_logs() as lines:
        tell_of_masses(rig.redis, rig.keys)
    return lines


class TestSurvey:
    """What else can place orders is looked at once, when all is over."""

    def test_it_comes_after_the_last_outcome(self, rig: LaneRig) -> None:
        """At once then, for one worker; what it saw is kept, and no other follows."""
        take(rig)
        listing = begin(rig)
        find(rig, listing, 1)
        rig.masses.end(listing, seen(rig, 1), Verdict("done", None, None))
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        end_all(rig, "canceled")
        assert rig.board.wake(9).surveys == ("m",)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is not None
        assert rig.masses.survey_begin("m", "other", lease_s=LEASE_S) is None
        assert rig.masses.awaits_survey(rig.masses.state("m"), completed(rig, ago_s=5))
        assert not rig.masses.awaits_survey(rig.masses.state("m"), completed(rig, ago_s=21))
        found = Survey((Able("trigger", 1, {"BTC-USDT": 1}),))
        rig.masses.survey_end("m", "s", found)
        assert rig.masses.state("m").survey == found
        assert not rig.masses.awaits_survey(rig.masses.state("m"), completed(rig, ago_s=0))
        rig.advance(60)
        assert rig.board.wake(9).surveys == ()

    @pytest.mark.parametrize(
        ("status", "filled", "left"),
        [
            ("canceled", "0", False),
            ("canceled", "0.5", True),
            ("rejected", "", False),
            ("filled", "1", True),
            ("accepted", "", True),
            ("gone", "", True),
            ("exhausted", "", True),
        ],
    )
    def test_whatever_may_have_been_filled_may_have_left_its_stop(
        self, rig: LaneRig, status: str, filled: str, *, left: bool
    ) -> None:
        """In part or whole, or nobody knows."""
        take(rig)
        find(rig, begin(rig), 1)
        assert not rig.masses.left_stops("m")
        (call,) = (claim := rig.claim()).calls
        (job,) = call.jobs
        if filled:
            told = {"instId": "BTC-USDT", "ordId": "1", "state": status, "accFillSz": filled}
            rig.confirmations.pushed("u1", [told])
        rig.record(claim, call, decided=(believed(job, "gone") if filled else finished(job, status),))
        assert rig.batches.state("m").counts == {status: 1}
        assert rig.masses.left_stops("m") is left

    def test_another_worker_makes_it_if_one_dies(self, rig: LaneRig) -> None:
        """When its lease is over; who comes late writes nothing."""
        take(rig)
        rig.masses.end(begin(rig), seen(rig), Verdict("done", None, None))
        assert rig.masses.survey_begin("m", "dead", lease_s=LEASE_S) is not None
        rig.redis.delete(rig.keys.of("surveying", "m"))  # as its time to live does
        rig.advance(LEASE_S)
        assert rig.board.wake(9).surveys == ("m",)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is not None
        rig.masses.survey_end("m", "dead", Survey())
        assert rig.masses.state("m").survey is None

    def test_one_that_cannot_be_made_comes_again(self, rig: LaneRig) -> None:
        """Until ten minutes after the deadline, if nobody serves the account."""
        take(rig, deadline_s=60)
        rig.masses.end(begin(rig), seen(rig), Verdict("done", None, None))
        rig.masses.survey_begin("m", "s", lease_s=LEASE_S)
        rig.masses.survey_end("m", "s", None, again_in_s=1)
        assert rig.board.wake(9).surveys == ()
        rig.advance(1)
        assert rig.board.wake(9).surveys == ("m",)
        rig.advance(660)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        assert rig.board.wake(9).surveys == ()

    def test_one_that_nobody_made_is_told_once(self, rig: LaneRig) -> None:
        """What can still place orders is not known: no success, whatever became of the orders."""
        take(rig, deadline_s=60, until_flat_s=1)
        rig.masses.end(begin(rig), seen(rig), Verdict("flat", 1, 1))
        assert told_of(rig)[0]["event"] == "mass_cancel_began"
        rig.advance(661)
        for _ in range(2):
            assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        (line,) = told_of(rig)
        assert (line["event"], line["log_level"], line["batch"], line["account"]) == (
            "mass_cancel_incomplete", "warning", "m", "a1",
        )  # fmt: skip
        assert (line["what"], line["complete"]) == ("not known: nobody looked at what else can place orders", False)
        assert line["not_known"] == {"all": "nobody looked at what else can place orders"}
        assert (line["state"], line["still_able"], line["not_available"]) == ("flat", [], [])
        assert told_of(rig) == []
        report = read_report(rig.store, "m")
        assert (report.over, report.cancelled, report.complete, report.succeeded) == (True, True, False, False)
        assert report_json(report)["not_known"] == line["not_known"]

    def test_one_that_is_being_made_is_not_given_up(self, rig: LaneRig) -> None:
        """Its time may run out meanwhile: what it sees counts. If it fails nothing is known, and that is told."""
        take(rig, deadline_s=60)
        rig.masses.end(begin(rig), seen(rig), Verdict("done", None, None))
        told_of(rig)
        rig.advance(659)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is not None
        rig.advance(2)
        assert rig.masses.survey_begin("m", "other", lease_s=LEASE_S) is None
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is not None
        assert (told_of(rig), rig.masses.state("m").survey) == ([], None)
        rig.masses.survey_end("m", "s", None)
        assert rig.board.wake(9).surveys == ("m",)
        assert rig.masses.survey_begin("m", "t", lease_s=LEASE_S) is None
        assert [line["event"] for line in told_of(rig)] == ["mass_cancel_incomplete"]

    def test_one_after_a_hold_waits_for_the_last_orders(self, rig: LaneRig) -> None:
        """They have their time from when they were found, so it may be long after the release; until then it waits."""
        take(rig, hold=True, deadline_s=3600)
        rig.advance(4000)
        find(rig, listing := begin(rig), 1)
        rig.masses.end(listing, seen(rig, 1), RUNNING)
        release(rig.store, "m", Asked("ann"))
        told_of(rig)
        rig.advance(700)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        assert told_of(rig) == []
        end_all(rig, "canceled")
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is not None

    def test_one_is_not_given_up_before_it_could_be_made(self, rig: LaneRig) -> None:
        """An order that was sent may wait for the book until the exchange is back; the ten minutes count from then."""
        take(rig, deadline_s=60)
        find(rig, listing := begin(rig), 1)
        rig.masses.end(listing, seen(rig, 1), Verdict("done", None, None))
        (call,) = (claim := rig.claim()).calls
        rig.record(claim, call, decided=(believed(call.jobs[0]),))
        told_of(rig)
        rig.advance(5000)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        assert told_of(rig) == []
        row = {"instId": "BTC-USDT", "ordId": "1", "state": "canceled", "accFillSz": "0"}
        rig.confirmations.pushed("u1", [row])
        assert rig.board.wake(9).surveys == ("m",)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is not None
        rig.masses.survey_end("m", "s", None)
        rig.advance(601)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        assert [line["event"] for line in told_of(rig)] == ["mass_cancel_incomplete"]

    def test_one_of_which_nothing_is_known_any_more_is_told_too(self, rig: LaneRig) -> None:
        """A mass cancel may be kept for a shorter time than its survey is tried."""
        take(rig, deadline_s=60)
        rig.masses.end(begin(rig), seen(rig), Verdict("done", None, None))
        told_of(rig)
        rig.redis.delete(rig.keys.of("mass", "m"))  # as its time to live does
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        (line,) = told_of(rig)
        assert (line["event"], line["batch"], line["account"], line["scope"], line["state"]) == (
            "mass_cancel_incomplete", "m", None, None, None,
        )  # fmt: skip
        assert not rig.redis.exists(rig.keys.of("mass", "m"))

    def test_one_that_was_made_is_not_given_up(self, rig: LaneRig) -> None:
        """However late its board is looked at."""
        take(rig, deadline_s=60)
        rig.masses.end(begin(rig), seen(rig), Verdict("done", None, None))
        rig.masses.survey_begin("m", "s", lease_s=LEASE_S)
        rig.masses.survey_end("m", "s", Survey())
        told_of(rig)
        rig.redis.zadd(rig.keys.of("surveys"), {"m": 1})
        rig.advance(661)
        assert rig.masses.survey_begin("m", "t", lease_s=LEASE_S) is None
        assert (told_of(rig), rig.masses.state("m").survey) == ([], Survey())

    def test_a_retry_asks_for_another(self, rig: LaneRig) -> None:
        """Also if none was ever made; and what is told of the mass cancel is kept for as long as its batch."""
        take(rig, deadline_s=60)
        find(rig, listing := begin(rig), 1)
        rig.masses.end(listing, seen(rig), Verdict("done", None, None))
        end_all(rig, "exhausted")
        rig.advance(661)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        assert rig.decisions.retry("m", Asked("ann")).opened == 1
        assert rig.redis.ttl(rig.keys.of("mass", "m")) == -1
        rig.advance(1)
        end_all(rig, "canceled")
        assert all(600 - PATIENCE_S < rig.redis.ttl(rig.keys.of(name, "m")) <= 600 for name in ("mass", "batch"))
        assert rig.board.wake(9).surveys == ("m",)
        assert rig.masses.survey_begin("m", "t", lease_s=LEASE_S) is not None

    def test_one_that_a_1_0_worker_ended_has_it_too(self, rig: LaneRig) -> None:
        """That one does not make it due, so it is due from the beginning."""
        take(rig)
        rig.advance(10)
        assert rig.board.wake(9).surveys == ("m",)
        assert rig.masses.survey_begin("m", "s", lease_s=LEASE_S) is None
        assert rig.board.wake(9).surveys == ()
        rig.advance(5)
        assert rig.board.wake(9).surveys == ("m",)
