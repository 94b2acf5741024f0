"""The producers' contract: what may be enqueued, and how; what became of it. See README.md beside this file."""

from bulk_cancel.tasks.client import BulkCancel
from bulk_cancel.tasks.producer import batch, follow, submit, submit_all

__all__ = ["BulkCancel", "batch", "follow", "submit", "submit_all"]
