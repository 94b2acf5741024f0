"""Which formats does a release read, and what is it told of one that it cannot read?"""

import pytest

from bulk_cancel.worker.state.formats import FORMATS, Formats, Reads, mark_of, unreadable

NEXT: Formats = {"exchange": Reads(1, 2), "runner": Reads(2, 3)}


def test_a_release_reads_two_formats_at_most() -> None:
    """The one that it writes until all have it, and the next one; format 1 is what 1.0 wrote."""
    for reads in FORMATS.values():
        assert 1 <= reads.oldest <= reads.newest <= reads.oldest + 1


def test_a_state_without_a_mark_is_read() -> None:
    """It is release 1.0's."""
    assert unreadable(FORMATS, {"exchange": 1, "runner": 1}) is None


@pytest.mark.parametrize(
    ("exchange", "runner", "words"),
    [
        (3, 2, "the exchange's state in Redis has format 3, this reads 1 to 2: start a release that reads 3"),
        (1, 4, "the runner's state in Redis has format 4, this reads 2 to 3: start a release that reads 4"),
        (2, 1, "the runner's state in Redis has format 1, this reads 2 to 3: raise it with the release before"),
    ],
)
def test_one_that_is_not_read_is_said_in_one_sentence(exchange: int, runner: int, words: str) -> None:
    """What was found, what is needed, and what to do."""
    assert str(unreadable(NEXT, {"exchange": exchange, "runner": runner})) == words


def test_runners_on_one_redis_share_the_exchange_s_mark_alone() -> None:
    """As they share the windows."""
    assert mark_of("exchange", "a") == mark_of("exchange", "b")
    assert mark_of("runner", "a") != mark_of("runner", "b")
