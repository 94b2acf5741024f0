"""Does a mass cancel with spreads, RFQs and bots leave nothing that can trade, sell nothing, and say what it left?"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.simulator.faults import Fault
from bulk_cancel.worker.simulator.messages import PlaceAlgos, PlaceOrders, PlaceProducts, ProductKind
from bulk_cancel.worker.simulator.products import ProductBehaviour
from tests.support.json_shapes import misfits
from tests.support.rig import Rig
from tests.system.conftest import All

UID, SWAP, SPREAD = "1001", "BTC-USDT-SWAP", "BTC-USDT_BTC-USDT-SWAP"
WITH = ("--with", "algos,spreads,rfqs,bots", "--bots", "keep-positions")
ENDED = {"canceled", "stopped", "no_close_position"}


@pytest.fixture
def rig(emptied: Rig) -> Iterator[Rig]:
    """Two workers, and nothing at the exchange; nothing traded."""
    yield emptied
    assert not any(each.traded for each in emptied.exchange.control.products())
    emptied.exchange.control.set_product_behaviour(ProductBehaviour())


def put(
    rig: Rig, kind: ProductKind, inst: str = "", count: int = 1, *, others: bool = False, **fields: str
) -> list[str]:
    """Products of desk1; their ids."""
    return rig.exchange.control.place_products(PlaceProducts(UID, kind, inst, count, "", fields, others))


def at_work(rig: Rig) -> Counter[str]:
    """The products that have not ended, by kind; those of others have a mark."""
    left = [each for each in rig.exchange.control.products() if each.state not in ENDED]
    return Counter(each.kind + "'" * each.others for each in left)


def stopped(report: dict[str, Any]) -> dict[str, int]:
    """How many of each kind have ended, of those that there were."""
    return {each["kind"]: each["stopped"] for each in report["products"] if each["stopped"]}


def fill(rig: Rig) -> None:
    """Orders, algo orders, and every product that can be ended."""
    rig.exchange.control.place(UID, SWAP, 20)
    rig.exchange.control.place_orders(PlaceOrders(UID, SWAP, 2, accFillSz="0.5", attached="false"))
    rig.exchange.control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 8))
    put(rig, "sprd", SPREAD, 12)
    put(rig, "sprd", SPREAD, 2, pendingSettleSz="1")
    put(rig, "rfq", count=2)
    put(rig, "quote", clQuoteId="q1")
    put(rig, "grid", "BTC-USDT", 11)
    put(rig, "contract_grid", SWAP, 2)
    put(rig, "spot_dca", "ETH-USDT", 2)
    put(rig, "recurring")


STOPPED = {"spot_grid": 11, "contract_grid": 2, "spot_dca": 2, "recurring_buy": 1, "spread": 14, "rfq": 2, "quote": 1}
OTHERS = Counter({"rfq'": 3, "quote'": 1})


@pytest.mark.parametrize(
    ("behaviour", "marks"),
    [
        (ProductBehaviour(stop_lag_ms=300, settle_ms=700, sub_orders_ms=500), {}),
        (ProductBehaviour(list_lag_ms=400, none_left="accepted"), {"flowType": "x"}),
    ],
    ids=["ending for a while", "shown late, all accepted"],
)
def test_nothing_is_left_that_can_trade(
    rig: Rig, all_: All, behaviour: ProductBehaviour, marks: dict[str, str]
) -> None:
    """Bots keep what they have, spread orders settle, what others sent plays no part; parents go before orders."""
    rig.exchange.control.set_product_behaviour(behaviour)
    fill(rig)
    put(rig, "rfq", count=3, others=True, **marks)
    put(rig, "quote", others=True, clRfqId="r1")
    status, report = all_(*WITH, "--until-flat", "0.3")
    assert (status, report["state"], report["complete"], report["still_able"]) == (0, "flat", True, [])
    assert (at_work(rig), rig.exchange.control.summary().live_orders) == (OTHERS, 0)
    assert stopped(report) == STOPPED
    assert all(each["left"] == [] and each["found"] == each["stopped"] for each in report["products"])
    first = {row.endpoint: row.at_us for row in reversed(list(rig.exchange.control.log()))}
    parents = max(first["grid-stop"], first["cancel-algos"])
    assert parents < first["cancel-batch-orders"]
    assert first["orders-pending"] < first["sprd-mass-cancel"]


def test_once_is_listed_until_nothing_shows(rig: Rig, all_: All) -> None:
    """Without --until-flat, too; only what was asked for is ended."""
    rig.exchange.control.set_product_behaviour(ProductBehaviour(stop_lag_ms=800))
    fill(rig)
    status, report = all_("--with", "spreads,bots", "--bots", "keep-positions")
    assert (status, report["state"], report["complete"]) == (1, "done", False)
    assert stopped(report) == {name: count for name, count in STOPPED.items() if name not in {"rfq", "quote"}}
    assert at_work(rig) == Counter({"rfq": 2, "quote": 1})
    assert {each["kind"] for each in report["still_able"]} == {"rfq", "quote", "trigger", "conditional"}


def test_protective_orders_go_when_no_product_is_left(rig: Rig, all_: All) -> None:
    """A spread order that settles may still open a position, whose stop must not be gone by then."""
    rig.exchange.control.set_product_behaviour(ProductBehaviour(settle_ms=800))
    put(rig, "sprd", SPREAD, pendingSettleSz="1")
    rig.exchange.control.place_algos(PlaceAlgos(UID, SWAP, "conditional", 2, reduceOnly="true"))
    assert all_("--with", "algos,spreads", "--protective", "cancel")[0] == 0
    first = {row.endpoint: row.at_us for row in reversed(list(rig.exchange.control.log()))}
    assert first["cancel-algos"] > first["sprd-mass-cancel"] + 800_000


def test_what_a_machine_must_not_decide_is_left_and_named(rig: Rig, all_: All) -> None:
    """What would sell, close or go on trading: exit 1, and flat all the same."""
    put(rig, "grid", "BTC-USDT", 2)
    put(rig, "grid", "ETH-USDT", copyType="1")
    put(rig, "contract_dca", SWAP)
    put(rig, "contract", SWAP)
    put(rig, "copy")
    status, report = all_("--with", "bots", "--bots", "keep-positions", "--until-flat", "0.2")
    assert (status, report["state"], report["complete"]) == (1, "flat", False)
    assert at_work(rig) == Counter({"grid": 1, "contract_dca": 1, "contract": 1, "copy": 1})
    able = {each["kind"] for each in report["still_able"]}
    assert able == {"spot_grid", "contract_dca", "signal_bot", "copy_trading"}
    (grids,) = [each for each in report["products"] if each["kind"] == "spot_grid"]
    (left,) = grids["left"]
    assert (grids["found"], grids["stopped"], left["instrument"], left["needs_human"]) == (3, 2, "ETH-USDT", True)
    assert not list(rig.exchange.control.log(endpoint="copy-stop"))


def test_rfqs_that_may_be_ours_are_not_believed_gone(rig: Rig, all_: All) -> None:
    """An exchange that accepts for ever, and others' RFQs without a mark: not flat, and it is said why."""
    rig.exchange.control.set_product_behaviour(ProductBehaviour(none_left="accepted"))
    put(rig, "rfq", count=2, others=True)
    status, report = all_("--with", "rfqs", "--deadline", "6")
    assert (status, report["state"], report["complete"]) == (1, "not flat", False)
    (rfqs,) = [each for each in report["products"] if each["kind"] == "rfq"]
    assert (rfqs["stopped"], len(rfqs["left"])) == (0, 2)


