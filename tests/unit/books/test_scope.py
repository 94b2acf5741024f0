"""Does a mass cancel mean exactly the orders that fit every filter, and never one more?"""

import pytest

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.mass import CancelAll, may_be, parse_cancel_all
from bulk_cancel.tasks.reading import read_cancel_all
from bulk_cancel.worker.books.mass.scope import Scope

NOW_MS = 1_700_000_060_000.0
ROW = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": "7", "side": "sell", "tag": "mm3", "cTime": "1700000000000",
}  # fmt: skip


def why(scope: Scope, **row: str) -> str:
    """Why the row, changed so, is left out."""
    return scope.leaves_out({**ROW, **row}, now_ms=NOW_MS)


def test_no_filter_means_every_order() -> None:
    """Whatever it is."""
    assert why(Scope()) == ""
    assert Scope().asked == {}


@pytest.mark.parametrize(
    ("scope", "row", "words"),
    [
        (Scope(side="sell"), {}, ""),
        (Scope(side="buy"), {}, "side is not buy"),
        (Scope(side="sell"), {"side": ""}, "side is not sell"),
        (Scope(tag="mm3"), {}, ""),
        (Scope(tag="MM3"), {}, "tag is not MM3"),
        (Scope(min_age_s=60), {}, ""),
        (Scope(min_age_s=60.001), {}, "younger than 60.001 s"),
        (Scope(min_age_s=1), {"cTime": ""}, "its age is not told"),
        (Scope(min_age_s=1), {"cTime": "soon"}, "its age is not told"),
        (Scope(instFamily="BTC-USDT"), {}, ""),
        (Scope(instFamily="BTC-USD"), {}, "instFamily is not BTC-USD, although the exchange listed it"),
        (Scope(instFamily="BTC-USDT"), {"instId": "BTC-USDT"}, "instFamily is not BTC-USDT, although"),
        (Scope(instFamily="X-Y"), {"instFamily": "X-Y"}, ""),
        (Scope(instType="SPOT"), {}, "instType is not SPOT, although the exchange listed it"),
        (Scope(instId="BTC-USDT-SWAP"), {}, ""),
        (Scope(instId="BTC-USDT"), {}, "instId is not BTC-USDT, although the exchange listed it"),
        (Scope(), {"instId": "BTC-USDT_BTC-USDT-SWAP"}, "its id cannot be read"),
        (Scope(), {"ordId": ""}, "its id cannot be read"),
    ],
)
def test_an_order_is_meant_only_if_it_fits(scope: Scope, row: dict[str, str], words: str) -> None:
    """What the exchange should have applied is checked; what the row does not say, it does not fit."""
    found = why(scope, **row)
    assert found.startswith(words)
    assert bool(found) is bool(words)


def test_who_applies_what() -> None:
    """The report tells the one from the other."""
    scope = Scope.of(CancelAll(account="a", instType="SWAP", instFamily="btc-usdt", side="buy", min_age_s=5))
    assert scope.by_exchange == {"instType": "SWAP", "instFamily": "BTC-USDT"}
    assert scope.by_us == {"side": "buy", "min_age_s": 5}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"instType": "SPOT", "instFamily": "BTC-USDT"}, "instFamily has no meaning for SPOT"),
        ({"instType": "SPOT", "instId": "BTC-USDT-SWAP"}, "instId BTC-USDT-SWAP is no SPOT"),
        ({"instFamily": "BTC-USD", "instId": "BTC-USDT-SWAP"}, "is not of instFamily BTC-USD"),
        ({"side": "long"}, "side: "),
        ({"tag": "a b"}, "tag: "),
        ({"min_age_s": -1}, "min_age_s: "),
        ({"min_age_s": float("nan")}, "min_age_s: "),
        ({"until_flat_s": 0}, "until_flat_s: "),
        ({"account": "a b"}, "account: "),
        ({"symbol": "BTC"}, "symbol: is no field"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, object], words: str) -> None:
    """Filters that contradict each other would match nothing and look flat; an unknown one would widen the scope."""
    with pytest.raises(InvalidOrders, match=words):
        parse_cancel_all({"account": "a", **said})


@pytest.mark.parametrize("name", ["instType", "instFamily", "instId", "side", "tag"])
def test_an_empty_filter_is_no_absent_one(name: str) -> None:
    """A producer whose variable was empty must not cancel everything."""
    message, (refusal,) = read_cancel_all([], {"account": "a", name: "", "reason": ""}, message_id="m1")
    assert message is None
    assert refusal.errors[0].startswith(f"{name}: ")


def test_all_accounts_have_a_name_of_their_own() -> None:
    """And a mass cancel is urgent unless somebody says otherwise."""
    asked = parse_cancel_all({"account": "*", "reason": None})
    assert (asked.account, asked.urgent) == ("*", True)
    assert not parse_cancel_all({"account": "DESK1", "urgent": False}).urgent


@pytest.mark.parametrize(
    ("inst_id", "types"),
    [
        ("BTC-USDT", {"SPOT", "MARGIN"}),
        ("BTC-USDT-SWAP", {"SWAP"}),
        ("BTC-USD-250808", {"FUTURES", "EVENTS"}),
        ("BTC-USD-191227-12500-C", {"OPTION"}),
        ("BTC-ABOVE-DAILY-260224-1600-65000", {"FUTURES", "EVENTS"}),
    ],
)
def test_the_type_that_an_id_can_have(inst_id: str, types: set[str]) -> None:
    """By its shape alone; where that is not sure, both are taken."""
    every = {"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"}
    assert {kind for kind in every if may_be(inst_id, kind)} == types
