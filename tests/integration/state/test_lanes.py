"""Do the verbs keep the limiter's and the mover's promises on a real Redis?"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from redis import Redis

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import AdmissionError, BatchConflictError, UnknownAccountError
from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.state.batches import UnknownBatchError
from bulk_cancel.worker.state.directory import Directory
from tests.support.lane_rig import LANE, TIMING, LaneRig, believed, finished, orders, rest, retried, returned
from tests.support.waiting import PATIENCE_S

WINDOW_S = TIMING.window_us / 1e6
CLAIM_S = TIMING.claim_us / 1e6
SLOT_S = (TIMING.open_us + TIMING.window_us) / 1e6
"""Until a slot whose call had no answer is free again."""


class TestWindow:
    """The slots."""

    def test_no_more_slots_than_the_limit(self, rig: LaneRig) -> None:
        """60 are granted at once, the 61st has to wait."""
        rig.submit("b", orders(100))
        assert len(rig.claim(permits=100).calls) == 60
        assert rig.claim(permits=100).calls == ()

    def test_a_settled_slot_is_free_one_window_after_its_record(self, rig: LaneRig) -> None:
        """Not a microsecond earlier."""
        rig.submit("b", orders(61))
        claim = rig.claim(permits=60)
        rig.advance(0.3)
        rig.record(claim)
        rig.advance(WINDOW_S - 1e-6)
        assert rig.claim().calls == ()
        rig.advance(1e-6)
        assert len(rig.claim(permits=9).calls) == 1

    def test_an_open_slot_counts_until_its_bytes_must_have_arrived(self, rig: LaneRig) -> None:
        """1 s to write, twice the timeout, and one window."""
        rig.submit("b", orders(120))
        rig.claim(permits=60)
        rig.advance((TIMING.open_us + TIMING.window_us) / 1e6 - 1e-6)
        assert rig.claim(permits=60).calls == ()
        rig.advance(1e-6)
        assert len(rig.claim(permits=99).calls) == 60

    def test_a_released_slot_is_free_at_once(self, rig: LaneRig) -> None:
        """Nothing was sent, so nothing counts, and the attempt neither."""
        rig.submit("b", orders(61))
        claim = rig.claim(permits=60)
        rig.record(claim, slots="release", decided=(returned(claim.calls[0].jobs[0]),), answered=False)
        again = rig.claim(permits=60)
        assert [call.jobs[0].attempts for call in again.calls] == [1]

    def test_an_order_given_back_unsent_that_ends_was_never_sent(self, rig: LaneRig) -> None:
        """Its row says so, and can be read."""
        rig.submit("b", orders(1), deadline_s=5)
        claim = rig.claim()
        rig.record(claim, slots="release", decided=(returned(claim.calls[0].jobs[0]),), answered=False)
        rig.advance(5)
        rig.claim()
        assert (rig.row("b").status, rig.row("b").first_sent_at, rig.row("b").attempts) == ("exhausted", None, 0)

    def test_a_record_after_its_slot_ended_counts_from_then(self, rig: LaneRig) -> None:
        """The slot is added again, stamped with the time of the record."""
        rig.submit("b", orders(70))
        claim = rig.claim(permits=60)
        rig.advance(60)
        rig.record(claim)
        assert len(rig.claim(permits=99).calls) == 59

    def test_the_lane_is_due_when_its_next_slot_is_free(self, rig: LaneRig) -> None:
        """The board knows the instant (and 5 ms, so that a turn finds several), nobody polls."""
        rig.submit("b", orders(61))
        claim = rig.claim(permits=60)
        for index, call in enumerate(claim.calls):
            rig.advance(0.001)
            rig.record(claim, call)
            assert index or rig.due() == pytest.approx(WINDOW_S + 0.005)
        assert rig.due() == pytest.approx(WINDOW_S + 0.005 - 0.059, abs=2e-6)

    def test_windows_are_shared_by_runners_with_other_prefixes(self, redis: Redis, rig: LaneRig) -> None:
        """The exchange does not know prefixes."""
        rig.submit("b", orders(60))
        rig.claim(permits=60)
        assert redis.zcard(f"bulk-cancel:window:{LANE}:single") == 60

    def test_nothing_is_sent_after_a_restart_until_forgotten_slots_ended(self, rig: LaneRig) -> None:
        """The server's identity changed: everything it forgot must have ended first."""
        rig.submit("b", orders(1))
        rig.restart_redis("b2")
        claim = rig.claim()
        assert (claim.calls, claim.reason) == ((), "redis restarted")
        assert claim.due_s == pytest.approx(TIMING.blackout_us / 1e6)
        rig.advance(TIMING.blackout_us / 1e6 - 1e-6)
        assert rig.claim().calls == ()
        rig.advance(1e-6)
        assert len(rig.claim().calls) == 1

    def test_a_clock_that_steps_back_neither_stalls_nor_forgets(self, rig: LaneRig) -> None:
        """The step is absorbed: the window goes on from where it was."""
        rig.submit("b", orders(61))
        claim = rig.claim(permits=60)
        for call in claim.calls:
            rig.record(claim, call)
        rig.advance(-5)
        assert rig.claim().calls == ()
        rig.advance(WINDOW_S)
        assert len(rig.claim().calls) == 1

    def test_both_meters_are_used(self, redis: Redis) -> None:
        """Batch slots while two jobs and two slots are there; single ones in a turn of their own: 360 at once."""
        rig = LaneRig(redis, batch_size=20)
        rig.submit("b", orders(400))
        batched = rig.claim(permits=500)
        assert ([len(call.jobs) for call in batched.calls], batched.due_s) == ([20] * 15, 0)
        assert [len(call.jobs) for call in rig.claim(permits=500).calls] == [1] * 60
        assert rig.claim(permits=500).calls == ()

    def test_a_batch_of_one_never_happens(self, redis: Redis) -> None:
        """It would be charged to the other meter."""
        rig = LaneRig(redis, batch_size=20, limits=Limits(1, 3))
        rig.submit("b", orders(4))
        assert [(call.meter, len(call.jobs)) for call in rig.claim(permits=9).calls] == [("batch", 3), ("single", 1)]
        rig.submit("c", orders(1, first=50, inst_id="ETH-USDT"))
        assert [call.meter for call in rig.claim(9, "u1/ETH-USDT").calls] == ["single"]

    def test_a_lone_job_waits_for_a_single_slot_not_for_the_batch_meter(self, redis: Redis) -> None:
        """Free batch slots are no use to one job: the lane must not be due again and again."""
        rig = LaneRig(redis, batch_size=20, limits=Limits(1, 4))
        rig.submit("b", orders(3))
        assert len(rig.claim(permits=9).calls[0].jobs) == 3
        rig.submit("c", orders(2, first=10))
        assert [call.meter for call in rig.claim(permits=9).calls] == ["single"]
        assert (rig.due() or 0) > 0
        rig.submit("d", orders(1, first=20))
        assert (rig.due() or 0) > 0