def test_an_endpoint_that_hangs_holds_up_no_order(rig: Rig, all_: All) -> None:
    """Orders are cancelled; a list that could not be read makes it go on, and is told of."""
    rig.exchange.control.place(UID, SWAP, 20)
    put(rig, "grid", "BTC-USDT")
    hangs = rig.exchange.control.add_fault(Fault("hang", endpoint="grids", hang_s=60))
    asked = {"account": "desk1", "batch_id": "hangs", "with": ["bots"], "bots": "keep-positions"}
    Masses(rig.store).take(parse_cancel_all(asked))
    rig.wait_for(lambda: rig.store.batches.state("hangs").counts == {"canceled": 20})
    said = ("--with", "bots", "--bots", "keep-positions", "--batch-id", "hangs", "--timeout", "1")
    status, report = all_(*said)
    assert (status, report["outcomes"], report["state"]) == (3, {"canceled": 20}, "running")
    assert at_work(rig) == Counter({"grid": 1})
    rig.exchange.control.remove_fault(hangs)
    rig.wait_for(lambda: not Masses(rig.store).running())
    assert at_work(rig) == Counter()


def test_a_list_that_fails_is_not_known_to_be_empty(rig: Rig, all_: All) -> None:
    """Its orders are cancelled, and its other bots stopped; it is not flat, and why is told."""
    rig.exchange.control.place(UID, SWAP, 3)
    put(rig, "grid", "BTC-USDT")
    rig.exchange.control.add_fault(Fault(status=500, body="", endpoint="recurrings"))
    status, report = all_("--with", "bots", "--bots", "keep-positions", "--deadline", "6")
    rig.exchange.control.remove_fault()
    assert (status, report["state"], report["outcomes"], stopped(report)) == (
        1,
        "not flat",
        {"canceled": 3},
        {"spot_grid": 1},
    )
    assert report["trouble"].startswith("recurring buys: no usable answer")
    assert list(report["not_known"]) == ["recurring_buy"]


