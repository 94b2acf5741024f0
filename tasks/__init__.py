"""The producers' contract: what may be enqueued, and how. See README.md beside this file."""

from bulk_cancel.tasks.producer import submit, submit_all

__all__ = ["submit", "submit_all"]
