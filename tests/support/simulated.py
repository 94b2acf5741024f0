"""The simulated exchange of tests whose coverage is measured."""

import subprocess
from contextlib import suppress
from types import TracebackType

from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.waiting import PATIENCE_S


def calmed(exchange: Simulator) -> Simulator:
    """The simulator as new, whatever the test before did: no orders, faults, arrivals, delays, limits or channels."""
    control = exchange.control
    control.drop_channels()
    control.hold_channels(0)
    control.lose_pushes(0)
    control.reset()
    control.put_account(DEFAULT_KEY)
    control.set_network(Network())
    control.set_behaviour(Behaviour())
    control.set_limits(Limits())
    control.set_clock_offset(0)
    return exchange


class EndingSimulator(Simulator):
    """A simulator that is asked to end, and killed only if it does not: a killed process keeps no coverage."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        super().__exit__(kind, error, trace)
