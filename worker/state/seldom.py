"""Keeps lines that may come many times a second out of the log, all but one in some seconds, and counts the others."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

EVERY_S: Final = 10.0


class Seldom:
    """One line of a kind in `every_s`: the first at once, later ones with the count of those left out. Thread-safe."""

    def __init__(self, *, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._lock = Lock()
        self._kinds: dict[str, tuple[float, int]] = {}

    def say(self, write: Callable[..., object], event: str, *, kind: str, **facts: object) -> None:
        """Writes the line with `write`, or counts it; a kind is one of few, such as the class of an error."""
        left_out = self.left_out(kind)
        if left_out is not None:
            write(event, **facts, left_out=left_out)

    def left_out(self, kind: str) -> int | None:
        """How many lines of this kind were left out since the last one; None if this one is to be left out, too."""
        now = time.monotonic()
        with self._lock:
            again_at, count = self._kinds.get(kind, (now, 0))
            if now < again_at:
                self._kinds[kind] = again_at, count + 1
                return None
            self._kinds[kind] = now + self._every_s, 0
            return count
