"""Does the simulated `cancel-all-after` do what the exchange says, and no more?"""

import pytest

from bulk_cancel.worker.simulator.book import SWITCH, USER, Behaviour
from bulk_cancel.worker.simulator.exchange import Exchange
from tests.support.exchange_rig import NOW_US, TRADE, Body, call, exchange, items

SECOND = 1_000_000


def arm(on: Exchange, timeout: str, *, tag: str = "", at_us: int = NOW_US) -> tuple[int, Body]:
    """Asks for it."""
    body = {"timeOut": timeout} | ({"tag": tag} if tag else {})
    return call(on, "POST", TRADE + "cancel-all-after", body, at_us=at_us)


def place(on: Exchange, uid: str = "1001", tag: str = "") -> str:
    """An open order; its ordId."""
    return on.book.place(uid, on.book.instruments["BTC-USDT"], NOW_US, {"tag": tag}).ordId


def ended(on: Exchange, at_us: int) -> dict[str, str]:
    """Who cancelled the orders that are off the book at that instant, by ordId."""
    on.book.advance(at_us)
    return {order.ordId: order.cancelSource for order in on.book.orders.values() if not order.open}


def test_it_fires_when_nobody_asks_again() -> None:
    """All orders of the user, those placed after it was armed too, nobody else's; the answer says when."""
    on = exchange()
    first, other = place(on), place(on, uid="2")
    status, answer = arm(on, "10")
    assert (status, answer["code"]) == (200, "0")
    assert items(answer) == [
        {"triggerTime": str((NOW_US + 10 * SECOND) // 1000), "tag": "", "ts": str(NOW_US // 1000)},
    ]
    second = place(on)
    assert on.book.next_ending_us == NOW_US + 10 * SECOND
    assert ended(on, NOW_US + 10 * SECOND - 1) == {}
    assert ended(on, NOW_US + 10 * SECOND) == {first: SWITCH, second: SWITCH}
    assert on.book.orders[other].open
    assert on.book.next_ending_us is None


def test_asking_again_pushes_it_back_and_zero_takes_it_away() -> None:
    """Each call counts from its own arrival."""
    on = exchange()
    place(on)
    arm(on, "10")
    arm(on, "20", at_us=NOW_US + 5 * SECOND)
    assert ended(on, NOW_US + 24 * SECOND) == {}
    _, answer = arm(on, "0", at_us=NOW_US + 24 * SECOND)
    assert items(answer)[0]["triggerTime"] == "0"
    assert ended(on, NOW_US + 200 * SECOND) == {}


def test_a_tag_has_a_countdown_of_its_own() -> None:
    """Only orders with that tag go."""
    on = exchange()
    tagged, plain = place(on, tag="mm"), place(on)
    arm(on, "10", tag="mm")
    arm(on, "20")
    assert ended(on, NOW_US + 10 * SECOND) == {tagged: SWITCH}
    assert ended(on, NOW_US + 20 * SECOND) == {tagged: SWITCH, plain: SWITCH}


def test_one_call_a_second_of_a_user_and_tag() -> None:
    """The next one is refused, and changes nothing; another tag has its own meter."""
    on = exchange()
    place(on)
    arm(on, "10")
    assert arm(on, "60", at_us=NOW_US + SECOND - 1) == (429, {"msg": "Too Many Requests", "code": "50011"})
    assert arm(on, "60", tag="mm", at_us=NOW_US + SECOND - 1)[0] == 200
    assert len(ended(on, NOW_US + 10 * SECOND)) == 1
    assert arm(on, "10", at_us=NOW_US + 10 * SECOND)[0] == 200


@pytest.mark.parametrize("timeout", ["", "9", "121", "-1", "10.5", "x"])
def test_other_times_are_refused(timeout: str) -> None:
    """0, or 10 to 120 s."""
    on = exchange()
    status, answer = arm(on, timeout)
    assert (status, answer["code"]) == (400, "51000")
    assert on.book.next_ending_us is None


def test_orders_go_a_moment_later_and_one_that_is_being_cancelled_stays_its_user_s() -> None:
    """With the same lag as any cancel."""
    on = exchange()
    on.book.behaviour = Behaviour(cancel_lag_ms=50, switch_scale=0.5)
    mine, theirs = place(on), place(on)
    arm(on, "10")
    fires_us = NOW_US + 5 * SECOND
    call(on, "POST", TRADE + "cancel-order", {"instId": "BTC-USDT", "ordId": mine}, at_us=fires_us - 10_000)
    assert ended(on, fires_us + 39_999) == {}
    assert ended(on, fires_us + 40_000) == {mine: USER}
    assert ended(on, fires_us + 50_000) == {mine: USER, theirs: SWITCH}
