"""What does a worker do with a mass cancel that it may not, cannot or need not read for?"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import pytest
from redis.exceptions import ConnectionError as Away
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from bulk_cancel.tasks.errors import RedisFullError
from bulk_cancel.worker.books.book import Book, ReadingStopped
from bulk_cancel.worker.books.mass.canceller import FAILED_S, REFUSED_S, MassCanceller
from bulk_cancel.worker.books.mass.flat import Seen, Verdict
from bulk_cancel.worker.books.mass.masses import Listing, Masses
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.books.mass.sweep import Sweep
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.errors import NotAuthorised, OutcomeUnknown
from bulk_cancel.worker.okx.limits import Limits

if TYPE_CHECKING:
    from bulk_cancel.worker.books.mass.contradictions import Contradictions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MASS = Mass("m", "desk1", "u1", Scope(side="buy"), 0.0, urgent=True, state="running", started_at=NOW, deadline_at=NOW)


class FakeMasses:
    """One listing of `MASS`; what is said of it is kept in `said`."""

    def __init__(
        self, left_s: float, min_age_s: float | None = None, *, hold: bool = False, until_flat_s: float = 0.0
    ) -> None:
        self.said: list[tuple[str, object]] = []
        self.admitted: list[str] = []
        self.refuses: Exception | None = None
        self.waiting: int | None = None
        scope = replace(MASS.scope, min_age_s=min_age_s)
        mass = replace(MASS, scope=scope, hold=hold, until_flat_s=until_flat_s, flat_since_us=1)
        self._listing = Listing("l", mass, 10_000_000, 0, left_s)

    def begin(self, _batch_id: str, *, lease_s: float) -> Listing:
        """It is ours."""
        assert lease_s > 0
        return self._listing

    def go_on(self, listing: Listing, *, lease_s: float) -> Listing:
        """It still is."""
        assert lease_s > 0
        return listing if self.waiting is None else replace(listing, waiting=self.waiting)

    def admit(self, _listing: Listing, page: list[dict[str, str]], *, holder: str) -> int:
        """Keeps the orders."""
        if self.refuses:
            raise self.refuses
        assert holder == ("u1" if "ordType" not in page[0] else "u1:algo")
        self.admitted += [row["ordId"] for row in page]
        return len(self.admitted)

    def end(self, _listing: Listing, seen: Seen, verdict: Verdict) -> None:
        """Keeps what was concluded."""
        self.said.append(("end", (seen.matching, seen.calls, dict(seen.left_out), verdict.state)))

    def interrupt(self, _listing: Listing, why: str, *, again_in_s: float) -> None:
        """Keeps the pause."""
        self.said.append((f"interrupt: {why}", again_in_s))

    def hand_back(self, _listing: Listing, *, again_in_s: float) -> None:
        """Keeps the pause."""
        self.said.append(("hand back", again_in_s))

    def give_up(self, _listing: Listing, state: str) -> None:
        """Keeps how it ended."""
        self.said.append(("give up", state))


class FakeBook:
    """Two pages; `fails` comes in the place of the second one, `empty` in the place of both."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.empty = False
        self.read = 0
        self.stops: list[str] = []

    def open_orders(self, _user: User, filters: dict[str, str]) -> Iterator[list[dict[str, str]]]:
        """One order that is meant and one that is not on each page."""
        assert filters == {}
        if self.empty:
            yield []
            return
        for number in (1, 3):
            if number > 1 and self.fails:
                raise self.fails
            self.read += 1
            yield [
                {"instId": "BTC-USDT", "ordId": str(number), "side": "buy"},
                {"instId": "BTC-USDT", "ordId": str(number + 1), "side": "sell"},
            ]

    def algo_orders(self, user: User, lists: list[str], _filters: object) -> Iterator[list[dict[str, str]]]:
        """The stops, a page each."""
        assert user.of_algos
        for ident in self.stops if lists == ["conditional,oco"] else []:
            yield [{"instId": "BTC-USDT", "ordId": ident, "ordType": "conditional", "reduceOnly": "true"}]
        yield []


