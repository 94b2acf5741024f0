"""What commands share: the store that the environment describes, and the options that many take."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.state.store import Store, open_store

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout; errors as a JSON object on stderr.")]
Watch = Annotated[bool, typer.Option("--watch", help="Keep it on the screen, refreshed, until Ctrl-C.")]


@contextmanager
def opened() -> Iterator[Store]:
    """The store, closed at the end of the block; raises SettingsError."""
    store = open_store(load_settings())
    try:
        yield store
    finally:
        store.redis.close()
