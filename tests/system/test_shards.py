"""Two Redis, a worker on each: orders of both go in by one door, and while one Redis is dead the other goes on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from bulk_cancel.tasks import BulkCancel
from bulk_cancel.tasks.errors import UnknownBatchError
from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.tasks.outcomes import BatchState
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.shards import ShardAwayError, Shards
from bulk_cancel.worker.state.store import adopt
from tests.support.desks import desk, settings_of
from tests.support.rig import Rig, orders
from tests.support.waiting import PATIENCE_S

THERE = desk(2)
INSTRUMENT = "BTC-USDT"


@pytest.fixture
def other() -> Iterator[EmbeddedRedis]:
    """The Redis of shard `a`; what it was told it knows after a restart."""
    with EmbeddedRedis(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture
def rig(other: EmbeddedRedis) -> Iterator[Rig]:
    """desk1 is of the rig's own Redis, desk2 of the other one; each has a worker."""
    told = {"SHARDS__A__REDIS_URL": other.url, **THERE.settings(SHARD="a"), "HTTP_TIMEOUT_S": "0.5"}
    with Rig(workers=1, config=Config(accounts=(DEFAULT_KEY, THERE.key)), settings=told) as running:
        adopt(Shards(settings_of(running)).of("a").store)
        running.configure(SHARD="a")
        running.start_worker()
        running.wait_for(lambda: owned(running.redis) == {DEFAULT_KEY.uid} and owned(other) == {THERE.uid})
        yield running


def owned(redis: EmbeddedRedis) -> set[str]:
    """The User IDs that this Redis owns."""
    with Redis.from_url(redis.url, decode_responses=True) as client:
        found = client.hgetall("bulk-cancel:owners")
    return {user.rpartition("|")[2] for user, text in found.items() if "ends" not in json.loads(text)}


@contextmanager
def client_of(rig: Rig) -> Iterator[BulkCancel]:
    """A producer without accounts."""
    shards = {"a": settings_of(rig).shards["a"].redis_url.get_secret_value()}
    with BulkCancel(rig.redis.url, shards=shards) as client:
        yield client


def message(name: str, **kwargs: object) -> bytes:
    """A task as another language writes it."""
    headers = {"task": name, "id": str(kwargs["batch_id"]), "lang": "other"}
    body = json.dumps([[], kwargs, {}])
    text = {"body": body, "headers": headers, "content-type": "application/json", "content-encoding": "utf-8"}
    return json.dumps(text).encode()


def push(redis: EmbeddedRedis, *messages: bytes) -> None:
    """LPUSH into the queue."""
    with Redis.from_url(redis.url) as client:
        client.lpush("cancel", *messages)


def asked(account: str, batch_id: str, ids: list[str]) -> bytes:
    """A batch as a message."""
    return message("tasks.cancel_orders", account=account, batch_id=batch_id, orders=list(orders(INSTRUMENT, ids)))


def test_one_redis_dies_and_the_other_goes_on(rig: Rig, other: EmbeddedRedis) -> None:
    """Nothing is lost, no window is exceeded, and what was put off is taken when the dead one is back."""
    here = rig.exchange.control.place(DEFAULT_KEY.uid, INSTRUMENT, 500)
    there = rig.exchange.control.place(THERE.uid, INSTRUMENT, 500)
    late = {f"late-{number}": there[250 + number :: 50] for number in range(50)}
    with client_of(rig) as client:
        push(rig.redis, asked("desk2", "there", there[:250]), asked("desk1", "here-1", here[:250]))
        assert waited(rig, client, "there").counts == {"canceled": 250}
        other.kill()
        push(rig.redis, *(asked("desk2", name, ids) for name, ids in late.items()))
        push(rig.redis, asked("desk1", "here-2", here[250:]))
        assert waited(rig, client, "here-2").counts == {"canceled": 250}
        assert waited(rig, client, "here-1").counts == {"canceled": 250}
        with pytest.raises(ShardAwayError):
            client.submit(orders(INSTRUMENT, there[-1:]), account="desk2")
        other.start()
        ended = [waited(rig, client, name) for name in late]
    assert sum(state.counts.get("canceled", 0) for state in ended) == 250
    summary = rig.exchange.control.summary()
    assert (any(summary.live.values()), summary.refusals) == (False, 0)
    assert max(meter.max_in_window for name, meter in summary.meters.items() if name.startswith("batch:")) <= 300


