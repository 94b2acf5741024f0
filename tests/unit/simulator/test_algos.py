"""Do algo orders, spreads, RFQs and bots of the simulated exchange do what the documentation says and leaves open?"""

import pytest

from bulk_cancel.worker.simulator.algos import AlgoBehaviour
from bulk_cancel.worker.simulator.exchange import Exchange
from bulk_cancel.worker.simulator.products import ProductBehaviour
from tests.support.exchange_rig import NOW_US, TRADE, Body, call, exchange, items

UID, INST = "1001", "BTC-USDT-SWAP"
CANCEL, PENDING = TRADE + "cancel-algos", TRADE + "orders-algo-pending"


def place(on: Exchange, ord_type: str = "trigger", count: int = 1, **fields: str) -> list[str]:
    """Algo orders of the default key; their algoIds."""
    listed = on.book.instruments[INST]
    return [on.algos.place(UID, listed, ord_type, NOW_US, fields).algoId for _ in range(count)]


def cancel(on: Exchange, *algo_ids: str, path: str = CANCEL, at_us: int = NOW_US) -> tuple[int, Body]:
    """One request for all of them."""
    return call(on, "POST", path, [{"instId": INST, "algoId": each} for each in algo_ids], at_us=at_us)


def listed(on: Exchange, ord_type: str = "trigger", at_us: int = NOW_US) -> list[str]:
    """What the exchange lists of a type, as algoIds."""
    return [row["algoId"] for row in items(call(on, "GET", f"{PENDING}?ordType={ord_type}", at_us=at_us)[1])]


def told(on: Exchange, algo_id: str, *fields: str) -> list[object]:
    """These fields of what `order-algo` tells of it."""
    row: Body = dict(items(call(on, "GET", f"{TRADE}order-algo?algoId={algo_id}")[1])[0])
    return [row[name] for name in fields]


def open_orders(on: Exchange) -> list[str]:
    """The ordinary orders that are open."""
    return list(on.book.live.get(UID, {}))


def test_algo_orders_are_cancelled_ten_at_a_time_and_twenty_orders_in_a_window() -> None:
    """Eleven in a request are refused; the third ten in a window are too fast."""
    on = exchange()
    algo_ids = place(on, count=31)
    assert cancel(on, *algo_ids[:11])[0] == 400
    assert [cancel(on, *algo_ids[at : at + 10])[0] for at in (0, 10, 20)] == [200, 200, 429]
    assert len(listed(on)) == 11
    assert cancel(on, *algo_ids[20:30], at_us=NOW_US + 2_000_000)[1]["code"] == "0"


def test_each_type_has_its_own_list() -> None:
    """Only TP/SL and OCO may be asked for together; a page begins after an algoId."""
    on = exchange()
    triggers, stops = place(on, count=3), place(on, "conditional")
    assert listed(on) == triggers[::-1]
    assert listed(on, "conditional,oco") == stops
    assert listed(on, f"trigger&after={triggers[1]}") == triggers[:1]
    assert [call(on, "GET", f"{PENDING}{query}")[1]["code"] for query in ("", "?ordType=trigger,oco")] == [
        "50014",
        "51000",
    ]


@pytest.mark.parametrize("said", ["51400", "51412", "0"])
def test_a_trigger_may_fire_while_it_is_cancelled(said: str) -> None:
    """Its child is on the book, whatever the cancel is answered, and `order-algo` names it."""
    on = exchange()
    on.algos.behaviour = AlgoBehaviour(fire_rate=1.0, fire_sCode=said)
    algo_id = place(on)[0]
    assert items(cancel(on, algo_id)[1])[0]["sCode"] == said
    assert told(on, algo_id, "state", "ordIdList") == ["effective", open_orders(on)]
    assert len(open_orders(on)) == 1


def test_a_trigger_may_fire_into_a_chase_order() -> None:
    """`advanceOrdType=chase`: the child is an algo order, with a working order of its own."""
    on = exchange()
    algo_id = place(on, advanceOrdType="chase")[0]
    on.algos.fire(on.algos.all[algo_id], NOW_US)
    assert told(on, algo_id, "ordIdList", "subAlgoIdList") == [[], listed(on, "chase")]
    assert len(open_orders(on)) == 1


@pytest.mark.parametrize("keeps", [False, True])
def test_a_working_order_is_replaced_until_its_parent_is_cancelled(*, keeps: bool) -> None:
    """Whether it goes with its parent is stated nowhere: both can be had."""
    on = exchange()
    on.algos.behaviour = AlgoBehaviour(keeps_child=keeps)
    algo_id = place(on, "twap")[0]
    first = open_orders(on)[0]
    call(on, "POST", TRADE + "cancel-order", {"instId": INST, "ordId": first})
    assert first not in open_orders(on)
    assert len(open_orders(on)) == 1
    cancel(on, algo_id)
    assert len(open_orders(on)) == int(keeps)


