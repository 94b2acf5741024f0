"""Do an operator's decisions do what they say, once, and nothing else, on a real Redis?"""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import RedisFullError, UnknownAccountError, UnsealedBatchError
from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.operators.decisions import Asked, Decisions
from bulk_cancel.worker.operators.matching import Filter, Matching
from bulk_cancel.worker.operators.targets import UnknownLaneError
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.batches import UnknownBatchError
from bulk_cancel.worker.state.directory import Directory
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.statuses import Again
from tests.support.lane_rig import LANE, TIMING, LaneRig, credentials, finished, orders, rest, retried, returned

ASKED = Asked("risk-1", "by hand")
CLAIM_S = TIMING.claim_us / 1e6


@pytest.fixture
def replies_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verb of a decision is run twice, as when its first reply was lost; both answers must be the same."""
    ask = Scripts.ask

    def twice(self: Scripts, verb: str, argument: dict[str, object]) -> Asking[dict[str, Any]]:
        first = yield from ask(self, verb, argument)
        if verb not in ("withdraw", "retry", "pause", "resume"):
            return first
        again = yield from ask(self, verb, argument)
        assert again == first
        return again

    monkeypatch.setattr(Scripts, "ask", twice)


def end(rig: LaneRig, status: str, code: str = "51000", permits: int = 60) -> None:
    """The lane's next jobs end."""
    claim = rig.claim(permits)
    for call in claim.calls:
        rig.record(claim, call, decided=tuple(finished(job, status, code) for job in call.jobs))


def events(rig: LaneRig) -> list[str]:
    """What the audit has, without the submissions."""
    return [decision.event for decision in rig.audit.read() if decision.event != "submitted"]


