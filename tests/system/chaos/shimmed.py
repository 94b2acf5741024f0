"""The worker's app with a shim in it, for `celery -A`."""

from tests.system.chaos.shim import install

install()

from bulk_cancel.worker.celery import app  # noqa: E402 (what it builds is changed first)

__all__ = ["app"]
