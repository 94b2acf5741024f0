"""`python -m tests.servers` says what it tested on, and fails when a server fails."""

from pathlib import Path

import pytest

from tests import servers


@pytest.fixture
def only_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one server is a redis-server on PATH."""
    binary = tmp_path / "redis-server"
    binary.write_text("#!/bin/sh\necho Redis server v=7.0\n")
    binary.chmod(0o755)
    monkeypatch.setattr(servers, "_BUNDLED", {"no_such_package": "x"})
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("only_one")
@pytest.mark.parametrize(
    ("arguments", "status", "failed"), [("--version", 0, "none"), ("--unknown", 1, "redis-server on PATH")]
)
def test_a_server_that_fails_is_named(
    capfd: pytest.CaptureFixture[str], arguments: str, status: int, failed: str
) -> None:
    """With exit status 1; what is not here is named, too."""
    assert servers.main([arguments]) == status
    assert capfd.readouterr().out.splitlines()[-1] == (
        f"servers: left out, not here: Python package no_such_package, valkey-server on PATH; failed on: {failed}"
    )


@pytest.mark.usefixtures("only_one")
def test_the_server_of_make_test_is_not_tested_twice(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its tests are all run there."""
    monkeypatch.setenv("REDIS_SERVER", str(tmp_path / "redis-server"))
    assert servers.main(["--unknown"]) == 0
    assert "v=7.0" not in capfd.readouterr().out
