"""Are permits shared fairly, by the handful, and never more than there are?"""

import pytest

from bulk_cancel.worker.sending.permits import Permits


@pytest.mark.parametrize(
    ("free", "lanes", "taken"),
    [
        (64, 1, 64),  # nobody else wants any
        (64, 3, 21),  # a fair part
        (64, 20, 16),  # at least a handful
        (20, 3, 16),
        (5, 3, 5),  # or all that are left
        (0, 3, 0),
    ],
)
def test_a_lane_gets_a_fair_part_or_a_handful(free: int, lanes: int, taken: int) -> None:
    """Whichever is more, as long as there are so many."""
    permits = Permits(64)
    permits.free = free
    assert (permits.take(lanes=lanes), permits.free) == (taken, free - taken)


def test_what_is_given_back_is_free_again() -> None:
    """And counts for the lanes that could have a handful."""
    permits = Permits(64)
    assert (permits.handful, permits.handfuls, permits.in_flight) == (16, 4, 0)
    permits.take(lanes=4)
    assert (permits.handfuls, permits.in_flight) == (3, 16)
    permits.give(15)
    assert (permits.handfuls, permits.in_flight) == (3, 1)


def test_a_process_of_few_permits_gives_them_one_by_one() -> None:
    """A handful is never nothing."""
    permits = Permits(4)
    assert (permits.handful, permits.handfuls) == (1, 4)
