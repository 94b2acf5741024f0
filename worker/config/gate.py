"""The users of this worker, and for which of them the exchange has confirmed that our credentials are theirs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Condition
from typing import Final

import structlog

from bulk_cancel.worker.config.users import User, algos_of, owner_of

log = structlog.get_logger(__name__)

BARRED_HINT: Final = "add this machine's address to the key's list at the exchange; workers at other addresses go on"


@dataclass(frozen=True, slots=True)
class Barred:
    """Why an account is not let in from here, in the exchange's words, and since when (unix seconds)."""

    why: str
    since: float


class Gate:
    """Nothing is sent or read for one of the `users` (by uid) before it is open for that user. Thread-safe.

    Under a wrong User ID an account would not share the meter of its other accounts, and on another user's book all our
    orders would seem to be gone. It is closed while the exchange lets none of the user's accounts in from this worker's
    address: that says nothing of other workers, which go on.
    """

    def __init__(self, users: Mapping[str, User]) -> None:
        self.users = users
        self._opened_at: dict[str, float] = {}
        self._barred: dict[str, Barred] = {}
        self._changed = Condition()
        self._told: list[Callable[[str], None]] = []

    @property
    def any_open(self) -> bool:
        """Whether it is open for one of the users."""
        return any(map(self.is_open, list(self._opened_at)))

    @property
    def all_open(self) -> bool:
        """Whether the exchange has confirmed each of the users."""
        return len(self._opened_at) == len(self.users)

    def serves(self, uid: str) -> bool:
        """Whether this is one of our users, or the owner of the algo orders of one."""
        return owner_of(uid) in self.users

    def is_open(self, uid: str) -> bool:
        """Whether something may be sent and read for this user."""
        return owner_of(uid) in self._opened_at and not self.is_out(uid)

    def user(self, uid: str) -> User:
        """The user with those of his accounts that are let in; with all of them if none is.

        With the mark of algo orders: as their owner. KeyError for anybody who is not served.
        """
        owner = owner_of(uid)
        user = self._let_in(owner)
        return user if uid == owner else algos_of(user)

    def _let_in(self, uid: str) -> User:
        user, barred = self.users[uid], self.barred
        left = tuple(each for each in user.accounts if each.name not in barred) if barred else ()
        return replace(user, accounts=left) if left else user

    def is_out(self, uid: str) -> bool:
        """Whether the exchange lets none of the user's accounts in from this worker's address."""
        return bool(self._barred) and {each.name for each in self.users[owner_of(uid)].accounts} <= self._barred.keys()

    @property
    def barred(self) -> dict[str, Barred]:
        """The accounts, by name, that are not let in from this worker's address."""
        return self._barred.copy()

    def bar(self, account: str, why: str) -> None:
        """The exchange does not let the account in from here; it is logged once."""
        with self._changed:
            if account in self._barred:
                return
            self._barred[account] = Barred(why, time.time())
        log.error("account_barred_here", account=account, why=why, hint=BARRED_HINT)

    def let_in(self, account: str) -> None:
        """It does again: who waits for its user is told as when the gate was opened."""
        with self._changed:
            if self._barred.pop(account, None) is None:
                return
            uids = [uid for uid, user in self.users.items() if account in {each.name for each in user.accounts}]
            self._changed.notify_all()
        log.warning("account_let_in_again", account=account)
        for uid in filter(self.is_open, uids):
            for opened in self._told:
                opened(uid)

    def open_s(self, uid: str) -> float:
        """For how many seconds it has been open for this user; KeyError if it is not."""
        return time.monotonic() - self._opened_at[owner_of(uid)]

    def wait(self, uid: str, timeout_s: float) -> bool:
        """Whether it is open for this user, waited for."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_open(uid), timeout_s)

    def tell(self, opened: Callable[[str], None]) -> None:
        """From now on `opened` is called with each uid, on the thread that opens, in the order of these calls."""
        self._told.append(opened)

    def close(self, uid: str) -> None:
        """Nothing more is sent or read for this user: he is served elsewhere."""
        with self._changed:
            if self._opened_at.pop(uid, None) is None:
                return
        log.error("user_served_elsewhere", uid=uid)

    def open(self, uid: str) -> None:
        """For good, unless it is closed. It is open when the first one is told; a second time changes nothing."""
        with self._changed:
            if uid in self._opened_at:
                return
            self._opened_at[uid] = time.monotonic()
            self._changed.notify_all()
        for opened in self._told:
            opened(uid)
