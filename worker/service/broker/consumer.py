"""Celery's consumer: runs the messages that can be run, and refuses the rest without losing them.

The sink is `app.refuse`, a `Refuse`. It is called before the message is acknowledged: while it fails,
nothing is lost and nothing spins, since the message stays unacknowledged in Redis and comes again after the
visibility timeout.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import functools
import logging
import time
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer as CeleryConsumer
from redis.exceptions import RedisError

from bulk_cancel.worker.service.broker.messages import Call, Refusal, printable, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu.connection import Connection

    from bulk_cancel.worker.service.broker.qos import Message

logger: Final = logging.getLogger(__name__)
LOGGED_CHARACTERS: Final = 10_240
"""How much of an unreadable message a log line holds."""
SINK_REST_S: Final = 5.0
"""How long a sink that failed is left alone: a call may wait for a silent Redis, good messages with it."""


class Refuse(Protocol):
    """Keeps a refused message; any exception means that it was not kept and shall be offered again."""

    def __call__(self, payload: str, errors: list[str], *, source: str, length: int) -> None:
        """Keep `payload` (as found, non-UTF-8 escaped), all that is wrong with it, and its queue.

        Of a message that is too long `payload` is the head, and `length` its bytes; else `length` is in characters.
        """


class Consumer(CeleryConsumer):
    """Celery's consumer behind a check of every message; no heartbeat, gossip or mingle, quick reconnects."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        # these three wait for a silent broker at shutdown, and mingle makes every start a second slower
        super().__init__(*args, **kwargs, without_heartbeat=True, without_gossip=True, without_mingle=True)
        # said at each lost connection, about a setting that threads cannot have
        warnings.filterwarnings("ignore", r"\s*In Celery 5\.1 we introduced", CPendingDeprecationWarning)
        self._sink_rests_until = 0.0

    def ensure_connected(self, conn: Connection) -> Connection:
        """As Celery's, but try again after 0.2 s rising to 1 s instead of 2 s rising to 30 s."""
        quickly = functools.partial(conn.ensure_connection, interval_start=0.2, interval_step=0.2, interval_max=1)
        conn.ensure_connection = quickly  # type: ignore[method-assign]  # Celery passes no intervals
        super().ensure_connected(conn)
        return conn

    def create_task_handler(self, *args: object, **kwargs: object) -> Callable[[Message], None]:
        """The callback for each message of a queue."""
        run = super().create_task_handler(*args, **kwargs)
        tasks = frozenset(name for name in self.app.tasks if not name.startswith("celery."))
        return lambda message: self._receive(message, tasks, run)

    def _receive(self, message: Message, tasks: frozenset[str], run: Callable[[Message], None]) -> None:
        match read(message.raw, tasks=tasks, now=datetime.now(UTC)):
            case Refusal() as refusal:
                self._refuse(message, refusal)
            case Call() as call:
                self._run(message, call, run)

    def _run(self, message: Message, call: Call, run: Callable[[Message], None]) -> None:
        _put(call, message)
        try:
            run(message)
        except (RedisError, OSError):  # the connection: Celery's business
            raise
        except Exception:
            logger.exception("task %s could not be started and will come again", call.task_id)
            message.channel.qos.leave(message.delivery_tag)

    def _refuse(self, message: Message, refusal: Refusal) -> None:
        kept = self._keep(message, refusal)
        _log(message, refusal, whole=not refusal.readable or not (kept or message.booked))
        if kept:
            message.ack()
        else:
            if message.too_long:
                message.channel.qos.book(message, message.delivery_tag)
            message.channel.qos.leave(message.delivery_tag)

    def _keep(self, message: Message, refusal: Refusal) -> bool:
        """Whether the sink took it; a sink that failed a moment ago is not asked."""
        refuse: Refuse | None = getattr(self.app, "refuse", None)
        if refuse is None:
            return True
        if time.monotonic() < self._sink_rests_until:
            return False
        payload = printable(message.raw)
        length = len(message.raw) if message.too_long else len(payload)
        try:
            refuse(payload, list(refusal.errors), source=message.queue, length=length)
        except Exception as error:  # noqa: BLE001  # the sink is not ours; the message is kept
            logger.error("a refused message could not be kept and will come again: %r", error)  # noqa: TRY400
            self._sink_rests_until = time.monotonic() + SINK_REST_S
            return False
        return True


def _put(call: Call, message: Message) -> None:
    """Make it say exactly what was understood; without a content type Celery takes the body as decoded.

    Follow-ups go by a header of ours: Celery's own would be sent wherever our configuration says, or end the task.
    """
    message.headers = {"task": call.task, "id": call.task_id, "root_id": call.task_id, "follow_ups": call.follow_ups}
    message.properties = {}
    message.content_type = message.content_encoding = None
    message.body = message._decoded_cache = [call.args, call.kwargs, {}]  # noqa: SLF001


def _log(message: Message, refusal: Refusal, *, whole: bool) -> None:
    errors, size = "; ".join(refusal.errors), len(message.raw)
    if whole:
        shown = repr(message.raw[:LOGGED_CHARACTERS])[:LOGGED_CHARACTERS]
        logger.error("refused a message of %d bytes from %s: %s: %s", size, message.queue, errors, shown)
    else:
        logger.error("refused a message of %d bytes from %s: %s", size, message.queue, errors)
