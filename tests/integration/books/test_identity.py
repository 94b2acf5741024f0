"""Does an account find out who it is, and is nobody let in twice under two names?"""

from threading import Event
from typing import cast

from redis import Redis

from bulk_cancel.worker.books.identity import Identity, fingerprint
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.lane_rig import credentials


def test_a_clock_that_is_off_is_corrected_before_the_account_is_known(redis_url: str) -> None:
    """60 s off: the exchange refuses the first question, its clock is measured, the second one is answered."""
    redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
    with redis, Simulator(Config(clock_offset_s=60)) as exchange:
        key, client, opened = DEFAULT_KEY, OkxClient(timeout_s=2, pool=2), Event()
        account = Credentials("a", key.key, key.secret, key.passphrase, exchange.url, demo=False)
        user = User(key.uid, (account,), exchange.url, Limits(60, 300), 20)
        gate = Gate({user.uid: user})
        gate.tell(lambda _: opened.set())
        identity = Identity(Scripts(redis, "t"), Keys("t"), client, gate)
        identity.start()
        assert opened.wait(10), identity.problems
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


def user(uid: str, account: Credentials) -> User:
    """The user of one account."""
    return User(uid, (account,), account.base_url, Limits(60, 300), 20)
