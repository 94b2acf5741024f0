"""What do the tests of the HTTP door stand on? A runner without workers, and its door with a token of each role."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.worker.gateway.routes import health
from tests.support.cli_desk import Desk, set_environment
from tests.support.door import Door, token_file
from tests.support.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def _probes_in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is asked for as long as it takes to answer."""
    monkeypatch.setattr(health, "SOON_S", PATIENCE_S)


@pytest.fixture
def desk(redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """Accounts desk1 and desk2, each with a User ID of its own; the test itself claims and records."""
    set_environment(monkeypatch, {"DESK1": {}, "DESK2": {}}, REDIS_URL=redis_url)
    with Desk(capsys) as made:
        yield made


@pytest.fixture
def door(desk: Desk, tmp_path: Path) -> Iterator[Door]:
    """Its door; the token `two` may do everything, on desk2 alone."""
    with Door(desk.store, token_file(tmp_path / "tokens.toml", accounts={"two": ["desk2"]})) as found:
        yield found
