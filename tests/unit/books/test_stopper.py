"""Are products listed as far as they are meant, and asked to end by the right calls, each under its window?"""

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.mass.products import PAUSED, Kind
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.stopper import Stopper
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Answer, Item
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import DeadlinePassed, NotAuthorised, Refused
from bulk_cancel.worker.okx.limits import Limits, ReadingLimits
from bulk_cancel.worker.okx.sources import SourceList
from bulk_cancel.worker.okx.stops import STOP_OF, Found, Stop
from bulk_cancel.worker.state.window import Timing

CREDS = Credentials(name="a", api_key="k", api_secret="s", passphrase="p", base_url="http://x", demo=False)
USER = User("u", (CREDS,), "http://x", Limits(60, 300), 20)
WHOLE = Scope(with_=("bots", "spreads", "rfqs"), bots="keep-positions")
GRID = "contract_grid"


class FakeBook:
    """Has rows and details, and answers stops; `said` are the calls for an end."""

    def __init__(self, *rows: dict[str, str], details: Mapping[str, str] | None = None) -> None:
        self._rows = rows
        self._details = details or {}
        self.fails: Exception | None = None
        self.said: list[object] = []

    def sources(self, _user: User, _listed: SourceList) -> Iterator[dict[str, str]]:
        """All rows."""
        if self.fails:
            raise self.fails
        yield from self._rows

    def grid(self, _user: User, _listed: SourceList, algo_id: str) -> dict[str, str]:
        """Its details."""
        return {"algoId": algo_id, **self._details}

    def stop(self, _user: User, _stop: Stop, named: Sequence[tuple[str, str]]) -> Answer:
        """Accepted, each by itself."""
        self.said.append([ident for ident, _ in named])
        return self._answer(Item(ident, "", "0", "") for ident, _ in named)

    def stop_all(self, _user: User, stop: Stop, narrowed: Mapping[str, str]) -> Answer:
        """Accepted."""
        self.said.append((stop.listed.name, dict(narrowed)))
        return self._answer(())

    def _answer(self, items: Any) -> Answer:  # noqa: ANN401 (an iterable)
        if self.fails:
            raise self.fails
        return Answer(200, "0", "", tuple(items))


def stopper(book: FakeBook, scope: Scope = WHOLE) -> Stopper:
    """Of user u."""
    return Stopper(cast("Book", book), USER, scope)


def of(*idents: str, inst: str = "A-B") -> Kind:
    """Products that were just found."""
    return Kind().listed({ident: Found(inst) for ident in idents})


@pytest.mark.parametrize(("number", "left"), [("2", {"1"}), ("0", set())])
def test_a_grid_that_kept_its_position_is_asked_about_once_it_was_ours(number: str, left: set[str]) -> None:
    """One that stopped before is nobody's business."""
    kept = {"instId": "A-B", "state": "no_close_position"}
    book = FakeBook({"algoId": "1", **kept}, {"algoId": "2", **kept}, details={"activeOrdNum": number})
    assert set(stopper(book).listed(GRID, of("1"))) == left


def test_a_list_that_the_account_may_not_have_is_empty_and_no_other() -> None:
    """A refusal that says nothing of the account says nothing of its products."""
    book = FakeBook()
    book.fails = NotAuthorised("no", code="50030")
    assert stopper(book).listed("spread", Kind()) == {}
    book.fails = Refused("no", code="51000")
    with pytest.raises(Refused):
        stopper(book).listed("spread", Kind())


def test_bots_are_stopped_by_the_dozen_or_one_by_one() -> None:
    """Ten in a request, of DCA one."""
    book, idents = FakeBook(), [str(number) for number in range(12)]
    stopper(book).ask("spot_grid", of(*idents), 0, frozenset())
    stopper(book).ask("spot_dca", of("1", "2"), 0, frozenset())
    assert book.said == [idents[:10], idents[10:], ["1"], ["2"]]


