"""Reads the bodies of the exchange's answers; a field of a wrong type counts as missing.

A body that is not a JSON object with a `code` is judged by its HTTP status. Item codes are the verdict, so
an envelope raises only when no item carries one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bulk_cancel.worker.okx.codes import Scope, Verdict, lookup
from bulk_cancel.worker.okx.errors import (
    ClockSkew,
    ExchangeError,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
)

# "look at the items": all, none, or some of them succeeded
_ENVELOPES = frozenset({"0", "1", "2"})
_RATE_CODES = frozenset({"50011", "50040", "50061"})
_BY_STATUS: dict[int, type[ExchangeError]] = {429: Throttled, 503: Unavailable}
# these speak of credentials only with a code of the exchange's own: a proxy or a CDN refuses with them, too
_BY_STATUS_AND_CODE = _BY_STATUS | {401: NotAuthorised, 403: NotAuthorised}
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_MAX_DIGITS = 19  # of what is a time in µs at all

Row = Mapping[str, str]


class Item(NamedTuple):
    """What the exchange says of one order; "" for what it does not say. Sub-codes are cut off `sCode`."""

    ordId: str
    clOrdId: str
    sCode: str
    sMsg: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One readable answer to a cancel; the gateway's clock in unix µs, None if it is not told."""

    http_status: int
    code: str
    msg: str
    items: tuple[Item, ...]
    in_time_us: int | None = None
    out_time_us: int | None = None


@dataclass(frozen=True, slots=True)
class _Envelope:
    status: int
    code: str
    msg: str
    data: tuple[Mapping[str, object], ...]
    in_time_us: int | None
    out_time_us: int | None


def read_answer(status: int, body: bytes) -> Answer:
    """The answer to a cancel, single or batch.

    Raises:
        Throttled, Unavailable, NotAuthorised, ClockSkew: the whole request was refused.
        OutcomeUnknown: the body cannot be read, or is a server error without a known code.
    """
    envelope = _open(status, body)
    items = tuple(_item(row) for row in envelope.data)
    if not any(item.sCode for item in items) and (error := _refusal(envelope)):
        raise error
    return Answer(status, envelope.code, envelope.msg, items, envelope.in_time_us, envelope.out_time_us)


def read_rows(status: int, body: bytes) -> list[Row]:
    """The rows of a reading call: their text and number fields, as text.

    Raises:
        Refused: any other code than 0; and all that `read_answer` raises.
    """
    envelope = _open(status, body)
    if error := _refusal(envelope):
        raise error
    if envelope.code != "0":
        raise Refused(envelope.msg, code=envelope.code, http_status=status)
    return text_rows(envelope.data)


def text_rows(data: object) -> list[Row]:
    """The text and number fields, as text, of each object in `data` (a list, or one object)."""
    return [{name: _text(value) for name, value in row.items() if _is_plain(value)} for row in _objects(data)]


def _open(status: int, body: bytes) -> _Envelope:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    code = _base(said.get("code")) if isinstance(said, dict) else ""
    if not code:
        raise _BY_STATUS.get(status, OutcomeUnknown)(_words_for(body), http_status=status)
    times = (_microseconds(said.get(name)) for name in ("inTime", "outTime"))
    return _Envelope(status, code, _text(said.get("msg")), _objects(said.get("data")), *times)


def _words_for(body: bytes) -> str:
    """What stands in the place of an answer; a person must not look for the cause at the exchange."""
    return "an HTML page, not the exchange's words" if body.lstrip()[:1] == b"<" else "unreadable answer"


def _refusal(envelope: _Envelope) -> ExchangeError | None:
    kind = _refusal_class(envelope.status, envelope.code)
    return kind(envelope.msg, code=envelope.code, http_status=envelope.status) if kind else None


def _refusal_class(status: int, code: str) -> type[ExchangeError] | None:
    row = lookup(code)
    if code in _ENVELOPES:
        return _BY_STATUS.get(status, OutcomeUnknown if status >= _CLIENT_ERROR else None)
    if row.verdict is Verdict.UNKNOWN:
        return _BY_STATUS_AND_CODE.get(status, OutcomeUnknown if status >= _SERVER_ERROR else None)
    if code in _RATE_CODES:
        return Throttled
    if row.scope is Scope.EXCHANGE:
        return Unavailable
    return {Verdict.CREDENTIALS: NotAuthorised, Verdict.CLOCK: ClockSkew}.get(row.verdict)


def _item(row: Mapping[str, object]) -> Item:
    return Item(_text(row.get("ordId")), _text(row.get("clOrdId")), _base(row.get("sCode")), _text(row.get("sMsg")))


def _objects(data: object) -> tuple[Mapping[str, object], ...]:
    rows = data if isinstance(data, list | tuple) else [data]
    return tuple(row for row in rows if isinstance(row, dict))


def _base(code: object) -> str:
    """`51008_1000` is a sub-code of 51008."""
    return _text(code).partition("_")[0]


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _text(value: object) -> str:
    if isinstance(value, str):
        # half a character, which JSON can spell, could be written nowhere
        return value.strip() if value.isascii() else value.encode("utf-8", "replace").decode().strip()
    return str(value) if _is_plain(value) else ""


def _microseconds(value: object) -> int | None:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None
