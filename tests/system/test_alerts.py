"""With real workers: are the right people told, and does a broken webhook slow no cancel?"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.holds import release
from bulk_cancel.worker.simulator.messages import PlaceAlgos
from tests.support.desks import cli, hand_in
from tests.support.receiver import Receiver, receiver
from tests.support.rig import Rig, orders

UID = "1001"
HANGS = 0


@pytest.fixture
def taker() -> Iterator[Receiver]:
    """Somebody who acts on alerts."""
    with receiver() as running:
        yield running


@pytest.fixture
def rig(taker: Receiver) -> Iterator[Rig]:
    """A worker that tells him, and gives an order up after two attempts."""
    settings = {"ALERT_WEBHOOK_URL": taker.url, "ALERT_WEBHOOK_SECRET": "between-us", "MAX_ATTEMPTS": "2"}
    with Rig(workers=1, settings=settings, redis={"appendonly": "yes"}) as running:
        yield running


def told(taker: Receiver, event: str, holds: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
    """The facts of the first such alert that arrived, waited for."""
    while True:
        for delivery in list(taker.deliveries):
            if delivery.said["event"] == event and holds(delivery.said["facts"]):
                return dict(delivery.said["facts"])
        taker.wait()


def give_up(rig: Rig, batch: str) -> str:
    """An order that the exchange never cancels."""
    (order_id,) = rig.exchange.control.place(UID, "ETH-USDT", 1)
    rig.exchange.control.script(order_id, ["51412"] * 9)
    hand_in(rig, batch, orders("ETH-USDT", [order_id]))
    return order_id


def test_a_hold_is_told_from_its_beginning_to_its_end(rig: Rig, taker: Receiver) -> None:
    """So that whoever trades stops first; and that an order came, with who released it."""
    asked = {"account": "desk1", "batch_id": "h", "hold": True, "until_flat_s": 0.5, "requested_by": "ann"}
    Masses(rig.store).take(parse_cancel_all({**asked, "reason": "halt"}))
    facts = told(taker, "mass_cancel_began")
    assert (facts["batch"], facts["account"], facts["hold"], facts["by"]) == ("h", "desk1", True, "ann")
    assert told(taker, "mass_cancel_flat")["state"] == "running"
    (order_id,) = rig.exchange.control.place(UID, "ETH-USDT", 1)
    rig.exchange.control.script(order_id, ["51403"] * 99)  # it stays so until the release
    assert told(taker, "mass_cancel_not_flat")["batch"] == "h"
    points = json.loads(cli(rig, "check", "--json").stdout)["points"]
    point = next(each for each in points if each["name"] == "mass_cancel_not_flat")
    assert (point["level"], point["text"]) == ("ACT", "h of desk1: on hold, not flat")
    release(rig.store, "h", Asked("bob", "over"))
    facts = told(taker, "mass_cancel_released")
    assert (facts["state"], facts["by"], facts["reason"]) == ("released", "bob", "over")


def test_what_a_mass_cancel_leaves_is_told(rig: Rig, taker: Receiver) -> None:
    """Else whoever hears only that it is flat takes it for the end of all trading."""
    rig.exchange.control.place_algos(PlaceAlgos(UID, "ETH-USDT", "trigger", 2))
    Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "m"}))
    facts = told(taker, "mass_cancel_incomplete")
    assert (facts["batch"], facts["account"], facts["scope"]) == ("m", "desk1", {})
    assert facts["what"] == "2 trigger orders (ETH-USDT 2): they can still place orders"
    assert facts["still_able"] == [{"kind": "trigger", "count": 2, "by_instrument": {"ETH-USDT": 2}}]
    assert (facts["complete"], facts["not_known"]) == (False, {})


def test_a_webhook_that_hangs_slows_nothing(rig: Rig, taker: Receiver) -> None:
    """While an alert hangs, 360 orders of another instrument go; `status` tells what is broken."""
    taker.answers.extend([HANGS] * 9)
    order_id = give_up(rig, "stuck")
    facts = told(taker, "order_may_be_live")
    assert (facts["order"], facts["account"], facts["batches"]) == (f"desk1/ETH-USDT/o{order_id}", "desk1", ["stuck"])
    hand_in(rig, "fast", orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 360)))
    rig.done("fast")
    assert taker.answers  # it still hangs
    shown: list[str] = []

    def is_told() -> bool:
        shown.append(cli(rig, "status").stdout + cli(rig, "check").stdout)
        return f"alert webhook: http://127.0.0.1:{taker.port}: " in shown[-1]

    rig.wait_for(is_told)
    assert "very-secret" not in shown[-1]
    taker.answers.clear()
    rig.wait_for(lambda: "alert webhook" not in cli(rig, "status").stdout)


def test_redis_away_and_back_is_told_while_it_is_away(rig: Rig, taker: Receiver) -> None:
    """The webhook needs no Redis."""
    rig.redis.kill()
    facts = told(taker, "redis_lost")
    assert facts["back"] is False
    rig.redis.start()
    facts = told(taker, "redis_lost", lambda facts: bool(facts["back"]))
    assert facts["away_s"] > 2


def test_a_paused_account_is_told_with_who_and_why(rig: Rig, taker: Receiver) -> None:
    """And urgent work that waits for it; an exit status tells the same."""
    assert cli(rig, "pause", "desk1", "--reason", "audit", "--by", "amy").returncode == 0
    facts = told(taker, "account_paused")
    assert (facts["account"], facts["by"], facts["why"]) == ("desk1", "amy", "audit")
    hand_in(rig, "b", orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 2)), urgent=True)
    facts = told(taker, "oldest_urgent_s")
    assert facts["batches"] == ["b"]
    assert facts["oldest_urgent_s"] >= 5
    checked = cli(rig, "check", "--json")
    holds = {point["name"] for point in json.loads(checked.stdout)["points"] if point["level"] == "ACT"}
    assert (checked.returncode, holds) == (1, {"account_paused", "oldest_urgent_s"})
    cli(rig, "resume", "desk1", "--by", "amy")
    rig.done("b")
    assert cli(rig, "check").returncode == 0
