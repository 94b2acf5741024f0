"""Does the waker keep the lanes going when what it relies on fails?"""

from threading import Event
from typing import cast

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from worker.board import Board, Due
from worker.waker import Waker


class FullBoard:
    """Two lanes are due, once; Redis takes no heartbeat."""

    def __init__(self) -> None:
        self._due = [("a", "b")]

    def wake(self) -> Due:
        """Both lanes, then none."""
        return Due(self._due.pop() if self._due else (), (), (), None)

    def beat(self, *_: object) -> None:
        """As a full Redis answers."""
        raise RedisError("OOM")

    def listen(self, timeout_s: float) -> bool:
        """Nothing rings."""
        Event().wait(min(timeout_s, 0.01))
        return False


def test_lanes_get_their_turn_here_when_the_broker_takes_no_message() -> None:
    """The first failure ends publishing for the round; a heartbeat that fails ends nothing."""
    published, drained, done = [], [], Event()

    def publish(lane: str) -> None:
        published.append(lane)
        raise OperationalError("away")

    def drain(lane: str) -> None:
        drained.append(lane)
        if len(drained) == 2:
            done.set()

    waker = Waker(cast("Board", FullBoard()), publish, drain, "w", facts=dict, look=lambda _: None, mass=lambda _: None)
    waker.start()
    try:
        assert done.wait(5)
    finally:
        waker.stop()
        waker.join(5)
    assert (published, drained) == (["a"], ["a", "b"])
