"""Gives lanes their turn when they are due, and has books and mass cancels looked after: one thread in every worker."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event
from typing import Final

from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.loop import Loop

ROUND_S: Final = 1.0
BUSY_ROUND_S: Final = 0.1
"""Books and mass cancels need no permit: who has none for lanes looks so often, since the bell is not for it then."""

PAUSE_S: Final = 0.5
"""After a round that failed, mostly for lack of Redis."""


class Waker(Loop):
    """Gives each lane its turn as it falls due, as many at a time as the sender of this worker has room for.

    Lanes that it has no room for stay on the board, and the bell calls another worker; this one does not listen to the
    bell until there is room. `look` looks at a user's book, `mass` takes a mass cancel up, `survey` the survey after
    one. `facts` is asked for what `status` shows of this worker, and `end` is called when it cannot read what stands in
    Redis.
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
        end: Callable[[], None],
        survey: Callable[[str], None],
    ) -> None:
        super().__init__("waker", pause_s=PAUSE_S)
        self._board = board
        self._sender = sender
        self._worker = worker
        self._facts = facts
        self._look = look
        self._mass = mass
        self._end = end
        self._survey = survey
        self._bell = Bell(board, self.wake)
        self._beat_at = 0.0

    def wake_for_room(self) -> None:
        """There may be room again for lanes that had to be left on the board."""
        if not self._bell.listening.is_set() and self._sender.room():
            self._bell.listening.set()
            self.wake()

    def stop(self) -> None:
        """The present round is the last one."""
        super().stop()
        self._bell.stop()

    def leave(self) -> None:
        """The last report is taken back: this worker has stopped, and is not merely silent."""
        with suppress(RedisError, OSError):
            self._board.leave(self._worker)

    def run(self) -> None:
        """Listens to the bell meanwhile."""
        self._bell.start()
        super().run()

    def round(self) -> float | None:
        """Says that this worker lives, and gives all that is due its turn."""
        self.safely(self._beat_in_time)
        return self._give_turns()

    def unreadable(self, error: UnreadableFormatError) -> None:
        """It stood still, or was cut off, while a format was raised; nothing that it holds may be sent any more."""
        super().unreadable(error)
        self._end()

    def beat(self) -> None:
        """Says that this worker lives, and what it is; raises UnreadableFormatError and redis-py's errors."""
        self._board.beat(self._worker, self._facts())

    def _beat_in_time(self) -> None:
        now = time.monotonic()
        if now >= self._beat_at:
            self._beat_at = now + ROUND_S
            self.beat()

    def _give_turns(self) -> float:
        """Returns the seconds until something else is due."""
        # few free permits are for the first lane: it may be urgent, and the others be held by calls that hang
        may = self._sender.may_send()
        due = self._board.wake(self._sender.room() or int(self._sender.room_for_one()), books=may)
        for uid in due.users:
            self._look(uid)
        for batch_id in due.masses:
            self._mass(batch_id)
        for batch_id in due.surveys:
            self._survey(batch_id)
        self._sender.drain(due.lanes, others_wait=due.more)
        self._listen(others_wait=due.more or not may)
        longest_s = BUSY_ROUND_S if due.more else ROUND_S
        return 0.0 if due.any else min(longest_s, longest_s if due.next_s is None else due.next_s)

    def _listen(self, *, others_wait: bool) -> None:
        """Who has no room, or may not send, must not take the bell from those who have and may."""
        if not others_wait:
            self._bell.listening.set()
            return
        self._bell.listening.clear()
        self.wake_for_room()  # room that came since the board was asked


class Bell(Loop):
    """Hears the bell while it is `listening`, and tells `heard`.

    A thread of its own: a blocking read in Redis ends too late for a due time, so the waker keeps time itself.
    """

    def __init__(self, board: Board, heard: Callable[[], None]) -> None:
        super().__init__("bell", pause_s=PAUSE_S)
        self._board = board
        self._heard = heard
        self.listening = Event()
        self.listening.set()

    def round(self) -> float:
        """One second of it."""
        if self.listening.wait(ROUND_S) and self._board.listen(ROUND_S):
            self._heard()
        return 0.0
