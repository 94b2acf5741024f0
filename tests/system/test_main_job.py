"""Is every order that was handed in brought to a known, persisted state, through real workers, and never too fast?"""

import itertools
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import pytest

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Fault, Network
from bulk_cancel.worker.simulator.log import CANCELS, Arrival, MeterSummary
from bulk_cancel.worker.simulator.messages import Summary
from bulk_cancel.worker.simulator.meters import Limits
from tests.support.checkout import ROOT
from tests.support.rig import Rig, orders

UID = "1001"
OPTIONS = ("BTC-USD-271231-100000-C", "BTC-USD-271231-100000-P")
LONG_WINDOW_S = 10
"""Of a test in which all is sent within one window, whatever else the machine is busy with."""

ALL_USED = {"single": (60, 0, 60), "batch": (300, 0, 300)}
"""Weight, refusals and the most in any window of a lane's meters, when both limits are used up."""

FOREIGN = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1])
order_id, instrument = sys.argv[2:]
kwargs = {"batch_id": "foreign", "account": "desk1", "orders": [
    {"instId": instrument, "ordId": order_id}, {"instId": "BTC USDT", "ordId": "1"}]}
app.send_task("tasks.cancel_orders", kwargs=kwargs, queue="cancel")
"""


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two workers, no latency."""
    with Rig(workers=2) as running:
        yield running


def submit(rig: Rig, batch_id: str, *rows: dict[str, str], **fields: object) -> None:
    """Hands in a batch of account desk1."""
    asked = parse_cancel_orders(account="desk1", batch_id=batch_id, orders=rows, **fields)  # type: ignore[arg-type]
    rig.store.admission.admit(asked)


def single(rig: Rig, inst_id: str) -> tuple[int, int, int]:
    """Requests, refusals and the most in any window of the single meter, by the exchange's own log."""
    meter = rig.exchange.control.summary().meters[f"single:{UID}:{inst_id}"]
    return meter.requests, meter.refusals, meter.max_in_window


def cancels(rig: Rig) -> list[Arrival]:
    """The cancels that arrived, in that order."""
    return [row for row in rig.exchange.control.log() if row.endpoint in CANCELS]


def by_lane(summary: Summary) -> Mapping[str, Mapping[str, MeterSummary]]:
    """What each lane's two meters saw."""
    found: defaultdict[str, dict[str, MeterSummary]] = defaultdict(dict)
    for key, meter in summary.meters.items():
        kind, _, lane = key.partition(":")
        if kind in ("single", "batch"):
            found[lane][kind] = meter
    return found


def used(summary: Summary) -> Mapping[str, Mapping[str, tuple[int, int, int]]]:
    """Weight, refusals and the most in any window, by lane and meter."""
    return {
        lane: {kind: (meter.weight, meter.refusals, meter.max_in_window) for kind, meter in meters.items()}
        for lane, meters in by_lane(summary).items()
    }


def span_us(summary: Summary) -> Mapping[str, int]:
    """From the first to the last arrival of each lane."""
    return {
        lane: max(meter.last_us for meter in meters.values()) - min(meter.first_us for meter in meters.values())
        for lane, meters in by_lane(summary).items()
    }


def test_one_lane_at_its_limit_is_never_too_fast() -> None:
    """480 orders, 4 workers, 20 ms ± 20 ms each way: no window of the arrival log holds more than 60."""
    config = Config(network=Network(delay_ms=0, jitter_ms=40))
    with Rig(workers=4, config=config, settings={"ACCOUNTS__DESK1__ENDPOINTS": "single"}) as rig:
        ids = rig.exchange.control.place(UID, "BTC-USDT", 480)
        submit(rig, "b", *orders("BTC-USDT", ids))
        state = rig.done("b", 40)
        assert state.counts == {"canceled": 480}
        assert single(rig, "BTC-USDT") == (480, 0, 60)


