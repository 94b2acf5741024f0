"""Remembers which orders private channels told of as open, and writes them down for mass cancels.

An exchange that does not see its own book for a moment lists none; what it pushed is then the only other witness. It is
written down only for users with a mass cancel: orders of others come and go without one command to Redis.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Final, cast

import msgspec

from bulk_cancel.worker.books.mass.boards import fields_of_running
from bulk_cancel.worker.books.mass.told import KEPT_S, Told
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.orders import ENDED, OPEN
from bulk_cancel.worker.state.loop import Loop
from bulk_cancel.worker.state.store import Store

ROUND_S: Final = 0.5

AT_MOST: Final = 4_000
"""Orders of a user that are remembered: what one account may have open. Beyond, the oldest are forgotten."""

_FIELDS: Final = ("instType", "instId", "ordId", "clOrdId", "side", "tag", "cTime")


class ToldOrders:
    """What was told, as all workers of one runner share it; raises redis-py's errors."""

    def __init__(self, store: Store) -> None:
        self._redis = store.redis
        self._keys = store.keys
        self._scripts = store.scripts

    def wanted(self) -> set[str]:
        """The uids of users with a mass cancel that runs."""
        return {uid for (uid,) in fields_of_running(self._redis, self._keys, "uid") if uid}

    def write(self, uid: str, rows: Sequence[bytes]) -> None:
        """Each row is JSON; they hold for KEPT_S unless they are written again."""
        orders = "[" + ",".join(row.decode() for row in rows) + "]"
        self._scripts.run("opened_tell", {"uid": uid, "orders": orders, "keep_ms": round(KEPT_S * 1000)})

    def read(self, uid: str) -> Told | None:
        """None: no worker listens, or none has noticed yet that somebody wants to know."""
        text = cast("str | None", self._redis.get(self._keys.of("opened", uid)))
        return Told.read(text) if text else None


class Opened(Loop):
    """What one worker was told; all but `round` is called on the threads of channels, and returns at once."""

    def __init__(self, told: ToldOrders) -> None:
        super().__init__("opened", pause_s=ROUND_S)
        self._told = told
        self._lock = Lock()
        self._open: dict[str, dict[str, bytes]] = {}

    def began(self, uid: str) -> None:
        """The channel is heard from now on; what it told of before may have ended unheard."""
        with self._lock:
            self._open[uid] = {}

    def left(self, uid: str) -> None:
        """The channel is another worker's now, or nobody's."""
        with self._lock:
            self._open.pop(uid, None)

    def saw(self, uid: str, rows: Sequence[Row]) -> None:
        """The exchange pushed these orders."""
        with self._lock:
            if (known := self._open.get(uid)) is not None:
                for row in rows:
                    _take(known, row)

    def round(self) -> None:
        """Writes down what is open of each user with a mass cancel."""
        for uid in self._told.wanted() if self._open else ():
            with self._lock:
                rows = list(self._open[uid].values()) if uid in self._open else None
            if rows is not None:
                self._told.write(uid, rows)


def _take(known: dict[str, bytes], row: Row) -> None:
    order_id, state = row.get("ordId", ""), row.get("state")
    if state in ENDED:
        known.pop(order_id, None)
    elif state in OPEN:  # as bytes: 40,000 orders as dicts would take 40 MB
        known[order_id] = msgspec.json.encode({name: row[name] for name in _FIELDS if name in row})
        if len(known) > AT_MOST:
            del known[next(iter(known))]
