"""Does everybody who is asked say what else can place orders, by kind, count and instrument, and end with 1?"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.able import Able, Survey
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.holds import release
from bulk_cancel.worker.simulator.algos import AlgoBehaviour
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Fault
from bulk_cancel.worker.simulator.messages import PlaceAlgos, PlaceOrders, PlaceProducts
from bulk_cancel.worker.simulator.products import ProductBehaviour
from tests.support.json_shapes import misfits
from tests.support.rig import Rig

UID, SWAP = "1001", "BTC-USDT-SWAP"
LISTS = 18
Command = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """Two workers; the TP/SL of a part-filled order is listed half a second after its cancel."""
    with Rig(workers=2, config=Config()) as running:
        running.exchange.control.set_algo_behaviour(AlgoBehaviour(attached_lag_ms=500))
        yield running


@pytest.fixture
def rig(shared: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rig:
    """The shared one, in its environment, with nothing at the exchange."""
    shared.adopt(monkeypatch, tmp_path)
    shared.exchange.control.reset()
    shared.exchange.control.set_product_behaviour(ProductBehaviour())
    return shared


@pytest.fixture
def command(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Command:  # noqa: ARG001 (its environment)
    """Runs a command; its exit status and the objects that it printed, each of the shape that it names."""
    capsys.readouterr()

    def call(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        status = run([*arguments, "--json"])
        printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [misfits(each) for each in printed] == [[]] * len(printed)
        return status, printed

    return call


def fill(rig: Rig) -> None:
    """Ten orders, one of them filled in part with a TP/SL attached; triggers, spread orders and bots."""
    control = rig.exchange.control
    control.place(UID, SWAP, 9)
    control.place_orders(PlaceOrders(UID, SWAP, accFillSz="0.5", attached="true"))
    control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 3))
    control.place_algos(PlaceAlgos(UID, "ETH-USDT", "trigger"))
    control.place_products(PlaceProducts(UID, "sprd", f"BTC-USDT_{SWAP}", 2))
    control.place_products(PlaceProducts(UID, "grid", "BTC-USDT"))
    control.place_products(PlaceProducts(UID, "contract_grid", SWAP, state="no_close_position"))


LEFT = [
    {"kind": "trigger", "count": 4, "by_instrument": {SWAP: 3, "ETH-USDT": 1}},
    {"kind": "spread", "count": 2, "by_instrument": {f"BTC-USDT/{SWAP}": 2}},
    {"kind": "spot_grid", "count": 1, "by_instrument": {"BTC-USDT": 1}},
]
STOP = {"kind": "conditional", "count": 1, "by_instrument": {SWAP: 1}}


@pytest.mark.parametrize("until_flat", [[], ["--until-flat", "0.3"]], ids=["once", "until flat"])
def test_a_mass_cancel_says_what_it_leaves(rig: Rig, command: Command, until_flat: list[str]) -> None:
    """All orders are off the book, and yet it is not complete: the TP/SL that its own cancels placed is named, too."""
    fill(rig)
    status, (said,) = command("all", "--account", "desk1", *until_flat)
    (report,) = said["reports"]
    assert (status, said["succeeded"], report["outcomes"]) == (1, False, {"canceled": 10})
    assert (report["complete"], report["still_able"]) == (False, [STOP, *LEFT])
    assert (report["not_known"], report["not_available"]) == ({}, [])
    status, (again,) = command("status", report["batch_id"])
    assert (status, again["still_able"]) == (1, report["still_able"])


def test_on_hold_what_a_later_order_leaves_is_told_too(rig: Rig) -> None:
    """Every look waits for it: the next one, which would tell of it, is half a minute later."""
    masses = Masses(rig.store)
    (held,) = masses.take(parse_cancel_all({"account": "desk1", "hold": True}))
    rig.wait_for(lambda: masses.state(held.batch_id).survey == Survey())
    rig.exchange.control.place_orders(PlaceOrders(UID, SWAP, accFillSz="0.5", attached="true"))
    rig.wait_for(lambda: rig.store.batches.state(held.batch_id).partly_filled == 1)
    rig.wait_for(lambda: masses.state(held.batch_id).survey == Survey((Able("conditional", 1, {SWAP: 1}),)), 20)
    release(rig.store, held.batch_id, Asked("ann"))
    rig.wait_for(lambda: bool(masses.state(held.batch_id).ended and masses.state(held.batch_id).survey))


def test_a_scope_is_asked_for_what_is_in_it(rig: Rig, command: Command) -> None:
    """What says that it can place nothing there is outside."""
    fill(rig)
    status, (said,) = command("all", "--account", "desk1", "--inst-id", "ETH-USDT")
    (report,) = said["reports"]
    assert (status, report["matched"]) == (1, 0)
    assert report["still_able"] == [{"kind": "trigger", "count": 1, "by_instrument": {"ETH-USDT": 1}}]
    status, (said,) = command("all", "--account", "desk1", "--inst-id", "SOL-USDT")
    assert (status, said["reports"][0]["complete"]) == (0, True)


def test_nothing_else_is_told_and_read_in_few_calls(rig: Rig, command: Command) -> None:
    """One look of eighteen calls, none too fast."""
    rig.exchange.control.place(UID, SWAP, 3)
    status, (said,) = command("all", "--account", "desk1")
    assert (status, said["reports"][0]["complete"]) == (0, True)
    endpoints = [row.endpoint for row in rig.exchange.control.log()]
    lists = [each for each in endpoints if each not in {"orders-pending", "cancel-order", "cancel-batch-orders"}]
    looked = [each for each in lists if each not in {"order", "orders-history", "time"}]
    assert (len(looked), looked.count("orders-algo-pending")) == (LISTS, 7)
    assert rig.exchange.control.summary().refusals == 0


def test_what_is_not_told_is_not_none(rig: Rig, command: Command) -> None:
    """A product that the account does not have is no fault; a list that fails makes it incomplete."""
    rig.exchange.control.set_product_behaviour(ProductBehaviour(unavailable={"sprd": "50030", "copytrading": "59263"}))
    status, (said,) = command("all", "--account", "desk1")
    assert (status, said["reports"][0]["not_available"]) == (0, ["spread", "copy_trading"])
    fault = rig.exchange.control.add_fault(Fault(status=500, body="", endpoint="rfqs"))
    try:
        status, (said,) = command("all", "--account", "desk1")
    finally:
        rig.exchange.control.remove_fault(fault)
    (report,) = said["reports"]
    assert (status, report["complete"], list(report["not_known"])) == (1, False, ["rfq"])
    assert report["still_able"] == []


def test_a_dry_run_says_what_would_be_left(rig: Rig, command: Command) -> None:
    """And ends as the mass cancel would; nothing changes."""
    fill(rig)
    status, (*orders, survey) = command("all", "--account", "desk1", "--dry-run")
    assert (status, len(orders), survey["schema"]) == (1, 10, "survey/1")
    assert survey["still_able"] == LEFT
    assert rig.exchange.control.summary().live_orders == 10


def test_check_and_drill_say_it(rig: Rig, command: Command) -> None:
    """Both are about something else, so that their verdicts do not hang on it."""
    fill(rig)
    _, (said,) = command("check")
    (point,) = [point for point in said["points"] if point["name"] == "can trade"]
    assert (point["level"], f"4 trigger orders ({SWAP} 3, ETH-USDT 1), 2 spread orders" in point["text"]) == (
        "warn",
        True,
    )
    status, (said,) = command("drill", "--account", "desk1", "--yes", "--orders", "3", "--until-flat", "0.3")
    assert (status, said["passed"], said["complete"], said["still_able"]) == (0, True, False, LEFT)
    assert said["mass_cancel"]["complete"] is True
