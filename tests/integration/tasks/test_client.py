"""The client of services, plain and of asyncio: what both tell of a runner whose orders the test lets end."""

import asyncio
import copy
import pickle
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from redis import Redis

from bulk_cancel.tasks import BulkCancel, aio
from bulk_cancel.tasks.errors import (
    BatchConflictError,
    InvalidOrders,
    LostPositionError,
    NotAPositionError,
    NotCompleteError,
    SettingsError,
    UnknownBatchError,
    UnknownMassError,
    UnreadableFormatError,
    UnsealedBatchError,
)
from bulk_cancel.tasks.outcomes import Outcome, Row
from bulk_cancel.worker.operators.audit import Audit
from tests.support.lane_rig import LaneRig, finished, orders

Ask = Callable[..., Any]


class Plain:
    """Calls of the plain client as they are."""

    def __init__(self, url: str) -> None:
        self.client = BulkCancel(url, key_prefix="t")

    def __call__(self, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        """The answer; of an iterator all of it."""
        found = ask(self.client)
        return list(found) if isinstance(found, Iterator) else found

    def close(self) -> None:
        """Closes its connections."""
        self.client.close()


class Asyncio(Plain):
    """Calls of the client of asyncio, each in a loop of its own, so with a client of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        """The answer; of an iterator all of it."""
        return asyncio.run(self._ask(ask))

    async def _ask(self, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        async with aio.BulkCancel(self.url, key_prefix="t") as client:
            found = ask(client)
            if hasattr(found, "__aiter__"):
                return [each async for each in found]
            return await found if isinstance(found, Awaitable) else found

    def close(self) -> None:
        """Closed after each call."""


@pytest.fixture(params=[Plain, Asyncio], ids=["plain", "asyncio"])
def ask(request: pytest.FixtureRequest, redis_url: str, rig: LaneRig) -> Iterator[Plain]:
    """A client that knows the rig's account, and nothing of the environment."""
    rig.store.directory.publish(rig.scripts)
    asked = request.param(redis_url)
    yield asked
    asked.close()


def end(rig: LaneRig, **fields: object) -> None:
    """Every order that waits ends, accepted unless `fields` say otherwise."""
    claim = rig.claim(permits=1000)
    for call in claim.calls:
        rig.record(claim, call, **fields)


def test_a_batch_is_handed_in_waited_for_and_read(ask: Plain, rig: LaneRig) -> None:
    """The receipt has figures, and the batch in hand."""
    receipt = ask(lambda runner: runner.submit(orders(3), account="a1", batch_id="b", reason="limit"))
    assert (receipt.size, receipt.new, receipt.sealed) == (3, 3, True)
    state = ask(lambda runner: runner.batch("b").status())
    assert (state.waiting, state.reason, state.complete) == (3, "limit", False)
    assert {row.status for row in ask(lambda runner: runner.batch("b").outcomes())} == {"queued"}
    end(rig)
    done = ask(lambda runner: runner.batch("b").wait(5))
    assert (done.complete, done.counts, done.dead) == (True, {"accepted": 3}, 0)
    rows: list[Row] = ask(lambda runner: runner.batch("b").outcomes())
    assert sorted((row.number, row.ordId, row.status) for row in rows) == [
        (0, "1", "accepted"),
        (1, "2", "accepted"),
        (2, "3", "accepted"),
    ]
    assert sorted(rows, key=lambda row: row.number) == rig.batches.rows("b")


@pytest.mark.parametrize(
    "question",
    [
        lambda runner: runner.batch("b").status(),
        lambda runner: runner.batch("b").wait(1),
        lambda runner: runner.batch("b").outcomes(),
        lambda runner: runner.outcomes_since(),
        lambda runner: next_of("0", runner),
        lambda runner: runner.newest(),
    ],
    ids=["status", "wait", "outcomes", "outcomes_since", "follow", "newest"],
)
def test_what_cannot_be_read_is_not_told(ask: Plain, rig: LaneRig, question: Ask) -> None:
    """A later release than the service's own has raised the format: the service is to be upgraded."""
    rig.submit("b", orders(2))
    end(rig)
    rig.redis.hset(rig.keys.of("formats"), "runner:t", "2")
    with pytest.raises(UnreadableFormatError, match="has format 2, this reads 1"):
        ask(question)


def test_the_receipt_is_the_batch(redis_url: str, rig: LaneRig) -> None:
    """Of the plain client and of asyncio's one."""
    rig.store.directory.publish(rig.scripts)

    async def there() -> None:
        async with aio.BulkCancel(redis_url, key_prefix="t") as runner:
            taken = await runner.submit(orders(2), account="a1", batch_id="b")
            assert (await taken.withdraw(by="desk")).withdrawn == 2
            assert (await taken.wait(1)).counts == {"withdrawn": 2}
            assert [row.status async for row in taken.outcomes()] == ["withdrawn"] * 2
            assert (await taken.retry(by="desk", statuses=["withdrawn"])).changed == 2
            assert (await taken.status()).waiting == 2

    asyncio.run(there())
    with BulkCancel(redis_url, key_prefix="t") as runner:
        taken = runner.submit(orders(2), account="a1", batch_id="b")
        assert (taken.known, taken.status().waiting) == (2, 2)
        assert taken.withdraw(by="desk", reason="a mistake").state.complete
        assert [row.status for row in taken.outcomes()] == ["withdrawn"] * 2
        assert taken.retry(by="desk", statuses=["withdrawn"], deadline_s=60).opened == 2
    last = rig.audit.newest(2)
    assert [(each.event, each.by, each.reason) for each in last] == [
        ("withdraw", "desk", "a mistake"),
        ("retry", "desk", ""),
    ]


def test_waiting_ends_with_an_error(ask: Plain, rig: LaneRig) -> None:
    """That has what is known; never with a batch that only looks complete."""
    rig.submit("b", orders(2))
    with pytest.raises(NotCompleteError, match="'b' is not complete: 2 orders have no outcome yet") as caught:
        ask(lambda runner: runner.batch("b").wait(0.01))
    assert caught.value.state.waiting == 2
    rig.submit("one", orders(1))
    with pytest.raises(NotCompleteError, match="'one' is not complete: 1 order has no outcome yet"):
        ask(lambda runner: runner.batch("one").wait(0.01))


def test_a_mass_cancel_is_taken_and_reported(ask: Plain, rig: LaneRig) -> None:
    """It is complete when it ended, not before."""
    [taken] = ask(lambda runner: runner.submit_all("a1", batch_id="m", side="buy"))
    assert (taken.batch_id, taken.uid, taken.scope, taken.state) == ("m", "u1", {"side": "buy"}, "running")
    report = ask(lambda runner: runner.batch("m").report())
    assert (report.state, report.complete, report.matched) == ("running", False, 0)
    with pytest.raises(NotCompleteError, match="and more may come"):
        ask(lambda runner: runner.batch("m").wait(0))
    with pytest.raises(UnsealedBatchError):
        ask(lambda runner: runner.batch("m").retry(by="desk"))
    ask(lambda runner: runner.batch("m").withdraw(by="desk"))
    assert ask(lambda runner: runner.batch("m").report()).state == "withdrawn"
    [held] = ask(lambda runner: runner.submit_all("a1", batch_id="h", hold=True))
    assert (held.hold, ask(lambda runner: runner.batch("h").status()).hold) == (True, True)
    assert [ask(lambda runner: runner.batch("h").release(by="desk")) for _ in range(2)] == [True, False]
    assert ask(lambda runner: runner.batch("h").report()).state == "released"
    assert ask(lambda runner: runner.batch("m").wait(1)).complete
    assert rig.masses.state("m").ended


def test_what_is_not_there_is_told(ask: Plain, rig: LaneRig) -> None:
    """By the same errors as everywhere."""
    for call in ("status", "wait", "outcomes"):
        with pytest.raises(UnknownBatchError):
            ask(partial(of_batch, "no", call))
    rig.submit("b", orders(1))
    with pytest.raises(UnknownMassError):
        ask(lambda runner: runner.batch("b").report())
    with pytest.raises(BatchConflictError):
        ask(lambda runner: runner.submit(orders(2), account="a1", batch_id="b"))
    with pytest.raises(InvalidOrders, match="statuses"):
        ask(lambda runner: runner.batch("b").retry(by="desk", statuses=["canceled"]))


def of_batch(batch_id: str, call: str, runner: BulkCancel) -> object:
    """What a batch tells."""
    return getattr(runner.batch(batch_id), call)()


@pytest.mark.parametrize("field", ["by", "reason"])
def test_a_name_that_cannot_be_kept_is_refused(ask: Plain, rig: LaneRig, field: str) -> None:
    """Of every decision, in our words, before anything is asked; it was redis-py's error, or the verb's."""
    ask(lambda runner: runner.submit(orders(1), account="a1", batch_id="b"))
    ask(lambda runner: runner.submit_all("a1", batch_id="m", hold=True))
    fields = {"by": "ann", field: "caf\udce9"}
    for decide in (
        lambda runner: runner.batch("b").withdraw(**fields),
        lambda runner: runner.batch("b").retry(**fields),
        lambda runner: runner.batch("m").release(**fields),
    ):
        with pytest.raises(InvalidOrders, match=f"^{field}: should be whole characters; it holds half"):
            ask(decide)
    assert not {each.event for each in Audit(rig.store).newest(10)} & {"withdraw", "retry", "release"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"statuses": ["gone", "canceled"]},
            r"statuses\[1\]: should be 'rejected', 'exhausted', 'withdrawn' or 'gone'",
        ),
        ({"statuses": "gone"}, "statuses: should be a list"),
        ({"statuses": []}, "statuses: should name one at least; leave it out for rejected and exhausted"),
        ({"deadline_s": 0}, "deadline_s: should be greater than or equal to 1"),
        ({"deadline_s": 86_401}, "deadline_s: should be less than or equal to 86400"),
    ],
)
def test_what_cannot_go_again_is_refused(ask: Plain, rig: LaneRig, fields: dict[str, Any], words: str) -> None:
    """Before anything is done: with a deadline that has passed, orders ended as exhausted without having been sent."""
    rig.submit("b", orders(2))
    ask(lambda runner: runner.batch("b").withdraw(by="ann"))
    asked = {"statuses": ["withdrawn"], **fields}
    with pytest.raises(InvalidOrders, match=f"^{words}$"):
        ask(lambda runner: runner.batch("b").retry(by="ann", **asked))
    assert ask(lambda runner: runner.batch("b").status()).counts == {"withdrawn": 2}


