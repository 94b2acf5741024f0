"""Is a lease taken once, and not for hours after the clock was put back?"""

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from redis import Redis
from redis.exceptions import TimeoutError  # noqa: A004 (Redis's)

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.alerts.watch import Watch
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import fingerprint
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lease import take_lease
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.lane_rig import LaneRig, believed, orders
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from bulk_cancel.worker.okx.client import OkxClient

HOUR_MS = 3_600_000
LONG_S = PATIENCE_S


def step_back(redis: Redis, key: str) -> None:
    """What becomes of a key's time when the server's clock is put back by an hour."""
    redis.pexpire(key, redis.pttl(key) + HOUR_MS)


def test_one_of_all_gets_it(redis: Redis) -> None:
    """Until it ends, written as it always was."""
    scripts, key = Scripts(redis, "t"), Keys("t").of("watch")
    assert [take_lease(scripts, "watch", for_s=LONG_S) for _ in range(3)] == [True, False, False]
    assert redis.get(key) == "1"
    assert 0 < redis.pttl(key) <= LONG_S * 1000
    redis.delete(key)
    assert take_lease(scripts, "watch", for_s=LONG_S)


def test_a_step_back_of_the_clock_ends_it(redis: Redis) -> None:
    """Whoever asks next takes it over, for its time."""
    scripts, key = Scripts(redis, "t"), Keys("t").of("watch")
    take_lease(scripts, "watch", for_s=LONG_S)
    step_back(redis, key)
    assert [take_lease(scripts, "watch", for_s=LONG_S) for _ in range(2)] == [True, False]
    assert 0 < redis.pttl(key) <= LONG_S * 1000


def test_who_takes_it_for_longer_keeps_it(redis: Redis) -> None:
    """As after credentials were refused."""
    scripts = Scripts(redis, "t")
    redis.set(Keys("t").of("asking", "k"), "1", px=30_000)
    assert not take_lease(scripts, "asking", "k", for_s=2, longest_s=30)
    assert take_lease(scripts, "asking", "other", for_s=2, longest_s=30)


def test_the_sweep_s_is_written_as_it_always_was(rig: LaneRig) -> None:
    """Its end in µs of the verbs' clock."""
    assert rig.board.may_sweep()
    assert rig.redis.get(rig.keys.of("sweep")) == str(rig.us + 950_000)


def test_a_lease_whose_answer_is_lost_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> None:
    """Watching Redis, a worker must not wait longer than one call takes to fail."""
    asked = []

    def lose(*_: object) -> None:
        asked.append(1)
        raise TimeoutError

    scripts = Scripts(redis, "t")
    monkeypatch.setattr(redis, "evalsha", lose)
    with pytest.raises(TimeoutError):
        take_lease(scripts, "watch", for_s=1)
    assert len(asked) == 1


def test_a_step_back_stops_no_watch(redis: Redis) -> None:
    """What all would see is looked for again."""
    watch, key = Watch(Scripts(redis, "t"), Keys("t"), {}, worker="w"), Keys("t").of("watch")
    for left_ms in (HOUR_MS, 950):
        redis.set(key, "1", px=left_ms)
        watch.round()
        assert redis.pttl(key) <= 950


def test_a_step_back_keeps_no_account_out(rig: LaneRig) -> None:
    """Somebody asks the exchange who it is."""
    asked = cast("OkxClient", SimpleNamespace(account_config=lambda _: SimpleNamespace(uid="1001")))
    identity, (account,) = Identity(rig.scripts, rig.keys, asked, Gate({"u1": rig.user})), rig.user.accounts
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
    claim = rig.claim()
    rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
    assert rig.confirmations.begin(rig.user)
    assert not rig.confirmations.begin(rig.user)
    step_back(rig.redis, rig.keys.of("looking", "u1"))
    assert rig.confirmations.begin(rig.user)


def test_a_channel_whose_worker_died_then_is_taken_over(redis: Redis) -> None:
    """And only by who means to keep it."""
    scripts, key = Scripts(redis, "t"), Keys("t").of("witness", "u1")

    def attend(worker: str, lease_ms: int = 30_000) -> list[str]:
        argument = {"worker": worker, "uids": ["u1"], "lease_ms": lease_ms, "heard": [], "alone": [], "kind": "witness"}
        return list(scripts.run("channel_lease", argument)["held"])

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
