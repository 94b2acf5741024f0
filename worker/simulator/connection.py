"""One client's connection: takes requests in and lets answers out, sound or spoilt."""

import asyncio
import contextlib
import itertools
import socket
import struct
from typing import Protocol, cast

from bulk_cancel.worker.simulator.exchange import Delivery
from bulk_cancel.worker.simulator.faults import Fault
from bulk_cancel.worker.simulator.wire import (
    BadRequestError,
    Reply,
    Request,
    Stream,
    chunk,
    reply_bytes,
    stream_head,
    take_request,
)

_numbers = itertools.count(1)
_RESET_PAUSE_S = 0.02  # so that the peer reads the first half of an answer before the reset discards it
_MISSING_BYTES = 16


class Receiver(Protocol):
    """What a connection hands its requests to."""

    connections: "set[Connection]"

    def receive(self, connection: "Connection", request: Request) -> None:
        """Take one request; exactly one answer is due, the next request comes after it."""


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are taken one at a time."""

    def __init__(self, receiver: Receiver) -> None:
        self.number = next(_numbers)
        self.controls = False
        self._receiver = receiver
        self._buffer = bytearray()
        self._busy = False
        self._keep_alive = True
        self._writable = asyncio.Event()
        self._held: tuple[Reply, asyncio.TimerHandle] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._loop = asyncio.get_running_loop()
        self._writable.set()
        self._receiver.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called by asyncio."""
        self._receiver.connections.discard(self)
        self._writable.set()
        if self._held is not None:
            self._held[1].cancel()
            self._held = None

    def pause_writing(self) -> None:
        """Called by asyncio: the peer reads slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._buffer += data
        if not self._busy:
            self._next()

    def answer(self, reply: Reply) -> None:
        """Send an answer and be ready for the next request."""
        self._transport.write(reply_bytes(reply, keep_alive=self._keep_alive))
        self._answered()

    def deliver(self, delivery: Delivery) -> None:
        """Send an answer the way its fault wants it."""
        fault = delivery.fault
        if self._transport.is_closing():
            return
        if fault is None or fault.action == "answer":
            self.answer(delivery.reply)
            return
        self._spoil(fault, delivery.reply)

    async def stream(self, stream: Stream) -> None:
        """Send an answer chunk by chunk, letting other connections be served in between."""
        self._transport.write(stream_head())
        for data in stream.chunks:
            self._transport.write(chunk(data))
            await asyncio.sleep(0)
            await self._writable.wait()
            if self._transport.is_closing():
                return
        self._transport.write(chunk(b""))
        self._answered()

    def release(self) -> bool:
        """Send the answer that was held back; False if there was none."""
        if self._held is None:
            return False
        (reply, timer), self._held = self._held, None
        timer.cancel()
        self.answer(reply)
        return True

    def close(self) -> None:
        """Close once everything written has left."""
        self._transport.close()

    def reset(self) -> None:
        """Close at once with a TCP reset."""
        reset(self._transport)

    def _next(self) -> None:
        try:
            request = take_request(self._buffer, self.number, self._peer)
        except BadRequestError:
            self._transport.close()
            return
        if request is not None:
            self._busy = True
            self._keep_alive = request.keep_alive
            self._receiver.receive(self, request)

    def _answered(self) -> None:
        self._busy = False
        if not self._keep_alive:
            self._transport.close()
        elif self._buffer:
            self._loop.call_soon(self._next)

    def _spoil(self, fault: Fault, reply: Reply) -> None:
        actions = {
            "hang": self._hang,
            "close": self._close,
            "reset": self._reset,
            "truncate": self._truncate,
            "dribble": self._dribble,
        }
        actions[fault.action](fault, reply)

    def _hang(self, fault: Fault, reply: Reply) -> None:
        self._held = (reply, self._loop.call_later(fault.hang_s, self.release))

    def _close(self, fault: Fault, reply: Reply) -> None:
        data = reply_bytes(reply, keep_alive=True)
        self._transport.write(data[: fault.sent or 0])
        self._transport.close()

    def _reset(self, fault: Fault, reply: Reply) -> None:
        data = reply_bytes(reply, keep_alive=True)
        sent = len(data) // 2 if fault.sent is None else fault.sent
        self._transport.write(data[:sent])
        if sent:
            self._loop.call_later(_RESET_PAUSE_S, self.reset)
        else:
            self.reset()

    def _truncate(self, _fault: Fault, reply: Reply) -> None:
        self._transport.write(reply_bytes(reply, keep_alive=True, promise_more=_MISSING_BYTES))
        self._transport.close()

    def _dribble(self, fault: Fault, reply: Reply) -> None:
        self._drip(reply_bytes(reply, keep_alive=self._keep_alive), 0, fault.every_s)

    def _drip(self, data: bytes, sent: int, every_s: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(data[sent : sent + 1])
        if sent + 1 < len(data):
            self._loop.call_later(every_s, self._drip, data, sent + 1, every_s)
        else:
            self._answered()


def reset(transport: asyncio.Transport) -> None:
    """Close a connection at once with a TCP reset."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
