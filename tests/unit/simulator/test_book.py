"""Does the simulated book treat cancels as configured?"""

import random

import pytest

from bulk_cancel.worker.simulator.book import Behaviour, Book, Order, Ref
from bulk_cancel.worker.simulator.instruments import instrument, row

INST = "BTC-USDT"


def book(**behaviour: float | str) -> Book:
    """A book that lists one instrument."""
    made = Book(Behaviour(**behaviour), random.Random(1), first_number=100)  # type: ignore[arg-type]
    made.instruments = {INST: instrument(INST)}
    return made


def place(on: Book, client_id: str = "", uid: str = "u") -> Order:
    """An open order."""
    return on.place(uid, on.instruments[INST], 0, {"clOrdId": client_id})


def ref(order: Order) -> Ref:
    """The order by its ordId."""
    return Ref(INST, order.ordId, "")


def test_a_cancel_takes_the_order_off_the_book() -> None:
    """Acknowledged, then gone: a second cancel finds nothing."""
    exchange = book()
    order = place(exchange)
    assert exchange.cancel("u", ref(order), 5).sCode == "0"
    assert (order.state, order.cancelSource, order.uTime_us) == ("canceled", "1", 5)
    assert not list(exchange.newest_first("u"))
    assert list(exchange.history("u")) == [order]
    assert exchange.cancel("u", ref(order), 6).sCode == "51400"


@pytest.mark.parametrize(
    ("ref_", "code"),
    [
        (Ref("", "100", ""), "50014"),
        (Ref("XXX-USDT", "100", ""), "51001"),
        (Ref(INST, "", ""), "51003"),
        (Ref(INST, "999", ""), "51400"),
        (Ref("ETH-USDT", "100", ""), "51408"),
    ],
)
def test_a_cancel_that_fits_no_order_is_refused(ref_: Ref, code: str) -> None:
    """Each misfit has its own sCode and leaves the order alone."""
    exchange = book()
    exchange.instruments["ETH-USDT"] = instrument("ETH-USDT")
    order = place(exchange)
    assert exchange.cancel("u", ref_, 1).sCode == code
    assert order.open


def test_other_users_orders_are_unknown() -> None:
    """An order is found by its owner only."""
    exchange = book()
    assert exchange.cancel("v", ref(place(exchange)), 1).sCode == "51400"


def test_a_lagging_cancel_takes_effect_later() -> None:
    """Acknowledged, live until the lag is over, repeated cancels get the configured code."""
    exchange = book(cancel_lag_ms=100, repeat_sCode="51410")
    order = place(exchange)
    assert [exchange.cancel("u", ref(order), at).sCode for at in (0, 1)] == ["0", "51410"]
    exchange.advance(99_999)
    assert order.open
    exchange.advance(100_000)
    assert (order.state, order.uTime_us) == ("canceled", 100_000)


def test_a_fill_can_beat_the_cancel() -> None:
    """Acknowledged all the same, but the order ends filled."""
    exchange = book(fill_rate=1.0)
    order = place(exchange)
    assert exchange.cancel("u", ref(order), 0).sCode == "0"
    assert (order.state, order.accFillSz) == ("filled", "1")


def test_a_lie_is_told_once_per_order() -> None:
    """The first cancel is acknowledged and never happens, the second works."""
    exchange = book(lie_rate=1.0)
    order = place(exchange)
    assert exchange.cancel("u", ref(order), 0).sCode == "0"
    assert order.open
    assert exchange.cancel("u", ref(order), 1).sCode == "0"
    assert not order.open


def test_cancelled_orders_are_forgotten_filled_ones_are_not() -> None:
    """After a while a never-filled cancelled order is unknown, by either id."""
    exchange = book(forget_after_s=1.0)
    canceled, filled = place(exchange, "mine"), place(exchange)
    exchange.cancel("u", ref(canceled), 0)
    exchange.end(filled, "filled", 0)
    exchange.advance(1_000_000)
    assert exchange.find("u", ref(canceled)) is None
    assert exchange.find("u", Ref(INST, "", "mine")) is None
    assert exchange.find("u", ref(filled)) is filled


def test_a_reused_client_id_names_the_newest_order() -> None:
    """Forgetting the older order does not lose the newer one."""
    exchange = book(forget_after_s=1.0)
    old = place(exchange, "mine")
    exchange.cancel("u", ref(old), 0)
    new = place(exchange, "mine")
    exchange.advance(2_000_000)
    assert exchange.find("u", Ref(INST, "", "mine")) is new


@pytest.mark.parametrize(
    ("inst_id", "kind", "family", "scope"),
    [
        ("BTC-USDT", "SPOT", "", "BTC-USDT"),
        ("BTC-USDT-SWAP", "SWAP", "BTC-USDT", "BTC-USDT-SWAP"),
        ("BTC-USD_UM-SWAP", "SWAP", "BTC-USD_UM", "BTC-USD_UM-SWAP"),
        ("BTC-USD-250808", "FUTURES", "BTC-USD", "BTC-USD-250808"),
        ("BTC-USD-191227-12500-C", "OPTION", "BTC-USD", "BTC-USD:option"),
        ("BTC-USD_UM-191227-12500.5-P", "OPTION", "BTC-USD_UM", "BTC-USD_UM:option"),
        ("BTC-ABOVE-DAILY-260224-1600-65000", "EVENTS", "", "BTC-ABOVE-DAILY-260224-1600-65000"),
    ],
)
def test_instruments_are_read_off_their_ids(inst_id: str, kind: str, family: str, scope: str) -> None:
    """Type, family and what is metered together; every kind has a row to show."""
    listed = instrument(inst_id)
    assert (listed.instType, listed.instFamily, listed.meter_scope) == (kind, family, scope)
    assert row(listed)["instId"] == inst_id


def test_every_change_of_an_order_is_told() -> None:
    """Placed, and off the book when a lagging cancel takes effect; the book says when that will be."""
    exchange = book(cancel_lag_ms=5)
    told: list[tuple[str, str, int]] = []
    exchange.tell = lambda order: told.append((order.ordId, order.state, order.uTime_us))
    first, second = place(exchange), place(exchange)
    due = [exchange.next_ending_us]
    exchange.cancel("u", ref(second), 3_000)
    exchange.cancel("u", ref(first), 1_000)
    for now_us in (1_000, 6_000, 9_000):
        exchange.advance(now_us)
        due.append(exchange.next_ending_us)
    assert due == [None, 6_000, 8_000, None]
    assert told == [("100", "live", 0), ("101", "live", 0), ("100", "canceled", 6_000), ("101", "canceled", 8_000)]
