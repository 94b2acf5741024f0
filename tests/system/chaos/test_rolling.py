"""Tests that workers are replaced by those of another release, one by one and back, while orders are cancelled."""

import sys
import time
from threading import Event, Thread
from typing import Final, Self

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.config.version import release as this_release
from bulk_cancel.worker.simulator.algos import AlgoBehaviour
from bulk_cancel.worker.simulator.client import ControlClient
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.messages import PlaceAlgos
from bulk_cancel.worker.state.fleet import read_workers
from tests.support import released
from tests.support.placing import Placing
from tests.support.rig import Rig, orders
from tests.system.chaos.drill import QUICK, UID, cancels, kill, place, started, submit, waiting
from tests.system.chaos.report import Witness

EVERY_S: Final = 0.2
LONGEST_S: Final = 2.0
"""An urgent order is sent so soon, whatever happens to the worker that has it."""

LOAD: Final = 600
LEAST: Final = 400
"""So many orders are handed in when fewer than these wait: workers are replaced under load, however long that takes."""


NEW: Final = sys.executable
APP: Final = "bulk_cancel.worker"
"""As it is installed: `worker` would be the folder of this checkout."""

ALONE_S: Final = 3.0
"""Workers of the last release have it to themselves for so long: looks, sweeps and claims of theirs pass."""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of the last release's environment."""
    return str(released.install(tmp_path_factory.mktemp("released")).python)


def test_releases_are_rolled_up_and_back_under_load(
    witness: Witness,
    long: bool,  # noqa: FBT001
    old: str,
    slack: float,
) -> None:
    """Nothing is lost, wrong or too fast, no urgent order waits longer than 2 s, and a mass cancel ends flat."""
    settings = {**QUICK, "WINDOW_S": "2", "HTTP_TIMEOUT_S": "0.5"}  # a lost claim ends within `LONGEST_S`
    with Rig(workers=0, config=Config(network=Network(delay_ms=10, jitter_ms=20)), settings=settings) as rig:
        rig.start_workers(2, old, APP)
        traded = rig.exchange.config.instruments[-2]
        with Urgent(rig) as urgent, Load(rig) as load, Placing(rig, every_s=0.1, inst_ids=(traded,)):
            ask_all = {"account": "desk1", "batch_id": "all", "instId": traded, "until_flat_s": 1}
            Masses(rig.store).take(parse_cancel_all(ask_all))
            rig.wait_for(lambda: bool(load.batches))
            started(rig, load.batches[0])
            for release in (NEW, old) * 3 if long else (NEW, old, NEW):
                replace(rig, witness, release)
                assert waiting(rig, load.batches[-1]), "workers were replaced without load"
        for batch in (*load.batches, "all", *urgent.batches):
            rig.done(batch, 200)
        witness.judge(rig, batches=len(load.batches) + 1 + len(urgent.batches))
        assert Masses(rig.store).state("all").state == "flat"
        assert list(rig.exchange.control.orders(state="live")) == []
        assert max(urgent.waits()) <= slack * LONGEST_S, sorted(urgent.waits())[-5:]


def replace(rig: Rig, witness: Witness, release: str) -> None:
    """Both workers by those of this release: one stops when its successor is there, the other is killed before."""
    first, second = rig.workers
    rig.start_workers(1, release, APP)
    assert releases(rig) == {"1.0", this_release()}
    rig.workers.remove(first)
    assert rig.stop_worker(first) == 0
    rig.workers.remove(second)
    kill(second)
    witness.injected().ended()
    rig.start_workers(1, release, APP)


def releases(rig: Rig) -> set[str]:
    """Those of the workers that have reported themselves."""
    return {worker.release for worker in read_workers(rig.store.redis, rig.store.keys)}


class Handing(Thread):
    """Hands in orders every `EVERY_S`, for the length of a block; `batches` are theirs."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig
        self._control = ControlClient(rig.exchange.url)
        self._stopping = Event()
        self.batches: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()
        self._control.close()

    def run(self) -> None:
        """One after the other."""
        while not self._stopping.wait(EVERY_S):
            self._hand_in()

    def _hand_in(self) -> None:
        raise NotImplementedError


class Load(Handing):
    """Batches for four lanes, each when the one before is nearly done."""

    def _hand_in(self) -> None:
        if self.batches and waiting(self._rig, self.batches[-1]) >= LEAST:
            return
        batch, lanes = f"b{len(self.batches)}", self._rig.exchange.config.instruments[:4]
        rows = [row for each in lanes for row in orders(each, self._control.place(UID, each, LOAD // 4))]
        submit(self._rig, batch, rows)
        self.batches.append(batch)


class Urgent(Handing):
    """An urgent order, on a lane of its own."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._inst_id = rig.exchange.config.instruments[-1]
        self._asked_us: dict[str, int] = {}

    def _hand_in(self) -> None:
        (order,) = self._control.place(UID, self._inst_id, 1)
        batch = f"urgent-{order}"
        asked = parse_cancel_orders(account="desk1", batch_id=batch, orders=orders(self._inst_id, [order]), urgent=True)
        self._asked_us[order] = time.time_ns() // 1000
        self._rig.store.admission.admit(asked)
        self.batches.append(batch)

    def waits(self) -> list[float]:
        """Seconds from each order's handing in to its first cancel at the exchange."""
        first: dict[str, int] = {}
        for arrival in cancels(self._rig):
            for order in arrival.ordIds:
                first.setdefault(order, arrival.at_us)
        return [(first[order] - at) / 1e6 for order, at in self._asked_us.items()]


def test_the_last_release_leaves_algo_orders_alone(old: str) -> None:
    """Its workers never send one as an order, nor believe one gone: they wait for a worker of this release."""
    with Rig(workers=0, settings={**QUICK, "WINDOW_S": "2"}) as rig:
        rig.start_workers(2, old)
        (new,) = rig.start_workers(1, NEW)
        control, masses = rig.exchange.control, Masses(rig.store)
        control.set_algo_behaviour(AlgoBehaviour(fire_rate=0.2))
        algos = {*control.place_algos(PlaceAlgos(UID, "BTC-USDT", "trigger", 70))}
        place(rig, 40, lanes=2)
        asked = {"account": "desk1", "batch_id": "m", "with": ["algos"], "until_flat_s": 0.5}
        masses.take(parse_cancel_all(asked))
        rig.wait_for(lambda: {algo.state for algo in control.algos()} > {"live"})
        rig.workers.remove(new)
        kill(new)
        time.sleep(ALONE_S)  # nothing must happen
        left = [algo.algoId for algo in control.algos() if algo.state == "live"]
        assert rig.store.batches.state("m").waiting >= len(left) > 0
        assert not masses.state("m").ended
        rig.start_workers(1, NEW)
        rig.wait_for(lambda: masses.state("m").ended, 60)
        assert (masses.state("m").state, rig.done("m", 60).dead) == ("flat", 0)
        assert "live" not in {algo.state for algo in control.algos()}
        ordinary = [row for row in cancels(rig) if row.endpoint in {"cancel-order", "cancel-batch-orders"}]
        assert not algos & {order for row in ordinary for order in row.ordIds}
        assert control.summary().refusals == 0