@pytest.mark.parametrize("question", ["status", "wait", "outcomes", "report", "withdraw", "retry", "release"])
def test_what_can_be_no_id_is_an_unknown_batch(ask: Plain, rig: LaneRig, question: str) -> None:  # noqa: ARG001 (its Redis)
    """Redis could not be asked for it."""
    decision = {"by": "ann"} if question in {"withdraw", "retry", "release"} else {}
    with pytest.raises(UnknownBatchError, match=r"unknown batch 'caf\\udce9'"):
        ask(lambda runner: getattr(runner.batch("caf\udce9"), question)(**decision))


def test_outcomes_are_read_from_a_position_on(ask: Plain, rig: LaneRig) -> None:
    """In their order, with all that the stream has; from the newest on there are none."""
    rig.submit("b", orders(2))
    assert ask(lambda runner: runner.newest()) == "0"
    end(rig)
    first, second = found = ask(lambda runner: runner.outcomes_since())
    assert [(each.ordId, each.status, each.batches, each.account) for each in found] == [
        ("1", "accepted", ("b",), "a1"),
        ("2", "accepted", ("b",), "a1"),
    ]
    assert first == Outcome(
        position=first.position,
        order="u1/BTC-USDT/o1",
        uid="u1",
        instId="BTC-USDT",
        ordId="1",
        clOrdId=None,
        account="a1",
        generation=1,
        status="accepted",
        sCode="0",
        sMsg=None,
        attempts=1,
        finished_at=rig.us,
        batches=("b",),
        accFillSz=None,
    )
    assert ask(partial(since, first.position)) == [second]
    assert ask(partial(since, second.position)) == []
    assert ask(lambda runner: runner.newest()) == second.position
    assert ask(partial(since, datetime.fromtimestamp(0, UTC))) == found
    assert ask(partial(since, datetime(2100, 1, 1, tzinfo=UTC))) == []
    with pytest.raises(ValueError, match="has no zone"):
        ask(partial(since, datetime.fromtimestamp(0)))  # noqa: DTZ006


