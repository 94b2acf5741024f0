"""The one reader of a shard's Redis behind every event stream of this process: what ends there, and how it stands."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Final, cast

import structlog
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.gateway.answers import encoded
from bulk_cancel.worker.gateway.guard import ANYBODY
from bulk_cancel.worker.gateway.parts import Desk
from bulk_cancel.worker.gateway.sight import Sight
from bulk_cancel.worker.operators.audit import Decision
from bulk_cancel.worker.operators.status import Snapshot
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.outcomes import Entry

log = structlog.get_logger(__name__)

PER_READ: Final = 1_000
BLOCK_MS: Final = 500
PAUSE_S: Final = 0.1
"""After outcomes came: they come in numbers, and are read together."""

BUSY_S: Final = 0.25
IDLE_S: Final = 1.0
"""How the shard stands is read so often, while outcomes come and while none do."""

DECISIONS: Final = 30

BESIDE: Final = 10
"""Batches beside those of the snapshot that are told at once: the last ones."""

AGAIN_S: Final = 0.5
"""While Redis is away."""

_LATE: Final = re.compile(r'"late_s":\d+')
"""The seconds since a worker's heartbeat: they change, and are no news."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at once: outcomes, the shard, the batches that somebody follows; `failed`: Redis did not answer."""

    entries: Sequence[Entry] = ()
    snapshot: Snapshot | None = None
    batches: Mapping[str, BatchState] = field(default_factory=dict)
    decisions: Sequence[Decision] = ()
    """The last of them, if there are new ones."""
    beside: Sequence[BatchState] = ()
    """Batches that are not, or no longer, among the snapshot's, and of which there is news."""
    start: str = ""
    """The id of the last outcome before all that is read, where the reading begins."""
    failed: Exception | None = None


class Reader:
    """Reads one shard while somebody wants it; `ids` are the batches that are followed, `tell` gets every reading."""

    def __init__(self, desk: Desk, ids: Callable[[], Iterable[str]], tell: Callable[[Reading], None]) -> None:
        self._desk = desk
        self._key = desk.store.keys.of("outcomes")
        self._ids = ids
        self._tell = tell
        self._lock = Lock()
        self._thread: Thread | None = None
        self._wanted = 0
        self._ending = False
        self._last = ""
        self._shown: Sequence[str] = ()
        self._heard: dict[str, None] = {}
        self._decisions: Sequence[Decision] = ()

    def open(self, begin: Callable[[Reading], None]) -> None:
        """Somebody wants it: who is the first gets the beginning, or why there is none yet; not on the loop."""
        with self._lock:
            self._wanted += 1
            if self._thread is None:
                beginning = self._beginning()
                begin(beginning)
                self._thread = Thread(target=self._run, name="feed", args=(beginning.start,), daemon=True)
                self._thread.start()

    def leave(self) -> None:
        """Somebody wants it no longer; the last one ends the reading."""
        with self._lock:
            self._wanted -= 1

    def end(self) -> None:
        """Nothing more is read."""
        self._ending = True

    def join(self) -> None:
        """Waits until nothing is read any more."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _beginning(self) -> Reading:
        try:
            with self._desk.shard.named():
                return self._begun()
        except (RedisError, BulkCancelError) as error:
            return Reading(failed=error)

    def _begun(self) -> Reading:
        start = self._desk.store.batches.newest()
        self._decisions = self._desk.audit.newest(DECISIONS)
        snapshot = self._desk.snapshot()
        self._shown, self._heard = [state.batch_id for state in snapshot.batches], {}
        self._last = ""  # what was told last is not what this beginning tells
        return Reading(start=start, snapshot=snapshot, decisions=self._decisions)

    def _run(self, seen: str) -> None:
        status_at = 0.0
        while self._goes_on():
            try:
                with self._desk.shard.named():
                    if not seen:  # it was away when somebody came
                        beginning = self._begun()
                        seen = beginning.start
                        self._tell(beginning)
                    entries = self._entries(seen, block_ms=BLOCK_MS)
                    due = time.monotonic() - status_at >= (BUSY_S if entries else IDLE_S)
                    self._hear(entries)
                    reading = self._standing(seen, entries) if due else Reading(entries)
            except (RedisError, BulkCancelError) as error:
                log.warning("feed_waits_for_redis", error=type(error).__name__)
                self._last, status_at = "", 0.0  # how it stands is news when it is back
                self._tell(Reading(failed=error))
                time.sleep(AGAIN_S)
                continue
            seen = reading.entries[-1][0] if reading.entries else seen
            status_at = time.monotonic() if due else status_at
            if reading.entries or reading.snapshot or reading.batches or reading.beside or reading.decisions:
                self._tell(reading)
            if reading.entries:
                time.sleep(PAUSE_S)

    def _goes_on(self) -> bool:
        with self._lock:
            if self._wanted and not self._ending:
                return True
            self._thread = None
            return False

    def _entries(self, seen: str, *, block_ms: int | None = None) -> list[Entry]:
        answer = self._desk.store.redis.xread({self._key: seen}, count=PER_READ, block=block_ms)
        found = cast("list[tuple[str, list[Entry]]]", answer)
        return found[0][1] if found else []

    def _up_to_now(self, seen: str, entries: Sequence[Entry]) -> list[Entry]:
        """The outcomes after `seen`: `entries`, and all that have come since."""
        found = list(entries)
        while page := self._entries(found[-1][0] if found else seen):
            found += page
        return found

    def _standing(self, seen: str, entries: Sequence[Entry]) -> Reading:
        """How all stands, with every outcome that is in it: "complete" comes behind the last one."""
        ids = sorted(self._ids())
        batches = {state.batch_id: state for state in self._desk.store.batches.known(ids)} if ids else {}
        snapshot = self._desk.snapshot()
        shown = [state.batch_id for state in snapshot.batches]
        beside = self._beside(shown)
        news = _LATE.sub("", encoded({**Sight(ANYBODY).status(snapshot), "at": None}))
        known, self._last = news == self._last, news
        decisions = self._desk.audit.newest(DECISIONS)
        fresh, self._decisions = decisions != self._decisions, decisions
        came = self._up_to_now(seen, entries)
        self._shown, self._heard = shown, {}
        self._hear(came[len(entries) :])
        return Reading(came, None if known else snapshot, batches, decisions if fresh else (), beside)

    def _hear(self, entries: Sequence[Entry]) -> None:
        """Which batches they are of, the last one at the end."""
        for batch_id in (each for _, fields in entries for each in fields["batches"].split()):
            self._heard.pop(batch_id, None)
            self._heard[batch_id] = None

    def _beside(self, shown: Sequence[str]) -> Sequence[BatchState]:
        """Batches that are shown no longer, or never were, as they stand: so no listener has to ask for them."""
        news = dict.fromkeys(each for each in [*self._shown, *self._heard] if each not in shown)
        return self._desk.store.batches.known([*news][-BESIDE:]) if news else ()
