"""How does the simulated exchange listen, delay, and keep requests in order of arrival?

The simulator has no protection against misuse and its control API no password: bind it to loopback only, or
to a network that holds nothing but tests.
"""

import asyncio
import heapq
import logging
import random
import socket
import time
from collections.abc import Callable, Coroutine

from worker.simulator.config import Config
from worker.simulator.connection import Connection
from worker.simulator.control import Control
from worker.simulator.exchange import Delivery, Exchange
from worker.simulator.wire import Request, Stream

logger = logging.getLogger(__name__)
_BACKLOG = 1024


class Clock:
    """Microseconds since the epoch that never step: the monotonic clock, anchored once."""

    def __init__(self) -> None:
        self._anchor_us = (time.time_ns() - time.monotonic_ns()) // 1_000

    def now_us(self) -> int:
        """The present instant."""
        return self._anchor_us + time.monotonic_ns() // 1_000


class Agenda:
    """What is to happen at planned instants, strictly in that order (an event loop's timers are coarser)."""

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def at(self, due_us: int, action: Callable[[int], None]) -> None:
        """Plan an action; it is told the instant planned."""
        self._count += 1
        heapq.heappush(self._heap, (due_us, self._count, action))
        if self._heap[0][1] == self._count:
            self._wake_later()

    def catch_up(self, now_us: int) -> None:
        """Do all that is due."""
        while self._heap and self._heap[0][0] <= now_us:
            due_us, _, action = heapq.heappop(self._heap)
            action(due_us)

    def _wake_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            wait_us = max(0, self._heap[0][0] - self._clock.now_us())
            self._timer = self._loop.call_later(wait_us / 1e6, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.catch_up(self._clock.now_us())
        self._wake_later()


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
        self._port = config.port
        self._socket = self._reserve_port()
        self._port = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.config.host}:{self._port}"

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
        delay_us = self.network.draw_us(self._dice)
        if delay_us:
            self._agenda.at(now_us + delay_us, lambda at_us: self._arrive(connection, request, at_us))
        else:
            self._arrive(connection, request, now_us)

    def refuse_connections(self, for_s: float, *, drop: bool) -> None:
        """Close the listener for a while; `drop` also resets connected clients, never control connections."""
        self._stop_listening()
        self._socket = self._reserve_port()
        for connection in list(self.connections) if drop else ():
            if not connection.controls:
                connection.reset()
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = self._loop.call_later(for_s, self.accept_connections)

    def release(self) -> int:
        """Send all answers that faults hold back; says how many."""
        return sum(connection.release() for connection in list(self.connections))

    def stop(self) -> None:
        """End `run`."""
        self._loop.call_soon(self.stopped.set)

    async def run(self) -> None:
        """Serve until stopped, then close everything at once."""
        await self.stopped.wait()
        self._stop_listening()
        for connection in list(self.connections):
            (connection.close if connection.controls else connection.reset)()

    def _arrive(self, connection: Connection, request: Request, at_us: int) -> None:
        delivery = self.exchange.arrive(request, at_us)
        logger.debug("%s %s -> %s", request.method, request.target, delivery.reply.status)
        delay_us = self.network.draw_us(self._dice)
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
            connection.deliver(Delivery(answer))

    def _reserve_port(self) -> socket.socket:
        """A bound socket that does not listen: connections are refused, yet nobody else can take the port."""
        reserved = socket.socket(socket.AF_INET6 if ":" in self.config.host else socket.AF_INET)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reserved.bind((self.config.host, self._port))
        except OSError:
            reserved.close()
            raise
        return reserved

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
