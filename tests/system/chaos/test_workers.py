"""What becomes of the orders when workers are killed, stopped or frozen with work in hand?"""

import random
import signal
import subprocess
import time

from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Network
from tests.support.proxy import Proxy
from tests.support.rig import Rig
from tests.system.chaos.drill import (
    QUICK,
    all_off_book,
    kill,
    lost_claims,
    place,
    quick_exchange,
    resent_without_cause,
    sends,
    sent_after_their_end,
    started,
    submit,
    waiting,
)
from tests.system.chaos.report import Witness

LATE_S = 0.2
"""How much longer each way to Redis takes a slow worker."""


def test_kill_9_of_a_random_worker_every_second(witness: Witness, long: bool) -> None:  # noqa: FBT001
    """Every order ends exactly once; sends per order <= 1 + kills that hit it; the window holds across the kills."""
    kills, count, lanes = (20, 5000, 10) if long else (2, 480, 2)
    config = Config(network=Network(delay_ms=20, jitter_ms=60))
    with Rig(workers=4 if long else 2, config=config, settings={**QUICK, "WINDOW_S": "2"}) as rig:
        dice = random.Random(7)
        submit(rig, "b", place(rig, count, lanes=lanes))
        started(rig, "b")
        for _ in range(kills):
            assert waiting(rig, "b"), "a kill that hits nothing proves nothing"
            victim = dice.choice(rig.workers)
            kill(victim)
            witness.injected().ended()
            rig.workers.remove(victim)
            rig.start_worker()
            time.sleep(1)  # the drill's own rhythm
        rig.done("b", 200)
        witness.judge(rig)
        assert resent_without_cause(rig, "b") == []


def test_sigterm_in_mid_batch(witness: Witness, *, long: bool) -> None:
    """Unsent jobs go back at once, those in flight are recorded, the worker exits; nothing is sent twice."""
    config = quick_exchange(delay_ms=100, jitter_ms=100)
    with Rig(workers=2, config=config, settings=QUICK) as rig:
        submit(rig, "b", place(rig, 1200 if long else 960, lanes=4))
        started(rig, "b")
        witness.injected()
        assert rig.stop_worker(rig.workers[0]) == 0
        witness.ended()
        all_off_book(rig, "b", 40)
        witness.judge(rig)
        assert resent_without_cause(rig, "b") == []
        assert sum(map(lost_claims, rig.store.batches.rows("b"))) == 0


def test_a_frozen_worker_wakes_with_stale_claims(witness: Witness, long: bool) -> None:  # noqa: FBT001
    """Others do its jobs meanwhile; woken it sends nothing stale, and the window holds at arrival."""
    with Proxy() as slow, Rig(workers=0, config=quick_exchange(), settings=QUICK) as rig:
        slow.target = rig.redis.port
        rig.configure(REDIS_URL=f"redis://127.0.0.1:{slow.port}/0", BROKER_URL=rig.redis.url)
        (frozen,) = rig.start_workers(1)
        rig.configure(REDIS_URL=rig.redis.url)
        slow.delay(LATE_S)  # most claims of this worker are on their way when it stops
        submit(rig, "b", place(rig, 900, lanes=4))
        started(rig, "b")
        freeze_with_claims(rig, frozen)
        witness.injected()
        thaw_at = time.monotonic() + (10 if long else 3)
        rig.start_workers(1)
        rig.done("b", 30)
        rig.wait_for(lambda: time.monotonic() >= thaw_at, 10)
        submit(rig, "c", place(rig, 960 if long else 240, lanes=4))
        frozen.send_signal(signal.SIGCONT)
        witness.ended()
        rig.done("c", 30)
        assert frozen.poll() is None
        witness.judge(rig)
        sent, rows = sends(rig), rig.store.batches.rows("b")
        assert sent_after_their_end(rig, "b") == []
        assert any(lost_claims(row) and sent[str(row.ordId)] == 1 for row in rows), "no claim was stale"


def freeze_with_claims(rig: Rig, worker: subprocess.Popen[bytes]) -> None:
    """Stops the only worker with claims in hand of which nothing was sent; if it has none it goes on for a while."""
    for _ in range(10):
        worker.send_signal(signal.SIGSTOP)
        time.sleep(1.5 * LATE_S)  # what it had asked for has reached Redis and the exchange
        if claimed(rig) - sends(rig).keys():
            return
        worker.send_signal(signal.SIGCONT)
        time.sleep(LATE_S)
    raise AssertionError("it never held a claim when it was stopped")


def claimed(rig: Rig) -> set[str]:
    """Orders that some worker has claimed."""
    keys = rig.store.redis.keys(rig.store.keys.of("claimed", "*"))
    return {str(job).rpartition("/o")[2] for key in keys for job in rig.store.redis.zrange(key, 0, -1)}
