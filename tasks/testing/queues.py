"""Takes messages from the queues as a worker does: read, checked and handed to the real doors, or kept as refused."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from redis.client import NEVER_DECODE

from bulk_cancel.tasks.queues import QUEUES, URGENT
from bulk_cancel.worker.service.broker.messages import MAX_BYTES, Call, Refusal, printable, read
from bulk_cancel.worker.service.doors import carry_on, take_cancel_all, take_cancel_order, take_cancel_orders
from bulk_cancel.worker.state.queues import lists_of
from bulk_cancel.worker.state.store import Store

TASKS: Final[dict[str, Callable[[Call, bool], bool]]] = {
    "tasks.cancel_orders": lambda call, urgent: take_cancel_orders(
        call.args, call.kwargs, message_id=call.task_id, urgent_queue=urgent
    ),
    "tasks.cancel_order": lambda call, urgent: take_cancel_order(
        call.args, call.kwargs, message_id=call.task_id, urgent_queue=urgent
    ),
    "tasks.cancel_all": lambda call, _: take_cancel_all(call.args, call.kwargs, message_id=call.task_id),
}


def take_messages(store: Store) -> int:
    """Takes all that wait, and what they let follow; how many there were."""
    taken = 0
    for queue, raw in _waiting(store):
        taken += 1
        match read(raw, tasks=TASKS, now=datetime.now(UTC)):
            case Refusal(errors=errors):
                whole = len(raw) if len(raw) > MAX_BYTES else None
                store.refusals.add(printable(raw), errors, source=queue, length=whole)
            case Call() as call:
                done = TASKS[call.task](call, queue == URGENT)
                carry_on(call.follow_ups, message_id=call.task_id, source=call.task, done=done)
    return taken


def _waiting(store: Store) -> Iterator[tuple[str, bytes]]:
    lists = {name: queue for queue in QUEUES for name in lists_of(queue)}
    while True:
        for name, queue in lists.items():
            # bytes as they are: the store's own answers are text, and a message may be none
            found: bytes | None = store.redis.execute_command("RPOP", name, **{NEVER_DECODE: True})  # type: ignore[no-untyped-call]
            if found is not None:
                yield queue, found
                break
        else:
            return
