"""Is a list that nobody reads told of by one worker, and shown while it is there?"""

import time
from collections.abc import Sequence

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as AwayError
from structlog.testing import capture_logs

from bulk_cancel.worker.alerts.unread import LOOK_EVERY_S, Unread
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.strays import Stray

FOUND = [Stray("cancel:5", 12), Stray("myapp:cancel", None)]


def test_one_worker_tells_of_each_list(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a minute; `status` shows it for as long, and what was moved since is forgotten."""
    found: list[Sequence[Stray]] = [FOUND]
    first, second = (Unread(Scripts(redis, "t"), lambda: found[0]) for _ in range(2))
    with capture_logs() as lines:
        for unread in (first, second, first):
            unread.round()
    told = [(line["event"], line["log_level"], line["list"], line["messages"]) for line in lines]
    assert told == [("unread_messages", "error", stray.name, stray.count) for stray in FOUND]
    assert first.problems["broker list 'cancel:5'"] == "12 messages in 'cancel:5', which nobody reads"
    assert second.problems == {}
    found[0] = []
    redis.delete(Keys("t").of("told", "unread looked for"))
    first.round()
    assert first.problems == {}
    first._found = FOUND
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + LOOK_EVERY_S + 11)
    assert first.problems == {}


def test_a_broker_that_is_away_is_no_lost_redis(redis: Redis) -> None:
    """It is looked at again."""

    def away() -> Sequence[Stray]:
        raise AwayError("gone")

    with capture_logs() as lines:
        Unread(Scripts(redis, "t"), away).round()
    assert [line["event"] for line in lines] == ["unread_not_looked_for"]
