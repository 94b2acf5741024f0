"""Is all that is handed to the threads done, however it comes and whatever it raises?"""

from collections.abc import Sequence
from threading import Event, Lock, Semaphore, Thread
from unittest.mock import patch

from bulk_cancel.worker.sending import threads
from bulk_cancel.worker.sending.threads import AT_ONCE, ThreadPool
from tests.support.waiting import PATIENCE_S


def test_what_came_before_a_thread_runs_is_its_own() -> None:
    """In its order; of more than it takes at once the rest calls another thread."""
    first, go_on, done, taken = Event(), Event(), Semaphore(0), list[list[int]]()

    def work(each: Sequence[int]) -> None:
        taken.append(list(each))
        first.set()
        assert go_on.wait(PATIENCE_S)
        done.release(len(each))

    pool = ThreadPool(1, work, name="test")
    pool.hand(0)
    assert first.wait(PATIENCE_S)
    for number in range(1, AT_ONCE + 3):
        pool.hand(number)
    go_on.set()
    assert all(done.acquire(timeout=PATIENCE_S) for _ in range(AT_ONCE + 3))
    assert taken == [[0], list(range(1, AT_ONCE + 1)), [AT_ONCE + 1, AT_ONCE + 2]]
    pool.dismiss()


def test_nothing_is_left_however_many_hand_at_once() -> None:
    """A call that is thought to be on its way, and is not, would leave the last one there for ever."""
    count, lock, seen, done = 5_000, Lock(), set[int](), Semaphore(0)

    def work(each: Sequence[int]) -> None:
        with lock:
            seen.update(each)
        done.release(len(each))

    pool = ThreadPool(2, work, name="test")

    def hand_all(numbers: range) -> None:
        for number in numbers:
            pool.hand(number)

    hands = [Thread(target=hand_all, args=[range(base, base + count)]) for base in (0, count)]
    for hand in hands:
        hand.start()
    assert all(done.acquire(timeout=PATIENCE_S) for _ in range(2 * count))
    assert seen == set(range(2 * count))
    pool.dismiss()


def test_what_work_raises_ends_no_thread() -> None:
    """The next one is done as well."""
    done = Semaphore(0)

    def work(each: Sequence[int]) -> None:
        done.release()
        raise ValueError(str(each))

    pool = ThreadPool(1, work, name="test")
    for number in range(2):
        pool.hand(number)
        assert done.acquire(timeout=PATIENCE_S)
    pool.dismiss()


def test_a_thread_waits_for_what_is_expected() -> None:
    """Not when all of that is there."""
    taken, expected, done = list[int](), [3], Semaphore(0)

    def work(each: Sequence[int]) -> None:
        taken.append(len(each))
        done.release(len(each))

    pool = ThreadPool(1, work, name="test", expected=lambda: expected[0])

    def two_more(_: float) -> None:
        for number in range(2):
            pool.hand(number)

    with patch.object(threads, "sleep", side_effect=two_more) as slept:
        pool.hand(2)
        assert all(done.acquire(timeout=PATIENCE_S) for _ in range(3))
        expected[0] = 1
        pool.hand(3)
        assert done.acquire(timeout=PATIENCE_S)
    pool.dismiss()
    assert (taken, slept.call_count) == ([3, 1], 1)


def test_a_thread_that_has_its_fill_does_not_wait_for_more() -> None:
    """However many are expected."""
    first, go_on, done, seen, expected = Event(), Event(), Semaphore(0), list[object](), [1]

    def work(each: Sequence[int]) -> None:
        seen.append(len(each))
        first.set()
        assert go_on.wait(PATIENCE_S)
        done.release(len(each))

    pool = ThreadPool(1, work, name="test", expected=lambda: expected[0])
    with patch.object(threads, "sleep", side_effect=lambda _: seen.append("waited")):
        pool.hand(0)
        assert first.wait(PATIENCE_S)
        for number in range(AT_ONCE):
            pool.hand(number)
        expected[0] = 2 * AT_ONCE
        go_on.set()
        assert all(done.acquire(timeout=PATIENCE_S) for _ in range(AT_ONCE + 1))
    pool.dismiss()
    assert seen[:2] == [1, AT_ONCE]
