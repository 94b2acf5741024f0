"""Celery's `task_always_eager` with the test kit: a task that is run at once is what it would be by message."""

import pytest
from celery import Celery
from kombu.entity import Queue

from bulk_cancel.tasks.cancel import cancel_order, cancel_orders
from bulk_cancel.tasks.testing.kit import opened

ONE = {"instId": "BTC-USDT", "ordId": "1"}


# Celery says so of every task that names one
@pytest.mark.filterwarnings(r"ignore:\s*The 'queue' task attribute is deprecated")
@pytest.mark.parametrize(
    ("told", "urgent"),
    [
        ({"queue": "urgent"}, True),
        ({"queue": Queue("urgent")}, True),  # type: ignore[no-untyped-call]
        ({"routing_key": "urgent", "exchange": ""}, True),
        ({"queue": "cancel"}, False),
        ({}, False),
    ],
)
def test_what_goes_by_the_queue_urgent_is_urgent(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, object], *, urgent: bool
) -> None:
    """However the queue is named, by a call and by a signature."""
    with opened(["desk1"], monkeypatch) as kit, Celery(broker=kit.url, set_as_current=True) as app:
        app.conf.task_always_eager = True
        cancel_orders.apply_async(kwargs={"batch_id": "b", "account": "desk1", "orders": [ONE]}, **told)
        cancel_order.signature(kwargs={"batch_id": "c", "account": "desk1", **ONE}, **told).delay()
        assert kit.deliver() == 0
        assert [(each.batch_id, each.urgent) for each in kit.batches()] == [("b", urgent), ("c", urgent)]