class TestWithdraw:
    """What was not sent can be taken back."""

    def test_only_what_was_never_sent(self, rig: LaneRig) -> None:
        """Queued orders end; one in flight, one waiting for its next attempt and one ended are left alone."""
        rig.submit("b", orders(5))
        end(rig, "gone", "51400", permits=1)
        tried = rig.claim()
        rig.record(tried, decided=(retried(tried.calls[0].jobs[0], 30.0),))
        flying = rig.claim()
        done = rig.decisions.withdraw("b", ASKED)
        assert (done.withdrawn, done.sent, done.ended) == (2, 2, 1)
        assert rig.places() == {"ready": [], "later": ["o2"], "claimed": ["o3"]}
        assert done.state.counts == {"gone": 1, "withdrawn": 2}
        rig.record(flying)
        assert rig.row("b", 2).status == "accepted"
        assert (rig.row("b", 3).status, rig.row("b", 3).sMsg) == ("withdrawn", "withdrawn by risk-1: by hand")

    def test_what_fits_a_filter_was_never_sent(self, rig: LaneRig) -> None:
        """One that waits for its next attempt is not counted; a mass cancel goes on without the others."""
        mass = {"account": "a1", "batch_id": "m"}
        rig.masses.take(parse_cancel_all(mass))
        listing = rig.masses.begin("m", lease_s=7)
        assert listing is not None
        page = [{"instId": "BTC-USDT", "ordId": str(n)} for n in range(1, 4)]
        rig.masses.admit(listing, page)
        tried = rig.claim()
        rig.record(tried, decided=(retried(tried.calls[0].jobs[0], 30.0),))
        wanted = Filter(inst_ids=("BTC-USDT",))
        (match,) = Matching(rig.store).unsent(wanted)
        assert [row.ordId for row in match.rows.values()] == ["2", "3"]
        assert rig.decisions.withdraw_matching(match, ASKED, wanted).withdrawn == 2
        rig.masses.admit(listing, page)
        assert rig.batches.state("m").counts == {"withdrawn": 2}
        assert not rig.masses.state("m").ended

    def test_a_batch_taken_back_whole_is_complete(self, rig: LaneRig) -> None:
        """Its lane has no work, and the outcome stream tells of every job."""
        rig.submit("b", orders(2))
        assert rig.decisions.withdraw("b", ASKED).state.complete
        assert rig.due() is None
        assert rig.claim().calls == ()
        told = rig.redis.xrange(rig.keys.of("outcomes"))
        assert [fields["status"] for _, fields in told] == ["withdrawn"] * 2  # type: ignore[index,union-attr]

    def test_an_order_given_back_unsent_can_be_withdrawn(self, rig: LaneRig) -> None:
        """It was claimed once, and no byte of it left."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.record(claim, slots="release", decided=(returned(claim.calls[0].jobs[0]),), answered=False)
        assert rig.decisions.withdraw("b", ASKED).withdrawn == 1

    def test_a_claim_that_ran_out_may_have_been_sent(self, rig: LaneRig) -> None:
        """Nobody knows, so it is too late."""
        rig.submit("b", orders(2))
        rig.claim()
        rig.decisions.pause("a1", ASKED)
        rig.advance(CLAIM_S)
        rig.claim()
        assert rig.places()["ready"] == ["o1", "o2"]
        done = rig.decisions.withdraw("b", ASKED)
        assert (done.withdrawn, done.sent) == (1, 1)

    def test_another_batch_keeps_the_job(self, rig: LaneRig) -> None:
        """It is sent for that one; the withdrawn row stays as it is."""
        rig.submit("b", orders(1))
        rig.submit("c", orders(1))
        assert rig.decisions.withdraw("b", ASKED).withdrawn == 1
        assert rig.batches.state("b").complete
        rig.record(rig.claim())
        assert (rig.row("b").status, rig.row("c").status) == ("withdrawn", "accepted")
        assert rig.batches.state("b").counts == {"withdrawn": 1}
        assert rig.redis.xlen(rig.keys.of("outcomes")) == 1

    def test_those_who_still_wait_say_how_long(self, rig: LaneRig) -> None:
        """The longer deadline goes with the batch that brought it."""
        rig.submit("b", orders(1), deadline_s=500)
        rig.submit("c", orders(1), deadline_s=5)
        rig.decisions.withdraw("b", ASKED)
        rig.advance(5)
        assert len(rig.board.sweep()) == 1

    def test_a_client_id_that_waits_for_the_next_generation(self, rig: LaneRig) -> None:
        """The present one was sent for others and goes on; only those who still want it get another send."""
        asked = [{"instId": "BTC-USDT", "clOrdId": "x1"}]
        rig.submit("a", asked)
        claim = rig.claim()
        for name in ("b", "c"):
            rig.submit(name, asked)
        assert [rig.decisions.withdraw(name, ASKED).withdrawn for name in "ab"] == [0, 1]
        rig.record(claim)
        assert rig.claim().calls == ()  # the book is asked first
        rig.name_order("77")
        again = rig.claim()
        assert again.calls[0].jobs[0].batches == ("c",)
        rig.record(again)
        assert [rig.row(name).status for name in "abc"] == ["accepted", "withdrawn", "accepted"]

    def test_the_last_one_who_waited_for_the_next_generation(self, rig: LaneRig) -> None:
        """Nothing is sent a second time."""
        asked = [{"instId": "BTC-USDT", "clOrdId": "x1"}]
        rig.submit("a", asked)
        claim = rig.claim()
        rig.submit("b", asked)
        rig.decisions.withdraw("b", ASKED)
        rig.record(claim)
        assert rig.claim().calls == ()

    def test_a_job_that_ends_opens_its_next_generation(self, rig: LaneRig) -> None:
        """A client id given back unsent had been asked for again meanwhile."""
        asked = [{"instId": "BTC-USDT", "clOrdId": "x1"}]
        rig.submit("a", asked)
        claim = rig.claim()
        rig.submit("b", asked)
        rig.record(claim, slots="release", decided=(returned(claim.calls[0].jobs[0]),), answered=False)
        rig.decisions.withdraw("a", ASKED)
        assert rig.claim().calls == ()  # the book is asked first
        rig.name_order("77")
        assert rig.claim().calls[0].jobs[0].generation == 2
        assert rig.row("b").status == "sending"

    @pytest.mark.usefixtures("replies_lost")
    def test_a_lost_reply_changes_nothing(self, rig: LaneRig) -> None:
        """The same step gets the same answer; one entry in the audit."""
        rig.submit("b", orders(600))
        assert rig.decisions.withdraw("b", ASKED).withdrawn == 600
        assert [dict(decision.facts) for decision in rig.audit.read()][1:] == [
            {"withdrawn": 600, "sent": 0, "ended": 0}
        ]

    def test_the_same_command_again_finds_nothing(self, rig: LaneRig) -> None:
        """And is no decision."""
        rig.submit("b", orders(3))
        rig.decisions.withdraw("b", ASKED)
        again = rig.decisions.withdraw("b", ASKED)
        assert (again.withdrawn, again.sent, again.ended) == (0, 0, 3)
        assert events(rig) == ["withdraw"]

    def test_a_batch_nobody_knows(self, rig: LaneRig) -> None:
        """An error, not an empty success."""
        with pytest.raises(UnknownBatchError, match="unknown batch 'nope'"):
            rig.decisions.withdraw("nope", ASKED)


class TestRetry:
    """What ended in vain can go again."""

    def test_rejected_and_exhausted_orders_go_again(self, rig: LaneRig) -> None:
        """With no attempts, a new deadline, and the bell; what ended well stays."""
        rig.submit("b", orders(3), deadline_s=60)
        end(rig, "rejected", permits=1)
        end(rig, "gone", "51400", permits=1)
        rig.advance(61)
        rig.board.sweep()
        assert rig.batches.state("b").complete
        rig.redis.delete(rig.keys.of("bell"))
        done = rig.decisions.retry("b", ASKED)
        assert (done.opened, done.joined, done.remembered) == (2, 0, 0)
        assert (done.state.waiting, done.state.completed_at, dict(done.state.counts)) == (2, None, {"gone": 1})
        assert rig.redis.llen(rig.keys.of("bell")) == 1
        jobs = [job for call in rig.claim(9).calls for job in call.jobs]
        assert [(job.id, job.attempts, job.generation, job.left_s) for job in jobs] == [
            (f"{LANE}/o1", 1, 2, 60),
            (f"{LANE}/o3", 1, 2, 60),
        ]

    def test_orders_of_an_account_that_nobody_serves_stay_ended(self, rig: LaneRig) -> None:
        """Refused, as a submit of them is: they would wait until their deadline for no worker."""
        rig.submit("b", orders(2))
        end(rig, "rejected")
        decisions = Decisions(replace(rig.store, directory=Directory(rig.redis, rig.keys, {}, window_s=2.0)))
        assert decisions.retry("b", ASKED, statuses=[Again.EXHAUSTED]).opened == 0
        rig.redis.delete(rig.keys.of("accounts"))
        with pytest.raises(UnknownAccountError, match="unknown account 'a1'"):
            decisions.retry("b", ASKED)
        assert rig.batches.state("b").waiting == 0
        (match,) = Matching(rig.store).ended(Filter(), [Again.REJECTED])
        assert isinstance(decisions.refuses(match), UnknownAccountError)

    def test_another_account_of_its_user_is_as_good(self, rig: LaneRig) -> None:
        """The batch's own was renamed, or its key withdrawn: any account of a User ID sends for its orders."""
        rig.submit("b", orders(1))
        end(rig, "rejected")
        rig.redis.delete(rig.keys.of("accounts"))
        spare = replace(rig.user, accounts=(credentials("spare"),))
        Directory(rig.redis, rig.keys, {"u1": spare}, window_s=2.0).publish(rig.scripts)
        decisions = Decisions(replace(rig.store, directory=Directory(rig.redis, rig.keys, {}, window_s=2.0)))
        (match,) = Matching(rig.store).ended(Filter(), [Again.REJECTED])
        assert decisions.refuses(match) is None
        assert decisions.retry("b", ASKED).opened == 1

    def test_it_ends_as_any_batch_does(self, rig: LaneRig) -> None:
        """Counted once, kept for its retention from its new end on."""
        rig.submit("b", orders(2))
        end(rig, "rejected")
        assert int(str(rig.redis.ttl(rig.keys.of("batch", "b")))) > 0
        rig.decisions.retry("b", ASKED)
        assert [rig.redis.ttl(rig.keys.of(name, "b")) for name in ("batch", "rows")] == [-1, -1]
        rig.advance(3)
        end(rig, "accepted", "0")
        state = rig.batches.state("b")
        assert (state.complete, dict(state.counts)) == (True, {"accepted": 2})
        assert int(str(rig.redis.ttl(rig.keys.of("rows", "b")))) > 0

    def test_every_attempt_stays_in_the_history(self, rig: LaneRig) -> None:
        """Whatever the exchange wrote in its message."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rude = finished(claim.calls[0].jobs[0], "rejected", '"},{"at":1,"log":[')
        rig.record(claim, decided=(rude,))
        rig.decisions.retry("b", ASKED)
        end(rig, "accepted", "0")
        assert [attempt["sCode"] for attempt in rig.row("b").log] == ['"},{"at":1,"log":[', "0"]

    def test_a_deadline_of_its_own(self, rig: LaneRig) -> None:
        """It is kept like any other."""
        rig.submit("b", orders(1))
        end(rig, "rejected")
        rig.decisions.retry("b", ASKED, deadline_s=5)
        assert rig.batches.state("b").deadline_at.timestamp() == pytest.approx(rig.us / 1e6 + 5)
        rig.advance(4.9)
        assert rig.board.sweep() == []
        rig.advance(0.1)
        assert len(rig.board.sweep()) == 1
        assert rig.row("b").status == "exhausted"

    def test_what_still_waits_keeps_its_deadline(self, rig: LaneRig) -> None:
        """The batch is looked at for the earlier one too, in lanes that get no turn."""
        rig.submit("b", orders(2), deadline_s=10)
        end(rig, "rejected", permits=1)
        rig.decisions.retry("b", ASKED, deadline_s=500)
        rig.advance(10)
        assert [ended.job for ended in rig.board.sweep()] == [f"{LANE}/o2"]

    def test_an_order_that_is_live_again_for_another_batch_is_joined(self, rig: LaneRig) -> None:
        """One send for both, in flight or not."""
        rig.submit("b", orders(2))
        end(rig, "rejected")
        rig.submit("c", orders(2))
        claim = rig.claim()
        done = rig.decisions.retry("b", ASKED)
        assert (done.opened, done.joined) == (0, 2)
        rig.record(claim)
        rig.record(rig.claim())
        assert rig.claim().calls == ()
        assert [dict(rig.batches.state(name).counts) for name in "bc"] == [{"accepted": 2}] * 2

    def test_a_client_id_in_flight_for_another_batch_is_sent_once_more(self, rig: LaneRig) -> None:
        """It may name another order by now."""
        asked = [{"instId": "BTC-USDT", "clOrdId": "x1"}]
        rig.submit("b", asked)
        end(rig, "rejected")
        rig.submit("c", asked)
        claim = rig.claim()
        assert rig.decisions.retry("b", ASKED).joined == 1
        rig.record(claim)
        assert rig.claim().calls == ()  # the book is asked first
        rig.name_order("77")
        again = rig.claim()
        assert again.calls[0].jobs[0].generation == 3
        rig.record(again)
        assert rig.row("b").status == "accepted"

    def test_an_order_off_the_book_by_now_is_not_sent(self, rig: LaneRig) -> None:
        """Its row says how it ended for the other batch."""
        rig.submit("b", orders(1))
        end(rig, "rejected")
        rig.submit("c", orders(1))
        rig.end_proved()
        done = rig.decisions.retry("b", ASKED)
        assert (done.opened, done.remembered, done.state.complete) == (0, 1, True)
        assert dict(done.state.counts) == {"canceled": 1}
        assert rig.redis.zcard(rig.keys.of("deadlines")) == 0

    def test_an_order_that_was_unknown_is_asked_for_again(self, rig: LaneRig) -> None:
        """With the wrong key, or a second too early, a live one is unknown, too: only the book proves an end."""
        rig.submit("b", orders(1))
        end(rig, "gone", "51400")
        assert rig.decisions.retry("b", ASKED).changed == 0
        assert rig.decisions.retry("b", ASKED, statuses=[Again.GONE]).opened == 1
        assert rig.claim().calls[0].jobs[0].generation == 2

    def test_withdrawn_orders_only_if_asked_for(self, rig: LaneRig) -> None:
        """They were taken back on purpose."""
        rig.submit("b", orders(2))
        rig.decisions.withdraw("b", ASKED)
        assert rig.decisions.retry("b", ASKED).changed == 0
        assert rig.decisions.retry("b", ASKED, statuses=[Again.WITHDRAWN]).opened == 2
        assert len(rig.claim(9).calls) == 2

    def test_a_withdrawn_order_joins_the_job_that_it_left(self, rig: LaneRig) -> None:
        """Another batch had kept it."""
        rig.submit("b", orders(1))
        rig.submit("c", orders(1))
        rig.decisions.withdraw("b", ASKED)
        assert rig.decisions.retry("b", ASKED, statuses=[Again.WITHDRAWN]).joined == 1
        rig.record(rig.claim())
        assert rig.row("b").status == "accepted"

    def test_a_job_that_is_forgotten_has_its_next_generation_all_the_same(self, rig: LaneRig) -> None:
        """Its row is kept longer when the batch completed later."""
        rig.submit("b", orders(1))
        end(rig, "rejected")
        rig.redis.delete(rig.keys.of("job", str(JobId("u1", "BTC-USDT", "1", None))))
        rig.decisions.retry("b", ASKED)
        assert rig.claim().calls[0].jobs[0].generation == 2

    def test_a_batch_that_is_not_sealed_is_refused(self, rig: LaneRig) -> None:
        """Its producer has to complete it first."""
        rig.submit("b", orders(1))
        rig.redis.hset(rig.keys.of("batch", "b"), "sealed", "0")
        with pytest.raises(UnsealedBatchError, match="not handed in completely"):
            rig.decisions.retry("b", ASKED)

    def test_a_batch_nobody_knows(self, rig: LaneRig) -> None:
        """Even if it expires between the first look and the verb."""
        with pytest.raises(UnknownBatchError):
            rig.decisions.retry("nope", ASKED)
        said = rig.scripts.run(
            "retry",
            {"decision": "d", "step": 0, "by": "x", "reason": "", "batch": "nope", "deadline_s": 5, "statuses": [],
             "jobs": [], "retention_s": 5},
        )  # fmt: skip
        assert said["status"] == "unknown"
        assert not rig.redis.exists(rig.keys.of("batch", "nope"))

    @pytest.mark.usefixtures("replies_lost")
    def test_a_lost_reply_changes_nothing(self, rig: LaneRig) -> None:
        """No order waits twice, and the audit has one decision."""
        rig.submit("b", orders(300))
        while rig.batches.state("b").waiting:
            end(rig, "rejected")
            rig.advance(3)
        done = rig.decisions.retry("b", ASKED)
        assert (done.opened, done.state.waiting) == (300, 300)
        assert len(rig.places()["ready"]) == 300
        assert events(rig) == ["retry"]

    def test_urgent_orders_go_again_before_others(self, rig: LaneRig) -> None:
        """As the batch was."""
        rig.submit("b", orders(1), urgent=True)
        end(rig, "rejected")
        rig.submit("c", orders(1, first=9))
        rig.decisions.retry("b", ASKED)
        assert rig.claim().calls[0].jobs[0].id == f"{LANE}/o1"


class TestPause:
    """A rest without end, begun and ended by hand."""

    def test_nothing_is_granted_until_it_is_resumed(self, rig: LaneRig) -> None:
        """However long that takes; then the lane is due, and the bell rings."""
        rig.submit("b", orders(2), deadline_s=86_400)
        rig.decisions.pause("a1", ASKED)
        assert (rig.claim().calls, rig.claim().reason) == ((), "user:u1")
        rig.advance(80_000)
        assert rig.claim().calls == ()
        assert rig.board.wake(9).lanes == ()
        rig.redis.delete(rig.keys.of("bell"))
        assert [ended.by for ended in rig.decisions.resume("a1", ASKED).ended] == ["risk-1"]
        assert rig.redis.llen(rig.keys.of("bell")) == 1
        assert rig.board.wake(9).lanes == (LANE,)
        assert len(rig.claim(9).calls) == 2

    def test_only_the_lane_that_is_paused(self, rig: LaneRig) -> None:
        """The user's others go on."""
        rig.submit("b", [*orders(1), *orders(1, first=5, inst_id="ETH-USDT")])
        rig.decisions.pause(LANE, ASKED)
        assert rig.claim().reason == f"lane:{LANE}"
        assert len(rig.claim(1, "u1/ETH-USDT").calls) == 1
        rig.decisions.resume(LANE, ASKED)
        assert len(rig.claim().calls) == 1

    def test_all_accounts_of_the_user_are_held_back(self, redis: Redis) -> None:
        """They send for the same lanes, so the answer names them all; another worker's new account changes nothing."""
        rig = LaneRig(redis, accounts=("a1", "a2"))
        rig.submit("b", orders(1))
        assert rig.decisions.pause("a2", ASKED).target.accounts == ("a1", "a2")
        assert rig.claim().calls == ()
        assert LaneRig(redis, accounts=("a1", "a2", "a3")).claim().calls == ()

    def test_what_is_in_flight_finishes(self, rig: LaneRig) -> None:
        """And what it would do again waits."""
        rig.submit("b", orders(3))
        flying = rig.claim(2)
        rig.decisions.pause("a1", ASKED)
        rig.record(flying, flying.calls[0])
        rig.record(flying, flying.calls[1], decided=(retried(flying.calls[1].jobs[0], 0.0),))
        assert rig.row("b").status == "accepted"
        assert rig.claim(9).calls == ()
        assert rig.places()["ready"] == ["o2", "o3"]

    @pytest.mark.parametrize("mended", [True, False])
    def test_a_probe_that_is_out_ends_no_pause(self, rig: LaneRig, mended: bool) -> None:  # noqa: FBT001
        """Whether it succeeds or fails."""
        rig.submit("b", orders(3))
        claim = rig.claim()
        refused = (retried(claim.calls[0].jobs[0], 0.0, counts=False),)
        rig.record(claim, decided=refused, rests=(rest(f"lane:{LANE}", 2.0, 2.0),))
        rig.advance(2.0)
        probe = rig.claim()
        rig.decisions.pause(LANE, ASKED)
        scopes = () if mended else (rest(f"lane:{LANE}", 2.0, 2.0),)
        rig.record(probe, rests=scopes, mended=probe.probes if mended else ())
        rig.advance(800)
        assert (rig.claim().calls, rig.claim().probes) == ((), ())
        rig.decisions.resume(LANE, ASKED)
        assert len(rig.claim(9).calls) == 2

    def test_a_rest_of_the_same_lane_does_not_shorten_it(self, rig: LaneRig) -> None:
        """A call that was in flight is refused."""
        rig.submit("b", orders(2))
        claim = rig.claim()
        rig.decisions.pause(LANE, ASKED)
        recorded = rig.record(claim, rests=(rest(f"lane:{LANE}", 2.0, 2.0),))
        assert recorded.rested == ()
        rig.advance(100)
        assert rig.claim().calls == ()
        assert rig.redis.ttl(rig.keys.of("rest", f"lane:{LANE}")) == -1

    def test_deadlines_go_on(self, rig: LaneRig) -> None:
        """A pause is no reason to cancel something much later."""
        rig.submit("b", orders(1), deadline_s=10)
        rig.decisions.pause("a1", ASKED)
        rig.claim()
        rig.advance(10)
        assert len(rig.board.sweep()) == 1

    def test_orders_that_come_meanwhile_wait_too(self, rig: LaneRig) -> None:
        """The receipt says that the pause holds them, and does not count it as the exchange's limit."""
        rig.decisions.pause("a1", ASKED)
        rig.submit("b", orders(1))
        rig.claim()
        receipt = rig.submit("c", orders(1, first=9))
        assert receipt.paused == ("user:u1",)
        assert receipt.earliest_done_at == receipt.created_at
        rig.decisions.resume("a1", ASKED)
        assert rig.submit("d", orders(1, first=19)).paused == ()
        assert len(rig.claim(9).calls) == 3

    def test_both_pauses_must_end(self, rig: LaneRig) -> None:
        """In whichever order."""
        rig.submit("b", orders(1))
        rig.decisions.pause("a1", ASKED)
        rig.decisions.pause(LANE, ASKED)
        rig.claim()
        rig.decisions.resume(LANE, ASKED)
        assert rig.claim().reason == "user:u1"
        rig.decisions.resume("a1", ASKED)
        assert len(rig.claim().calls) == 1

    def test_resume_ends_a_rest_of_the_credentials(self, rig: LaneRig) -> None:
        """The next claim tries at once, and it is no probe."""
        rig.submit("b", orders(2))
        claim = rig.claim()
        again = (retried(claim.calls[0].jobs[0], 0.0, counts=False),)
        rig.record(claim, decided=again, rests=(rest("account:a1", 30.0, 30.0),))
        assert rig.claim().calls == ()
        ended = rig.decisions.resume("a1", ASKED).ended
        assert [(each.scope, each.by, each.reason) for each in ended] == [("account:a1", "", "test")]
        claim = rig.claim(9)
        assert (len(claim.calls), claim.probes) == (2, ())

    def test_the_first_pause_stands(self, rig: LaneRig) -> None:
        """Who comes second is told who was first."""
        rig.decisions.pause("a1", ASKED)
        second = rig.decisions.pause("a1", Asked("somebody", "else"))
        assert (second.changed, second.by, second.reason) == (False, "risk-1", "by hand")
        rig.decisions.resume("a1", ASKED)
        assert rig.decisions.resume("a1", ASKED).ended == ()
        assert events(rig) == ["pause", "resume"]

    @pytest.mark.usefixtures("replies_lost")
    def test_a_lost_reply_changes_nothing(self, rig: LaneRig) -> None:
        """The first answer is given again: it was this command that paused."""
        assert rig.decisions.pause("a1", ASKED).changed
        assert len(rig.decisions.resume("a1", ASKED).ended) == 1
        assert events(rig) == ["pause", "resume"]

    def test_names_that_people_type(self, rig: LaneRig) -> None:
        """In any case; a lane by its account or by an option's instId; unknown ones name those known."""
        rig.submit("b", [*orders(1), *orders(1, inst_id="BTC-USD-271231-100000-C")])
        assert rig.decisions.pause("A1", ASKED).target.scope == "user:u1"
        assert rig.decisions.pause("a1/btc-usdt", ASKED).target.scope == f"lane:{LANE}"
        assert rig.decisions.pause("u1/BTC-USD-271231-90000-P", ASKED).target.scope == "lane:u1/BTC-USD:option"
        assert not rig.decisions.pause("u1/BTC-USD:option", ASKED).changed
        with pytest.raises(UnknownAccountError, match="unknown account 'desk9'; known accounts: a1"):
            rig.decisions.pause("desk9", ASKED)
        with pytest.raises(
            UnknownLaneError, match="unknown lane 'u1/BTC-USDT-SWPA'; known lanes: u1/BTC-USD:option, u1"
        ):
            rig.decisions.pause("u1/BTC-USDT-SWPA", ASKED)

    def test_a_paused_user_without_accounts_can_be_resumed(self, rig: LaneRig) -> None:
        """The settings may have changed meanwhile."""
        rig.decisions.pause("a1", ASKED)
        rig.redis.sadd(rig.keys.of("paused"), "user:u9")
        rig.redis.hset(
            rig.keys.of("rest", "user:u9"), mapping={"until": "9000000000000000", "paused": "x", "since": "1"}
        )
        assert rig.decisions.resume("u9", ASKED).ended[0].by == "x"
        assert rig.redis.smembers(rig.keys.of("paused")) == {"user:u1"}


