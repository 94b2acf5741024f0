"""What proves that an order is off the book?"""

from dataclasses import replace

import pytest

from bulk_cancel.worker.books.confirm.proof import FIRED, Placed, Unconfirmed, overdue, placed, seen_as, seen_open
from bulk_cancel.worker.okx.sources import as_order
from bulk_cancel.worker.okx.span import Span


def job(
    believed: str = "accepted", since_s: float = 1.0, *, ident: str = "o7", ord_id: str = "", looks: int = 0
) -> Unconfirmed:
    """A job whose cancel was answered `since_s` ago."""
    return Unconfirmed(f"446/BTC-USDT/{ident}", 3, believed, since_s, ord_id, looks)


@pytest.mark.parametrize(
    ("state", "filled", "status"),
    [
        ("canceled", "0", "canceled"),
        ("mmp_canceled", "0", "canceled"),
        ("filled", "2", "filled"),
        ("canceled", "0.5", "canceled"),
    ],
)
def test_an_order_ends_as_the_exchange_says(state: str, filled: str, status: str) -> None:
    """Whatever was believed; what was filled of it is kept."""
    for believed in ("accepted", "gone", "exhausted"):
        found = seen_as(job(believed), {"state": state, "accFillSz": filled})
        assert (found.act, found.status, found.filled) == ("end", status, filled)


@pytest.mark.parametrize("state", ["live", "partially_filled"])
def test_an_open_order_is_cancelled_again_once_its_cancel_had_time(state: str) -> None:
    """Before, the cancel may still be at work."""
    assert seen_as(job(since_s=0.4), {"state": state}).act == "stay"
    assert seen_as(job(since_s=0.6), {"state": state}).act == "again"
    assert "was accepted" in seen_open(job(), {}).message
    assert "nothing to cancel" in seen_open(job("gone"), {}).message


def test_the_last_attempts_order_is_only_looked_for() -> None:
    """If it is still open it ends exhausted, for nobody will cancel it any more."""
    found = seen_open(job("exhausted"), {})
    assert (found.act, found.status) == ("end", "exhausted")


@pytest.mark.parametrize("ident", ["cmine", "o7"])
@pytest.mark.parametrize("believed", ["accepted", "gone", "exhausted"])
def test_an_order_that_is_unknown_is_looked_for_once_more(believed: str, ident: str) -> None:
    """It may be on its way in, and an exchange may not see its own book for a while; 2 s later it must be there."""
    first = seen_as(job(believed, 0.1, ident=ident), {})
    assert (first.act, first.looks) == ("stay", 1)
    again = job(believed, 9.0, ident=ident, looks=1)
    assert seen_as(replace(again, unknown_s=1.9), {}).act == "stay"
    assert seen_as(replace(again, unknown_s=2.0), {}).status == "gone"
    assert seen_as(job(believed, 9.0, ident=ident, looks=0), {}).act == "stay"


def test_an_order_that_was_listed_since_is_not_unknown_any_more() -> None:
    """An exchange that does not see its book from time to time: each time is the first."""
    waits = replace(job(since_s=3.0, looks=1), again=5, unknown_s=2.5)
    listed = seen_open(waits, {})
    assert (listed.act, listed.looks) == ("stay", 0)


def test_an_order_that_stays_on_the_book_goes_again_ever_more_slowly() -> None:
    """0.5 s after the first cancel, doubled with each, up to 16 s: a matching engine may be slow for a long time."""
    for again, after_s in ((0, 0.5), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 16), (500, 16)):
        waits = replace(job(since_s=after_s - 0.01), again=again)
        assert seen_open(waits, {}).act == "stay"
        assert seen_open(replace(waits, since_s=after_s), {}).act == "again"


def test_an_accepted_order_that_nobody_knows_is_looked_for_once_more() -> None:
    """It was on the book just now: the reading may lag behind."""
    assert seen_as(job("accepted", 9.0), {}).act == "stay"
    assert seen_as(replace(job("accepted", 9.0, looks=1), unknown_s=2.0), {}).status == "gone"


def test_a_state_nobody_knows_proves_nothing() -> None:
    """A new word of the exchange is no ending."""
    assert seen_as(job(since_s=99), {"state": "frozen"}).act == "stay"
    assert seen_as(job(since_s=99), {"ordId": "7"}).act == "stay"


def test_what_cannot_be_confirmed_in_time_may_be_live() -> None:
    """And says what was believed, and why it could not be confirmed."""
    found = overdue(job(), "503")
    assert (found.act, found.status) == ("end", "exhausted")
    assert "accepted" in found.message
    assert "503" in found.message


def test_the_ordid_of_a_client_id_is_the_one_its_cancel_told() -> None:
    """Which is how one use of a client id is told from another."""
    assert job(ident="cmine").exchange_id == ""
    assert job(ident="cmine", ord_id="9").exchange_id == "9"
    assert job(ident="o7", ord_id="9").exchange_id == "7"


