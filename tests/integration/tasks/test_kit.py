"""The test kit for producers, on fakeredis and on a real server alike: what it says there is what it says here."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from celery import Celery, chain
from redis import Redis

from bulk_cancel.tasks import aio, batch, follow, submit, submit_all
from bulk_cancel.tasks.cancel import cancel_order, cancel_orders
from bulk_cancel.tasks.errors import BatchConflictError, InvalidOrders, UnknownAccountError, UnknownBatchError
from bulk_cancel.tasks.testing import Kit, endings
from bulk_cancel.tasks.testing.kit import opened
from bulk_cancel.tasks.testing.server import fake_redis
from bulk_cancel.worker.books.able import Survey
from bulk_cancel.worker.operators.decisions import Asked, Decisions
from tests.support.envelopes import envelope

ONE, TWO = ({"instId": "BTC-USDT", "ordId": ord_id} for ord_id in "12")
ROWS = [
    ONE,
    TWO,
    {"instId": "X-USDT", "clOrdId": "a3"},
]


@pytest.fixture(params=["fakeredis", "server"])
def kit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """A runner that serves desk1 and desk2."""
    url = "" if request.param == "fakeredis" else request.getfixturevalue("redis_url")
    redis = (lambda: nullcontext(url)) if url else fake_redis
    with opened(["desk1", "desk2"], monkeypatch, redis) as kit:
        yield kit


def test_what_is_submitted_is_admitted(kit: Kit) -> None:
    """In the order in which it came, with the facts that were given."""
    submit(ROWS, account="desk1", batch_id="first", reason="limit", labels={"desk": "mm"})
    with kit.client as client:
        assert client.submit(ROWS[:1], account="desk2", batch_id="second", urgent=True).new == 1
    first, second = kit.batches()
    assert (first.batch_id, first.size, first.reason, first.labels) == ("first", 3, "limit", {"desk": "mm"})
    assert (second.batch_id, second.account, second.urgent, second.waiting) == ("second", "desk2", True, 1)
    assert [row.ordId or row.clOrdId for row in kit.orders("first")] == ["1", "2", "a3"]
    assert kit.refused() == []


def test_what_submit_refuses_it_refuses_here(kit: Kit) -> None:
    """By the same errors; nothing is there afterwards."""
    with pytest.raises(InvalidOrders, match=r"orders\[0\]: ordId or clOrdId is required"):
        submit([{"instId": "BTC-USDT"}], account="desk1")
    with pytest.raises(UnknownAccountError, match="known accounts: desk1, desk2"):
        submit(ROWS, account="desk3")
    submit(ROWS[:1], account="desk1", batch_id="b")
    with pytest.raises(BatchConflictError):
        submit(ROWS[1:], account="desk1", batch_id="b")
    assert [each.batch_id for each in kit.batches()] == ["b"]
    kit.serve("desk3")
    assert submit(ROWS, account="desk3").new == 3


@pytest.mark.parametrize("protocol", [1, 2])
def test_celerys_messages_are_taken_as_a_worker_takes_them(kit: Kit, protocol: int) -> None:
    """The good rows of a message, and each bad one with its reason."""
    app = Celery(broker=kit.url)
    app.conf.task_protocol = protocol
    app.send_task("tasks.cancel_orders", queue="urgent", kwargs={"batch_id": "b", "account": "desk1", "orders": ROWS})
    app.send_task("tasks.cancel_order", queue="cancel", kwargs={"account": "desk1", "instId": "BTC-USDT", "ordId": "x"})
    app.send_task("tasks.cancel_all", queue="cancel", kwargs={"account": "desk9", "batch_id": "m"})
    app.send_task("tasks.unknown", queue="cancel")
    app.close()
    assert kit.deliver() == 4
    assert [(each.batch_id, each.size, each.urgent) for each in kit.batches()] == [("b", 3, True)]
    assert [each.errors for each in kit.refused()] == [
        ("orders[0].ordId: should be 1 to 20 digits, the first not 0",),
        ("unknown account 'desk9'; known accounts: desk1, desk2",),
        ("headers.task: 'tasks.unknown' is no task of this runner",),
    ]


# Celery says so of every task that names one
@pytest.mark.filterwarnings(r"ignore:\s*The 'queue' task attribute is deprecated")
def test_an_eager_task_is_run_at_once(kit: Kit) -> None:
    """As with Celery's own `task_always_eager`; of a chain each link."""
    app = Celery(broker=kit.url, set_as_current=True)
    app.conf.task_always_eager = True
    cancel_orders.delay(batch_id="b", account="desk1", orders=ROWS)
    first, then = (cancel_order.si(batch_id=name, account="desk1", **row) for name, row in (("c", ONE), ("d", TWO)))
    chain(first, then)()
    app.close()
    assert kit.deliver() == 0
    assert [each.batch_id for each in kit.batches()] == ["b", "c", "d"]


