"""Checks whether a message can be run by a task, and says what is wrong with one that can't.

Pure: the bytes that were in the queue in, a `Call` or a `Refusal` out; a `Call` is built anew from what was
understood, so Celery sees nothing of the sender's that was not checked. A message is taken whenever it says
clearly what to run, in Celery's protocol 2 or 1: what a Redis list does not need (delivery tag and info, time limits,
retry counts, reply queues) may be missing or nonsense. Refused is what cannot be read, what names no task of ours, and
what says "not now": expired, or an ETA still to come.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bulk_cancel.tasks.once import twice

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

MAX_BYTES: Final = 8 * 1024 * 1024
"""Longest message; about 100,000 orders."""
HEAD_BYTES: Final = 64 * 1024
"""What is kept of a longer one."""
MAX_DEPTH: Final = 32
"""Deepest nesting of args and kwargs: far above any contract, far below what exhausts a stack later."""
MAX_ID: Final = 255
ETA_GRACE: Final = timedelta(seconds=5)
"""How far ahead of ours a sender's clock may be before its ETA counts as "later"."""

_ENCODINGS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_FOLLOW_UPS: Final = ("callbacks", "errbacks", "chain", "chord")


@dataclass(frozen=True, slots=True)
class Call:
    """A task to run: its name, the message's id, its arguments, and the follow-ups it asks for, by kind, unchecked."""

    task: str
    task_id: str
    args: list[object]
    kwargs: dict[str, object]
    follow_ups: dict[str, object]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Everything that is wrong with a message; `readable` tells whether it was a JSON object at all."""

    errors: tuple[str, ...]
    readable: bool


class _UnreadableError(ValueError):
    """The text is no JSON that we take; says why."""


class _TwiceError(_UnreadableError):
    """What the message asks for stands in it twice: readers differ in which of the two they take."""


class _Twice(dict[str, object]):
    """An object some of whose names came twice, with what came last."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.names = {*twice(name for name, _ in pairs)}


def _object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Twice(pairs)


_decoder: Final = json.JSONDecoder(object_pairs_hook=_object_of)


def read(raw: bytes, *, tasks: Container[str], now: datetime) -> Call | Refusal:
    """What the message asks for; `tasks` are the names that may be called, `now` is aware."""
    try:
        envelope = _unfolded(_envelope(raw))
    except _UnreadableError as error:
        return Refusal((str(error),), readable=isinstance(error, _TwiceError))
    headers = _object(envelope, "headers")
    faults = [*_header_faults(headers, tasks), *_time_faults(headers or {}, now), *_format_faults(envelope)]
    try:
        body = _body(envelope)
    except _UnreadableError as error:
        body, faults = None, [*faults, str(error)]
    if faults or headers is None or body is None:
        return Refusal(tuple(faults), readable=True)
    args, kwargs, follow_ups = body
    return Call(str(headers["task"]), str(headers["id"]), args, kwargs, _asked(follow_ups))


def printable(raw: bytes) -> str:
    """The message as text that can be stored and shown anywhere; what is not UTF-8 is escaped.

    Of one that is too long to be taken, the head.
    """
    return (raw if len(raw) <= MAX_BYTES else raw[:HEAD_BYTES]).decode("utf-8", "backslashreplace")


def _envelope(raw: bytes) -> Mapping[str, object]:
    if len(raw) > MAX_BYTES:
        raise _UnreadableError(f"message: {len(raw)} bytes, more than {MAX_BYTES}; send the batch in parts")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"message: not UTF-8 at byte {error.start}") from None
    envelope = _json(text, "message")
    if not isinstance(envelope, dict):
        raise _UnreadableError("message: should be a JSON object")
    _check_once(envelope, "message", "body")
    return envelope


def _unfolded(envelope: Mapping[str, object]) -> Mapping[str, object]:
    """A message of Celery's protocol 1, whose body holds everything, in the form of protocol 2; others as they are.

    Older clients send it, such as those of Go and PHP, and Celery itself with `task_protocol = 1`.
    """
    if (_object(envelope, "headers") or {}).get("task") is not None:
        return envelope
    try:
        said = _json(_body_text(envelope), "body")
    except _UnreadableError:
        return envelope
    if not isinstance(said, dict) or "task" not in said:
        return envelope
    _check_once(said, "body", "args", "kwargs")
    for level in _levels([said.get("args"), said.get("kwargs")]):
        _check_all_once(level)
    headers = {name: said.get(name) for name in ("task", "id", "eta", "expires")}
    follow_ups = {name: said.get(name) for name in _FOLLOW_UPS}
    body = json.dumps([said.get("args") or [], said.get("kwargs") or {}, follow_ups])
    return {**envelope, "headers": headers, "body": body, "properties": {}}


def _json(text: str, what: str) -> object:
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise _UnreadableError(f"{what}: nested too deeply") from None
    except ValueError as error:  # also a number of more than 4,300 digits
        raise _UnreadableError(f"{what}: not JSON: {error}") from None


