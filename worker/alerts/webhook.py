"""Sends alerts to the webhook: a signed POST over one connection, at most 3 s, redirects not followed.

The signature is the HMAC-SHA256 of timestamp + "." + body under the secret, in hex; README.md has a receiver's check of
it. It is made anew for each attempt, so a receiver may refuse what is older than it likes.
"""

import hmac
import ssl
import time
from typing import Final

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from bulk_cancel.worker.config.urls import origin
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.wire.connection import CONNECT_S, Wire
from bulk_cancel.worker.okx.wire.sockets import tls_context

TIMEOUT_S: Final = 3.0
TIMESTAMP: Final = "Bulk-Cancel-Timestamp"
SIGNATURE: Final = "Bulk-Cancel-Signature"

_MAY_PASS: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500


class WebhookError(Exception):
    """The webhook did not take it; the text shows neither its path nor its query. `final`: it never will."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class Webhook:
    """One receiver; `where` is its address without path and query, which may be secret. For one thread at a time."""

    def __init__(self, url: str, secret: str) -> None:
        self.where = origin(url)
        self._url = url
        self._secret = secret.encode()
        self._wire = Wire(self.where, context=_context(), timeout_s=TIMEOUT_S - CONNECT_S)

    def post(self, body: bytes) -> None:
        """Deliver one JSON body; returns when the receiver answered 2xx.

        Raises:
            WebhookError: any other answer, or none within 3 s.
        """
        if not self._wire.is_usable():
            self._wire.close()
        try:
            status, _ = self._wire.call(self._request(body), write_by=time.monotonic() + CONNECT_S)
        except ExchangeError as error:
            raise WebhookError(str(error)) from None
        if not 200 <= status < 300:  # noqa: PLR2004 (HTTP's own words)
            raise WebhookError(f"HTTP {status}", final=status < _SERVER_ERROR and status not in _MAY_PASS)

    def close(self) -> None:
        """Closes the connection; the next post opens another."""
        self._wire.close()

    def _request(self, body: bytes) -> requests.PreparedRequest:
        stamp = str(int(time.time()))
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", self._url, body
        request.headers = CaseInsensitiveDict(
            {
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "bulk-cancel",
                TIMESTAMP: stamp,
                SIGNATURE: sign(self._secret, stamp, body),
            }
        )
        return request


def sign(secret: bytes, stamp: str, body: bytes) -> str:
    """The value of the signature's header."""
    return "sha256=" + hmac.digest(secret, f"{stamp}.".encode() + body, "sha256").hex()


def _context() -> ssl.SSLContext:
    """Receivers inside a firm have certificates of the firm: what this machine trusts is trusted, too."""
    context = tls_context(DEFAULT_CA_BUNDLE_PATH)
    context.load_default_certs()
    return context
