"""The Celery queues in which messages wait for workers."""

from typing import Final

QUEUES: Final = ("urgent", "cancel")
