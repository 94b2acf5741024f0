"""What do the drills have in common? Orders to hand in, workers to kill, and what the exchange's log says of both."""

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.log import CANCELS, Arrival
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.state.batches import Row
from tests.support.rig import Rig, orders

UID = "1001"
WINDOW_S = 1.0
TIMEOUT_S = 2.0
"""A process that the machine leaves standing for two seconds is no fault: it loses no claim."""

BLACKOUT_S = 1 + 2 * TIMEOUT_S + WINDOW_S
"""How long nobody sends after a restart of Redis, under `QUICK`."""

QUICK = {"HTTP_TIMEOUT_S": str(TIMEOUT_S), "WINDOW_S": str(WINDOW_S), "ACCOUNTS__DESK1__ENDPOINTS": "single"}
"""Settings under which claims end and windows pass sooner; the limiter has it no easier."""


def quick_exchange(delay_ms: float = 5, jitter_ms: float = 20) -> Config:
    """An exchange whose windows fit `QUICK`: 60 requests in 1 s for each instrument."""
    limits = Limits(window_ms=round(WINDOW_S * 1000))
    return Config(limits=limits, network=Network(delay_ms=delay_ms, jitter_ms=jitter_ms))


def place(rig: Rig, count: int, *, lanes: int) -> list[dict[str, str]]:
    """`count` orders spread over the first `lanes` instruments, as a producer names them."""
    instruments, share = rig.exchange.config.instruments[:lanes], count // lanes
    return [row for each in instruments for row in orders(each, rig.exchange.control.place(UID, each, share))]


def submit(rig: Rig, batch_id: str, rows: Iterable[dict[str, str]]) -> Receipt:
    """Hands in a batch of account desk1."""
    asked = parse_cancel_orders(account="desk1", batch_id=batch_id, orders=rows)
    return rig.store.admission.admit(asked)


def kill(worker: subprocess.Popen[bytes]) -> None:
    """As a power cut would."""
    worker.kill()
    worker.wait()


def started(rig: Rig, batch_id: str) -> None:
    """Returns when the first cancels of the batch were answered and work is left."""

    def so() -> bool:
        state = rig.store.batches.state(batch_id)
        answered = rig.store.redis.zcard(rig.store.keys.of("unconfirmed", "desk1"))
        return state.waiting > 0 and bool(answered or state.waiting < state.size)

    rig.wait_for(so)


def waiting(rig: Rig, batch_id: str) -> int:
    """Orders of the batch without an outcome."""
    return rig.store.batches.state(batch_id).waiting


def cancels(rig: Rig) -> Iterator[Arrival]:
    """The cancels that arrived at the exchange, oldest first."""
    return (arrival for arrival in rig.exchange.control.log() if arrival.endpoint in CANCELS)


def longest_pause_s(rig: Rig, batch_id: str) -> float:
    """The longest time between one cancel of the batch and the next, as they arrived."""
    orders = {row.ordId for row in rig.store.batches.rows(batch_id)}
    times = [arrival.at_us for arrival in cancels(rig) if orders.intersection(arrival.ordIds)]
    return max((later - earlier for earlier, later in pairwise(times)), default=0) / 1e6


def sends(rig: Rig) -> Counter[str]:
    """How many cancels of each order arrived."""
    return Counter(order for arrival in cancels(rig) for order in arrival.ordIds)


def lost_claims(row: Row) -> int:
    """How many claims of the order ended without a word of whoever held them."""
    return sum(entry.get("sMsg") == "claim ran out" for entry in row.log)


def unanswered(row: Row) -> int:
    """How many attempts of the order ended without the exchange's answer: lost claims, and calls that timed out."""
    return sum(not entry.get("sCode") for entry in row.log)


def resent_without_cause(rig: Rig, batch_id: str) -> list[str]:
    """Orders that were sent more often than once, and once more for each attempt without an answer."""
    sent = sends(rig)
    return [str(row.ordId) for row in rig.store.batches.rows(batch_id) if sent[str(row.ordId)] > 1 + unanswered(row)]


def all_off_book(rig: Rig, batch_id: str, timeout_s: float = 40) -> None:
    """Returns when the batch is complete; every order of it is off the book (gone: an answer came too late)."""
    state = rig.done(batch_id, timeout_s)
    assert set(state.counts) <= {"canceled", "gone"}, state
    assert sum(state.counts.values()) == state.size


def sent_after_their_end(rig: Rig, batch_id: str) -> list[str]:
    """Orders of which a cancel arrived after their outcome had been written."""
    ends = {str(row.ordId): row.finished_at or 0 for row in rig.store.batches.rows(batch_id)}
    return [order for arrival in cancels(rig) for order in arrival.ordIds if arrival.at_us > ends.get(order, 1 << 62)]
