"""Refuses every pool but threads: waker, sending threads and permits live in one process."""

from __future__ import annotations

from celery import bootsteps
from celery.concurrency.thread import TaskPool


class RefusePool(bootsteps.Step):
    """Worker bootstep: end the process with a message and status 1 unless its pool is `threads`."""

    def __init__(self, worker: bootsteps.StartStopStep, **_options: object) -> None:
        pool = worker.pool_cls
        if not (isinstance(pool, type) and issubclass(pool, TaskPool)):
            name = getattr(pool, "__module__", str(pool)).rpartition(".")[2]
            raise SystemExit(f"bulk-cancel runs on Celery's threads pool, not on {name}: use -P threads or no -P")
        super().__init__(worker)
