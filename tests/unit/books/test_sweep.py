"""Does a sweep keep what it found before it asks, leave what hangs behind, and never take silence for none?"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any, cast

import pytest

from bulk_cancel.worker.books.mass import sweep as module
from bulk_cancel.worker.books.mass.masses import Listing, MassEnded, Masses
from bulk_cancel.worker.books.mass.products import Kind, Products
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.books.mass.sweep import HOLD_US, OPEN_US, Sweep
from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.errors import OutcomeUnknown
from bulk_cancel.worker.okx.stops import Found

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCOPE = Scope(with_=("bots", "spreads"), bots="keep-positions")
MASS = Mass("m", "desk1", "u1", SCOPE, 0.0, urgent=True, state="running", started_at=NOW, deadline_at=NOW)


class FakeMasses:
    """Keeps what is noted; `ended`: nobody may note any more."""

    def __init__(self, order: list[str]) -> None:
        self.kept = Products()
        self.ended = False
        self._order = order

    def note(self, _listing: Listing, products: Products, *, lease_s: float) -> None:
        """Keeps it."""
        assert lease_s == 7
        if self.ended:
            raise MassEnded
        self.kept = products
        self._order.append("note")

    def paused(self) -> frozenset[str]:
        """Nothing is."""
        return frozenset()


class FakeStopper:
    """Lists `rows`, by name, or fails, or hangs; what is asked to end is accepted."""

    def __init__(self, order: list[str]) -> None:
        self.rows: dict[str, dict[str, Found]] = {}
        self.fails: set[str] = set()
        self.hangs: Event | None = None
        self._order = order

    def listed(self, name: str, _kind: Kind) -> dict[str, Found]:
        """Those of the list."""
        if self.hangs and name == "spot_grid":
            self.hangs.wait()
        if name in self.fails:
            raise OutcomeUnknown("gone")
        return self.rows.get(name, {})

    def ask(self, name: str, kind: Kind, now_us: int, paused: frozenset[str]) -> Kind:
        """All that is due."""
        assert not paused
        due = kind.due(now_us)
        if due:
            self._order.append(f"ask {name}")
        return kind.answered(due, Answer(200, "0", "", ()), now_us)


Made = tuple[FakeMasses, FakeStopper, list[str]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """What a sweep needs, and the order of what it does."""
    monkeypatch.setattr(module, "WAIT_S", 0.05)
    order: list[str] = []
    stopper = FakeStopper(order)
    yield FakeMasses(order), stopper, order
    if stopper.hangs:
        stopper.hangs.set()


def sweep(made: Made, mass: Mass = MASS, now_us: int = 1) -> Sweep:
    """The next sweep of a mass cancel, which goes on with what was kept."""
    masses, stopper, _ = made
    listing = Listing("l", replace(mass, products=masses.kept), now_us, 0, 60.0)
    return Sweep(cast("Masses", masses), cast("Any", stopper), listing, lease_s=7)


def swept(made: Made, mass: Mass = MASS, now_us: int = 1) -> int:
    """What a whole sweep says is left."""
    with sweep(made, mass, now_us) as on:
        on.begin("bots")
        on.begin("spreads", "rfqs")
        assert on.is_over(within_s=10)
        return on.end()


def test_what_was_found_is_kept_before_it_is_asked_to_end(made: Made) -> None:
    """Whoever dies in between has hidden nothing."""
    masses, stopper, order = made
    stopper.rows = {"spot_grid": {"1": Found("A-B")}, "spread": {"2": Found("A-B_C-D")}}
    assert swept(made) == 2
    assert order[:3] == ["note", "ask spot_grid", "note"]
    assert order[3:6] == ["note", "ask spread", "note"]
    stopper.rows = {}
    assert swept(made, now_us=OPEN_US + 1) == 0
    assert {name: (kind.found, kind.stopped) for name, kind in masses.kept.kinds.items() if kind.found} == {
        "spot_grid": (1, 1),
        "spread": (1, 1),
    }


def test_a_list_that_cannot_be_read_is_not_empty(made: Made) -> None:
    """The others are ended all the same; what it showed before counts as left."""
    masses, stopper, order = made
    stopper.rows = {"spot_grid": {"1": Found("A-B")}, "contract_grid": {"2": Found("C-D")}}
    swept(made)
    stopper.fails = {"spot_grid"}
    stopper.rows = {"contract_grid": {"3": Found("C-D")}}
    with sweep(made, now_us=10 * OPEN_US) as on:
        on.begin("bots")
        assert on.is_over(within_s=10)
        assert (on.end(), on.trouble, on.quiet) == (2, "spot grid bots: no usable answer: gone", False)
    assert masses.kept.swept_us == 1
    assert order.count("ask contract_grid") == 2
    assert (masses.kept.of("spot_grid").stopped, masses.kept.of("contract_grid").stopped) == (0, 1)


def test_who_hangs_is_not_waited_for(made: Made) -> None:
    """Orders go on; stops wait, since what is left is not known."""
    _, stopper, _ = made
    stopper.hangs = Event()
    with sweep(made) as on:
        assert on.quiet
        on.begin("bots")
        assert (on.quiet, on.is_over(within_s=0.01)) == (False, False)
        on.begin("bots")  # a second time it is not waited for at all
        stopper.hangs.set()
        assert on.is_over(within_s=10)
        assert (on.quiet, on.end()) == (True, 0)


def test_only_what_was_asked_for_is_swept(made: Made) -> None:
    """Nothing at all of a mass cancel of orders."""
    masses, stopper, order = made
    stopper.rows = {"spot_grid": {"1": Found("A-B")}}
    assert swept(made, replace(MASS, scope=Scope(with_=("algos", "rfqs")))) == 0
    assert "ask spot_grid" not in order
    order.clear()
    masses.kept = Products()
    assert swept(made, replace(MASS, scope=Scope())) == 0
    assert (order, masses.kept) == ([], Products())


@pytest.mark.parametrize(
    ("hold", "left", "pause_us"),
    [(False, True, OPEN_US), (True, True, OPEN_US), (True, False, HOLD_US), (False, False, 0)],
)
def test_products_are_swept_more_seldom_than_orders_are_listed(
    made: Made, *, hold: bool, left: bool, pause_us: int
) -> None:
    """In between the last sweep counts; but nothing is flat for the first time without one."""
    masses, stopper, order = made
    mass = replace(MASS, hold=hold, flat=hold)
    stopper.rows = {"spot_grid": {"1": Found("A-B")}} if left else {}
    assert swept(made, mass) == int(left)
    assert masses.kept.swept_us == 1
    for wait_us, is_due in ((pause_us - 1, False), (pause_us, True)):
        order.clear()
        if wait_us >= 0:
            assert swept(made, mass, 1 + wait_us) == int(left)
            assert bool(order) is is_due


def test_a_mass_cancel_that_ended_asks_nothing_more(made: Made) -> None:
    """An operator withdrew it, or another worker goes on with it."""
    masses, stopper, order = made
    stopper.rows = {"spot_grid": {"1": Found("A-B")}}
    masses.ended = True
    with pytest.raises(MassEnded):
        swept(made)
    assert order == []
