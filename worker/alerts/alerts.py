"""The conditions that somebody must act on, by stable names: a log line for each occurrence, and the webhook.

`alert` logs an occurrence where it is noticed, and hands it to the webhook of this process, if it has one. That never
blocks and never raises: a webhook that is slow, refuses or hangs slows no cancel.
"""

import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import product
from threading import Condition as Monitor
from typing import Final

import structlog

from bulk_cancel.worker.alerts.webhook import Webhook, WebhookError
from bulk_cancel.worker.state.loop import Loop

log = structlog.get_logger(__name__)

AGAIN_S: Final = 60.0
"""The same condition of the same subject is sent once in so long, with the count of the others."""

KEPT_S: Final = 300.0
"""An alert that the webhook has not taken by then is given up."""

FLUSH_S: Final = 1.0
QUEUED: Final = 200
"""Alerts that wait for the webhook; of more the oldest are lost, and counted."""

SUBJECTS: Final = 1_000
"""Subjects of which repeats are counted one by one."""

_PAUSE_S, _PAUSE_CAP_S = 1.0, 30.0


class Condition(StrEnum):
    """The names that others rely on; each is an event of the log and of the webhook, and a point of `check`."""

    ORDER_MAY_BE_LIVE = "order_may_be_live"
    MASS_NOT_FLAT = "mass_cancel_not_flat"
    ACCOUNT_PAUSED = "account_paused"
    LANE_REFUSED = "lane_refused"
    REDIS_LOST = "redis_lost"
    OLDEST_URGENT = "oldest_urgent_s"
    UNREAD_MESSAGES = "unread_messages"


class Notice(StrEnum):
    """What is told in the same way and by names as stable, of what was asked for: no points of `check`."""

    MASS_BEGAN = "mass_cancel_began"
    MASS_FLAT = "mass_cancel_flat"
    MASS_RELEASED = "mass_cancel_released"
    MASS_INCOMPLETE = "mass_cancel_incomplete"


STANDING: Final = (Condition.MASS_NOT_FLAT, Notice.MASS_FLAT, Notice.MASS_RELEASED)
"""How a mass cancel stands: of these only the last one is true."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One occurrence; `suppressed` others, of its kind or in whose place it came, were not sent by themselves."""

    condition: Condition | Notice
    subject: str
    facts: Mapping[str, object]
    suppressed: int = 0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    raised_at: float = field(default_factory=time.monotonic)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def body(self, *, runner: str, worker: str) -> bytes:
        """The JSON that is sent; a receiver that gets one `id` twice has met a retry."""
        said = {
            "event": self.condition,
            "id": self.id,
            "at": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "runner": runner,
            "worker": worker,
            "facts": self.facts,
            "suppressed": self.suppressed,
        }
        return json.dumps(said, default=str, separators=(",", ":")).encode()


def alert(
    condition: Condition | Notice, subject: str, facts: Mapping[str, object], *, level: int = logging.ERROR
) -> None:
    """Tells people: a log line now, and the webhook soon; `subject` is whom or what the condition is about."""
    log.log(level, str(condition), **facts)
    if _current is not None:
        _current.offer(Alert(condition, subject, facts))


@dataclass(slots=True)
class _Repeats:
    """What came of one subject since its last alert was sent."""

    ends_at: float
    count: int = 0
    last: Alert | None = None


