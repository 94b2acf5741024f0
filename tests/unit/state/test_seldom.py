"""Is a line that comes often written now and then, with the count of the others?"""

import time

import pytest

from bulk_cancel.worker.state.seldom import Seldom


def test_one_in_some_seconds_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of each kind at once; a later one says how many were left out."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    seldom = Seldom(every_s=10)
    assert [seldom.left_out("full") for _ in range(3)] == [0, None, None]
    assert seldom.left_out("gone") == 0
    now += 9.9
    assert seldom.left_out("full") is None
    now += 0.1
    assert [seldom.left_out("full") for _ in range(2)] == [3, None]
    assert seldom.left_out("gone") == 0
