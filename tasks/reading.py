"""Reads messages that other programs wrote: what can be used is used, the rest is refused with reasons.

Pure: a Celery message's args and kwargs in, a usable message and a list of refusals out. One bad row must
not keep 499 orders alive, so valid orders are kept, and so is a batch whose reason or label cannot be read:
each fault becomes a `Refusal` to be recorded. Only `cancel_all` is all or nothing, because a filter that is
ignored cancels more than was asked for.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from bulk_cancel.tasks.faults import Fault, faults_in
from bulk_cancel.tasks.mass import CancelAll
from bulk_cancel.tasks.messages import MAX_ORDERS, ORDER_FIELDS, BatchId, CancelOrders, Envelope, Order
from bulk_cancel.tasks.utf8 import writable

_ESSENTIAL = frozenset({"account", "v"})
"""Without these nothing of a message is done: it would be another account's, or mean something else."""

_NOT_FIELDS = Fault("", "send the fields as kwargs, not as positional arguments")

_NUMBER = re.compile(r"[0-9]{1,9}")
"""The name of a row in an object that was a list."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that is not going to be done: JSON of the part refused, every reason, and whose it was.

    `is_row`: it is one row of the batch, whose order may be live; else a fault beside the orders, or all of a message.
    """

    payload: str
    errors: tuple[str, ...]
    batch_id: str = ""
    account: str = ""
    is_row: bool = False


def read_cancel_orders(
    args: Sequence[object], kwargs: Mapping[str, object], *, message_id: str
) -> tuple[CancelOrders | None, list[Refusal]]:
    """The batch with its valid orders, or None; and a refusal for every fault.

    A message without a usable `batch_id` gets `message_id`, which is the same when it is delivered again.
    """
    fields = _fields(args, kwargs)
    if fields is None:
        return None, [_not_fields(args, kwargs)]
    rows = _as_list(fields.pop("orders", None))
    if not isinstance(rows, list | tuple) or not 0 < len(rows) <= MAX_ORDERS:
        errors = (f"orders: should be a list of 1 to {MAX_ORDERS:,} orders",)
        return None, [_whole({**fields, "orders": rows}, errors)]
    return _batch(fields, rows, message_id=message_id)


def _as_list(rows: object) -> object:
    """PHP writes an array with holes as an object with numbers for names; its rows in the order of their numbers."""
    if isinstance(rows, dict) and rows and all(_NUMBER.fullmatch(str(name)) for name in rows):
        return [rows[name] for name in sorted(rows, key=int)]
    return rows


def read_cancel_order(
    args: Sequence[object], kwargs: Mapping[str, object], *, message_id: str
) -> tuple[CancelOrders | None, list[Refusal]]:
    """As `read_cancel_orders`, for the one order whose fields stand beside the message's own."""
    fields = _fields(args, kwargs)
    if fields is None:
        return None, [_not_fields(args, kwargs)]
    row = {name: fields.pop(name) for name in ORDER_FIELDS if name in fields}
    return _batch(fields, [row], message_id=message_id)


def read_cancel_all(
    args: Sequence[object], kwargs: Mapping[str, object], *, message_id: str
) -> tuple[CancelAll | None, list[Refusal]]:
    """The whole request, or None and one refusal with every fault."""
    fields = _fields(args, kwargs)
    if fields is None:
        return None, [_not_fields(args, kwargs)]
    try:
        return CancelAll.model_validate({"batch_id": _as_batch_id(message_id), **_told(fields)}), []
    except ValidationError as error:
        return None, [_whole(fields, faults_in(error))]


def _batch(
    fields: Mapping[str, object], rows: Sequence[object], *, message_id: str
) -> tuple[CancelOrders | None, list[Refusal]]:
    envelope, faults = _envelope(_present(fields), default_id=_as_batch_id(message_id))
    if envelope is None:
        return None, [_whole({**fields, "orders": rows}, faults)]
    orders, refusals = _orders(rows, envelope)
    if faults:
        refusals.insert(0, _refusal(fields, faults, envelope))
    if not orders:
        return None, refusals
    return CancelOrders.model_validate({**dict(envelope), "orders": orders}), refusals


