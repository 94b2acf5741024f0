"""What proves that an order is off the book?"""

from dataclasses import replace

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
    listed = seen_open(waits)
    assert (listed.act, listed.looks) == ("stay", 0)


def test_an_order_that_stays_on_the_book_goes_again_ever_more_slowly() -> None:
    """0.5 s after the first cancel, doubled with each, up to 16 s: a matching engine may be slow for a long time."""
    for again, after_s in ((0, 0.5), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 16), (500, 16)):
        waits = replace(job(since_s=after_s - 0.01), again=again)
        assert seen_open(waits).act == "stay"
        assert seen_open(replace(waits, since_s=after_s)).act == "again"


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
