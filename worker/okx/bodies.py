"""Reads the bodies of the exchange's answers; a field of a wrong type counts as missing.

A body that is not a JSON object with a `code` of the exchange's own is judged by its HTTP status: it may be the word of
somebody in between. Item codes are the verdict, so an envelope raises only when no item carries one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bulk_cancel.worker.okx.answers import Answer, Item, Row
from bulk_cancel.worker.okx.codes import ENVELOPES, RATE_CODES, Scope, Verdict, is_own, lookup
from bulk_cancel.worker.okx.errors import (
    ClockSkew,
    ExchangeError,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
)

_BY_STATUS: dict[int, type[ExchangeError]] = {429: Throttled, 503: Unavailable}
# these speak of credentials only with a code of the exchange's own: a proxy or a CDN refuses with them, too
_BY_STATUS_AND_CODE = _BY_STATUS | {401: NotAuthorised, 403: NotAuthorised}
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_MAX_DIGITS = 19  # of what is a time in µs at all


@dataclass(frozen=True, slots=True)
class _Envelope:
    status: int
    code: str
    msg: str
    data: tuple[Mapping[str, object], ...]
    whole: bool
    in_time_us: int | None
    out_time_us: int | None


def read_answer(status: int, body: bytes) -> Answer:
    """The answer to a cancel, single or batch.

    Raises:
        Throttled, Unavailable, NotAuthorised, ClockSkew: the whole request was refused.
        OutcomeUnknown: the body cannot be read, or is a server error without a known code.
    """
    envelope, items = _usual(status, body) or _unusual(status, body)
    if not any(item.sCode for item in items) and (error := _refusal(envelope)):
        raise error
    return Answer(status, envelope.code, envelope.msg, items, envelope.in_time_us, envelope.out_time_us)


def read_rows(status: int, body: bytes) -> list[Row]:
    """The rows of a reading call: their text and number fields, as text.

    Raises:
        Refused: any other code than 0; and all that `read_answer` raises.
        OutcomeUnknown: there is no `data`, or something in it is no object; an empty list is told as one.
    """
    return text_rows(_data(status, body))


def read_whole_rows(status: int, body: bytes) -> list[Row]:
    """As `read_rows`, and of each row its lists, as text with commas, and what its objects say, as `name.field`."""
    return whole_rows(_data(status, body))


def whole_rows(data: object) -> list[Row]:
    """The rows of `data` in this way."""
    return list(map(_whole, _objects(data)))


def _data(status: int, body: bytes) -> tuple[Mapping[str, object], ...]:
    envelope = _open(status, body)
    if error := _refusal(envelope):
        raise error
    if envelope.code != "0":
        raise Refused(envelope.msg, code=envelope.code, http_status=status)
    if not envelope.whole:
        raise OutcomeUnknown("rows that cannot be read", http_status=status)
    return envelope.data


def _whole(row: Mapping[str, object]) -> Row:
    told: dict[str, str] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            told |= {f"{name}.{field}": _text(each) for field, each in value.items()}
        else:
            told[name] = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    return told


def text_rows(data: object) -> list[Row]:
    """The text and number fields, as text, of each object in `data` (a list, or one object)."""
    return [{name: _text(value) for name, value in row.items() if _is_plain(value)} for row in _objects(data)]


def _open(status: int, body: bytes) -> _Envelope:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    code = _base(said.get("code")) if isinstance(said, dict) else ""
    if not is_own(code):
        raise _BY_STATUS.get(status, OutcomeUnknown)(_words_for(body), http_status=status)
    times = (_microseconds(said.get(name)) for name in ("inTime", "outTime"))
    data = said.get("data")
    whole = isinstance(data, dict) or (isinstance(data, list) and all(isinstance(row, dict) for row in data))
    return _Envelope(status, code, _text(said.get("msg")), _objects(data), whole, *times)


def _words_for(body: bytes) -> str:
    """What stands in the place of an answer; a person must not look for the cause at the exchange."""
    return "an HTML page, not the exchange's words" if body.lstrip()[:1] == b"<" else "unreadable answer"


class _SaidItem(msgspec.Struct, gc=False):
    ordId: str = ""
    clOrdId: str = ""
    algoId: str = ""
    algoClOrdId: str = ""
    sCode: str = ""
    sMsg: str = ""


class _SaidAnswer(msgspec.Struct, gc=False):
    code: str
    data: list[_SaidItem]
    msg: str = ""
    inTime: str = ""
    outTime: str = ""


_decode_answer: Final = msgspec.json.Decoder(_SaidAnswer).decode


def _usual(status: int, body: bytes) -> tuple[_Envelope, tuple[Item, ...]] | None:
    """An answer of the usual form, which took three times as long to read as defensively as others; else None."""
    try:
        said = _decode_answer(body)
    except (msgspec.MsgspecError, RecursionError):
        return None
    code = said.code.strip().partition("_")[0]
    if not is_own(code):
        return None
    times = _microseconds(said.inTime), _microseconds(said.outTime)
    return _Envelope(status, code, said.msg.strip(), (), True, *times), tuple(map(_said_item, said.data))  # noqa: FBT003


def _said_item(row: _SaidItem) -> Item:
    order_id, client_id = row.algoId.strip() or row.ordId.strip(), row.algoClOrdId.strip() or row.clOrdId.strip()
    return Item(order_id, client_id, row.sCode.strip().partition("_")[0], row.sMsg.strip())


def _unusual(status: int, body: bytes) -> tuple[_Envelope, tuple[Item, ...]]:
    envelope = _open(status, body)
    return envelope, tuple(map(_item, envelope.data))


def _refusal(envelope: _Envelope) -> ExchangeError | None:
    kind = _refusal_class(envelope.status, envelope.code)
    return kind(envelope.msg, code=envelope.code, http_status=envelope.status) if kind else None


def _refusal_class(status: int, code: str) -> type[ExchangeError] | None:
    row = lookup(code)
    if code in ENVELOPES:
        return _BY_STATUS.get(status, OutcomeUnknown if status >= _CLIENT_ERROR else None)
    if row.verdict is Verdict.UNKNOWN:
        return _BY_STATUS_AND_CODE.get(status, OutcomeUnknown if status >= _SERVER_ERROR else None)
    if code in RATE_CODES:
        return Throttled
    if row.scope is Scope.EXCHANGE:
        return Unavailable
    return {Verdict.CREDENTIALS: NotAuthorised, Verdict.CLOCK: ClockSkew}.get(row.verdict)


def _item(row: Mapping[str, object]) -> Item:
    # of algo orders the answer has ids of their own, and the others are on their way out
    order_id = _text(row.get("algoId")) or _text(row.get("ordId"))
    client_id = _text(row.get("algoClOrdId")) or _text(row.get("clOrdId"))
    return Item(order_id, client_id, _base(row.get("sCode")), _text(row.get("sMsg")))


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
