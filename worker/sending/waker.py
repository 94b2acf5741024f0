"""Who notices that a lane is due? One thread in every worker gives lanes their turn, another one sweeps."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.alerts.exhausted import report_exhausted
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.state.board import Board

log = structlog.get_logger(__name__)

ROUND_S: Final = 1.0
BUSY_ROUND_S: Final = 0.1
"""Books and mass cancels need no permit: who has none for lanes looks so often, since the bell is not for it then."""

PAUSE_S: Final = 0.5


class Waker(Thread):
    """Gives each lane its turn as it falls due, as many at a time as the sender of this worker has room for.

    Lanes that it has no room for stay on the board, and the bell calls another worker; this one does not listen to the
    bell until it is roused. `look` looks at a user's book, `mass` takes a mass cancel up. `facts` is asked for what
    `status` shows of this worker.
    """

    def __init__(
        self,
        board: Board,
        sender: Sender,
        worker: str,
        *,
        facts: Callable[[], Mapping[str, object]],
        look: Callable[[str], None],
        mass: Callable[[str], None],
    ) -> None:
        super().__init__(name="waker", daemon=True)
        self._board = board
        self._sender = sender
        self._worker = worker
        self._facts = facts
        self._look = look
        self._mass = mass
        self._stopping = Event()
        self._awake = Event()
        self._listening = Event()
        self._listening.set()
        self._bell = Thread(target=self._listen, name="bell", daemon=True)
        self._sweeper = Thread(target=self._keep_sweeping, name="sweeper", daemon=True)
        self._beat_at = 0.0

    def rouse(self) -> None:
        """There may be room again for lanes that had to be left on the board."""
        if not self._listening.is_set() and self._sender.room():
            self._listening.set()
            self._awake.set()

    def stop(self) -> None:
        """The present round is the last one."""
        self._stopping.set()
        self._awake.set()

    def leave(self) -> None:
        """The last report is taken back: this worker has stopped, and is not merely silent."""
        with suppress(RedisError, OSError):
            self._board.leave(self._worker)

    def run(self) -> None:
        """Rounds until stopped; a Redis that is away ends a round, never the thread."""
        self._bell.start()
        self._sweeper.start()
        while not self._stopping.is_set():
            self._awake.clear()
            self._survive(self._beat)  # may fail alone: a full Redis takes no heartbeat
            self._awake.wait(self._survive(self._round))
        self._sweeper.join()  # what it ended is still to be told

    def _round(self) -> float:
        """Everything that is due gets its turn; returns the seconds until the next round."""
        due = self._board.wake(self._sender.room() or int(self._sender.room_for_one()))
        for uid in due.users:
            self._look(uid)
        for batch_id in due.masses:
            self._mass(batch_id)
        self._sender.drain(due.lanes)
        self._leave_to_others(more=due.more)
        longest_s = BUSY_ROUND_S if due.more else ROUND_S
        return 0.0 if due.any else min(longest_s, longest_s if due.next_s is None else due.next_s)

    def _leave_to_others(self, *, more: bool) -> None:
        """Who has no room must not take the bell from those who have, nor keep its lanes before those that wait."""
        self._sender.others_wait = more
        if not more:
            self._listening.set()
            return
        self._listening.clear()
        self.rouse()  # room that came since the board was asked

    def _listen(self) -> None:
        """Its own thread: a blocking read in Redis ends too late for a due time, so the waker keeps time itself."""
        while not self._stopping.is_set():
            if self._listening.wait(ROUND_S):
                self._stopping.wait(self._survive(self._hear))

    def _hear(self) -> float:
        if self._board.listen(ROUND_S):
            self._awake.set()
        return 0.0

    def _survive(self, step: Callable[[], float]) -> float:
        """What the step returns; a pause when Redis is away."""
        try:
            return step()
        except (RedisError, OSError) as error:
            log.warning("waker_waits", error=f"{type(error).__name__}: {error}")
        except Exception:
            log.exception("waker_round_failed")
        return PAUSE_S

    def _beat(self) -> float:
        now = time.monotonic()
        if now >= self._beat_at:
            self._beat_at = now + ROUND_S
            self._board.beat(self._worker, self._facts())
        return 0.0

    def _keep_sweeping(self) -> None:
        """Its own thread: a sweep of many orders takes seconds, and no urgent lane may wait for it."""
        while not self._stopping.is_set():
            self._survive(self._sweep)
            self._stopping.wait(ROUND_S)

    def _sweep(self) -> float:
        if self._board.may_sweep():
            report_exhausted(self._board.sweep())
        return 0.0