def test_a_stop_without_an_answer_is_made_again(rig: Rig, all_: All) -> None:
    """Whether it took effect or not; and products that an account does not have are none."""
    for endpoint in ("grid-stop", "dca-stop", "sprd-mass-cancel", "cancel-all-rfqs"):
        rig.exchange.control.add_fault(Fault("reset", "before", endpoint=endpoint, count=1))
    rig.exchange.control.set_product_behaviour(ProductBehaviour(unavailable={"recurring": "50030", "rfq": "70006"}))
    put(rig, "grid", "BTC-USDT", 2)
    put(rig, "spot_dca", "BTC-USDT")
    put(rig, "sprd", SPREAD)
    status, report = all_(*WITH)
    assert (status, report["complete"], at_work(rig)) == (0, True, Counter())
    assert set(report["not_available"]) == {"rfq", "quote", "recurring_buy"}
    rig.exchange.control.remove_fault()


def test_a_scope_is_kept_to(rig: Rig, all_: All) -> None:
    """Spreads by both legs, bots by their instrument: what is not wholly within is left, and named as able."""
    future = "BTC-USDT-261225"
    put(rig, "sprd", SPREAD)
    inside = put(rig, "sprd", f"{SWAP}_{future}")
    put(rig, "contract_grid", SWAP, instType="SWAP")
    put(rig, "contract_grid", "ETH-USDT-SWAP", instType="SWAP")
    put(rig, "recurring")
    status, report = all_("--with", "bots,spreads", "--bots", "keep-positions", "--inst-family", "BTC-USDT")
    assert (status, stopped(report)) == (1, {"contract_grid": 1, "spread": 1})
    assert at_work(rig) == Counter({"sprd": 1, "contract_grid": 1, "recurring": 1})
    states = {each.id: each.state for each in rig.exchange.control.products()}
    assert states[inside[0]] == "canceled"
    assert {each["kind"] for each in report["still_able"]} == {"spread", "recurring_buy"}


