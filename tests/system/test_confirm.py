"""Does every order end as the exchange's book says, and not as it was believed? Real workers, a lying exchange."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Fault, Network, maintenance
from bulk_cancel.worker.simulator.messages import EndOrders, PlaceOrders
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.state.batches import Row
from tests.support.rig import Rig, orders

UID = "1001"
LONG = os.environ.get("CHAOS") == "long"
LANES = [f"C{number}-USDT" for number in range(8)]
EACH = 500 if LONG else 100
REST = {"CONFIRM": "rest"}


@pytest.fixture
def rig() -> Iterator[Rig]:
    """One worker, cancels that take effect 50 ms later."""
    with Rig(workers=1, config=Config(behaviour=Behaviour(cancel_lag_ms=50)), settings=REST) as running:
        yield running


def submit(rig: Rig, batch_id: str, *rows: dict[str, str]) -> None:
    """Hands in a batch of account desk1."""
    rig.store.admission.admit(parse_cancel_orders(account="desk1", batch_id=batch_id, orders=rows))


def place(rig: Rig, each: int = EACH) -> list[dict[str, str]]:
    """So many orders on each of eight instruments."""
    control = rig.exchange.control
    control.list_instruments(LANES)
    return [order for lane in LANES for order in orders(lane, control.place(UID, lane, each))]


def row(rig: Rig, batch_id: str) -> Row:
    """The only order of a batch."""
    (only,) = rig.store.batches.rows(batch_id)
    return only


def reads(rig: Rig) -> Counter[str]:
    """Reading calls that arrived, by endpoint; none was refused and no window was exceeded."""
    found: Counter[str] = Counter()
    for name, meter in rig.exchange.control.summary().meters.items():
        kind = name.partition(":")[0]
        if kind in ("pending", "history", "order"):
            assert meter.refusals == 0, name
            assert meter.max_in_window <= {"pending": 60, "history": 40, "order": 60}[kind], name
            found[kind] += meter.requests
    return found


def end(rig: Rig, ident: str, state: Literal["filled", "canceled"]) -> None:
    """Somebody else takes an order off the book."""
    rig.exchange.control.end_orders(EndOrders((ident,), state))


def pending_calls(rig: Rig) -> int:
    """Listings asked for, whatever became of them."""
    return sum(arrival.endpoint == "orders-pending" for arrival in rig.exchange.control.log())


def broken(endpoint: str) -> Fault:
    """The endpoint is down."""
    return replace(maintenance(), endpoint=endpoint)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("settings", [REST, {"CONFIRM": "on"}], ids=["rest", "channel"])
def test_a_bulk_ends_as_the_book_says(settings: dict[str, str]) -> None:
    """5 % are filled before their cancel, 2 % of first cancels are acknowledged and never happen."""
    behaviour = Behaviour(cancel_lag_ms=50, fill_rate=0.05, lie_rate=0.02)
    config = Config(behaviour=behaviour, network=Network(delay_ms=2, jitter_ms=3), seed=7)
    with Rig(workers=2, config=config, settings=settings) as rig:
        wanted = place(rig)
        submit(rig, "b", *wanted)
        state = rig.done("b", 60)
        rows = rig.store.batches.rows("b")
        truth = {order.ordId: order.state for order in rig.exchange.control.orders(uid=UID)}
        assert {row.ordId: row.status for row in rows} == truth
        assert set(state.counts) == {"canceled", "filled"}
        assert all((row.accFillSz == "0") == (row.status == "canceled") for row in rows)
        assert {row.attempts for row in rows} == {1, 2}
        assert sum(reads(rig).values()) <= 150


@pytest.mark.timeout(120)
def test_confirmation_follows_the_last_cancel() -> None:
    """One listing and some pages of history after it, not a call an order."""
    with Rig(workers=2, config=Config(behaviour=Behaviour(cancel_lag_ms=50)), settings=REST) as rig:
        submit(rig, "b", *place(rig))
        assert rig.done("b", 60).counts == {"canceled": 8 * EACH}
        rows = rig.store.batches.rows("b")
        assert max(row.finished_at or 0 for row in rows) >= max(row.accepted_at or 0 for row in rows)
        assert sum(reads(rig).values()) <= 150


@pytest.mark.timeout(120)
@pytest.mark.parametrize("repeat", ["51410", "0"])
def test_a_slow_matching_engine_gives_up_no_order(repeat: str) -> None:
    """Cancels take effect 8 s after they were accepted; until then they are repeated, and are no failed attempts."""
    behaviour = Behaviour(cancel_lag_ms=8_000, repeat_sCode=repeat)
    with Rig(workers=1, config=Config(behaviour=behaviour), settings={"MAX_ATTEMPTS": "2"}) as rig:
        placed = rig.exchange.control.place(UID, "BTC-USDT", 30)
        submit(rig, "b", *orders("BTC-USDT", placed))
        assert rig.done("b", 40).counts == {"canceled": 30}
        rows = rig.store.batches.rows("b")
        assert {len(row.log) for row in rows} <= set(range(2, 12))
        assert rig.exchange.control.summary().live_orders == 0


def test_what_was_off_the_book_before_is_told_as_it_ended(rig: Rig) -> None:
    """51400 says the same of all three; the book does not."""
    control = rig.exchange.control
    filled, canceled = control.place(UID, "BTC-USDT", 2)
    end(rig, filled, "filled")
    end(rig, canceled, "canceled")
    for name, ident in (("filled", filled), ("canceled", canceled), ("unknown", "999")):
        submit(rig, name, *orders("BTC-USDT", [ident]))
        rig.done(name)
    assert [row(rig, name).status for name in ("filled", "canceled", "unknown")] == ["filled", "canceled", "gone"]
    assert {row(rig, name).sCode for name in ("filled", "canceled", "unknown")} == {"51400"}


def test_an_order_the_exchange_has_forgotten_is_gone(rig: Rig) -> None:
    """A never filled, canceled order is kept for two hours, here for none."""
    rig.exchange.control.set_behaviour(Behaviour(forget_after_s=0.0))
    (ident,) = rig.exchange.control.place(UID, "BTC-USDT", 1)
    submit(rig, "b", *orders("BTC-USDT", [ident]))
    rig.done("b")
    assert (row(rig, "b").status, row(rig, "b").sCode) == ("gone", "0")


def test_a_client_id_is_looked_for_once_more(rig: Rig) -> None:
    """Nothing to cancel, it was said, but its order is on the book, and goes again by its ordId."""
    (ident,) = rig.exchange.control.place_orders(PlaceOrders(UID, "BTC-USDT", clOrdIds=("late0",), age_s=5))
    rig.exchange.control.script(ident, ["51400"])
    submit(rig, "b", {"instId": "BTC-USDT", "clOrdId": "late0"})
    assert rig.done("b").counts == {"canceled": 1}
    order = rig.exchange.control.order(ident)
    assert order
    assert (order.state, order.cancels, row(rig, "b").attempts) == ("canceled", 2, 2)


def test_a_client_id_nobody_knows_is_gone(rig: Rig) -> None:
    """Asked for twice, two seconds apart."""
    submit(rig, "b", {"instId": "BTC-USDT", "clOrdId": "never"})
    assert rig.done("b").counts == {"gone": 1}
    first, second = (row.at_us for row in rig.exchange.control.log(endpoint="order"))
    assert second - first >= 2_000_000
    assert reads(rig)["order"] == 2


def test_reading_may_fail_for_a_while(rig: Rig) -> None:
    """Cancels go on, nothing is believed, and the exchange is asked about once a second."""
    fault = rig.exchange.control.add_fault(broken("orders-pending"))
    submit(rig, "b", *place(rig, 5))
    rig.wait_for(lambda: Counter(row.status for row in rig.store.batches.rows("b")) == {"accepted": 40})
    began, before = time.monotonic(), pending_calls(rig)
    rig.wait_for(lambda: pending_calls(rig) >= before + 3)
    assert time.monotonic() - began >= 2
    assert rig.store.batches.state("b").waiting == 40
    rig.exchange.control.remove_fault(fault)
    assert rig.done("b").counts == {"canceled": 40}


def test_what_cannot_be_confirmed_is_told_to_be_perhaps_live() -> None:
    """Confirmation has a deadline of its own."""
    with Rig(workers=1, settings={"CONFIRM_DEADLINE_S": "1", **REST}) as rig:
        rig.exchange.control.add_fault(broken("orders-pending"))
        submit(rig, "b", *orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 2)))
        assert rig.done("b").counts == {"exhausted": 2}
        told = rig.store.batches.rows("b")[0]
        assert "cancel was accepted" in (told.sMsg or "")
        assert told.accepted_at is not None


def test_the_reading_meters_are_never_exceeded() -> None:
    """Three calls in two seconds are allowed, and a thousand orders of others are on the book."""
    config = Config(limits=Limits(pending=3, history=2, order=2))
    settings = {"LIMIT_PENDING": "3", "LIMIT_HISTORY": "2", "LIMIT_ORDER": "2", **REST}
    with Rig(workers=2, config=config, settings=settings) as rig:
        rig.exchange.control.place(UID, "ETH-USDT", 350)
        submit(rig, "b", *orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 5)))
        assert rig.done("b", 30).counts == {"canceled": 5}
        meters = rig.exchange.control.summary().meters
        assert [meters[f"{name}:{UID}"].refusals for name in ("pending", "history")] == [0, 0]
        assert meters[f"pending:{UID}"].requests >= 4


class TestChannel:
    """The exchange's own pushes, while reading is broken, so that nothing else can tell."""

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        """Cancels take effect 300 ms after they were accepted; the channel is ready."""
        with Rig(workers=1, config=Config(behaviour=Behaviour(cancel_lag_ms=300))) as running:
            running.wait_for(lambda: running.exchange.control.summary().channels > 0)
            running.exchange.control.add_fault(broken("orders-pending"))
            yield running

    def test_confirmation_follows_a_push(self, rig: Rig) -> None:
        """A moment after the exchange's own time of the ending, in the middle of them: no look is made as soon."""
        idents = rig.exchange.control.place(UID, "BTC-USDT", 20)
        for number, ident in enumerate(idents):
            submit(rig, f"b{number}", *orders("BTC-USDT", [ident]))
            assert rig.done(f"b{number}").counts == {"canceled": 1}
        ended = {order.ordId: order.uTime_us for order in rig.exchange.control.orders()}
        rows = [row(rig, f"b{number}") for number in range(20)]
        late = sorted((row.finished_at or 0) - ended[row.ordId or ""] for row in rows)
        assert late[0] >= 0
        assert late[10] <= 900_000

    def test_a_fill_is_told_with_its_size(self, rig: Rig) -> None:
        """It beat the cancel."""
        rig.exchange.control.set_behaviour(Behaviour(cancel_lag_ms=50, fill_rate=1.0))
        submit(rig, "b", *orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 1)))
        assert rig.done("b").counts == {"filled": 1}
        assert row(rig, "b").accFillSz == "1"

    def test_lost_pushes_are_read_from_the_book(self, rig: Rig) -> None:
        """A channel that comes back says that something may be missing, and REST is the judge."""
        rig.exchange.control.lose_pushes(60)
        submit(rig, "b", *orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 5)))
        rig.wait_for(lambda: {each.state for each in rig.exchange.control.orders()} == {"canceled"})
        assert rig.store.batches.state("b").waiting == 5
        rig.exchange.control.remove_fault()
        rig.exchange.control.drop_channels()
        assert rig.done("b").counts == {"canceled": 5}


