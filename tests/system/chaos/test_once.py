"""An order asked for again and again, by many at once: is it one job, one send, and counted by every batch?"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast

import pytest

from tests.support.desks import HOUSE, hand_in
from tests.support.envelopes import envelope
from tests.support.rig import Rig, orders
from tests.support.waiting import PATIENCE_S
from tests.system.chaos.report import Witness

MANY: Final = 100

PRODUCER: Final = """
import json, sys
from bulk_cancel.tasks import submit
sys.stdout.write("ready\\n"); sys.stdout.flush()
orders = json.loads(sys.stdin.readline())
receipt = submit(orders, account="desk1", batch_id="shared")
print(receipt.new + receipt.joined)
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """Two workers."""
    with Rig(workers=2) as running:
        yield running


def message(batch_id: str, rows: list[dict[str, str]]) -> str:
    """A `tasks.cancel_orders` message as a producer without Celery pushes it; each has an id of its own."""
    kwargs = {"batch_id": batch_id, "account": "desk1", "orders": rows}
    return json.dumps(envelope("tasks.cancel_orders", kwargs))


def outcomes(rig: Rig, ids: AbstractSet[str]) -> Counter[str]:
    """Entries of the outcome stream about these orders, by order."""
    found = cast("list[tuple[str, dict[str, str]]]", rig.store.redis.xrange(rig.store.keys.of("outcomes")))
    return Counter(order for _, entry in found if (order := entry["order"].rpartition("/o")[2]) in ids)


def check_once(rig: Rig, rows: Iterable[Mapping[str, str]]) -> None:
    """One send and one outcome for each order."""
    ids = {row["ordId"] for row in rows}
    assert outcomes(rig, ids) == Counter(dict.fromkeys(ids, 1))
    sends = {order.ordId: order.cancels for order in rig.exchange.control.orders()}
    assert {sends[each] for each in ids} == {1}


def test_the_same_message_fifty_times(rig: Rig, witness: Witness) -> None:
    """Pushed raw, half of them before and half of them after the first was done."""
    rows = list(orders("BTC-USDT", rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)))
    rig.store.redis.lpush("cancel", *(message("again", rows) for _ in range(25)))
    rig.taken("again")
    assert rig.done("again").counts == {"canceled": MANY}
    rig.store.redis.lpush("cancel", *(message("again", rows) for _ in range(25)))
    rig.wait_for(lambda: not rig.store.redis.llen("cancel"))
    hand_in(rig, "behind", orders("ETH-USDT", rig.exchange.control.place(HOUSE, "ETH-USDT", 1)))
    rig.done("behind")
    check_once(rig, rows)
    assert rig.store.refusals.count() == 0
    witness.injected(49).judge(rig)


def test_one_batch_id_from_many_producers_at_once(rig: Rig, witness: Witness, *, long: bool) -> None:
    """Two processes (long: four) and twice as many threads in the same instant: together they open each job once."""
    rows = list(orders("BTC-USDT", rig.exchange.control.place(HOUSE, "BTC-USDT", 6 * MANY)))
    producers = [start_producer(rig) for _ in range(4 if long else 2)]
    for each in producers:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(3 * len(producers)) as threads:
        told = [threads.submit(each.communicate, json.dumps(rows) + "\n", PATIENCE_S) for each in producers]
        mine = [threads.submit(hand_in, rig, "shared", rows) for _ in range(2 * len(producers))]
    opened = [int(each.result()[0]) for each in told] + [each.result().new for each in mine]
    assert sum(opened) == len(rows)
    assert rig.done("shared", 40).counts == {"canceled": len(rows)}
    check_once(rig, rows)
    witness.injected(3 * len(producers) - 1).judge(rig)


def start_producer(rig: Rig) -> subprocess.Popen[str]:
    """A process that submits what it reads as soon as it reads it."""
    command = [sys.executable, "-c", PRODUCER]
    return subprocess.Popen(
        command, env=os.environ | rig.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_the_same_orders_in_five_batches(witness: Witness) -> None:
    """One of them urgent, one the other way round: every batch gets its rows, the exchange sees each order once."""
    with Rig(workers=0) as rig:
        rows = list(orders("BTC-USDT", rig.exchange.control.place(HOUSE, "BTC-USDT", 3 * MANY)))
        receipts = [
            hand_in(rig, name, rows if name != "b" else rows[::-1], urgent=name == "d")
            for name in ("a", "b", "c", "d", "e")
        ]
        assert [(each.new, each.joined) for each in receipts] == [(len(rows), 0), *[(0, len(rows))] * 4]
        rig.start_workers(2)
        for name in "abcde":
            assert rig.done(name).counts == {"canceled": len(rows)}
            assert len(rig.store.batches.rows(name)) == len(rows)
        check_once(rig, rows)
        witness.injected(4).judge(rig, batches=5)
