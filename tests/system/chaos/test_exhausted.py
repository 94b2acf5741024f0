"""When an order cannot be cancelled in time or in as many attempts as allowed, does everybody get to know?"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from bulk_cancel.worker.simulator.faults import maintenance
from tests.support.desks import HOUSE, cli, hand_in, logged
from tests.support.rig import Rig, orders
from tests.system.chaos.report import Witness

MANY: Final = 30


def loud(rig: Rig, batch: str) -> dict[str, dict[str, Any]]:
    """The ERROR lines about orders of this batch that may be live, by order."""
    lines = (line for line in logged(rig) if line["event"] == "order_may_be_live" and line["level"] == "error")
    return {line["order"]: line for line in lines if batch in line["batches"]}


def check_loud(rig: Rig, batch: str, ids: list[str]) -> None:
    """Each order has its line in the log; the batch ends with exit status 1 wherever one asks."""
    rig.wait_for(lambda: len(loud(rig, batch)) >= len(ids))
    lines = loud(rig, batch)
    assert {job.rpartition("/o")[2] for job in lines} == set(ids)
    assert all(line["lane"] == job.rpartition("/")[0] for job, line in lines.items())
    asked = (("status", batch), ("outcomes", batch, "--status", "exhausted", "--format", "jsonl"))
    with ThreadPoolExecutor(len(asked)) as threads:
        shown, told = threads.map(lambda arguments: cli(rig, *arguments), asked)
    assert shown.returncode == 1
    assert f"{len(ids)} exhausted" in shown.stdout
    assert told.returncode == 1
    assert {json.loads(line)["ordId"] for line in told.stdout.splitlines()} == set(ids)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A worker that tries an order three times."""
    with Rig(workers=0, settings={"MAX_ATTEMPTS": "3"}) as running:
        running.log_file = tmp_path_factory.mktemp("logs") / "workers.log"
        running.start_workers(1)
        yield running


def test_attempts_used_up(rig: Rig, witness: Witness) -> None:
    """The exchange says "the cancel timed out" again and again, and never cancels: after three attempts we say so."""
    ids = rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)
    for order_id in ids[:5]:
        rig.exchange.control.script(order_id, ["51412"] * 9)
    hand_in(rig, "stuck", orders("BTC-USDT", ids))
    witness.injected(5)
    assert rig.done("stuck").counts == {"canceled": MANY - 5, "exhausted": 5}
    assert {row.attempts for row in rig.store.batches.rows("stuck") if row.status == "exhausted"} == {3}
    check_loud(rig, "stuck", ids[:5])
    assert {line["sCode"] for line in loud(rig, "stuck").values()} == {"51412"}
    witness.judge(rig)


def test_deadline_passed_while_queued(
    rig: Rig,
    witness: Witness,
    slack: float,
) -> None:
    """The exchange is down for longer than the batch may take: nothing is sent late, and every order is named."""
    ids = rig.exchange.control.place(HOUSE, "ETH-USDT", MANY)
    fault = rig.exchange.control.add_fault(maintenance())
    hand_in(rig, "late", orders("ETH-USDT", ids), deadline_s=2)
    witness.injected()
    assert rig.done("late").counts == {"exhausted": MANY}
    state = rig.store.batches.state("late")
    assert state.completed_at is not None
    assert (state.completed_at - state.deadline_at).total_seconds() < 3 * slack
    before = rig.exchange.control.summary().arrivals
    rig.exchange.control.remove_fault(fault)
    check_loud(rig, "late", ids)
    assert rig.exchange.control.summary().arrivals == before
    witness.ended()
    hand_in(rig, "next", orders("ETH-USDT", ids))
    assert rig.done("next").counts == {"canceled": MANY}
    witness.judge(rig)