def test_a_pause_holds_products(rig: Rig, all_: All, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the account all of them, of an instrument its bots and spreads; they go when it ends."""
    rig.exchange.control.place(UID, SWAP, 1)
    assert all_()[0] == 0  # a lane that had orders can be paused
    fill(rig)
    assert run(["pause", f"desk1/{SWAP}"]) == 0
    capsys.readouterr()
    assert all_("--with", "spreads,bots", "--bots", "keep-positions", "--timeout", "2")[0] == 3
    rig.wait_for(lambda: not at_work(rig)["grid"])
    left = at_work(rig)
    assert (left["sprd"], left["contract_grid"]) == (14, 2)
    assert run(["resume", f"desk1/{SWAP}"]) == 0
    rig.wait_for(lambda: not Masses(rig.store).running())
    assert at_work(rig) == Counter({"rfq": 2, "quote": 1})


def test_a_dry_run_says_what_would_be_stopped(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """And what would be left; nothing changes."""
    fill(rig)
    put(rig, "contract_dca", SWAP)
    before = at_work(rig)
    capsys.readouterr()
    assert run(["all", "--account", "desk1", *WITH, "--dry-run", "--json"]) == 1
    survey = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert misfits(survey) == []
    assert {each["kind"]: each["count"] for each in survey["would_stop"]} == {**STOPPED}
    assert [each["kind"] for each in survey["still_able"]] == ["contract_dca"]
    assert at_work(rig) == before
    assert run(["all", "--account", "desk1", *WITH, "--dry-run"]) == 1
    assert "14 spread orders (BTC-USDT/BTC-USDT-SWAP 14) would be stopped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--with", "bots"], "--bots: should be 'keep-positions': bots are stopped in no other way"),
        (["--with", "bots", "--bots", "sell"], "--bots: should be 'keep-positions'"),
        (["--bots", "keep-positions"], "--bots: has a meaning only if bots are stopped"),
        (["--with", "rfqs", "--inst-id", SWAP], "--inst-id: rfqs cannot be told apart by it"),
        (["--with", "spreads", "--side", "buy"], "--side: spreads cannot be told apart by it"),
        ([*WITH, "--min-age", "5"], "--min-age: "),
    ],
)
def test_wrong_input_is_told(rig: Rig, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be kept to is refused, and nothing is sent."""
    assert run(["all", "--account", "desk1", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(rig.exchange.control.log())


def test_on_hold_what_comes_is_ended(rig: Rig, all_: All) -> None:
    """It is flat first, stays on, and looks at products beside the orders; its release is the end of it."""
    put(rig, "grid", "BTC-USDT")
    status, report = all_("--with", "spreads,bots,rfqs", "--bots", "keep-positions", "--hold")
    assert (status, report["held_flat"], report["complete"]) == (0, True, True)
    put(rig, "sprd", SPREAD, 2)
    put(rig, "rfq")
    put(rig, "recurring")
    rig.exchange.control.place(UID, SWAP, 1)
    rig.wait_for(lambda: not at_work(rig) and not rig.exchange.control.summary().live_orders)
    masses, batch_id = Masses(rig.store), report["batch_id"]
    every = {"spot_grid": 1, "spread": 2, "rfq": 1, "recurring_buy": 1}

    def stopped() -> dict[str, int]:
        kinds = masses.state(batch_id).products.kinds
        return {name: kind.stopped for name, kind in kinds.items() if kind.found}

    rig.wait_for(lambda: stopped() == every)  # told by the listing after the one that ended them
    rig.wait_for(lambda: masses.state(batch_id).flat)
    assert stopped() == every
    assert run(["release", batch_id]) == 0


@pytest.mark.parametrize("endpoint", ["grid-stop", "sprd-mass-cancel"])
def test_a_worker_that_is_killed_hides_nothing(endpoint: str) -> None:
    """It dies when its stop has arrived and before that is answered: another one goes on, and all is counted."""
    with Rig(workers=1, settings={"HTTP_TIMEOUT_S": "4"}) as rig:
        rig.exchange.control.set_product_behaviour(ProductBehaviour(stop_lag_ms=200))
        fill(rig)
        rig.exchange.control.add_fault(Fault("hang", "after", endpoint=endpoint, count=1, hang_s=60))
        said = {"with": ["spreads", "rfqs", "bots", "algos"], "bots": "keep-positions", "until_flat_s": 0.3}
        masses = Masses(rig.store)
        masses.take(parse_cancel_all({"account": "desk1", "batch_id": "m", **said}))
        rig.wait_for(lambda: any(row.endpoint == endpoint for row in rig.exchange.control.log()))
        rig.workers[0].kill()
        rig.workers[0].wait()
        found = masses.state("m").products
        assert (found.of("spot_grid").found, found.of("spot_grid").stopped) == (11, 0)
        rig.start_worker()
        rig.wait_for(lambda: masses.state("m").ended, 60)
        assert (masses.state("m").state, at_work(rig)) == ("flat", Counter())
        products = masses.state("m").products
        assert {name: kind.stopped for name, kind in products.kinds.items()} == STOPPED
        assert not any(kind.left for kind in products.kinds.values())
        assert rig.exchange.control.summary().refusals == 0
        assert not any(each.traded for each in rig.exchange.control.products())
