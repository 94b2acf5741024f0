"""Reads the exchange's books for a command, under the workers' windows and only for a proven User ID."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Final

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.config.account import Account
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User, users_of
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.state.owners import OwnersHere
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.window import Timing

IDENTIFIED_WITHIN_S: Final = 10.0


class NotReadableError(BulkCancelError):
    """The account's book cannot be read from here; the message says why and what to do."""


class Reader:
    """Reads books for one command. `client` asks the exchange for anything else."""

    def __init__(self, store: Store, client: OkxClient, book: Book, users: Mapping[str, User]) -> None:
        self.client = client
        self.book = book
        self._accounts = store.settings.accounts
        self._gate = Gate(users)
        self._asking = False
        owners = OwnersHere(store) if store.settings.one_of else None
        self._identity = Identity(store.scripts, store.keys, client, self._gate, owners)

    def stop(self, timeout_s: float) -> None:
        """No further question; waits for the answer to the last one."""
        self._identity.stop()
        if self._asking:
            self._identity.join(timeout_s)

    @property
    def accounts(self) -> list[str]:
        """The first account of each User ID that this process has credentials for."""
        return [user.accounts[0].name for user in self._gate.users.values()]

    def account(self, name: str) -> Account:
        """The account's settings; NotReadableError without credentials of it here."""
        if name not in self._accounts:
            raise NotReadableError(
                f"account {name}: no credentials here, and this command asks the exchange itself; run it where a "
                "worker's settings are"
            )
        return self._accounts[name]

    def user(self, name: str) -> User:
        """The account's user, once the exchange has said that it is who the settings say; else NotReadableError."""
        user = self._gate.users[self.account(name).uid]
        self._ask()
        if not self._gate.wait(user.uid, IDENTIFIED_WITHIN_S):
            why = self._identity.problems.get(name, "the exchange has not said who it is")
            raise NotReadableError(f"account {name}: {why}; nothing was read")
        return user

    def user_id(self, name: str) -> str:
        """The User ID as the exchange told it, where the UID setting may be any word; raises as `user` does."""
        self.user(name)
        return self._identity.told[name]

    def _ask(self) -> None:
        """Nobody is asked who the accounts are before somebody wants to know."""
        if not self._asking:
            self._asking = True
            self._identity.start()

    def now_ms(self, user: User) -> float:
        """The exchange's clock, unix ms, as it was told within the last 30 s; ExchangeError when it is not told."""
        return self.client.clock.time_ms(user.base_url)


@contextmanager
def reading(store: Store) -> Iterator[Reader]:
    """A reader for the length of a block."""
    settings, stopping = store.settings, Event()
    client = OkxClient(timeout_s=settings.http_timeout_s, pool=2)
    book = Book(store.scripts, client, Timing(settings.window_s, settings.http_timeout_s), stopping)
    reader = Reader(store, client, book, users_of(settings))
    try:
        yield reader
    finally:
        stopping.set()
        reader.stop(settings.http_timeout_s + 1)
        client.close()
