"""What do the tests of the verbs stand on? A Redis client as workers have it, and lanes whose clock the test sets."""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.lane_rig import LaneRig


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client that answers text."""
    with Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        yield client


@pytest.fixture
def rig(redis: Redis) -> LaneRig:
    """Account a1 of user u1, attempts end after the third; single endpoint only, 60 in 2 s."""
    return LaneRig(redis)