def _envelope(fields: Mapping[str, object], *, default_id: str) -> tuple[Envelope | None, list[str]]:
    """The message without its orders; what cannot be used of it is left out, unless nothing works without."""
    try:
        return Envelope.model_validate({"batch_id": default_id, **fields}), []
    except ValidationError as error:
        faults = faults_in(error)
        bad = {str(detail["loc"][0]) for detail in error.errors(include_input=False, include_url=False)}
    if bad & _ESSENTIAL:
        return None, faults
    good = {name: value for name, value in fields.items() if name not in bad}
    return Envelope.model_validate({"batch_id": default_id, **good}), faults


def _orders(rows: Sequence[object], envelope: Envelope) -> tuple[list[Order], list[Refusal]]:
    orders: list[Order] = []
    refusals: list[Refusal] = []
    for index, row in enumerate(rows):
        try:
            orders.append(Order.model_validate(row))
        except ValidationError as error:
            faults = faults_in(error, within=f"orders[{index}]")
            refusals.append(_refusal(row, faults, envelope, is_row=True))
    return orders, refusals


def _whole(fields: Mapping[str, object], errors: Sequence[str]) -> Refusal:
    """Nothing of the message can be used; whose it was may be readable all the same."""
    batch_id, account = (writable(str(fields.get(name) or ""))[:128] for name in ("batch_id", "account"))
    return Refusal(payload=as_json(fields), errors=tuple(errors), batch_id=batch_id, account=account)


def _refusal(payload: object, errors: Sequence[str], envelope: Envelope, *, is_row: bool = False) -> Refusal:
    return Refusal(as_json(payload), tuple(errors), envelope.batch_id, envelope.account, is_row)


def _as_batch_id(message_id: str) -> str:
    """The message's id, or the same substitute every time for one that cannot be a batch_id."""
    try:
        return TypeAdapter[str](BatchId).validate_python(message_id)
    except ValidationError:
        return uuid.uuid5(uuid.NAMESPACE_OID, ascii(message_id)).hex


def _fields(args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object] | None:
    """The message's fields: its kwargs, or a single object given as the only argument.

    A chain hands its links the result of the one before, which is None where that was one of ours.
    """
    args = args[1:] if args and args[0] is None else args
    if not args:
        return _named(kwargs)
    only = args[0]
    return _named(only) if len(args) == 1 and not kwargs and isinstance(only, dict) else None


def _named(fields: Mapping[str, object]) -> dict[str, object]:
    # pydantic does not say which name has a lone surrogate, and judges nothing beside it
    return {writable(name): value for name, value in fields.items()}


def _not_fields(args: Sequence[object], kwargs: Mapping[str, object]) -> Refusal:
    payload = as_json({"args": args, "kwargs": kwargs})
    return Refusal(payload=payload, errors=(str(_NOT_FIELDS),))


def _present(fields: Mapping[str, object]) -> dict[str, object]:
    """Without the fields that say nothing: many languages send null, or an empty batch_id, for absent."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _told(fields: Mapping[str, object]) -> dict[str, object]:
    """As `_present`, but an empty filter is a fault of the producer: left out, it would widen the scope."""
    envelope = Envelope.model_fields
    return {
        name: value for name, value in fields.items() if value is not None and (value != "" or name not in envelope)
    }


def as_json(payload: object) -> str:
    """ASCII JSON, whatever it was; what JSON cannot say is shown by its type."""
    try:
        return json.dumps(payload, default=lambda value: f"<{type(value).__name__}>")
    except (TypeError, ValueError, RecursionError):
        return json.dumps(f"<{type(payload).__name__} that cannot be shown>")
