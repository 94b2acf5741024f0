"""Does exactly one worker listen for each user, whoever dies, and whatever Redis does meanwhile?"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from queue import Empty
from threading import active_count
from typing import Any

import pytest
from redis import Redis

from bulk_cancel.worker.books.confirm.witness import NO_ADDRESS
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import algos_of, users_of
from bulk_cancel.worker.okx.frames import SUBSCRIBE_ALGOS
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.messages import PlaceAlgos
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.channel_rig import LATE_S, credentials
from tests.support.checkout import ROOT
from tests.support.waiting import until
from tests.support.witness_rig import KEYS, UID, user, worker


def test_one_of_two_listens_and_the_other_follows(redis_url: str, exchange: Simulator) -> None:
    """A clean stop hands over at the other's next round; a handover is a gap."""
    of = user(exchange.ws_url)
    with (
        worker(redis_url, of, "two", lease_s=LATE_S) as second,
        worker(redis_url, of, "three", lease_s=LATE_S) as third,
    ):
        until(lambda: bool(second.channels or third.channels))
        first, other = (second, third) if second.channels else (third, second)
        first.sees("gap")
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        first.sees(order_id)
        assert not other.channels
        assert other.seen.empty()
        assert first.redis.get(KEYS.of("witness", UID)) == first.witness._worker
        first.witness.stop()
        assert first.redis.get(KEYS.of("witness", UID)) != first.witness._worker
        other.sees("gap")
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        other.sees(order_id)
        assert first.seen.empty()


_DIES = """
import sys, time
from tests.support.witness_rig import user, worker
redis_url, ws_url = sys.argv[1:]
with worker(redis_url, user(ws_url), "dies", lease_s=6.0) as made:
    made.sees("gap")
    print("listens", flush=True)
    sys.stdin.read()
"""


def test_a_killed_worker_is_replaced_when_its_lease_lapses(redis_url: str, exchange: Simulator) -> None:
    """By whoever asked for it in vain."""
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
        with worker(redis_url, user(exchange.ws_url), "heir", lease_s=6.0) as heir:
            until(heir.witness.is_alive)
            assert not heir.channels
            dying.kill()
            heir.sees("gap")
            heir.sees(exchange.control.place(UID, "BTC-USDT")[0])


def test_a_channel_that_is_wanted_now_and_then(redis_url: str, exchange: Simulator) -> None:
    """That of algo orders: opened when somebody wants it, closed when nobody does any more, and told whole."""
    of = user(exchange.ws_url)
    owner, wanted = algos_of(of), set[str]()
    told: list[tuple[str, Mapping[str, str]]] = []
    options = {"users": {owner.uid: owner}, "wanted": lambda: wanted, "subscribe": SUBSCRIBE_ALGOS, "round_s": 0.05}
    with worker(redis_url, of, "one", **options) as made:
        made.witness._saw = lambda uid, rows: told.extend((uid, row) for row in rows)
        until(made.witness.is_alive)
        assert not made.redis.exists(KEYS.of("witness", owner.uid))
        wanted.add(owner.uid)
        assert made.seen.get(timeout=LATE_S) == (owner.uid, "gap")
        fired, twap = (
            exchange.control.place_algos(PlaceAlgos(UID, "BTC-USDT", kind))[0] for kind in ("trigger", "twap")
        )
        exchange.control.fire_algos([fired])
        until(lambda: len(told) == 3)
        assert [(uid, row["ordId"], row["state"]) for uid, row in told] == [
            (owner.uid, fired, "live"), (owner.uid, twap, "live"), (owner.uid, fired, "fired")
        ]  # fmt: skip
        assert told[1][1]["ordType"] == "twap"
        assert [order.state for order in exchange.control.orders(ordId=told[2][1]["placed"])] == ["live"]
        wanted.clear()
        until(lambda: not made.channels)


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
        until(lambda: made.redis.get(KEYS.of("witness", UID)) == "one")
        made.sees(exchange.control.place(UID, "BTC-USDT")[0])
        until(lambda: made.channels == {UID: True})


