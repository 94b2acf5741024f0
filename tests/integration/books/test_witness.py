"""Does exactly one worker listen for each user, whoever dies, and whatever Redis does meanwhile?"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from queue import Empty
from threading import active_count
from typing import Any

import pytest
from redis import Redis

from bulk_cancel.worker.books.confirm.witness import LEASE_S, NO_ADDRESS, ROUND_S
from bulk_cancel.worker.config.settings import DEFAULT_WS_URL, Settings
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.channel_rig import credentials, wait_until
from tests.support.checkout import ROOT
from tests.support.witness_rig import KEYS, UID, user, worker


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """One simulator process for this module."""
    with Simulator(Config(seed=1)) as simulator:
        yield simulator


@pytest.fixture
def exchange(running: Simulator) -> Simulator:
    """The simulator without orders and channels."""
    running.control.drop_channels()
    running.control.reset()
    return running


def test_one_of_two_listens_and_the_other_follows(redis_url: str, exchange: Simulator) -> None:
    """A clean stop hands over at the other's next round; a handover is a gap."""
    of = user(exchange.ws_url)
    with worker(redis_url, of, "two") as second, worker(redis_url, of, "three") as third:
        wait_until(lambda: bool(second.channels or third.channels))
        first, other = (second, third) if second.channels else (third, second)
        first.sees("gap")
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        first.sees(order_id)
        assert not other.channels
        assert other.seen.empty()
        assert first.redis.get(KEYS.of("witness", UID)) == first.witness._worker
        began = time.monotonic()
        first.witness.stop()
        assert first.redis.get(KEYS.of("witness", UID)) != first.witness._worker
        other.sees("gap")
        assert time.monotonic() - began < 2 * ROUND_S + 1
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        other.sees(order_id)
        assert first.seen.empty()


_DIES = """
import sys, time
from tests.support.witness_rig import user, worker
redis_url, ws_url = sys.argv[1:]
with worker(redis_url, user(ws_url), "dies") as made:
    made.sees("gap")
    print("listens", flush=True)
    sys.stdin.read()
"""


def test_a_killed_worker_is_replaced_when_its_lease_lapses(redis_url: str, exchange: Simulator) -> None:
    """Within the three seconds of a lease."""
    command = [sys.executable, "-c", _DIES, redis_url, exchange.ws_url]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as dying:
        assert dying.stdout is not None
        assert "listens\n" in iter(dying.stdout.readline, "")
        with worker(redis_url, user(exchange.ws_url), "heir") as heir:
            wait_until(heir.witness.is_alive)
            assert not heir.channels
            dying.kill()
            killed = time.monotonic()
            heir.sees("gap")
            assert time.monotonic() - killed < LEASE_S + 1
            heir.sees(exchange.control.place(UID, "BTC-USDT")[0])


def test_a_channel_outlives_an_absence_of_redis(exchange: Simulator) -> None:
    """Killed and back: the channel is the same, and Redis was not asked in a frenzy."""
    with EmbeddedRedis() as server, worker(server.url, user(exchange.ws_url), round_s=0.2) as made:
        made.sees("gap")
        calls = count_calls(made.scripts)
        no_frenzy(calls)
        server.kill()
        no_frenzy(calls)
        made.sees(exchange.control.place(UID, "BTC-USDT")[0])
        server.restart()
        wait_until(lambda: made.redis.get(KEYS.of("witness", UID)) == "one")
        made.sees(exchange.control.place(UID, "BTC-USDT")[0])
        assert made.channels == {UID: True}


def no_frenzy(calls: Callable[[], int]) -> None:
    """Four rounds of 0.2 s take their time."""
    before, began = calls(), time.monotonic()
    wait_until(lambda: calls() >= before + 4)
    assert time.monotonic() - began > 0.5


def count_calls(scripts: Scripts) -> Callable[[], int]:
    """How many calls were made from now on."""
    made, run = count(1), scripts.run
    calls = [0]

    def counted(verb: str, argument: Mapping[str, object]) -> dict[str, Any]:
        calls[0] = next(made)
        return run(verb, argument)

    scripts.run = counted  # type: ignore[method-assign]
    return lambda: calls[0]


