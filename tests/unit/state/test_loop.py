"""Does a loop outlive what its rounds raise, pause as it should, and end at once when it is told?"""

import time
from collections.abc import Callable, Iterator
from queue import Queue
from threading import Event, Thread

import pytest
from redis.exceptions import ConnectionError as RedisGoneError
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from bulk_cancel.worker.state.loop import Loop, join_all
from tests.support.waiting import PATIENCE_S

LONG_S = 3600.0


class Counting(Loop):
    """Puts the instant of each round into `rounds`; `step` is what the round does."""

    def __init__(self, step: Callable[[], float | None] = lambda: None, *, pause_s: float = LONG_S) -> None:
        super().__init__("counting", pause_s=pause_s)
        self.rounds: Queue[float] = Queue()
        self._step = step

    def round(self) -> float | None:
        """One more."""
        self.rounds.put(time.monotonic())
        return self._step()

    def next(self) -> float:
        """The instant of the next round."""
        return self.rounds.get(timeout=PATIENCE_S)


@pytest.fixture
def start() -> Iterator[Callable[[Counting], Counting]]:
    """Starts loops, and sees them end."""
    started: list[Counting] = []

    def begin(loop: Counting) -> Counting:
        started.append(loop)
        loop.start()
        return loop

    yield begin
    for loop in started:
        loop.stop()
        loop.join(PATIENCE_S)
        assert not loop.is_alive()


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (RedisGoneError("gone"), "waits_for_redis"),
        (ResponseError("MISCONF no disk"), "waits_for_redis"),
        (ResponseError("OOM command not allowed"), "redis_refuses"),
        (OSError("no route"), "round_failed"),
        (KeyError("calls"), "round_failed"),
    ],
)
def test_what_a_round_raises_ends_no_loop(start: Callable[[Counting], Counting], error: Exception, event: str) -> None:
    """It is logged with the loop's name, and for what it is: an absence of Redis, its refusal, or a mistake."""
    errors = iter([error])

    def fail() -> None:
        for each in errors:
            raise each

    with capture_logs() as lines:
        loop = start(Counting(fail, pause_s=0.05))
        first = loop.next()
        assert loop.next() - first >= 0.05
    assert [(line["event"], line["loop"]) for line in lines] == [(event, "counting")]


def test_what_fails_in_each_round_is_not_logged_each_time(start: Callable[[Counting], Counting]) -> None:
    """One line for each kind, with its reason; the others are counted for the next one."""
    errors = [RedisGoneError("gone"), ResponseError("OOM full"), RedisGoneError("gone"), OSError("no route")] * 5

    def fail() -> None:
        if errors:
            raise errors.pop()

    with capture_logs() as lines:
        loop = start(Counting(fail, pause_s=0.0))
        for _ in range(21):
            loop.next()
    assert [line["event"] for line in lines] == ["round_failed", "waits_for_redis", "redis_refuses"]
    assert {line["left_out"] for line in lines} == {0}


def test_a_round_may_say_when_the_next_one_is_due(start: Callable[[Counting], Counting]) -> None:
    """Instead of the usual pause."""
    pauses = iter([0.0, 0.05])
    loop = start(Counting(lambda: next(pauses, None)))
    loop.next()
    second = loop.next()
    assert loop.next() - second >= 0.05
    assert loop.rounds.empty()


def test_waking_ends_a_pause_be_it_asked_for_during_the_round(start: Callable[[Counting], Counting]) -> None:
    """No news is slept through."""
    began, goes_on = Event(), Event()

    def hold() -> None:
        began.set()
        assert goes_on.wait(PATIENCE_S)

    loop = start(Counting(hold))
    assert began.wait(PATIENCE_S)
    loop.wake()
    goes_on.set()
    loop.next()
    loop.next()
    assert loop.rounds.empty()
    loop.wake()
    loop.next()


class StopsWhenAsked(Event):
    """Somebody stops the loop just after it has seen that it is not stopped yet."""

    def __init__(self, loop: Counting) -> None:
        super().__init__()
        self._loop = loop

    def is_set(self) -> bool:
        """As it was before that."""
        seen = super().is_set()
        if not seen:
            self._loop.stop()
        return seen


def test_a_stop_is_not_missed_at_its_worst_moment(start: Callable[[Counting], Counting]) -> None:
    """The round that begins is the last one, and there is no pause after it."""
    loop = Counting()
    loop._stopping = StopsWhenAsked(loop)
    start(loop).next()
    loop.join(PATIENCE_S)
    assert not loop.is_alive()
    assert loop.rounds.empty()


def test_joining_takes_so_long_at_most_for_all() -> None:
    """Not for each."""
    over = Event()
    threads = [Thread(target=over.wait, daemon=True) for _ in range(200)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    join_all(threads, within_s=0.1)
    assert 0.1 <= time.monotonic() - began < 200 * 0.1
    over.set()
    join_all(threads, within_s=PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