def _object(envelope: Mapping[str, object], key: str) -> dict[str, object] | None:
    value = envelope.get(key)
    return value if isinstance(value, dict) else None


def _header_faults(headers: Mapping[str, object] | None, tasks: Container[str]) -> list[str]:
    if headers is None:
        return ["headers: should be an object with task and id"]
    faults = []
    task, task_id = headers.get("task"), headers.get("id")
    if not isinstance(task, str) or task not in tasks:
        faults.append(f"headers.task: {_shown(task)} is no task of this runner")
    if not isinstance(task_id, str) or not 0 < len(task_id) <= MAX_ID or not _plain(task_id):
        faults.append(f"headers.id: should be 1 to {MAX_ID} printable ASCII characters")
    if headers.get("compression"):
        faults.append("headers.compression: compressed messages are not taken")
    return faults


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _shown(value: object) -> str:
    if value is None:
        return "(missing)"
    return repr(value[:80]) if isinstance(value, str) else f"a {type(value).__name__}"


def _time_faults(headers: Mapping[str, object], now: datetime) -> list[str]:
    faults = []
    try:
        expires = _moment(headers.get("expires"), "headers.expires")
        if expires is not None and expires <= now:
            faults.append(f"headers.expires: expired at {expires.isoformat()}")
    except _UnreadableError as error:
        faults.append(str(error))
    try:
        eta = _moment(headers.get("eta"), "headers.eta")
        if eta is not None and eta - now > ETA_GRACE:
            faults.append("headers.eta: no ETA or countdown is taken; send the message when it shall run")
    except _UnreadableError as error:
        faults.append(str(error))
    return faults


def _moment(value: object, what: str) -> datetime | None:
    """The aware time that `value` names, as Celery reads it: ISO 8601, UTC where it says nothing else."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _UnreadableError(f"{what}: should be an ISO 8601 time")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _format_faults(envelope: Mapping[str, object]) -> list[str]:
    faults = []
    kind = envelope.get("content-type")
    if not isinstance(kind, str) or kind.partition(";")[0].strip().lower() != "application/json":
        faults.append("content-type: should be application/json")
    encoding = envelope.get("content-encoding")
    if encoding is not None and (not isinstance(encoding, str) or encoding.lower() not in _ENCODINGS):
        faults.append("content-encoding: should be utf-8")
    return faults


def _body(envelope: Mapping[str, object]) -> tuple[list[object], dict[str, object], object]:
    body = _json(_body_text(envelope), "body")
    match body:
        case [list() as args, dict() as kwargs, follow_ups]:
            _check_depth([follow_ups])
            _check_ours([args, kwargs])
            return args, kwargs, follow_ups
        case list() | dict():
            raise _UnreadableError("body: should be [args, kwargs, {}]: a list, an object, an object")
    raise _UnreadableError("body: should be a JSON list of three")


def _body_text(envelope: Mapping[str, object]) -> str:
    body, properties = envelope.get("body"), envelope.get("properties")
    if not isinstance(body, str):
        raise _UnreadableError("body: should be a string that holds JSON")
    if properties is not None and not isinstance(properties, dict):
        raise _UnreadableError("properties: should be an object")
    encoding = (properties or {}).get("body_encoding") or "utf-8"
    match encoding:
        case "utf-8":
            return body
        case "base64":
            return _from_base64(body)
    raise _UnreadableError("properties.body_encoding: should be base64 or absent")


def _from_base64(body: str) -> str:
    try:
        return base64.b64decode("".join(body.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise _UnreadableError("body: not UTF-8 in base64") from None


def _check_depth(value: object) -> None:
    if sum(1 for _ in _levels(value)) == MAX_DEPTH:
        raise _UnreadableError("body: nested too deeply")


def _check_ours(value: object) -> None:
    """The same, and that no object within has a name twice; Celery's own things may."""
    depth = 0
    for level in _levels(value):
        _check_all_once(level)
        depth += 1
    if depth == MAX_DEPTH:
        raise _UnreadableError("body: nested too deeply")


def _check_all_once(values: list[object]) -> None:
    for value in values:
        if isinstance(value, _Twice):
            _check_once(value, "body", *value)


def _check_once(found: dict[str, object], what: str, *names: str) -> None:
    twice = [name for name in names if isinstance(found, _Twice) and name in found.names]
    if twice:
        raise _TwiceError(f"{what}: names {_shown(twice[0])} twice in one object; send one of them")


def _levels(value: object) -> Iterator[list[object]]:
    """What lies within, at most `MAX_DEPTH` levels; a recursive walk would itself be what depth guards against."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _members(outer) if isinstance(inner, dict | list)]
        if not level:
            return
        yield level


def _members(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _asked(follow_ups: object) -> dict[str, object]:
    wanted = follow_ups if isinstance(follow_ups, dict) else {}
    return {name: wanted[name] for name in _FOLLOW_UPS if wanted.get(name)}
