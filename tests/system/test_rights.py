"""Does everything work with no more than the lines of OPERATING.md allow? Redis itself keeps what it has refused."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from celery import Celery, signature
from pydantic import SecretStr
from redis import Redis

from bulk_cancel.tasks import BulkCancel
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.state.store import open_store
from tests.support.acl_lines import WORD, let_in, rules_of
from tests.support.door import Door
from tests.support.envelopes import envelope
from tests.support.rig import Rig, orders
from tests.system.chaos.drill import QUICK, UID, quick_exchange

PRODUCER = "producer"
READER = "reader"
DOOR = "door"
"""Of the HTTP door: the rights of both."""

LOOKS = {
    "status": 0,
    "status b": 0,
    "status m": 1,  # it was released before it was flat
    "outcomes b --verbose": 0,
    "batches": 0,
    "refused": 0,
    "audit": 0,
    "formats": 0,
}
"""What somebody may ask who may change nothing, and how it ends."""
DECISIONS = {
    "pause desk1/ETH-USDT --reason why": 0,
    "resume desk1/ETH-USDT --reason why": 0,
    "withdraw --account desk1 --yes": 0,
    "retry --account desk1 --status rejected --yes": 0,
    "all --account desk1 --batch-id all": 0,
}
"""What somebody may decide who may hand in."""


READ = (
    *(
        "/v1/batches",
        "/v1/batches/h",
        "/v1/batches/h/outcomes",
        "/v1/mass-cancels",
        "/v1/mass-cancels/hm",
        "/v1/status",
    ),
    *("/v1/lanes", "/v1/accounts", "/v1/audit", "/v1/find?q=h", "/v1/refused", "/readyz", "/metrics"),
)
"""What is read over HTTP."""


def as_user(url: str, user: str) -> str:
    """The address, with that user's login."""
    return url.replace("//", f"//{user}:{WORD}@")


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A runner whose worker is the user `worker`; the others are let in, too."""
    with Rig(workers=0, config=quick_exchange(), settings=QUICK) as running:
        for user in ("worker", PRODUCER, READER, "celery"):
            let_in(running.store.redis, user, *rules_of(user))
        let_in(running.store.redis, DOOR, *rules_of(PRODUCER), *rules_of(READER)[1:])
        running.configure(REDIS_URL=as_user(running.redis.url, "worker"))
        running.start_workers(1)
        yield running


def refused(rig: Rig) -> list[object]:
    """What Redis has refused, to whom; but for a name that redis-py gives itself, or not: CLIENT SETINFO."""
    log = rig.store.redis.acl_log()
    return [(entry["username"], entry["object"]) for entry in log if not str(entry["object"]).startswith("client")]


def place(rig: Rig, inst_id: str, count: int = 2) -> list[dict[str, str]]:
    """Open orders."""
    return list(orders(inst_id, rig.exchange.control.place(UID, inst_id, count)))


def test_every_user_of_the_page_does_its_work(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker cancels, a producer hands in, waits, reads and decides, a Celery client sends, a reader looks."""
    produce(rig)
    send(rig)
    serve(rig)
    assert rig.exchange.control.summary().live_orders == 0
    assert refused(rig) == []
    rig.adopt(monkeypatch, tmp_path)
    for name in (name for name in rig.environment if "ACCOUNTS" in name):
        monkeypatch.delenv(name)
    for user, commands in ((PRODUCER, DECISIONS), (READER, LOOKS)):
        monkeypatch.setenv("BULK_CANCEL_REDIS_URL", as_user(rig.redis.url, user))
        assert ends(commands) == commands
    assert rig.stop_worker(rig.workers[0]) == 0
    assert refused(rig) == []


def produce(rig: Rig) -> None:
    """All that a client can."""
    with BulkCancel(as_user(rig.redis.url, PRODUCER)) as runner:
        taken = runner.submit(place(rig, "BTC-USDT"), account="desk1", batch_id="b")
        assert taken.wait(30).counts == {"canceled": 2}
        assert [row.status for row in taken.outcomes()] == ["canceled"] * 2
        assert next(runner.follow()).batches == ("b",)
        assert runner.newest() > "0"
        rejected = runner.submit([{"instId": "NO-SUCH", "ordId": "1"}], account="desk1", batch_id="r")
        assert rejected.wait(30).dead == 1
        assert rejected.retry(by="ann", statuses=["rejected"]).opened == 1
        assert rejected.wait(30).complete
        assert rejected.withdraw(by="ann").withdrawn == 0
        place(rig, "ETH-USDT")
        [mass] = runner.submit_all("desk1", batch_id="m", hold=True, until_flat_s=60)
        held = runner.batch(mass.batch_id)
        rig.wait_for(lambda: held.status().counts == {"canceled": 2})
        assert held.release(by="ann")
        assert held.wait(30).complete
        assert held.report().state == "released"


def send(rig: Rig) -> None:
    """A message by Celery, with what shall run next, one by LPUSH, and one that is refused."""
    url = as_user(rig.redis.url, "celery")
    asked = {"account": "desk1", "batch_id": "c", "orders": place(rig, "BTC-USDT")}
    with Celery(broker=url) as app:
        then = signature("theirs.then", app=app)
        app.send_task("tasks.cancel_orders", queue="urgent", kwargs=asked, link=then)
        app.send_task("tasks.cancel_order", queue="cancel", kwargs={"account": "desk1"})
    pushed = {"account": "desk1", "batch_id": "l", "orders": place(rig, "BTC-USDT")}
    with Redis.from_url(url) as redis:
        redis.lpush("cancel", json.dumps(envelope("tasks.cancel_orders", pushed)))
    for batch in "cl":
        rig.taken(batch)
        assert rig.done(batch).counts == {"canceled": 2}
    rig.wait_for(lambda: rig.store.refusals.count() == 1)
    rig.wait_for(lambda: rig.store.redis.llen("celery") == 1)


def serve(rig: Rig) -> None:
    """All that is read over HTTP, and a batch that is taken and decided about."""
    url = as_user(rig.redis.url, DOOR)
    store = open_store(rig.store.settings.model_copy(update={"redis_url": SecretStr(url)}))
    with Door(store) as door:
        row = {"account": "desk1", "orders": place(rig, "BTC-USDT")}
        assert door.call("PUT", "/v1/batches/h", None, json=row).status_code == 201
        rig.done("h")
        assert door.call("PUT", "/v1/mass-cancels/hm", None, json={"account": "desk1"}).status_code == 201
        rig.done("hm")
        for path in ("batches/h/retry", "batches/h/withdraw"):
            assert door.call("POST", f"/v1/{path}", None, json={"reason": "why"}).status_code == 200
        for method in ("PUT", "DELETE"):
            assert door.call(method, "/v1/accounts/desk1/pause", None, json={"reason": "why"}).status_code == 200
        for path in READ:
            assert (path, door.call("GET", path, None).status_code) == (path, 200)
        with door.session.get(f"{door.url}/v1/events", stream=True, timeout=20) as events:
            assert next(events.iter_lines())
    store.redis.close()


def ends(commands: Iterable[str]) -> dict[str, int]:
    """How each ends."""
    return {command: run(command.split()) for command in commands}
