"""The client of a runner with two Redis, plain and of asyncio: what it hands in goes where the account is."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from redis import Redis

from bulk_cancel.tasks import BulkCancel, aio
from bulk_cancel.tasks.errors import (
    BatchConflictError,
    MovedAccountError,
    PartlyTakenError,
    UnknownAccountError,
    UnknownBatchError,
)
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.shards import ShardAwayError, Shards, TwoShardsError
from tests.support.sharded import emptied, servers, settings_for, urls_of

ORDERS = [{"instId": "BTC-USDT", "ordId": "1"}]
Call = Callable[[Any], Any]
Ask = Callable[[Call], Any]


@pytest.fixture(scope="module")
def two() -> Iterator[list[EmbeddedRedis]]:
    """Two servers for all tests of this module; one that a test kills it starts again."""
    with servers(2) as started:
        yield started


@pytest.fixture
def shards(two: list[EmbeddedRedis]) -> Iterator[Shards]:
    """The runner's workers have published their accounts: desk1 is of `default`, desk2 of `a`."""
    found = emptied(two, Shards(settings_for(urls_of(two), {"desk1": "default", "desk2": "a"})))
    for shard in found.all():
        shard.store.directory.publish(shard.store.scripts)
    yield found
    for store in found.opened:
        store.redis.close()


@pytest.fixture(params=["plain", "asyncio"])
def ask(request: pytest.FixtureRequest, two: list[EmbeddedRedis]) -> Ask:
    """A client that holds no account, and is told both Redis."""
    urls = urls_of(two)
    told: dict[str, Any] = {"shards": {"a": urls["a"]}}

    def plain(call: Call) -> Any:  # noqa: ANN401 (what the call answers)
        with BulkCancel(urls["default"], **told) as client:
            return call(client)

    async def awaited(call: Call) -> Any:  # noqa: ANN401
        async with aio.BulkCancel(urls["default"], **told) as client:
            return await call(client)

    return plain if request.param == "plain" else lambda call: asyncio.run(awaited(call))


def test_orders_go_where_their_account_is(ask: Ask, shards: Shards) -> None:
    """And the batch is found by its id alone, wherever it is."""
    for account, shard in (("desk1", "default"), ("Desk2", "a")):
        batch = f"of-{account}"
        receipt = ask(partial(submitted, account=account, batch_id=batch))
        assert (receipt.new, shards.of(shard).store.batches.state(batch).waiting) == (1, 1)
        state = ask(partial(status_of, batch_id=batch))
        assert (state.batch_id, state.account) == (batch, account.lower())
    withdrawn = ask(lambda client: client.batch("of-Desk2").withdraw(by="ann"))
    assert (withdrawn.withdrawn, shards.of("a").store.batches.state("of-Desk2").waiting) == (1, 0)


@pytest.mark.usefixtures("shards")
def test_what_no_shard_knows_is_refused(ask: Ask) -> None:
    """With the accounts of all of them."""
    with pytest.raises(UnknownAccountError, match="known accounts: desk1, desk2"):
        ask(lambda client: client.submit(ORDERS, account="desk9"))
    with pytest.raises(UnknownBatchError):
        ask(lambda client: client.batch("none").status())


def test_a_mass_cancel_of_all_accounts_is_every_shard_s(ask: Ask, shards: Shards) -> None:
    """A receipt for each User ID; each is followed where it is."""
    taken = ask(lambda client: client.submit_all("*", batch_id="all"))
    assert [receipt.batch_id for receipt in taken] == ["all-desk1", "all-desk2"]
    assert shards.of("a").store.batches.state("all-desk2").mass
    assert [receipt.batch_id for receipt in ask(lambda client: client.submit_all("desk2"))] != []


def test_a_shard_that_is_away_is_named_and_stops_no_other(ask: Ask, two: list[EmbeddedRedis], shards: Shards) -> None:
    """What may be there is not called unknown; what is elsewhere goes on."""
    two[1].kill()
    try:
        assert ask(lambda client: client.submit(ORDERS, account="desk1", batch_id="b")).new == 1
        assert ask(lambda client: client.batch("b").status()).waiting == 1
        for call in (
            lambda client: client.submit(ORDERS, account="desk2"),
            lambda client: client.batch("elsewhere").status(),
            lambda client: client.outcomes_since("0"),
            lambda client: client.newest(),
        ):
            with pytest.raises(ShardAwayError, match="shard a is away") as away:
                ask(call)
            assert away.value.shard == "a"
        with pytest.raises(PartlyTakenError, match="shard a: shard a is away") as partly:
            ask(lambda client: client.submit_all("*", batch_id="all"))
        assert [receipt.batch_id for receipt in partly.value.taken] == ["all-desk1"]
        assert partly.value.missing.keys() == {"a"}
    finally:
        two[1].start()
    for shard in shards.all():
        shard.store.directory.publish(shard.store.scripts)
    again = ask(lambda client: client.submit_all("*", batch_id="all"))
    assert [receipt.batch_id for receipt in again] == ["all-desk1", "all-desk2"]


@pytest.fixture
def killed(two: list[EmbeddedRedis]) -> Iterator[Callable[[], None]]:
    """Kills `a` until the test is over."""
    yield two[1].kill
    two[1].start()


@pytest.mark.usefixtures("shards")
def test_a_batch_in_hand_names_its_shard_that_is_away(two: list[EmbeddedRedis], killed: Callable[[], None]) -> None:
    """Whatever is asked of it."""
    urls = urls_of(two)
    with BulkCancel(urls["default"], shards={"a": urls["a"]}) as client:
        batch = client.submit(ORDERS, account="desk2")
        killed()
        for question in (batch.status, partial(batch.wait, 1), lambda: next(batch.outcomes())):
            with pytest.raises(ShardAwayError, match="shard a is away"):
                question()


