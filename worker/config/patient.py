"""A log handler for which nobody waits: a reader that stands still must stop no cancel, nor a worker's end."""

import json
import logging
import time
from collections import deque
from threading import Condition, Thread
from typing import Final, TextIO

LINES_KEPT: Final = 10_000
"""Lines that wait for the reader; of more the oldest are lost, and counted."""

FLUSH_S: Final = 1.0


class PatientHandler(logging.Handler):
    """Writes to `stream` on a thread of its own, in order; `flush` waits for that, `FLUSH_S` at most."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._changed = Condition()
        self._lost = 0
        self._writing = False
        Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Formatted here, where it happened."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 (as logging's own handlers do)
            self.handleError(record)
            return
        with self._changed:
            self._lost += len(self._lines) == LINES_KEPT
            self._lines.append(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """What is left when the time is over stays in line."""
        ends = time.monotonic() + FLUSH_S
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._writing, ends - time.monotonic())

    def _run(self) -> None:
        while True:
            self._write(self._next())

    def _next(self) -> str:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._lines))
            self._writing = True
            lost, self._lost = self._lost, 0
            if lost:
                return json.dumps({"event": "log_lines_lost", "level": "error", "count": lost})
            return self._lines.popleft()

    def _write(self, line: str) -> None:
        """A stream that is closed or full for good is nobody's concern here: there is nowhere left to say so."""
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            return
