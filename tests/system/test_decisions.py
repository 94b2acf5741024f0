"""Do operators' decisions reach real workers, through their restart, while they send?"""

import signal
from collections import Counter

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.operators.decisions import Asked, Decisions
from bulk_cancel.worker.operators.status import read_snapshot
from bulk_cancel.worker.simulator.log import CANCELS
from bulk_cancel.worker.state.statuses import Again
from tests.support.rig import Rig, orders

UID, INSTRUMENT = "1001", "BTC-USDT-SWAP"
COUNT = 1200
ASKED = Asked("risk-1", "hedging by hand")


def book(rig: Rig) -> Counter[str]:
    """The exchange's orders by state."""
    return Counter(order.state for order in rig.exchange.control.orders())


def cancels(rig: Rig) -> int:
    """How many cancels of orders arrived at the exchange."""
    return sum(len(arrival.ordIds) for arrival in rig.exchange.control.log() if arrival.endpoint in CANCELS)


def held(rig: Rig) -> bool:
    """A worker has found its lane paused, and nothing of it is in flight any more."""
    (lane,) = read_snapshot(rig.store).lanes
    claimed = rig.store.redis.hget(rig.store.keys.of("lane", lane.name), "held")
    return claimed is not None and lane.sending == 0 and lane.rest is not None and lane.rest.paused_by == "risk-1"


def test_paused_in_the_middle_withdrawn_and_retried() -> None:
    """Nothing is sent while it is paused, by a new worker neither; withdrawn orders stay until they are retried."""
    with Rig(workers=1) as rig:
        placed = rig.exchange.control.place(UID, INSTRUMENT, COUNT)
        decisions, asked = Decisions(rig.store), orders(INSTRUMENT, placed)
        rig.store.admission.admit(parse_cancel_orders(account="desk1", batch_id="b", orders=list(asked)))
        rig.wait_for(lambda: book(rig)["canceled"] > 0)
        decisions.pause("desk1", ASKED)
        rig.wait_for(lambda: held(rig))
        before = cancels(rig)
        rig.workers[0].send_signal(signal.SIGKILL)
        rig.start_workers(1)
        done = decisions.withdraw("b", ASKED)
        assert done.withdrawn > 0
        assert rig.done("b").counts["withdrawn"] == done.withdrawn
        assert decisions.retry("b", ASKED, statuses=[Again.WITHDRAWN]).opened == done.withdrawn
        rig.wait_for(lambda: held(rig))
        assert cancels(rig) == before
        decisions.resume("desk1", ASKED)
        assert rig.done("b").counts == {"canceled": COUNT}
        assert book(rig) == {"canceled": COUNT}
        assert all(meter.refusals == 0 for meter in rig.exchange.control.summary().meters.values())
