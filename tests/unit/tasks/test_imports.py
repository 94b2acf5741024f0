"""Tests that a producer's import is cheap: what a call needs is imported when it is made."""

from typing import Final

from tests.support.imports import imported_by

WORKER: Final = "bulk_cancel.worker"


def test_submit_is_imported_without_anything_that_only_a_call_needs() -> None:
    """Neither Celery, nor redis-py, nor pydantic, nor the worker."""
    imported = imported_by("from bulk_cancel.tasks import submit, submit_all")
    assert "bulk_cancel.tasks.producer" in imported
    assert not imported & {"celery", "kombu", "pydantic", "pydantic_settings", "redis", "structlog", WORKER}


def test_a_producer_of_messages_imports_celery_alone() -> None:
    """The tasks' bodies are the worker's."""
    imported = imported_by("from bulk_cancel.tasks.cancel import cancel_orders")
    assert "celery" in imported
    assert not imported & {"pydantic", "pydantic_settings", "redis", WORKER}
