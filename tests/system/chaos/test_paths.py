"""Does the work survive bad paths? Replies cut off, connections half open, packets delivered late."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bulk_cancel.worker.state.formats import FORMATS, guard
from bulk_cancel.worker.state.scripts import source
from bulk_cancel.worker.state.store import open_store
from tests.support.proxy import Proxy
from tests.support.rig import Rig
from tests.system.chaos.drill import (
    QUICK,
    all_off_book,
    cancels,
    longest_pause_s,
    lost_claims,
    place,
    quick_exchange,
    resent_without_cause,
    sends,
    started,
    submit,
    unanswered,
)
from tests.system.chaos.report import Witness, long_form


@dataclass(frozen=True, slots=True)
class Paths:
    """A runner whose workers reach Redis and the exchange through proxies."""

    rig: Rig
    redis: Proxy
    exchange: Proxy


@pytest.fixture(scope="module")
def paths() -> Iterator[Paths]:
    """Two workers; every test leaves them as they were."""
    with Proxy() as redis, Proxy() as exchange, Rig(workers=0, config=quick_exchange(), settings=QUICK) as rig:
        redis.target, exchange.target = rig.redis.port, int(rig.exchange.url.rpartition(":")[2])
        url = f"http://127.0.0.1:{exchange.port}"
        rig.configure(REDIS_URL=f"redis://127.0.0.1:{redis.port}/0", OKX_BASE_URL=url)
        rig.start_workers(2)
        yield Paths(rig, redis, exchange)


def sha(verb: str) -> bytes:
    """What a call of the verb has on the wire."""
    return hashlib.sha1((guard(FORMATS) + source(verb)).encode()).hexdigest().encode()  # noqa: S324 (as Redis names scripts)


@pytest.mark.parametrize("after", [0, 7] if long_form() else [7])
@pytest.mark.parametrize("verb", ["claim", "record"])
def test_lost_reply(verb: str, after: int, paths: Paths, witness: Witness, long: bool) -> None:  # noqa: FBT001
    """The same id asked again gets the same answer: no order is sent twice, no claim runs out."""
    count = 100 if long else 20
    batch = f"{verb}{after}"
    submit(paths.rig, batch, place(paths.rig, 3200 if long else 960, lanes=4))
    paths.redis.cut_replies(sha(verb), count=count, after=after, every=5)
    paths.rig.done(batch, 60)
    witness.injected(paths.redis.cuts)
    assert paths.redis.cuts > count / 4
    paths.redis.cut_replies(b"", count=0)
    witness.judge(paths.rig)
    assert resent_without_cause(paths.rig, batch) == []
    assert sum(map(lost_claims, paths.rig.store.batches.rows(batch))) == 0


def test_lost_reply_to_admit(paths: Paths, witness: Witness) -> None:
    """The producer gets its receipt, every order is in the batch once."""
    settings = paths.rig.store.settings.model_copy(update={"redis_url": _secret(paths)})
    producer = open_store(settings)
    rows = place(paths.rig, 1200, lanes=4)
    paths.redis.cut_replies(sha("admit"), count=3, every=2)
    direct, paths.rig.store = paths.rig.store, producer
    try:
        receipt = submit(paths.rig, "admit", rows)
    finally:
        paths.rig.store = direct
    witness.injected(paths.redis.cuts)
    assert (receipt.size, receipt.sealed) == (1200, True)
    assert paths.redis.cuts > 0
    assert receipt.new + receipt.known == 1200
    all_off_book(paths.rig, "admit")
    witness.judge(paths.rig)


def _secret(paths: Paths) -> object:
    return type(paths.rig.store.settings.redis_url)(f"redis://127.0.0.1:{paths.redis.port}/0")


def test_half_open_connections_to_redis(
    paths: Paths,
    witness: Witness,
    long: bool,  # noqa: FBT001
    slack: float,
) -> None:
    """Connections that swallow everything without a word: work resumes within 15 s."""
    submit(paths.rig, "half", place(paths.rig, 4000 if long else 960, lanes=4))
    started(paths.rig, "half")
    assert paths.redis.half_open() > 0
    witness.injected().ended()
    paths.rig.done("half", 60)
    finding = witness.judge(paths.rig)
    assert finding.resume_s is not None
    assert finding.resume_s < 15 * slack
    assert longest_pause_s(paths.rig, "half") < 15 * slack


def test_swallowed_packets_are_delivered_late(paths: Paths, witness: Witness, long: bool) -> None:  # noqa: FBT001
    """Requests arrive after their callers have given up, among new ones: the window holds at arrival."""
    for number in range(3 if long else 1):
        batch, more = f"late{number}", f"more{number}"
        placed = place(paths.rig, 1200 if long else 720, lanes=4)
        submit(paths.rig, batch, placed[:-240])
        started(paths.rig, batch)
        paths.exchange.stall()
        submit(paths.rig, more, placed[-240:])  # surely after the stall, however fast the others were
        witness.injected()
        # well before the latest that the limiter's proof allows: a second and twice the timeout after they were sent
        paths.rig.wait_for(lambda names=(batch, more): swallowed(paths.rig, *names))  # type: ignore[misc]
        paths.exchange.go_on()
        witness.ended()
        paths.rig.done(batch, 60)
        paths.rig.done(more, 60)
        assert came_late(paths.rig, batch, more), "nothing was swallowed"
    witness.judge(paths.rig, by_outcome=True)


def swallowed(rig: Rig, *batches: str) -> bool:
    """Whether a call was given up that has not arrived."""
    given_up = first_given_up(rig, *batches)
    return bool(given_up) and not given_up.keys() <= sends(rig).keys()


def came_late(rig: Rig, *batches: str) -> list[str]:
    """Orders whose first cancel arrived when its caller had given it up."""
    first = {order: arrival.at_us for arrival in reversed([*cancels(rig)]) for order in arrival.ordIds}
    return [order for order, at_us in first_given_up(rig, *batches).items() if first.get(order, 0) > at_us]


def first_given_up(rig: Rig, *batches: str) -> dict[str, int]:
    """When the first call of an order that has no answer was given up, in µs, by the order's id."""
    rows = [row for batch in batches for row in rig.store.batches.rows(batch) if unanswered(row)]
    return {str(row.ordId): min(int(str(entry["at"])) for entry in row.log if not entry.get("sCode")) for row in rows}


@pytest.mark.skipif(not long_form(), reason="long form only: the test before is its short form")
def test_packets_swallowed_for_6_s_are_delivered_late(
    witness: Witness,
    slack: float,
) -> None:
    """With the timeout and the window as delivered: twice the timeout, the latest that the limiter's proof allows."""
    with Proxy() as exchange, Rig(workers=0, settings={"ACCOUNTS__DESK1__ENDPOINTS": "single"}) as rig:
        exchange.target = int(rig.exchange.url.rpartition(":")[2])
        rig.configure(OKX_BASE_URL=f"http://127.0.0.1:{exchange.port}")
        rig.start_workers(2)
        submit(rig, "b", place(rig, 1200, lanes=4))
        started(rig, "b")
        exchange.stall()
        witness.injected()
        time.sleep(6)
        exchange.go_on()
        witness.ended()
        back_us = time.time_ns() // 1000
        all_off_book(rig, "b", 60)
        finding = witness.judge(rig, by_outcome=True)
        assert finding.resume_s is not None
        assert finding.resume_s < 15 * slack
        swallowed = [row for row in cancels(rig) if 0 <= row.at_us - back_us < 200_000]
        assert len(swallowed) >= 8, "nothing was swallowed"
