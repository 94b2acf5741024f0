"""The users of this worker, and for which of them the exchange has confirmed that our credentials are theirs."""

import time
from collections.abc import Callable, Mapping
from threading import Condition

from bulk_cancel.worker.config.users import User


class Gate:
    """Nothing is sent or read for one of the `users` (by uid) before it is open for that user. Thread-safe.

    Under a wrong User ID an account would not share the meter of its other accounts, and on another user's book all our
    orders would seem to be gone.
    """

    def __init__(self, users: Mapping[str, User]) -> None:
        self.users = users
        self._opened_at: dict[str, float] = {}
        self._changed = Condition()
        self._told: list[Callable[[str], None]] = []

    @property
    def any_open(self) -> bool:
        """Whether it is open for one of the users."""
        return bool(self._opened_at)

    @property
    def all_open(self) -> bool:
        """Whether it is open for each of the users."""
        return len(self._opened_at) == len(self.users)

    def is_open(self, uid: str) -> bool:
        """Whether something may be sent and read for this user."""
        return uid in self._opened_at

    def open_s(self, uid: str) -> float:
        """For how many seconds it has been open for this user; KeyError if it is not."""
        return time.monotonic() - self._opened_at[uid]

    def wait(self, uid: str, timeout_s: float) -> bool:
        """Whether it is open for this user, waited for."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_open(uid), timeout_s)

    def tell(self, opened: Callable[[str], None]) -> None:
        """From now on `opened` is called with each uid, on the thread that opens, in the order of these calls."""
        self._told.append(opened)

    def open(self, uid: str) -> None:
        """For good. It is open when the first one is told; a second time changes nothing."""
        with self._changed:
            if self.is_open(uid):
                return
            self._opened_at[uid] = time.monotonic()
            self._changed.notify_all()
        for opened in self._told:
            opened(uid)
