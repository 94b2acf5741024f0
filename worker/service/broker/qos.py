"""A message as it was found in a queue, and the book of those in work: what is left in it comes again.

A message in work is not given out again while its worker lives, however long it takes: its time in the book is renewed.
Messages that are too long to be read are never booked: they are refused by their head at once.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from kombu.transport import redis, virtual
from kombu.utils.json import dumps, loads
from redis.exceptions import ResponseError

from bulk_cancel.tasks.queues import URGENT
from bulk_cancel.worker.service.broker.messages import MAX_BYTES

if TYPE_CHECKING:
    from bulk_cancel.worker.service.broker.transport import Channel

logger: Final = logging.getLogger(__name__)
REST_S: Final = 5.0
"""How long a broker that did not answer is spared acknowledgements: each may block for seconds."""

LARGE_BYTES: Final = 4 * 1024 * 1024
"""Normal messages are taken while those in work are shorter than this together: two large ones at once at most."""

PUT_OFF: Final = "put off"
"""In the place of True, where a task rejects its message: it is to come again, but not at once."""

PUT_OFF_S: Final = 5.0
"""How long it stays away: a thousand such messages cost two hundred turns a second."""

_unlisted: Final[dict[str, Message]] = {}
"""By tag: what was popped and is in no list of the broker's, which did not answer. It outlives channels."""

_RENEWALS: Final = 3
"""Within one visibility timeout."""


@dataclass(frozen=True, slots=True)
class Popped:
    """What a queue held: its bytes, unread."""

    raw: bytes
    queue: str


class Message(virtual.Message):
    """A kombu message that keeps the bytes it came from in `raw` (a broadcast has none: it was in no queue).

    Anything readable looks as kombu would show it, for consumers other than ours (replies to remote control);
    anything else has an empty body.
    """

    booked = True
    raw = b""
    queue = ""

    def __init__(self, payload: Popped | dict[str, object], channel: Channel, **kwargs: object) -> None:
        if not isinstance(payload, Popped):
            super().__init__(payload, channel=channel, **kwargs)
            return
        self.raw = payload.raw
        self.queue = payload.queue
        try:
            found = {} if self.too_long else loads(payload.raw)
            super().__init__(_envelope(payload, found), channel=channel, **kwargs)
        except Exception:  # noqa: BLE001  # whatever a sender can think of; the consumer says what is wrong
            super().__init__(_envelope(payload, {}), channel=channel, **kwargs)

    @property
    def too_long(self) -> bool:
        """It is not to be read: reading takes ten times its length."""
        return len(self.raw) > MAX_BYTES


def _envelope(popped: Popped, found: dict[str, object]) -> dict[str, object]:
    """The message as kombu wants it; compressed bodies stay so, for they may grow a thousandfold."""
    headers, properties = dict(found.get("headers") or {}), dict(found.get("properties") or {})  # type: ignore[call-overload]
    headers.pop("compression", None)
    properties["delivery_tag"] = str(uuid4())
    properties["delivery_info"] = {"exchange": "", "routing_key": popped.queue}
    return {"body": "", **found, "headers": headers, "properties": properties}


