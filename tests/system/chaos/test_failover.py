"""Does the work go on when Sentinel makes another server the primary, and the old one comes back as a replica?"""

import time
from pathlib import Path

from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import NotReplicatedError
from bulk_cancel.worker.state.store import open_store
from tests.support.rig import Rig
from tests.support.waiting import PATIENCE_S
from tests.system.chaos.drill import BLACKOUT_S, QUICK, longest_pause_s, place, quick_exchange, started, submit, waiting
from tests.system.chaos.report import Witness
from tests.system.chaos.sentinels import Trio


def test_sentinel_failover(
    witness: Witness,
    tmp_path: Path,
    long: bool,  # noqa: FBT001
    slack: float,
) -> None:
    """The primary is demoted (long: then the next one is killed, too): workers and producers follow by themselves.

    It refuses writes at once and keeps its connections; Sentinel comes to demote it ten seconds later.
    With WAIT_REPLICAS no batch that was taken is lost.
    """
    settings = {**QUICK, "WAIT_REPLICAS": "1"}
    with (
        Rig(workers=0, config=quick_exchange(), redis={"appendonly": "yes"}, settings=settings) as rig,
        Trio(rig.redis, tmp_path) as trio,
    ):
        rig.configure(REDIS_URL=trio.url)
        rig.store = open_store(rig._settings())
        rig.start_workers(2)
        _submit_until_taken(rig, "b", place(rig, 3000 if long else 900, lanes=4))
        started(rig, "b")
        trio.fail_over()
        witness.injected().ended()
        _submit_until_taken(rig, "c", place(rig, 40, lanes=4))
        if long:
            assert waiting(rig, "b") > 0
            trio.kill_primary()
            witness.injected().ended()
        _done(rig, "b")
        _done(rig, "c")
        assert all(worker.poll() is None for worker in rig.workers)
        finding = witness.judge(rig)
        assert finding.resume_s is not None
        assert finding.resume_s < 15 * slack
        assert longest_pause_s(rig, "b") < 8 + BLACKOUT_S, (
            "it stayed with the old primary until Sentinel came to demote it"
        )


def _submit_until_taken(rig: Rig, batch_id: str, rows: list[dict[str, str]]) -> None:
    """As a producer should: the same batch id again until it was taken."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            submit(rig, batch_id, rows)
        except (RedisError, NotReplicatedError):
            assert time.monotonic() < ends
            time.sleep(0.1)
        else:
            return


def _done(rig: Rig, batch_id: str) -> None:
    rig.wait_for(lambda: _ended(rig, batch_id), 60)


def _ended(rig: Rig, batch_id: str) -> bool:
    try:
        return rig.store.batches.state(batch_id).complete
    except RedisError:
        return False
