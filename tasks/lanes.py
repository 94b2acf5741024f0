"""Which tasks does the runner send to itself? Hints that a lane is due; losing or repeating one changes nothing."""

from celery import shared_task


@shared_task(name="tasks.drain_lane", queue="lanes")
def drain_lane(lane: str) -> None:
    """Gives the lane a turn in this worker process; returns before its calls are answered."""
    from worker.runtime import current  # noqa: PLC0415 (a producer never imports worker)

    runtime = current()
    if runtime is not None:
        runtime.sender.drain([lane])
