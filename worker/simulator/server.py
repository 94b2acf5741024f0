"""Listens, delays, and keeps requests in the order of their arrival.

The simulator has no protection against misuse and its control API no password: bind it to loopback only, or
to a network that holds nothing but tests.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Coroutine

from bulk_cancel.worker.simulator.agenda import Agenda, Clock
from bulk_cancel.worker.simulator.channel import PATH, Channels
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.connection import Connection
from bulk_cancel.worker.simulator.control import Control
from bulk_cancel.worker.simulator.exchange import Delivery, Exchange
from bulk_cancel.worker.simulator.messages import ChannelFault
from bulk_cancel.worker.simulator.wire import Request, Stream

logger = logging.getLogger(__name__)
_BACKLOG = 1024


class Server:
    """The listening exchange: one process, one thread, one loop."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.network = config.network
        self.clock = Clock()
        self.exchange = Exchange(config, self.clock.now_us())
        self.connections: set[Connection] = set()
        self.stopped = asyncio.Event()
        self._loop = loop
        self._agenda = Agenda(self.clock, loop)
        self._dice = random.Random(config.seed)
        self._control = Control(self.exchange, self)
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reopening: asyncio.TimerHandle | None = None
        self._listening = False
        self._socket, self._channel_socket = reserve_both(config.host, config.port, config.ws_port)
        self._port: int = self._socket.getsockname()[1]
        self._channel_port: int = self._channel_socket.getsockname()[1]
        self._channels = Channels(self.exchange, self.clock, self._agenda, self._delay_us, config.channel_silence_s)
        self._awaited_us: int | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.config.host}:{self._port}"

    @property
    def ws_url(self) -> str:
        """Where its private channel listens."""
        return f"ws://{self.config.host}:{self._channel_port}{PATH}"

    async def open_channels(self) -> None:
        """Listen for WebSocket connections, which `refuse_connections` does not touch."""
        await self._channels.listen(self._channel_socket)

    def accept_connections(self) -> None:
        """Listen; again on the same port if it did before. In effect when this returns."""
        if self._reopening is not None:
            self._reopening.cancel()
        if self._listening:
            return
        self._listening = True
        self._socket.listen(_BACKLOG)
        self._spawn(self._serve(self._socket))

    def receive(self, connection: Connection, request: Request) -> None:
        """Take one request off the wire: control at once, everything else through the network's delay."""
        if request.target.startswith("/control/"):
            self._serve_control(connection, request)
            return
        now_us = self.clock.now_us()
        self._agenda.catch_up(now_us)
        delay_us = self._delay_us()
        if delay_us:
            self._agenda.at(now_us + delay_us, lambda at_us: self._arrive(connection, request, at_us))
        else:
            self._arrive(connection, request, now_us)

    def refuse_connections(self, for_s: float, *, drop: bool) -> None:
        """Close the listener for a while; `drop` also resets connected clients, never control connections."""
        self._stop_listening()
        self._socket = reserve(self.config.host, self._port)
        for connection in list(self.connections) if drop else ():
            if not connection.controls:
                connection.reset()
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = self._loop.call_later(for_s, self.accept_connections)

    def release(self) -> int:
        """Send all answers that faults hold back; says how many."""
        return sum(connection.release() for connection in list(self.connections))

    def subscribed(self) -> int:
        """How many private channels are pushed to."""
        return self._channels.subscribed()

    def connected(self) -> int:
        """How many clients' connections are open, those that asked for control not counted."""
        return sum(not connection.controls for connection in self.connections)

    def fault_channels(self, fault: ChannelFault) -> int:
        """Drop, silence or deafen the private channels; says how many are open."""
        return self._channels.fault(fault)

    def stop(self) -> None:
        """End `run`."""
        self._loop.call_soon(self.stopped.set)

    async def run(self) -> None:
        """Serve until stopped, then close everything at once."""
        await self.stopped.wait()
        self._stop_listening()
        self._channels.close()
        for connection in list(self.connections):
            (connection.close if connection.controls else connection.reset)()

    def _arrive(self, connection: Connection, request: Request, at_us: int) -> None:
        delivery = self.exchange.arrive(request, at_us)
        self._await_endings()
        logger.debug("%s %s -> %s", request.method, request.target, delivery.reply.status)
        delay_us = self._delay_us()
        if delay_us:
            self._agenda.at(at_us + delay_us, lambda _: connection.deliver(delivery))
        else:
            connection.deliver(delivery)

    def _serve_control(self, connection: Connection, request: Request) -> None:
        connection.controls = True
        answer = self._control.serve(request, self.clock.now_us())
        if isinstance(answer, Stream):
            self._spawn(connection.stream(answer))
        else:
            # what was reset is closed in the loop's next round: an answer says that it is done
            self._loop.call_soon(connection.deliver, Delivery(answer))

    def _delay_us(self) -> int:
        return self.network.draw_us(self._dice)

    def _await_endings(self) -> None:
        """Cancels that lag take effect, and are pushed, when they are due, not when somebody asks next."""
        due_us = self.exchange.next_due_us
        if due_us is not None and (self._awaited_us is None or due_us < self._awaited_us):
            self._awaited_us = due_us
            self._agenda.at(due_us, self._end_due)

    def _end_due(self, at_us: int) -> None:
        if at_us == self._awaited_us:
            self._awaited_us = None
            self.exchange.advance(at_us)
            self._await_endings()

    async def _serve(self, listening: socket.socket) -> None:
        listener = await self._loop.create_server(lambda: Connection(self), sock=listening, backlog=_BACKLOG)
        if self._socket is listening:
            self._listener = listener
        else:
            listener.close()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._socket.close()
        self._listener, self._listening = None, False

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def reserve_both(host: str, port: int, ws_port: int) -> tuple[socket.socket, socket.socket]:
    """Two bound sockets, or none; raises OSError."""
    first = reserve(host, port)
    try:
        return first, reserve(host, ws_port)
    except OSError:
        first.close()
        raise


def reserve(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen: connections are refused, yet nobody else can take the port.

    Raises:
        OSError: the address cannot be bound.
    """
    reserved = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind((host, port))
    except OSError:
        reserved.close()
        raise
    return reserved