@pytest.mark.parametrize("us", [0, 1, 400, 500, 501, 999])
def test_from_a_time_on_includes_the_ms_that_it_is_in(ask: Plain, rig: LaneRig, us: int) -> None:
    """An outcome of that ms may have ended after it; none of the ms before is told."""
    rig.submit("b", orders(1))
    end(rig)
    [found] = ask(lambda runner: runner.outcomes_since())
    ms = datetime.fromtimestamp(0, UTC) + int(found.position.partition("-")[0]) * timedelta(milliseconds=1)
    assert ask(partial(since, ms + timedelta(microseconds=us))) == [found]
    assert ask(partial(since, ms + timedelta(microseconds=us + 1000))) == []


def since(position: str | datetime, runner: BulkCancel) -> list[Outcome]:
    """What a client tells."""
    return runner.outcomes_since(position, timeout_s=0.01)


def test_a_gap_is_told(ask: Plain, rig: LaneRig) -> None:
    """Nobody takes what is left of a stream that was trimmed, or lost, for all that came."""
    rig.submit("b", orders(3))
    end(rig)
    first, second, third = ask(lambda runner: runner.outcomes_since())
    rig.redis.xtrim("t:outcomes", minid=second.position, approximate=False)
    assert ask(partial(since, second.position)) == [third]
    with pytest.raises(LostPositionError, match=first.position):
        ask(partial(since, first.position))
    rig.redis.delete("t:outcomes")
    with pytest.raises(LostPositionError):
        ask(partial(since, third.position))