def test_without_redis_for_long_there_is_no_channel(exchange: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not tell anybody what it sees; with Redis it comes back."""
    monkeypatch.setattr("bulk_cancel.worker.books.confirm.witness.KEEP_S", 0.3)
    with EmbeddedRedis() as server, worker(server.url, user(exchange.ws_url), round_s=0.1) as made:
        made.sees("gap")
        server.kill()
        wait_until(lambda: not made.channels)
        server.restart()
        made.sees("gap")


def test_a_lease_that_somebody_else_has_ends_the_channel(redis_url: str, exchange: Simulator) -> None:
    """As after a pause of this process that was longer than the lease."""
    with worker(redis_url, user(exchange.ws_url), round_s=0.1) as made:
        made.sees("gap")
        made.redis.set(KEYS.of("witness", UID), "other", px=3_000)
        wait_until(lambda: not made.channels and exchange.control.drop_channels() == 0)
        exchange.control.place(UID, "BTC-USDT")
        made.redis.delete(KEYS.of("witness", UID))
        made.sees("gap")


def test_a_refused_account_makes_room_for_the_next(redis_url: str, exchange: Simulator) -> None:
    """Accounts of one user see the same orders."""
    of = user(exchange.ws_url, credentials("wrong", passphrase="not-this"), credentials("right"))
    with worker(redis_url, of, round_s=0.1) as made:
        made.sees("gap")
        made.sees(exchange.control.place(UID, "BTC-USDT")[0])
        assert made.channels == {UID: True}
        assert not made.witness.problems


def test_why_there_is_no_channel_is_told(redis_url: str, exchange: Simulator) -> None:
    """All accounts are refused: each is tried again in its turn, and no more often than one alone would be."""
    of = user(exchange.ws_url, *(credentials(name, passphrase="not-this") for name in ("a", "b")))
    with worker(redis_url, of, round_s=0.05) as made:
        told: set[str] = set()

        def both_told() -> bool:
            told.update(made.witness.problems.values())
            return told == {f"account {name}: 60009 Login failed." for name in ("a", "b")}

        wait_until(both_told)
        assert made.channels == {UID: False}
    assert made.seen.empty()


def test_no_channel_where_none_is_wanted(redis_url: str, exchange: Simulator) -> None:
    """Without `CONFIRM=on`, or without an address, no thread, no lease; the address that is missing is told."""
    threads = active_count()
    with (
        worker(redis_url, user(exchange.ws_url), on=False) as off,
        worker(redis_url, user(None)) as nowhere,
    ):
        wait_until(lambda: active_count() == threads)
        assert off.witness.problems == {}
        assert nowhere.witness.problems == {UID: NO_ADDRESS}
        assert not off.redis.exists(KEYS.of("witness", UID))
    with pytest.raises(Empty):
        off.seen.get_nowait()


def test_the_verb_gives_a_channel_to_one_worker(redis_url: str) -> None:
    """Taken, kept, refused to others with the time to wait, given back; a lost reply may be asked for again."""
    scripts = Scripts(Redis.from_url(redis_url, decode_responses=True, protocol=2), KEYS.prefix)

    def attend(name: str, lease_ms: int, *uids: str) -> tuple[list[str], int]:
        answer = scripts.run("channel_lease", {"worker": name, "uids": uids, "lease_ms": lease_ms})
        return answer["held"], answer["next_ms"]

    for _ in range(2):
        assert attend("one", 60_000, "u1") == (["u1"], -1)
    held, next_ms = attend("two", 60_000, "u1", "u2")
    assert held == ["u2"]
    assert 50_000 < next_ms <= 60_000
    attend("two", 0, "u1", "u2")
    assert attend("one", 60_000, "u1", "u2") == (["u1", "u2"], -1)
    for _ in range(2):
        assert attend("one", 0, "u1", "u2") == ([], -1)
    assert attend("two", 60_000, "u1") == (["u1"], -1)


def test_a_user_s_channel_is_never_that_of_another_exchange() -> None:
    """A changed base URL alone means no channel."""
    account = {"api_key": "k", "api_secret": "s", "passphrase": "p", "uid": UID}

    def ws_url(**fields: str) -> str | None:
        return users_of(Settings(accounts={"a": account}, **fields))[UID].ws_url  # type: ignore[arg-type]

    assert ws_url() == DEFAULT_WS_URL
    assert ws_url(okx_base_url="http://127.0.0.1:1") is None
    assert ws_url(okx_base_url="http://127.0.0.1:1", okx_ws_url="ws://127.0.0.1:2/x") == "ws://127.0.0.1:2/x"
