"""What do rows of algo orders mean for those who cancel them?"""

import pytest

from bulk_cancel.worker.okx.bodies import read_answer
from bulk_cancel.worker.okx.codes import STOP_CODES, Scope, Verdict
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.sources import ALGO_TYPES, BY_NAME, PARENTS, STOPS, as_order, protects
from bulk_cancel.worker.okx.verdicts import judge, of_algo


@pytest.mark.parametrize(
    ("row", "protective"),
    [
        ({"ordType": "conditional", "reduceOnly": "true"}, True),
        ({"ordType": "oco", "closeFraction": "1"}, True),
        ({"ordType": "move_order_stop", "reduceOnly": "true"}, True),
        ({"ordType": "conditional", "reduceOnly": "false", "closeFraction": ""}, False),
        ({"ordType": "conditional"}, False),
        ({"ordType": "trigger", "reduceOnly": "true"}, False),
        ({"ordType": "limit", "reduceOnly": "true"}, False),
    ],
)
def test_a_stop_protects_if_it_says_that_it_only_reduces(row: dict[str, str], *, protective: bool) -> None:
    """All else counts as able to open a position."""
    assert protects(row) is protective


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("live", "live"), ("pause", "live"), ("partially_effective", "live"), ("canceled", "canceled"),
        ("effective", "fired"), ("order_failed", "fired"), ("partially_failed", "fired"), ("new word", "new word"),
    ],
)  # fmt: skip
def test_an_algo_order_is_told_in_the_words_of_orders(state: str, told: str) -> None:
    """A state without a row stays as it is: nothing is proved by it."""
    row = as_order({"algoId": "7", "algoClOrdId": "c", "state": state, "instId": "A-B", "ordId": "child"})
    assert (row["ordId"], row["clOrdId"], row["state"], row["instId"]) == ("7", "c", told, "A-B")
    assert as_order({}) == {}


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("trigger", "50038"), ("chase", "50038"), ("conditional,oco", "50038"), ("smart_iceberg", "50038"),
        ("iceberg", "50038 51000"), ("lead_trading", "50038"),
        ("spread", "50030 50038 50041 59263 59285 70006"), ("spot_grid", "50030 50038 50041 59263 59285 70006"),
    ],
)  # fmt: skip
def test_what_every_account_has_is_not_said_to_be_missing(name: str, codes: str) -> None:
    """A refusal of algo orders or of the role tells of our key: triggers may rest unseen. Products may not be open."""
    refusals = [*STOP_CODES, "50030", "50101", "50120"]
    assert {code for code in refusals if BY_NAME[name].is_unavailable(code)} == {*codes.split()}


def test_every_type_is_listed_once() -> None:
    """What fires into another type is listed before it."""
    listed = [ord_type for name in (*PARENTS, *STOPS) for ord_type in BY_NAME[name].query["ordType"].split(",")]
    assert sorted(listed) == sorted(ALGO_TYPES)
    assert PARENTS.index("trigger") < PARENTS.index("chase")


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("0", Verdict.ACCEPTED), ("51400", Verdict.GONE), ("51412", Verdict.GONE), ("51416", Verdict.GONE),
        ("51291", Verdict.GONE), ("51293", Verdict.GONE), ("51410", Verdict.PENDING), ("51000", Verdict.REJECTED),
        ("50011", Verdict.RETRY),
    ],
)  # fmt: skip
def test_one_that_fired_has_nothing_left_to_cancel(code: str, verdict: Verdict) -> None:
    """Its answer names it by its own id; the book tells what became of it."""
    body = f'{{"code":"1","msg":"","data":[{{"algoId":"7","ordId":"9","sCode":"{code}","sMsg":"triggered"}}]}}'
    (judged,) = map(of_algo, judge([OrderRef("A-B", "7")], read_answer(200, body.encode())))
    assert (judged.verdict, judged.code) == (verdict, code)
    assert judged.scope is (Scope.LANE if code == "50011" else Scope.ORDER)