class TestClaims:
    """The jobs in a worker's hands."""

    def test_a_claim_that_ran_out_goes_again_and_counts(self, rig: LaneRig) -> None:
        """Nobody knows whether it was sent; sending it again is harmless."""
        rig.submit("b", orders(1))
        rig.claim()
        rig.advance(CLAIM_S)
        job = rig.claim().calls[0].jobs[0]
        assert job.attempts == 2
        assert [entry["sMsg"] for entry in rig.row("b").log] == ["claim ran out"]

    def test_claims_that_run_out_use_up_the_attempts(self, rig: LaneRig) -> None:
        """And then the order may still be live, which its row says."""
        rig.submit("b", orders(1))
        for _ in range(3):
            rig.claim()
            rig.advance(CLAIM_S)
        rig.claim()
        assert (rig.row("b").status, rig.row("b").attempts) == ("exhausted", 3)

    def test_the_same_claim_id_gets_the_same_grant(self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
        """A claim whose reply was lost is asked again and takes nothing more."""
        rig.submit("b", orders(10))
        monkeypatch.setattr("bulk_cancel.worker.state.lanes.uuid.uuid4", lambda: type("U", (), {"hex": "same"}))
        assert rig.claim(permits=3).calls == rig.claim(permits=3).calls
        assert len(rig.places()["claimed"]) == 3

    def test_a_record_given_twice_acts_once(self, rig: LaneRig) -> None:
        """History, counters and the outcome stream do not see the second."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.record(claim)
        rig.record(claim)
        assert rig.batches.state("b").counts == {"accepted": 1}
        assert rig.redis.xlen(rig.keys.of("outcomes")) == 1
        assert len(rig.row("b").log) == 1

    def test_a_late_record_may_end_a_job(self, rig: LaneRig) -> None:
        """Its claim ran out and another worker has the job, but the exchange has spoken."""
        rig.submit("b", orders(1))
        late = rig.claim()
        rig.advance(CLAIM_S)
        other = rig.claim()
        assert rig.record(late).stale == 1
        assert rig.row("b").status == "accepted"
        assert rig.record(other).stale == 1
        assert rig.redis.xlen(rig.keys.of("outcomes")) == 1

    def test_a_late_record_never_puts_a_job_back(self, rig: LaneRig) -> None:
        """A retry decided by a claim that ran out leaves the job with whoever holds it."""
        rig.submit("b", orders(1))
        late = rig.claim()
        rig.advance(CLAIM_S)
        rig.claim()
        rig.record(late, decided=(retried(late.calls[0].jobs[0], 0.0),))
        assert rig.places() == {"ready": [], "later": [], "claimed": ["o1"]}

    def test_a_late_record_of_an_earlier_generation_changes_nothing(self, rig: LaneRig) -> None:
        """The order was asked for again after its job had ended."""
        rig.submit("b", orders(1))
        late = rig.claim()
        rig.advance(CLAIM_S)
        again = rig.claim()
        rig.record(again, decided=(finished(again.calls[0].jobs[0], "rejected", "51000"),))
        rig.submit("c", orders(1))
        rig.record(late)
        assert (rig.row("b").status, rig.row("c").status) == ("rejected", "queued")

    def test_a_retry_waits_its_time_and_keeps_its_place(self, rig: LaneRig) -> None:
        """Later than its delay, but before the jobs that came after it."""
        rig.submit("b", orders(2))
        claim = rig.claim()
        rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 1.5),))
        assert rig.places() == {"ready": ["o2"], "later": ["o1"], "claimed": []}
        rig.advance(1.5)
        assert [job.id for call in rig.claim(permits=2).calls for job in call.jobs] == [
            "u1/BTC-USDT/o1",
            "u1/BTC-USDT/o2",
        ]

    def test_an_attempt_that_does_not_count_is_not_used_up(self, rig: LaneRig) -> None:
        """Wider scopes do not burn a job's attempts."""
        rig.submit("b", orders(1))
        for _ in range(5):
            claim = rig.claim()
            rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 0.0, counts=False),))
        assert rig.claim().calls[0].jobs[0].attempts == 1

    def test_urgent_orders_overtake(self, rig: LaneRig) -> None:
        """First come, first served within a priority; urgent before normal."""
        rig.submit("b", orders(2))
        rig.submit("c", orders(2, first=11), urgent=True)
        rig.submit("d", orders(1, first=2), urgent=True)
        claimed = [job.id.rpartition("/")[2] for call in rig.claim(permits=9).calls for job in call.jobs]
        assert claimed == ["o11", "o12", "o2", "o1"]

    def test_a_deadline_that_passed_is_not_sent(self, rig: LaneRig) -> None:
        """It ends as exhausted, and takes no slot."""
        rig.submit("b", orders(1), deadline_s=1)
        rig.submit("c", orders(1, first=2))
        rig.advance(1)
        assert [job.id for call in rig.claim(permits=2).calls for job in call.jobs] == ["u1/BTC-USDT/o2"]
        assert rig.row("b").status == "exhausted"

    def test_what_a_claim_ended_is_told_and_told_again(self, rig: LaneRig) -> None:
        """Somebody must hear of it, even if the first answer was lost."""
        rig.submit("b", orders(1), deadline_s=1)
        rig.advance(1)
        claim = rig.claim()
        assert claim.calls == ()
        (ended,) = claim.exhausted
        assert (ended.job, ended.lane, ended.batches) == (f"{LANE}/o1", LANE, ("b",))
        kept = rig.redis.hget(rig.keys.of("claim", claim.id), "grant")
        assert f"{LANE}/o1" in str(kept).replace("\\/", "/")
        assert rig.claim().exhausted == ()

    @pytest.mark.parametrize("place", ["ready", "claimed"])
    def test_a_job_that_redis_lost_is_named_and_stops_nobody(self, rig: LaneRig, place: str) -> None:
        """Whoever deleted it has to see to its order; those behind it are sent."""
        rig.submit("b", orders(2))
        if place == "claimed":
            rig.claim()
            rig.advance(CLAIM_S)
        rig.redis.delete(rig.keys.of("job", "u1/BTC-USDT/o1"))
        claim = rig.claim(permits=2)
        assert claim.lost == ("u1/BTC-USDT/o1",)
        assert [job.id for call in claim.calls for job in call.jobs] == ["u1/BTC-USDT/o2"]
        assert rig.places() == {"ready": [], "later": [], "claimed": ["o2"]}