def test_a_part_filled_order_leaves_its_stop_when_it_is_cancelled() -> None:
    """One of which nothing was filled leaves none; the delay is the behaviour's."""
    on = exchange()
    on.algos.behaviour = AlgoBehaviour(attached_lag_ms=300)
    for filled in ("0", "0.4"):
        fields = {"accFillSz": filled, "attached": "true"}
        order = on.book.place(UID, on.book.instruments[INST], NOW_US, fields)
        call(on, "POST", TRADE + "cancel-order", {"instId": INST, "ordId": order.ordId})
    later = [
        items(call(on, "GET", f"{PENDING}?ordType=conditional,oco", at_us=NOW_US + at_us)[1]) for at_us in (0, 300_000)
    ]
    assert [[row["reduceOnly"] for row in rows] for rows in later] == [[], ["true"]]


def test_lists_may_be_late() -> None:
    """A change is shown later than it is so."""
    on = exchange()
    on.algos.behaviour = AlgoBehaviour(list_lag_ms=100)
    algo_id = place(on)[0]
    assert [listed(on, at_us=NOW_US + at_us) for at_us in (99_999, 100_000)] == [[], [algo_id]]
    cancel(on, algo_id, at_us=NOW_US + 200_000)
    assert [listed(on, at_us=NOW_US + at_us) for at_us in (299_999, 300_000)] == [[algo_id], []]


def test_triggers_fire_by_themselves() -> None:
    """One after another, in the time that is set."""
    on = exchange()
    on.algos.behaviour = AlgoBehaviour(fire_every_ms=100, child_filled=True)
    place(on, count=2)
    assert [len(listed(on, at_us=NOW_US + at_us)) for at_us in (99_999, 100_000, 200_000)] == [2, 1, 0]
    assert open_orders(on) == []


def test_a_type_may_be_left_to_the_old_endpoint() -> None:
    """`cancel-algos` refuses it, `cancel-advance-algos` takes it; a list may not know a type at all."""
    on = exchange()
    on.algos.behaviour = AlgoBehaviour(refused_types=("twap",), unlisted_types=("iceberg",))
    algo_id = place(on, "twap")[0]
    answers = [cancel(on, algo_id, path=path) for path in (CANCEL, TRADE + "cancel-advance-algos")]
    assert [items(answer)[0]["sCode"] for _, answer in answers] == ["51000", "0"]
    assert call(on, "GET", f"{PENDING}?ordType=iceberg")[1]["code"] == "51000"


def test_all_spreads_rfqs_and_quotes_go_with_one_call() -> None:
    """An empty book of RFQs or quotes is told by a code of its own."""
    on = exchange()
    for kind in ("sprd", "rfq", "quote"):
        on.products.place(UID, kind, "BTC-USDT_BTC-USDT-SWAP", NOW_US)
    ways = {"sprd/mass-cancel": "0", "rfq/cancel-all-rfqs": "70207", "rfq/cancel-all-quotes": "70409"}
    for path, again in ways.items():
        assert [call(on, "POST", f"/api/v5/{path}", {})[1]["code"] for _ in range(2)] == ["0", again]
    assert items(call(on, "GET", "/api/v5/sprd/orders-pending")[1]) == []


def test_a_bot_is_stopped_and_keeps_its_position_or_not() -> None:
    """A contract grid that keeps it stays listed; one that others copy takes only the stop that trades."""
    on = exchange()
    kept, sold, led = (on.products.place(UID, "contract_grid", INST, NOW_US) for _ in range(3))
    led.fields["copyType"] = "1"
    said = [
        {"algoId": bot.id, "algoOrdType": "contract_grid", "stopType": how}
        for bot, how in ((kept, "2"), (sold, "1"), (led, "2"))
    ]
    answer = call(on, "POST", "/api/v5/tradingBot/grid/stop-order-algo", said)[1]
    assert [item["sCode"] for item in items(answer)] == ["0", "0", "51220"]
    assert [(bot.state, bot.traded) for bot in (kept, sold, led)] == [
        ("no_close_position", False),
        ("stopped", True),
        ("running", False),
    ]


def test_a_product_may_not_be_open_to_an_account() -> None:
    """Each call of its group is refused with the code that is set."""
    on = exchange()
    on.products.behaviour = ProductBehaviour(unavailable={"sprd": "50030"})
    assert call(on, "GET", "/api/v5/sprd/orders-pending")[1]["code"] == "50030"
    assert call(on, "GET", "/api/v5/copytrading/current-lead-traders")[1]["code"] == "0"
