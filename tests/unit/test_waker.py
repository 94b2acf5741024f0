"""Does the waker keep the lanes going, and when what it relies on fails?"""

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import cast

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from worker.board import Board, Due
from worker.waker import Waker

SOON_S = 5.0


class FullBoard:
    """Lanes that are due, round by round; Redis takes no heartbeat."""

    def __init__(self) -> None:
        self.rounds: list[tuple[str, ...]] = []
        self.over = Event()

    def wake(self) -> Due:
        """What is due now; nothing once all rounds are over."""
        if self.rounds:
            return Due(self.rounds.pop(0), (), (), None)
        self.over.set()
        return Due((), (), (), None)

    def beat(self, *_: object) -> None:
        """As a full Redis answers."""
        raise RedisError("OOM")

    def listen(self, timeout_s: float) -> bool:
        """Nothing rings."""
        Event().wait(min(timeout_s, 0.01))
        return False


class Work:
    """What the waker does with lanes."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.drained: list[str] = []
        self.room = 0
        self.broker_away = False

    def publish(self, lane: str) -> None:
        """To another worker."""
        self.published.append(lane)
        if self.broker_away:
            raise OperationalError("away")

    def drain(self, lanes: Sequence[str]) -> None:
        """In this worker."""
        self.drained += lanes


@pytest.fixture
def work() -> Work:
    """Nothing done yet."""
    return Work()


@pytest.fixture
def run(work: Work) -> Iterator[Callable[..., None]]:
    """Runs a waker until what is due in these rounds got its turn."""
    wakers: list[Waker] = []

    def rounds(*lanes: tuple[str, ...]) -> None:
        board = FullBoard()
        board.rounds = list(lanes)
        waker = Waker(
            cast("Board", board), work.publish, work.drain, "w",
            room=lambda: work.room, facts=dict, look=lambda _: None, mass=lambda _: None,
        )  # fmt: skip
        wakers.append(waker)
        waker.start()
        assert board.over.wait(SOON_S)

    yield rounds
    for waker in wakers:
        waker.stop()
        waker.join(SOON_S)


def test_lanes_get_their_turn_here_while_there_is_room(work: Work, run: Callable[..., None]) -> None:
    """No message is needed; the others are offered to whoever has room."""
    work.room = 2
    run(("a", "b", "c"))
    assert (work.drained, work.published) == (["a", "b"], ["c"])


def test_a_lane_is_not_offered_again_at_once(work: Work, run: Callable[..., None]) -> None:
    """Its calls are under way, and each makes it due again; it stands in line here as well."""
    run(("a",), ("a",), ("a", "b"))
    assert (work.drained, work.published) == (["a", "a"], ["a", "b"])


def test_lanes_get_their_turn_here_when_the_broker_takes_no_message(work: Work, run: Callable[..., None]) -> None:
    """The first failure ends publishing for the round; a heartbeat that fails ends nothing."""
    work.broker_away = True
    run(("a", "b"))
    assert (work.published, work.drained) == (["a"], ["a", "b"])