class TestBatches:
    """What producers see."""

    def test_an_outcome_is_written_into_every_batch_that_waits(self, rig: LaneRig) -> None:
        """One job, one send, and each batch counts it."""
        for name in ("a", "b", "c"):
            rig.submit(name, orders(1))
        rig.record(rig.claim())
        assert rig.claim().calls == ()
        assert [rig.batches.state(name).counts for name in "abc"] == [{"accepted": 1}] * 3
        assert all(rig.batches.state(name).complete for name in "abc")

    def test_the_same_batch_again_changes_nothing(self, rig: LaneRig) -> None:
        """It answers with what is known; the orders may come in another order."""
        first = rig.submit("b", orders(3))
        again = rig.submit("b", list(reversed(orders(3))))
        assert (first.new, first.known, again.new, again.known, again.size) == (3, 0, 0, 3, 3)
        assert again.sealed

    def test_the_same_id_with_other_orders_is_refused(self, rig: LaneRig) -> None:
        """Nothing of it is taken."""
        rig.submit("b", orders(3))
        with pytest.raises(BatchConflictError, match="'b' is known with 3 other orders"):
            rig.submit("b", orders(4))
        assert len(rig.places()["ready"]) == 3
        rig.submit("c", orders(1))
        with pytest.raises(BatchConflictError, match="'c' is known with 1 other order;"):
            rig.submit("c", orders(2))

    def test_a_large_batch_is_sealed_with_its_last_chunk(self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
        """A producer that died half way submits again, and the batch is completed order by order."""
        ask = rig.scripts.ask
        calls = iter([True, False])
        monkeypatch.setattr(rig.scripts, "ask", lambda *args: ask(*args) if next(calls) else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rig.submit("b", orders(1200))
        monkeypatch.setattr(rig.scripts, "ask", ask)
        assert not rig.batches.state("b").sealed
        receipt = rig.submit("b", orders(1200))
        assert (receipt.sealed, receipt.new, receipt.known, receipt.size) == (True, 700, 500, 1200)

    def test_lanes_take_turns_when_a_batch_is_admitted(self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
        """None waits until all of another one's orders are in; the rows keep the order in which they were asked for."""
        chunks = list[Counter[str]]()
        ask = rig.scripts.ask

        def seen(verb: str, argument: Mapping[str, Any]) -> Asking[dict[str, Any]]:
            chunks.append(Counter(argument["orders"]["lane"]))
            return ask(verb, argument)

        monkeypatch.setattr(rig.scripts, "ask", seen)
        rig.submit("b", [*orders(450), *orders(450, first=1001, inst_id="ETH-USDT")])
        assert chunks == [{LANE: 300, "u1/ETH-USDT": 200}, {LANE: 150, "u1/ETH-USDT": 250}]
        assert [row.ordId for row in rig.batches.rows("b")][448:452] == ["449", "450", "1001", "1002"]
        assert rig.places()["ready"][-2:] == ["o449", "o450"]

    def test_a_batch_completed_after_its_deadline_has_its_time_from_then(self, rig: LaneRig) -> None:
        """What the producer was told to do after an error must not end in exhausted orders."""
        ask = rig.scripts.ask
        calls = iter([True, False])
        rig.scripts.ask = lambda *args: ask(*args) if next(calls) else 1 / 0  # type: ignore[method-assign,assignment]
        with pytest.raises(ZeroDivisionError):
            rig.submit("b", orders(600), deadline_s=5)
        rig.scripts.ask = ask  # type: ignore[method-assign]
        rig.advance(60)
        assert rig.submit("b", orders(600), deadline_s=5).new == 100
        rig.advance(4)
        for _ in range(9):  # the first 500 end on the way, 60 a claim
            claim = rig.claim(60)
        assert {job.ref.ordId for call in claim.calls for job in call.jobs} == {str(n) for n in range(501, 541)}

    def test_a_batch_ends_complete_however_its_jobs_end_between_chunks(self, rig: LaneRig) -> None:
        """Outcomes before the seal count too."""
        ask = rig.scripts.ask

        def ask_and_finish(verb: str, argument: dict[str, object]) -> Asking[dict[str, Any]]:
            reply = yield from ask(verb, argument)
            if verb == "admit":
                claim = rig.claim(permits=60)
                for call in claim.calls:
                    rig.record(claim, call)
            return reply

        rig.scripts.ask = ask_and_finish  # type: ignore[method-assign,assignment]
        rig.submit("b", orders(520))
        rig.scripts.ask = ask  # type: ignore[method-assign]
        while rig.batches.state("b").waiting:
            rig.advance(3)
            claim = rig.claim(permits=60)
            for call in claim.calls:
                rig.record(claim, call)
        state = rig.batches.state("b")
        assert state.complete
        assert state.counts == {"accepted": 520}
        assert state.completed_at is not None

    @pytest.mark.parametrize("status", ["canceled", "filled"])
    def test_an_order_proved_to_be_off_the_book_is_answered_from_memory(self, rig: LaneRig, status: str) -> None:
        """No second send; the row says how it ended before."""
        rig.submit("b", orders(1))
        rig.end_proved(status)
        receipt = rig.submit("c", orders(1))
        assert (receipt.remembered, receipt.new) == (1, 0)
        assert rig.batches.state("c").complete
        assert (rig.row("c").status, rig.row("c").sCode) == (status, "51400")
        assert rig.claim().calls == ()

    @pytest.mark.parametrize("other", [{"api_key": "k2"}, {"base_url": "http://127.0.0.1:2"}, {"demo": True}])
    def test_what_another_key_or_address_told_is_not_believed(self, rig: LaneRig, other: dict[str, Any]) -> None:
        """The account of that name is another one now: its order of this id may be live, be it handed in or retried."""
        rig.submit("b", orders(1))
        rig.end_proved()
        (account,) = rig.user.accounts
        now = replace(rig.user, accounts=(replace(account, **other),))
        Directory(rig.redis, rig.keys, {"u1": now}, window_s=2.0).publish(rig.scripts)
        receipt = rig.submit("c", orders(1))
        assert (receipt.remembered, receipt.new) == (0, 1)
        claim = rig.claim()
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "exhausted"),))
        rig.store.directory.publish(rig.scripts)
        rig.submit("d", orders(1))
        rig.end_proved()
        Directory(rig.redis, rig.keys, {"u1": now}, window_s=2.0).publish(rig.scripts)
        assert rig.decisions.retry("c", Asked("ann")).opened == 1

    def test_what_version_1_0_remembers_is_not_believed(self, rig: LaneRig) -> None:
        """It did not keep by which key it was told."""
        rig.submit("b", orders(1))
        rig.end_proved()
        key = rig.keys.of("job", f"{LANE}/o1")
        kept = json.loads(str(rig.redis.get(key)))
        assert kept.pop("source") == rig.user.source
        rig.redis.set(key, json.dumps(kept))
        assert rig.submit("c", orders(1)).new == 1

    def test_an_order_that_was_only_unknown_is_asked_for_again(self, rig: LaneRig) -> None:
        """It was asked with another key, or too early: who hands it in again means a live order."""
        rig.submit("b", orders(1))
        claim = rig.claim()
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "gone", "51400"),))
        receipt = rig.submit("c", orders(1))
        assert (receipt.remembered, receipt.new) == (0, 1)
        assert rig.claim().calls[0].jobs[0].generation == 2

    def test_an_accepted_order_is_sent_again_when_asked_again(self, rig: LaneRig) -> None:
        """Accepted is not off the book: the next batch opens the next generation."""
        rig.submit("b", orders(1))
        rig.record(rig.claim())
        rig.submit("c", orders(1))
        assert rig.claim().calls[0].jobs[0].generation == 2

    def test_a_client_id_is_joined_only_before_its_first_send(self, rig: LaneRig) -> None:
        """It may name another order by now, so whoever asks after the send gets a send of his own."""
        asked = [{"instId": "BTC-USDT", "clOrdId": "x1"}]
        rig.submit("a", asked)
        rig.submit("b", asked)
        claim = rig.claim()
        rig.submit("c", asked)
        rig.submit("d", asked, urgent=True)
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "gone", "51400"),))
        assert [rig.batches.state(name).complete for name in "abcd"] == [True, True, False, False]
        assert rig.claim().calls == ()  # the book is asked first
        rig.name_order("77")
        again = rig.claim()
        assert again.calls[0].jobs[0].generation == 2
        rig.record(again)
        assert [rig.row(name).status for name in "abcd"] == ["gone", "gone", "accepted", "accepted"]

    def test_repeated_orders_of_one_batch_count_once(self, rig: LaneRig) -> None:
        """The receipt says how many came more than once."""
        receipt = rig.submit("b", [*orders(2), *orders(2)])
        assert (receipt.size, receipt.repeated, receipt.duplicates) == (2, 2, 2)

    def test_the_receipt_tells_the_earliest_end(self, rig: LaneRig) -> None:
        """150 orders at 60 in 2 s: two windows after the first."""
        receipt = rig.submit("b", orders(150))
        assert (receipt.earliest_done_at - receipt.created_at).total_seconds() == pytest.approx(4.0)

    def test_an_unknown_account_is_named_with_those_known(self, rig: LaneRig) -> None:
        """Nothing is taken."""
        with pytest.raises(UnknownAccountError, match="unknown account 'nobody'; known accounts: a1"):
            rig.admission._directory.find("nobody")

    def test_jobs_past_their_deadline_end_wherever_they_wait(self, rig: LaneRig) -> None:
        """The sweep finds those in lanes that get no turn."""
        rig.submit("b", orders(3), deadline_s=5)
        claim = rig.claim()
        rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 60.0),))
        rig.advance(5)
        assert sorted(ended.job for ended in rig.board.sweep()) == [f"{LANE}/o{number}" for number in (1, 2, 3)]
        assert rig.batches.state("b").counts == {"exhausted": 3}
        assert rig.due() is None

    @pytest.mark.parametrize("found_by", ["claim", "sweep"])
    def test_what_the_exchange_said_last_stays_when_time_is_up(self, rig: LaneRig, found_by: str) -> None:
        """However long ago: a later cancel had no answer. In the row, in the stream and in what is told."""
        rig.submit("b", orders(1), deadline_s=5)
        claim = rig.claim()
        rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 0.0),))
        claim = rig.claim()
        silent = retried(claim.calls[0].jobs[0], 0.0)._replace(code="", attempt='{"sCode":""}')
        rig.record(claim, decided=(silent,))
        rig.advance(6)
        (ended,) = rig.claim().exhausted if found_by == "claim" else rig.board.sweep()
        ((_, told),) = cast("list[tuple[str, dict[str, str]]]", rig.redis.xrevrange(rig.keys.of("outcomes"), count=1))
        assert (ended.code, rig.row("b").sCode, told["sCode"]) == ("51410", "51410", "51410")

    def test_a_later_deadline_of_another_batch_keeps_the_job(self, rig: LaneRig) -> None:
        """Each batch ends by its own deadline; the job goes on for who still waits, and may end well for them."""
        rig.submit("b", orders(2), deadline_s=5)
        rig.submit("c", orders(2), deadline_s=50)
        sent = rig.claim()
        rig.record(sent, decided=(retried(sent.calls[0].jobs[0], 40.0),))
        rig.advance(6)
        assert {(ended.batches, ended.attempts) for ended in rig.board.sweep()} == {(("b",), 0), (("b",), 1)}
        assert (rig.batches.state("b").complete, rig.batches.state("b").counts) == (True, {"exhausted": 2})
        assert rig.row("b").sMsg == "deadline passed; its cancel goes on for other batches"
        assert [rig.row("b", place).sCode for place in (0, 1)] == ["51410", ""]
        assert (len(rig.row("b").log), rig.batches.state("c").waiting) == (1, 2)
        assert rig.redis.zcard(rig.keys.of("may_be_live")) == 0
        claim = rig.claim()
        assert claim.calls[0].jobs[0].batches == ("c",)
        rig.record(claim)
        assert rig.batches.state("c").counts == {"accepted": 1}
        rig.advance(45)
        assert [ended.batches for ended in rig.board.sweep()] == [("c",)]

    def test_what_is_being_sent_or_confirmed_keeps_its_batch(self, redis: Redis) -> None:
        """Its answer, or the book, is about to tell."""
        rig = LaneRig(redis, confirm=True)
        for batch, deadline_s in (("b", 5), ("c", 50)):
            rig.submit(batch, orders(2), deadline_s=deadline_s)
        claims = [rig.claim(), rig.claim()]
        rig.record(claims[0], decided=(believed(claims[0].calls[0].jobs[0]),))
        rig.advance(6)
        assert rig.board.sweep() == []
        assert rig.batches.state("b").waiting == 2

    def test_a_batch_that_waits_for_the_next_send_of_a_client_id_ends_in_time(self, rig: LaneRig) -> None:
        """The send that is on is another batch's."""
        asked = [{"instId": "BTC-USDT", "clOrdId": "x1"}]
        rig.submit("a", asked, deadline_s=50)
        claim = rig.claim()
        rig.submit("b", asked, deadline_s=5)
        rig.submit("c", asked, deadline_s=50)
        rig.advance(6)
        assert [ended.batches for ended in rig.board.sweep()] == [("b",)]
        rig.record(claim)
        assert rig.claim().calls == ()  # the book is asked first
        rig.name_order("77", ago_s=3600)
        assert rig.claim().calls[0].jobs[0].batches == ("c",)

    def test_given_again_as_urgent_it_is_urgent(self, rig: LaneRig) -> None:
        """What of it waits goes to the front of the line, and its lane to the urgent ones."""
        rig.submit("other", orders(2, first=10))
        rig.submit("b", orders(2))
        assert rig.redis.zcard(rig.keys.of("urgent")) == 0
        assert rig.submit("b", orders(2), urgent=True).new == 0
        assert rig.batches.state("b").urgent
        assert rig.redis.zcard(rig.keys.of("urgent")) == 1
        assert [job.id for call in rig.claim(permits=2).calls for job in call.jobs] == [f"{LANE}/o1", f"{LANE}/o2"]
        rig.submit("b", orders(2))
        assert rig.batches.state("b").urgent

    def test_an_order_that_a_crowd_waits_for_is_refused(self, rig: LaneRig) -> None:
        """Its job would grow without bound; nothing of the part is taken, and a batch that has it may come again."""
        rig.submit("b", orders(1))
        rig.crowd("1", batch_id="b")
        with pytest.raises(AdmissionError, match="waited for by as many batches as an order may have"):
            rig.submit("c", [*orders(1, first=2), *orders(1)])
        with pytest.raises(UnknownBatchError):
            rig.batches.state("c")
        assert rig.submit("b", orders(1)).new == 0
        assert rig.submit("d", orders(1, first=2)).new == 1


