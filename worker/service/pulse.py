"""This worker's pulse: a file that says when its threads last turned, for liveness probes that must not ask Redis.

A worker whose Redis is away is well: it waits, and goes on by itself. To end it then would help nobody, and would end
the whole fleet at once.
"""

import os
import re
import socket
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from bulk_cancel.worker.state.loop import Loop

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
FRESH_S: Final = 15.0
"""A pulse older than this is none: the process is gone, or stands still."""

OLD_S: Final = 3600.0
"""A file that nobody has renewed for so long is of a worker that was killed."""

TURN_S: Final = 60.0
"""Longer than the longest round: calls to a Redis or an exchange that is away end within seconds."""

_NAME: Final = "bulk-cancel-worker"


class Pulse(Loop):
    """Renews the file as long as every one of `loops` lives and has turned of late."""

    def __init__(self, loops: Iterable[Loop]) -> None:
        super().__init__("pulse", pause_s=EVERY_S)
        self._loops = tuple(loops)
        self._path = _directory() / f"{_NAME}-{socket.gethostname()}-{os.getpid()}"
        self._told = False

    def round(self) -> None:
        """One beat, or none; a directory that cannot be written is logged once."""
        if not all(loop.is_alive() and loop.turned_within(TURN_S) for loop in self._loops):
            return
        try:
            _write(self._path, time.monotonic())
        except OSError as error:
            if not self._told:
                log.warning("pulse_not_written", path=str(self._path), error=str(error))
            self._told = True

    def run(self) -> None:
        """Files of workers that were killed go first."""
        _remove_old()
        super().run()

    def leave(self) -> None:
        """This worker has stopped: its file goes."""
        with suppress(OSError):
            self._path.unlink()


def pulses(host: str) -> list[float]:
    """How old the pulse of each worker of `host` is, in seconds; none where no worker has left one."""
    now = time.monotonic()
    named = re.compile(rf"{_NAME}-{re.escape(host)}-\d+")
    paths = (path for path in _directory().glob(f"{_NAME}-*") if named.fullmatch(path.name))
    return [now - beat for path in paths if (beat := _read(path)) is not None]


def _remove_old() -> None:
    """A worker that lives renews its file each second, or makes it anew: what is removed by mistake is back at once."""
    for path in (*_directory().glob(f"{_NAME}-*"), *_directory().glob(f".{_NAME}-*")):
        with suppress(OSError):
            written = path.lstat()
            if written.st_uid == os.geteuid() and time.time() - written.st_mtime > OLD_S:
                path.unlink()


def _directory() -> Path:
    return Path(tempfile.gettempdir())


def _write(path: Path, beat: float) -> None:
    """In one step; another user's file of this name is not written to."""
    new = path.with_name(f".{path.name}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(f"{beat:.3f}")
    new.replace(path)


def _read(path: Path) -> float | None:
    """The time in the file, by the clock of this machine's start; None if it is not ours, or being replaced."""
    try:
        return float(path.read_text()) if path.stat().st_uid == os.geteuid() else None
    except (OSError, ValueError):
        return None
