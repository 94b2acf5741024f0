"""Is what the private channel told of as open remembered until its end, and written down only where it is wanted?"""

import json
from typing import TYPE_CHECKING, cast

import pytest

from bulk_cancel.worker.books.mass.opened import AT_MOST, Opened

if TYPE_CHECKING:
    from bulk_cancel.worker.books.mass.opened import ToldOrders


class FakeTold:
    """Keeps what was written; `users` have mass cancels."""

    def __init__(self) -> None:
        self.users = {"a"}
        self.asked = 0
        self.written: dict[str, list[str]] = {}

    def wanted(self) -> set[str]:
        """Whose orders somebody wants to know."""
        self.asked += 1
        return self.users

    def write(self, uid: str, rows: list[bytes]) -> None:
        """The ordIds."""
        self.written[uid] = [json.loads(row)["ordId"] for row in rows]


@pytest.fixture
def told() -> FakeTold:
    """User a has a mass cancel."""
    return FakeTold()


@pytest.fixture
def opened(told: FakeTold) -> Opened:
    """The channels of users a and b are heard."""
    made = Opened(cast("ToldOrders", told))
    for uid in "ab":
        made.began(uid)
    return made


def push(opened: Opened, state: str, *order_ids: str, uid: str = "a") -> None:
    """Orders with this state."""
    opened.saw(uid, [{"instId": "BTC-USDT", "ordId": each, "state": state} for each in order_ids])


def written(opened: Opened, told: FakeTold) -> dict[str, list[str]]:
    """After one round."""
    told.written.clear()
    opened.round()
    return told.written


def test_an_order_is_open_until_its_end_is_told(opened: Opened, told: FakeTold) -> None:
    """A state that nobody knows is no end."""
    push(opened, "live", "1", "2", "3", "4")
    for state, order_id in (("partially_filled", "1"), ("canceled", "2"), ("filled", "3"), ("new_word", "4")):
        push(opened, state, order_id)
    assert written(opened, told) == {"a": ["1", "4"]}
    push(opened, "mmp_canceled", "1", "4")
    assert written(opened, told) == {"a": []}


def test_only_users_with_a_mass_cancel_are_written_down(opened: Opened, told: FakeTold) -> None:
    """Of a user whose channel is another worker's it is for that one to say."""
    push(opened, "live", "1", uid="b")
    assert written(opened, told) == {"a": []}
    told.users = {"b", "c"}
    assert written(opened, told) == {"b": ["1"]}


def test_what_was_told_of_before_a_gap_may_have_ended(opened: Opened, told: FakeTold) -> None:
    """It is forgotten; and without a channel nothing is asked or said at all."""
    push(opened, "live", "1")
    opened.began("a")
    assert written(opened, told) == {"a": []}
    push(opened, "live", "2")
    opened.left("a")
    push(opened, "live", "3")
    assert written(opened, told) == {}
    opened.left("b")
    before = told.asked
    opened.round()
    assert told.asked == before


def test_a_flood_is_bounded(opened: Opened, told: FakeTold) -> None:
    """By what an account may have open: the oldest are forgotten."""
    push(opened, "live", *map(str, range(AT_MOST + 5)))
    (orders,) = written(opened, told).values()
    assert (len(orders), orders[0]) == (AT_MOST, "5")
