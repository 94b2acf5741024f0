"""Does each order of a batch request get its own verdict, whatever order the answer has and whatever it leaves out?"""

from collections.abc import Iterable

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import ItemCode
from bulk_cancel.worker.simulator.messages import EndOrders, OrderState
from tests.support.rig import Rig, orders

UID = "1001"
UNHEARD = ItemCode("0", missing=True)
DONE_UNHEARD = ItemCode("0", missing=True, takes_effect=True)
REFUSED = ItemCode("51403", "this order type cannot be canceled")


def script(rig: Rig, ids: Iterable[str], code: ItemCode) -> list[str]:
    """What the first cancel of these orders is answered with."""
    scripted = list(ids)
    for order_id in scripted:
        rig.exchange.control.script(order_id, [code])
    return scripted


def status(order: OrderState) -> str:
    """What a row is to say of the order: one that is still live was refused."""
    return "rejected" if order.state == "live" else order.state


def test_an_item_counts_for_its_own_order_and_a_missing_one_is_asked_for_again() -> None:
    """Of a hundred one is refused and one filled already; every answer is shuffled and leaves some orders out."""
    config = Config(behaviour=Behaviour(shuffle_items=True), seed=1)
    with Rig(workers=2, config=config, settings={"CONFIRM": "rest"}) as rig:
        control = rig.exchange.control
        ids = control.place(UID, "BTC-USDT", 100)
        control.end_orders(EndOrders((ids[27],)))
        script(rig, ids[3:4], REFUSED)
        twice = {*script(rig, ids[5::10], UNHEARD), *script(rig, ids[8::10], DONE_UNHEARD)}
        rows = tuple(orders("BTC-USDT", ids))
        rig.store.admission.admit(parse_cancel_orders(account="desk1", batch_id="b", orders=rows))
        assert rig.done("b").counts == {"canceled": 98, "filled": 1, "rejected": 1}
        assert [len(row.ordIds) for row in control.log(endpoint="cancel-batch-orders")][:5] == [20] * 5
        ended, book = rig.store.batches.rows("b"), list(control.orders())
        attempts = {order_id: 2 if order_id in twice else 1 for order_id in ids}
        assert {row.ordId: (row.status, row.attempts) for row in ended} == {
            order.ordId: (status(order), attempts[order.ordId]) for order in book
        }
        assert {order.ordId: order.cancels for order in book} == attempts
        assert {row.ordId: row.sCode for row in ended if row.sCode != "0" and row.ordId not in twice} == {
            ids[3]: "51403",
            ids[27]: "51400",
        }
