"""Who notices that a lane is due? One thread in every worker: it gives lanes their turn and does the upkeep."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Final

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from worker.board import Board
from worker.report import report_exhausted

log = structlog.get_logger(__name__)

ROUND_S: Final = 1.0
PAUSE_S: Final = 0.5
PUBLISH_EVERY_S: Final = 1.0
"""A lane that this worker has no room for is offered to the others so often."""


class Waker(Thread):
    """Gives each lane its turn as it falls due: `drain` in this worker, as many as it has `room` for.

    Other workers are asked for the rest: `publish` raises when the broker is away or takes nothing, and the lanes then
    stand in line here. `look` looks at a user's book, `mass` takes a mass cancel up. `facts` is asked for what
    `status` shows of this worker.
    """

    def __init__(
        self,
        board: Board,
        publish: Callable[[str], None],
        drain: Callable[[Sequence[str]], None],
        worker: str,
        *,
        room: Callable[[], int],
        facts: Callable[[], Mapping[str, object]],
        look: Callable[[str], None],
        mass: Callable[[str], None],
    ) -> None:
        super().__init__(name="waker", daemon=True)
        self._board = board
        self._publish = publish
        self._drain = drain
        self._worker = worker
        self._room = room
        self._facts = facts
        self._look = look
        self._mass = mass
        self._stopping = Event()
        self._awake = Event()
        self._bell = Thread(target=self._listen, name="bell", daemon=True)
        self._upkeep_at = 0.0
        self._published: dict[str, float] = {}

    def stop(self) -> None:
        """The present round is the last one."""
        self._stopping.set()
        self._awake.set()

    def leave(self) -> None:
        """The last report is taken back: this worker has stopped, and is not merely silent."""
        with suppress(RedisError, OSError):
            self._board.leave(self._worker)

    def run(self) -> None:
        """Rounds until stopped; a Redis or a broker that is away ends a round, never the thread."""
        self._bell.start()
        while not self._stopping.is_set():
            self._awake.clear()
            self._survive(self._upkeep)  # may fail alone: a full Redis takes no heartbeat
            self._awake.wait(self._survive(self._round))

    def _round(self) -> float:
        """Everything that is due gets its turn; returns the seconds until the next round."""
        due = self._board.wake()
        for uid in due.users:
            self._look(uid)
        for batch_id in due.masses:
            self._mass(batch_id)
        self._turns(due.lanes)
        return 0.0 if due.any else min(ROUND_S, ROUND_S if due.next_s is None else due.next_s)

    def _turns(self, lanes: Sequence[str]) -> None:
        """As many lanes as this worker has room for stay here; of the others, who was offered just now does, too."""
        room = self._room()
        here, others = list(lanes[:room]), list[str]()
        for lane in lanes[room:]:
            (others if self._may_publish(lane) else here).append(lane)
        try:
            while others:
                self._publish(others[0])
                others.pop(0)
        finally:
            self._drain([*here, *others])

    def _may_publish(self, lane: str) -> bool:
        """A lane whose calls are under way here falls due again and again; a message costs as much as several calls."""
        now = time.monotonic()
        if now - self._published.get(lane, -PUBLISH_EVERY_S) < PUBLISH_EVERY_S:
            return False
        self._published = {each: at for each, at in self._published.items() if now - at < PUBLISH_EVERY_S} | {lane: now}
        return True

    def _listen(self) -> None:
        """Its own thread: a blocking read in Redis ends too late for a due time, so the waker keeps time itself."""
        while not self._stopping.is_set():
            pause = self._survive(self._hear)
            self._stopping.wait(pause)

    def _hear(self) -> float:
        if self._board.listen(ROUND_S):
            self._awake.set()
        return 0.0

    def _survive(self, step: Callable[[], float]) -> float:
        """What the step returns; a pause when Redis or the broker is away."""
        try:
            return step()
        except (RedisError, OperationalError, OSError) as error:
            log.warning("waker_waits", error=f"{type(error).__name__}: {error}")
        except Exception:
            log.exception("waker_round_failed")
        return PAUSE_S

    def _upkeep(self) -> float:
        now = time.monotonic()
        if now < self._upkeep_at:
            return 0.0
        self._upkeep_at = now + ROUND_S
        self._board.beat(self._worker, self._facts())
        if self._board.may_sweep():
            report_exhausted(self._board.sweep())
        return 0.0
