"""Every verb answers what its header says: all of it, and nothing else."""

import pytest

from bulk_cancel.tasks.errors import AdmissionError, BatchConflictError
from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.able import Survey
from bulk_cancel.worker.books.confirm.proof import Finding, seen_open
from bulk_cancel.worker.books.mass.masses import MassEnded
from bulk_cancel.worker.books.mass.opened import ToldOrders
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.state.scripts import VERBS
from tests.support.elsewhere import of_several, told_elsewhere
from tests.support.headers import paths
from tests.support.lane_rig import LANE, LaneRig, believed, orders, rest, retried

ASKED = Asked("ann")
METER = {"meter": "u1:pending", "call": "c", "window_us": 2_001_000}


def send(rig: LaneRig) -> None:
    """One call is refused and its lane rests; then all orders are late, and one is lost."""
    rig.submit("b", orders(3), deadline_s=5)
    assert rig.board.wake(9).lanes == (LANE,)
    grant = rig.claim()
    rig.record(grant, decided=(retried(grant.calls[0].jobs[0], 0.0),), rests=(rest(f"lane:{LANE}"),))
    rig.crowd("3", batch_id="b")
    with pytest.raises(AdmissionError):
        rig.submit("crowded", orders(1, first=3))
    rig.redis.delete(rig.keys.of("job", f"{LANE}/o2"))
    rig.advance(5)
    assert len(rig.claim().exhausted) == 1
    assert rig.claim().lost == (f"{LANE}/o2",)
    rig.board.wake(0)
    assert rig.board.may_sweep()
    assert len(rig.board.sweep()) == 2


def confirm(rig: LaneRig) -> None:
    """The book is read for two orders: one goes again, of the other nothing is known in time."""
    rig.submit("d", orders(2, inst_id="ETH-USDT"))
    for call in (grant := rig.claim(permits=2, lane="u1/ETH-USDT")).calls:
        rig.record(grant, call, decided=tuple(map(believed, call.jobs)))
    rig.advance(1)
    assert rig.board.wake(0).users == ("u1",)
    assert rig.scripts.run("slot_take", {**METER, "limit": 3, "open_us": 7_000_000, "blackout_us": 9_000_000})
    rig.scripts.run("slot_settle", {**METER, "slots": "settle"})
    look = rig.confirmations.begin(rig.user)
    assert look is not None
    first, second = look.jobs
    written = rig.confirmations.write([seen_open(first, {}), Finding(second, "end", "exhausted", "too late")])
    assert (written.again, len(written.exhausted)) == (1, 1)
    rig.confirmations.end(look, again_in_s=1)
    listens = {"uids": ["u1", "u2"], "lease_ms": 30_000, "heard": [], "alone": [], "kind": "witness"}
    assert rig.scripts.run("channel_lease", {"worker": "w", **listens})["held"] == ["u1", "u2"]
    rig.redis.delete(rig.keys.of("witness", "u1"), rig.keys.of("witness", "u2"))
    assert rig.scripts.run("channel_lease", {"worker": "v", **listens})["free"] == ["u2"]


def cancel_all(rig: LaneRig) -> None:
    """A mass cancel begins, is listed, and takes nothing more once an operator has ended it."""
    rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "m"}))
    assert rig.board.wake(0).masses == ("m",)
    assert rig.masses.hasten("u1") == 0
    ToldOrders(rig.store).write("u1", [])
    listing = rig.masses.begin("m", lease_s=7)
    assert listing is not None
    assert rig.masses.begin("m", lease_s=7) is None
    rig.masses.admit(listing, [{"instId": "SOL-USDT", "ordId": "1"}])
    rig.decisions.withdraw("m", ASKED)
    with pytest.raises(MassEnded):
        rig.masses.admit(listing, [{"instId": "SOL-USDT", "ordId": "2"}])
    assert rig.board.wake(0).surveys == ("m",)
    assert rig.masses.survey_begin("n", "s", lease_s=7) is None
    assert rig.masses.survey_begin("m", "s", lease_s=7) is not None
    rig.masses.survey_end("m", "s", Survey())


def decide(rig: LaneRig) -> None:
    """People pause, resume and retry, while a dead man's switch changes hands."""
    rig.decisions.pause("a1", ASKED)
    assert rig.submit("e", orders(1, first=30)).paused == ("user:u1",)
    assert rig.decisions.resume("a1", ASKED).ended
    assert rig.decisions.retry("b", ASKED).opened
    switch = {"uid": "u1", "worker": "w", "lease_us": 3_000_000, "note": {}}
    assert rig.scripts.run("switch_hold", switch)["mine"]
    assert rig.scripts.run("switch_leave", {**switch, "fresh_us": 4_000_000})["last"]


def live(rig: LaneRig) -> None:
    """A worker says who it is, and whom it serves."""
    rig.board.beat("w", {"pid": 1})
    rig.store.directory.publish(rig.scripts)
    assert rig.scripts.run("register", {"user": "u", "uid": "1", "kept_s": 30})["uid"] == "1"
    asked = {"user": "v", "uid": "1", "by": "w", "lease_us": 9_000_000}
    assert rig.scripts.run("own", {**asked, "step": "ask"})["state"] == "asked"
    decided = {"decision": "o", "step": 0, "by": "ann", "reason": "", "user": "w", "scope": "user:1", "account": "a1"}
    assert rig.scripts.run("disown", {**decided, "accounts": [], "retention_s": 60})["answer"] == "not owned"


def move(rig: LaneRig) -> None:
    """An account that came from another shard asks for what it has asked for there."""
    told_elsewhere(rig, {"a1 old": "b"})
    with pytest.raises(BatchConflictError):
        of_several(rig, "old", orders(1, first=40))


def upgrade(rig: LaneRig) -> None:
    """A format is not raised while a worker lives that does not read it."""
    rig.board.beat("w", {"release": "1.0"})
    argument = {"decision": "d", "step": 0, "by": "ann", "reason": "", "kind": "runner", "mark": "runner:t", "to": 2}
    assert rig.scripts.run("format_raise", {**argument, "gone_s": 10, "blackout_us": 1, "retention_s": 60})["blockers"]


def test_all_that_headers_say_is_answered(rig: LaneRig) -> None:
    """And nothing else: the rig's scripts compare every answer with its verb's header, in every test."""
    for scene in (send, confirm, cancel_all, decide, live, move, upgrade):
        scene(rig)
    assert {path for verb in VERBS for path in paths(verb)} - rig.scripts.seen == set()
