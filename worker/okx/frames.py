"""The frames of the private channel: those that we send, and what the exchange's mean.

They are read as defensively as answers; one that is not understood is `other`: the exchange adds events as it likes.
"""

import json
from typing import Final, Literal, NamedTuple

import msgspec

from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.bodies import text_rows, whole_rows
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.signing import signature
from bulk_cancel.worker.okx.sources import as_order

PING: Final = "ping"
SUBSCRIBE: Final = '{"op":"subscribe","args":[{"channel":"orders","instType":"ANY"}]}'
"""All orders of the user, whatever they are of."""

SUBSCRIBE_ALGOS: Final = (
    '{"op":"subscribe","args":[{"channel":"orders-algo","instType":"ANY"},{"channel":"algo-advance","instType":"ANY"}]}'
)
"""The same of algo orders, on the business host: each type is told of by one of the two."""

_LOGIN_PATH = "/users/self/verify"
_CLOSING_SOON = "64008"  # a service upgrade
Kind = Literal["logged in", "subscribed", "error", "orders", "closing", "other"]


class Frame(NamedTuple):
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


class _Order(msgspec.Struct):
    """The fields of a pushed order that anybody reads; the exchange sends about 70."""

    instType: str = ""
    instId: str = ""
    ordId: str = ""
    clOrdId: str = ""
    side: str = ""
    tag: str = ""
    state: str = ""
    accFillSz: str = ""
    cTime: str = ""


class _Arg(msgspec.Struct):
    channel: str


class _Push(msgspec.Struct):
    arg: _Arg
    data: list[_Order]


_decode_push: Final = msgspec.json.Decoder(_Push).decode
_ORDERS: Final = "orders"
_ALGOS: Final = frozenset({"orders-algo", "algo-advance"})
_READ: Final = tuple(_Order.__struct_fields__)


def read_frame(text: str | bytes) -> Frame:
    """What one message means; of a pushed order only the fields of `_Order`. Never raises.

    A pushed algo order is told whole, in the words of orders.
    Nearly all frames are pushes of the usual form, and reading all of their fields took 20 times as long.
    """
    try:
        push = _decode_push(text)
    except (msgspec.MsgspecError, RecursionError):
        return _read_any(text)
    if push.arg.channel == _ORDERS:
        return Frame(_ORDERS, rows=tuple(map(_row, push.data)))
    return _read_any(text) if push.arg.channel in _ALGOS else _OTHER


def _row(order: _Order) -> Row:
    return {name: value.strip() for name, value in msgspec.structs.asdict(order).items() if value}


def _read_any(text: str | bytes) -> Frame:
    """As defensively as can be."""
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
    if not isinstance(arg, dict) or "data" not in said:
        return _OTHER
    if str(arg.get("channel")) in _ALGOS:
        return Frame(_ORDERS, rows=tuple(map(as_order, whole_rows(said["data"]))))
    if arg.get("channel") != _ORDERS:
        return _OTHER
    rows = text_rows(said["data"])
    return Frame(_ORDERS, rows=tuple({name: row[name] for name in _READ if name in row} for row in rows))
