"""Tests of output in a locale that is not UTF-8, and of local times."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bulk_cancel.worker.cli.encoding import speak_any_encoding
from bulk_cancel.worker.cli.screen.attempts import attempt_line
from bulk_cancel.worker.cli.screen.output import clock, moment

AT = datetime(2026, 2, 26, 10, 0, 3, tzinfo=UTC)


@pytest.fixture
def _tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("iso-8859-1", "é -> ... \\u4e2d"), ("ascii", "\\xe9 -> ... \\u4e2d"), ("utf-8", "é → … 中")],
)
def test_letters_that_the_encoding_lacks(encoding: str, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrows have a likeness in ASCII, all else its code: nothing fails, and nothing is lost."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    speak_any_encoding()
    sys.stdout.write("é → … 中")
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding) == written


def test_the_program_speaks_so() -> None:
    """An error that quotes a letter which the locale lacks is told, not crashed on."""
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", "submit", "→.csv", "--account", "desk1", "--reason", "→"]
    said = {**os.environ, "PYTHONIOENCODING": "iso-8859-1:strict", "PYTHONUTF8": "1"}
    ended = subprocess.run(command, env=said, capture_output=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"bulk-cancel: ->.csv: cannot be read: No such file")


@pytest.mark.usefixtures("_tokyo")
def test_local_times_carry_their_zone() -> None:
    """A desk in another country reads the same screen."""
    assert clock(AT) == "19:00:03 JST"
    assert moment(AT) == "2026-02-26 19:00:03 JST"
    assert attempt_line({"at": 1_772_100_003_000_000}).startswith("19:00:03.000 JST  no answer")
