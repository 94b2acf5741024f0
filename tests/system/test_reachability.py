"""Does a worker that is cut off from the exchange leave the work to those that are not?"""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from tests.support.rig import Rig, orders

INSTRUMENTS = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Two workers and what they log."""
    with Rig(workers=0, settings={"ACCOUNTS__DESK1__ENDPOINTS": "single", "CONFIRM": "off"}) as running:
        running.log_file = tmp_path / "workers.log"
        running.start_workers(2)
        running.wait_for(lambda: running.consuming() == 2)
        yield running


def cut_off(rig: Rig, pid: int) -> None:
    """From now on this worker can open no connection (no file at all), and none to the exchange is left, of either."""
    most = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, most))
    rig.exchange.control.refuse_connections(0.0)
    rig.exchange.control.accept_connections()


def test_a_worker_that_is_cut_off_holds_nobody_up(rig: Rig) -> None:
    """Its orders go back unsent, the other sends them all; the address does not rest for everybody."""
    sick, healthy = rig.workers
    cut_off(rig, sick.pid)
    rows = [row for each in INSTRUMENTS for row in orders(each, rig.exchange.control.place(DEFAULT_KEY.uid, each, 120))]
    rig.store.admission.admit(parse_cancel_orders(account="desk1", batch_id="b", orders=rows))
    assert rig.done("b").counts == {"accepted": 480}
    senders = {str(row.log[0]["worker"]).rpartition(":")[2] for row in rig.store.batches.rows("b")}
    assert senders == {str(healthy.pid)}
    logged = rig.log_file.read_text("utf-8")
    assert "exchange_out_of_reach" in logged
    assert "scope_rests" not in logged
