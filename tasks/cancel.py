"""How does one ask for cancels? `submit` from Python; two Celery tasks, by name, from anywhere else."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from celery import Task, shared_task

from tasks.messages import Order, parse_cancel_orders

if TYPE_CHECKING:
    from worker.admission import Receipt


def submit(
    orders: Iterable[Order | Mapping[str, object]],
    *,
    account: str,
    batch_id: str | None = None,
    urgent: bool = False,
    reason: str = "",
    requested_by: str = "",
    deadline_s: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> "Receipt":
    """Hands in one batch; every order is in Redis when this returns.

    `orders` are mappings with `instId` and `ordId` or `clOrdId`, at most 100,000. The same `batch_id` with the same
    orders may be submitted again at any time, after an error too: nothing is sent twice because of it.

    Raises:
        InvalidOrders: `errors` names every bad row by its index; nothing was taken.
        SettingsError, UnknownAccountError, AdmissionError: the message says what to change.
        redis.exceptions.RedisError: Redis did not answer; submit the same `batch_id` again.
    """
    from worker.store import default_store  # noqa: PLC0415 (a producer of messages never needs worker)

    asked = parse_cancel_orders(
        account=account,
        orders=orders,
        batch_id=batch_id,
        urgent=urgent,
        reason=reason,
        requested_by=requested_by,
        deadline_s=deadline_s,
        labels=labels,
    )
    return default_store().admission.admit(asked)


@shared_task(name="tasks.cancel_orders", queue="cancel", bind=True)
def cancel_orders(self: Task, *args: object, **kwargs: object) -> None:
    """Admits the valid orders of the message and keeps each invalid one in the stream `refused`."""
    from worker.doors import take_cancel_orders  # noqa: PLC0415

    take_cancel_orders(args, kwargs, message_id=self.request.id, urgent_queue=_came_urgent(self))


@shared_task(name="tasks.cancel_order", queue="cancel", bind=True)
def cancel_order(self: Task, *args: object, **kwargs: object) -> None:
    """As `cancel_orders`, for one order whose fields stand beside the message's own."""
    from worker.doors import take_cancel_order  # noqa: PLC0415

    take_cancel_order(args, kwargs, message_id=self.request.id, urgent_queue=_came_urgent(self))


def _came_urgent(task: Task) -> bool:
    return (task.request.delivery_info or {}).get("routing_key") == "urgent"