def no_frenzy(calls: Callable[[], int]) -> None:
    """Four rounds of 0.2 s take their time."""
    began, before = time.monotonic(), calls()
    until(lambda: calls() >= before + 4)
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
        until(lambda: not made.channels)
        server.restart()
        made.sees("gap")


def test_a_lease_that_somebody_else_has_ends_the_channel(redis_url: str, exchange: Simulator) -> None:
    """As after a pause of this process that was longer than the lease."""
    with worker(redis_url, user(exchange.ws_url), round_s=0.1, lease_s=60) as made:
        made.sees("gap")
        made.redis.set(KEYS.of("witness", UID), "other", px=60_000)
        until(lambda: not made.channels and exchange.control.drop_channels() == 0)
        exchange.control.place(UID, "BTC-USDT")
        made.redis.delete(KEYS.of("witness", UID))
        made.sees("gap")


def test_a_refused_account_makes_room_for_the_next(redis_url: str, exchange: Simulator) -> None:
    """Accounts of one user see the same orders."""
    of = user(exchange.ws_url, credentials("wrong", passphrase="not-this"), credentials("right"))
    with worker(redis_url, of, round_s=0.1) as made:
        made.sees("gap")
        made.sees(exchange.control.place(UID, "BTC-USDT")[0])
        until(lambda: made.channels == {UID: True})
        assert not made.witness.problems


def test_why_there_is_no_channel_is_told(redis_url: str, exchange: Simulator) -> None:
    """All accounts are refused: each is tried again in its turn, and no more often than one alone would be."""
    of = user(exchange.ws_url, *(credentials(name, passphrase="not-this") for name in ("a", "b")))
    with worker(redis_url, of, round_s=0.05) as made:
        told: set[str] = set()

        def both_told() -> bool:
            told.update(made.witness.problems.values())
            return told == {f"account {name}: 60009 Login failed." for name in ("a", "b")}

        until(both_told)
        assert made.channels == {UID: False}
    assert made.seen.empty()


def test_no_channel_where_none_is_wanted(redis_url: str, exchange: Simulator) -> None:
    """Without `CONFIRM=on`, or without an address, no thread, no lease; the address that is missing is told."""
    threads = active_count()
    with (
        worker(redis_url, user(exchange.ws_url), on=False) as off,
        worker(redis_url, user(None)) as nowhere,
    ):
        until(lambda: active_count() <= threads)
        assert not off.witness.is_alive()
        assert not nowhere.witness.is_alive()
        assert off.witness.problems == {}
        assert nowhere.witness.problems == {UID: NO_ADDRESS}
        assert not off.redis.exists(KEYS.of("witness", UID))
    with pytest.raises(Empty):
        off.seen.get_nowait()


def test_the_verb_gives_a_channel_to_one_worker(redis_url: str) -> None:
    """Taken, kept, refused to others with the time to wait, given back; a lost reply may be asked for again."""
    scripts = Scripts(Redis.from_url(redis_url, decode_responses=True, protocol=2), KEYS.prefix)

    def attend(name: str, lease_ms: int, *uids: str) -> tuple[list[str], int]:
        answer = scripts.run(
            "channel_lease",
            {"worker": name, "uids": uids, "lease_ms": lease_ms, "heard": [], "alone": [], "kind": "witness"},
        )
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


class Shared:
    """Forty users' channels, and what the verb answers to workers that take turns."""

    def __init__(self, redis_url: str) -> None:
        self.redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
        self._scripts = Scripts(self.redis, KEYS.prefix)
        self.users = [f"u{number}" for number in range(40)]
        self.held: dict[str, list[str]] = {}
        self.free: list[str] = []

    def attend(self, name: str, *, deaf: bool = False, alone: Sequence[str] = (), uids: Sequence[str] = ()) -> int:
        """One round, in which all that it has is heard; how many it lost."""
        had = self.held.get(name, [])
        told = {"worker": name, "uids": uids or self.users, "lease_ms": 60_000, "heard": [] if deaf else had}
        answer = self._scripts.run("channel_lease", {**told, "alone": alone, "kind": "witness"})
        self.held[name], self.free = answer["held"], answer["free"]
        return len(set(had) - set(self.held[name]))

    def rounds(self, count: int, *names: str) -> list[int]:
        """So many of each, in turn; how many channels each has then, and nobody has one of another's."""
        for _ in range(count):
            for name in names:
                assert self.attend(name) <= 5
        had = [uid for name in names for uid in self.held[name]]
        assert len(had) == len(set(had))
        return [len(self.held[name]) for name in names]

    def dies(self, name: str) -> None:
        """Its leases lapse."""
        self.redis.delete(*(KEYS.of("witness", uid) for uid in self.held.pop(name)))
        self.redis.hdel(KEYS.of("listeners", "witness"), name)


