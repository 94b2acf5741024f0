"""How a runner may stand at one moment, for tests of what shows it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.operators.status import Lane, Snapshot
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.fleet import Worker
from bulk_cancel.worker.state.rests import Rest

AT = datetime(2026, 2, 26, 10, 0, 0, 123456, tzinfo=UTC)


def snapshot(*, lanes: int = 1, batches: int = 1, workers: int = 1, rests: Sequence[Rest] = ()) -> Snapshot:
    """At `AT`, with so many of each; a lane of which one of `rests` tells rests."""
    own = {rest.scope: rest for rest in rests}
    return Snapshot(
        at=AT,
        lanes=[_lane(name, own.get(f"lane:{name}")) for name in (f"7/COIN{number}-USDT" for number in range(lanes))],
        rests=list(rests),
        workers=[Worker(f"w{number}:1", 0, 3, 64, AT, {}) for number in range(workers)],
        batches=[batch(f"batch{number}") for number in range(batches)],
        batches_waiting=batches,
        refused=0,
    )


def batch(name: str = "b1", *, reason: str = "limit") -> BatchState:
    """Three of its four orders have ended, one of them rejected; 843 s are left."""
    return BatchState(
        batch_id=name, account="desk1", size=4, waiting=1, sealed=True, urgent=False,
        counts={"canceled": 2, "rejected": 1}, created_at=AT, deadline_at=AT + timedelta(seconds=843),
        completed_at=None, reason=reason, requested_by="", labels={},
    )  # fmt: skip


def _lane(name: str, rest: Rest | None) -> Lane:
    return Lane(name, 1, 0, 0, 60, 300, Limits(60, 300), 360, 0, {"accepted": 5}, rest)
