"""How does our user cancel a bulk? `submit()` once per account; the workers run beside this process."""

import time
from collections.abc import Callable

from bench.drivers.wire import Desk, Work, serve
from tasks.cancel import submit
from worker.store import default_store

POLL_S = 0.05


def prepare(work: Work) -> Callable[[], Callable[[], int]]:
    """The rows as a risk system has them, and a connection to Redis."""
    rows = [(desk, _rows(desk)) for desk in work.desks]
    default_store().redis.ping()

    def hand_in() -> Callable[[], int]:
        batches = [submit(orders, account=desk.name).batch_id for desk, orders in rows]
        return lambda: sum(map(_wait, batches))

    return hand_in


def _rows(desk: Desk) -> list[dict[str, str]]:
    return [{"instId": inst_id, "ordId": order} for inst_id, orders in desk.orders.items() for order in orders]


def _wait(batch_id: str) -> int:
    """Until the batch is complete; a poll costs one small read, so that watching costs nobody's time."""
    while not (state := default_store().batches.state(batch_id)).complete:
        time.sleep(POLL_S)
    return state.dead


if __name__ == "__main__":
    serve(prepare)
