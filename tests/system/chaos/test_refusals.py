"""Does somebody else on our rate meter cost us no more than the windows that he uses?"""

import time
from dataclasses import replace
from itertools import cycle
from typing import Final

from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import Throttled
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.operators.status import read_snapshot
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Fault, too_many
from bulk_cancel.worker.simulator.meters import Limits
from tests.support.desks import HOUSE, cli, hand_in
from tests.support.rig import Rig, orders
from tests.system.chaos.report import Witness

MANY: Final = 100
SPEED: Final = {
    "429": too_many(),
    "429 in plain text": Fault(status=429, body="Too Many Requests", content_type="text/plain"),
    "50011 in 200": too_many(200),
    "sCode 50011": Fault(sCode="50011", sMsg="Too Many Requests"),
    "sCode 50061": Fault(sCode="50061", sMsg="Order rate limit reached"),
}


def test_a_foreign_client_on_our_meters(witness: Witness) -> None:
    """Every refusal, at both levels, is counted and shown; the lane rests and goes on; no attempt is used up."""
    with Rig(workers=2, settings={"MAX_ATTEMPTS": "2"}) as rig:
        lanes = dict(zip(SPEED, rig.exchange.config.instruments, strict=False))
        for name, lane in lanes.items():
            rig.exchange.control.add_fault(replace(SPEED[name], instId=lane, count=2))
            witness.injected()
        rows = [row for lane in lanes.values() for row in orders(lane, rig.exchange.control.place(HOUSE, lane, MANY))]
        hand_in(rig, "b", rows)
        assert rig.done("b").counts == {"canceled": len(rows)}
        assert {row.attempts for row in rig.store.batches.rows("b")} == {1}
        shown = {lane.name: lane.refused for lane in read_snapshot(rig.store).lanes}
        assert shown == {f"desk1/{lane}": 2 for lane in lanes.values()}
        witness.judge(rig)


class Foreign:
    """Another program with the same key, which knows nothing of us; `refused` counts what it was refused."""

    def __init__(self, rig: Rig) -> None:
        self._account = Credentials(
            "foreign", DEFAULT_KEY.key, DEFAULT_KEY.secret, DEFAULT_KEY.passphrase, rig.exchange.url, demo=False
        )
        self._client = OkxClient(timeout_s=5, pool=1)
        self.refused = 0

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def cancel(self, order_id: str) -> None:
        """One single cancel."""
        try:
            self._client.cancel(self._account, OrderRef("BTC-USDT", order_id), write_by=time.monotonic() + 5)
        except Throttled:
            self.refused += 1


def test_a_foreign_client_that_really_uses_our_meter(witness: Witness) -> None:
    """It fills the single meter again and again, until we are refused: we lose nothing but time."""
    settings = {"MAX_ATTEMPTS": "2", "ACCOUNTS__DESK1__ENDPOINTS": "single", "WINDOW_S": "1"}
    with Rig(workers=2, config=Config(limits=Limits(window_ms=1000)), settings=settings) as rig:
        foreign, ours = (rig.exchange.control.place(HOUSE, "BTC-USDT", count) for count in (60, 360))
        stranger = Foreign(rig)
        hand_in(rig, "b", orders("BTC-USDT", ours))
        for order_id in cycle(foreign):
            stranger.cancel(order_id)
            witness.injected()
            if rig.exchange.control.summary().refusals > stranger.refused:
                break
        stranger.close()
        witness.ended()
        assert rig.done("b", 40).counts == {"canceled": len(ours)}
        assert {row.attempts for row in rig.store.batches.rows("b")} == {1}
        refused = rig.exchange.control.summary().refusals
        (lane,) = read_snapshot(rig.store).lanes
        assert 0 < lane.refused == refused - stranger.refused
        assert "429" in cli(rig, "status").stdout
        witness.judge(rig, refusals=refused, foreign=foreign)
