"""With real workers: does the dead man's switch fire when all of them die, and only then?"""

import time
from collections.abc import Iterator

import pytest

from bulk_cancel.worker.simulator.book import SWITCH, Behaviour
from bulk_cancel.worker.state.switches import Switch, read_switches
from tests.support.rig import Rig

UID, LANE_UID = "1001", "desk1"


def state(rig: Rig) -> Switch | None:
    """What `status` shows of it."""
    return next(iter(read_switches(rig.store.redis, rig.store.keys, [LANE_UID])), None)


def armed(rig: Rig) -> bool:
    """Whether it is."""
    found = state(rig)
    return found is not None and found.armed_until is not None


def calls(rig: Rig) -> int:
    """How often the exchange was told."""
    return sum(1 for _ in rig.exchange.control.log(endpoint="cancel-all-after"))


def live(rig: Rig) -> int:
    """Orders on the book."""
    return rig.exchange.control.summary().live_orders


def scale(rig: Rig, seconds: float) -> None:
    """How long a second of the switch lasts on the exchange from the next refresh on."""
    rig.exchange.control.set_behaviour(Behaviour(switch_scale=seconds))


def refreshed(rig: Rig) -> None:
    """Waits for the next refresh."""
    before = calls(rig)
    rig.wait_for(lambda: calls(rig) > before)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two workers with the setting, five orders of theirs on the book."""
    with Rig(workers=0, settings={"DEAD_MANS_SWITCH_S": "10"}) as running:
        running.exchange.control.place(UID, "BTC-USDT", 5)
        running.start_workers(2)
        running.wait_for(lambda: armed(running))
        running.wait_for(lambda: running.store.redis.zcard(running.store.keys.of("switchers", LANE_UID)) == 2)
        yield running


def test_it_fires_when_all_are_killed(rig: Rig) -> None:
    """Not while one lives: that one takes over in time."""
    found = state(rig)
    assert found is not None
    holder = next(worker for worker in rig.workers if found.holder.endswith(f":{worker.pid}"))
    other = next(worker for worker in rig.workers if worker is not holder)
    holder.kill()
    scale(rig, 0.6)
    refreshed(rig)
    other.kill()
    found = state(rig)
    assert found is not None
    assert found.holder.endswith(f":{other.pid}")
    rig.wait_for(lambda: live(rig) == 0)
    told_us = max(row.at_us for row in rig.exchange.control.log(endpoint="cancel-all-after"))
    assert {order.uTime_us - told_us for order in rig.exchange.control.orders(uid=UID)} == {6_000_000}
    assert {order.cancelSource for order in rig.exchange.control.orders(uid=UID)} == {SWITCH}
    assert rig.exchange.control.summary().refusals == 0


def test_clean_stops_hand_over_and_then_disarm(rig: Rig) -> None:
    """SIGTERM to one: still armed; to the other: off, and no order goes."""
    assert rig.stop_worker(rig.workers[0]) == 0
    assert armed(rig)
    scale(rig, 0.8)
    refreshed(rig)
    assert rig.stop_worker(rig.workers[1]) == 0
    assert not armed(rig)
    ends = time.monotonic() + 8.5
    rig.wait_for(lambda: time.monotonic() > ends)
    assert live(rig) == 5
    assert rig.exchange.control.summary().refusals == 0
