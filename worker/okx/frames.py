"""The frames of the private channel: those that we send, and what the exchange's mean.

They are read as defensively as answers; one that is not understood is `other`: the exchange adds events as it likes.
"""

import json
from dataclasses import dataclass
from typing import Final, Literal

from bulk_cancel.worker.okx.answers import Row, text_rows
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.signing import signature

PING: Final = "ping"
SUBSCRIBE: Final = '{"op":"subscribe","args":[{"channel":"orders","instType":"ANY"}]}'
"""All orders of the user, whatever they are of."""

_LOGIN_PATH = "/users/self/verify"
_CLOSING_SOON = "64008"  # a service upgrade
Kind = Literal["logged in", "subscribed", "error", "orders", "closing", "other"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing said by the exchange: `rows` of orders, or the `code` and `msg` of an error."""

    kind: Kind
    rows: tuple[Row, ...] = ()
    code: str = ""
    msg: str = ""


def login(creds: Credentials, *, unix_s: float) -> str:
    """The words that open the channel; `unix_s` must be within 30 s of the exchange's clock."""
    stamp = str(int(unix_s))
    said = {
        "apiKey": creds.api_key,
        "passphrase": creds.passphrase,
        "timestamp": stamp,
        "sign": signature(creds.api_secret, stamp=stamp, method="GET", path=_LOGIN_PATH, body=b""),
    }
    return json.dumps({"op": "login", "args": [said]}, separators=(",", ":"))


def read_frame(text: str | bytes) -> Frame:
    """What one message means; never raises."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return _OTHER
    if not isinstance(said, dict):
        return _OTHER
    return _event(said) if "event" in said else _push(said)


_OTHER = Frame("other")


def _event(said: dict[str, object]) -> Frame:
    (row,) = text_rows(said)
    event, code, msg = row.get("event", ""), row.get("code", ""), row.get("msg", "")
    if event == "login" and code == "0":
        return Frame("logged in")
    if event == "subscribe":
        return Frame("subscribed")
    if event in {"login", "error", "channel-conn-count-error"}:
        return Frame("error", code=code, msg=msg)
    return Frame("closing", code=code, msg=msg) if code == _CLOSING_SOON else _OTHER


def _push(said: dict[str, object]) -> Frame:
    arg = said.get("arg")
    if not isinstance(arg, dict) or arg.get("channel") != "orders" or "data" not in said:
        return _OTHER
    return Frame("orders", rows=tuple(text_rows(said["data"])))
