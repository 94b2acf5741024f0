"""What proves that an order is off the book?"""

import pytest

from bulk_cancel.worker.books.confirm.proof import Unconfirmed, overdue, seen_as, seen_open


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
    assert "was accepted" in seen_open(job()).message
    assert "nothing to cancel" in seen_open(job("gone")).message


def test_the_last_attempts_order_is_only_looked_for() -> None:
    """If it is still open it ends exhausted, for nobody will cancel it any more."""
    found = seen_open(job("exhausted"))
    assert (found.act, found.status) == ("end", "exhausted")


def test_an_order_id_unknown_to_cancel_and_reading_is_gone() -> None:
    """Two statements of the exchange, of an id that it has given out."""
    assert seen_as(job("gone", 0.1), {}).status == "gone"


@pytest.mark.parametrize("believed", ["accepted", "gone", "exhausted"])
def test_an_order_that_may_be_on_its_way_is_looked_for_once_more(believed: str) -> None:
    """A client id is taken before its order is on the book; two seconds later it must be there."""
    first = seen_as(job(believed, 0.1, ident="cmine"), {})
    assert (first.act, first.looks) == ("stay", 1)
    assert seen_as(job(believed, 1.9, ident="cmine", looks=1), {}).act == "stay"
    assert seen_as(job(believed, 2.0, ident="cmine", looks=1), {}).status == "gone"
    assert seen_as(job(believed, 9.0, ident="cmine", looks=0), {}).act == "stay"


def test_an_accepted_order_that_nobody_knows_is_looked_for_once_more() -> None:
    """It was on the book just now: the reading may lag behind."""
    assert seen_as(job("accepted", 9.0), {}).act == "stay"
    assert seen_as(job("accepted", 9.0, looks=1), {}).status == "gone"


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
