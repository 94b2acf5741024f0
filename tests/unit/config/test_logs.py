"""Do log lines keep secrets, wherever they are read?"""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog

from bulk_cancel.worker.config.logs import configure_logs


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


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """The test's own logging comes back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("where", [Terminal, Pipe])
def test_a_traceback_shows_no_variables(where: type[Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of signing hold the secret and the passphrase."""
    told = where()
    monkeypatch.setattr(sys, "stderr", told)
    configure_logs("INFO")
    _fail_while_signing("hush" * 4)
    assert "ValueError" in told.getvalue()
    assert "_fail_while_signing" in told.getvalue()
    assert "hushhush" not in told.getvalue()


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("where", [Terminal, Pipe])
def test_what_others_wrote_cannot_control_a_terminal(where: type[Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused message is logged with its reasons and its text, by us and by Celery."""
    told = where()
    monkeypatch.setattr(sys, "stderr", told)
    configure_logs("INFO")
    structlog.get_logger("test").warning("refused", payload="\x1b]0;title\x07", errors=["\x1b[2J"])
    logging.getLogger("celery").warning("message %s", "\x1b[31m\nforged line")
    lines = told.getvalue().splitlines()
    assert len(lines) == 2
    plain = re.sub("\x1b\\[[0-9;]*m", "", told.getvalue())  # the renderer's own colours
    assert plain.replace("\n", "").isprintable()
    assert "]0;title" in plain


@pytest.mark.usefixtures("_logging_as_before")
def test_a_line_is_an_object_with_four_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the facts of its event, as the README says; Celery's lines have the same shape."""
    told = Pipe()
    monkeypatch.setattr(sys, "stderr", told)
    configure_logs("INFO")
    structlog.get_logger("ours").info("worker_ready", worker="w")
    logging.getLogger("celery").warning("a sentence")
    ours, theirs = map(json.loads, told.getvalue().splitlines())
    assert datetime.fromisoformat(ours.pop("timestamp")).utcoffset() == timedelta(0)
    assert ours == {"event": "worker_ready", "level": "info", "logger": "ours", "worker": "w"}
    assert theirs.keys() == {"event", "level", "logger", "timestamp"}


def _fail_while_signing(secret: str) -> None:
    try:
        int(f"no clock for {len(secret)} bytes")
    except ValueError:
        structlog.get_logger("test").exception("broke")
