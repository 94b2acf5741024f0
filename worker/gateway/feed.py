"""What is read of Redis for every event stream of this process: outcomes as they come, and how the runner stands.

A thread for each shard reads while somebody listens, and hands what it read to the event loop, where each listener
takes what is theirs. What is asked of Redis does not depend on how many they are.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

from fastapi import Request

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.worker.gateway.parts import Desks
from bulk_cancel.worker.gateway.reader import Reader, Reading
from bulk_cancel.worker.operators.audit import Decision
from bulk_cancel.worker.operators.status import Snapshot

QUEUED: Final = 30
"""Readings that wait for a listener; one who is slower gets a snapshot instead of them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the shards stand, by name, as they were last read; `failed`: why others could not be."""

    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    decisions: Mapping[str, Sequence[Decision]] = field(default_factory=dict)
    failed: Mapping[str, Exception] = field(default_factory=dict)

    def after(self, name: str, reading: Reading) -> "Standing":
        """The same once a shard was read again."""
        if reading.failed:
            return replace(self, failed={**self.failed, name: reading.failed})
        snapshots = {**self.snapshots, name: reading.snapshot} if reading.snapshot else self.snapshots
        decisions = {**self.decisions, name: reading.decisions} if reading.decisions else self.decisions
        return Standing(snapshots, decisions, {each: why for each, why in self.failed.items() if each != name})


@dataclass(frozen=True, slots=True)
class News:
    """What one shard's reader has read, and how all of them stood then; `turned`: it went away, or is back."""

    shard: str
    reading: Reading
    standing: Standing
    turned: bool = False
    texts: dict[object, str] = field(default_factory=dict)
    """What was made of it for some listeners, for others who see the same."""

    def text(self, view: object, make: Callable[[], str]) -> str:
        """What `make` makes of it; once for each view."""
        if view not in self.texts:
            self.texts[view] = make()
        return self.texts[view]


class Listener:
    """One stream's place in the feed: what was read since `starts`, the id of the last outcome before on each shard."""

    def __init__(self, starts: Mapping[str, str], batch_id: str | None) -> None:
        self.starts = starts
        self.batch_id = batch_id
        self.late = False
        self.ended = False
        self._news: list[News] = []
        self._ready = asyncio.Event()

    def offer(self, news: News) -> None:
        """Keeps it, unless there is too much."""
        if len(self._news) >= QUEUED:
            self.late = True
            self._news.clear()
        self._news.append(news)
        self._ready.set()

    def end(self) -> None:
        """There will be no more."""
        self.ended = True
        self._ready.set()

    async def take(self, timeout_s: float) -> list[News]:
        """What came since the last time, waited for; empty after `timeout_s`, and at the end."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return []
        self._ready.clear()
        taken, self._news = self._news, []
        return taken


class Feed:
    """The readers of all shards, and their listeners."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self._lock = Lock()
        self._listeners: dict[Listener, frozenset[str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = False
        self._readers: dict[str, Reader] = {}
        self.positions: dict[str, str] = {}
        """Of each shard that was reached the id of the last outcome that listeners were offered."""
        self.standing = Standing()

    def open(self, names: Collection[str]) -> None:
        """Knows where these shards stand; to be called before `join`, not on the loop. Raises if none of them answers.

        One that does not is read from the moment at which it does.
        """
        answered(self._desks.shards.ask_each(lambda shard: self._opening(shard.name, names)))
        if not any(name in self.positions for name in names):
            self._let_go(names)
            raise next(error for name, error in self.standing.failed.items() if name in names)

    def join(self, batch_id: str | None, names: Collection[str]) -> Listener:
        """From now on a listener; on the loop."""
        self._loop = asyncio.get_running_loop()
        starts = {name: at for name, at in self.positions.items() if name in names}
        listener = Listener(starts, batch_id)
        self._listeners[listener] = frozenset(names)
        if self._ending:
            listener.end()
        return listener

    def leave(self, listener: Listener) -> None:
        """No longer one; of each shard the last one ends the reading."""
        self._let_go(self._listeners.pop(listener))

    def end(self) -> None:
        """Every stream ends now; on the loop."""
        self._ending = True
        for listener in self._listeners:
            listener.end()

    def close(self) -> None:
        """Ends every stream, and waits until nothing is read any more; not on the loop."""
        self._ending = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.end)
        for reader in self._readers.values():
            reader.end()
        for reader in self._readers.values():
            reader.join()

    def _let_go(self, names: Collection[str]) -> None:
        for name in names:
            self._readers[name].leave()

    def _opening(self, name: str, names: Collection[str]) -> Asking[None]:
        yield from ()
        if name in names:
            self._reader(name).open(lambda reading: self._begin(name, reading))

    def _reader(self, name: str) -> Reader:
        with self._lock:
            if name not in self._readers:
                desk = self._desks.of(self._desks.shards.of(name))
                self._readers[name] = Reader(
                    desk, lambda: self._ids(name), lambda reading: self._hand_over(name, reading)
                )
            return self._readers[name]

    def _ids(self, name: str) -> set[str]:
        """The batches of the shard that somebody follows."""
        return {each.batch_id for each, names in list(self._listeners.items()) if each.batch_id and name in names}

    def _hand_over(self, name: str, reading: Reading) -> None:
        if self._loop is None or self._loop.is_closed():  # nobody has joined yet
            self._spread(name, reading)
        else:
            self._loop.call_soon_threadsafe(self._spread, name, reading)

    def _spread(self, name: str, reading: Reading) -> None:
        turned = (name in self.standing.failed) != (reading.failed is not None)
        self._take(name, reading)
        news = News(name, reading, self.standing, turned=turned)
        for listener, names in self._listeners.items():
            if name in names:
                listener.offer(news)

    def _begin(self, name: str, reading: Reading) -> None:
        """Where a shard stands that is away when its reading begins is not known, whatever it was before."""
        self.positions.pop(name, None)
        self._take(name, reading)

    def _take(self, name: str, reading: Reading) -> None:
        with self._lock:
            at = reading.entries[-1][0] if reading.entries else reading.start
            if at:
                self.positions[name] = at
            self.standing = self.standing.after(name, reading)


def feed_of(request: Request) -> Feed:
    """The feed of the app that was asked."""
    feed: Feed = request.app.state.feed
    return feed
