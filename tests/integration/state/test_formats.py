"""Is a state whose format a release cannot read left alone, and is a format raised only when all who live read it?"""

import json
from collections.abc import Callable

import pytest
from redis import Redis

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.formats import Raised, raise_formats
from bulk_cancel.worker.state.fleet import read_marks, read_workers
from bulk_cancel.worker.state.formats import FORMATS, Formats, Reads, formats_told
from bulk_cancel.worker.state.rests import read_clock
from bulk_cancel.worker.state.scripts import VERBS, Scripts
from tests.support.lane_rig import LaneRig, orders

ANN = Asked("ann", "1.2 is everywhere")
NEXT: Formats = {"exchange": Reads(1, 2), "runner": Reads(1, 2)}
FACTS = {"pid": 1, "started": 1, "in_flight": 0, "permits": 1, "problems": {}}


@pytest.fixture
def newer(redis: Redis) -> LaneRig:
    """A release that reads one format more, on the same Redis as the rig; no worker lives."""
    return LaneRig(redis, formats=NEXT)


def beat(rig: LaneRig, name: str) -> None:
    """A worker of this rig's release reports itself."""
    rig.board.beat(name, {**FACTS, "release": "x", "formats": formats_told(rig.scripts.formats)})


def beat_of_1_0(rig: LaneRig, name: str) -> None:
    """A worker of release 1.0 does."""
    rig.redis.hset(rig.keys.of("workers"), name, json.dumps({**FACTS, "at": rig.us // 1_000_000}))


def marks(rig: LaneRig) -> dict[str, int]:
    """What is marked."""
    return {str(kind): mark for kind, mark in read_marks(rig.redis, rig.keys).items()}


def stands(rig: LaneRig) -> tuple[object, object]:
    """The names of all keys, and the clock, which every verb writes first."""
    return sorted(rig.redis.scan_iter()), rig.redis.hgetall(rig.keys.of("clock"))


def test_nothing_is_marked_and_nothing_to_be_raised_today(rig: LaneRig) -> None:
    """What 1.0 wrote is format 1, and this release reads no other."""
    assert raise_formats(rig.store, ANN) == []
    assert marks(rig) == {"exchange": 1, "runner": 1}
    assert not rig.redis.exists(rig.keys.of("formats"))


@pytest.mark.parametrize("field", ["exchange", "runner:t"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_leaves_a_format_alone_that_it_cannot_read(rig: LaneRig, verb: str, field: str) -> None:
    """Without a look at what it was asked, and in one sentence."""
    rig.submit("b", orders(2))
    rig.redis.hset(rig.keys.of("formats"), field, "2")
    before = stands(rig)
    with pytest.raises(UnreadableFormatError, match="has format 2, this reads 1: start a release that reads 2"):
        Scripts(rig.redis, "t").run(verb, {})
    assert stands(rig) == before


def test_it_is_said_even_where_the_clock_has_moved(rig: LaneRig) -> None:
    """A later format leaves a text under the old name, so that release 1.0, which looks at no mark, sends nothing."""
    rig.redis.hset(rig.keys.of("formats"), "exchange", "2")
    rig.redis.set(rig.keys.of("clock"), "moved")
    with pytest.raises(UnreadableFormatError, match="the exchange's state in Redis has format 2"):
        rig.claim()


def test_a_producer_is_told_and_hands_in_nothing(rig: LaneRig) -> None:
    """It may be of an older release than the workers."""
    rig.redis.hset(rig.keys.of("formats"), "runner:t", "2")
    with pytest.raises(UnreadableFormatError, match="the runner's state"):
        rig.submit("b", orders(1))
    assert not rig.redis.exists(rig.keys.of("batch", "b"))


def test_another_runner_s_mark_says_nothing(rig: LaneRig) -> None:
    """Its state is its own."""
    rig.redis.hset(rig.keys.of("formats"), "runner:other", "2")
    assert rig.submit("b", orders(1)).new == 1


def test_a_worker_says_what_it_reads(rig: LaneRig) -> None:
    """Release 1.0 does not, and reads format 1."""
    beat(rig, "new")
    beat_of_1_0(rig, "old")
    new, old = read_workers(rig.redis, rig.keys)
    assert (new.name, new.release, new.formats) == ("new", "x", FORMATS)
    assert (old.name, old.release, old.formats) == ("old", "1.0", FORMATS)


def test_a_format_is_raised_once(rig: LaneRig, newer: LaneRig) -> None:
    """When all who live read it; with who and why; the older release then does nothing more."""
    beat(newer, "new")
    assert raise_formats(newer.store, ANN) == [
        Raised("exchange", 1, 2, changed=True, blockers=()),
        Raised("runner", 1, 2, changed=True, blockers=()),
    ]
    assert marks(rig) == {"exchange": 2, "runner": 2}
    assert raise_formats(newer.store, ANN) == []
    told = [(entry.event, entry.by, entry.reason, entry.facts) for entry in newer.audit.read()]
    assert told == [
        ("format", "ann", "1.2 is everywhere", {"kind": kind, "from": 1, "format": 2})
        for kind in ("exchange", "runner")
    ]
    with pytest.raises(UnreadableFormatError):
        rig.claim()
    with pytest.raises(UnreadableFormatError):
        beat(rig, "old")


def test_it_is_raised_by_one_even_if_two_decide_at_once(newer: LaneRig) -> None:
    """The second finds it raised."""
    argument = {"by": "a", "reason": "", "kind": "runner", "mark": "runner:t", "to": 2, "gone_s": 10, "step": 0}
    argument |= {"blackout_us": 1, "retention_s": 60}
    answers = [newer.scripts.run("format_raise", {**argument, "decision": each}) for each in ("d1", "d1", "d2")]
    assert [answer["changed"] for answer in answers] == [True, True, False]
    assert len(list(newer.audit.read())) == 1


@pytest.mark.parametrize(("report", "shared"), [(beat, ("t old",)), (beat_of_1_0, ())])
def test_an_older_worker_that_lives_holds_it_back(
    rig: LaneRig, newer: LaneRig, report: Callable[[LaneRig, str], None], shared: tuple[str, ...]
) -> None:
    """It is named; one that was silent for ten seconds holds nothing back, and could do nothing more."""
    beat(newer, "new")
    report(rig, "old")
    assert [raised.blockers for raised in raise_formats(newer.store, ANN)] == [("old", *shared), ("old",)]
    assert marks(rig) == {"exchange": 1, "runner": 1}
    newer.advance(10)
    assert not any(raised.changed for raised in raise_formats(newer.store, ANN))
    newer.advance(1)
    assert all(raised.changed for raised in raise_formats(newer.store, ANN))


def test_another_runner_s_worker_holds_back_what_they_share(redis: Redis, newer: LaneRig) -> None:
    """The windows are its, too."""
    newer.scripts.run(
        "beat", {"worker": "w", "facts": '{"x": 1}', "name": "other w", "known": '{"x": 1}', "gone_s": 10}
    )
    redis.delete(newer.keys.of("workers"))  # so far it was this runner's
    exchange, runner = raise_formats(newer.store, ANN)
    assert (exchange.changed, exchange.blockers) == (False, ("other w",))
    assert runner.changed


def test_nobody_sends_until_what_was_sent_under_the_old_meaning_has_ended(newer: LaneRig) -> None:
    """As after a restart of Redis, and people are told why; a restart then has its own reason again."""
    newer.submit("b", orders(1))
    raise_formats(newer.store, ANN)
    newer.advance(8.9)
    assert newer.claim().calls == ()
    assert read_clock(newer.redis, newer.keys).blocked_for == "format 2 begins"
    newer.advance(0.2)
    assert len(newer.claim().calls) == 1
    newer.restart_redis("b2")
    assert newer.claim().calls == ()
    assert read_clock(newer.redis, newer.keys).blocked_for == ""


def test_what_is_one_runner_s_changes_without_a_pause(redis: Redis) -> None:
    """It meters nothing."""
    rig = LaneRig(redis, formats={"exchange": Reads(1, 1), "runner": Reads(1, 2)})
    rig.submit("b", orders(1))
    assert [raised.kind for raised in raise_formats(rig.store, ANN)] == ["runner"]
    assert len(rig.claim().calls) == 1
