"""Signs requests, so that the exchange knows who asks."""

import base64
import hmac
from datetime import UTC, datetime

from bulk_cancel.worker.okx.credentials import Credentials


def timestamp(unix_s: float) -> str:
    """ISO 8601 UTC with exactly three digits of milliseconds: `2020-12-08T09:08:57.715Z`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def signature(secret: str, *, stamp: str, method: str, path: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over stamp, method, path (with its query) and the body's bytes as sent."""
    said = f"{stamp}{method}{path}".encode() + body
    return base64.b64encode(hmac.digest(secret.encode(), said, "sha256")).decode()


def signed_headers(creds: Credentials, *, stamp: str, method: str, path: str, body: bytes) -> dict[str, str]:
    """The headers that prove who asks; `stamp` must be within 30 s of the exchange's clock."""
    headers = {
        "OK-ACCESS-KEY": creds.api_key,
        "OK-ACCESS-SIGN": signature(creds.api_secret, stamp=stamp, method=method, path=path, body=body),
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-PASSPHRASE": creds.passphrase,
    }
    if creds.demo:
        headers["x-simulated-trading"] = "1"
    return headers
