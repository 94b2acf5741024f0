"""Handing in, on fakeredis and on a real server alike: a producer's own tests may use either."""

import json
import re
from collections.abc import Iterator

import pytest
from redis import Redis

from bulk_cancel.tasks import submit, submit_all
from bulk_cancel.tasks.errors import BatchConflictError, InvalidOrders, UnknownAccountError
from bulk_cancel.tasks.testing.server import fake_redis
from bulk_cancel.worker.state.shards import default_shards, default_store
from bulk_cancel.worker.state.store import Store

ORDERS = [
    {"instId": "BTC-USDT", "ordId": "1"},
    {"instId": "BTC-USDT", "ordId": "2"},
    {"instId": "X-USDT", "clOrdId": "a3"},
]
_LONG = re.compile(r"\d{5,}(\.\d+)?")
BOTH = pytest.mark.parametrize("redis", ["fakeredis", "server"], indirect=True)


@pytest.fixture
def redis(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty one of the kind that the test names."""
    if request.param == "server":
        yield request.getfixturevalue("redis_url")
        return
    with fake_redis() as url:
        yield url


@pytest.fixture
def store(redis: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store that `submit` uses."""
    yield opened(redis, monkeypatch)
    default_store().redis.close()
    default_shards.cache_clear()


def opened(url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of this process, on that Redis."""
    for name in ("API_KEY", "API_SECRET", "PASSPHRASE"):
        monkeypatch.setenv(f"BULK_CANCEL_ACCOUNTS__DESK1__{name}", "x")
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", url)
    default_shards.cache_clear()
    return default_store()


@BOTH
def test_every_order_is_there_when_it_returns(store: Store) -> None:
    """In its lane, and in the batch with the facts that were given."""
    receipt = submit(ORDERS, account="desk1", batch_id="b1", urgent=True, reason="limit", labels={"desk": "mm"})
    state = store.batches.state("b1")
    assert (receipt.size, receipt.lanes, receipt.new, receipt.sealed) == (3, 2, 3, True)
    assert (state.size, state.waiting, state.reason, state.labels) == (3, 3, "limit", {"desk": "mm"})
    assert sorted(row.ordId or str(row.clOrdId) for row in store.batches.rows("b1")) == ["1", "2", "a3"]
    assert sorted(store.redis.keys("bc:ready:*")) == ["bc:ready:desk1/BTC-USDT", "bc:ready:desk1/X-USDT"]


@BOTH
@pytest.mark.usefixtures("store")
def test_the_same_again_changes_nothing() -> None:
    """And completes nothing, as nothing is missing."""
    first = submit(ORDERS, account="desk1", batch_id="b1")
    again = submit(ORDERS, account="desk1", batch_id="b1")
    assert (first.new, again.new, again.known, again.size) == (3, 0, 3, 3)


@BOTH
@pytest.mark.usefixtures("store")
def test_an_order_of_two_batches_is_one_job() -> None:
    """It joins what waits already."""
    submit(ORDERS, account="desk1", batch_id="b1")
    second = submit(ORDERS[:2], account="desk1", batch_id="b2")
    assert (second.new, second.joined) == (0, 2)


@BOTH
def test_refusals_take_nothing(store: Store) -> None:
    """Other orders under a known id, a bad row, an account that nobody serves."""
    submit(ORDERS[:1], account="desk1", batch_id="b1")
    before = sorted(store.redis.keys())
    with pytest.raises(BatchConflictError):
        submit(ORDERS[1:], account="desk1", batch_id="b1")
    with pytest.raises(InvalidOrders):
        submit([{"instId": "BTC-USDT"}], account="desk1", batch_id="b2")
    with pytest.raises(UnknownAccountError):
        submit(ORDERS, account="nobody", batch_id="b3")
    assert sorted(store.redis.keys()) == before


@BOTH
@pytest.mark.usefixtures("store")
def test_everything_open_is_asked_for_once() -> None:
    """The same id again only answers."""
    first, again = (submit_all("desk1", batch_id="m1", instType="SWAP") for _ in range(2))
    assert first == again
    assert [receipt.batch_id for receipt in first] == ["m1"]


@BOTH
@pytest.mark.usefixtures("store")
def test_bots_are_stopped_only_in_the_way_that_is_named() -> None:
    """Over Python as in messages; the scope that was asked for comes back."""
    wanted = {"with": ["algos", "bots", "spreads"], "bots": "keep-positions", "instType": "SWAP"}
    (receipt,) = submit_all("desk1", with_=["bots", "algos", "spreads"], bots="keep-positions", instType="SWAP")
    assert receipt.scope == wanted
    with pytest.raises(InvalidOrders, match="bots: should be 'keep-positions'"):
        submit_all("desk1", with_=["bots"])
    with pytest.raises(InvalidOrders, match="instType: rfqs cannot be told apart by it"):
        submit_all("desk1", with_=["rfqs"], instType="SWAP")


def test_both_are_left_with_the_same_state(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, their types and which end by themselves; jobs and batches value by value, but for times."""
    with fake_redis() as url:
        fake, server = (left(opened(each, monkeypatch).redis) for each in (url, redis_url))
    default_shards.cache_clear()
    assert "bc:job:desk1/BTC-USDT/o1" in server
    assert fake == server


def left(redis: Redis) -> dict[str, tuple[str, bool, object]]:
    """What three requests leave: type, whether it has a TTL, and a text or hash with its long numbers as N."""
    submit(ORDERS, account="desk1", batch_id="b1")
    submit(ORDERS[:2], account="desk1", batch_id="b2", urgent=True)
    submit_all("desk1", batch_id="m1")
    kinds = {str(key): str(redis.type(key)) for key in redis.scan_iter()}
    return {key: (kind, redis.ttl(key) > 0, content(redis, key, kind)) for key, kind in kinds.items()}


@pytest.mark.parametrize(
    ("script", "in_process", "server"),
    [
        ("return cjson.encode({})", "[]", "{}"),
        ("return cjson.encode({2510789768709120})", "[2510789768709120]", "[2.5107897687091e+15]"),
        ("return cjson.encode({1, nil, 3})", '{"1":1,"3":3}', "[1,null,3]"),
    ],
)
def test_where_fakeredis_differs_no_verb_may_go(redis_url: str, script: str, in_process: str, server: str) -> None:
    """Its cjson forgives what a server's does not; `tasks/README.md` says so, for as long as it is so."""
    told = []
    with fake_redis() as url:
        for each in (url, redis_url):
            with Redis.from_url(each, decode_responses=True, protocol=2) as client:
                told.append(client.eval(script, 0))
    assert told == [in_process, server]


def content(redis: Redis, key: str, kind: str) -> object:
    """A text's or hash's values."""
    if kind == "string":
        return parsed(str(redis.get(key)))
    if kind == "hash":
        return {str(name): parsed(str(value)) for name, value in redis.hgetall(key).items()}
    return None


def parsed(value: str) -> object:
    """As it is but for long numbers; fields of an object, which Lua writes in any order, as a dict."""
    head, brace, fields = _LONG.sub("N", value).partition("{")
    return (head, json.loads(brace + fields.replace(":N", ':"N"'))) if brace else head
