"""What becomes of orders that the private channel told of as open, and that no listing shows?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from bulk_cancel.worker.books.mass import contradictions
from bulk_cancel.worker.books.mass.contradictions import ASKED, Contradictions
from bulk_cancel.worker.books.mass.masses import Listing
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.books.mass.told import Told
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.limits import Limits

if TYPE_CHECKING:
    from bulk_cancel.worker.books.book import Book
    from bulk_cancel.worker.books.mass.masses import Masses
    from bulk_cancel.worker.books.mass.opened import ToldOrders
    from bulk_cancel.worker.okx.answers import Row
    from bulk_cancel.worker.okx.orders import OrderRef

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USER = User("u1", (), "http://127.0.0.1:1", Limits(60, 300), 20)
MASS = Mass("m", "desk1", "u1", Scope(), 3.0, urgent=True, state="running", started_at=NOW, deadline_at=NOW)
S = 1_000_000


class World:
    """An exchange that tells of `states` when asked; a second after the scope was empty a channel told of `told`."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.told: list[str] = []
        self.asked: list[str] = []
        self.admitted: list[str] = []
        self.renewed = 0

    def read(self, _uid: str) -> Told | None:
        """What was told."""
        rows = tuple({"instId": "BTC-USDT", "ordId": each} for each in self.told)
        return Told(2 * S, rows) if self.told else None

    def go_on(self, listing: Listing, *, lease_s: float) -> Listing:
        """It is ours for as long as was asked."""
        assert lease_s == 7
        self.renewed += 1
        return listing

    def order(self, _user: User, ref: "OrderRef") -> "Row":
        """As the exchange tells; of one without a state it knows nothing."""
        order_id = ref.ordId or ""
        self.asked.append(order_id)
        state = self.states.get(order_id)
        return {"instId": ref.instId, "ordId": order_id, "state": state} if state else {}

    def admit(self, _listing: Listing, page: "list[Row]") -> None:
        """What was handed in."""
        self.admitted += [row["ordId"] for row in page]


@pytest.fixture
def world() -> World:
    """Nothing told, nothing known."""
    return World()


@pytest.fixture
def judge(world: World) -> Contradictions:
    """Over that world."""
    return Contradictions(
        cast("Masses", world),
        cast("ToldOrders", world),
        cast("Book", world),
        lease_s=7,
        exchange_ms=lambda _: 0.0,
    )


def why(judge: Contradictions) -> str:
    """What speaks against flat, three seconds after the scope was empty."""
    return judge.of(Listing("l", MASS, 4 * S, 4 * S, 60.0), USER, since_us=S)


def test_where_nothing_was_told_nothing_is_asked(judge: Contradictions, world: World) -> None:
    """Flat goes by listings alone."""
    assert why(judge) == ""
    assert (world.asked, world.renewed) == ([], 0)


def test_one_that_is_open_is_handed_in(judge: Contradictions, world: World) -> None:
    """The exchange says so itself, whatever it lists."""
    world.told, world.states = ["1", "2"], {"1": "live", "2": "partially_filled"}
    assert "told of 1, 2 as open" in why(judge)
    assert world.admitted == ["1", "2"]


def test_one_that_ended_says_nothing_and_is_asked_for_once(judge: Contradictions, world: World) -> None:
    """No push told of its end, so it will be told of again with each listing."""
    world.told, world.states = ["1", "2"], {"1": "canceled", "2": "filled"}
    assert [why(judge), why(judge)] == ["", ""]
    assert (world.asked, world.admitted) == (["1", "2"], [])


def test_one_that_is_unknown_is_not_gone(judge: Contradictions, world: World) -> None:
    """The exchange is blind, so the others are not asked for; the next listing asks again."""
    world.told, world.states = ["1", "2", "3"], {"1": "canceled", "3": "live"}
    assert "told of 2, 3 as open" in why(judge)
    assert (world.asked, world.admitted) == (["1", "2"], [])
    why(judge)
    assert world.asked == ["1", "2", "2"]


def test_more_than_can_be_asked_for_are_not_known(judge: Contradictions, world: World) -> None:
    """The next listing asks for the others."""
    world.told = [str(number) for number in range(1, ASKED + 6)]
    world.states = dict.fromkeys(world.told, "canceled")
    assert f"told of {', '.join(map(str, range(ASKED + 1, ASKED + 4)))} and 2 more" in why(judge)
    assert why(judge) == ""
    assert len(world.asked) == ASKED + 5


def test_what_is_remembered_is_bounded(judge: Contradictions, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgotten, they are asked for once more."""
    monkeypatch.setattr(contradictions, "REMEMBERED", 2)
    for each in "123":
        world.told, world.states = [each], {each: "canceled"}
        assert why(judge) == ""
    world.told, world.states = ["1"], {"1": "canceled"}
    assert why(judge) == ""
    assert world.asked == ["1", "2", "3", "1"]
