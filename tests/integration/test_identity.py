"""Does an account find out who it is, whatever the worker's clock says?"""

from threading import Event

from redis import Redis

from worker.identity import Identity
from worker.keys import Keys
from worker.okx.client import OkxClient
from worker.okx.credentials import Credentials
from worker.simulator.config import DEFAULT_KEY, Config
from worker.simulator.process import Simulator
from worker.users import User
from worker.window import Limits


def test_a_clock_that_is_off_is_corrected_before_the_account_is_known(redis_url: str) -> None:
    """60 s off: the exchange refuses the first question, its clock is measured, the second one is answered."""
    redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
    with redis, Simulator(Config(clock_offset_s=60)) as exchange:
        key, client, admitted = DEFAULT_KEY, OkxClient(timeout_s=2, pool=2), Event()
        account = Credentials("a", key.key, key.secret, key.passphrase, exchange.url, demo=False)
        user = User(key.uid, (account,), exchange.url, Limits(60, 300), 20)
        identity = Identity(redis, Keys("t"), client, {user.uid: user}, lambda _: admitted.set())
        identity.start()
        assert admitted.wait(10), identity.problems
        identity.stop()
        assert [row.endpoint for row in exchange.control.log()] == ["config", "time", "config"]
        client.close()
