"""Do log lines keep secrets, wherever they are read?"""

import io
import json
import logging
import re
import sys
from datetime import datetime, timedelta
from threading import Event

import pytest
import structlog
from structlog.testing import capture_logs

from bulk_cancel.worker.config import patient
from bulk_cancel.worker.config.logs import configure_logs
from tests.support.waiting import PATIENCE_S


class Terminal(io.StringIO):
    """Standard error as a person has it."""

    def isatty(self) -> bool:
        """A terminal, or a pipe."""
        return True


class Pipe(Terminal):
    """Standard error as a service has it."""

    def isatty(self) -> bool:
        """A terminal, or a pipe."""
        return False


@pytest.fixture(autouse=True)
def _patient_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was logged has been written."""
    monkeypatch.setattr(patient, "FLUSH_S", PATIENCE_S)


@pytest.mark.parametrize("where", [Terminal, Pipe])
def test_a_traceback_shows_no_variables(where: type[Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of signing hold the secret and the passphrase."""
    told = where()
    monkeypatch.setattr(sys, "stderr", told)
    configure_logs("INFO")
    _fail_while_signing("hush" * 4)
    flush()
    assert "ValueError" in told.getvalue()
    assert "_fail_while_signing" in told.getvalue()
    assert "hushhush" not in told.getvalue()


@pytest.mark.parametrize("where", [Terminal, Pipe])
def test_what_others_wrote_cannot_control_a_terminal(where: type[Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused message is logged with its reasons and its text, by us and by Celery."""
    told = where()
    monkeypatch.setattr(sys, "stderr", told)
    configure_logs("INFO")
    structlog.get_logger("test").warning("refused", payload="\x1b]0;title\x07", errors=["\x1b[2J"])
    logging.getLogger("celery").warning("message %s", "\x1b[31m\nforged line")
    flush()
    lines = told.getvalue().splitlines()
    assert len(lines) == 2
    plain = re.sub("\x1b\\[[0-9;]*m", "", told.getvalue())  # the renderer's own colours
    assert plain.replace("\n", "").isprintable()
    assert "]0;title" in plain


def test_a_line_is_an_object_with_four_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the facts of its event, as the README says; Celery's lines have the same shape."""
    told = Pipe()
    monkeypatch.setattr(sys, "stderr", told)
    configure_logs("INFO")
    structlog.get_logger("ours").info("worker_ready", worker="w")
    logging.getLogger("celery").warning("a sentence")
    flush()
    ours, theirs = map(json.loads, told.getvalue().splitlines())
    assert datetime.fromisoformat(ours.pop("timestamp")).utcoffset() == timedelta(0)
    assert ours == {"event": "worker_ready", "level": "info", "logger": "ours", "worker": "w"}
    assert theirs.keys() == {"event", "level", "logger", "timestamp"}


def test_a_logger_that_has_spoken_is_set_anew() -> None:
    """Else what a part logs would hang on who logged first: a test that captures its lines would see none."""
    log = structlog.get_logger("ours")
    configure_logs("INFO")
    log.info("before")
    structlog.reset_defaults()
    with capture_logs() as lines:
        log.info("after")
    assert [line["event"] for line in lines] == ["after"]


def _fail_while_signing(secret: str) -> None:
    try:
        int(f"no clock for {len(secret)} bytes")
    except ValueError:
        structlog.get_logger("test").exception("broke")


def flush() -> None:
    """Lines are written by another thread."""
    for handler in logging.getLogger().handlers:
        handler.flush()


class Unread(Pipe):
    """Nobody reads on until `read_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.read_on = Event()

    def write(self, text: str) -> int:
        """As a full pipe does."""
        assert self.read_on.wait(PATIENCE_S)
        return super().write(text)


def test_nobody_waits_for_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest lines are lost, and counted; those that are left come in their order."""
    told = Unread()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(patient, "FLUSH_S", 0.01)
    configure_logs("INFO")
    for number in range(patient.LINES_KEPT + 10):
        logging.getLogger("ours").warning("line %d", number)
    flush()
    told.read_on.set()
    monkeypatch.setattr(patient, "FLUSH_S", PATIENCE_S)
    flush()
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    first = [line for line in lines if line["event"] == "log_lines_lost"]
    numbers = [int(line["event"].split()[1]) for line in lines if "line " in line["event"]]
    assert sum(line["count"] for line in first) + len(numbers) == patient.LINES_KEPT + 10
    assert first[0]["count"] in (9, 10)
    assert numbers == sorted(numbers)
    assert numbers[-1] == patient.LINES_KEPT + 9
