"""Does a mass cancel mean exactly the orders that fit every filter, and never one more?"""

import json
from typing import Any

import pytest

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.mass import CancelAll, may_be, parse_cancel_all
from bulk_cancel.tasks.reading import read_cancel_all
from bulk_cancel.worker.books.mass.scope import KEPT, Scope

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
        (Scope(clOrdId_prefix="mm3"), {"clOrdId": "mm3x1"}, ""),
        (Scope(clOrdId_prefix="mm3"), {"clOrdId": "mm3"}, ""),
        (Scope(clOrdId_prefix="mm3"), {"clOrdId": "MM3x1"}, "clOrdId does not begin with mm3"),
        (Scope(clOrdId_prefix="mm3"), {"clOrdId": "xmm3"}, "clOrdId does not begin with mm3"),
        (Scope(clOrdId_prefix="mm3"), {}, "clOrdId does not begin with mm3"),
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
        ({"clOrdId_prefix": "a-b"}, "clOrdId_prefix: "),
        ({"clOrdId_prefix": "x" * 33}, "clOrdId_prefix: "),
        ({"clOrdId_prefix": 7}, "clOrdId_prefix: "),
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


@pytest.mark.parametrize("name", ["instType", "instFamily", "instId", "side", "tag", "clOrdId_prefix"])
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


def test_algo_orders_are_meant_only_if_asked_for() -> None:
    """Kept in Redis whole; a worker of 1.0, which would cancel orders alone, is not given it."""
    asked = parse_cancel_all({"account": "a", "with": "algos", "protective": "cancel", "instFamily": "BTC-USDT"})
    scope = Scope.of(asked)
    assert scope.asked == {"with": ["algos"], "protective": "cancel", "instFamily": "BTC-USDT"}
    assert Scope.read(json.loads(json.dumps(scope.asked))) == scope
    assert (scope.since, Scope().since, scope.with_algos, Scope().with_algos) == ("1.1", "", True, False)
    assert (scope.for_algos, Scope(instId="A-B").for_algos) == ({}, {"instId": "A-B"})


@pytest.mark.parametrize(
    ("scope", "kept"),
    [(Scope(with_=("algos",)), True), (Scope(with_=("algos",), protective="cancel"), False), (Scope(), False)],
)
def test_protective_ones_stay_unless_it_is_chosen_otherwise(scope: Scope, *, kept: bool) -> None:
    """And what was chosen to stay makes nothing incomplete."""
    stop = {"ordType": "oco", "reduceOnly": "true", "instId": "BTC-USDT", "ordId": "7", "side": "buy"}
    assert (scope.leaves_out(stop, now_ms=0) == KEPT) is kept
    assert scope.leaves_able(stop) is not kept
    assert scope.leaves_out({**stop, "reduceOnly": "false"}, now_ms=0) == ""


NARROWED: list[dict[str, object]] = [
    {"instType": "SWAP"},
    {"instFamily": "A-B"},
    {"instId": "A-B"},
    {"side": "buy"},
    {"tag": "x"},
    {"clOrdId_prefix": "x"},
    {"min_age_s": 5},
]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"with": ["all"]}, "with: should be of algos, spreads, rfqs, bots; not 'all'"),
        ({"with": 7}, "with: should be a list, of algos, spreads"),
        ({"with": "bots"}, "bots: should be 'keep-positions': bots are stopped in no other way"),
        ({"with": "bots", "bots": "sell"}, "bots: should be 'keep-positions'"),
        ({"bots": "keep-positions"}, "bots: has a meaning only if bots are stopped"),
        *(
            ({"with": ["rfqs"], **narrowed}, f"{name}: rfqs cannot be told apart by it")
            for narrowed in NARROWED
            for name in narrowed
        ),
        *(
            ({"with": ["spreads"], **narrowed}, f"{name}: spreads cannot be told apart by it")
            for narrowed in NARROWED[2:]
            for name in narrowed
        ),
        *(
            ({"with": ["bots"], "bots": "keep-positions", **narrowed}, f"{name}: bots cannot be told apart by it")
            for narrowed in NARROWED[3:]
            for name in narrowed
        ),
        ({"protective": "cancel"}, "protective: has a meaning only if algos are cancelled, too"),
        ({"with": "algos", "protective": "no"}, "protective: should be"),
    ],
)
def test_what_cannot_be_done_is_refused(said: dict[str, object], fault: str) -> None:
    """Not accepted and ignored."""
    with pytest.raises(InvalidOrders) as refused:
        parse_cancel_all({"account": "a", **said})
    assert str(refused.value).startswith(fault)


BOTS = {"with_": ("bots", "spreads"), "bots": "keep-positions"}
GRID = {"instId": "BTC-USDT-SWAP", "instType": "SWAP"}


@pytest.mark.parametrize(
    ("name", "row", "narrowed", "stops"),
    [
        ("contract_grid", GRID, {}, True),
        ("contract_grid", GRID, {"instId": "BTC-USDT-SWAP"}, True),
        ("contract_grid", GRID, {"instFamily": "BTC-USDT", "instType": "SWAP"}, True),
        ("contract_grid", GRID, {"instId": "BTC-USDT"}, False),
        ("contract_grid", GRID, {"instType": "FUTURES"}, False),
        ("contract_grid", {**GRID, "instType": "SPOT"}, {"instType": "SWAP"}, False),
        ("spot_grid", {"instId": "BTC-USDT"}, {"instType": "SPOT"}, True),
        ("spot_grid", {"instId": "BTC-USDT"}, {"instFamily": "BTC-USDT"}, False),
        ("recurring_buy", {}, {}, True),
        ("recurring_buy", {}, {"instId": "BTC-USDT"}, False),
        ("spread", {"sprdId": "BTC-USDT_BTC-USDT-SWAP"}, {}, True),
        ("spread", {"sprdId": "BTC-USDT_BTC-USDT-SWAP"}, {"instType": "SWAP"}, False),
        ("spread", {"sprdId": "BTC-USDT-SWAP_BTC-USDT-261225"}, {"instFamily": "BTC-USDT"}, True),
        ("spread", {"sprdId": "BTC-USDT-261225_BTC-USDT-270326"}, {"instType": "FUTURES"}, True),
        ("rfq", {}, {}, False),
        ("signal_bot", GRID, {}, False),
        ("contract_dca", GRID, {}, False),
        ("trigger", GRID, {}, False),
    ],
)
def test_a_product_is_ended_only_if_all_of_it_is_within_the_scope(
    name: str, row: dict[str, str], narrowed: dict[str, Any], *, stops: bool
) -> None:
    """What could place orders outside as well, or does not say where, is left; so is what nobody asked for."""
    assert Scope(**{**BOTS, **narrowed}).stops(name, row) is stops
    assert not Scope(**narrowed).stops(name, row)
    assert not Scope(with_=("algos",), **narrowed).stops(name, row)


def test_what_is_asked_of_bots_is_kept_in_redis() -> None:
    """And as filters are, conflicts with another wish."""
    asked = parse_cancel_all({"account": "a", "with": "bots,rfqs", "bots": "keep-positions"})
    scope = Scope.of(asked)
    assert scope.asked == {"with": ["bots", "rfqs"], "bots": "keep-positions"}
    assert Scope.read(json.loads(json.dumps(scope.asked))) == scope
    assert (scope.since, scope.is_whole) == ("1.1", True)
