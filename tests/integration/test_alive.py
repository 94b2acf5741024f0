"""Does the health check tell a live worker from none?"""

import json

from redis import Redis

from bulk_cancel.worker.alive import alive
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.store import open_store

FACTS = {"in_flight": 0, "permits": 64, "started": 1.0, "problems": {}}


def test_a_fresh_heartbeat_of_this_host_is_alive(redis_url: str) -> None:
    """Another host's does not count, nor an old one."""
    store = open_store(Settings(redis_url=redis_url))
    assert not alive(store, "here")
    Board(store.redis, store.scripts, store.keys, retention_s=60, blackout_us=1, abandon_s=1).beat("there:1", FACTS)
    assert not alive(store, "here")
    assert alive(store, "there")
    Redis.from_url(redis_url).hset("bc:workers", "here:1", json.dumps({**FACTS, "at": 1}))
    assert not alive(store, "here")
