"""For the tests of those who hand orders in: a runner in milliseconds, without Redis or workers.

The pytest fixture `bulk_cancel` gives a `Kit`; it is there as soon as bulk-cancel is installed, and needs
`pip install 'bulk-cancel[testing]'`. README.md of `tasks/` shows how it is used.
"""

from bulk_cancel.tasks.testing.kit import Kit

__all__ = ["Kit"]
