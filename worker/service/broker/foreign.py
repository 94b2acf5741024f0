"""Lists of our queues that are no lists, because another program wrote a key of that name: which, and of what type.

One BRPOP asks for all lists, and Redis refuses it as a whole when one key is of another type. Such keys are left out
until they are lists again, and named: once in the log, and in `problems`, which `status` and `check` show.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from bulk_cancel.worker.state.queues import why_unread, wrong_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

logger: Final = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""How soon a queue is read again after its key was put right."""

_known: dict[str, str] = {}


def problems() -> dict[str, str]:
    """The keys that keep this process from reading a list, each with what is wrong with it; for the heartbeat."""
    return {f"broker key {key!r}": why_unread(kind) for key, kind in _known.copy().items()}


class ForeignKeys:
    """Those among the lists of one channel; `leave_out` asks again at most once in `LOOK_EVERY_S`."""

    def __init__(self) -> None:
        self._looked_at = 0.0

    def leave_out(self, lists: Sequence[str], client: Redis) -> list[str]:
        """The lists that can be read."""
        if _known and time.monotonic() - self._looked_at > LOOK_EVERY_S:
            self.look(lists, client)
        return [name for name in lists if name not in _known]

    def look(self, lists: Sequence[str], client: Redis) -> None:
        """Finds out which keys are no lists; where Redis does not answer, what was found before stays."""
        self._looked_at = time.monotonic()
        try:
            found = wrong_types(client, lists)
        except RedisError as error:
            logger.warning("the types of the queues' keys could not be read: %r", error)
            return
        for key in found.keys() - _known.keys():
            logger.error("the broker's key %r %s", key, why_unread(found[key]))
        for key in _known.keys() & set(lists) - found.keys():  # of others nothing was asked
            logger.warning("the broker's key %r is read again", key)
            del _known[key]
        _known.update(found)
