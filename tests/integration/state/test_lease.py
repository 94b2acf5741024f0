"""Is a lease taken once, and not for hours after the clock was put back?"""

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from redis import Redis

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.alerts.watch import Watch
from bulk_cancel.worker.books.identity import Identity, fingerprint
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lease import take_lease
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.lane_rig import LaneRig, believed, orders

if TYPE_CHECKING:
    from bulk_cancel.worker.okx.client import OkxClient

HOUR_MS = 3_600_000


def step_back(redis: Redis, key: str) -> None:
    """What becomes of a key's time when the server's clock is put back by an hour."""
    redis.pexpire(key, redis.pttl(key) + HOUR_MS)


def test_one_of_all_gets_it(redis: Redis) -> None:
    """Until it ends."""
    assert [take_lease(redis, "k", for_ms=950) for _ in range(3)] == [True, False, False]
    assert 900 < redis.pttl("k") <= 950
    redis.delete("k")
    assert take_lease(redis, "k", for_ms=950)


def test_a_step_back_of_the_clock_ends_it(redis: Redis) -> None:
    """Whoever asks next takes it over, for its time."""
    take_lease(redis, "k", for_ms=950)
    step_back(redis, "k")
    assert [take_lease(redis, "k", for_ms=950) for _ in range(2)] == [True, False]
    assert redis.pttl("k") <= 950


def test_who_takes_it_for_longer_keeps_it(redis: Redis) -> None:
    """As after credentials were refused."""
    redis.set("k", "1", px=30_000)
    assert not take_lease(redis, "k", for_ms=2_000, longest_ms=30_000)


def test_a_step_back_stops_no_watch(redis: Redis) -> None:
    """What all would see is looked for again."""
    watch, key = Watch(redis, Keys("t"), {}, worker="w"), Keys("t").of("watch")
    for left_ms in (HOUR_MS, 950):
        redis.set(key, "1", px=left_ms)
        watch._round()
        assert redis.pttl(key) <= 950


def test_a_step_back_keeps_no_account_out(rig: LaneRig) -> None:
    """Somebody asks the exchange who it is."""
    asked = cast("OkxClient", SimpleNamespace(account_config=lambda _: SimpleNamespace(uid="1001")))
    identity, (account,) = Identity(rig.redis, rig.keys, asked, {"u1": rig.user}, print), rig.user.accounts
    rig.redis.set(rig.keys.of("asking", fingerprint(account)), "1", px=30_000)
    assert identity._uid(account) is None
    step_back(rig.redis, rig.keys.of("asking", fingerprint(account)))
    assert identity._uid(account) == "1001"


def test_a_step_back_stops_no_sweep(rig: LaneRig) -> None:
    """Its lease is on the verbs' own clock."""
    assert rig.board.may_sweep()
    step_back(rig.redis, rig.keys.of("sweep"))
    rig.advance(-3600)
    assert not rig.board.may_sweep()
    rig.advance(1)
    assert [rig.board.may_sweep(), rig.board.may_sweep()] == [True, False]


def test_a_look_whose_worker_died_then_is_taken_over(rig: LaneRig) -> None:
    """Not while its lease lasts."""
    rig.submit("b", orders(1))
    grant = rig.claim()
    rig.record(grant, decided=(believed(grant.calls[0].jobs[0]),))
    assert rig.confirmations.begin(rig.user)
    assert not rig.confirmations.begin(rig.user)
    step_back(rig.redis, rig.keys.of("looking", "u1"))
    assert rig.confirmations.begin(rig.user)


def test_a_channel_whose_worker_died_then_is_taken_over(redis: Redis) -> None:
    """And only by who means to keep it."""
    scripts, key = Scripts(redis, "t"), Keys("t").of("witness", "u1")

    def attend(worker: str, lease_ms: int = 3_000) -> list[str]:
        return list(scripts.run("channel_lease", {"worker": worker, "uids": ["u1"], "lease_ms": lease_ms})["held"])

    assert (attend("w1"), attend("w2")) == (["u1"], [])
    step_back(redis, key)
    attend("w2", 0)
    assert redis.get(key) == "w1"
    assert attend("w2") == ["u1"]


def test_a_listing_whose_worker_died_then_is_taken_over(rig: LaneRig) -> None:
    """Not while its lease lasts."""
    rig.masses.take(parse_cancel_all({"account": "a1", "batch_id": "m"}))
    assert rig.masses.begin("m", lease_s=7)
    assert not rig.masses.begin("m", lease_s=7)
    step_back(rig.redis, rig.keys.of("listing", "m"))
    assert rig.masses.begin("m", lease_s=7)
