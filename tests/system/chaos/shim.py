"""How does a test give a worker a wrong Redis clock, or drains that get lost? `celery -A tests.system.chaos.shimmed`.

The state Redis tells, at any time: `test:offset_us` is added to what its scripts see as the time; `test:drain` says
what becomes of the turns that a waker gives: `drop`, `twice` or `late`.
"""

import threading
from collections.abc import Sequence
from typing import Final
from unittest.mock import patch

from redis import Redis

from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.state.formats import Formats
from bulk_cancel.worker.state.scripts import Scripts, source

OFFSET: Final = "test:offset_us"
DRAIN: Final = "test:drain"
LATE_S: Final = 0.7

_TIME: Final = """(function()
  local time = redis.call('TIME')
  local us = time[1] * 1000000 + time[2] + (tonumber(redis.call('GET', 'test:offset_us') or '0'))
  return {math.floor(us / 1000000), us % 1000000}
end)()"""


def skewed(verb: str) -> str:
    """The verb with the time of Redis moved by `test:offset_us`."""
    return source(verb).replace("redis.call('TIME')", _TIME)


class SkewedScripts(Scripts):
    """Verbs under the moved clock."""

    def __init__(self, redis: Redis, prefix: str, *, formats: Formats) -> None:
        super().__init__(redis, prefix, formats=formats, text_of=skewed)


def install() -> None:
    """Puts the moved clock and the unreliable drains into this process."""
    patch("bulk_cancel.worker.state.store.Scripts", SkewedScripts).start()
    state = Redis.from_url(load_settings().redis_url.get_secret_value(), decode_responses=True)
    drain = Sender.drain

    def unreliable(sender: Sender, lanes: Sequence[str], *, others_wait: bool) -> None:
        mode = state.get(DRAIN)
        given = () if mode in ("drop", "late") else lanes
        drain(sender, given, others_wait=others_wait)
        if mode == "late":
            threading.Timer(LATE_S, drain, (sender, lanes), {"others_wait": others_wait}).start()
        if mode == "twice":
            drain(sender, lanes, others_wait=others_wait)

    patch.object(Sender, "drain", unreliable).start()