class Speaks:
    """Another witness, who says `why` the scope is not flat."""

    def __init__(self, why: str) -> None:
        self.why = why

    def of(self, _listing: Listing, _user: User, *, since_us: int) -> str:
        """Asked only about a scope that would be flat."""
        assert since_us == 1
        return self.why


Made = tuple[MassCanceller, FakeMasses, FakeBook]


@pytest.fixture
def make() -> Iterator[Callable[..., Made]]:
    """A worker that knows user u1, whom the exchange has confirmed unless told otherwise."""
    made: list[MassCanceller] = []

    def build(
        *,
        confirmed: bool = True,
        left_s: float = 60.0,
        min_age_s: float | None = None,
        clock: Exception | None = None,
        hold: bool = False,
        until_flat_s: float = 0.0,
        speaks: str = "",
    ) -> Made:
        masses, book = FakeMasses(left_s, min_age_s, hold=hold, until_flat_s=until_flat_s), FakeBook()

        def exchange_ms(_user: User) -> float:
            if clock:
                raise clock
            return 0.0

        gate = Gate(cast("dict[str, User]", {"u1": None}))
        canceller = MassCanceller(
            cast("Masses", masses),
            cast("Book", book),
            gate,
            Event(),
            lease_s=7,
            exchange_ms=exchange_ms,
            contradictions=cast("Contradictions", Speaks(speaks)),
        )
        if confirmed:
            gate.open("u1")
        made.append(canceller)
        return canceller, masses, book

    yield build
    for canceller in made:
        canceller.stop()


def run(canceller: MassCanceller) -> None:
    """One listing, here."""
    cast("Any", canceller)._begin("m")


def test_each_page_is_handed_in_and_the_whole_concluded(make: Callable[..., Made]) -> None:
    """Those that are meant; the others are counted."""
    canceller, masses, _ = make()
    run(canceller)
    assert masses.admitted == ["1", "3"]
    assert masses.said == [("end", (2, 2, {"side is not buy": 2}, "done"))]


@pytest.mark.parametrize("hold", [False, True])
def test_nothing_is_flat_that_another_witness_speaks_against(make: Callable[..., Made], *, hold: bool) -> None:
    """The listing counts as one that failed: the time without orders begins anew."""
    for speaks, said in (("told of 7", ("interrupt: told of 7", FAILED_S)), ("", ("end", (0, 1, {}, "flat")))):
        canceller, masses, book = make(until_flat_s=3.0, hold=hold, speaks=speaks)
        book.empty = True
        run(canceller)
        assert masses.said == [("end", (0, 1, {}, "running")) if hold and not speaks else said]


def test_no_age_is_guessed_when_the_exchange_does_not_tell_its_time(make: Callable[..., Made]) -> None:
    """Nothing is handed in, and the listing is made again."""
    canceller, masses, _ = make(min_age_s=30.0, clock=OutcomeUnknown("no time"))
    run(canceller)
    assert (masses.admitted, masses.said) == ([], [("interrupt: no usable answer: no time", FAILED_S)])


def test_the_time_is_not_asked_for_where_no_age_counts(make: Callable[..., Made]) -> None:
    """A question more, and one more that can fail."""
    canceller, masses, _ = make(clock=OutcomeUnknown("no time"))
    run(canceller)
    assert masses.admitted == ["1", "3"]


def test_nothing_is_read_before_the_account_is_who_it_says(make: Callable[..., Made]) -> None:
    """Another worker may know more."""
    canceller, masses, book = make(confirmed=False)
    run(canceller)
    assert (masses.said, book.read) == ([("hand back", 1.0)], 0)


def test_nothing_is_read_after_the_deadline(make: Callable[..., Made]) -> None:
    """It was never read, and says so."""
    canceller, masses, book = make(left_s=0.0)
    with capture_logs() as lines:
        run(canceller)
    assert (masses.said, book.read) == ([("give up", "not read")], 0)
    assert [(line["event"], line["log_level"], line["batch"], line["state"]) for line in lines] == [
        ("mass_ended", "warning", "m", "not read")
    ]


