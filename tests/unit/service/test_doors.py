"""Tests of the doors: what is refused is kept with its reason, what Redis cannot take now goes back to its queue."""

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from celery.exceptions import Reject
from redis.exceptions import ConnectionError as Away

from bulk_cancel.tasks.errors import (
    AdmissionError,
    BatchConflictError,
    BulkCancelError,
    NotReplicatedError,
    RedisFullError,
    UnknownAccountError,
)
from bulk_cancel.worker.service import doors
from bulk_cancel.worker.service.runtime import Runtime, set_current

ONE = {"account": "desk1", "batch_id": "b1", "instId": "BTC-USDT", "ordId": "1"}
ALL = {"account": "desk1", "batch_id": "b1"}
REFUSALS = (AdmissionError("why"), BatchConflictError("why"), UnknownAccountError("desk1", []), BulkCancelError("why"))
LATER = (RedisFullError("full"), NotReplicatedError("alone"), Away("away"))


class Broken:
    """A runtime whose store takes no work, for `error`; `kept` has the errors of each message that it kept."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.kept: list[tuple[str, ...]] = []
        self.store = self.admission = self.refusals = self

    def admit(self, *_: object, **__: object) -> None:
        """Takes nothing."""
        raise self.error

    def add(self, payload: str, errors: tuple[str, ...], **_: object) -> None:
        """Keeps a message."""
        assert "b1" in payload
        self.kept.append(errors)


@pytest.fixture
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    """The process runs one whose error is the test's parameter."""
    made = Broken(request.param)
    monkeypatch.setattr(doors, "PAUSE_S", 0)
    monkeypatch.setattr(doors, "Masses", lambda store: type("Masses", (), {"take": store.admit}))
    set_current(cast("Runtime", made))
    yield made
    set_current(None)


def order() -> None:
    """One order comes."""
    doors.take_cancel_order((), ONE, message_id="m1", urgent_queue=False)


def everything() -> None:
    """A mass cancel comes."""
    doors.take_cancel_all((), ALL, message_id="m1")


@pytest.mark.parametrize("come", [order, everything])
@pytest.mark.parametrize("broken", REFUSALS, indirect=True, ids=lambda error: type(error).__name__)
def test_what_is_refused_is_kept_with_its_reason(broken: Broken, come: Callable[[], None]) -> None:
    """Any error of our tree says why, for people."""
    come()
    assert broken.kept == [(str(broken.error),)]


@pytest.mark.parametrize("come", [order, everything])
@pytest.mark.parametrize("broken", LATER, indirect=True, ids=lambda error: type(error).__name__)
def test_what_cannot_be_taken_now_goes_back(broken: Broken, come: Callable[[], None]) -> None:
    """To the queue, and it is not refused."""
    with pytest.raises(Reject, match=str(broken.error)) as back:
        come()
    assert back.value.requeue
    assert broken.kept == []
