"""Can a message at the doors of the real app, however malformed, stop a worker, vanish, or keep a good order alive?"""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.broker_app.poison import KINDS
from tests.support.desks import HOUSE, hand_in
from tests.support.envelopes import envelope
from tests.support.rig import Rig, orders
from tests.system.chaos.report import Witness

GOOD: Final = "GOOD"
"""Stands for an order that must be cancelled all the same."""

ONE: Final = {"account": "desk1", "orders": [GOOD]}


def row(**fields: object) -> dict[str, Any]:
    """A message with one bad row before a good one."""
    return {"account": "desk1", "orders": [fields, GOOD]}


DOORS: Final[dict[str, tuple[object, str]]] = {
    "no fields": ({}, "orders: should be a list"),
    "no account": ({"orders": [GOOD]}, "account: is required"),
    "unknown account": (ONE | {"account": "desk9"}, "unknown account 'desk9'"),
    "account of other digits": (ONE | {"account": "desk\uff11"}, "account: should be"),
    "account a number": (ONE | {"account": 1}, "account: should be"),
    "no orders": ({"account": "desk1"}, "orders: should be a list"),
    "orders empty": (ONE | {"orders": []}, "orders: should be a list"),
    "orders an object": (ONE | {"orders": {"instId": "BTC-USDT"}}, "orders: should be a list"),
    "orders a string": (ONE | {"orders": "all"}, "orders: should be a list"),
    "too many orders": (ONE | {"orders": [0] * 100_001}, "orders: should be a list of 1 to 100,000"),
    "a row that is a number": (ONE | {"orders": [7, GOOD]}, "orders[0]: should be an object"),
    "a row that is null": (ONE | {"orders": [None, GOOD]}, "orders[0]: should be an object"),
    "a row that is a list": (ONE | {"orders": [["BTC-USDT", "1"], GOOD]}, "orders[0]: should be an object"),
    "a row nested twenty deep": (ONE | {"orders": [json.loads("[" * 20 + "]" * 20), GOOD]}, "orders[0]: should be"),
    "no id": (row(instId="BTC-USDT"), "ordId or clOrdId is required"),
    "no instrument": (row(ordId="1"), "orders[0].instId: is required"),
    "id a float": (row(instId="BTC-USDT", ordId=2.5e18), "orders[0].ordId: "),
    "id not a number": (row(instId="BTC-USDT", ordId=math.nan), "orders[0].ordId: "),
    "id rounded": (row(instId="BTC-USDT", ordId="2.51079E+18"), "was rounded"),
    "id negative": (row(instId="BTC-USDT", ordId=-1), "orders[0].ordId: should be 1 to 20 digits"),
    "id true": (row(instId="BTC-USDT", ordId=True), "orders[0].ordId: "),
    "id with NUL": (row(instId="BTC-USDT", ordId="1\0"), "orders[0].ordId: should be 1 to 20 digits"),
    "id of Arabic digits": (row(instId="BTC-USDT", ordId="١٢٣"), "orders[0].ordId: should be 1 to 20 digits"),
    "id with a mark of direction": (row(instId="BTC-USDT", ordId="\u202e123"), "orders[0].ordId: should be"),
    "id with a line break": (row(instId="BTC-USDT", clOrdId="a\nb"), "orders[0].clOrdId: should be"),
    "client id with a slash": (row(instId="BTC-USDT", clOrdId="a/o1"), "orders[0].clOrdId: should be"),
    "client id a lone surrogate": (row(instId="BTC-USDT", clOrdId="\ud800"), "orders[0].clOrdId: should be"),
    "client id too long": (row(instId="BTC-USDT", clOrdId="a" * 33), "orders[0].clOrdId: should be"),
    "instrument with NUL": (row(instId="BTC-USDT\0", ordId="1"), "orders[0].instId: should be"),
    "instrument with a colon": (row(instId="BTC:USDT", ordId="1"), "orders[0].instId: should be"),
    "instrument of lookalikes": (row(instId="\u0412\u0422\u0421-USDT", ordId="1"), "orders[0].instId: should be"),
    "instrument without end": (row(instId="A-" * 40_000 + "A", ordId="1"), "orders[0].instId: should be"),
    "batch id with a space": (ONE | {"batch_id": "a b"}, "batch_id: should be"),
    "batch id with NUL": (ONE | {"batch_id": "a\0"}, "batch_id: should be"),
    "batch id without end": (ONE | {"batch_id": "a" * 5_000}, "batch_id: should be"),
    "batch id of another batch": (ONE | {"batch_id": "taken"}, "known with 1 other order"),
    "urgent perhaps": (ONE | {"urgent": "perhaps"}, "urgent: "),
    "deadline of none": (ONE | {"deadline_s": 0}, "deadline_s: "),
    "deadline not a number": (ONE | {"deadline_s": math.nan}, "deadline_s: "),
    "deadline infinite": (ONE | {"deadline_s": math.inf}, "deadline_s: "),
    "reason a lone surrogate": (ONE | {"reason": "\ud83d"}, "reason: should"),
    "reason without end": (ONE | {"reason": "x" * 100_000}, "reason: "),
    "labels a list": (ONE | {"labels": ["a"]}, "labels: "),
    "label with a control character": (ONE | {"labels": {"a": "\x1b[31m"}}, "should hold no control characters"),
    "a field we do not know": (ONE | {"force": True}, "force: is no field of this message"),
    "a field whose name is NUL": (ONE | {"\0": 1}, "is no field of this message"),
    "positional": ([1, 2], "send the fields as kwargs"),
}
WHOLE: Final = frozenset(
    name for name, (said, _) in DOORS.items() if GOOD not in json.dumps(said) or name in
    {"no account", "unknown account", "account of other digits", "account a number", "batch id of another batch"}
)  # fmt: skip
"""Kinds of which nothing can be used."""


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two workers."""
    with Rig(workers=2) as running:
        yield running


def message(said: object, order_id: str, inst_id: str = "BTC-USDT") -> str:
    """The message as it lies in the queue, its good order named."""
    args, kwargs = (said, {}) if isinstance(said, list) else ([], said)
    made = envelope("tasks.cancel_orders", kwargs, args=args)
    good = json.dumps({"instId": inst_id, "ordId": order_id})
    return json.dumps(made | {"body": str(made["body"]).replace(f'"{GOOD}"', good)})


def test_poison_at_the_real_doors(rig: Rig, witness: Witness) -> None:
    """All kinds, and all that the broker's own test knows: kept with reasons, good orders cancelled, workers alive."""
    ids = rig.exchange.control.place(HOUSE, "BTC-USDT", len(DOORS) + 1)
    hand_in(rig, "taken", orders("BTC-USDT", ids[-1:]))
    for (said, _), order_id in zip(DOORS.values(), ids, strict=False):
        rig.store.redis.lpush("cancel", message(said, order_id))
    rig.store.redis.lpush("cancel", *(raw for raw, _ in KINDS.values()))
    expected = len(DOORS) + len(KINDS)
    rig.wait_for(lambda: rig.store.refusals.count() >= expected)
    witness.injected(expected)
    last_one = rig.exchange.control.place(HOUSE, "ETH-USDT", 1)
    rig.store.redis.lpush("cancel", message(ONE, last_one[0], "ETH-USDT"))
    good = [order_id for name, order_id in zip(DOORS, ids, strict=False) if name not in WHOLE]
    rig.wait_for(lambda: rig.exchange.control.summary().live_orders == len(WHOLE))
    assert rig.store.refusals.count() == expected
    told = [error for entry in rig.store.refusals.newest(expected) for error in entry.errors]
    assert [name for name, (_, why) in DOORS.items() if not any(why in error for error in told)] == []
    sends = {order.ordId: order.cancels for order in rig.exchange.control.orders()}
    assert {sends[order_id] for order_id in [*good, *last_one]} == {1}
    assert all(worker.poll() is None for worker in rig.workers)
    assert rig.pids() == {worker.pid for worker in rig.workers}
    rig.wait_for(lambda: all(state_complete(rig, batch) for batch in batches(rig)))
    witness.judge(rig)


def batches(rig: Rig) -> list[str]:
    """Ids of all batches."""
    prefix = rig.store.keys.of("batch", "")
    return [str(key).removeprefix(prefix) for key in rig.store.redis.scan_iter(f"{prefix}*", count=1000)]


def state_complete(rig: Rig, batch: str) -> bool:
    """Whether nothing of the batch waits."""
    return rig.store.batches.state(batch).complete
