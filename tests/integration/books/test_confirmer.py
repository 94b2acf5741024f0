"""Does a look at a book conclude no more than the book told? On a real Redis, with a book of the test's own."""

import pytest

from bulk_cancel.worker.books.confirm import confirmer as module
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import Refused
from bulk_cancel.worker.okx.orders import OrderRef
from tests.support.book_rig import CANCELED, OPEN, FakeBook, confirmer, look
from tests.support.lane_rig import LaneRig, believed, orders

CLIENT: list[dict[str, object]] = [{"instId": "BTC-USDT", "clOrdId": "x1"}]


def answered(rig: LaneRig, rows: list[dict[str, object]], status: str = "accepted", batch: str = "b") -> None:
    """Every cancel of the batch was answered so."""
    rig.submit(batch, rows)
    while rig.places()["ready"]:
        claim = rig.claim(permits=60)
        for call in claim.calls:
            rig.record(claim, call, decided=tuple(believed(job, status) for job in call.jobs))
        if not claim.calls:
            rig.advance(2.1)


def test_a_book_is_not_read_before_it_is_known_to_be_the_users(rig: LaneRig) -> None:
    """With another one's credentials none of our orders would be found, and all taken for gone."""
    answered(rig, orders(2), "gone")
    book = FakeBook()
    looks = confirmer(rig, book)
    looks.look("u1")
    looks._pool.shutdown()
    assert book.calls == []
    assert {row.status for row in rig.batches.rows("b")} == {"accepted"}


def test_an_old_order_of_the_same_client_id_proves_nothing(rig: LaneRig) -> None:
    """The one that is meant may not be seen yet: it is looked for once more, two seconds later."""
    answered(rig, CLIENT, "gone")
    look(rig, FakeBook(lambda _: CANCELED))
    assert rig.row("b").status == "accepted"
    meant = OPEN | {"ordId": "7", "cTime": rig.placed(0.1)}
    rig.advance(2)
    look(rig, FakeBook(lambda _: meant))
    assert rig.row("b").status == "queued"
    assert [job.ref.ordId for job in rig.claim().calls[0].jobs] == ["7"]


def test_what_the_exchange_refuses_to_tell_of_one_order_hides_no_other(rig: LaneRig) -> None:
    """An instrument that is not listed any more, say."""

    def order(ref: OrderRef) -> Row:
        if ref.ordId == "999":
            raise Refused("Instrument ID doesn't exist", code="51001", http_status=200)
        return CANCELED

    answered(rig, [{"instId": "BTC-USDT", "ordId": "999"}], "gone", "refused")
    answered(rig, [{"instId": "BTC-USDT", "clOrdId": f"c{number}"} for number in range(20)], "gone")
    rig.advance(3)
    look(rig, FakeBook(order))
    assert rig.batches.state("b").counts == {"canceled": 20}
    assert rig.row("refused").status == "accepted"


def test_a_history_without_our_orders_is_left_soon(rig: LaneRig) -> None:
    """The exchange has forgotten them; each is asked for by itself."""
    answered(rig, orders(900))
    book = FakeBook(lambda _: CANCELED)
    look(rig, book)
    assert book.calls.count("SPOT") == book.calls.count("MARGIN") == module.BARREN_PAGES
    assert rig.batches.state("b").counts == {"canceled": module.ASKED_PER_LOOK}


def test_lists_that_told_of_algo_orders_are_asked_first(rig: LaneRig) -> None:
    """Of which of twelve lists they are in, their ids say nothing; those that fired name what they have placed."""
    book = FakeBook()
    fired = {"state": "fired", "placed": "77", "ordId": "9"}
    book.history = {
        "twap canceled": [CANCELED | {"ordId": str(number)} for number in range(8, 0, -1)],
        "oco effective": [fired | {"ordId": str(number)} for number in (19, 18, 17)],
    }
    looks = confirmer(rig, book)
    looks._gate.open("u1")
    for first in (1, 5):
        ids = [*range(first, first + 4), *((17, 18, 19) if first == 5 else ())]
        rig.submit(f"b{first}", [{"instId": "BTC-USDT", "algoId": str(ident)} for ident in ids])
        claim = rig.claim(len(ids), "u1:algo/BTC-USDT")
        for call in claim.calls:
            rig.record(claim, call, decided=tuple(map(believed, call.jobs)))
        rig.advance(1)
        book.calls.clear()
        looks._begin("u1:algo")
        assert rig.batches.state(f"b{first}").waiting == 0
        if first == 1:
            assert book.calls[-1] == "twap canceled"
        else:
            assert (book.calls[0], book.calls[-1]) == ("twap canceled", "oco effective")
    assert [row.children for row in rig.batches.rows("b5") if row.children] == [
        ({"instId": "BTC-USDT", "ordId": "77"},)
    ] * 3


def test_margin_orders_have_a_history_of_their_own(rig: LaneRig) -> None:
    """They have their pair's instId; a page tells of a hundred."""
    answered(rig, orders(250))
    book = FakeBook()
    book.history = {"MARGIN": [CANCELED | {"ordId": str(number)} for number in range(250, 0, -1)]}
    look(rig, book)
    assert rig.batches.state("b").counts == {"canceled": 250}
    assert (book.calls.count("MARGIN"), book.calls.count("order")) == (3, 0)


def test_time_in_which_nobody_read_gives_nobody_up(rig: LaneRig) -> None:
    """All workers were away for longer than confirmation may take, and the first reading fails."""
    answered(rig, orders(5))
    rig.advance(400)
    book = FakeBook(lambda _: CANCELED)
    book.down = True
    look(rig, book)
    assert rig.batches.state("b").waiting == 5
    book.down = False
    rig.advance(1)
    look(rig, book)
    assert rig.batches.state("b").counts == {"canceled": 5}


def test_an_order_that_is_listed_is_live_and_not_unconfirmed(rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next cancel would come only after the time for confirming: it comes then, and nobody gives it up."""
    monkeypatch.setattr(Gate, "open_s", lambda *_: 60)
    book = FakeBook()
    book.open = [{"instId": "BTC-USDT", "ordId": "1"}]
    rig.submit("b", orders(1))
    for cancels in range(1, 7):
        claim = rig.claim()
        rig.record(claim, decided=(believed(claim.calls[0].jobs[0]),))
        rig.advance(5.1)
        look(rig, book, confirmer(rig, book, deadline_s=5))
        assert (rig.row("b").status, rig.row("b").attempts) == ("queued", cancels)


def test_an_order_whose_book_nobody_reads_any_more_is_given_up(rig: LaneRig) -> None:
    """Its account was taken from the settings: the batch must not wait for ever."""
    answered(rig, orders(1))
    looks = confirmer(rig, FakeBook(), users={})
    rig.advance(901)
    looks.look("u1")
    assert rig.board.sweep() == []
    rig.advance(601)
    (ended,) = rig.board.sweep()
    assert (rig.row("b").status, ended.message) == ("exhausted", rig.row("b").sMsg)
    assert "nobody reads" in ended.message


def test_a_job_that_is_read_late_is_not_given_up_by_the_way(rig: LaneRig) -> None:
    """Only whose book is silent for so long after the batch's deadline."""
    answered(rig, orders(1))
    rig.advance(901)
    rig.board.sweep()
    look(rig, FakeBook(lambda _: CANCELED))
    rig.advance(601)
    assert rig.board.sweep() == []
    assert rig.row("b").status == "canceled"