class TestRests:
    """Rest until T, then one probe."""

    def test_a_resting_lane_is_probed_once_and_goes_on(self, rig: LaneRig) -> None:
        """One job when the rest is over; the rest of the lane after its success."""
        rig.submit("b", orders(5))
        claim = rig.claim()
        job = claim.calls[0].jobs[0]
        rig.record(
            claim, decided=(retried(job, 0.0, counts=False),), rests=(rest(f"lane:{LANE}", 2.0, 2.0),), refused=True
        )
        assert rig.claim(permits=9).reason == f"lane:{LANE}"
        assert rig.due() == pytest.approx(2.0)
        rig.advance(2.0)
        probe = rig.claim(permits=9)
        assert (len(probe.calls), probe.probes) == (1, (f"lane:{LANE}",))
        assert rig.claim(permits=9).calls == ()
        assert rig.record(probe, mended=probe.probes).due_s == 0
        assert len(rig.claim(permits=9).calls) == 4

    def test_a_failed_probe_doubles_the_rest_up_to_its_cap(self, rig: LaneRig) -> None:
        """And a dead prober only delays the next probe by its lease."""
        scope = rig.exchange_scope
        rig.submit("b", orders(5))
        claim = rig.claim()
        job = claim.calls[0].jobs[0]
        rig.record(claim, slots="release", decided=(returned(job),), rests=(rest(scope, 0.5, 1.5),), answered=False)
        for wait_s in (0.5, 1.0, 1.5, 1.5):
            assert rig.claim().due_s == pytest.approx(wait_s)
            rig.advance(wait_s)
            probe = rig.claim()
            assert probe.probes == (scope,)
            failed = (returned(probe.calls[0].jobs[0]),)
            rig.record(probe, slots="release", decided=failed, rests=(rest(scope, 0.5, 1.5),), answered=False)
        rig.advance(1.5)
        assert rig.claim().probes == (scope,)
        rig.advance(CLAIM_S)
        assert rig.claim().probes == (scope,)

    def test_the_job_of_a_failed_probe_lets_the_next_one_probe(self, rig: LaneRig) -> None:
        """The cause may be its own: it must not hold up everything behind it."""
        scope = rig.exchange_scope
        rig.submit("b", orders(3))
        claim = rig.claim()
        blamed = (retried(claim.calls[0].jobs[0], 0.0, counts=False),)
        rig.record(claim, decided=blamed, rests=(rest(scope),))
        rig.advance(0.5)
        probe = rig.claim(permits=9)
        assert probe.calls[0].jobs[0].id == "u1/BTC-USDT/o1"
        rig.record(probe, decided=(retried(probe.calls[0].jobs[0], 0.0, counts=False),), rests=(rest(scope),))
        rig.advance(1.0)
        probe = rig.claim(permits=9)
        assert probe.calls[0].jobs[0].id == "u1/BTC-USDT/o2"
        rig.record(probe, mended=probe.probes)
        rig.advance(0.05)
        assert len(rig.claim(permits=9).calls) == 2

    def test_a_rest_that_nobody_came_to_probe_lapses(self, rig: LaneRig) -> None:
        """What was wrong long ago does not slow down the next batch."""
        rig.submit("b", orders(1))
        rig.record(rig.claim(), rests=(rest(rig.exchange_scope),))
        ttl = int(str(rig.redis.ttl(rig.keys.of("rest", rig.exchange_scope))))
        assert 60 - PATIENCE_S < ttl <= 61

    def test_a_probe_that_finds_no_single_slot_is_a_batch_call_of_two(self, redis: Redis) -> None:
        """The address would rest for as long as the lane's single meter is full. One order alone has to wait for it."""
        rig = LaneRig(redis, batch_size=20, limits=Limits(1, 300))
        rig.submit("b", orders(1))
        alone = rig.claim()
        assert alone.calls[0].meter == "single"
        rig.submit("c", orders(3, first=100))
        rig.record(
            alone, slots="keep", decided=(retried(alone.calls[0].jobs[0], 60),), rests=(rest(rig.exchange_scope),)
        )
        rig.claim()
        assert rig.due() == pytest.approx(0.5)
        rig.advance(0.5)
        probe = rig.claim(permits=9)
        assert probe.probes == (rig.exchange_scope,)
        assert [(call.meter, len(call.jobs)) for call in probe.calls] == [("batch", 2)]
        rig.record(probe, rests=(rest(rig.exchange_scope),))
        rig.advance(1.0)
        assert rig.claim().calls == ()
        assert rig.due() == pytest.approx((TIMING.open_us + TIMING.window_us) / 1e6 - 1.5 + 0.005)

    def test_every_lane_of_the_address_goes_on_after_the_probe(self, rig: LaneRig) -> None:
        """Those that waited are due at once, not at the end of a long rest."""
        scope = rig.exchange_scope
        rig.submit("b", [*orders(2), *orders(2, first=10, inst_id="ETH-USDT")])
        claim = rig.claim()
        job = claim.calls[0].jobs[0]
        rig.record(claim, slots="release", decided=(returned(job),), rests=(rest(scope, 5.0),), answered=False)
        assert rig.claim(9, "u1/ETH-USDT").due_s == pytest.approx(5.0)
        rig.advance(5.0)
        probe = rig.claim()
        assert rig.claim(9, "u1/ETH-USDT").calls == ()
        rig.record(probe, mended=probe.probes)
        assert rig.due("u1/ETH-USDT") == 0

    def test_a_lane_that_asked_during_its_probe_is_due_when_the_rest_ends(self, rig: LaneRig) -> None:
        """Not when the probe's lease would have ended, which may be much later."""
        scope = rig.exchange_scope
        rig.submit("b", orders(5))
        claim = rig.claim()
        rig.record(claim, decided=(retried(claim.calls[0].jobs[0], 0.0, counts=False),), rests=(rest(scope),))
        rig.advance(0.5)
        probe = rig.claim()
        assert rig.claim().due_s == pytest.approx(CLAIM_S)
        rig.advance(0.02)
        failed = (retried(probe.calls[0].jobs[0], 0.0, counts=False),)
        assert rig.record(probe, decided=failed, rests=(rest(scope),)).due_s == 0
        assert rig.claim().due_s == pytest.approx(1.0)

    def test_probes_of_other_scopes_do_not_lengthen_a_rest(self, rig: LaneRig) -> None:
        """Two lanes end their own rests into one outage of the address: it rests once, and not twice as long."""
        lanes, scope = ("u1/BTC-USDT", "u1/ETH-USDT"), rig.exchange_scope
        rig.submit("b", [*orders(2), *orders(2, first=10, inst_id="ETH-USDT")])
        for lane in lanes:
            claim = rig.claim(1, lane)
            began = rig.record(claim, decided=(), rests=(rest(f"lane:{lane}", 2.0, 2.0),))
            assert began.rested == (f"lane:{lane}",)
        rig.advance(CLAIM_S)
        probes = [rig.claim(1, lane) for lane in lanes]
        assert [probe.probes for probe in probes] == [(f"lane:{lane}",) for lane in lanes]
        told = [rig.record(probe, decided=(), rests=(rest(scope),)) for probe in probes]
        assert [each.rested for each in told] == [(scope,), ()]
        assert rig.redis.hget(rig.keys.of("rest", scope), "level") == "0"

    def test_another_account_of_the_user_sends_while_one_rests(self, redis: Redis) -> None:
        """Its credentials are as good, and the lanes are shared."""
        rig = LaneRig(redis, accounts=("a1", "a2"))
        rig.submit("b", orders(3))
        claim = rig.claim()
        job = claim.calls[0].jobs[0]
        rig.record(claim, decided=(retried(job, 0.0, counts=False),), rests=(rest("account:a1", 30, 30),))
        assert rig.claim().calls[0].account.name == "a2"
        rig.advance(30)
        assert (rig.claim().calls[0].account.name, rig.claim().probes) == ("a2", ())

    def test_a_row_of_calls_without_answer_rests_the_address(self, rig: LaneRig) -> None:
        """Five in a row; an answer in between begins a new row."""
        scope = rig.exchange_scope
        rig.submit("b", orders(60))
        claim = rig.claim(permits=12)
        for index, call in enumerate(claim.calls):
            answered = index == 3
            silence = None if answered else rest(scope)
            rig.record(claim, call, slots="settle", answered=answered, strike=silence)
            assert bool(rig.claim().calls) == (index < 8)


