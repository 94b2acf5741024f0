"""Keys of the broker's lists that another program wrote: left out, named, and read again once they are put right."""

import logging

import pytest
from redis import Redis

from bulk_cancel.worker.service.broker import foreign
from bulk_cancel.worker.service.broker.foreign import ForeignKeys


def test_a_key_is_left_out_named_once_and_taken_back(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is a hash, it is a problem of the worker; a second look says nothing new."""
    monkeypatch.setattr(foreign, "LOOK_EVERY_S", 0)
    caplog.set_level(logging.WARNING)
    keys = ForeignKeys()
    redis.hset("cancel", "a", "b")
    keys.look(["urgent", "cancel"], redis)
    assert keys.leave_out(["urgent", "cancel"], redis) == ["urgent"]
    assert "is a hash, not a list" in foreign.problems()["broker key 'cancel'"]
    redis.delete("cancel")
    assert keys.leave_out(["urgent", "cancel"], redis) == ["urgent", "cancel"]
    assert foreign.problems() == {}
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_look_at_some_keys_says_nothing_of_others(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker whose threads are all in use asks for urgent messages alone; what it knows of the rest stays."""
    monkeypatch.setattr(foreign, "LOOK_EVERY_S", 0)
    keys = ForeignKeys()
    redis.set("cancel", "x")
    keys.look(["urgent", "cancel"], redis)
    assert keys.leave_out(["urgent"], redis) == ["urgent"]
    assert list(foreign.problems()) == ["broker key 'cancel'"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    redis.delete("cancel")
    keys.look(["urgent", "cancel"], redis)
    assert foreign.problems() == {}