@pytest.mark.usefixtures("shards")
def test_so_it_is_over_asyncio(two: list[EmbeddedRedis], killed: Callable[[], None]) -> None:
    """A batch in hand."""
    urls = urls_of(two)

    async def asked() -> None:
        async with aio.BulkCancel(urls["default"], shards={"a": urls["a"]}) as client:
            batch = await client.submit(ORDERS, account="desk2")
            killed()
            for question in (batch.status, partial(batch.wait, 1), lambda: anext(batch.outcomes())):
                with pytest.raises(ShardAwayError, match="shard a is away"):
                    await question()

    asyncio.run(asked())


def test_a_shard_without_accounts_is_not_passed_over_in_silence(ask: Ask, shards: Shards) -> None:
    """A client that has no settings of accounts cannot know that there are none."""
    shards.of("a").store.redis.delete("bc:accounts")
    with pytest.raises(PartlyTakenError, match="shard a: no account is known"):
        ask(lambda client: client.submit_all("*", batch_id="all"))


def test_an_account_or_a_batch_on_two_shards_is_told(ask: Ask, shards: Shards) -> None:
    """It was moved, and the old one not told; or one id was given to two batches."""
    ask(lambda client: client.submit(ORDERS, account="desk1", batch_id="twice"))
    ask(lambda client: client.submit(ORDERS, account="desk2", batch_id="twice"))
    with pytest.raises(TwoShardsError, match="on each of the shards default and a"):
        ask(lambda client: client.batch("twice").status())
    shards.of("default").store.redis.hset("bc:accounts", "desk2", "{}")
    with pytest.raises(TwoShardsError, match="'desk2' is known on the shards default and a"):
        ask(lambda client: client.submit(ORDERS, account="desk2"))


def test_what_would_go_nowhere_is_not_let_go_again(ask: Ask, two: list[EmbeddedRedis], shards: Shards) -> None:
    """A batch that stayed behind when its account moved: its orders are to be handed in again, and where they go."""
    ask(partial(submitted, account="desk2", batch_id="old"))
    ask(lambda client: client.batch("old").withdraw(by="ann"))
    moved = Shards(settings_for(urls_of(two), {"desk1": "a", "desk2": "default"}))
    for shard in moved.all():
        shard.store.directory.publish(shard.store.scripts)
    with pytest.raises(MovedAccountError, match=r"is on shard a, .* they go to shard default") as refused:
        ask(lambda client: client.batch("old").retry(by="ann", statuses=["withdrawn"]))
    assert refused.value.shard == "default"
    assert shards.of("a").store.batches.state("old").waiting == 0


def test_an_id_that_was_used_before_the_account_moved_begins_no_second_batch(ask: Ask, shards: Shards) -> None:
    """It is refused without a question to the other shard, which is named."""
    fields = {"desk2 old": "default"}
    shards.of("a").store.scripts.run("note", {"note": "elsewhere", "fields": fields, "alone": False, "keep_s": 60})
    with pytest.raises(BatchConflictError, match="batch 'old' is known on shard default"):
        ask(partial(submitted, account="desk2", batch_id="old"))
    assert ask(partial(submitted, account="desk2", batch_id="new")).new == 1


def test_outcomes_of_all_shards_are_read_from_one_position(ask: Ask, shards: Shards) -> None:
    """Each with where all of them are, so that whoever stops after any one goes on without missing one."""
    for number in range(4):
        ended(shards.of(("default", "a")[number % 2]).store.redis, number)
    found = ask(lambda client: client.outcomes_since("0"))
    assert [each.ordId for each in found] == ["0", "1", "2", "3"]
    for number, outcome in enumerate(found):
        rest = ask(partial(outcomes_after, position=outcome.position))
        assert [each.ordId for each in rest] == [str(later) for later in range(number + 1, 4)]
    assert found[-1].position == ask(lambda client: client.newest()) == "a=1003-0;default=1002-0"
    assert [each.ordId for each in ask(lambda client: client.outcomes_since("1002"))] == ["2", "3"]


def submitted(client: Any, **fields: str) -> Any:  # noqa: ANN401 (of either client)
    """Hands one order in."""
    return client.submit(ORDERS, **fields)


def status_of(client: Any, batch_id: str) -> Any:  # noqa: ANN401
    """How a batch stands."""
    return client.batch(batch_id).status()


def outcomes_after(client: Any, position: str) -> Any:  # noqa: ANN401
    """What came after it."""
    return client.outcomes_since(position)


def ended(redis: Redis, number: int) -> None:
    """One outcome, as `finish` writes it."""
    told: dict[Any, Any] = {
        "order": f"u/BTC-USDT/o{number}",
        "account": "x",
        "generation": 1,
        "status": "canceled",
        "sCode": "0",
    }
    told |= {"sMsg": "", "attempts": 1, "finished": 1, "batches": "b"}
    redis.xadd("bc:outcomes", told, id=f"{1000 + number}-0")


def test_settings_of_our_own_are_believed() -> None:
    """No question is asked to find an account, so none is missing while a Redis is away."""
    own = Shards(settings_for({"default": "redis://127.0.0.1:1", "a": "redis://127.0.0.1:2"}, {"desk2": "a"}))
    assert own.of_account("desk2").name == "a"
    with pytest.raises(ShardAwayError):
        own.of_account("desk1")