def test_a_message_by_lpush_is_taken(kit: Kit) -> None:
    """And what is no message is kept as refused."""
    message = envelope("tasks.cancel_orders", {"batch_id": "b", "account": "desk1", "orders": ROWS})
    with Redis.from_url(kit.url) as redis:
        redis.lpush("cancel", json.dumps(message), "rubbish", b"no \xff text")
    assert [each.batch_id for each in kit.batches()] == ["b"]
    rubbish, bytes_alone = kit.refused()
    assert (rubbish.payload, rubbish.source) == ("rubbish", "cancel")
    assert rubbish.errors[0].startswith("message: not JSON")
    assert (bytes_alone.payload, bytes_alone.errors) == (r"no \xff text", ("message: not UTF-8 at byte 3",))
    assert bytes_alone.length == len(bytes_alone.payload)


@pytest.mark.parametrize(
    ("status", "code", "filled"),
    [("canceled", "0", "0.5"), ("filled", "0", "3"), ("gone", "51400", None), ("rejected", "51403", None)],
)
def test_orders_end_as_the_test_likes(kit: Kit, status: str, code: str, filled: str | None) -> None:
    """Those that it names, then the others; each is told by the batch and by the stream of outcomes."""
    receipt = submit(ROWS, account="desk1", batch_id="b")
    submit(ROWS[:1], account="desk1", batch_id="other")
    state = kit.end("b", status, ids=["2", "a3"], accFillSz=filled or "0")
    assert (state.waiting, state.counts) == (1, {status: 2})
    assert kit.end("b").counts == Counter([status, status, "canceled"])
    rows = kit.orders("b")
    assert [(row.status, row.sCode, row.accFillSz) for row in rows[1:]] == [(status, code, filled)] * 2
    assert [(row.attempts, row.first_sent_at is not None) for row in rows] == [(1, True)] * 3
    assert receipt.wait(0).complete
    assert batch("other").wait(0).counts == {"canceled": 1}
    told = follow()
    assert [next(told).status for _ in range(3)] == [status, status, "canceled"]


def test_algo_orders_are_taken_by_every_door(kit: Kit) -> None:
    """Apart from an order of the same id, with limits of their own, and they end as the test likes."""
    algo = {"instId": "BTC-USDT", "algoId": "1"}
    receipt = submit([ONE, algo, {"instId": "BTC-USDT", "algoClOrdId": "t7"}], account="desk1", batch_id="b")
    assert (receipt.size, receipt.lanes, receipt.new) == (3, 2, 3)
    with pytest.raises(BatchConflictError):
        submit([algo], account="desk1", batch_id="b")
    many = [{"instId": "BTC-USDT", "algoId": str(ident)} for ident in range(100, 598)]
    started = submit(many, account="desk1", batch_id="many")
    assert 48 <= (started.earliest_done_at - started.created_at).total_seconds() < 60  # 500 wait, 20 go in 2 s
    app = Celery(broker=kit.url)
    app.send_task("tasks.cancel_orders", queue="cancel", kwargs={"batch_id": "c", "account": "desk1", "orders": [algo]})
    app.send_task("tasks.cancel_order", queue="cancel", kwargs={"batch_id": "d", "account": "desk1", **algo})
    app.close()
    assert [row.algoId for name in "cd" for row in kit.orders(name)] == ["1", "1"]
    assert kit.end("b", "canceled", ids=["1", "t7"]).counts == {"canceled": 3}
    assert [(row.ordId, row.algoId, row.clOrdId, row.status) for row in kit.orders("b")] == [
        ("1", None, None, "canceled"),
        (None, "1", None, "canceled"),
        (None, None, "t7", "canceled"),
    ]
    assert [row.status for row in kit.orders("d")] == ["canceled"]


