"""Does a call find its connection open, as many as there may be calls under way?"""

import requests

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.config.users import fingerprint, users_of
from bulk_cancel.worker.simulator.faults import Fault
from tests.support.rig import Rig, orders
from tests.support.waiting import PATIENCE_S

UID = "1001"
PERMITS = 32


def know_uid(rig: Rig) -> None:
    """As if a worker had asked for it before: one that starts now opens connections for nothing but to keep them."""
    (user,) = users_of(rig.store.settings).values()
    rig.store.redis.hset(rig.store.keys.of("identity"), fingerprint(user.accounts[0]), UID)


def fresh_connection(rig: Rig) -> int:
    """The number of a connection that is made now; the simulator counts them as it accepts them."""
    requests.get(rig.exchange.url + "/api/v5/public/time", timeout=PATIENCE_S).raise_for_status()
    (row,) = rig.exchange.control.log()
    return row.connection


def test_each_permit_has_its_connection_before_the_first_order() -> None:
    """As many calls at once as there are permits, none of them over a connection made for it."""
    settings = {"HTTP_CONCURRENCY": str(PERMITS), "HTTP_TIMEOUT_S": "6", "ACCOUNTS__DESK1__ENDPOINTS": "single"}
    with Rig(workers=0, settings=settings) as rig:
        control = rig.exchange.control
        know_uid(rig)
        rig.start_workers(1)
        rig.wait_for(lambda: control.summary().connections == PERMITS)
        fresh = fresh_connection(rig)
        control.add_fault(Fault(action="hang", when="after", endpoint="cancel-order"))
        rows = tuple(orders("BTC-USDT", control.place(UID, "BTC-USDT", PERMITS)))
        rig.store.admission.admit(parse_cancel_orders(account="desk1", batch_id="b", orders=rows))
        rig.wait_for(lambda: control.summary().cancels_per_order == {1: PERMITS})
        control.release()
        assert rig.done("b").counts == {"canceled": PERMITS}
        used = {row.connection for row in control.log(endpoint="cancel-order")}
        assert len(used) == PERMITS
        assert max(used) < fresh
