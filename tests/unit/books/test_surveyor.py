"""Is what a mass cancel leaves told once?"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from bulk_cancel.worker.books.able import Able, Survey
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.books.mass.surveyor import tell_incomplete

AT = datetime(2026, 11, 1, tzinfo=UTC)
HOLD = Mass("h", "desk1", "u1", Scope(), 0.0, urgent=True, state="running", started_at=AT, deadline_at=AT, hold=True)
LEFT = Survey((Able("trigger", 2, {"A-B": 2}),))
MORE = Survey((Able("trigger", 3, {"A-B": 3}),))
UNKNOWN = Survey(unknown={"rfq": "no answer"})


@pytest.mark.parametrize(
    ("before", "seen", "told"),
    [
        (None, LEFT, 1),
        (None, UNKNOWN, 1),
        (None, Survey(), 0),
        (LEFT, Survey.of(LEFT.text), 0),
        (LEFT, MORE, 1),
        (LEFT, UNKNOWN, 1),
        (LEFT, Survey(), 0),
        (Survey(), LEFT, 1),
    ],
)
def test_it_is_told_when_it_changes(before: Survey | None, seen: Survey, told: int) -> None:
    """A hold is looked at again and again; what is complete is nobody's trouble."""
    with capture_logs() as lines:
        tell_incomplete(replace(HOLD, survey=before), seen)
    assert [(line["event"], line["log_level"], line["what"]) for line in lines] == [
        ("mass_cancel_incomplete", "warning", seen.words)
    ] * told