@pytest.fixture
def shared(redis_url: str) -> Iterator[Shared]:
    """Nobody listens."""
    made = Shared(redis_url)
    yield made
    made.redis.close()


def test_workers_share_the_channels(shared: Shared) -> None:
    """However late one comes, in small steps; then nothing moves any more. Of one that dies the others take all."""
    assert shared.rounds(2, "one") == [20]
    assert shared.rounds(4, "one", "two") == [20, 20]
    assert sorted(shared.rounds(9, "one", "two", "three")) == [12, 14, 14]
    before = {name: [*uids] for name, uids in shared.held.items()}
    shared.rounds(5, "one", "two", "three")
    assert shared.held == before
    shared.dies("two")
    assert shared.rounds(3, "one", "three") == [20, 20]


def test_what_nobody_else_takes_is_taken_beyond_the_share(shared: Shared) -> None:
    """Another worker may not be let in to all: it has the few that it lists, and gets no others."""
    few = shared.users[:2]
    shared.attend("few", uids=few)
    for _ in range(4):
        shared.attend("one")
    assert len(shared.held["one"]) == 20
    assert len(shared.free) == 18
    for _ in range(2):
        shared.attend("one", alone=shared.free)
    assert (len(shared.held["one"]), shared.free) == (38, [])
    for _ in range(3):
        shared.attend("few", uids=few)
        assert shared.attend("one") == 0


def test_one_that_hears_nothing_is_given_no_more(shared: Shared) -> None:
    """What it was given is heard less than before; the rest stays where it is heard."""
    shared.rounds(4, "one")
    for _ in range(9):
        shared.attend("deaf", deaf=True)
        shared.attend("one")
    assert 0 < len(shared.held["deaf"]) <= 15
    assert len(shared.held["one"]) == 40 - len(shared.held["deaf"])


def test_only_its_holder_says_that_a_channel_is_heard(redis_url: str) -> None:
    """As long as it has the lease; not any more once it says nothing of it, or gives it back."""
    redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
    scripts = Scripts(redis, KEYS.prefix)

    def heard(name: str, *uids: str, lease_ms: int = 60_000) -> bool:
        scripts.run(
            "channel_lease",
            {"worker": name, "uids": ["u1"], "lease_ms": lease_ms, "heard": uids, "alone": [], "kind": "witness"},
        )
        return redis.get(KEYS.of("heard", "u1")) is not None

    assert [heard("one"), heard("one", "u1"), heard("two"), heard("two", lease_ms=0)] == [False, True, True, True]
    assert 50_000 < int(redis.pttl(KEYS.of("heard", "u1"))) <= 60_000
    assert [heard("one"), heard("two", "u1"), heard("one", "u1"), heard("one", lease_ms=0)] == [
        False,
        False,
        True,
        False,
    ]


def test_a_user_s_channel_is_never_that_of_another_exchange() -> None:
    """A changed base URL alone means no channel."""
    account = {"api_key": "k", "api_secret": "s", "passphrase": "p", "uid": UID}

    def ws_url(**fields: str) -> str | None:
        return users_of(Settings(accounts={"a": account}, **fields))[UID].ws_url  # type: ignore[arg-type]

    assert ws_url() == "wss://ws.okx.com:8443/ws/v5/private"
    assert ws_url(okx_base_url="http://127.0.0.1:1") is None
    assert ws_url(okx_base_url="http://127.0.0.1:1", okx_ws_url="ws://127.0.0.1:2/x") == "ws://127.0.0.1:2/x"
