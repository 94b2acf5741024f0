"""Workers that only listen to the simulated exchange's private channel, and what each saw."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from queue import Queue

from pydantic import SecretStr

from bulk_cancel.worker.books.confirm.witness import Witness
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.state.connection import connect
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.channel_rig import LATE_S, QUICK, credentials

UID = DEFAULT_KEY.uid
KEYS = Keys("t")
LISTENS = replace(QUICK, ping_s=LATE_S)
"""An exchange that is slow for a moment is no gap."""


def user(ws_url: str | None, *accounts: Credentials) -> User:
    """The simulator's user."""
    return User(UID, accounts or (credentials(),), "http://127.0.0.1:1", Limits(60, 300), 20, ws_url=ws_url)


class Worker:
    """One worker's witness, and what it saw."""

    def __init__(self, redis_url: str, of: User, name: str, **options: object) -> None:
        self.redis = connect(Settings(redis_url=SecretStr(redis_url)))
        self.scripts = Scripts(self.redis, KEYS.prefix, attempts=1)
        self.seen: Queue[tuple[str, str]] = Queue()
        self.witness = Witness(
            self.scripts,
            Gate({of.uid: of}),
            name,
            saw=self._saw,
            gap=lambda uid: self.seen.put((uid, "gap")),
            now=lambda _: time.time(),
            patience=LISTENS,
            **options,  # type: ignore[arg-type]
        )

    @property
    def channels(self) -> dict[str, bool]:
        """The uids whose channels it keeps, and whether each is alive."""
        return {uid: channel.alive for uid, channel in list(self.witness._channels.items())}

    def sees(self, what: str) -> None:
        """The next thing seen is this order, or a gap."""
        assert self.seen.get(timeout=LATE_S) == (UID, what)

    def _saw(self, uid: str, rows: Sequence[Row]) -> None:
        for row in rows:
            self.seen.put((uid, row["ordId"]))


@contextmanager
def worker(redis_url: str, of: User, name: str = "one", **options: object) -> Iterator[Worker]:
    """A worker that runs until the block ends."""
    made = Worker(redis_url, of, name, **options)
    made.witness.start()
    try:
        yield made
    finally:
        made.witness.stop()
        made.redis.close()
