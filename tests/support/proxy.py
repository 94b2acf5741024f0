"""How does a test spoil a connection? A TCP proxy on loopback that stalls, delays, cuts and half-opens on command."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Coroutine
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

from tests.support.waiting import PATIENCE_S

_HOST: Final = "127.0.0.1"
_CHUNK: Final = 1 << 16


class _Link:
    """One client's connection through the proxy; `dead` forwards nothing any more and stays open."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.dead = False
        self.cut_at: int | None = None
        """Bytes of the reply still to be passed on before the cut; None: no cut."""

    def abort(self) -> None:
        """Reset both sides."""
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Forwards `port` to `target` (a port of this host) from `with` to its end; thread-safe. `tls`: clients speak it.

    Bytes that were accepted while stalled are delivered at `go_on`, even if their sender has gone in between.
    """

    def __init__(self, target: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._tls = tls
        self.port = 0
        self.cuts = 0
        """Replies cut so far."""
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._delay_s = 0.0
        self._match = b""
        self._cuts_left = 0
        self._matched = 0
        self._cut: set[int] = set()
        self._every = 1
        self._after = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        """Forward nothing, in either direction, and close nothing; new connections are taken."""
        self._call(self._set_flowing(flowing=False))

    def go_on(self) -> None:
        """Deliver what was held, then forward as before."""
        self._call(self._set_flowing(flowing=True))

    def half_open(self) -> int:
        """The connections of now are dead without a word, new ones work; returns how many."""
        return self._call(self._kill_silently())

    def delay(self, seconds: float) -> None:
        """Every chunk, each way, takes so much longer."""
        self._delay_s = seconds

    def cut_replies(self, match: bytes, *, count: int, after: int = 0, every: int = 1) -> None:
        """Pass on requests that contain `match`, but only `after` bytes of the reply, then reset.

        That happens to each `every`th of them, `count` times.
        """
        self._match, self._after, self._cuts_left, self._every, self.cuts = match, after, count, every, 0

    def _call(self, work: Coroutine[Any, Any, int | None]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S) or 0

    async def _start(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, _HOST, self.port, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        self._server.close()
        for link in tuple(self._links):
            link.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_flowing(self, *, flowing: bool) -> None:
        (self._flowing.set if flowing else self._flowing.clear)()

    async def _kill_silently(self) -> int:
        for link in self._links:
            link.dead = True
        return len(self._links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._forward(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(_HOST, self.target)
        link = _Link(writer, up_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._requests(link, reader, up_writer), self._replies(link, up_reader, writer))
        finally:
            self._links.discard(link)
            link.abort()

    async def _requests(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tail = b""
        async for chunk in self._chunks(link, reader):
            tail = tail[-len(self._match) :] + chunk if self._match else b""
            if self._match and self._match in tail:
                tail = b""
                self._cut_next(link, hash(chunk))
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    def _cut_next(self, link: _Link, request: int) -> None:
        """A request that is made again gets its answer: how often in a row replies are lost is no matter of luck."""
        self._matched += 1
        if self._cuts_left > 0 and self._matched % self._every == 0 and request not in self._cut:
            self._cut.add(request)
            self._cuts_left -= 1
            link.cut_at = self._after

    async def _replies(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for chunk in self._chunks(link, reader):
            if link.cut_at is not None:
                writer.write(chunk[: link.cut_at])
                self.cuts += 1
                writer.close()  # what was let through arrives
                raise ConnectionResetError
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError  # the server closed: nothing to wait for

    async def _chunks(self, link: _Link, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """What was read, when it may go on."""
        while chunk := await reader.read(_CHUNK):
            await asyncio.sleep(self._delay_s)
            await self._flowing.wait()
            if link.dead:
                await asyncio.Event().wait()  # for ever
            yield chunk