def test_a_hold_has_no_end(make: Callable[..., Made]) -> None:
    """It lists after its deadline, by which it should have been flat."""
    canceller, masses, _ = make(left_s=-1.0, hold=True)
    run(canceller)
    assert masses.said == [("end", (2, 2, {"side is not buy": 2}, "running"))]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutcomeUnknown("no answer"), ("interrupt: no usable answer: no answer", FAILED_S)),
        (NotAuthorised("no", code="50111"), ("interrupt: credentials refused: 50111 no", REFUSED_S)),
        (ReadingStopped(), ("hand back", 0)),
    ],
)
def test_what_was_found_before_a_page_failed_is_cancelled(
    make: Callable[..., Made], error: Exception, said: tuple[str, float]
) -> None:
    """And the book is read again, as soon as that makes sense."""
    canceller, masses, book = make()
    book.fails = error
    run(canceller)
    assert (masses.admitted, masses.said) == (["1"], [said])


@pytest.mark.parametrize("error", [RedisFullError("full"), ResponseError("NOREPLICAS Not enough"), Away("gone")])
def test_a_redis_that_takes_no_orders_is_waited_for(make: Callable[..., Made], error: Exception) -> None:
    """Nothing is forgotten: the next listing finds the same orders, and this one does not count as flat."""
    canceller, masses, _ = make()
    masses.refuses = error
    run(canceller)
    assert masses.said == [(f"interrupt: {error}", FAILED_S)]


@pytest.mark.parametrize(
    ("waiting", "with_", "said"),
    [
        ([1, 0], ("algos",), [("hand back", 0)]),
        ([1, 1], ("algos",), [("end", (0, 9, {}, "running"))]),
        ([0, 0], ("algos",), [("end", (0, 9, {}, "done"))]),
        ([1, 0], (), [("end", (0, 1, {}, "done"))]),
    ],
)
def test_a_listing_that_cannot_count_as_flat_any_more_makes_room_for_one_that_can(
    make: Callable[..., Made], waiting: list[int], with_: tuple[str, ...], said: list[tuple[str, object]]
) -> None:
    """Once the last order has ended that had not when it began; without algo orders the next one is not far."""
    canceller, masses, book = make()
    book.empty = True
    cast("dict[str, User]", canceller._gate.users)["u1"] = User("u1", (), "http://127.0.0.1:1", Limits(1, 0), 0)
    scope = replace(MASS.scope, side=None, with_=with_)
    masses._listing = replace(masses._listing, mass=replace(masses._listing.mass, scope=scope), waiting=waiting[0])
    masses.waiting = waiting[1]
    run(canceller)
    assert masses.said == said


def test_stops_of_all_pages_go_at_once(make: Callable[..., Made]) -> None:
    """They go when nothing else is left; other stops are nothing else."""
    canceller, masses, book = make()
    book.empty, book.stops = True, ["7", "8", "9"]
    cast("dict[str, User]", canceller._gate.users)["u1"] = User("u1", (), "http://127.0.0.1:1", Limits(1, 0), 0)
    scope = Scope(with_=("algos",), protective="cancel")
    masses._listing = replace(masses._listing, mass=replace(masses._listing.mass, scope=scope))
    run(canceller)
    assert masses.admitted == ["7", "8", "9"]


def test_orders_are_listed_again_while_products_are_slow(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bots that hang hold up no order that comes meanwhile; and flat is nothing that was open in between."""
    canceller, masses, book = make()
    over = iter([False, False, True])
    monkeypatch.setattr(Sweep, "is_over", lambda _self, **_: next(over))
    run(canceller)
    assert book.read == 6
    assert masses.admitted == ["1", "3"] * 3
    assert masses.said == [("end", (2, 6, {"side is not buy": 2}, "done"))]