def test_who_missed_nothing_goes_on_however_long_nothing_ended(ask: Plain, rig: LaneRig) -> None:
    """What is older than the retention goes, but for the last of it, also if a node of the stream ends with it."""
    long_ago = rig.us // 1000 - 2 * 600 * 1000
    for number in range(200):
        rig.redis.xadd("t:outcomes", {"order": "u1/X/o1"}, id=f"{long_ago}-{number + 1}")
    newest = f"{long_ago}-200"
    for number in (1, 2):
        rig.submit(f"b{number}", orders(1, first=number))
        end(rig)
    assert [each.ordId for each in ask(partial(since, newest))] == ["1", "2"]
    with pytest.raises(LostPositionError):
        ask(partial(since, f"{long_ago}-1"))


def test_an_end_does_not_look_through_all_that_ended_before(rig: LaneRig) -> None:
    """While nothing is older than the retention: to find none, XREVRANGE would walk through a week of outcomes."""
    rig.submit("b", orders(1))
    rig.redis.config_resetstat()
    end(rig)
    ran = rig.redis.info("commandstats")
    assert ran["cmdstat_xadd"]["calls"] == 1
    assert "cmdstat_xrevrange" not in ran


def test_what_is_no_position_is_refused(ask: Plain, rig: LaneRig) -> None:
    """Not by Redis, whose errors a follower repeats for ever. One Redis takes its part of what several had."""
    rig.submit("b", orders(2))
    end(rig)
    first, second = ask(partial(since, "0"))
    for nonsense in ("", "junk", "a=0"):
        with pytest.raises(NotAPositionError, match=f"^{nonsense!r} is no position"):
            ask(partial(since, nonsense))
        with pytest.raises(NotAPositionError):
            ask(partial(next_of, nonsense))
    assert ask(partial(since, f"a=0;default={first.position}")) == [second]


def next_of(position: str, runner: Any) -> Any:  # noqa: ANN401 (either client, awaited or not)
    """The first outcome that a follower is told."""
    following: Any = runner.follow(position)
    return anext(following) if hasattr(following, "__anext__") else next(following)


def test_a_follower_goes_on_where_it_stopped(redis_url: str, rig: LaneRig) -> None:
    """Thousands, in pages; what ends while it reads comes, too."""
    for number in range(3):
        rig.submit(f"b{number}", orders(500, first=1 + 500 * number))
        while rig.batches.state(f"b{number}").waiting:
            end(rig)
            rig.advance(3)
    with BulkCancel(redis_url, key_prefix="t") as runner:
        following = runner.follow()
        seen = [next(following) for _ in range(700)]
        again = runner.follow(seen[-1].position)
        seen += [next(again) for _ in range(800)]
        rig.submit("later", orders(1, first=9999))
        end(rig)
        seen.append(next(again))
    assert [outcome.ordId for outcome in seen] == [*map(str, range(1, 1501)), "9999"]


