"""Does a message reach the shard that has its account, and does one that is away keep no other message waiting?"""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from types import SimpleNamespace
from typing import cast

import pytest
from redis.exceptions import ConnectionError as Away

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import BatchConflictError, NotReplicatedError, RedisFullError, UnknownAccountError
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.service import forwarder
from bulk_cancel.worker.service.forwarder import THREADS, Forwarder, NotNowError
from bulk_cancel.worker.state.shards import Shards
from bulk_cancel.worker.state.store import Store
from tests.support.sharded import settings_for
from tests.support.waiting import PATIENCE_S


class Told:
    """A store whose directory knows these accounts; with `error` its Redis does not answer."""

    def __init__(self, *accounts: str) -> None:
        self.accounts, self.error, self.asked = accounts, cast("Exception | None", None), 0
        self.directory = SimpleNamespace(names=self.names, ask_all=self.ask_all)

    def names(self) -> list[str]:
        """What workers published."""
        self.asked += 1
        if self.error:
            raise self.error
        return [*self.accounts]

    def ask_all(self) -> Asking[dict[str, object]]:
        """The same."""
        yield from ()
        return dict.fromkeys(self.names())


@pytest.fixture
def stores() -> dict[str, Told]:
    """The worker's own and two others."""
    return {"default": Told("desk1"), "a": Told("desk2"), "b": Told("desk3")}


@pytest.fixture
def made(stores: dict[str, Told], monkeypatch: pytest.MonkeyPatch) -> Forwarder:
    """Of a worker whose settings know desk1 and desk2."""
    monkeypatch.setattr(forwarder, "PATIENCE_S", 0.01)
    urls = {name: f"redis://{name}" for name in ("default", "a", "b")}
    settings = settings_for(urls, {"desk1": "default", "desk2": "a"})

    def opened(one: Settings) -> Store:
        return cast("Store", stores[one.shard])

    return Forwarder(Shards(settings, opened), cast("Store", stores["default"]))


def test_the_settings_say_where_an_account_is(made: Forwarder, stores: dict[str, Told]) -> None:
    """Without a question; of others, workers tell."""
    assert [made.of_account(name).name for name in ("desk1", "desk2")] == ["default", "a"]
    assert sum(store.asked for store in stores.values()) == 0
    assert made.of_account("desk3").name == "b"


def test_an_account_may_be_of_a_shard_that_is_away(made: Forwarder, stores: dict[str, Told]) -> None:
    """It is unknown only when all have answered."""
    with pytest.raises(UnknownAccountError, match="known accounts: desk1, desk2, desk3"):
        made.of_account("desk9")
    stores["a"].error = Away("away")
    assert made.of_account("desk3").name == "b"
    with pytest.raises(NotNowError, match="shard a"):
        made.of_account("desk9")


def test_a_redis_without_room_for_one_message_is_asked_for_the_next(made: Forwarder, stores: dict[str, Told]) -> None:
    """A large one that comes again and again must not keep a small urgent one waiting."""
    away = next(each for each in made._shards.all() if each.name == "b")
    stores["b"].error = RedisFullError("full")
    with pytest.raises(NotNowError, match="full"):
        made.run(away, lambda store: store.directory.names())
    stores["b"].error = None
    assert made.run(away, lambda store: store.directory.names()) == ["desk3"]


@pytest.mark.parametrize("error", [Away("away"), NotReplicatedError("no replica")])
def test_what_did_not_answer_is_left_alone_for_a_while(
    made: Forwarder, stores: dict[str, Told], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The next message does not even ask; what is wrong with a message is said as it is."""
    monkeypatch.setattr(forwarder, "REST_S", 60.0)
    stores["b"].error = error
    shard = made.of_account("desk2")
    assert made.run(shard, lambda _: 1) == 1
    away = next(each for each in made._shards.all() if each.name == "b")
    for asked in (1, 1):
        with pytest.raises(NotNowError, match="shard b"):
            made.run(away, lambda store: store.directory.names())
        assert stores["b"].asked == asked
    stores["b"].error = None
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    assert made.run(away, lambda store: store.directory.names()) == ["desk3"]
    with pytest.raises(BatchConflictError):
        made.run(away, conflict)


def conflict(_: Store) -> None:
    """A message that no shard takes."""
    raise BatchConflictError("known with other orders")


def test_few_threads_wait_for_a_silent_shard(made: Forwarder) -> None:
    """All others are told at once that it is not now; its own Redis is never limited."""
    shard, own = made.of_account("desk2"), made.of_account("desk1")
    waiting, answer = Semaphore(0), Event()

    def wait(_: Store) -> bool:
        waiting.release()
        return answer.wait(PATIENCE_S)

    with ThreadPoolExecutor(2 * THREADS) as pool:
        held = [pool.submit(made.run, shard, wait) for _ in range(THREADS)]
        for _ in held:
            assert waiting.acquire(timeout=PATIENCE_S)
        with pytest.raises(NotNowError, match="enough messages wait"):
            made.run(shard, wait)
        assert made.run(own, lambda _: True)
        answer.set()
        assert all(each.result() for each in held)
    assert made.run(shard, lambda _: True)


def test_each_shard_with_accounts_is_asked(made: Forwarder, stores: dict[str, Told]) -> None:
    """One that fails stops no other; one of which neither settings nor workers name an account has nothing to do."""
    stores["b"].accounts = ()
    stores["a"].error = Away("away")

    def names(store: Store) -> list[str]:
        return store.directory.names()

    done, errors = made.run_each(names)
    assert (done, [str(error) for error in errors]) == (["desk1"], ["shard a: away"])