@pytest.mark.parametrize(
    ("paused", "said"),
    [
        (frozenset[str](), [("spread", {})]),
        (frozenset({"lane:u/A-B"}), [("spread", {"sprdId": "C-D_E-F"})]),
        (frozenset({"user:u"}), []),
        (frozenset({"user:other", "lane:u/G-H"}), [("spread", {})]),
    ],
)
def test_what_operators_paused_is_left_alone(paused: frozenset[str], said: list[object]) -> None:
    """A leg is enough; the others go by themselves then."""
    book = FakeBook()
    kind = Kind().listed({"1": Found("A-B_C-D"), "2": Found("C-D_E-F")})
    told = stopper(book).ask("spread", kind, 0, paused)
    assert book.said == said
    assert (told.left["1"].why == PAUSED) is not (("spread", {}) in said)
    assert stopper(book).ask("rfq", Kind(), 0, frozenset({"user:u"})).open == 1


def test_a_spread_paused_after_it_was_asked_to_end_is_left_alone() -> None:
    """It is not due yet, and a call that ends all would end what is placed on it."""
    book = FakeBook()
    asked = stopper(book).ask("spread", Kind().listed({"1": Found("A-B_C-D")}), 0, frozenset())
    kind = asked.listed({"1": Found("A-B_C-D"), "2": Found("C-D_E-F")})
    stopper(book).ask("spread", kind, 1, frozenset({"lane:u/A-B"}))
    assert book.said == [("spread", {}), ("spread", {"sprdId": "C-D_E-F"})]


def test_each_spread_goes_by_itself_in_a_scope_that_is_narrowed() -> None:
    """A call without a name would reach beyond it."""
    book = FakeBook()
    narrowed = Scope(with_=("spreads",), instType="SWAP")
    kind = Kind().listed({"1": Found("A-SWAP_B-SWAP"), "2": Found("A-SWAP_B-SWAP"), "3": Found("C-SWAP_D-SWAP")})
    told = stopper(book, narrowed).ask("spread", kind, 0, frozenset())
    assert book.said == [("spread", {"sprdId": "A-SWAP_B-SWAP"}), ("spread", {"sprdId": "C-SWAP_D-SWAP"})]
    assert [each.times for each in told.left.values()] == [1, 1, 1]
    stopper(book, narrowed).ask("spread", told, 1, frozenset())
    assert len(book.said) == 2


def test_no_answer_is_no_end_and_no_refusal() -> None:
    """It is asked again; the account may not be allowed at all, which people have to know."""
    book = FakeBook()
    book.fails = DeadlinePassed("cut")
    told = stopper(book).ask("spot_grid", of("1"), 0, frozenset())
    assert (told.left["1"].human, told.left["1"].times) == (False, 1)
    assert stopper(book).ask("rfq", Kind(), 0, frozenset()).unproven == "no answer in time: cut"
    book.fails = NotAuthorised("no", code="50030")
    with capture_logs() as logs:
        assert stopper(book).ask("spot_grid", of("1"), 0, frozenset()).left["1"].human
    assert [(line["id"], line["code"]) for line in logs if line["event"] == "needs_human"] == [("1", "50030")]
    assert stopper(book).ask("rfq", Kind(), 0, frozenset()).open == 0


class FakeScripts:
    """Grants every slot, and keeps which was asked for."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []

    def run(self, verb: str, argument: Mapping[str, Any]) -> dict[str, int]:
        """At once."""
        if verb == "slot_take":
            self.taken.append((argument["meter"], argument["limit"]))
        return {"wait": 0}


@pytest.mark.parametrize("name", STOP_OF)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_each_call_takes_a_slot_of_its_meter(name: str, share: float) -> None:
    """Of the limit that the exchange documents, our part; grids of both kinds share theirs."""

    class Client:
        """Answers."""

        def stop(self, *_: object, write_by: float) -> Answer:
            """Accepted."""
            assert write_by
            return Answer(200, "0", "", ())

        stop_all = stop

    scripts, stop = FakeScripts(), STOP_OF[name]
    book = Book(cast("Any", scripts), cast("Any", Client()), Timing(2.0, 5.0), Event())
    user = User("u", (CREDS,), "http://x", Limits(60, 300), 20, ReadingLimits().scaled(share))
    if stop.each:
        book.stop(user, stop, [("1", "A-B")])
    else:
        book.stop_all(user, stop, {})
    documented = {"spread": 10, "rfq": 2, "quote": 2}.get(name, 20)
    assert scripts.taken == [(f"u:{stop.meter}", documented * share)]
    assert len({each.meter for each in STOP_OF.values()}) == len(STOP_OF) - 1
