"""Tests of the doors: what is refused is kept with its reason, what Redis cannot take now goes back to its queue."""

import json
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from celery.exceptions import Reject
from pydantic import SecretStr
from redis.exceptions import ConnectionError as Away

from bulk_cancel.tasks.errors import (
    AdmissionError,
    BatchConflictError,
    BulkCancelError,
    NotReplicatedError,
    RedisFullError,
    UnknownAccountError,
)
from bulk_cancel.tasks.reading import Refusal
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
        self.store = self.admission = self.refusals = self.forwarder = self.own = self

    def of_account(self, _: str) -> "Broken":
        """The only shard."""
        return self

    def run(self, _: object, work: Callable[[object], object]) -> object:
        """As the forwarder does where there is one shard."""
        return work(self)

    def admit(self, *_: object, **__: object) -> None:
        """Takes nothing."""
        raise self.error

    def add(self, payload: str, errors: Sequence[str], **_: object) -> None:
        """Keeps a message."""
        assert "b1" in payload
        self.kept.append(tuple(errors))

    def add_all(self, refusals: Sequence[Refusal], **_: object) -> None:
        """Keeps what was refused of a message."""
        for refusal in refusals:
            self.add(refusal.payload, refusal.errors)


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


class Taking(Broken):
    """A runtime that takes nothing and keeps what is refused, with its payload and source."""

    def __init__(self) -> None:
        super().__init__(AdmissionError("why"))
        self.said: list[tuple[str, Sequence[str], object]] = []
        self.settings = SimpleNamespace(broker_url=SecretStr("redis://x"))

    def add(self, payload: str, errors: Sequence[str], **said: object) -> None:
        """Keeps a follow-up."""
        self.said.append((payload, errors, said["source"]))


@pytest.fixture
def taking() -> Iterator[Taking]:
    """The process runs one."""
    made = Taking()
    set_current(cast("Runtime", made))
    yield made
    set_current(None)


def test_follow_ups_that_cannot_be_sent_are_kept(taking: Taking) -> None:
    """With what was asked, every reason, and that the orders themselves are not meant."""
    doors.carry_on({"chord": {"task": "body"}, "callbacks": [5]}, message_id="m1", source="tasks.cancel_all", done=True)
    ((payload, errors, source),) = taking.said
    assert json.loads(payload) == {"chord": {"task": "body"}, "callbacks": [5]}
    assert [fault.partition(":")[0] for fault in errors] == ["chord", "callbacks[0]"]
    assert source == "tasks.cancel_all: follow-ups"


def test_a_message_without_follow_ups_sends_none(taking: Taking) -> None:
    """Not even an app is made."""
    doors.carry_on({}, message_id="m1", source="tasks.cancel_all", done=True)
    doors.carry_on(None, message_id="m1", source="tasks.cancel_all", done=True)
    assert taking.said == []


def test_follow_ups_wait_for_a_broker_that_is_away(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message goes back, and its follow-ups are sent when it comes again."""

    def away(*_: object, **__: object) -> None:
        raise Away("away")

    monkeypatch.setattr(doors, "PAUSE_S", 0)
    monkeypatch.setattr(doors, "send", away)
    with pytest.raises(Reject, match="away") as back:
        doors.carry_on({"callbacks": [{"task": "t"}]}, message_id="m1", source="tasks.cancel_all", done=True)
    assert back.value.requeue
    assert taking.said == []
