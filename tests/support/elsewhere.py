"""A runner with other shards, on which an account has left batches as it was moved."""

from collections.abc import Iterable, Mapping

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.state.admission import Admission
from tests.support.lane_rig import LaneRig


def told_elsewhere(rig: LaneRig, batches: Mapping[str, str], keep_s: int = 60) -> None:
    """As `disown` on the other shard tells: by account and batch the shard."""
    rig.scripts.run("note", {"note": "elsewhere", "fields": batches, "alone": False, "keep_s": keep_s})


def of_several(rig: LaneRig, batch_id: str, orders: Iterable[Mapping[str, object]]) -> Receipt:
    """Hands in a batch for account `a1`, as a runner with several shards does."""
    directory = rig.store.directory
    admission = Admission(
        rig.redis, rig.scripts, directory, deadline_s=900, retention_s=600, wait_replicas=0, several=True
    )
    return admission.admit(parse_cancel_orders(account="a1", batch_id=batch_id, orders=orders))
