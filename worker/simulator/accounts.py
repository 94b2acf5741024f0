"""The accounts of the simulated exchange, and how callers without valid credentials are refused."""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, NamedTuple

TOLERANCE_MS = 30_000
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_SECONDS = re.compile(r"\d{1,12}(\.\d{1,9})?")
LOGIN_PATH = "/users/self/verify"
_REQUIRED = (
    ("ok-access-key", "50103", "OK-ACCESS-KEY"),
    ("ok-access-passphrase", "50104", "OK-ACCESS-PASSPHRASE"),
    ("ok-access-sign", "50106", "OK-ACCESS-SIGN"),
    ("ok-access-timestamp", "50107", "OK-ACCESS-TIMESTAMP"),
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key of the simulated exchange; several keys may share a `uid`, the unit of rate limits."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    uid: str
    demo: bool = False
    permissions: tuple[str, ...] = ("read_only", "trade")
    ip_allowed: bool = True
    revoked: bool = False
    label: str = "simulated"
    role: str = "0"


class Refused(NamedTuple):
    """Why a request was turned away before it reached the book: HTTP status, code, message."""

    status: int
    code: str
    msg: str


class Signed(NamedTuple):
    """The signed parts of a request: upper-case method, path with query, body as sent, lower-case headers."""

    method: str
    target: str
    body: bytes
    headers: Mapping[str, str]


_LOGIN_FAILED = Refused(200, "60009", "Login failed.")


def authenticate(keys: Mapping[str, ApiKey], signed: Signed, *, now_ms: int, ip: str) -> ApiKey | Refused:
    """Check all OK-ACCESS headers as the exchange does; `now_ms` is the exchange's clock."""
    headers = signed.headers
    for header, code, name in _REQUIRED:
        if not headers.get(header):
            return Refused(401, code, f'Request header "{name}" can\'t be empty.')
    key = keys.get(headers["ok-access-key"])
    if key is None or key.revoked:
        return Refused(401, "50111", "Invalid OK-ACCESS-KEY")
    return _mismatch(key, signed, now_ms, ip) or key


def log_in(keys: Mapping[str, ApiKey], said: Mapping[str, object], *, now_s: float) -> ApiKey | Refused:
    """Check what a private channel is told at login; `now_s` is the exchange's clock."""
    given = {name: str(said.get(name, "")) for name in ("apiKey", "passphrase", "timestamp", "sign")}
    stamp = given["timestamp"]
    if not _SECONDS.fullmatch(stamp):
        return Refused(200, "60004", "Invalid timestamp")
    if abs(now_s - float(stamp)) * 1000 > TOLERANCE_MS:
        return Refused(200, "60006", "Timestamp request expired")
    key = keys.get(given["apiKey"])
    if key is None or key.revoked or not key.ip_allowed or not _same(given["passphrase"], key.passphrase):
        return _LOGIN_FAILED
    return key if _same(given["sign"], sign(key.secret, stamp, "GET", LOGIN_PATH, b"")) else _LOGIN_FAILED


def sign(secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    """The value of OK-ACCESS-SIGN: Base64 of the HMAC-SHA256 over timestamp, method, target and body."""
    message = f"{timestamp}{method}{target}".encode() + body
    return base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()


def _mismatch(key: ApiKey, signed: Signed, now_ms: int, ip: str) -> Refused | None:
    headers = signed.headers
    timestamp = headers["ok-access-timestamp"]
    if (headers.get("x-simulated-trading", "0") == "1") is not key.demo:
        return Refused(401, "50101", "APIKey does not match current environment.")
    if (late := _lateness(timestamp, now_ms)) is not None:
        return late
    if not _same(headers["ok-access-passphrase"], key.passphrase):
        return Refused(401, "50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')
    if not _same(headers["ok-access-sign"], sign(key.secret, timestamp, signed.method, signed.target, signed.body)):
        return Refused(401, "50113", "Invalid Sign")
    if not key.ip_allowed:
        return Refused(401, "50110", f"Your IP {ip} is not included in your API key's IP whitelist.")
    return None


def _lateness(timestamp: str, now_ms: int) -> Refused | None:
    sent_ms = _milliseconds(timestamp)
    if sent_ms is None:
        return Refused(401, "50112", "Invalid OK-ACCESS-TIMESTAMP")
    if abs(now_ms - sent_ms) > TOLERANCE_MS:
        return Refused(401, "50102", "Timestamp request expired")
    return None


def _milliseconds(timestamp: str) -> int | None:
    if not _TIMESTAMP.fullmatch(timestamp):
        return None
    try:
        return round(datetime.fromisoformat(timestamp).timestamp() * 1000)
    except ValueError:
        return None


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
