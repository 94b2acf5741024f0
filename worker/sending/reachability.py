"""The exchange's addresses to which this process cannot connect.

A worker that is cut off must not speak for all: it leaves their lanes to others until a connection stands again.
"""

from threading import Event, Lock


class Reachability:
    """The addresses out of reach, and why; `news` is set whenever one is lost. Thread-safe."""

    def __init__(self) -> None:
        self.news = Event()
        self._lost: dict[str, str] = {}
        self._lock = Lock()

    def reaches(self, base_url: str) -> bool:
        """Whether a call there may be tried."""
        return base_url not in self._lost

    def lost(self) -> dict[str, str]:
        """Address → why no connection came about."""
        return self._lost.copy()

    def lose(self, base_url: str, why: str) -> bool:
        """No connection came about; False if that was known."""
        with self._lock:
            if base_url in self._lost:
                return False
            self._lost[base_url] = why
        self.news.set()
        return True

    def regain(self, base_url: str) -> None:
        """A connection stands."""
        with self._lock:
            self._lost.pop(base_url, None)