def test_both_meters_of_many_lanes_at_once() -> None:
    """Eight lanes of 360 orders, one an option family's: both limits to the last slot, before any is free again."""
    config = Config(limits=Limits(window_ms=1000 * LONG_WINDOW_S))
    with Rig(workers=2, config=config, settings={"WINDOW_S": str(LONG_WINDOW_S)}) as rig:
        place, instruments = rig.exchange.control.place, rig.exchange.config.instruments[:7]
        counts = dict.fromkeys(instruments, 360) | dict.fromkeys(OPTIONS, 180)
        submit(rig, "b", *(row for name, count in counts.items() for row in orders(name, place(UID, name, count))))
        assert rig.done("b").counts == {"canceled": 2880}
        summary = rig.exchange.control.summary()
        assert summary.cancels_per_order == {1: 2880}
        assert used(summary) == {f"{UID}:{lane}": ALL_USED for lane in (*instruments, "BTC-USD:option")}
        assert max(span_us(summary).values()) < 1_000_000 * LONG_WINDOW_S
        assert min(len(row.ordIds) for row in rig.exchange.control.log(endpoint="cancel-batch-orders")) == 20


def test_a_batch_request_of_one_never_arrives() -> None:
    """It would be charged to the single meter: a last slot stays unused, a last order goes by itself."""
    with Rig(workers=2, settings={"LIMIT_BATCH": "41"}) as rig:
        place = rig.exchange.control.place
        rows = [orders(name, place(UID, name, count)) for name, count in (("BTC-USDT", 43), ("ETH-USDT", 21))]
        submit(rig, "b", *itertools.chain(*rows))
        assert rig.done("b").counts == {"canceled": 64}
        sent = Counter((row.endpoint, *row.instIds, len(row.ordIds)) for row in cancels(rig))
        assert sent == {
            ("cancel-batch-orders", "BTC-USDT", 20): 2,
            ("cancel-order", "BTC-USDT", 1): 3,
            ("cancel-batch-orders", "ETH-USDT", 20): 1,
            ("cancel-order", "ETH-USDT", 1): 1,
        }


def test_a_busy_instrument_does_not_delay_another(rig: Rig) -> None:
    """60 orders handed in behind 4,000 of another instrument are all sent when most of these still wait."""
    busy = rig.exchange.control.place(UID, "BTC-USDT", 4000)
    other = rig.exchange.control.place(UID, "ETH-USDT", 60)
    submit(rig, "busy", *orders("BTC-USDT", busy))
    submit(rig, "other", *orders("ETH-USDT", other))
    rig.done("other")
    assert rig.store.batches.state("busy").waiting > 2000


def test_a_foreign_celery_client_needs_only_the_broker(rig: Rig) -> None:
    """In another process, with nothing of ours imported; its bad row is kept, the good one cancelled."""
    (order_id,) = rig.exchange.control.place(UID, "BTC-USDT", 1)
    command = [sys.executable, "-I", "-c", FOREIGN, rig.redis.url, order_id, "BTC-USDT"]
    subprocess.run(command, check=True, cwd="/", timeout=30)
    rig.wait_for(lambda: rig.store.refusals.count() == 1)
    assert rig.done("foreign").counts == {"canceled": 1}
    (refused,) = rig.store.refusals.newest(5)
    assert (refused.batch_id, refused.source) == ("foreign", "tasks.cancel_orders")
    assert refused.errors == ("orders[1].instId: should be an instrument such as BTC-USDT or BTC-USDT-SWAP",)


def test_a_producer_without_celery_pushes_one_json_object(rig: Rig) -> None:
    """The envelope of design and README, with LPUSH alone."""
    (order_id,) = rig.exchange.control.place(UID, "BTC-USDT", 1)
    readme = (ROOT / "tasks" / "README.md").read_text("utf-8")
    envelope = readme.partition("```json lpush")[2].partition("```")[0].strip()
    assert "2510789768709120" in envelope
    rig.store.redis.lpush("cancel", envelope.replace("2510789768709120", order_id))
    rig.taken("b1")
    assert rig.done("b1").counts == {"canceled": 1}


def test_a_killed_worker_loses_nothing() -> None:
    """A kill -9 in the middle, then a restart: every order ends, none is forgotten."""
    config = Config(network=Network(delay_ms=100))
    with Rig(workers=1, config=config, settings={"HTTP_TIMEOUT_S": "1"}) as rig:
        rows = [
            row
            for each in ("BTC-USDT", "ETH-USDT")
            for row in orders(each, rig.exchange.control.place(UID, each, 1000))
        ]
        submit(rig, "b", *rows)
        rig.wait_for(lambda: rig.store.batches.state("b").waiting < 1900)
        rig.workers[0].kill()
        rig.workers[0].wait()
        assert rig.store.batches.state("b").waiting > 0
        rig.start_worker()
        counts = rig.done("b", 40).counts
        assert sum(counts.values()) == 2000
        assert set(counts) <= {"canceled", "gone"}
        summary = rig.exchange.control.summary()
        assert summary.live == {UID: {}}
        assert sum(meter.refusals for meter in summary.meters.values()) == 0


