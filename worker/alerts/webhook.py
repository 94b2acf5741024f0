"""Sends alerts to the webhook: a signed POST over one connection, at most 3 s, redirects not followed.

Headers and signature are those of Standard Webhooks: `webhook-id`, `webhook-timestamp` (unix seconds) and
`webhook-signature`, the HMAC-SHA256 of id + "." + timestamp + "." + body, once for each secret. They are made anew for
each attempt, so a receiver may refuse what is older than it likes.
"""

import base64
import hmac
import ssl
import time
from typing import Final

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from bulk_cancel.worker.config.urls import origin
from bulk_cancel.worker.config.webhook_secrets import secrets_of
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.wire.connection import CONNECT_S, Wire
from bulk_cancel.worker.okx.wire.sockets import tls_context

TIMEOUT_S: Final = 3.0
_MAY_PASS: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_GONE: Final = 410


class WebhookError(Exception):
    """The webhook did not take it; the text shows neither its path nor its query.

    `final`: it never will. `gone`: nor anything else. `retry_after_s`: it asks not to be asked sooner.
    """

    def __init__(self, text: str, *, final: bool = False, gone: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.final = final
        self.gone = gone
        self.retry_after_s = retry_after_s


class Webhook:
    """One receiver; `where` is its address without path and query, which may be secret. For one thread at a time."""

    def __init__(self, url: str, secret: str) -> None:
        self.where = origin(url)
        self._url = url
        self._secrets = secrets_of(secret)
        self._wire = Wire(self.where, context=_context(), timeout_s=TIMEOUT_S - CONNECT_S)

    def post(self, body: bytes, *, message_id: str) -> None:
        """Deliver one JSON body; returns when the receiver answered 2xx. The same id again is the same message.

        Raises:
            WebhookError: any other answer, or none within 3 s.
        """
        if not self._wire.is_usable():
            self._wire.close()
        try:
            status, _ = self._wire.call(self._request(body, message_id), write_by=time.monotonic() + CONNECT_S)
        except ExchangeError as error:
            raise WebhookError(str(error)) from None
        if not 200 <= status < 300:  # noqa: PLR2004 (HTTP's own words)
            final = status < _SERVER_ERROR and status not in _MAY_PASS
            wait_s = _seconds(self._wire.retry_after)
            raise WebhookError(f"HTTP {status}", final=final, gone=status == _GONE, retry_after_s=wait_s)

    def close(self) -> None:
        """Closes the connection; the next post opens another."""
        self._wire.close()

    def _request(self, body: bytes, message_id: str) -> requests.PreparedRequest:
        stamp = str(int(time.time()))
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", self._url, body
        request.headers = CaseInsensitiveDict(
            {
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "bulk-cancel",
                "webhook-id": message_id,
                "webhook-timestamp": stamp,
                "webhook-signature": " ".join(sign(each, message_id, stamp, body) for each in self._secrets),
            }
        )
        return request


def sign(secret: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """One signature of the header."""
    digest = hmac.digest(secret, f"{message_id}.{stamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def _seconds(retry_after: str) -> float:
    """Only seconds are understood; a date, which needs a clock that both agree on, is left to our own pause."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _context() -> ssl.SSLContext:
    """Receivers inside a firm have certificates of the firm: what this machine trusts is trusted, too."""
    context = tls_context(DEFAULT_CA_BUNDLE_PATH)
    context.load_default_certs()
    return context
