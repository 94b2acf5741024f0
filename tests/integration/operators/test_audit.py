"""Does the audit hold every decision, once, and tell a batch's story in order?"""

import pytest
from redis import Redis

from bulk_cancel.worker.operators import audit
from bulk_cancel.worker.operators.audit import Decision
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.story import read_story
from bulk_cancel.worker.state.batches import UnknownBatchError
from tests.support.lane_rig import LANE, LaneRig, finished, orders

ASKED = Asked("risk-1", "by hand")


@pytest.fixture
def rig(redis: Redis) -> LaneRig:
    """One user with two accounts."""
    return LaneRig(redis, accounts=("a1", "a2"))


def story(rig: LaneRig, batch_id: str) -> list[Decision]:
    """What `bulk-cancel audit BATCH` tells."""
    return read_story(rig.redis, rig.keys, rig.audit, rig.batches, batch_id)


def end(rig: LaneRig, status: str, lane: str = LANE) -> None:
    """Every order of the lane ends."""
    claim = rig.claim(60, lane)
    for call in claim.calls:
        rig.record(claim, call, decided=tuple(finished(job, status) for job in call.jobs))


class TestStream:
    """What is written, and how it is read."""

    def test_a_batch_is_submitted_once(self, rig: LaneRig) -> None:
        """With all that was said of it, however often and in however many chunks it is handed in."""
        asked = {"urgent": True, "reason": "limit", "requested_by": "risk", "labels": {"a": "1"}, "deadline_s": 60}
        for _ in range(2):
            rig.submit("b", orders(600), **asked)
        [told] = rig.audit.read()
        assert (told.event, told.batch_id, told.account, told.by, told.reason) == (
            "submitted", "b", "a1", "risk", "limit",
        )  # fmt: skip
        assert told.facts == {"size": 600, "urgent": True, "deadline_s": 60, "labels": {"a": "1"}}
        assert told.at == rig.batches.state("b").created_at

    def test_decisions_of_others_are_added(self, rig: LaneRig) -> None:
        """With whatever facts they have."""
        rig.audit.add("cancel_all", by="risk", reason="limit", account="a1", batch_id="b", facts={"side": "buy"})
        [told] = rig.audit.read()
        assert (told.event, told.by, told.account, told.facts) == ("cancel_all", "risk", "a1", {"side": "buy"})

    def test_a_long_stream_is_read_in_pages(self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both ways, nothing twice, nothing left out; the newest ones come without reading all."""
        monkeypatch.setattr(audit, "PAGE", 3)
        for number in range(10):
            rig.audit.add("note", by=str(number))
        assert [told.by for told in rig.audit.read()] == list("0123456789")
        assert [told.by for told in rig.audit.newest(4)] == list("6789")
        assert [told.by for told in rig.audit.newest(99)] == list("0123456789")

    def test_steps_are_one_decision(self, rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
        """Their counts added up, in pages too, in both directions."""
        monkeypatch.setattr(audit, "PAGE", 2)
        rig.submit("b", orders(1100))
        rig.decisions.withdraw("b", ASKED)
        rig.audit.add("note", by="x")
        assert rig.redis.xlen(rig.keys.of("audit")) == 7
        for told in (list(rig.audit.read()), rig.audit.newest(9)):
            assert [decision.event for decision in told] == ["submitted", "withdraw", "note"]
            assert told[1].facts["withdrawn"] == 1100

    def test_it_is_kept_for_the_retention(self, rig: LaneRig) -> None:
        """Old entries go as new ones come."""
        for number in range(300):
            rig.redis.xadd(rig.keys.of("audit"), {"event": "old"}, id=f"{number + 1}-0")
        rig.submit("b", orders(1))
        assert int(str(rig.redis.xlen(rig.keys.of("audit")))) < 300
        rig.redis.delete(rig.keys.of("audit"))
        for number in range(300):
            rig.redis.xadd(rig.keys.of("audit"), {"event": "old"}, id=f"{number + 1}-0")
        rig.audit.add("note", by="x")
        assert int(str(rig.redis.xlen(rig.keys.of("audit")))) < 300


class TestStory:
    """One batch, in order."""

    def test_from_submission_to_completion(self, rig: LaneRig) -> None:
        """Its decisions, those about its account and its lanes meanwhile, and nothing else."""
        rig.submit("other", orders(1, inst_id="ETH-USDT", first=50))
        rig.submit("b", orders(2))
        for name in ("a2", LANE, "u1/ETH-USDT"):
            rig.advance(1)
            rig.decisions.pause(name, ASKED)
        for name in ("a2", LANE):
            rig.advance(1)
            rig.decisions.resume(name, ASKED)
        end(rig, "rejected")
        rig.advance(1)
        rig.decisions.withdraw("other", ASKED)
        rig.decisions.retry("b", ASKED)
        rig.advance(1)
        end(rig, "accepted")
        rig.advance(1)
        rig.decisions.pause("a1", ASKED)
        told = story(rig, "b")
        assert [(decision.event, decision.scope) for decision in told] == [
            ("submitted", ""), ("pause", "user:u1"), ("pause", f"lane:{LANE}"), ("resume", "user:u1"),
            ("resume", f"lane:{LANE}"), ("completed", ""), ("retry", ""), ("completed", ""),
        ]  # fmt: skip
        assert [decision.facts["counts"] for decision in told if decision.event == "completed"] == [
            {"rejected": 2}, {"accepted": 2},
        ]  # fmt: skip
        assert told == sorted(told, key=lambda decision: decision.at)

    def test_a_pause_that_held_when_the_batch_came_is_part_of_it(self, rig: LaneRig) -> None:
        """One that had ended is not."""
        rig.submit("first", orders(1))
        rig.decisions.pause(LANE, ASKED)
        rig.decisions.resume(LANE, ASKED)
        rig.decisions.pause("a1", ASKED)
        rig.advance(1)
        rig.submit("b", orders(1, first=9))
        assert [(told.event, told.scope) for told in story(rig, "b")] == [("pause", "user:u1"), ("submitted", "")]

    def test_a_submission_that_was_trimmed_is_told_from_the_batch(self, rig: LaneRig) -> None:
        """A batch is kept from its completion on, the stream by age."""
        rig.submit("b", orders(2), reason="limit", requested_by="risk")
        rig.redis.delete(rig.keys.of("audit"))
        [told] = story(rig, "b")
        assert (told.event, told.reason, told.by, told.facts["size"]) == ("submitted", "limit", "risk", 2)

    def test_a_batch_that_is_kept_no_longer(self, rig: LaneRig) -> None:
        """The stream tells what it has; nobody knows a batch of which nothing is left."""
        rig.submit("b", orders(2))
        rig.redis.delete(rig.keys.of("batch", "b"))
        assert [told.event for told in story(rig, "b")] == ["submitted"]
        with pytest.raises(UnknownBatchError):
            story(rig, "nope")