class TestBoard:
    """Which lane gets a turn."""

    @pytest.mark.parametrize(
        ("in_line", "retries_s", "due_s"),
        [
            (2, (), 0.0),
            (1, (0.2,), 0.2),
            (0, (0.2, 0.3), 0.3),
            (1, (), SLOT_S),
            (0, (0.2,), SLOT_S),
        ],
    )
    def test_a_lane_whose_single_slots_are_used_up_is_due_when_two_orders_can_go_together(
        self, redis: Redis, in_line: int, retries_s: tuple[float, ...], due_s: float
    ) -> None:
        """Batch slots are free: only an order that stays alone waits for a single one."""
        rig = LaneRig(redis, batch_size=20, limits=Limits(max(1, len(retries_s)), 300))
        for number in range(max(1, len(retries_s))):
            rig.submit(f"b{number}", orders(1, first=number + 1))
            claim = rig.claim()
            again = (
                retried(claim.calls[0].jobs[0], retries_s[number]) if retries_s else finished(claim.calls[0].jobs[0])
            )
            rig.record(claim, slots="keep", decided=(again,))
        if in_line:
            rig.submit("c", orders(in_line, first=100))
        assert rig.due() == pytest.approx(due_s, abs=0.021)  # 20 ms: its worker claims by itself
        rig.advance(due_s)
        assert rig.claim().calls[0].meter == ("single" if due_s == SLOT_S else "batch")

    def test_one_waker_gets_each_lane_urgent_ones_first(self, rig: LaneRig) -> None:
        """One that got no turn is offered again a second later."""
        rig.submit("b", orders(1))
        rig.submit("c", orders(1, first=5, inst_id="ETH-USDT"), urgent=True)
        assert rig.board.wake(9).lanes == ("u1/ETH-USDT", LANE)
        due = rig.board.wake(9)
        assert due.lanes == ()
        assert due.next_s == pytest.approx(1.0)
        rig.advance(1)
        assert rig.board.wake(9).lanes == ("u1/ETH-USDT", LANE)

    def test_lanes_without_room_are_left_to_others(self, rig: LaneRig) -> None:
        """The bell calls them; books and mass cancels are taken up all the same."""
        rig.submit("b", orders(1))
        rig.submit("c", orders(1, first=5, inst_id="ETH-USDT"))
        bell = rig.keys.of("bell")
        rig.redis.delete(bell)
        due = rig.board.wake(1)
        assert (len(due.lanes), due.more, due.next_s, rig.redis.llen(bell)) == (1, True, None, 1)
        rig.redis.delete(bell)
        due = rig.board.wake(0)
        assert (due.lanes, due.more, due.next_s, rig.redis.llen(bell)) == ((), True, None, 1)
        rig.redis.delete(bell)
        due = rig.board.wake(9)
        assert (len(due.lanes), due.more, due.next_s, rig.redis.llen(bell)) == (1, False, 1.0, 0)

    def test_books_are_left_to_who_can_read_them(self, rig: LaneRig) -> None:
        """And are no reason for anybody else to hurry."""
        rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "m"}))
        due = rig.board.wake(9, books=False)
        assert (due.masses, due.any, due.next_s) == ((), False, None)
        assert rig.board.wake(9).masses == ("m",)

    def test_the_bell_rings_once_when_the_board_is_due_earlier(self, rig: LaneRig) -> None:
        """However much is admitted, one element is in the list."""
        rig.submit("b", orders(1))
        rig.submit("c", orders(1, first=5, inst_id="ETH-USDT"))
        assert rig.redis.llen(rig.keys.of("bell")) == 1

    def test_a_lane_that_a_worker_drains_is_offered_to_others_only_after_a_while(self, rig: LaneRig) -> None:
        """The worker claims again by itself; two that take turns would both claim little."""
        rig.submit("b", orders(9))
        rig.board.wake(9)
        claim = rig.claim()
        assert claim.due_s == 0
        assert rig.board.wake(9).lanes == ()
        rig.advance(0.02)
        assert rig.board.wake(9).lanes == (LANE,)

    def test_a_lane_without_work_leaves_the_board(self, rig: LaneRig) -> None:
        """It gets no turn again."""
        rig.submit("b", orders(1))
        rig.record(rig.claim())
        assert rig.due() is None

    def test_a_lane_with_work_that_lost_its_place_is_put_back(self, rig: LaneRig) -> None:
        """Whatever took it off the board."""
        rig.submit("b", orders(1))
        rig.redis.delete(rig.keys.of("board"))
        rig.board.sweep()
        assert rig.due() == 0