class Alerts(Loop):
    """Delivers to one webhook, in order; `runner` and `worker` say whose alerts they are.

    At most `QUEUED` wait, of more the oldest are lost. Between `start` and `stop` it is where `alert` hands over.
    """

    def __init__(self, webhook: Webhook, *, runner: str, worker: str, again_s: float = AGAIN_S) -> None:
        super().__init__("alerts", pause_s=_PAUSE_S)
        self._webhook = webhook
        self._runner = runner
        self._worker = worker
        self._again_s = again_s
        self._waiting: deque[Alert] = deque(maxlen=QUEUED)
        self._repeats: dict[tuple[str, str], _Repeats] = {}
        self._changed = Monitor()
        self._flush_by = float("inf")
        self._retry_s = 0.0
        self._failure = ""
        self._gone = False
        self._lost = 0

    def start(self) -> None:
        """From now on `alert` hands over to this one."""
        global _current  # noqa: PLW0603 (like logging, one for the process)
        _current = self
        super().start()

    def stop(self) -> None:
        """Delivers what waits, for a second at most."""
        global _current  # noqa: PLW0603
        _current = None
        self._flush_by = time.monotonic() + FLUSH_S
        with self._changed:
            super().stop()
            self._changed.notify()
        self.join(FLUSH_S)
        self._say_lost(len(self._waiting) + self.is_alive())

    @property
    def problems(self) -> dict[str, str]:
        """What keeps alerts from arriving, for `status`; empty while all is well."""
        if not self._failure:
            return {}
        return {"alert webhook": f"{self._webhook.where}: {self._failure}; {len(self._waiting)} more wait"}

    def offer(self, told: Alert) -> None:
        """Takes an alert for delivery, or counts it; never waits for the webhook."""
        if self._gone:
            return
        with self._changed:
            key, outdated = self._key(told), self._outdate(told)
            repeats = self._repeats.get(key)
            if repeats is not None and told.raised_at < repeats.ends_at:
                repeats.count, repeats.last = repeats.count + outdated + 1, told
                return
            self._put(key, replace(told, suppressed=outdated + (repeats.count if repeats else 0)))
            self._changed.notify()

    def run(self) -> None:
        """One alert after the other until stopped, and what is left then."""
        super().run()
        while told := self._take():
            self.safely(partial(self._deliver, told))
        self._webhook.close()

    def round(self) -> float:
        """The next alert, which it waits for."""
        if told := self._take():
            self._deliver(told)
        return 0.0

    def _key(self, told: Alert) -> tuple[str, str]:
        """With very many subjects at once, a condition is sent once for all of the further ones."""
        key = (told.condition, told.subject)
        return key if key in self._repeats or len(self._repeats) < SUBJECTS else (told.condition, "")

    def _outdate(self, told: Alert) -> int:
        """What was held back and is true no more is not sent: so many count with what is told now instead."""
        count = 0
        others = [each for each in STANDING if each != told.condition] if told.condition in STANDING else []
        for key in product(others, (told.subject, "")):
            repeats = self._repeats.get(key)
            if repeats is not None and repeats.last is not None and repeats.last.subject == told.subject:
                count += repeats.count
                repeats.count, repeats.last = 0, None
        return count

    def _put(self, key: tuple[str, str], told: Alert) -> None:
        self._lost += len(self._waiting) == QUEUED
        self._waiting.append(told)
        self._repeats[key] = _Repeats(told.raised_at + self._again_s)

    def _take(self) -> Alert | None:
        """The next to deliver, waited for; None once stopped and nothing is left."""
        with self._changed:
            self._collect()
            while not self._waiting and not self._stopping.is_set():
                ends = [repeats.ends_at for repeats in self._repeats.values()]
                self._changed.wait(min(ends) - time.monotonic() if ends else None)
                self._collect()
            return self._waiting.popleft() if self._waiting and time.monotonic() < self._flush_by else None

    def _collect(self) -> None:
        """Whose time is over is sent with its count, or forgotten; when stopping, all of them."""
        now = float("inf") if self._stopping.is_set() else time.monotonic()
        for key, repeats in list(self._repeats.items()):
            if repeats.ends_at > now:
                continue
            del self._repeats[key]
            if repeats.last is not None:
                again = replace(repeats.last, suppressed=repeats.count - 1, raised_at=time.monotonic())
                self._put(key, again)

    def _deliver(self, told: Alert) -> None:
        """Tries until it is taken, refused for good, or too old; the pause is the webhook's, not the alert's."""
        if self._gone:
            return
        body = told.body(runner=self._runner, worker=self._worker)
        while not self._stopping.wait(self._retry_s) or time.monotonic() < self._flush_by:
            if self._taken(told, body):
                return
            if time.monotonic() > told.raised_at + KEPT_S or self._stopping.is_set():
                break
        self._say_lost(1)

    def _taken(self, told: Alert, body: bytes) -> bool:
        """Whether no further attempt is due."""
        try:
            self._webhook.post(body, message_id=told.id)
        except WebhookError as error:
            self._lost += error.final
            self._failed(error)
            return error.final
        self._works()
        return True

    def _failed(self, error: WebhookError) -> None:
        why = "HTTP 410, gone: no alert is sent to it any more" if error.gone else str(error)
        if not self._failure or error.gone:
            log.error("webhook_gone" if error.gone else "webhook_fails", webhook=self._webhook.where, error=why)
        self._failure, self._gone = why, error.gone
        pause_s = min(_PAUSE_CAP_S, max(_PAUSE_S, self._retry_s * 2))
        self._retry_s = max(pause_s, min(error.retry_after_s, KEPT_S))
        self._say_lost()

    def _works(self) -> None:
        if self._failure:
            log.warning("webhook_works_again", webhook=self._webhook.where)
        self._failure, self._retry_s = "", 0.0
        self._say_lost()

    def _say_lost(self, more: int = 0) -> None:
        lost, self._lost = self._lost + more, 0
        if lost:
            log.error("alerts_lost", webhook=self._webhook.where, count=lost)


_current: Alerts | None = None
