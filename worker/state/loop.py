"""The loop that each long-lived thread of a worker is: rounds with a pause between them, until it is stopped.

It lives in this room because it tells an absence of Redis from a mistake of ours, and every room with threads of its
own stands above this one. (The private channel of `okx/`, which knows no Redis, has a loop without it.)
"""

import time
from collections.abc import Callable, Iterable
from threading import Event, Thread

import structlog
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.state.redis_errors import code_of
from bulk_cancel.worker.state.scripts import is_away
from bulk_cancel.worker.state.seldom import Seldom

log = structlog.get_logger(__name__)


class Loop(Thread):
    """Rounds until stopped: a subclass defines `round`. What a round raises is logged and never ends the thread.

    `pause_s` lies between two rounds, and after one that failed, unless a round returns another pause. `wake` ends a
    pause; `awake`, if given, is the event that it sets, for those who wake this thread without knowing it.
    """

    def __init__(self, name: str, *, pause_s: float, awake: Event | None = None) -> None:
        super().__init__(name=name, daemon=True)
        self.pause_s = pause_s
        self._stopping = Event()
        self._awake = awake or Event()
        self._turned_at = time.monotonic()
        self._seldom = Seldom()

    def turned_within(self, seconds: float) -> bool:
        """Whether its last round began so short a time ago."""
        return time.monotonic() - self._turned_at <= seconds

    def round(self) -> float | None:
        """One round; returns the seconds until the next one, or None for `pause_s`."""
        raise NotImplementedError

    def without_redis(self, error: RedisError) -> float | None:
        """Called with what Redis raised; returns the seconds until the next round, or None for `pause_s`.

        A line for an absence is not one for a command that Redis refused, which waiting may not mend.
        """
        event, name = "waits_for_redis" if is_away(error) else "redis_refuses", type(error).__name__
        self._seldom.say(log.warning, event, kind=f"{name} {code_of(error)}", loop=self.name, error=f"{name}: {error}")
        return None

    def unreadable(self, error: UnreadableFormatError) -> None:
        """Called when what stands in Redis has a format that this release cannot read: nothing can be done."""
        self._seldom.say(log.error, "format_unreadable", kind=type(error).__name__, loop=self.name, error=str(error))

    def wake(self) -> None:
        """The present pause, or the one after the present round, ends at once."""
        self._awake.set()

    def stop(self) -> None:
        """The present round is the last one."""
        self._stopping.set()
        self._awake.set()

    def run(self) -> None:
        """Rounds until stopped; a subclass may do something before and after them."""
        while not self._stopping.is_set():
            self._turned_at = time.monotonic()
            pause_s = self.safely(self.round)
            self._awake.wait(self.pause_s if pause_s is None else pause_s)
            # here, not before the round: there it could undo the wake of a stop that came after the check
            self._awake.clear()

    def safely(self, step: Callable[[], float | None]) -> float | None:
        """What the step returns; None if it failed."""
        try:
            return step()
        except RedisError as error:
            return self.without_redis(error)
        except UnreadableFormatError as error:
            self.unreadable(error)
        except Exception as error:  # noqa: BLE001 (the line has all of it)
            self._seldom.say(log.exception, "round_failed", kind=type(error).__name__, loop=self.name)
        return None


def join_all(threads: Iterable[Thread], *, within_s: float) -> None:
    """Waits for the ends of all threads, but `within_s` at most for all together."""
    ends = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
