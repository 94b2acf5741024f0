"""Lets the connections of this process to one host begin one after another: the exchange counts them by our address."""

from threading import Lock


class Turns:
    """Who wants to connect takes a turn; each is some seconds after the one before. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next_at = 0.0

    def take(self, now: float, *, apart_s: float) -> float:
        """Seconds until the caller's turn; `now` is the monotonic clock. A turn that is not used is lost."""
        with self._lock:
            at = max(now, self._next_at)
            self._next_at = at + apart_s
        return at - now
