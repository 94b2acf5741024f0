"""Does an account find out who it is, and is nobody let in twice under two names?"""

from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import cast

import pytest
from redis import Redis

from bulk_cancel.worker.books import identity as module
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User, fingerprint
from bulk_cancel.worker.okx.client import AccountConfig, OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import NotAuthorised
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.owners import Owners, Refused
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.lane_rig import LaneRig, credentials
from tests.support.simulated import EndingSimulator
from tests.support.waiting import PATIENCE_S


def test_a_clock_that_is_off_is_corrected_before_the_account_is_known(redis_url: str) -> None:
    """60 s off: the exchange refuses the first question, its clock is measured, the second one is answered."""
    redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
    with redis, EndingSimulator(Config(clock_offset_s=60)) as exchange:
        key, client, opened = DEFAULT_KEY, OkxClient(timeout_s=PATIENCE_S, pool=2), Event()
        account = Credentials("a", key.key, key.secret, key.passphrase, exchange.url, demo=False)
        user = User(key.uid, (account,), exchange.url, Limits(60, 300), 20)
        gate = Gate({user.uid: user})
        gate.tell(lambda _: opened.set())
        identity = Identity(Scripts(redis, "t"), Keys("t"), client, gate)
        identity.start()
        assert opened.wait(PATIENCE_S), identity.problems
        identity.stop()
        assert [row.endpoint for row in exchange.control.log()] == ["config", "time", "config"]
        client.close()


def test_one_user_under_two_uid_settings_is_refused_across_runners(redis_url: str) -> None:
    """Windows are keyed by the setting: another prefix with another setting would use the same meter unseen."""
    redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
    one, other = credentials("desk1"), credentials("risk")
    for keys, account in ((Keys("bc"), one), (Keys("zz"), other)):
        redis.hset(keys.of("identity"), fingerprint(account), "1001")
    gates = Gate({"desk1": user("desk1", one)}), Gate({"risk": user("risk", other)})
    first = Identity(Scripts(redis, "bc"), Keys("bc"), cast("OkxClient", None), gates[0])
    second = Identity(Scripts(redis, "zz"), Keys("zz"), cast("OkxClient", None), gates[1])
    for identity in (first, second):
        assert [identity._learn(account) for account in identity._unknown()] == [True]
        identity._settle()
    assert (gates[0].is_open("desk1"), gates[1].is_open("risk")) == (True, False)
    assert "is served under UID desk1" in second.problems["risk"]


@pytest.mark.parametrize("by_host", [None, "https://www.okx.com|1001"])
def test_one_user_at_two_hosts_of_a_region_is_one_user(redis_url: str, by_host: str | None) -> None:
    """Also beside 1.0, which registers the host that it was told alone; who is refused keeps no name from others."""
    redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
    one = replace(credentials("desk1"), base_url="https://www.okx.com")
    other = replace(credentials("risk"), base_url="https://openapi.okx.com")
    for keys, account in ((Keys("bc"), one), (Keys("zz"), other)):
        redis.hset(keys.of("identity"), fingerprint(account), "1001")
    gates = Gate({"desk1": user("desk1", one)}), Gate({"risk": user("risk", other)})
    first = Identity(Scripts(redis, "bc"), Keys("bc"), cast("OkxClient", None), gates[0])
    second = Identity(Scripts(redis, "zz"), Keys("zz"), cast("OkxClient", None), gates[1])
    if by_host:
        Scripts(redis, "bc").run("register", {"user": by_host, "uid": "desk1", "kept_s": 30})
    for identity in (second, first) if by_host else (first, second):
        identity.round()
    assert (gates[0].is_open("desk1"), gates[1].is_open("risk")) == (True, False)
    assert "is served under UID desk1" in second.problems["risk"]


def test_two_hosts_of_a_region_are_registered_for_one_shard(rig: LaneRig) -> None:
    """Both names, so that the other one cannot be had elsewhere."""
    account = replace(rig.user.accounts[0], base_url="https://www.okx.com")
    rig.redis.hset(rig.keys.of("identity"), fingerprint(account), "1001")
    asked: list[str] = []
    owners = cast("Owners", SimpleNamespace(register=lambda named, _: asked.append(named)))
    gate = Gate({"u1": replace(rig.user, accounts=(account,))})
    Identity(rig.scripts, rig.keys, cast("OkxClient", None), gate, owners).round()
    assert gate.is_open("u1")
    assert asked == ["https://openapi.okx.com|1001", "https://www.okx.com|1001"]


def test_each_worker_proves_its_own_way_in(rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not let in from its address keeps nobody else waiting, and asks again for itself."""
    monkeypatch.setattr(module, "ASK_EVERY_S", 20)
    (account,) = rig.user.accounts
    gates = Gate({"u1": rig.user}), Gate({"u1": rig.user})

    def refuse(_: Credentials) -> AccountConfig:
        gates[0].bar("a1", "50110 no")
        raise NotAuthorised("no", code="50110")

    asked = SimpleNamespace(account_config=refuse)
    barred = Identity(rig.scripts, rig.keys, cast("OkxClient", asked), gates[0])
    other = SimpleNamespace(account_config=lambda _: SimpleNamespace(uid="1001"))
    let_in = Identity(rig.scripts, rig.keys, cast("OkxClient", other), gates[1])
    again = rig.keys.of("asking", fingerprint(account))
    barred.round()
    assert 0 < rig.redis.pttl(again) <= 20_000
    for identity in (let_in, barred):
        rig.redis.delete(again)
        identity.round()
    assert (gates[0].is_open("u1"), gates[1].is_open("u1"), barred.problems) == (False, True, {})
    asked.account_config = other.account_config
    barred.round()
    assert not gates[0].is_open("u1")  # asked a moment ago
    rig.redis.delete(again)
    barred.round()
    assert gates[0].is_open("u1")


def test_nothing_is_sent_for_who_is_served_on_another_shard(rig: LaneRig) -> None:
    """The gate stays shut while it is not registered, and closes when another one has it; absence closes nothing."""
    (account,) = rig.user.accounts
    rig.redis.hset(rig.keys.of("identity"), fingerprint(account), "1001")
    told: list[Refused | None] = [
        Refused("shard b is away"),
        None,
        Refused("shard b is away"),
        Refused("on b", elsewhere=True),
    ]
    asked: list[tuple[str, str]] = []

    def register(user: str, uid: str) -> Refused | None:
        asked.append((user, uid))
        return told.pop(0)

    gate = Gate({"u1": rig.user})
    owners = cast("Owners", SimpleNamespace(register=register))
    identity = Identity(rig.scripts, rig.keys, cast("OkxClient", None), gate, owners)
    seen = []
    while told:
        identity.round()
        seen.append((gate.is_open("u1"), identity.problems.get("a1")))
    assert seen == [(False, "shard b is away"), (True, None), (True, "shard b is away"), (False, "on b")]
    assert set(asked) == {(f"{account.base_url}|1001", "u1")}


def user(uid: str, account: Credentials) -> User:
    """The user of one account."""
    return User(uid, (account,), account.base_url, Limits(60, 300), 20)
