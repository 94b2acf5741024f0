"""Is each order judged by what was said of it, and of it alone?"""

import pytest

from bulk_cancel.worker.okx.answers import Answer, Item
from bulk_cancel.worker.okx.codes import CODES, TIMED_OUT, Code, Scope, Verdict
from bulk_cancel.worker.okx.errors import (
    ClockSkew,
    DeadlinePassed,
    ExchangeError,
    NeverSent,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    Throttled,
    TooLate,
    Unavailable,
)
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.verdicts import Judgement, exchange_ids, judge

ONE = OrderRef("BTC-USDT", "1")
TWO = OrderRef("BTC-USDT", "2")
NAMED = OrderRef("BTC-USDT", None, "mine")


def answer(*items: Item, code: str = "0", msg: str = "") -> Answer:
    """An answer that came with HTTP 200."""
    return Answer(200, code, msg, items)


def verdicts(judgements: tuple[Judgement, ...]) -> list[Verdict]:
    """What was decided of each."""
    return [judgement.verdict for judgement in judgements]


def meant(row: Code, *, whole: bool = False) -> Judgement:
    """What a row of the table says of an order; of our address, only the refusal of a whole call says anything."""
    scope = Scope.ACCOUNT if row.scope is Scope.WORKER else row.scope
    return Judgement(row.verdict, scope, row.slow, row.code, "why", silent=row.code in TIMED_OUT, whole=whole)


def test_every_row_judges_its_item() -> None:
    """An item's sCode gives its row's verdict, scope and slowness, whatever the envelope says."""
    for row in CODES.values():
        (judged,) = judge([ONE], answer(Item("1", "", row.code, "why"), code="1"))
        assert judged == meant(row)


def test_every_row_judges_its_envelope() -> None:
    """Without items the envelope's code is every order's, marked as said of the whole."""
    for row in (row for row in CODES.values() if row.code != "0"):
        judged = judge([ONE, TWO], answer(code=row.code, msg="why"))
        assert judged == (meant(row, whole=True),) * 2


@pytest.mark.parametrize("said", ["51400", "50014"])
def test_an_item_without_a_code_is_told_what_was_said_of_all(said: str) -> None:
    """It may be another order's fault, be there an empty code or none, and beside one that was served."""
    items = (Item("1", "", "", ""), Item("2", "", "0", ""))
    judged = judge([ONE, TWO], answer(*items, code=said))
    assert [(each.code, each.whole) for each in judged] == [(said, True), ("0", False)]


def test_envelope_of_a_single_order_is_about_it() -> None:
    """With one order nobody else can be the cause."""
    (judged,) = judge([ONE], answer(code="51000"))
    assert not judged.whole


def test_items_are_matched_by_id_in_the_order_given() -> None:
    """Position says nothing: ids do, of either kind."""
    said = answer(Item("", "mine", "51400", ""), Item("2", "x", "0", ""), Item("1", "", "50011", ""), code="2")
    assert verdicts(judge([ONE, TWO, NAMED], said)) == [Verdict.RETRY, Verdict.ACCEPTED, Verdict.GONE]


def test_ids_of_different_kinds_do_not_match() -> None:
    """A clOrdId that looks like an ordId is not that order."""
    (one, two) = judge([ONE, OrderRef("BTC-USDT", None, "1")], answer(Item("9", "1", "0", "")))
    assert (one.verdict, two.verdict) == (Verdict.AMBIGUOUS, Verdict.ACCEPTED)


def test_order_missing_from_a_batch_answer_is_ambiguous() -> None:
    """An order that is not answered may have been canceled."""
    assert verdicts(judge([ONE, TWO], answer(Item("1", "", "0", "")))) == [
        Verdict.ACCEPTED,
        Verdict.AMBIGUOUS,
    ]


@pytest.mark.parametrize("code", ["", "0", "1", "2"])
def test_envelope_without_items_and_reason_is_ambiguous(code: str) -> None:
    """`All succeeded` without an item is not yet a word about our orders."""
    assert verdicts(judge([ONE, TWO], answer(code=code))) == [Verdict.AMBIGUOUS] * 2


def test_contradicting_items_are_ambiguous() -> None:
    """Two meanings for one id are none."""
    said = answer(Item("1", "", "0", ""), Item("1", "", "51400", ""))
    assert verdicts(judge([ONE], said)) == [Verdict.AMBIGUOUS]


def test_nameless_item_answers_a_single_order_only() -> None:
    """One item without ids is the order's if there is one order."""
    nameless = answer(Item("", "", "51400", ""), code="1")
    assert verdicts(judge([ONE], nameless)) == [Verdict.GONE]
    assert verdicts(judge([ONE, TWO], nameless)) == [Verdict.AMBIGUOUS] * 2


def test_item_of_another_order_is_not_ours() -> None:
    """A single call answered with another order's id is not understood."""
    assert verdicts(judge([ONE], answer(Item("2", "", "0", "")))) == [Verdict.AMBIGUOUS]


