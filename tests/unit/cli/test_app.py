"""Tests of the list of commands: it says what the commands say, and none is imported only to be listed."""

import inspect
from typing import Final

import pytest

from bulk_cancel.worker.cli import run
from bulk_cancel.worker.cli.app import COMMANDS
from tests.support.imports import imported_by

RUN: Final = "from bulk_cancel.worker.cli import run; run({!r})"
COMMAND: Final = "bulk_cancel.worker.cli.commands."
CALLS_THE_EXCHANGE: Final = {"httptools", "requests", "websockets"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_with_the_first_line_of_its_docstring(name: str) -> None:
    """So `--help` and `COMMAND --help` say the same."""
    text = inspect.getdoc(COMMANDS[name].load())
    assert text is not None
    assert COMMANDS[name].summary == text.splitlines()[0]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("before", [(), ("--",)])
def test_a_command_that_the_arguments_name_is_the_real_one(
    name: str, before: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever they name it: it has options of its own."""
    assert run([*before, name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: bulk-cancel {name} [OPTIONS]" in shown
    parameters = inspect.signature(COMMANDS[name].load()).parameters
    assert ("--json" in shown) == ("as_json" in parameters)


def test_help_imports_no_command() -> None:
    """Nor anything that only a command needs."""
    imported = imported_by(RUN.format(["--help"]))
    assert "typer" in imported
    assert not {name for name in imported if name.startswith(COMMAND)}
    assert not imported & {"celery", "pydantic", "pydantic_settings", "redis", *CALLS_THE_EXCHANGE}


@pytest.mark.parametrize("arguments", [["status"], ["all", "--account", "desk1"], ["submit", "--help"]])
def test_what_only_reads_and_writes_redis_imports_nothing_that_calls_the_exchange(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor Celery; Redis is not there, which each finds out after its imports."""
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://127.0.0.1:1/0")
    imported = imported_by(RUN.format(arguments))
    assert "redis" in imported
    assert not imported & {"celery", "kombu", *CALLS_THE_EXCHANGE}
