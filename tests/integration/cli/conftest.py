"""What the tests of the command line share: a simulated exchange."""

from collections.abc import Iterator

import pytest

from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.process import Simulator


@pytest.fixture(scope="module")
def exchange() -> Iterator[Simulator]:
    """One simulator for the tests of a module."""
    with Simulator(Config()) as simulator:
        yield simulator
