"""Is what a later release has put into a job or a row kept, and passed on, by this one?"""

import json
from typing import Any

from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.state.jobs import read_jobs
from tests.support.lane_rig import LANE, LaneRig, believed, finished, retried

JOB = f"{LANE}/o1"
MORE = {"of_1_9": "kept", "number": 7, "object": {"a": "b"}}
ORDERS = [{"instId": "BTC-USDT", "ordId": "1", "clOrdId": "cl1"}]


def rows(rig: LaneRig) -> str:
    """The order's row as Redis has it."""
    return str(rig.redis.hget(rig.keys.of("rows", "b"), JOB))


def more_of(fields: dict[str, Any]) -> dict[str, Any]:
    """What a later release has put there."""
    return {name: value for name, value in fields.items() if name in MORE}


def of_job(rig: LaneRig) -> dict[str, Any]:
    """Of the live job."""
    return more_of(dict(read_jobs(rig.redis, rig.keys, [JOB]))[JOB])


def of_row(rig: LaneRig) -> dict[str, Any]:
    """Of the row that ended."""
    return more_of(json.loads(rows(rig)))


def add(rig: LaneRig) -> None:
    """A later release admits one order."""
    rig.submit("b", ORDERS)
    key = rig.keys.of("job", JOB)
    place, _, fields = str(rig.redis.get(key)).partition(" ")
    rig.redis.set(key, f"{place} {json.dumps({**json.loads(fields), **MORE})}")
    rig.redis.hset(rig.keys.of("rows", "b"), JOB, f"{rows(rig)} {json.dumps(MORE)}")


def test_a_job_keeps_them_while_it_lives(rig: LaneRig) -> None:
    """Wherever it stands: claimed, later, claimed again, and waiting for the book's word."""
    add(rig)
    first = rig.claim()
    assert of_job(rig) == MORE
    rig.record(first, decided=(retried(first.calls[0].jobs[0], 1.0),))
    assert of_job(rig) == MORE
    rig.advance(3)
    second = rig.claim()
    rig.record(second, decided=(believed(second.calls[0].jobs[0]),))
    assert of_job(rig) == MORE


def test_a_row_keeps_them_as_long_as_it_is_kept(rig: LaneRig) -> None:
    """Waiting, ended, waiting again for another generation, and ended once more; readers see what they know."""
    add(rig)
    waiting = rig.row("b")
    assert (waiting.status, waiting.clOrdId) == ("queued", "cl1")
    claim = rig.claim()
    rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "rejected"),))
    assert of_row(rig) == MORE
    assert (rig.row("b").status, rig.row("b").clOrdId) == ("rejected", "cl1")

    rig.decisions.retry("b", Asked("ann"))
    assert rig.row("b").status == "queued"
    assert json.loads(rows(rig).split(" ", 3)[3]) == MORE
    claim = rig.claim()
    rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "accepted"),))
    assert of_row(rig) == MORE
    assert rig.batches.state("b").complete
