"""Are the limiter's times and the earliest end what the proof and the limits say?"""

import pytest

from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.state.window import LaneLoad, Timing, earliest_s


def test_the_times_of_the_proof() -> None:
    """In µs, from a window of 2 s and a timeout of 3 s; the window has 1 ms for the drift of clocks."""
    timing = Timing(2.0, 3.0)
    assert (timing.window_us, timing.claim_us, timing.open_us) == (2_001_000, 4_000_000, 7_000_000)
    assert timing.blackout_us == 9_001_000


def test_a_share_leaves_room_for_others_but_never_nothing() -> None:
    """At least one request."""
    assert Limits(60, 300).scaled(0.5) == Limits(30, 150)
    assert Limits(60, 300).scaled(0.001) == Limits(1, 0)


@pytest.mark.parametrize(
    ("queued", "used", "batch_size", "seconds"),
    [
        (360, (0, 0), 20, 0.0),
        (361, (0, 0), 20, 2.0),
        (60, (0, 0), 0, 0.0),
        (61, (0, 0), 0, 2.0),
        (181, (0, 0), 0, 6.0),
        (1, (60, 0), 0, 2.0),
        (100, (60, 300), 20, 2.0),
    ],
)
def test_the_earliest_end(queued: int, used: tuple[int, int], batch_size: int, seconds: float) -> None:
    """How many windows the jobs need beyond the slots that are free now."""
    load = LaneLoad(queued, *used, held_s=0.0)
    assert earliest_s(load, Limits(60, 300), batch_size, 2.0) == seconds


def test_a_lane_that_is_held_ends_no_earlier() -> None:
    """A rest delays even one order."""
    assert earliest_s(LaneLoad(1, 0, 0, held_s=7.5), Limits(60, 300), 20, 2.0) == 7.5