def test_item_without_sCode_takes_the_envelopes_code() -> None:  # noqa: N802
    """The envelope counts where no sCode exists, but its 0 is no acceptance of an item that says nothing."""
    silent = Item("1", "", "", "")
    assert verdicts(judge([ONE], answer(silent, code="51603"))) == [Verdict.GONE]
    assert verdicts(judge([ONE], answer(silent))) == [Verdict.AMBIGUOUS]


def test_the_exchange_id_is_told_of_orders_named_by_a_client_id() -> None:
    """Of no other, and not where the answer names none."""
    said = answer(Item("1", "", "0", ""), Item("9", "mine", "0", ""))
    assert exchange_ids([ONE, NAMED], said) == {NAMED: "9"}
    assert exchange_ids([ONE, TWO], said) == {}
    assert exchange_ids([NAMED], answer(Item("", "mine", "0", ""))) == {}


def test_two_orders_of_one_name_are_not_told_apart() -> None:
    """A client id may be used on two options of one family; which of them an item means, nobody knows."""
    other = OrderRef("ETH-USDT", None, "mine")
    said = answer(Item("8", "mine", "0", ""), Item("9", "mine", "0", ""))
    assert verdicts(judge([NAMED, other], said)) == [Verdict.AMBIGUOUS] * 2
    assert exchange_ids([NAMED, other], said) == {}


def test_what_is_said_alike_is_one_judgement() -> None:
    """Whatever the order of the items."""
    for items in ((Item("1", "", "0", ""), Item("2", "", "0", "")), (Item("2", "", "0", ""), Item("1", "", "0", ""))):
        one, two = judge([ONE, TWO], answer(*items))
        assert one is two


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("Cancellation timed out, retry", Verdict.AMBIGUOUS), ("Order Triggered.", Verdict.REJECTED)],
)
def test_both_meanings_of_51412(text: str, verdict: Verdict) -> None:
    """The text tells a timeout from a triggered order; the code stays as said."""
    (judged,) = judge([ONE], answer(Item("1", "", "51412", text), code="1"))
    assert (judged.verdict, judged.code) == (verdict, "51412")


def test_unknown_code_is_kept() -> None:
    """A code without a row is judged unknown, code and text kept."""
    (judged,) = judge([ONE], answer(Item("1", "", "59999", "new"), code="1"))
    assert judged == Judgement(Verdict.UNKNOWN, Scope.ORDER, slow=False, code="59999", msg="new")


@pytest.mark.parametrize(
    ("error", "verdict", "scope"),
    [
        (NeverSent("refused"), Verdict.RETRY, Scope.ORDER),
        (TooLate("write_by passed"), Verdict.RETRY, Scope.ORDER),
        (OutcomeUnknown("reset"), Verdict.AMBIGUOUS, Scope.ORDER),
        (OutcomeUnknown("bad", code="50026", http_status=500), Verdict.AMBIGUOUS, Scope.ORDER),
        (DeadlinePassed("late"), Verdict.AMBIGUOUS, Scope.ORDER),
        (Throttled(http_status=429), Verdict.RETRY, Scope.LANE),
        (Throttled(code="50011"), Verdict.RETRY, Scope.LANE),
        (Throttled(code="50061"), Verdict.RETRY, Scope.ACCOUNT),
        (Unavailable(http_status=503), Verdict.RETRY, Scope.EXCHANGE),
        (Unavailable(code="50001"), Verdict.RETRY, Scope.EXCHANGE),
        (Unavailable(code="50026"), Verdict.AMBIGUOUS, Scope.EXCHANGE),
        (NotAuthorised(http_status=401), Verdict.CREDENTIALS, Scope.ACCOUNT),
        (NotAuthorised(code="50111"), Verdict.CREDENTIALS, Scope.ACCOUNT),
        (ClockSkew(code="50102"), Verdict.CLOCK, Scope.ORDER),
        (Refused(code="51603"), Verdict.GONE, Scope.ORDER),
        (ExchangeError(), Verdict.UNKNOWN, Scope.ORDER),
    ],
    ids=str,
)
def test_errors_judge_every_order_alike(error: ExchangeError, verdict: Verdict, scope: Scope) -> None:
    """An error is about the whole call; that we were late ourselves says nothing of the exchange."""
    judged = judge([ONE, TWO, NAMED], error)
    assert len(judged) == 3
    assert {(j.verdict, j.scope, j.code, j.msg) for j in judged} == {(verdict, scope, error.code, error.msg)}
    silent = isinstance(error, NeverSent | OutcomeUnknown) and not isinstance(error, TooLate)
    assert {j.silent for j in judged} == {silent}


@pytest.mark.parametrize("code", ["50004", "51054", "51149"])
def test_a_timeout_of_the_exchange_is_as_good_as_no_answer(code: str) -> None:
    """Said of the request or of its order."""
    said = (Answer(400, code, "timed out", ()), answer(Item("1", "", code, "timed out"), code="1"))
    assert [judge([ONE], each)[0].silent for each in said] == [True, True]
    assert not judge([ONE], answer(Item("1", "", "51410", "being cancelled"), code="1"))[0].silent


def test_slow_outage_is_slow() -> None:
    """The row of a refused envelope also says how long it may take."""
    assert [j.slow for j in judge([ONE], Unavailable(code="50005"))] == [True]
