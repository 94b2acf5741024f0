"""Is a mass cancel on hold asked for when, and only when, the channel tells of an open order?"""

from typing import TYPE_CHECKING, cast

import pytest

from bulk_cancel.worker.books.mass.hastener import NONE_S, Hastener

if TYPE_CHECKING:
    from bulk_cancel.worker.books.mass.masses import Masses


class FakeMasses:
    """Keeps whose holds were hastened; `holds` is how many there are."""

    def __init__(self) -> None:
        self.holds = 1
        self.asked: list[str] = []

    def hasten(self, uid: str) -> int:
        """How many the user has."""
        self.asked.append(uid)
        return self.holds


@pytest.fixture
def masses() -> FakeMasses:
    """One hold."""
    return FakeMasses()


def tell(hastener: Hastener, uid: str, *states: str) -> None:
    """A push, and what is done about it."""
    hastener.saw(uid, [{"state": state} for state in states])
    hastener.round()


def test_only_an_open_order_is_a_trigger(masses: FakeMasses) -> None:
    """What ended is no concern of a hold."""
    hastener = Hastener(cast("Masses", masses))
    for uid, states in (("a", ["live"]), ("b", ["canceled", "filled"]), ("c", ["canceled", "partially_filled"])):
        tell(hastener, uid, *states)
    assert masses.asked == ["a", "c"]


def test_a_channel_of_algo_orders_speaks_for_their_user(masses: FakeMasses) -> None:
    """Each open one, and whatever may have been pushed unheard; what it tells concerns mass cancels of algo orders."""
    hastener = Hastener(cast("Masses", masses))
    tell(hastener, "a:algo", "live", "fired")
    tell(hastener, "b:algo", "fired", "canceled")
    hastener.missed("c:algo")
    hastener.round()
    assert masses.asked == ["a:algo", "c:algo"]


def test_a_user_without_a_hold_costs_a_question_a_second(masses: FakeMasses) -> None:
    """However many orders he places."""
    now_s = 7.0
    hastener, masses.holds = Hastener(cast("Masses", masses), clock=lambda: now_s), 0
    for _ in range(3):
        tell(hastener, "a", "live")
    assert masses.asked == ["a"]
    now_s += NONE_S
    tell(hastener, "a", "live")
    assert masses.asked == ["a", "a"]
