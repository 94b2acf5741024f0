"""Does a forked child hand in as its parent does, whatever the parent's threads are at as it forks?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from threading import Event, Thread
from typing import Any

import pytest

from bulk_cancel.tasks.asking import answered
from bulk_cancel.tasks.errors import NotReplicatedError
from bulk_cancel.worker.config.settings import Settings, settings_of
from bulk_cancel.worker.operators.desk import Desk
from bulk_cancel.worker.state.shards import Shards, alone
from bulk_cancel.worker.state.store import Store, adopt, open_store
from tests.support.waiting import PATIENCE_S

ORDERS = [{"instId": "BTC-USDT", "ordId": "1"}]

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def settings_for(url: str, **told: object) -> Settings:
    """The settings of a producer with one account."""
    account = dict.fromkeys(("api_key", "api_secret", "passphrase"), "x")
    return settings_of(redis_url=url, accounts={"desk1": account}, **told)


@pytest.fixture(params=[0, 1], ids=["pool", "wait_replicas"])
def store(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Store]:
    """A store as the plain client has it."""
    opened = open_store(settings_for(redis_url, wait_replicas=request.param))
    adopt(opened)
    yield opened
    opened.redis.close()
    opened.admission.redis.close()


def in_child(call: Callable[[], Any]) -> Any:  # noqa: ANN401 (what the call answers)
    """What `call` answers in a child that is forked now; fails if there is no answer in PATIENCE_S."""
    context = get_context("fork")
    ours, its = context.Pipe(duplex=False)
    child = context.Process(target=lambda: its.send(call()))
    child.start()
    its.close()
    try:
        assert ours.poll(PATIENCE_S), "the child hangs"
        return ours.recv()
    finally:
        child.kill()
        child.join()


@contextmanager
def elsewhere(hold: Callable[[], Any]) -> Iterator[None]:
    """Another thread holds what `hold` gives."""
    held, over = Event(), Event()

    def work() -> None:
        with hold():
            held.set()
            over.wait()

    thread = Thread(target=work)
    thread.start()
    held.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def hand_in(store: Store) -> None:
    """One order, of which no replica is told, as there is none."""
    with suppress(NotReplicatedError):
        answered(Desk(next(alone(store).all())).submit(ORDERS, {"account": "desk1", "batch_id": "b"}))


def test_a_child_does_not_wait_for_its_parent_s_threads(store: Store) -> None:
    """One of them was handing in at the fork: its turn and, of one connection, redis-py's lock were taken."""
    handing_in = store.admission.ask("admit", {}, batch_id="never")
    next(handing_in)
    with elsewhere(lambda: store.admission.redis.single_connection_lock):
        in_child(lambda: hand_in(store))
    assert store.batches.state("b").size == 1


def test_a_child_opens_what_its_parent_was_opening(redis_url: str) -> None:
    """A thread of the parent was at it, and is not in the child."""
    shards = Shards(settings_for(redis_url))
    with elsewhere(lambda: shards._lock):
        assert in_child(lambda: shards.of("default").name) == "default"


@pytest.mark.parametrize("store", [1], indirect=True)
def test_a_child_s_one_connection_is_no_one_else_s(store: Store) -> None:
    """Nobody reads another one's answers, and what a child closes stays open for its parent."""
    own = store.admission.redis.client_id()
    its = [in_child(store.admission.redis.client_id) for _ in range(2)]
    assert len({own, *its}) == 3
    in_child(store.admission.redis.close)
    assert store.admission.redis.client_id() == own
