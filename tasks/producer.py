"""Handing in from Python: `submit` for a list of orders, `submit_all` for everything that is open.

The import of this module costs next to nothing: what a call needs (pydantic, redis-py, parts of `worker`) is imported
when it is made. Celery is not needed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk_cancel.tasks.messages import Order
    from bulk_cancel.tasks.receipts import MassReceipt, Receipt


def submit(
    orders: "Iterable[Order | Mapping[str, object]]",
    *,
    account: str,
    batch_id: str | None = None,
    urgent: bool = False,
    reason: str = "",
    requested_by: str = "",
    deadline_s: int | None = None,
    labels: "Mapping[str, str] | None" = None,
) -> "Receipt":
    """Hands in one batch; every order is in Redis when this returns.

    `orders` are mappings with `instId` and `ordId` or `clOrdId`, at most 100,000. The same `batch_id` with the same
    orders may be submitted again at any time, after an error too: nothing is sent twice because of it.

    Raises:
        InvalidOrders: `errors` names every bad row by its index; nothing was taken.
        SettingsError, UnknownAccountError, AdmissionError: the message says what to change.
        redis.exceptions.RedisError: Redis did not answer; submit the same `batch_id` again.

    All but redis-py's are `BulkCancelError`s (tasks/errors.py).
    """
    from bulk_cancel.tasks.messages import parse_cancel_orders
    from bulk_cancel.worker.state.store import default_store

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


def submit_all(account: str, **asked: object) -> list["MassReceipt"]:
    """Asks for everything to be cancelled that is open and fits every filter: in Redis when this returns.

    `account` may be `*`: then there is one mass cancel for each User ID, with the id `<batch_id>-<account>`. `asked`
    are the fields of `tasks.cancel_all` (see tasks/mass.py): instType, instFamily, instId, side, tag, min_age_s,
    until_flat_s, batch_id, urgent, reason, requested_by, deadline_s, labels. The same again does nothing but answer.

    Raises:
        InvalidOrders: `errors` has one line per fault; nothing was taken.
        SettingsError, UnknownAccountError, AdmissionError: the message says what to change.
        redis.exceptions.RedisError: Redis did not answer; ask again with the same `batch_id`.

    All but redis-py's are `BulkCancelError`s (tasks/errors.py).
    """
    from bulk_cancel.tasks.mass import parse_cancel_all
    from bulk_cancel.worker.books.mass.masses import Masses
    from bulk_cancel.worker.state.store import default_store

    taken = Masses(default_store()).take(parse_cancel_all({**asked, "account": account}))
    return [mass.receipt for mass in taken]