def test_an_order_that_may_be_live_is_dead_and_goes_again(kit: Kit) -> None:
    """As the service would let it."""
    taken = submit(ROWS[:2], account="desk1", batch_id="b")
    assert kit.end("b", "exhausted", ids=["1"], sMsg="no answer").dead == 1
    assert kit.orders("b")[0].sMsg == "no answer"
    assert taken.retry(by="service").opened == 1
    assert kit.end("b").counts == {"canceled": 2}


def test_a_client_id_that_goes_again_ends(kit: Kit) -> None:
    """A worker asks first which order it names: here the kit says it; the others of its lane wait as before."""
    rows = [{"instId": "BTC-USDT", "clOrdId": name} for name in ("a1", "a2", "a3")]
    taken = submit(rows, account="desk1", batch_id="b")
    kit.end("b", "exhausted")
    assert taken.retry(by="service").opened == 3
    assert kit.end("b", "filled", ids=["a2"], accFillSz="1").counts == {"filled": 1}
    assert [row.accFillSz for row in kit.orders("b")] == [None, "1", None]
    assert kit.end("b", "gone", ids=["a1"]).waiting == 1
    assert kit.end("b").counts == {"gone": 1, "filled": 1, "canceled": 1}


def test_orders_far_back_in_a_long_line_end(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one claim holds none of them; what stands before them stays as it was."""
    monkeypatch.setattr(endings, "AT_ONCE", 2)
    submit([{"instId": "BTC-USDT", "ordId": str(number)} for number in range(1, 201)], account="desk1", batch_id="b")
    assert kit.end("b", ids=["199", "77"]).waiting == 198
    rows = kit.orders("b")
    assert [row.number for row in rows if row.status == "canceled"] == [76, 198]
    assert {(row.status, row.attempts) for row in rows if row.finished_at is None} == {("queued", 0)}
    assert kit.end("b").complete


def test_what_does_not_end_is_an_error_of_the_test(kit: Kit) -> None:
    """Such as orders of an account that is paused; they wait on."""
    submit(ROWS[:2], account="desk1", batch_id="b")
    Decisions(kit._store).pause("desk1", Asked("me", "why"))
    with pytest.raises(RuntimeError, match="2 of the orders did not end: desk1/BTC-USDT/o1, desk1/BTC-USDT/o2: "):
        kit.end("b")
    assert [row.status for row in kit.orders("b")] == ["queued"] * 2


def test_a_mass_cancel_finds_what_the_test_says(kit: Kit) -> None:
    """And is complete once it is over and all of it has ended."""
    [mass] = submit_all("desk1", batch_id="m", until_flat_s=1, with_=["algos"])
    algo = {"instId": "BTC-USDT", "algoId": "7", "algoClOrdId": "t7"}
    orders = [{"instId": "BTC-USDT", "ordId": "7", "clOrdId": "mine"}, {"instId": "X-USDT", "ordId": "8"}]
    kit.find("m", [*orders, algo])
    assert mass.status().waiting == 3
    kit.end("m", ids=["mine", "t7"])
    kit.finish("m")
    assert not mass.status().complete
    kit.end("m")
    assert mass.wait(0).counts == {"canceled": 3}
    assert [(row.ordId, row.algoId) for row in kit.orders("m")] == [("7", None), ("8", None), (None, "7")]
    assert mass.report().state == "flat"
    with pytest.raises(LookupError, match="is over"):
        kit.finish("m")


@pytest.mark.parametrize("ended_first", [True, False])
def test_the_report_of_a_mass_cancel_is_over_at_once(kit: Kit, *, ended_first: bool) -> None:
    """Whichever comes last, its end or that of its orders: nobody waits for a survey that no worker makes."""
    [mass] = submit_all("desk1", batch_id="m", until_flat_s=1)
    kit.find("m", [ONE, TWO])
    first, last = (kit.end, kit.finish) if ended_first else (kit.finish, kit.end)
    first("m")
    assert not mass.report().over
    last("m")
    report = mass.report()
    assert (report.state, report.over, report.surveying, report.complete) == ("flat", True, False, True)
    assert (report.succeeded, report.outcomes) == (True, {"canceled": 2})


@pytest.mark.parametrize("ended_by", ["withdraw", "release"])
def test_a_mass_cancel_that_the_service_ends_is_over_once_it_is_delivered(kit: Kit, ended_by: str) -> None:
    """As workers would take it up; one that runs is left alone."""
    [mass] = submit_all("desk1", batch_id="m", hold=ended_by == "release")
    kit.find("m", [ONE])
    kit.deliver()
    assert not mass.report().over
    getattr(mass, ended_by)(by="service")
    if ended_by == "release":
        kit.end("m")
    kit.deliver()
    report = mass.report()
    assert (report.over, report.surveying, report.survey) == (True, False, Survey())


def test_what_goes_again_after_the_report_is_looked_after_again(kit: Kit) -> None:
    """The report waits for the end of the order, and for nothing else."""
    [mass] = submit_all("desk1", batch_id="m")
    kit.find("m", [ONE])
    kit.end("m", "exhausted")
    kit.finish("m")
    assert (mass.report().over, mass.report().succeeded) == (True, False)
    mass.retry(by="service")
    assert not mass.report().over
    kit.end("m")
    assert (mass.report().over, mass.report().succeeded) == (True, True)


@pytest.mark.parametrize(
    "step",
    [
        lambda kit: kit.serve("desk\ud83d"),
        lambda kit: kit.end("b", "rejected", sMsg="\ud83d"),
        lambda kit: kit.end("b", "rejected", sCode="\ud83d"),
        lambda kit: kit.end("b", "filled", accFillSz="\ud83d"),
        lambda kit: kit.find("b", [{"instId": "BTC-USDT", "ordId": "1", "clOrdId": "\ud83d"}]),
    ],
)
def test_text_that_redis_cannot_keep_is_an_error_of_the_test(kit: Kit, step: Callable[[Kit], object]) -> None:
    """By its name, before anything is done."""
    submit([ONE], account="desk1", batch_id="b")
    with pytest.raises(
        ValueError, match=r"^(account 'desk|sMsg|sCode|accFillSz|clOrdId).*: should be whole characters"
    ):
        step(kit)
    assert kit.orders("b")[0].status == "queued"


@pytest.mark.parametrize("step", [Kit.orders, Kit.end, Kit.finish, lambda kit, batch_id: kit.find(batch_id, [ONE])])
def test_what_can_be_no_id_is_an_unknown_batch(kit: Kit, step: Callable[[Kit, str], object]) -> None:
    """Rather than an error of redis-py's."""
    with pytest.raises(UnknownBatchError, match=r"unknown batch 'caf\\udce9'"):
        step(kit, "caf\udce9")


def test_what_cannot_be_is_an_error_of_the_test(kit: Kit) -> None:
    """Not a batch that stays as it is."""
    submit(ROWS, account="desk1", batch_id="b")
    with pytest.raises(ValueError, match="no order ends as 'cancelled'; choose one of canceled, filled"):
        kit.end("b", "cancelled")
    with pytest.raises(LookupError, match="no order waits in batch 'b' with the id 9"):
        kit.end("b", ids=["1", "9"])
    with pytest.raises(UnknownBatchError):
        kit.end("no")
    assert kit.orders("b")[0].status == "queued"


def test_hundreds_of_orders_end_at_once(kit: Kit) -> None:
    """No limit of the exchange makes a test wait."""
    submit([{"instId": "BTC-USDT", "ordId": str(number)} for number in range(1, 701)], account="desk1", batch_id="b")
    assert kit.end("b").counts == {"canceled": 700}


async def waited(url: str) -> list[str]:
    """What a service of asyncio reads."""
    async with aio.BulkCancel(url) as runner:
        state = await runner.batch("b").wait(0)
        return [state.batch_id, *[row.status async for row in runner.batch("b").outcomes()]]


def test_a_service_of_asyncio_reads_there(kit: Kit) -> None:
    """By the same address."""
    submit(ROWS[:2], account="desk1", batch_id="b")
    kit.end("b", "filled")
    assert asyncio.run(waited(kit.url)) == ["b", "filled", "filled"]
