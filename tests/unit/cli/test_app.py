"""Tests of the list of commands: it says what the commands say, and none is imported only to be listed."""

import inspect
from importlib.metadata import version
from itertools import pairwise
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


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fills_its_lines(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of a paragraph ends where the next word has no room, not where it does in our editors."""
    monkeypatch.setenv("COLUMNS", "80")
    assert run([name, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.partition("╭")[0].splitlines()]
    ragged = [line for line, after in pairwise(lines) if line and after and len(f" {line} {after.split()[0]}") < 80]
    assert ragged == []


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


def test_the_version_is_the_one_installed(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, for scripts and for reports of faults."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"bulk-cancel {version('bulk-cancel')}\n"


@pytest.mark.parametrize("arguments", [["-h"], ["status", "-h"], ["all", "-h"]])
def test_help_has_a_short_name(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same words as `--help`."""
    assert run(arguments) == 0
    short = capsys.readouterr().out
    assert run([*arguments[:-1], "--help"]) == 0
    assert capsys.readouterr().out == short


class TestCompletion:
    """What a shell is told while a command is typed."""

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("bulk-cancel st", "status"),
            ("bulk-cancel status --w", "--watch"),
            ("bulk-cancel outcomes b1 --status exh", "exhausted"),
        ],
    )
    def test_what_may_follow(
        self, words: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Commands, their options and the values of these; exit status 0."""
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        monkeypatch.setenv("_BULK_CANCEL_COMPLETE", "complete_bash")
        assert run([]) == 0
        assert capsys.readouterr().out.split() == [told]

    def test_a_shell_gets_a_script(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """To be put where the shell reads it; asked for by name, whatever shell the tests were started from."""
        monkeypatch.setenv("_BULK_CANCEL_COMPLETE", "source_bash")
        assert run([]) == 0
        assert "complete -o default -F _bulk_cancel_completion bulk-cancel" in capsys.readouterr().out
