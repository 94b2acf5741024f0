"""Is what an earlier release left in Redis read as it was, by verbs and readers, on every server?"""

from pathlib import Path

import pytest
from redis import Redis

from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.state.batches import Batches
from bulk_cancel.worker.state.fleet import read_marks
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.window import Timing
from tests.support.golden import FOLDER, load
from tests.support.lane_rig import credentials

DESK = User("desk1", (credentials("desk1"),), "http://127.0.0.1:1", Limits(single=60, batch=300), batch_size=0)
TIMING = Timing(window_s=0.5, timeout_s=0.5)
WAITING = {
    "paused": ["queued", "queued"],
    "accepted": ["accepted", "accepted"],
    "first": ["accepted"],
    "second": ["accepted"],
    "retrying": ["retrying"],
    "sending": ["sending", "sending"],
    "mass": ["accepted", "accepted"],
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_what_a_release_left_is_read(redis: Redis, path: Path) -> None:
    """Each row says where its order stands; a verb finds slots that still count, and claims what nobody holds back."""
    load(redis, path, lambda order: order["ordId"])
    keys, scripts = Keys("bc"), Scripts(redis, "bc")
    batches = Batches(redis, keys)
    assert read_marks(redis, keys) == {"exchange": 1, "runner": 1}
    assert {batch: [row.status for row in batches.rows(batch)] for batch in WAITING} == WAITING
    assert sorted(row.status for row in batches.rows("ended")) == ["canceled", "filled", "gone", "rejected"]

    lanes = Lanes(scripts, TIMING, max_attempts=8, retention_s=600)
    assert lanes.claim("desk1/SOL-USDT", DESK, permits=9).reason == "redis restarted"
    scripts.run("adopt", {})
    assert lanes.claim("desk1/ETH-USDT", DESK, permits=9).reason == "lane:desk1/ETH-USDT"
    due = scripts.run("wake", {"room": 9, "count": 9, "postpone_us": 1, "blackout_us": TIMING.blackout_us})
    assert due["users"] == ["desk1"] or due["next"] >= 0