class TestLarge:
    """Batches of the largest size."""

    def test_no_step_holds_redis_for_long(self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
        """20,000 orders are withdrawn, then go again, in steps of 250: some ten milliseconds each."""
        rig.submit("b", orders(20_000))
        steps: list[int] = []
        ask = Scripts.ask

        def counted(self: Scripts, verb: str, argument: dict[str, Any]) -> Asking[dict[str, Any]]:
            steps.append(len(argument["jobs"]))
            return (yield from ask(self, verb, argument))

        monkeypatch.setattr(Scripts, "ask", counted)
        assert rig.decisions.withdraw("b", ASKED).withdrawn == 20_000
        assert rig.decisions.retry("b", ASKED, statuses=[Again.WITHDRAWN]).opened == 20_000
        assert steps == [250] * 160
        assert events(rig) == ["withdraw", "retry"]


class TestFullRedis:
    """When there is no room left."""

    def test_all_but_retry_are_taken(self) -> None:
        """What holds orders back or ends them always is; what makes more work is refused clearly."""
        with EmbeddedRedis() as server, Redis.from_url(server.url, decode_responses=True, protocol=2) as redis:
            rig = LaneRig(redis)
            rig.submit("b", orders(3))
            end(rig, "rejected", permits=1)
            redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) // 2)
            assert rig.decisions.pause("a1", ASKED).changed
            assert rig.decisions.withdraw("b", ASKED).withdrawn == 2
            with pytest.raises(RedisFullError, match="Redis is full"):
                rig.decisions.retry("b", ASKED)
            assert rig.decisions.resume("a1", ASKED).ended
            redis.config_set("maxmemory", 0)
            assert rig.decisions.retry("b", ASKED).opened == 1
