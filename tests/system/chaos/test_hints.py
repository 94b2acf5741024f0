"""Are messages only hints? Drains lost, doubled or late, a broker away; and a clock that is set back."""

import time
from collections.abc import Iterator

import pytest

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.store import Store, open_store
from tests.support.rig import Rig
from tests.system.chaos import shim
from tests.system.chaos.drill import (
    QUICK,
    all_off_book,
    longest_pause_s,
    lost_claims,
    place,
    quick_exchange,
    resent_without_cause,
    started,
    submit,
    waiting,
)
from tests.system.chaos.report import Witness


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """Two workers that the test can make lose drains, and that see the clock it sets."""
    with Rig(workers=2, config=quick_exchange(), settings=QUICK, app="tests.system.chaos.shimmed") as running:
        running.store = _skewed(running.store)
        yield running


def _skewed(store: Store) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bulk_cancel.worker.state.store.Scripts", shim.SkewedScripts)
        return open_store(store.settings)


def test_every_drain_lost(
    rig: Rig,
    witness: Witness,
    long: bool,  # noqa: FBT001
    slack: float,
) -> None:
    """Nothing is sent while they are lost; they come again about a second after that ends, by themselves."""
    rig.store.redis.set(shim.DRAIN, "drop")
    witness.injected()
    submit(rig, "lost", place(rig, 480, lanes=4))
    time.sleep(5 if long else 2)
    assert waiting(rig, "lost") == 480
    rig.store.redis.delete(shim.DRAIN)
    witness.ended()
    all_off_book(rig, "lost")
    finding = witness.judge(rig)
    assert finding.resume_s is not None
    assert finding.resume_s < 3 * slack


@pytest.mark.parametrize("mode", ["twice", "late"])
def test_drains_that_come(mode: str, rig: Rig, witness: Witness) -> None:
    """No effect on outcomes: each order is sent once."""
    rig.store.redis.set(shim.DRAIN, mode)
    submit(rig, mode, place(rig, 480, lanes=4))
    all_off_book(rig, mode)
    rig.store.redis.delete(shim.DRAIN)
    witness.injected().judge(rig)
    assert resent_without_cause(rig, mode) == []


def test_redis_clock_stepped_back(rig: Rig, witness: Witness, long: bool) -> None:  # noqa: FBT001
    """By 15 s, in the middle of the work: no stall, the window holds."""
    submit(rig, "back", place(rig, 2400 if long else 1200, lanes=4))
    # every slot of the first window is settled by the old time; one settled later would not show a stall
    rig.wait_for(lambda: waiting(rig, "back") <= rig.store.batches.state("back").size - 4 * 60)
    for step in range(1, 4 if long else 2):
        rig.store.redis.set(shim.OFFSET, -15_000_000 * step)
        witness.injected().ended()
        time.sleep(0.5)
    assert waiting(rig, "back") > 0
    rig.done("back")
    rig.store.redis.delete(shim.OFFSET)
    witness.judge(rig)
    assert resent_without_cause(rig, "back") == []
    assert longest_pause_s(rig, "back") < 12, "it waited for the old time to come again"


@pytest.fixture(scope="module")
def apart() -> Iterator[tuple[Rig, EmbeddedRedis]]:
    """A runner whose broker is a server of its own."""
    with EmbeddedRedis(options={"appendonly": "yes"}) as broker, Rig(workers=0, config=quick_exchange()) as rig:
        rig.configure(**QUICK, BROKER_URL=broker.url)
        rig.start_workers(2)
        yield rig, broker


@pytest.mark.parametrize("fault", ["silent", "away"])
def test_broker_while_work_is_in_the_lanes(fault: str, apart: tuple[Rig, EmbeddedRedis], witness: Witness) -> None:
    """What is claimed is finished, SIGTERM ends within 30 s, the rest follows when the broker is back."""
    rig, broker = apart
    while len(rig.workers) < 2:
        rig.start_workers(1)
    submit(rig, fault, place(rig, 1200, lanes=4))
    started(rig, fault)
    (broker.freeze if fault == "silent" else broker.kill)()
    witness.injected()
    stopped = rig.workers.pop(0)
    try:
        assert rig.stop_worker(stopped, 30) == 0
    finally:
        stopped.kill()
        (broker.thaw if fault == "silent" else broker.start)()
    witness.ended()
    rig.done(fault, 40)
    witness.judge(rig)
    assert resent_without_cause(rig, fault) == []
    assert sum(map(lost_claims, rig.store.batches.rows(fault))) == 0