def test_off_means_that_accepted_is_the_end() -> None:
    """Nothing is read."""
    with Rig(workers=1, settings={"CONFIRM": "off"}) as rig:
        submit(rig, "b", *orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 2)))
        assert rig.done("b").counts == {"accepted": 2}
        assert not reads(rig)


def test_a_worker_stops_in_the_middle_of_a_look(rig: Rig) -> None:
    """A reading that hangs does not hold it up, and another worker confirms."""
    rig.exchange.control.add_fault(Fault(action="hang", endpoint="orders-pending", count=1))
    submit(rig, "b", *orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 2)))
    rig.wait_for(lambda: pending_calls(rig) == 1)
    assert rig.stop_worker(rig.workers[0]) == 0
    rig.start_workers(1)
    assert rig.done("b", 30).counts == {"canceled": 2}


def test_another_users_book_is_never_taken_for_ours() -> None:
    """A key was swapped: of its user's book none of our orders is on, and none is told to be gone."""
    other = replace(DEFAULT_KEY, key="other", uid="2002")
    settings = {"ACCOUNTS__DESK1__UID": UID, **REST}
    with Rig(workers=1, config=Config(accounts=(DEFAULT_KEY, other)), settings=settings) as rig:
        fault = rig.exchange.control.add_fault(broken("orders-pending"))
        rig.exchange.control.set_behaviour(Behaviour(cancel_lag_ms=3_600_000))
        submit(rig, "b", *orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 3)))
        rig.wait_for(lambda: {row.status for row in rig.store.batches.rows("b")} == {"accepted"})
        first = rig.workers.pop()
        first.kill()
        first.wait()
        rig.exchange.control.remove_fault(fault)
        before = pending_calls(rig)
        rig.configure(ACCOUNTS__DESK1__API_KEY=other.key)
        (worker,) = rig.start_workers(1)
        rig.wait_for(lambda: any("2002" in beat for beat in rig.store.redis.hvals(rig.store.keys.of("workers"))))
        assert rig.stop_worker(worker) == 0
        assert (pending_calls(rig), rig.store.batches.state("b").waiting) == (before, 3)
