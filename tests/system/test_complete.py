"""Is a mass cancel never called complete that is not: whatever fires, fails or is released at the wrong moment?"""

import json
from typing import Any

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.operators.decisions import Asked, Decisions
from bulk_cancel.worker.operators.holds import release
from bulk_cancel.worker.simulator.faults import Fault
from bulk_cancel.worker.simulator.messages import PlaceAlgos, PlaceOrders, PlaceProducts
from bulk_cancel.worker.simulator.products import ProductBehaviour
from tests.support.rig import Rig
from tests.system.conftest import All

UID, SWAP = "1001", "BTC-USDT-SWAP"


@pytest.fixture
def rig(emptied: Rig) -> Rig:
    """Two workers, and nothing at the exchange."""
    return emptied


def begin(rig: Rig, batch: str, **fields: object) -> None:
    """A mass cancel of desk1, not waited for."""
    asked = {"account": "desk1", "batch_id": batch, **fields}
    Masses(rig.store).take(parse_cancel_all(asked))


def ended(rig: Rig, batch: str) -> None:
    """Returns when its listings are over."""
    rig.wait_for(lambda: Masses(rig.store).state(batch).ended)


def reported(rig: Rig, batch: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """The exit status and the report, once somebody has looked at what is left."""
    masses = Masses(rig.store)
    rig.wait_for(lambda: not masses.awaits_survey(masses.state(batch), rig.store.batches.state(batch)))
    capsys.readouterr()
    status = run(["status", batch, "--json"])
    return status, json.loads(capsys.readouterr().out)


def kinds(report: dict[str, Any]) -> list[str]:
    """What can still trade."""
    return [each["kind"] for each in report["still_able"]]


@pytest.mark.parametrize(
    ("status_code", "body"),
    [
        (500, ""),
        (400, '{"code":"51000","msg":"Parameter ordType error","data":[]}'),
        (200, '{"code":"50030","msg":"No permission to use this API","data":[]}'),
    ],
)
def test_orders_go_while_a_list_of_algo_orders_cannot_be_read(rig: Rig, all_: All, status_code: int, body: str) -> None:
    """It is not known whether any are left, so it is never flat."""
    rig.exchange.control.place(UID, SWAP, 20)
    rig.exchange.control.add_fault(Fault(status=status_code, body=body, endpoint="orders-algo-pending"))
    begin(rig, batch := f"unread-{status_code}", **{"with": ["algos"]})
    rig.wait_for(lambda: rig.store.batches.state(batch).counts == {"canceled": 20})
    rig.wait_for(lambda: bool(Masses(rig.store).state(batch).trouble))
    status, report = all_("--with", "algos", "--batch-id", batch, "--timeout", "1")
    rig.exchange.control.remove_fault()
    assert list(rig.exchange.control.orders(state="live")) == []
    assert (status, report["matched"], report["complete"]) == (3, 20, False)
    assert "chase orders: " in report["trouble"]
    rig.wait_for(lambda: Masses(rig.store).state(report["batch_id"]).ended)


def test_an_order_that_fires_after_the_last_listing_is_told(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The look at what is left comes a second after a part-filled order's end, and reads the orders last."""
    rig.exchange.control.place_orders(PlaceOrders(UID, SWAP, accFillSz="0.5"))
    trigger = rig.exchange.control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 1))
    Decisions(rig.store).pause("desk1", Asked("bob"))  # so that the order ends after the trigger has fired
    begin(rig, "fires")
    ended(rig, "fires")
    rig.exchange.control.fire_algos(trigger)
    Decisions(rig.store).resume("desk1", Asked("bob"))
    status, report = reported(rig, "fires", capsys)
    assert (status, report["complete"], kinds(report)) == (1, False, ["fired_order"])


def test_a_stop_that_fires_before_its_list_is_read_leaves_no_order(rig: Rig, all_: All) -> None:
    """Of a listing in which nothing is open, orders are read before stops and again behind them."""
    stop = rig.exchange.control.place_algos(PlaceAlgos(UID, SWAP, "move_order_stop", 1, reduceOnly="true"))
    hangs = Fault(action="hang", hang_s=1.0, endpoint="orders-pending", when="after", count=1)
    rig.exchange.control.add_fault(hangs)
    begin(rig, "stops", **{"with": ["algos"]})
    rig.wait_for(lambda: bool(list(rig.exchange.control.log(endpoint="orders-pending"))))
    rig.exchange.control.fire_algos(stop)
    status, report = all_("--with", "algos", "--batch-id", "stops")
    assert list(rig.exchange.control.orders(state="live")) == []
    assert (status, report["complete"]) == (0, True)


def test_a_hold_that_was_released_before_it_was_flat_is_not_complete(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing matched, as nothing was ever listed."""
    rig.exchange.control.place(UID, SWAP, 5)
    rig.exchange.control.add_fault(Fault(status=500, body="", endpoint="orders-pending"))
    begin(rig, "held", hold=True)
    rig.wait_for(lambda: bool(Masses(rig.store).state("held").trouble))
    release(rig.store, "held", Asked("bob", "over"))
    rig.exchange.control.remove_fault()
    status, report = reported(rig, "held", capsys)
    assert (status, report["matched"], report["complete"]) == (1, 0, False)


def test_a_look_that_began_before_the_release_is_not_the_last_one(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """What an order leaves that is cancelled meanwhile is told."""
    rig.exchange.control.add_fault(Fault(action="hang", hang_s=2.5, when="after", endpoint="config", count=1))
    begin(rig, "looks", hold=True)
    rig.wait_for(lambda: bool(list(rig.exchange.control.log(endpoint="config"))))
    rig.exchange.control.place_orders(PlaceOrders(UID, SWAP, accFillSz="0.5", attached="true"))
    rig.wait_for(lambda: rig.store.batches.state("looks").counts.get("canceled") == 1)
    release(rig.store, "looks", Asked("bob", "over"))
    status, report = reported(rig, "looks", capsys)
    assert (status, report["complete"], kinds(report)) == (1, False, ["conditional"])


def test_what_goes_again_is_looked_at_again(rig: Rig, all_: All, capsys: pytest.CaptureFixture[str]) -> None:
    """Its TP/SL is placed when it is cancelled at last."""
    (order,) = rig.exchange.control.place_orders(PlaceOrders(UID, SWAP, accFillSz="0.5", attached="true"))
    rig.exchange.control.script(order, ["51403"])
    assert all_("--batch-id", "again")[0] == 1
    assert run(["retry", "again", "--by", "bob", "--reason", "it is open"]) == 0
    rig.done("again")
    status, report = reported(rig, "again", capsys)
    assert (status, report["complete"], kinds(report)) == (1, False, ["conditional"])


def test_products_are_not_gone_because_their_list_is_refused(rig: Rig, all_: All) -> None:
    """They were listed before, and asked to end."""
    control = rig.exchange.control
    control.set_product_behaviour(ProductBehaviour(stop_lag_ms=60_000))
    control.place_products(PlaceProducts(UID, "sprd", f"BTC-USDT_{SWAP}", 3))
    begin(rig, "refused", **{"with": ["spreads"], "until_flat_s": 0.5})
    rig.wait_for(lambda: Masses(rig.store).state("refused").products.open == 3)
    control.set_product_behaviour(ProductBehaviour(stop_lag_ms=60_000, unavailable={"sprd": "50030"}))
    status, report = all_("--with", "spreads", "--until-flat", "0.5", "--batch-id", "refused", "--timeout", "4")
    control.set_product_behaviour(ProductBehaviour())
    assert (status, report["complete"], report["products"][0]["stopped"]) == (3, False, 0)
