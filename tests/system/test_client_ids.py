"""Is a client id that is used again, while its old cancel has no answer, never the death of the newer order?"""

import pytest

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.simulator.client import ControlClient
from bulk_cancel.worker.simulator.faults import Fault
from bulk_cancel.worker.simulator.messages import EndOrders, OrderState, PlaceOrders
from tests.support.rig import Rig

UID = "1001"
CUT, SILENT, ENDED = "CUT-USDT", "SILENT-USDT", "ENDED-USDT"
"""Instruments whose cancels work, but are answered by a closed connection or not at all; whose orders ended before."""

NAMES = {lane: tuple(f"{lane[:3]}{number}" for number in range(40)) for lane in (CUT, SILENT, ENDED)}
ROWS = [{"instId": lane, "clOrdId": name} for lane, names in NAMES.items() for name in names]


def place(control: ControlClient, lane: str, *, age_s: float = 0.0) -> list[str]:
    """An order of each client id."""
    return control.place_orders(PlaceOrders(UID, lane, clOrdIds=NAMES[lane], age_s=age_s))


def known(control: ControlClient, ids: list[str]) -> list[OrderState]:
    """These orders as the exchange knows them."""
    return [order for order in control.orders(uid=UID) if order.ordId in ids]


def hand_in(rig: Rig, batch_id: str) -> None:
    """All client ids."""
    rig.store.admission.admit(parse_cancel_orders(account="desk1", batch_id=batch_id, orders=ROWS))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("confirm", "killed"), [("on", False), ("off", True)], ids=["unanswered", "worker-killed"])
def test_a_client_id_that_is_used_again_is_not_the_death_of_the_newer_order(confirm: str, *, killed: bool) -> None:
    """Each id is handed in three times, and used again once its order is off the book: no newer order is cancelled."""
    with Rig(workers=1, settings={"CONFIRM": confirm, "HTTP_TIMEOUT_S": "1"}) as rig:
        control = rig.exchange.control
        control.list_instruments(list(NAMES))
        old = place(control, CUT, age_s=60) + place(control, SILENT, age_s=60)
        control.end_orders(EndOrders(tuple(place(control, ENDED, age_s=60)), "canceled"))
        control.add_fault(Fault(action="close", when="after", instId=CUT, count=2))
        control.add_fault(Fault(action="hang", when="after", instId=SILENT, count=2))
        for batch in "abc":
            hand_in(rig, batch)
        rig.wait_for(lambda: {order.state for order in known(control, old)} == {"canceled"})
        control.remove_fault()
        newer = [ident for lane in NAMES for ident in place(control, lane)]
        if killed:
            rig.workers[0].kill()
            rig.workers.pop().wait()
            rig.start_workers(1)
        ended = {status for batch in "abc" for status in rig.done(batch, 60).counts}
        assert "gone" in ended
        assert ended <= {"gone", "canceled", "exhausted", *(["accepted"] if confirm == "off" else [])}
        assert {(order.state, order.cancels) for order in known(control, newer)} == {("live", 0)}
