"""Moves messages from Redis lists to Celery and back, whatever is in them, whenever Redis goes away.

kombu's Redis transport with these differences: a message of a queue travels as the bytes that were found
there, under a delivery tag of our own, and goes back as the same bytes into the queue it came from (kombu
trusts the sender's tag, exchange and priority, and loses what it cannot parse or route); a connection
that is gone is closed without raising (kombu kills a busy worker at a restart of Redis); and no list is deleted
while it is read. What is left unacknowledged comes back after the visibility timeout.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import logging
import time
from queue import Empty
from typing import TYPE_CHECKING, Final

import kombu.transport
from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import ResponseError

from bulk_cancel.tasks.queues import URGENT
from bulk_cancel.worker.service.broker.foreign import ForeignKeys
from bulk_cancel.worker.service.broker.qos import Message, Popped, QoS
from bulk_cancel.worker.state.redis_errors import WRONG_TYPE, code_of

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

logger: Final = logging.getLogger(__name__)
_HERE: Final = "bulk_cancel.worker.service.broker.transport"
AGAIN_S: Final = 0.02
"""How long urgent messages alone are waited for before normal ones may have their turn."""


class Channel(redis.Channel):
    """A channel to one Redis server."""

    QoS = QoS
    Message = Message  # type: ignore[assignment]  # kombu reads the class attribute, not its type

    _known: Redis | None = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._foreign = ForeignKeys()
        self._asked: list[str] = []

    def _create_client(self, asynchronous: bool = False) -> Redis:  # noqa: FBT001, FBT002 (kombu's signature)
        """One for the pool: kombu makes a client for each command, which costs more than the command.

        The asynchronous ones each hold a connection, and stay their owner's.
        """
        if asynchronous:
            return self._made(asynchronous=True)
        if self._known is None or self._known.connection_pool is not self.pool:
            self._known = self._made(asynchronous=False)
        return self._known

    def _made(self, *, asynchronous: bool) -> Redis:
        made: Redis = super()._create_client(asynchronous)
        return made

    def _brpop_start(self, timeout: float | None = None) -> None:
        """As kombu's, but the lists of one queue stand together, whatever priorities senders name.

        kombu asks for priority 0 of all queues first, so an urgent message with RabbitMQ's highest priority, 9, came
        after every message of the other queue. Normal messages leave some threads to urgent ones.
        """
        queues = self._queue_cycle.consume(len(self.active_queues))
        if URGENT in queues and not self.qos.takes_normal():
            queues, timeout = [URGENT], AGAIN_S
        self._asked = [self._q_for_pri(queue, step) for queue in queues for step in self.priority_steps]
        lists = self._foreign.leave_out(self._asked, self._create_client())
        if not lists:
            return
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()  # type: ignore[assignment]  # kombu begins with None
        self.client.connection.send_command("BRPOP", *lists, timeout or self.brpop_timeout or 0)

    def _size(self, queue: str) -> int:
        """As kombu's, but a key of another type counts for nothing: BRPOP leaves it out, and names it.

        kombu asks for it when a worker starts or connects again, so one such key kept all queues from being read.
        """
        with self._create_client().pipeline(transaction=False) as pipe:
            for step in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, step))
            return sum(reply for reply in pipe.execute(raise_on_error=False) if isinstance(reply, int))

    def keep_lists(self) -> None:
        """What waits here stays while it has a reader, as kombu promises of a Queue with `expires`.

        On Redis it is a time to live that a producer gives to the list, and BRPOP does not renew it: what waited for
        a busy worker was deleted. Refusals are left to the commands that cannot do without.
        """
        lists = [self._q_for_pri(queue, step) for queue in self.active_queues for step in self.priority_steps]
        client = self._create_client()
        with client.pipeline(transaction=False) as pipe:
            for name in self._foreign.leave_out(lists, client):
                pipe.persist(name)
            pipe.execute(raise_on_error=False)

    def _brpop_read(self, **options: object) -> bool:
        """As kombu's, but what was popped is delivered unread."""
        try:
            found = self._brpop_reply(**options)
            if not found:
                raise Empty
            key, raw = found
            queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self.connection._deliver(Popped(raw, queue), queue)  # noqa: SLF001
            return True
        finally:
            self._in_poll = False
            self._flush_brpop_reauth()

    def _brpop_reply(self, **options: object) -> tuple[bytes, bytes] | None:
        connection = self.client.connection
        try:
            reply: tuple[bytes, bytes] | None = self.client.parse_response(connection, "BRPOP", **options)
        except self.connection_errors:
            connection.disconnect()  # the next turn of the loop connects again
            raise
        except ResponseError as error:
            if code_of(error) != WRONG_TYPE:
                raise
            self._foreign.look(self._asked, self._create_client())
            return None
        return reply

    def _queue_bind(self, *args: object) -> None:
        """As kombu's, but a table that cannot be written stops nobody: we read lists by their names."""
        try:
            super()._queue_bind(*args)
        except ResponseError as error:
            logger.warning("the binding of a queue could not be written, which is needed by nobody here: %r", error)

    def _do_restore_message(
        self,
        payload: str | dict[str, object],
        exchange: str,
        routing_key: str,
        pipe: Pipeline,
        leftmost: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Put the bytes back where they came from; `leftmost` is the far end. Others' as kombu does."""
        if isinstance(payload, dict):
            super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)
            return
        push = pipe.lpush if leftmost else pipe.rpush
        push(routing_key, payload.encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """Close even if the last BRPOP is never answered."""
        try:
            super().close()
        except self.connection_errors as error:
            logger.info("the broker did not answer while a channel was closed: %r", error)
            super().close()  # nothing is in flight any more


class SentinelChannel(Channel, redis.SentinelChannel):
    """A channel to the primary that Sentinel names."""


class Transport(redis.Transport):
    """`redis://`, `rediss://` and `redis+socket://`."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """`sentinel://host:26379;sentinel://…`, with `master_name` among the transport options."""

    Channel = SentinelChannel


def register() -> None:
    """Make plain Redis and Sentinel URLs of this process use these transports.

    An alias rather than the setting `broker_transport`: kombu goes by the URL's scheme when it fails over to
    the next URL, and only the scheme `rediss` turns on TLS.
    """
    names = {"redis": "Transport", "rediss": "Transport", "sentinel": "SentinelTransport"}
    for scheme, name in names.items():
        kombu.transport.TRANSPORT_ALIASES[scheme] = f"{_HERE}:{name}"
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001
