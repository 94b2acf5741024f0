"""Can what was admitted still end when Redis is full?"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from bulk_cancel.tasks.errors import RedisFullError
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.batches import UnknownBatchError
from bulk_cancel.worker.state.directory import Directory
from bulk_cancel.worker.state.lease import Lease, take_lease
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.lane_rig import LaneRig, orders
from tests.support.switch_rig import RoundSwitch

if TYPE_CHECKING:
    from bulk_cancel.worker.okx.client import OkxClient


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A server of its own: no other test may find it full."""
    with EmbeddedRedis() as server, Redis.from_url(server.url, decode_responses=True, protocol=2) as client:
        yield client


def fill(redis: Redis) -> None:
    """No memory is left."""
    redis.config_set("maxmemory", "1mb")
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] // 2)


def pass_time(rig: LaneRig, seconds: float) -> None:
    """Moves the rig's clock, which is a key, too."""
    (full,) = rig.redis.config_get("maxmemory").values()
    rig.redis.config_set("maxmemory", 0)
    rig.advance(seconds)
    rig.redis.config_set("maxmemory", str(full))


def test_a_full_redis_takes_outcomes_and_no_batch(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claim, record and wake write all the same; admit writes nothing at all."""
    rig = LaneRig(redis)
    rig.submit("b", orders(2))
    fill(redis)
    claim = rig.claim(permits=2)
    for call in claim.calls:
        rig.record(claim, call)
    assert rig.batches.state("b").counts == {"accepted": 2}
    assert rig.board.wake(9).lanes == ()
    with pytest.raises(RedisFullError, match="nothing was taken"):
        rig.submit("c", orders(2, first=10))
    monkeypatch.setattr(rig.admission, "ask_room", lambda _: iter(()))
    with pytest.raises(RedisFullError, match="became full"):
        rig.submit("c", orders(2, first=10))
    with pytest.raises(UnknownBatchError):
        rig.batches.state("c")


def test_deadlines_are_kept_when_full(redis: Redis) -> None:
    """A worker may say that it lives, and sweep: what is past its deadline ends."""
    rig = LaneRig(redis)
    rig.submit("b", orders(2), deadline_s=1)
    rig.advance(3)
    rig.board.wake(0)
    fill(redis)
    with pytest.raises(OutOfMemoryError):
        redis.set("t:x", "1")
    rig.board.beat("w", {"pid": 1})
    assert [rig.board.may_sweep(), rig.board.may_sweep()] == [True, False]
    assert len(rig.board.sweep()) == 2
    assert rig.batches.state("b").counts == {"exhausted": 2}


def test_a_dead_man_s_switch_is_refreshed_when_full(redis: Redis) -> None:
    """For long after its time would have run out."""
    rig = LaneRig(redis)
    switch = RoundSwitch(rig)
    fill(redis)
    for _ in range(60):
        pass_time(rig, 1)
        switch.round()
    assert (switch.exchange.calls, switch.problems, switch.ran_out_s) == (16, {}, None)


def test_a_switch_that_ran_out_is_armed_again_when_full(redis: Redis) -> None:
    """That it ran out is noted besides."""
    rig = LaneRig(redis)
    switch = RoundSwitch(rig)
    fill(redis)
    pass_time(rig, 60)
    switch.round()
    assert (switch.exchange.calls, switch.left_s, switch.ran_out_s) == (2, 10, 50)


def test_a_pool_that_starts_on_a_full_redis_serves(redis: Redis) -> None:
    """Nothing is registered any more: it was down for longer than registrations last, and has new keys."""
    rig = LaneRig(redis)
    fill(redis)
    asked = cast("OkxClient", SimpleNamespace(account_config=lambda _: SimpleNamespace(uid="1001")))
    rig.store.directory.publish(rig.scripts)
    for _ in range(2):
        gate = Gate({"u1": rig.user})
        identity = Identity(rig.scripts, rig.keys, asked, gate)
        identity.round()
        assert identity.problems == {}
        assert gate.is_open("u1")
    assert redis.get(rig.keys.of("user", f"{rig.user.base_url}|1001")) == "u1"
    assert Directory(redis, rig.keys, {}, window_s=2.0).names() == ["a1"]


@pytest.mark.parametrize("lease", ["asking", "sweep", "told", "watch"])
def test_leases_are_taken_when_full(redis: Redis, lease: Lease) -> None:
    """By one: whoever asks for an account, sweeps, watches, or tells people."""
    scripts = Scripts(redis, "t")
    fill(redis)
    assert [take_lease(scripts, lease, for_s=30) for _ in range(2)] == [True, False]


def test_an_empty_redis_is_adopted_when_full(redis: Redis) -> None:
    """Whoever started it may say so."""
    fill(redis)
    assert Scripts(redis, "t").run("adopt", {}) == {}
