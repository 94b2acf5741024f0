"""A thread that keeps one session of an account's private channel open.

Pushes are a faster witness, never the only one: after every gap the reader is told, and asks by REST.
"""

import random
import ssl
import time
from collections.abc import Callable, Sequence
from functools import cache
from threading import Event, Lock, Thread
from typing import Final
from urllib.parse import urlsplit

import structlog
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from websockets.exceptions import WebSocketException

from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.frames import SUBSCRIBE
from bulk_cancel.worker.okx.regions import UNKNOWN_KEY, other_regions
from bulk_cancel.worker.okx.session import PATIENCE, LoginRefused, Patience, Session, SessionOver, open_session
from bulk_cancel.worker.okx.turns import Turns
from bulk_cancel.worker.okx.wire.sockets import tls_context

log = structlog.get_logger(__name__)

_OWED_S: Final = 1.0
_PONG_LATE_S: Final = 1.0
_STOP_S: Final = 1.0
_REASON_LIMIT: Final = 300
_MAX_DOUBLINGS: Final = 30

_MAKING: Final = Lock()
"""Of several threads that come first, `cache` alone would give each a thing of its own."""


class Channel(Thread):
    """The orders channel of one account at `ws_url`.

    `now` is the exchange's clock in unix seconds. On this thread, `on_orders` gets the rows of one or more pushes in
    their order, and `on_gap` is called whenever pushes may have been missed: each time the channel becomes ready, and
    after one of the two raised, again every second until it returns. `verify` names a CA bundle to trust instead of the
    usual one. `subscribe`: what is asked for at this address. `idle` is set while this process has no calls in flight:
    meanwhile pushes wait for a few tenths of a second.
    """

    def __init__(
        self,
        creds: Credentials,
        ws_url: str,
        *,
        now: Callable[[], float],
        on_orders: Callable[[Sequence[Row]], None],
        on_gap: Callable[[], None],
        patience: Patience = PATIENCE,
        verify: str | None = None,
        subscribe: str = SUBSCRIBE,
        idle: Event | None = None,
    ) -> None:
        super().__init__(name=f"channel-{creds.name}", daemon=True)
        self._creds = creds
        self._ws_url = ws_url
        self._now = now
        self._on_orders = on_orders
        self._on_gap = on_gap
        self._patience = patience
        self._subscribe = subscribe
        self._idle = idle
        with _MAKING:
            self._context = _context(verify) if ws_url.startswith("wss:") else None
        self._stopping = Event()
        self._session: Session | None = None
        self._owed_at: float | None = None
        self.refused = False
        """The exchange said no to the credentials, and has not said yes since."""
        self.problem = ""
        """Why the last session ended, or could not begin; empty when there is one, or was none yet."""

    @property
    def account(self) -> str:
        """Whose credentials it uses."""
        return self._creds.name

    @property
    def alive(self) -> bool:
        """Logged in, subscribed, heard of within the ping interval, and no gap is left to be told."""
        session = self._session
        enough_s = self._patience.ping_s + _PONG_LATE_S
        return session is not None and self._owed_at is None and session.silent_s < enough_s

    def close(self) -> None:
        """No call back from now on, but for one that runs already; the thread ends by itself."""
        self._stopping.set()

    def stop(self) -> None:
        """Close, and wait for the end, at most a second (a thread that is still connecting ends later)."""
        self.close()
        if self.ident is not None:
            self.join(_STOP_S)

    def run(self) -> None:
        """One session after the other, until stopped."""
        failures = 0
        while not self._stopping.wait(self._turn_s()):
            failures = 1 if self._converse() > self._patience.cap_s else failures + 1
            self._stopping.wait(self._pause_s(failures))

    def _turn_s(self) -> float:
        """Seconds until this channel may connect."""
        return turns_of(urlsplit(self._ws_url).netloc).take(time.monotonic(), apart_s=self._patience.apart_s)

    def _pause_s(self, failures: int) -> float:
        if self.refused:
            return self._patience.refused_s
        doubled: float = self._patience.first_s * 2 ** min(failures - 1, _MAX_DOUBLINGS)
        return random.random() * min(self._patience.cap_s, doubled)

    def _converse(self) -> float:
        """One session, whatever ends it; for how many seconds it was ready."""
        ready_at = float("inf")
        try:
            with open_session(
                self._creds,
                self._ws_url,
                now=self._now,
                patience=self._patience,
                context=self._context,
                subscribe=self._subscribe,
                idle=self._idle,
            ) as session:
                ready_at = time.monotonic()
                self._listen(session)
        except LoginRefused as error:
            self._lost(str(error) + self._elsewhere(error.code), refused=True)
        except SessionOver as error:
            self._lost(str(error))
        except (OSError, WebSocketException, ValueError) as error:
            self._lost(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 (a traceback could show what was said at login)
            self._lost(f"unexpected {type(error).__name__}: {error}")
        finally:
            self._session = None
        return time.monotonic() - ready_at

    def _listen(self, session: Session) -> None:
        self._owed_at = time.monotonic()
        self._session, self.refused, self.problem = session, False, ""
        log.info("channel_ready", account=self.account)
        while not self._stopping.is_set():
            self._settle_gap()
            self._hand_on(session.hear())

    def _hand_on(self, rows: Sequence[Row]) -> None:
        # while a gap is owed, what is pushed falls into it
        if rows and self._owed_at is None and not self._tell(lambda: self._on_orders(rows)):
            self._owed_at = time.monotonic() + _OWED_S

    def _settle_gap(self) -> None:
        if self._owed_at is not None and time.monotonic() >= self._owed_at:
            self._owed_at = None if self._tell(self._on_gap) else time.monotonic() + _OWED_S

    def _tell(self, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception:
            log.exception("channel_reader_failed", account=self.account)
            return False
        return True

    def _elsewhere(self, code: str) -> str:
        """Where else a key that nobody knows may be known."""
        others = other_regions(self._creds.base_url) if code in UNKNOWN_KEY else ""
        return f"; if the account is of another region, its BASE_URL is {others}" if others else ""

    def _lost(self, reason: str, *, refused: bool = False) -> None:
        """Tells each reason once, without what the exchange may have quoted of our login."""
        secrets = (self._creds.api_key, self._creds.api_secret, self._creds.passphrase)
        text = "its text quotes our login" if any(secret in reason for secret in secrets) else reason[:_REASON_LIMIT]
        self.refused = refused
        if text != self.problem and not self._stopping.is_set():
            self.problem = text
            log.warning("channel_refused" if refused else "channel_lost", account=self.account, reason=text)


def turns_of(host: str) -> Turns:
    """The turns that all channels of this process to one host share."""
    with _MAKING:
        return _turns(host)


@cache
def _turns(_host: str) -> Turns:
    return Turns()


@cache
def _context(verify: str | None) -> ssl.SSLContext:
    """One for all channels: each has the certificates of all authorities in it, 0.7 MB."""
    return tls_context(verify or DEFAULT_CA_BUNDLE_PATH)