class QoS(redis.QoS):
    """Acknowledgements that never raise, nor queue up behind a silent broker, nor keep a prefetch place."""

    _rests_until = 0.0
    _refused_with: tuple[object, ...] = ()
    _renewed_at = 0.0

    def append(self, message: Message, delivery_tag: str) -> None:
        """Book the message in Redis, unless it is too long to be taken."""
        if message.too_long:
            message.booked = False
            virtual.QoS.append(self, message, delivery_tag)
        else:
            self.book(message, delivery_tag)

    def book(self, message: Message, delivery_tag: str) -> None:
        """Book the message in Redis; where that fails it is popped already, so it goes on unbooked."""
        if message.queue:
            message._raw = message.raw.decode("utf-8", "surrogateescape")  # noqa: SLF001  # what is stored and restored
        try:
            super().append(message, delivery_tag)
            message.booked = True
        except Exception as error:  # noqa: BLE001  # raised here it would lose the message
            logger.warning("a message could not be booked and is handled all the same: %r", error)
            message.booked = False
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget the message; where Redis does not answer it stays there and is given out again."""
        self._settle(delivery_tag, requeue=False)

    def reject(self, delivery_tag: str, requeue: bool | str = False) -> None:  # noqa: FBT001, FBT002
        """Forget the message, or put it back at the end of its queue; or let it come again after PUT_OFF_S."""
        if requeue == PUT_OFF:
            self._put_off(delivery_tag)
        else:
            self._settle(delivery_tag, requeue=bool(requeue))

    def leave(self, delivery_tag: str) -> None:
        """Free the message's place here but not in Redis: it comes again after the visibility timeout."""
        virtual.QoS.ack(self, delivery_tag)

    def _put_off(self, delivery_tag: str) -> None:
        """Its place here is free at once; in the book it ages, so that it comes sooner than what is left there."""
        message = self._delivered.get(delivery_tag)
        self.leave(delivery_tag)  # first: what is in work is renewed
        try:
            if message is not None:
                self._write(message, delivery_tag, given_out_at=time.time() - self.visibility_timeout + PUT_OFF_S)
        except Exception as error:  # noqa: BLE001  # raised here it would end the worker
            self._keep(delivery_tag, message)
            logger.warning("a message could not be put off, and comes again a little later: %r", error)

    def _write(self, message: Message, delivery_tag: str, *, given_out_at: float) -> None:
        """The entry in the book, whether or not there was one."""
        info = message.delivery_info
        text = dumps([message._raw, info["exchange"], info["routing_key"]])  # noqa: SLF001
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: given_out_at})
            pipe.hset(self.unacked_key, delivery_tag, text).execute()

    def restore_visible(self, *args: object, **kwargs: object) -> None:
        """As kombu's, but what waits and what is in work here stays, and a refusal does not end the connection."""
        try:
            self.channel.keep_lists()
            self._list_again()
            self._renew()
            super().restore_visible(*args, **kwargs)
        except ResponseError as error:
            if error.args != self._refused_with:
                logger.error("what was not acknowledged cannot be given out again: %r", error)  # noqa: TRY400
            self._refused_with = error.args

    def takes_normal(self) -> bool:
        """Whether one more normal message leaves enough to urgent ones: a quarter of the threads, and memory."""
        normal = [message for message in self._in_work().values() if message.queue != URGENT]
        most = max(1, self.prefetch_count - max(1, self.prefetch_count // 4))
        return len(normal) < most and sum(len(message.raw) for message in normal) < LARGE_BYTES

    def _in_work(self) -> dict[str, Message]:
        """By tag; threads that end meanwhile mark theirs as dirty."""
        return {tag: message for tag, message in self._delivered.items() if tag not in self._dirty}

    def _renew(self) -> None:
        """The messages in work are as if given out now; one that has just been acknowledged is not booked anew."""
        now = time.monotonic()
        if now < self._renewed_at + self.visibility_timeout / _RENEWALS:
            return
        self._renewed_at = now
        tags = [tag for tag, message in self._in_work().items() if message.booked]
        if tags:
            with self.channel.conn_or_acquire() as client:
                client.zadd(self.unacked_index_key, dict.fromkeys(tags, time.time()), xx=True)

    def restore_unacked(self, client: object = None) -> None:
        """Give back what was not acknowledged, as far as Redis can be reached."""
        try:
            for tag in self._in_work():
                self._book_again(tag)
            super().restore_unacked(client)
        except Exception as error:  # noqa: BLE001  # kombu's state is half gone: also AttributeError
            for tag, message in self._in_work().items():
                self._keep(tag, message)
            logger.warning("%d unacknowledged messages come again later: %r", len(self._delivered), error)
            self._delivered.clear()

    def _book_again(self, delivery_tag: str) -> None:
        """One that could not be booked when it was popped is in no list: nothing would be put back."""
        message = self._delivered.get(delivery_tag)
        if message is not None and not message.booked and message.queue:
            self._write(message, delivery_tag, given_out_at=time.time())

    def _keep(self, delivery_tag: str, message: Message | None) -> None:
        """One that is in no list stays with us, whatever becomes of this channel, until the broker answers."""
        if message is not None and not message.booked and message.queue:
            _unlisted[delivery_tag] = message

    def _list_again(self) -> None:
        """What was kept is in the book, and old enough to be given out at once."""
        for tag, message in list(_unlisted.items()):
            self._write(message, tag, given_out_at=time.time() - self.visibility_timeout)
            _unlisted.pop(tag, None)

    def _settle(self, delivery_tag: str, *, requeue: bool) -> None:
        message = self._delivered.get(delivery_tag) if requeue else None
        if not requeue:
            _unlisted.pop(delivery_tag, None)
        try:
            if time.monotonic() < self._rests_until:
                self._keep(delivery_tag, message)
                logger.debug("delivery %s comes again: the broker did not answer a moment ago", delivery_tag)
            elif requeue:
                self._book_again(delivery_tag)
                self.restore_by_tag(delivery_tag, leftmost=True)
            else:
                self._remove_from_indices(delivery_tag).execute()
        except Exception as error:  # noqa: BLE001  # raised here it would end the worker
            self._rests_until = time.monotonic() + REST_S
            self._keep(delivery_tag, message)
            logger.warning("the broker could not be told about a message, which comes again: %r", error)
        finally:
            self.leave(delivery_tag)