def test_a_mass_cancel_of_everybody_reaches_both(rig: Rig) -> None:
    """Asked of one broker; each shard has a batch of its own users."""
    for uid in (DEFAULT_KEY.uid, THERE.uid):
        rig.exchange.control.place(uid, INSTRUMENT, 30)
    push(rig.redis, message("tasks.cancel_all", account="*", batch_id="all"))
    rig.wait_for(lambda: rig.exchange.control.summary().live_orders == 0)
    with client_of(rig) as client:
        ended = [waited(rig, client, f"all-{name}") for name in ("desk1", "desk2")]
    assert [state.counts for state in ended] == [{"canceled": 30}] * 2


def test_the_command_line_cancels_what_it_can_reach(
    rig: Rig,
    other: EmbeddedRedis,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It names the shard that is away, and the same again does the rest once that is back."""
    rig.adopt(monkeypatch, tmp_path)
    monkeypatch.delenv("BULK_CANCEL_SHARD")
    for uid in (DEFAULT_KEY.uid, THERE.uid):
        rig.exchange.control.place(uid, INSTRUMENT, 30)
    other.kill()
    status = run(["all", "--all-accounts", "--yes", "--batch-id", "m", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (status, told["succeeded"], [line[:15] for line in told["missing"]]) == (1, False, ["shard a is away"])
    (report,) = told["reports"]
    assert (report["shard"], report["batch_id"], report["succeeded"]) == ("default", "m-desk1", True)
    assert rig.exchange.control.summary().live_orders == 30
    assert run(["status"]) == 1
    shown = capsys.readouterr().out
    assert ("shard a is away" in shown, "1 worker," in shown) == (True, True)
    other.start()
    assert run(["all", "--all-accounts", "--yes", "--batch-id", "m", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["shard"], each["outcomes"]) for each in told["reports"]] == [
        ("default", {"canceled": 30}), ("a", {"canceled": 30}),
    ]  # fmt: skip
    assert rig.exchange.control.summary().live_orders == 0


def test_a_worker_that_is_told_otherwise_sends_nothing(rig: Rig) -> None:
    """Two Redis must never grant slots of one User ID: the second says why, and what lies there waits."""
    rig.configure(SHARD="default", **THERE.settings(SHARD="default"))
    rig.start_worker()
    wrong, right = (Shards(settings_of(rig)).of(name).store for name in ("default", "a"))
    rig.wait_for(lambda: "is served on shard a" in str(wrong.redis.hvals(wrong.keys.of("workers"))))
    stays, goes = (rig.exchange.control.place(THERE.uid, INSTRUMENT, 40) for _ in range(2))
    for store, batch_id, ids in ((wrong, "stays", stays), (right, "goes", goes)):
        rows = list(orders(INSTRUMENT, ids))
        store.admission.admit(parse_cancel_orders(account="desk2", batch_id=batch_id, orders=rows))
    rig.wait_for(lambda: right.batches.state("goes").complete)
    assert right.batches.state("goes").counts == {"canceled": 40}
    assert wrong.batches.state("stays").waiting == 40
    assert rig.exchange.control.summary().live_orders == 40


def waited(rig: Rig, client: BulkCancel, batch_id: str, within_s: float = PATIENCE_S) -> BatchState:
    """The batch once it is there and complete."""

    def taken() -> bool:
        try:
            return bool(client.batch(batch_id).status())
        except (UnknownBatchError, ShardAwayError):
            return False

    rig.wait_for(taken, within_s)
    return client.batch(batch_id).wait(within_s)
