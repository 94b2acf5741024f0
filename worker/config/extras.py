"""Packages that only an extra of the distribution brings, such as `pip install 'bulk-cancel[cli]'`."""

from collections.abc import Iterator
from contextlib import contextmanager

from bulk_cancel.tasks.errors import BulkCancelError


class MissingPackageError(BulkCancelError):
    """A package is not installed; the text says which, and what to install."""


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Imports what `extra` brings.

    Raises:
        MissingPackageError: a package is not there. One of our own modules that is not there is a fault of ours, and
            its ModuleNotFoundError goes on.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "bulk_cancel"}:
            raise
        raise MissingPackageError(
            f"{package} is not installed; install it with: pip install 'bulk-cancel[{extra}]'"
        ) from error
