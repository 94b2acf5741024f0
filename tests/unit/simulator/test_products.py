"""Do products of the simulated exchange end as the documentation says, and each open question both ways?"""

from typing import Any

import pytest

from bulk_cancel.worker.simulator.exchange import Exchange
from bulk_cancel.worker.simulator.products import ProductBehaviour
from tests.support.exchange_rig import NOW_US, call, exchange, items

UID, SPREAD, OTHER = "1001", "BTC-USDT_BTC-USDT-SWAP", "ETH-USDT_ETH-USDT-SWAP"
V5 = "/api/v5/"


def listed(on: Exchange, path: str, at_ms: int = 0) -> list[str]:
    """The states of what is listed."""
    rows: list[dict[str, Any]] = [
        dict(row) for row in items(call(on, "GET", V5 + path, at_us=NOW_US + at_ms * 1000)[1])
    ]
    return [row["state"] for row in rows]


def post(on: Exchange, path: str, body: object, at_ms: int = 0) -> str:
    """The code of the answer."""
    return str(call(on, "POST", V5 + path, body, at_us=NOW_US + at_ms * 1000)[1]["code"])


def test_a_spread_may_be_named_and_what_is_matched_settles_first() -> None:
    """It stays listed until then; a cancel of it by itself is told so."""
    on = exchange()
    on.products.behaviour = ProductBehaviour(settle_ms=500)
    on.products.place(UID, "sprd", SPREAD, NOW_US)
    on.products.place(UID, "sprd", OTHER, NOW_US)
    settles = on.products.place(UID, "sprd", SPREAD, NOW_US, fields={"pendingSettleSz": "1"})
    assert post(on, "sprd/cancel-order", {"ordId": settles.id}) == "51410"
    assert post(on, "sprd/mass-cancel", {"sprdId": SPREAD}) == "0"
    assert len(listed(on, "sprd/orders-pending")) == 2
    assert len(listed(on, "sprd/orders-pending", 500)) == 1
    assert post(on, "sprd/mass-cancel", {}, 501) == "0"
    assert listed(on, "sprd/orders-pending", 502) == []


@pytest.mark.parametrize(("none_left", "code"), [("refused", "70207"), ("accepted", "0")])
def test_rfqs_of_others_are_listed_and_not_cancelled(none_left: Any, code: str) -> None:  # noqa: ANN401 (a Literal)
    """That none is left is said, or nothing is said of it."""
    on = exchange()
    on.products.behaviour = ProductBehaviour(none_left=none_left)
    on.products.place(UID, "rfq", "", NOW_US)
    on.products.place(UID, "rfq", "", NOW_US, others=True)
    assert [post(on, "rfq/cancel-all-rfqs", {}) for _ in range(2)] == ["0", code]
    assert listed(on, "rfq/rfqs?state=active") == ["active"]


def test_lists_may_show_an_end_late() -> None:
    """What has ended is told to whoever asks for its end again."""
    on = exchange()
    on.products.behaviour = ProductBehaviour(list_lag_ms=300)
    bot = on.products.place(UID, "recurring", "", NOW_US)
    stop, pending = "tradingBot/recurring/stop-order-algo", "tradingBot/recurring/orders-algo-pending"
    assert [post(on, stop, [{"algoId": bot.id}]) for _ in range(2)] == ["0", "1"]
    assert (listed(on, pending, 299), listed(on, pending, 300)) == (["running"], [])


def test_a_grid_that_kept_its_position_may_have_orders_for_a_while() -> None:
    """Its details tell."""
    on = exchange()
    on.products.behaviour = ProductBehaviour(stop_lag_ms=100, sub_orders_ms=200)
    bot = on.products.place(UID, "contract_grid", "BTC-USDT-SWAP", NOW_US)
    body = [{"algoId": bot.id, "instId": "BTC-USDT-SWAP", "algoOrdType": "contract_grid", "stopType": "2"}]
    assert post(on, "tradingBot/grid/stop-order-algo", body) == "0"
    seen = []
    for at_ms in (99, 100, 299, 300):
        asked = f"{V5}tradingBot/grid/orders-algo-details?algoOrdType=contract_grid&algoId={bot.id}"
        row: dict[str, Any] = dict(items(call(on, "GET", asked, at_us=NOW_US + at_ms * 1000)[1])[0])
        seen.append((row["state"], row["activeOrdNum"]))
    kept = "no_close_position"
    assert seen == [("stopping", "0"), (kept, "2"), (kept, "2"), (kept, "0")]
    assert call(on, "GET", f"{V5}tradingBot/grid/orders-algo-details?algoOrdType=grid&algoId={bot.id}")[1]["code"] == (
        "51291"
    )
