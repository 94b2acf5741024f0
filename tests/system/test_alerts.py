"""With real workers: are the right people told, and does a broken webhook slow no cancel?"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.desks import cli, hand_in
from tests.support.receiver import Receiver, receiver
from tests.support.rig import Rig, orders

UID = "1001"
HANGS = 0

pytestmark = pytest.mark.timeout(90)


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


def test_a_webhook_that_hangs_slows_nothing(rig: Rig, taker: Receiver) -> None:
    """While an alert hangs, 360 orders of another instrument go in the first instant; `status` tells what is broken."""
    taker.answers.extend([HANGS] * 2)
    order_id = give_up(rig, "stuck")
    facts = told(taker, "order_may_be_live")
    assert (facts["order"], facts["account"], facts["batches"]) == (f"desk1/ETH-USDT/o{order_id}", "desk1", ["stuck"])
    hand_in(rig, "fast", orders("BTC-USDT", rig.exchange.control.place(UID, "BTC-USDT", 360)))
    state = rig.done("fast")
    assert state.completed_at is not None
    assert (state.completed_at - state.created_at).total_seconds() < 2
    rig.wait_for(lambda: "alert webhook" in cli(rig, "status").stdout)
    shown = cli(rig, "status").stdout + cli(rig, "check").stdout
    assert f"alert webhook: http://127.0.0.1:{taker.port}: " in shown
    assert "very-secret" not in shown
    taker.wait(2, timeout_s=20)
    rig.wait_for(lambda: "alert webhook" not in cli(rig, "status").stdout, 20)


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
    assert 5 <= facts["oldest_urgent_s"] < 8
    checked = cli(rig, "check", "--json")
    holds = {point["name"] for point in json.loads(checked.stdout)["points"] if point["level"] == "ACT"}
    assert (checked.returncode, holds) == (1, {"account_paused", "oldest_urgent_s"})
    cli(rig, "resume", "desk1", "--by", "amy")
    rig.done("b")
    assert cli(rig, "check").returncode == 0
