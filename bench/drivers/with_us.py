"""How does our user cancel a bulk? `submit()` once per account; the workers run beside this process."""

import time
from collections.abc import Callable, Sequence

from bench.drivers.wire import Desk, HandIn, Work, serve
from bulk_cancel.tasks import batch, submit
from bulk_cancel.worker.state.shards import default_store

POLL_S = 0.05


def prepare(work: Work) -> HandIn:
    """The rows as a risk system has them, a client and a connection to Redis."""
    rows = [(desk, _rows(desk)) for desk in work.desks]
    batch("none")  # the first client of a process imports what it needs
    default_store().redis.ping()

    def hand_in() -> Callable[[], None]:
        batches = [submit(orders, account=desk.name).batch_id for desk, orders in rows]
        return lambda: _wait(batches)

    return hand_in


def _rows(desk: Desk) -> list[dict[str, str]]:
    return [{"instId": inst_id, "ordId": order} for inst_id, orders in desk.orders.items() for order in orders]


def _wait(batches: Sequence[str]) -> None:
    """Until all are complete; a poll costs one small read, so that watching costs nobody's time."""
    for batch_id in batches:
        while not default_store().batches.state(batch_id).complete:
            time.sleep(POLL_S)


if __name__ == "__main__":
    serve(prepare)
