"""What system tests share: the command that cancels everything, as a program reads its report."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bulk_cancel.worker.cli import run
from bulk_cancel.worker.simulator.algos import AlgoBehaviour
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Network
from tests.support.json_shapes import misfits
from tests.support.rig import Rig

All = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def near() -> Iterator[Rig]:
    """Two workers, a few milliseconds from the exchange."""
    with Rig(workers=2, config=Config(network=Network(delay_ms=3, jitter_ms=3))) as running:
        yield running


@pytest.fixture
def emptied(near: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Rig]:
    """The near one, in its environment, with nothing at the exchange; no window was exceeded."""
    near.adopt(monkeypatch, tmp_path)
    near.exchange.control.reset()
    yield near
    assert near.exchange.control.summary().refusals == 0
    near.exchange.control.set_algo_behaviour(AlgoBehaviour())


@pytest.fixture
def all_(rig: Rig, capsys: pytest.CaptureFixture[str]) -> All:  # noqa: ARG001 (its environment)
    """Runs `all --json` for account desk1 in the environment of the module's `rig`; its exit status and the report."""
    capsys.readouterr()

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        status = run(["all", "--account", "desk1", *arguments, "--json"])
        said = json.loads(capsys.readouterr().out)
        assert misfits(said) == []
        return status, said["reports"][0]

    return call
