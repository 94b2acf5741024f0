"""Does the waker keep the lanes going, leave others theirs, and survive when what it relies on fails?"""

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import TYPE_CHECKING, cast

import pytest
from redis.exceptions import RedisError

from bulk_cancel.worker.sending.sweeper import Sweeper
from bulk_cancel.worker.sending.waker import Waker
from bulk_cancel.worker.state.board import Board, Due
from bulk_cancel.worker.state.claims import Exhausted
from tests.support.waiting import PATIENCE_S, until

if TYPE_CHECKING:
    from bulk_cancel.worker.sending.sender import Sender


class FullBoard:
    """Lanes that are due, of which each waking takes as many as there is room for; Redis takes no heartbeat.

    A sweep goes on until it is `swept`.
    """

    def __init__(self, lanes: Sequence[str]) -> None:
        self.lanes = list(lanes)
        self.books = True
        self.sweeping = Event()
        self.swept = Event()
        self.asked = Event()
        self.over = Event()
        self.heard = Event()

    def wake(self, room: int, *, books: bool) -> Due:
        """What is due now; `over` once nothing is left."""
        self.books = books
        taken, self.lanes = self.lanes[:room], self.lanes[room:]
        if not self.lanes and not taken:
            self.over.set()
        if not taken:
            self.asked.set()
        return Due(tuple(taken), (), (), None, more=bool(self.lanes))

    def beat(self, *_: object) -> None:
        """As a full Redis answers."""
        raise RedisError("OOM")

    def may_sweep(self) -> bool:
        """There is nobody else."""
        return True

    def sweep(self) -> list[Exhausted]:
        """Many orders."""
        self.sweeping.set()
        self.swept.wait(PATIENCE_S)
        return []

    def listen(self, timeout_s: float) -> bool:
        """Nothing rings."""
        self.heard.set()
        Event().wait(min(timeout_s, 0.01))
        return False


class FakeSender:
    """Room for so many lanes, each of which takes some."""

    def __init__(self) -> None:
        self.few = False
        self.may = True
        self.others_wait = False
        self.free = 100
        self.drained: list[str] = []

    def may_send(self) -> bool:
        """For anybody."""
        return self.may

    def room(self) -> int:
        """Now."""
        return self.free

    def room_for_one(self) -> bool:
        """When less is free than a lane is worth."""
        return self.few

    def drain(self, lanes: Sequence[str], *, others_wait: bool) -> None:
        """In this worker."""
        self.others_wait = others_wait
        self.few = False
        self.drained += lanes
        if lanes:  # else what the test sets meanwhile would be undone
            self.free -= len(lanes)


@pytest.fixture
def sender() -> FakeSender:
    """Nothing done yet."""
    return FakeSender()


@pytest.fixture
def start(sender: FakeSender) -> Iterator[Callable[[FullBoard], Waker]]:
    """Starts wakers on boards, and stops them."""
    wakers: list[Waker] = []

    def started(board: FullBoard) -> Waker:
        waker = Waker(
            cast("Board", board),
            cast("Sender", sender),
            "w",
            facts=dict,
            look=lambda _: None,
            mass=lambda _: None,
            end=lambda: None,
            survey=lambda _: None,
        )
        wakers.append(waker)
        waker.start()
        return waker

    yield started
    for waker in wakers:
        waker.stop()
        waker.join(PATIENCE_S)
        assert not waker.is_alive()


def test_all_lanes_get_their_turn_here_while_there_is_room(
    sender: FakeSender, start: Callable[[FullBoard], Waker]
) -> None:
    """Without another waking from outside; a heartbeat that fails ends nothing."""
    board = FullBoard(["a", "b", "c"])
    start(board)
    assert board.over.wait(PATIENCE_S)
    assert sender.drained == ["a", "b", "c"]


def test_no_lane_waits_for_a_sweep(sender: FakeSender, start: Callable[[FullBoard], Waker]) -> None:
    """Nor does a sweep wait for a heartbeat that fails."""
    board = FullBoard([])
    waker = start(board)
    sweeper = Sweeper(cast("Board", board))
    sweeper.start()
    assert board.sweeping.wait(PATIENCE_S)
    board.lanes.append("urgent")
    waker.wake()
    while not sender.drained:
        assert not board.swept.wait(0.01)
    assert sender.drained == ["urgent"]
    board.swept.set()
    sweeper.stop()
    sweeper.join(PATIENCE_S)
    assert not sweeper.is_alive()


def test_lanes_without_room_stay_on_the_board(sender: FakeSender, start: Callable[[FullBoard], Waker]) -> None:
    """And once there is room for them, they get their turn at once."""
    sender.free = 2
    board = FullBoard(["a", "b", "c"])
    waker = start(board)
    assert board.asked.wait(PATIENCE_S)
    assert (sender.drained, board.lanes, sender.others_wait) == (["a", "b"], ["c"], True)
    sender.free = 1
    waker.wake_for_room()
    assert board.over.wait(PATIENCE_S)
    assert (sender.drained, sender.others_wait) == (["a", "b", "c"], False)


def test_a_few_free_permits_are_for_the_first_lane(sender: FakeSender, start: Callable[[FullBoard], Waker]) -> None:
    """The others may be held by calls that hang, and the lane may be urgent."""
    sender.free, sender.few = 0, True
    board = FullBoard(["a", "b"])
    start(board)
    assert board.asked.wait(PATIENCE_S)
    assert (sender.drained, board.lanes) == (["a"], ["b"])


def test_who_may_send_for_nobody_leaves_bell_and_books_to_others(
    sender: FakeSender, start: Callable[[FullBoard], Waker]
) -> None:
    """It is not let in by the exchange, or has no connection: whoever is and has must hear of what is due."""
    sender.may, sender.free = False, 0
    board = FullBoard([])
    waker = start(board)
    assert board.asked.wait(PATIENCE_S)
    assert not board.books
    until(lambda: not waker._bell.listening.is_set())
    board.heard.clear()
    sender.may, sender.free = True, 1
    waker.wake_for_room()
    assert board.heard.wait(PATIENCE_S)


def test_who_has_no_room_leaves_the_bell_to_others(sender: FakeSender, start: Callable[[FullBoard], Waker]) -> None:
    """Else those who have room would not hear of the lanes that were left."""
    sender.free = 0
    board = FullBoard(["a"])
    waker = start(board)
    assert board.asked.wait(PATIENCE_S)
    while board.heard.is_set():  # what it began to hear before
        board.heard.clear()
        board.heard.wait(0.05)
    sender.free = 1
    waker.wake_for_room()
    assert board.heard.wait(PATIENCE_S)