def test_sigterm_ends_a_busy_worker_cleanly() -> None:
    """Exit 0, and what it had not finished is done by the other."""
    with Rig(workers=2, config=Config(network=Network(delay_ms=50))) as rig:
        ids = rig.exchange.control.place(UID, "BTC-USDT", 800)
        submit(rig, "b", *orders("BTC-USDT", ids))
        rig.wait_for(lambda: rig.store.batches.state("b").waiting < 800)
        assert rig.stop_worker(rig.workers[0]) == 0
        assert rig.done("b", 30).counts == {"canceled": 800}
        assert rig.exchange.control.summary().cancels_per_order == {1: 800}


def test_urgent_orders_overtake_a_full_lane(rig: Rig) -> None:
    """They take the next slots, before hundreds that came earlier."""
    ids = rig.exchange.control.place(UID, "BTC-USDT", 3010)
    submit(rig, "normal", *orders("BTC-USDT", ids[:3000]))
    submit(rig, "urgent", *orders("BTC-USDT", ids[3000:]), urgent=True)
    rig.done("urgent")
    assert rig.store.batches.state("normal").waiting > 300


def keep_answers(rig: Rig) -> None:
    """The first batch request is answered after three seconds, and nothing else is."""
    rig.exchange.control.add_fault(Fault("hang", "after", hang_s=3, endpoint="cancel-batch-orders", count=1))
    rig.exchange.control.add_fault(Fault("hang", "after"))


def test_an_urgent_order_takes_the_next_slot_before_thousands() -> None:
    """With 5,000 normal orders in line, the lane's next call after it was handed in begins with it.

    All slots are used, so whatever was claimed before has arrived. Only one call has its answer: its slots alone become
    free again, so by whichever worker they are claimed, there is one next call.
    """
    with Rig(workers=2, settings={"HTTP_TIMEOUT_S": "6"}) as rig:
        *ids, last = rig.exchange.control.place(UID, "BTC-USDT", 5361)
        keep_answers(rig)
        submit(rig, "normal", *orders("BTC-USDT", ids))
        rig.wait_for(lambda: used(rig.exchange.control.summary()) == {f"{UID}:BTC-USDT": ALL_USED})
        submit(rig, "urgent", *orders("BTC-USDT", [last]), urgent=True)
        before = len(cancels(rig))
        assert rig.store.redis.zcard(rig.store.keys.of("ready", "desk1/BTC-USDT")) == 5001
        rig.wait_for(lambda: len(cancels(rig)) > before)
        arrived = cancels(rig)
        answered = next(row for row in arrived if row.endpoint == "cancel-batch-orders")
        assert sum(len(row.ordIds) for row in arrived[:before]) == 360
        assert len(arrived[before].ordIds) == len(answered.ordIds)
        assert arrived[before].ordIds[0] == last


@pytest.mark.parametrize("name", ["worker", "bulk_cancel.worker"])
def test_a_checkout_starts_its_worker_by_either_name(name: str) -> None:
    """By the folder, as before there was a namespace, and by the name that it has when it is installed."""
    with Rig(workers=1, app=name) as rig:
        ids = rig.exchange.control.place(UID, "BTC-USDT", 2)
        submit(rig, "b", *orders("BTC-USDT", ids))
        assert rig.done("b").counts == {"canceled": 2}


def test_a_worker_that_is_not_configured_says_what_is_missing() -> None:
    """Exit code 2 and the variable's name, no traceback."""
    command = [sys.executable, "-m", "celery", "-A", "bulk_cancel.worker", "worker"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "BULK_CANCEL_ACCOUNTS__" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_refuses_a_redis_that_evicts() -> None:
    """It would forget orders without a word."""
    with Rig(workers=0, redis={"maxmemory-policy": "allkeys-lru"}) as rig:
        worker = rig.start_worker()
        assert worker.wait(30) == 2


def test_a_stopped_worker_ends_at_once_when_idle(rig: Rig) -> None:
    """SIGTERM on an idle worker takes not much longer than a round of its waker."""
    assert rig.stop_worker(rig.workers[0], 15) == 0
