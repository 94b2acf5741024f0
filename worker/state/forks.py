"""What a forked child has for itself: locks that nobody holds, and connections whose answers nobody else reads.

Its copies are as they stood at the fork: a lock that another thread held is let go by no thread of the child, and a
socket is its parent's, too. Pools of connections need nothing: redis-py's begin anew in a child.
"""

import os
import threading
from types import TracebackType
from weakref import WeakSet

from redis import Redis


class ForkLock:
    """A lock of threads, free at first in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    def acquire(self) -> bool:
        """Ours when this returns."""
        return self._lock.acquire()

    def release(self) -> None:
        """Another one's turn."""
        self._lock.release()

    def renew(self) -> None:
        """In a child, before any other thread of it begins."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_locks: WeakSet[ForkLock] = WeakSet()
_clients: WeakSet[Redis] = WeakSet()


def reconnected_in_child(client: Redis) -> Redis:
    """The client, which has one connection: a forked child closes its copy, and makes one when it asks something."""
    _clients.add(client)
    return client


def _renew() -> None:
    for lock in _locks:
        lock.renew()
    for client in _clients:
        client.single_connection_lock = threading.RLock()
        if client.connection:
            client.connection.disconnect()  # type: ignore[no-untyped-call] # in a child it closes no more than the copy


os.register_at_fork(after_in_child=_renew)
