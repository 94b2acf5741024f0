"""The course of the demo: orders go on the book, some fill, one bulk cancel clears the rest."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bulk_cancel.tasks.messages import Order, parse_cancel_orders
from bulk_cancel.worker.cli.demo.plan import FILLED_EVERY, Plan
from bulk_cancel.worker.cli.demo.report import Report, make_report
from bulk_cancel.worker.cli.demo.stage import ACCOUNT, Stage
from bulk_cancel.worker.simulator.messages import EndOrders
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.rests import blocked_until

PATIENCE_S: Final = 60.0
"""How much longer than the legal minimum the demo waits."""

FRAME_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """Orders ended so far, by instrument."""

    ended: Mapping[str, int]


def run_demo(plan: Plan, on: Stage, watch: Callable[[Progress], None]) -> Report:
    """One bulk cancel on a stage; `watch` is told how it goes. Raises redis-py's errors."""
    store, control = on.store, on.exchange.control
    orders = _place(plan, on)
    control.reset_log()
    receipt = store.admission.admit(parse_cancel_orders(account=ACCOUNT, orders=orders, reason="demo"))
    state = _follow(plan, on, receipt.batch_id, watch)
    rows = store.batches.rows(receipt.batch_id)
    return make_report(
        plan,
        rows,
        control.summary(),
        uid=on.uid,
        taken_at=state.created_at,
        sending_from=max(state.created_at, blocked_until(store.redis, store.keys)),
        workers=on.workers,
        complete=state.complete,
    )


def _place(plan: Plan, on: Stage) -> list[Order]:
    """Puts the orders on the book and fills some of them at once, as markets do."""
    control = on.exchange.control
    placed = [
        Order(instId=name, ordId=order_id)
        for name, count in plan.orders.items()
        for order_id in control.place(on.uid, name, count)
    ]
    filled = tuple(order.ordId for order in placed[FILLED_EVERY - 1 :: FILLED_EVERY] if order.ordId)
    control.end_orders(EndOrders(filled))
    return placed


def _follow(plan: Plan, on: Stage, batch_id: str, watch: Callable[[Progress], None]) -> BatchState:
    timeout_s = plan.minimum_s + PATIENCE_S
    state = on.store.batches.state(batch_id)
    for state in on.store.batches.wait(batch_id, timeout_s=timeout_s):
        watch(_progress(plan, on))
        if not state.complete:
            time.sleep(FRAME_S)  # outcomes come faster than anybody reads
    return state


def _progress(plan: Plan, on: Stage) -> Progress:
    """From the lanes' counters: one small read per instrument, however many orders there are."""
    keys = on.store.keys
    with on.store.redis.pipeline(transaction=False) as pipe:
        for name in plan.orders:
            pipe.hgetall(keys.of("lane", f"{on.uid}/{name}"))
        read: list[Mapping[str, str]] = pipe.execute()
    counts = (sum(int(n) for field, n in raw.items() if field.startswith("status:")) for raw in read)
    return Progress(dict(zip(plan.orders, counts, strict=True)))
