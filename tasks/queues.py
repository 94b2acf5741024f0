"""The Celery queues in which messages wait for workers."""

from typing import Final

URGENT: Final = "urgent"
QUEUES: Final = (URGENT, "cancel")
