"""What integration tests share: a Redis client as workers have it, lanes whose clock a test sets, and an exchange."""

from collections.abc import Iterator

import pytest
from redis import Redis

from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.lane_rig import LaneRig
from tests.support.simulated import EndingSimulator, calmed


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """One simulated exchange for the tests of a module."""
    with EndingSimulator(Config(seed=1)) as simulator:
        yield simulator


@pytest.fixture
def exchange(running: Simulator) -> Simulator:
    """The module's simulated exchange, as new."""
    return calmed(running)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client that answers text."""
    with Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        yield client


@pytest.fixture
def rig(redis: Redis) -> LaneRig:
    """Account a1 of user u1, attempts end after the third; single endpoint only, 60 in 2 s."""
    return LaneRig(redis)
