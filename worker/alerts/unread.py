"""Notices messages that lie in a list of the broker that nobody reads. A thread of its own: the broker may be slow."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.alerts.alerts import Condition, alert
from bulk_cancel.worker.state.lease import take_lease
from bulk_cancel.worker.state.loop import Loop
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.strays import Stray

log = structlog.get_logger(__name__)

ROUND_S: Final = 10.0
LOOK_EVERY_S: Final = 60.0
"""By one worker of all: names of all keys of the broker's db are read for it."""

UNREAD_HINT: Final = "its sender names another queue, separator, priority or prefix than ours: have it name `cancel`"


class Unread(Loop):
    """Looks until stopped; `find` asks the broker."""

    def __init__(self, scripts: Scripts, find: Callable[[], Sequence[Stray]]) -> None:
        super().__init__("unread", pause_s=ROUND_S)
        self._scripts = scripts
        self._find = find
        self._found: Sequence[Stray] = ()
        self._found_at = 0.0

    @property
    def problems(self) -> dict[str, str]:
        """What was found a moment ago, for `status`; another worker may have looked since."""
        fresh = time.monotonic() - self._found_at < LOOK_EVERY_S + ROUND_S
        return {f"broker list {stray.name!r}": f"{stray}, which nobody reads" for stray in self._found if fresh}

    def round(self) -> None:
        """One look, if no other worker has looked of late; consumers tell of a broker that is away."""
        if not take_lease(self._scripts, "told", "unread looked for", for_s=LOOK_EVERY_S):
            return
        try:
            self._found, self._found_at = self._find(), time.monotonic()
        except RedisError as error:
            log.warning("unread_not_looked_for", error=f"{type(error).__name__}: {error}")
            return
        for stray in self._found:
            facts = {"list": stray.name, "messages": stray.count, "hint": UNREAD_HINT}
            alert(Condition.UNREAD_MESSAGES, stray.name, facts)
