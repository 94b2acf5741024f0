"""The simulated exchange of tests whose coverage is measured."""

import subprocess
from contextlib import suppress
from types import TracebackType

from bulk_cancel.worker.simulator.process import Simulator

ENDS_S = 5.0


class EndingSimulator(Simulator):
    """A simulator that is asked to end, and killed only if it does not: a killed process keeps no coverage."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_S)
        super().__exit__(kind, error, trace)
