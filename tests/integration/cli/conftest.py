"""What the tests of the command line share: a desk at a simulated exchange."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.cli_desk import Desk, set_environment


@pytest.fixture
def exchange_desk(
    redis_url: str,
    exchange: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """A desk without workers in an empty folder, whose account the simulated exchange knows."""
    own = {"API_KEY": DEFAULT_KEY.key, "API_SECRET": DEFAULT_KEY.secret, "PASSPHRASE": DEFAULT_KEY.passphrase}
    set_environment(monkeypatch, {"DESK1": own}, REDIS_URL=redis_url, OKX_BASE_URL=exchange.url)
    monkeypatch.chdir(tmp_path)
    with Desk(capsys) as made:
        yield made
