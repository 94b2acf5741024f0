"""What is refused of a message: it is kept, whatever stands in it, and only its rows may be live orders."""

import json

import pytest
from redis import Redis

from bulk_cancel.tasks.reading import Refusal
from bulk_cancel.tasks.testing.kit import opened
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.refused import Refusals
from tests.support.envelopes import envelope

HALF, ESCAPED = "\ud83d", r"\ud83d"
GOOD = {"instId": "BTC-USDT", "ordId": "1"}


def test_no_text_keeps_a_refusal_from_being_written(redis: Redis) -> None:
    """One alone, and several of one message; nothing is raised, the log of it included."""
    refusals = Refusals(redis, Keys("t"))
    refusals.add(HALF, [HALF], source=HALF, batch_id=HALF, account=HALF)
    refusals.add_all([Refusal(HALF, (HALF,), HALF, HALF)] * 2, source=HALF)
    for entry in refusals.newest(10):
        assert (entry.source, entry.batch_id, entry.account, entry.payload) == (ESCAPED,) * 4
        assert (entry.errors, entry.length) == ((HALF,), 1)
    assert refusals.count() == 3


@pytest.mark.parametrize(
    ("task", "kwargs", "told"),
    [
        ("tasks.cancel_orders", {"account": HALF, "batch_id": "b", "orders": [GOOD]}, ("b", ESCAPED, "account")),
        ("tasks.cancel_order", {"account": HALF, "batch_id": "b", **GOOD}, ("b", ESCAPED, "account")),
        ("tasks.cancel_orders", {"account": "desk1", "batch_id": HALF, "orders": 5}, (ESCAPED, "desk1", "orders")),
        ("tasks.cancel_all", {"account": "desk1", "batch_id": HALF}, (ESCAPED, "desk1", "batch_id")),
        ("tasks.cancel_all", {"account": HALF, "batch_id": "b"}, ("b", ESCAPED, "account")),
    ],
)
def test_a_message_with_half_a_character_does_not_vanish(
    monkeypatch: pytest.MonkeyPatch, task: str, kwargs: dict[str, object], told: tuple[str, ...]
) -> None:
    """It is refused with its reason, and with whose it was."""
    with opened(["desk1"], monkeypatch) as kit, Redis.from_url(kit.url) as redis:
        redis.lpush("cancel", json.dumps(envelope(task, kwargs)))
        [refused] = kit.refused()
        assert (refused.batch_id, refused.account, refused.errors[0].partition(":")[0]) == told
        assert kit.batches() == []


def test_orders_beside_a_field_that_is_half_a_character_are_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the field is refused."""
    with opened(["desk1"], monkeypatch) as kit, Redis.from_url(kit.url) as redis:
        message = {"account": "desk1", "batch_id": "b", "orders": [GOOD], HALF: 1}
        redis.lpush("cancel", json.dumps(envelope("tasks.cancel_orders", message)))
        assert [each.batch_id for each in kit.batches()] == ["b"]
        [refused] = kit.refused()
        assert refused.errors == (r"['\\ud83d']: is no field of this message",)


@pytest.mark.parametrize("rows", [0, 3, 25])
@pytest.mark.parametrize("beside", [{}, {"reason": "x" * 300}, {"priority": 3}])
def test_only_rows_that_are_refused_may_be_live(
    monkeypatch: pytest.MonkeyPatch, rows: int, beside: dict[str, object]
) -> None:
    """Each of them, also where many are one entry; a fault beside the orders is none of them."""
    orders = [GOOD, *({"instId": "BTC-USDT", "ordId": f"0{number}"} for number in range(rows))]
    with opened(["desk1"], monkeypatch) as kit, Redis.from_url(kit.url) as redis:
        message = {"account": "desk1", "batch_id": "b", "orders": orders, **beside}
        redis.lpush("cancel", json.dumps(envelope("tasks.cancel_orders", message)))
        state = kit.end("b")
        assert (state.refused, state.dead, state.counts) == (rows, rows, {"canceled": 1})
        assert bool(kit.refused()) == bool(rows or beside)
