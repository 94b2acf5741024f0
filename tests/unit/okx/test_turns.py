"""Do connections to one host keep apart, however many want one at once?"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pytest

from bulk_cancel.worker.okx import channel
from bulk_cancel.worker.okx.turns import Turns


def test_who_comes_first_goes_at_once_and_the_others_one_after_another() -> None:
    """As far apart as each asks for; a turn that nobody took for a while costs the next one nothing."""
    turns = Turns()
    assert [turns.take(7.0, apart_s=0.4) for _ in range(3)] == pytest.approx([0.0, 0.4, 0.8])
    assert turns.take(7.5, apart_s=0.4) == pytest.approx(0.7)
    assert [turns.take(9.0, apart_s=0.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_all_channels_to_a_host_share_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that begin at the same moment, too: each with turns of its own, they would all connect at once."""
    both = Barrier(2)

    class SlowlyMade(Turns):
        """Is not there before another thread asks for it as well, if that can be."""

        def __init__(self) -> None:
            with suppress(BrokenBarrierError):
                both.wait(0.2)
            super().__init__()

    monkeypatch.setattr(channel, "Turns", SlowlyMade)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(channel.turns_of, ["slow.example"] * 2)
    assert first is second
    assert channel.turns_of("other.example") is not first