HANDED_IN = Span(1_000_100.0, 1_000_130.0)


def client(believed: str = "gone", since_s: float = 9.0) -> Unconfirmed:
    """A job that knows no ordId, and when it was handed in."""
    return replace(job(believed, since_s, ident="cmine"), handed_in=HANDED_IN)


def row(placed_ms: int, state: str = "live") -> dict[str, str]:
    """What the client id names now."""
    return {"ordId": "77", "clOrdId": "mine", "state": state, "accFillSz": "0", "cTime": str(placed_ms)}


@pytest.mark.parametrize(
    ("placed_ms", "when"),
    [
        (900_000, Placed.BEFORE),
        (1_000_099, Placed.BEFORE),  # placed within this ms
        (1_000_100, Placed.UNCLEAR),
        (1_000_130, Placed.UNCLEAR),
        (1_000_131, Placed.AFTER),
        (9_000_000, Placed.AFTER),
    ],
)
def test_an_order_is_meant_if_it_was_surely_placed_before_its_client_id_was_handed_in(
    placed_ms: int, when: Placed
) -> None:
    """The exchange tells whole ms, and no two clocks are compared more exactly than they are known."""
    assert placed(client(), row(placed_ms)) is when
    assert placed(replace(client(), ord_id="77"), row(placed_ms)) is Placed.BEFORE
    assert placed(job(), row(placed_ms)) is Placed.BEFORE


@pytest.mark.parametrize("told", ["", "soon", "٣", "-1"])
def test_a_time_that_is_not_told_settles_nothing(told: str) -> None:
    """Neither that the order is meant nor that it is another."""
    assert placed(client(), {**row(0), "cTime": told}) is Placed.UNCLEAR
    assert placed(replace(client(), handed_in=None), row(900_000)) is Placed.UNCLEAR


@pytest.mark.parametrize("believed", ["accepted", "gone", "exhausted", "retrying"])
@pytest.mark.parametrize("state", ["live", "partially_filled", "canceled", "filled"])
def test_a_newer_order_of_the_client_id_is_not_touched(believed: str, state: str) -> None:
    """The one that is meant was off the book by then, however it ended."""
    newer = row(1_000_131, state)
    found = [seen_as(client(believed), newer), *([seen_open(client(believed), newer)] if state == "live" else [])]
    for each in found:
        assert (each.act, each.status, each.job.exchange_id) == ("end", "gone", "")
        assert "order 77" in each.message


@pytest.mark.parametrize("believed", ["accepted", "gone", "exhausted", "retrying"])
def test_an_open_order_that_may_be_another_is_not_touched_and_may_be_live(believed: str) -> None:
    """Whoever reads it learns its ordId."""
    for found in (seen_open(client(believed), row(1_000_110)), seen_as(client(believed), row(1_000_110))):
        assert (found.act, found.status, found.job.exchange_id) == ("end", "exhausted", "")
        assert "order 77" in found.message


@pytest.mark.parametrize(
    ("believed", "since_s", "act"),
    [("gone", 9.0, "again"), ("accepted", 0.1, "stay"), ("retrying", 0.0, "again"), ("exhausted", 9.0, "end")],
)
def test_the_order_that_is_meant_is_known_by_its_ordid_from_then_on(believed: str, since_s: float, act: str) -> None:
    """One whose last cancel had no answer goes again at once."""
    found = seen_open(client(believed, since_s), row(900_000))
    assert (found.act, found.job.exchange_id) == (act, "77")
    assert seen_as(client(believed), row(900_000, "filled")).status == "filled"


def test_an_algo_order_that_fired_is_gone_and_said_so() -> None:
    """What it placed is an order of its own."""
    found = seen_as(job("gone"), {"state": "fired", "ordId": "7"})
    assert (found.act, found.status, found.message, found.known) == ("end", "gone", FIRED, True)


def test_one_that_fired_names_what_it_has_placed() -> None:
    """Orders, the order that a stop is linked to, and algo orders; a message names some of many."""
    algo = Unconfirmed("u1:algo/A-B/o7", 1, "gone", 0.0)
    row = {"algoId": "7", "state": "effective", "ordIdList": "1,2,2", "subAlgoIdList": "9", "linkedOrd.ordId": "3"}
    found = seen_as(algo, as_order({**row, "ordId": "1"}))
    assert found.children == ("u1/A-B/o1", "u1/A-B/o2", "u1/A-B/o3", "u1:algo/A-B/o9")
    assert found.message == f"{FIRED}: ordId 1, ordId 2, ordId 3, algoId 9"
    only = as_order({**row, "ordIdList": "", "subAlgoIdList": ",x", "linkedOrd.ordId": "", "ordId": "4"})
    assert seen_as(algo, only).children == ("u1/A-B/o4",)
    many = seen_as(algo, as_order({**row, "ordIdList": ",".join(map(str, range(1, 40)))}))
    assert (len(many.children), many.message.count("ordId")) == (40, 5)
