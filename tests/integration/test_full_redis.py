"""Can what was admitted still end when Redis is full?"""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.lane_rig import LaneRig, orders
from worker.admission import RedisFullError
from worker.batches import UnknownBatchError
from worker.embedded import EmbeddedRedis


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A server of its own: no other test may find it full."""
    with EmbeddedRedis() as server, Redis.from_url(server.url, decode_responses=True, protocol=2) as client:
        yield client


def test_a_full_redis_takes_outcomes_and_no_batch(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claim, record and wake write all the same; admit writes nothing at all."""
    rig = LaneRig(redis)
    rig.submit("b", orders(2))
    redis.config_set("maxmemory", "1mb")
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] // 2)
    grant = rig.claim(permits=2)
    for call in grant.calls:
        rig.record(grant, call)
    assert rig.batches.state("b").counts == {"accepted": 2}
    assert rig.board.wake(9).lanes == ()
    with pytest.raises(RedisFullError, match="nothing was taken"):
        rig.submit("c", orders(2, first=10))
    monkeypatch.setattr(rig.admission, "refuse_when_full", lambda _: None)
    with pytest.raises(RedisFullError, match="became full"):
        rig.submit("c", orders(2, first=10))
    with pytest.raises(UnknownBatchError):
        rig.batches.state("c")
