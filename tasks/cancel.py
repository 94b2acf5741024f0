"""The three Celery tasks: producers of messages call them by their names, workers run them.

What a task needs is imported when it runs, so that a producer of messages never imports the worker.
"""

from celery import Task, shared_task

from bulk_cancel.tasks.queues import URGENT


class _Queued(Task):
    """Run at once, by `task_always_eager`, its request tells of its queue as that of a message does."""

    abstract = True

    def apply(self, *args: object, **options: object) -> object:
        """As Celery's, which leaves the queue out."""
        queue = options.get("queue")
        options["routing_key"] = options.get("routing_key") or getattr(queue, "name", queue)
        return super().apply(*args, **options)


@shared_task(base=_Queued, name="tasks.cancel_orders", queue="cancel", bind=True)
def cancel_orders(self: Task, *args: object, **kwargs: object) -> None:
    """Admits the valid orders of the message and keeps each invalid one in the stream `refused`."""
    from bulk_cancel.worker.service.doors import take_cancel_orders

    done = take_cancel_orders(args, kwargs, message_id=self.request.id, urgent_queue=_came_urgent(self))
    _carry_on(self, done=done)


@shared_task(base=_Queued, name="tasks.cancel_order", queue="cancel", bind=True)
def cancel_order(self: Task, *args: object, **kwargs: object) -> None:
    """As `cancel_orders`, for one order whose fields stand beside the message's own."""
    from bulk_cancel.worker.service.doors import take_cancel_order

    done = take_cancel_order(args, kwargs, message_id=self.request.id, urgent_queue=_came_urgent(self))
    _carry_on(self, done=done)


@shared_task(name="tasks.cancel_all", queue="cancel", bind=True)
def cancel_all(self: Task, *args: object, **kwargs: object) -> None:
    """Takes a mass cancel, or keeps it in the stream `refused` as a whole: half a scope is another scope."""
    from bulk_cancel.worker.service.doors import take_cancel_all

    done = take_cancel_all(args, kwargs, message_id=self.request.id)
    _carry_on(self, done=done)


def _carry_on(task: Task, *, done: bool) -> None:
    from bulk_cancel.worker.service.doors import carry_on

    carry_on(task.request.get("follow_ups"), message_id=task.request.id, source=task.name, done=done)


def _came_urgent(task: Task) -> bool:
    return (task.request.delivery_info or {}).get("routing_key") == URGENT