def test_a_follower_of_asyncio_waits_without_a_thread(redis_url: str, rig: LaneRig) -> None:
    """Others go on meanwhile."""

    async def there() -> Outcome:
        async with aio.BulkCancel(redis_url, key_prefix="t") as runner:
            waiting = asyncio.ensure_future(anext(aiter(runner.follow())))
            while not rig.redis.info("clients")["blocked_clients"]:  # noqa: ASYNC110 (only Redis sees it)
                await asyncio.sleep(0.001)
            rig.submit("b", orders(1))
            end(rig)
            return await waiting

    assert asyncio.run(there()).ordId == "1"


def test_many_tasks_share_one_client(redis_url: str, rig: LaneRig) -> None:
    """Of asyncio, and one connection where replicas are waited for."""
    rig.store.directory.publish(rig.scripts)

    async def there() -> list[int]:
        async with aio.BulkCancel(redis_url, key_prefix="t") as runner:
            taken = await asyncio.gather(
                *(runner.submit(orders(600, first=1 + 600 * n), account="a1", batch_id=f"b{n}") for n in range(5))
            )
            return [each.new for each in taken]

    assert asyncio.run(there()) == [600] * 5


def test_a_receipt_is_copied_without_its_connection(redis_url: str, rig: LaneRig) -> None:
    """A pool of processes may hand it on; it says how to go on."""
    rig.store.directory.publish(rig.scripts)
    with BulkCancel(redis_url, key_prefix="t") as runner:
        taken = runner.submit(orders(1), account="a1", batch_id="b")
        for again in (pickle.loads(pickle.dumps(taken)), copy.copy(taken)):  # noqa: S301 (our own)
            assert again == taken
            with pytest.raises(TypeError, match=r"use batch\('b'\) of a client"):
                again.status()


@pytest.mark.parametrize("kind", [BulkCancel, aio.BulkCancel])
@pytest.mark.parametrize("url", ["redis://me:hush@h:6379/1", "sentinel://me:hush@h:26379/0?master_name=m"])
def test_no_password_is_shown(kind: type[BulkCancel | aio.BulkCancel], url: str) -> None:
    """Of the client, or of anything within that has a repr of its own."""
    runner = kind(url)
    assert repr(runner).startswith("BulkCancel('")
    assert "key_prefix='bc'" in repr(runner)
    for shown in (
        runner,
        vars(runner),
        runner.batch("b"),
        runner._desks.at("default").store,
        runner._desks.at("default").store.redis,
    ):
        assert "hush" not in f"{shown!r}{shown!s}"


def test_a_client_is_told_or_reads_the_environment(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never both: a prefix of one runner must not get into another's client."""
    monkeypatch.setenv("BULK_CANCEL_KEY_PREFIX", "other")
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", redis_url)
    assert repr(BulkCancel(redis_url)) == f"BulkCancel({redis_url!r}, key_prefix='bc')"
    assert repr(BulkCancel()) == f"BulkCancel({redis_url!r}, key_prefix='other')"
    with pytest.raises(TypeError, match="key_prefix: give redis_url, too"):
        BulkCancel(key_prefix="mine")
    with pytest.raises(SettingsError, match="REDIS_URL"):
        BulkCancel("http://h")
    with pytest.raises(SettingsError, match="KEY_PREFIX"):
        BulkCancel(redis_url, key_prefix="a b")


def test_two_runners_in_one_process_are_apart(redis_url: str, rig: LaneRig) -> None:
    """By their clients alone."""
    rig.submit("b", orders(1))
    with BulkCancel(redis_url, key_prefix="t") as one, BulkCancel(redis_url, key_prefix="u") as two:
        assert one.batch("b").status().size == 1
        with pytest.raises(UnknownBatchError):
            two.batch("b").status()
    assert Redis.from_url(redis_url).exists("t:batch:b")


def test_an_ending_is_told_by_finished(rig: LaneRig) -> None:
    """The same value as the row's."""
    rig.submit("b", orders(1))
    claim = rig.claim()
    rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "rejected", "51403"),))
    [row] = rig.batches.rows("b")
    assert (row.status, row.sCode, row.finished_at) == ("rejected", "51403", rig.us)
