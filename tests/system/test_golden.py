"""Workers of this release finish what an earlier one left in Redis when it was killed."""

from pathlib import Path

import pytest

from bulk_cancel.worker.operators.audit import Audit
from bulk_cancel.worker.operators.decisions import Asked, Decisions
from tests.support.golden import FOLDER, load, place_at
from tests.support.rig import Rig
from tests.system.chaos.drill import QUICK, quick_exchange

ANN = Asked("ann")
WAITED = ("paused", "accepted", "first", "second", "retrying", "sending", "mass")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_what_a_release_left_is_finished(path: Path) -> None:
    """Orders that waited in every way, one that was given up, a mass cancel; nothing that had ended is touched."""
    with Rig(workers=0, config=quick_exchange(), settings=QUICK) as rig:
        rig.store.redis.flushall()
        load(rig.store.redis, path, place_at(rig.exchange.control))
        batches, decisions = rig.store.batches, Decisions(rig.store)
        ended = {batch: batches.rows(batch) for batch in ("ended", "canceled")}
        assert batches.state("ended").counts == {"canceled": 1, "filled": 1, "gone": 1, "rejected": 1}
        assert {batch: batches.state(batch).waiting > 0 for batch in WAITED} == dict.fromkeys(WAITED, True)
        decided = [entry.event for entry in Audit(rig.store).read()]

        rig.start_workers(1)
        decisions.resume("desk1/ETH-USDT", ANN)
        decisions.retry("given-up", ANN, deadline_s=60)
        rig.wait_for(lambda: batches.state("mass").waiting == 0)
        decisions.withdraw("mass", ANN)  # it would list for a minute
        for batch in (*WAITED, "given-up"):
            assert set(rig.done(batch).counts) == {"canceled"} or batch == "second", batch
        assert set(batches.state("second").counts) <= {"canceled", "gone"}  # the client id was asked for twice

        rejected = [row.ordId for row in ended["ended"] if row.status == "rejected"]
        assert [order.ordId for order in rig.exchange.control.orders(state="live")] == rejected
        assert {batch: batches.rows(batch) for batch in ended} == ended
        assert decided == ["submitted", "submitted", "pause", *["submitted"] * 5, "cancel_all", *["submitted"] * 2]
        assert [entry.batch_id for entry in rig.store.refusals.newest(9)] == ["bad"]
        assert rig.store.redis.zcard(rig.store.keys.of("may_be_live")) == 0
        meters = rig.exchange.control.summary().meters.values()
        assert sum(meter.refusals for meter in meters) == 0
