"""A producer's chain and link through a real worker: the orders are cancelled, and what follows is sent."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import pytest
from redis import Redis

from tests.support.checkout import ROOT
from tests.support.rig import Rig

PRODUCER = """
import sys
from celery import Celery, chain, signature
url, first, second = sys.argv[1:]
app = Celery(broker=url)

def cancel(batch_id, order_id):
    orders = [{"instId": "BTC-USDT", "ordId": order_id}]
    asked = {"batch_id": batch_id, "account": "desk1", "orders": orders}
    return app.signature("tasks.cancel_orders", kwargs=asked, options={"queue": "cancel"})

chain(cancel("one", first), cancel("two", second), app.signature("app.report", options={"queue": "reports"}))()
"""


@pytest.fixture
def rig() -> Iterator[Rig]:
    """One worker."""
    with Rig(workers=1) as running:
        yield running


def test_a_chain_runs_to_its_end(rig: Rig) -> None:
    """Both of our links cancel, and the last one lies in its program's queue."""
    first, second = rig.exchange.control.place("1001", "BTC-USDT", 2)
    subprocess.run([sys.executable, "-c", PRODUCER, rig.redis.url, first, second], cwd=ROOT, check=True)
    rig.taken("two")
    assert rig.done("one").counts == {"canceled": 1}
    assert rig.done("two").counts == {"canceled": 1}
    with Redis.from_url(rig.redis.url) as client:
        rig.wait_for(lambda: client.llen("reports") == 1)
        message = json.loads(cast("bytes", client.lindex("reports", 0)))
    assert message["headers"]["task"] == "app.report"
    assert json.loads(base64.b64decode(message["body"]))[0] == [None]
