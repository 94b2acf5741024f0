"""Which orders contradict a listing that shows none, and which do not?"""

import json

import pytest

from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.told import KEPT_S, SETTLE_US, Told, contradicting, in_words

S = 1_000_000
SINCE = 100 * S
BUY = {"instType": "SPOT", "instId": "BTC-USDT", "ordId": "1", "side": "buy", "cTime": "1000"}
SELL = BUY | {"ordId": "2", "side": "sell"}


def found(told: Told | None, scope: Scope = Scope(), *, now_us: int = SINCE + 3 * S, now_ms: float = 0.0) -> list[str]:  # noqa: B008
    """The ordIds that contradict."""
    rows = contradicting(told, scope, since_us=SINCE, now_us=now_us, now_ms=now_ms)
    return [row["ordId"] for row in rows]


def test_what_was_told_of_after_the_scope_seemed_empty_contradicts() -> None:
    """As the verb writes it."""
    told = Told.read(json.dumps({"at": SINCE + 2 * S, "orders": [BUY, SELL]}))
    assert found(told) == ["1", "2"]


def test_what_is_out_of_scope_does_not() -> None:
    """By every filter that a listing's rows go by."""
    told = Told(SINCE + 2 * S, (BUY, SELL))
    assert found(told, Scope(side="sell")) == ["2"]
    assert found(told, Scope(instId="ETH-USDT")) == []
    assert found(told, Scope(instType="SWAP")) == []
    assert found(told, Scope(min_age_s=60), now_ms=60_999) == []
    assert found(told, Scope(min_age_s=60), now_ms=61_000) == ["1", "2"]


@pytest.mark.parametrize(
    "told",
    [
        None,
        Told(SINCE + SETTLE_US - 1, (BUY,)),
        Told(SINCE - S, (BUY,)),
        Told(SINCE + 3 * S - round(KEPT_S * S) - 1, (BUY,)),
        Told(SINCE + 2 * S, ()),
    ],
)
def test_nothing_known_is_nothing_said(told: Told | None) -> None:
    """Nobody listens, what was told of may have ended since, or nobody has renewed it."""
    assert found(told) == []


def test_a_listener_that_is_gone_says_nothing() -> None:
    """However long the scope has been empty by its listings."""
    told = Told(SINCE + 2 * S, (BUY,))
    assert found(told, now_us=told.at_us + round(KEPT_S * S)) == ["1"]
    assert found(told, now_us=told.at_us + round(KEPT_S * S) + 1) == []


def test_a_report_names_a_few() -> None:
    """And counts the others."""
    assert "told of 1, 2, 3 as open" in in_words(["1", "2", "3"])
    assert "told of 1, 2, 3 and 1,000 more as open" in in_words([str(n) for n in range(1, 1004)])
