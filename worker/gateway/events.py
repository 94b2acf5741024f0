"""Event streams (SSE): outcomes under the ids of the stream in Redis, so that a browser goes on where it was."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from fastapi import Response
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.gateway.answers import encoded
from bulk_cancel.worker.gateway.callers import Caller
from bulk_cancel.worker.gateway.feed import Feed, Listener, News
from bulk_cancel.worker.gateway.parts import Desk, Desks
from bulk_cancel.worker.gateway.problems import Problem
from bulk_cancel.worker.gateway.view import View, event
from bulk_cancel.worker.operators.shapes import batch_json, document
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.outcomes import START, Entry
from bulk_cancel.worker.state.positions import compose, parse
from bulk_cancel.worker.state.shards import ShardAwayError

PING_S: Final = 15.0
ASKED_S: Final = 1.0
"""A token that was taken away, or has other rights, is told news for so long at most."""

RESUMED: Final = 5_000
"""Outcomes that one who comes back is told one by one; of more, a snapshot."""


class Stream(Response):
    """One open stream of the shards called `names`, or of one batch.

    `last_id` is the id of the last event that its reader has seen, `check` says who calls, or raises Problem.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        desks: Desks,
        feed: Feed,
        caller: Caller,
        *,
        check: Callable[[], Caller],
        names: Sequence[str],
        batch_id: str | None,
        last_id: str,
    ) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._desks = desks
        self._feed = feed
        self._view = View(desks, caller)
        self._caller = caller
        self._check = check
        self._asked_at = time.monotonic()
        self._names = names
        self._batch_id = batch_id
        self._last_id = last_id
        self._seen: dict[str, str] = {}
        """Of each shard the id of the last outcome that its reader has seen."""
        self._joined: set[str] = set()
        """The shards of which everything is told that came before their next reading."""
        self._told: BatchState | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the reader goes, the batch is complete, or the door ends."""
        del scope
        listener = self._feed.join(self._batch_id, self._names)
        gone = asyncio.ensure_future(_until_gone(receive, listener))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with suppress(OSError):  # the reader went
                async for text in self._all_events(listener):
                    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            self._feed.leave(listener)

    async def _all_events(self, listener: Listener) -> AsyncIterator[str]:
        """An error here comes after the 200 and would look like an end that was meant: it is told instead."""
        try:
            async for text in self._events(listener):
                yield text
        except (RedisError, BulkCancelError) as error:
            yield event("end", {"why": type(error).__name__})

    async def _events(self, listener: Listener) -> AsyncIterator[str]:
        yield await run_in_threadpool(self._begin, listener)
        while not listener.ended:
            news = await listener.take(PING_S)
            if why := self._refused():
                yield event("end", {"why": why})
                return
            if listener.late:
                listener.late = False
                self._told = None
                yield await run_in_threadpool(self._skip, self._feed.positions)
                continue
            if not news:
                yield ": ping\n\n"
            for each in news:
                if each.shard not in self._joined and not each.reading.failed:
                    yield await run_in_threadpool(self._catch_up, each.shard)
            text = "".join(map(self._text, news))
            if text:
                yield text
            if self._is_over(news):
                return
        yield event("end", {"why": "the door ends; come again"})

    def _begin(self, listener: Listener) -> str:
        """What was missed, or how all stands now; a stream begins with something, so that it is known to be open."""
        self._seen = self._positions()
        missed = {name: self._missed(name, start) for name, start in listener.starts.items()} if self._last_id else None
        if missed is None or None in missed.values():
            return f"retry: 1000\n{self._skip(listener.starts)}{self._audit()}"
        told = "".join(self._outcomes(name, entries or ()) for name, entries in missed.items())
        return f"retry: 1000\n{told}{self._state()}{self._audit()}"

    def _positions(self) -> dict[str, str]:
        """Those of the last event that was seen, of the shards that are told here."""
        if not self._last_id:
            return {}
        if not self._desks.several and "=" not in self._last_id:
            return {self._names[0]: self._last_id}
        found = parse(self._last_id, self._names)
        return {name: "0-0" if found[name] == START else found[name] for name in self._names}

    def _missed(self, name: str, newest: str) -> list[Entry] | None:
        """The outcomes after the last one that was seen; None if they are too many, or kept no longer.

        A shard that is away has none now, and those that it has come when it is back.
        """
        try:
            with self._desks.shards.of(name).named():
                found = self._after(name, self._seen[name], newest)
        except ShardAwayError:
            return []
        self._joined.add(name)
        return found

    def _after(self, name: str, last_id: str, newest: str) -> list[Entry] | None:
        store = self._desks.shards.of(name).store
        redis = store.redis
        kept_since = (redis.time()[0] - store.settings.retention_s) * 1000
        if (0, 0) < _key(last_id) < (kept_since, 0):  # at 0-0 nothing had ended, so whatever is kept came after
            return None
        if _key(last_id) >= _key(newest):
            return []
        found = redis.xrange(store.keys.of("outcomes"), min=f"({last_id}", max=newest, count=RESUMED + 1)
        entries = cast("list[Entry]", found)
        return entries if len(entries) <= RESUMED else None

    def _catch_up(self, name: str) -> str:
        """What was missed of a shard that was away when the stream began."""
        newest = self._feed.positions[name]
        missed = self._missed(name, newest) if name in self._seen else None
        if missed is None:
            return self._skip({name: newest})
        return self._outcomes(name, missed)

    def _skip(self, positions: Mapping[str, str]) -> str:
        """How all stands, in the place of what would have to be told one by one until then."""
        own = {name: at for name, at in positions.items() if name in self._names}
        self._seen |= own
        self._joined |= own.keys()
        return self._snapshot()

    def _snapshot(self) -> str:
        """How all stands, under the id of the last outcome that is in it."""
        now = self._now()
        return f"id: {self._id}\nevent: snapshot\ndata: {now}\n\n" if now else self._view.away(*self._names)

    @property
    def _id(self) -> str:
        """Where its reader is."""
        return compose(self._seen) if self._desks.several else self._seen[self._names[0]]

    def _state(self) -> str:
        now = self._now()
        name = "status" if self._batch_id is None else "batch"
        return f"event: {name}\ndata: {now}\n\n" if now else self._view.away(*self._names)

    def _now(self) -> str:
        """Empty while no shard is there that could tell."""
        if self._batch_id is not None:
            return encoded(document("batch", self._batch_row(self._home.store.batches.state(self._batch_id))))
        said = self._view.standing(self._feed.standing)
        return encoded(document("status", said)) if said else ""

    @property
    def _home(self) -> Desk:
        """The desk of the batch."""
        return self._desks.of(self._desks.shards.of(self._names[0]))

    def _batch_row(self, state: BatchState) -> dict[str, Any]:
        return self._home.row(batch_json(state))  # type: ignore[no-any-return]

    def _text(self, news: News) -> str:
        reading, name = news.reading, news.shard
        if reading.failed:
            told = self._view.away(name, error=reading.failed)
            return told + (self._status(news) if news.turned and self._desks.several else "")
        if name not in self._joined:
            return ""
        if self._batch_id is not None:
            return self._outcomes(name, reading.entries) + self._batch(reading.batches.get(self._batch_id))
        told = news.text((self._view.key, self._id), lambda: self._outcomes(name, reading.entries))
        if reading.entries:
            self._seen[name] = max(self._seen[name], reading.entries[-1][0], key=_key)
        if reading.decisions:
            told += news.text((self._view.key, "audit"), lambda: self._view.audit(news.standing))
        if reading.beside:
            told += news.text((self._view.key, "beside"), lambda: self._view.batches(name, reading.beside))
        return told + (self._status(news) if reading.snapshot or (news.turned and self._desks.several) else "")

    def _audit(self) -> str:
        return self._view.audit(self._feed.standing) if self._batch_id is None else ""

    def _status(self, news: News) -> str:
        if self._batch_id is not None:
            return ""
        return news.text((self._view.key, "status"), lambda: self._view.status(news.standing))

    def _batch(self, state: BatchState | None) -> str:
        """How the batch stands, if that is news."""
        if state is None or state == self._told:
            return ""
        self._told = state
        return event("complete" if state.complete else "batch", document("batch", self._batch_row(state)))

    def _outcomes(self, name: str, entries: Sequence[Entry]) -> str:
        return "".join(self._each(name, entries))

    def _each(self, name: str, entries: Sequence[Entry]) -> Iterator[str]:
        """An id by itself is no event: one who sees little comes back behind what others' orders have brought."""
        before, told = self._seen[name], ""
        for entry_id, fields in entries:
            if _key(entry_id) <= _key(self._seen[name]):
                continue
            self._seen[name] = entry_id
            batches = fields["batches"].split()
            mine = self._batch_id is None or self._batch_id in batches
            told = self._view.outcome(name, fields) if mine and self._view.sees(fields) else ""
            if told:
                yield f"id: {self._id}\n{told}"
        if self._seen[name] != before and not told:
            yield f"id: {self._id}\n\n"

    def _is_over(self, news: Sequence[News]) -> bool:
        states: Sequence[BatchState | None] = [each.reading.batches.get(self._batch_id or "") for each in news]
        return any(state is not None and state.complete for state in states)

    def _refused(self) -> str:
        """Why the caller may not listen any more: the token may have gone since, or have other rights."""
        if time.monotonic() - self._asked_at < ASKED_S:
            return ""
        self._asked_at = time.monotonic()
        try:
            same = self._check() == self._caller
        except Problem as problem:
            return problem.kind
        return "" if same else "the token has other rights now; come again"


def _key(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


async def _until_gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end()
