"""When an order cannot be cancelled in time or in as many attempts as allowed, does everybody get to know?"""

import json
from pathlib import Path
from typing import Any, Final

from tests.system.chaos.desks import HOUSE, cli, hand_in, logged
from tests.system.chaos.report import Witness
from tests.system.rig import Rig, orders
from worker.simulator.faults import maintenance

MANY: Final = 30


def loud(rig: Rig, event: str) -> dict[str, dict[str, Any]]:
    """The ERROR lines of this event by order."""
    return {line["job"]: line for line in logged(rig) if line["event"] == event and line["level"] == "error"}


def check_loud(rig: Rig, batch: str, ids: list[str]) -> None:
    """Each order has its line in the log; the batch ends with exit status 1 wherever one asks."""
    rig.wait_for(lambda: len(loud(rig, "order_may_be_live")) >= len(ids))
    lines = loud(rig, "order_may_be_live")
    assert {job.rpartition("/o")[2] for job in lines} == set(ids)
    assert all(batch in line["batches"] and line["lane"].endswith("/BTC-USDT") for line in lines.values())
    shown = cli(rig, "status", batch)
    assert shown.returncode == 1
    assert f"{len(ids)} exhausted" in shown.stdout
    told = cli(rig, "outcomes", batch, "--status", "exhausted", "--format", "jsonl")
    assert told.returncode == 1
    assert {json.loads(line)["ordId"] for line in told.stdout.splitlines()} == set(ids)


def test_attempts_used_up(witness: Witness, tmp_path: Path) -> None:
    """The exchange says "being cancelled" again and again, and never cancels: after three attempts we say so."""
    with Rig(workers=0, settings={"MAX_ATTEMPTS": "3"}) as rig:
        rig.log_file = tmp_path / "workers.log"
        rig.start_workers(2)
        ids = rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)
        for order_id in ids[:5]:
            rig.exchange.control.script(order_id, ["51410"] * 9)
        hand_in(rig, "b", orders("BTC-USDT", ids))
        witness.injected(5)
        assert rig.done("b").counts == {"accepted": MANY - 5, "exhausted": 5}
        assert {row.attempts for row in rig.store.batches.rows("b") if row.status == "exhausted"} == {3}
        check_loud(rig, "b", ids[:5])
        assert {line["sCode"] for line in loud(rig, "order_may_be_live").values()} == {"51410"}
        witness.judge(rig)


def test_deadline_passed_while_queued(witness: Witness, tmp_path: Path) -> None:
    """The exchange is down for longer than the batch may take: nothing is sent late, and every order is named."""
    with Rig(workers=0) as rig:
        rig.log_file = tmp_path / "workers.log"
        rig.start_workers(2)
        ids = rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)
        rig.exchange.control.add_fault(maintenance())
        hand_in(rig, "b", orders("BTC-USDT", ids), deadline_s=2)
        witness.injected()
        assert rig.done("b", 20).counts == {"exhausted": MANY}
        took_s = (rig.store.batches.state("b").completed_at - rig.store.batches.state("b").created_at).total_seconds()  # type: ignore[operator]
        assert took_s < 2 + 3
        before = rig.exchange.control.summary().arrivals
        rig.exchange.control.remove_fault()
        witness.ended()
        check_loud(rig, "b", ids)
        hand_in(rig, "next", orders("BTC-USDT", ids))
        assert rig.done("next").counts == {"accepted": MANY}
        assert rig.exchange.control.summary().arrivals > before
        witness.judge(rig, batches=2)
