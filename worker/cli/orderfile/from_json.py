"""Rows of a JSON file, found by what its values are: orders, lists of them, or objects that hold such a list.

Taken are JSON Lines, a list, one object after another as `jq` prints them, and these objects, each alone, in a list or
one after another: an answer of the exchange (its `data`), a push of its private channel (the same), a request
of its WebSocket (`args`), our own message (`orders`), and a row of ccxt, whose `info` is the exchange's own row.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from bulk_cancel.tasks.once import TwiceError
from bulk_cancel.worker.cli.orderfile.located import Located, values
from bulk_cancel.worker.cli.orderfile.rows import SHOWN, OrderFileError, Row

LISTS: Final = ("data", "orders", "args")
"""The names under which an object holds a list of orders."""

_KEEP_ALIVE: Final = ("ping", "pong")
"""What stands in a log of a channel between its pushes, in a line of its own."""

_BEGINS: Final = re.compile(rf"(?:\s*(?:{'|'.join(_KEEP_ALIVE)})\s*\n)*\s*[{{\[]")

_ORDER: Final = "instId"
_EVENT: Final = "event"


def is_json(text: str) -> bool:
    """Whether it begins as JSON does, or as a log of a channel."""
    return bool(_BEGINS.match(text))


def json_rows(text: str) -> Iterator[Row]:
    """Every row, in the order of the file.

    Raises:
        OrderFileError: the file as a whole is not JSON, or an object in it is no list of orders.
    """
    try:
        whole = list(values(text))
    except OrderFileError:
        if _is_one_object_a_line(text):
            return _lines(text)
        raise
    return (row for value in whole for row in _rows_of(value))


def _is_one_object_a_line(text: str) -> bool:
    """The first line is whole, or the second one begins another object: then each line stands for itself."""
    first, *others = (line.strip() for line in text.splitlines() if _says_something(line))
    try:
        return isinstance(json.loads(first.rstrip(",")), dict)
    except (ValueError, RecursionError):
        return first.startswith("{") and bool(others) and others[0].startswith("{")


def _says_something(line: str) -> bool:
    return line.strip() not in {"", *_KEEP_ALIVE}


def _lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not _says_something(line):
            continue
        try:
            found = list(values(line))
        except OrderFileError as error:
            yield Row(number, line.strip(), errors=(_why_none(error),))
        else:
            yield from (replace(row, line=number) for value in found for row in _rows_of(value))


def _why_none(error: OrderFileError) -> str:
    """Why a line is no object."""
    twice = error.__cause__
    return str(twice) if isinstance(twice, TwiceError) else "is not JSON; each line should be one object"


def _rows_of(found: Located) -> Iterator[Row]:
    """The rows of a value at the top of a file."""
    if isinstance(found.value, list):
        return _items(found, place="row")
    if isinstance(found.value, dict) and _is_holder(found.value):
        return _held(found, found.value)
    return iter([Row(found.line, _order(found.value))])


def _items(found: Located, *, place: str) -> Iterator[Row]:
    for index, item in enumerate(found.items()):
        if isinstance(item.value, dict) and _is_holder(item.value):
            yield from _held(item, item.value)
        else:
            yield Row(item.line, _order(item.value), place=f"{place}[{index}]")


def _held(found: Located, value: Mapping[str, object]) -> Iterator[Row]:
    """The rows of an object that holds a list of orders, or one order in the place of a list."""
    _refuse_error(value)
    if _EVENT in value and LISTS[0] not in value:  # the channel's own word, between its pushes
        return iter(())
    names = [name for name in LISTS if isinstance(value.get(name), list) or _is_order(value.get(name))]
    if len(names) != 1:
        raise OrderFileError(
            f'line {found.line}: is a JSON object without a list "data", or with several lists; expected an order, '
            "a list of orders or OKX's orders-pending answer"
        )
    inside, account = found.member(names[0]), str(value.get("account") or "")
    if isinstance(inside.value, dict):
        rows: Iterable[Row] = [Row(inside.line, _order(inside.value), place=names[0])]
    else:
        rows = _items(inside, place=names[0])
    return (replace(row, account=row.account or account) for row in rows)


def _is_holder(value: Mapping[str, object]) -> bool:
    """It is no order itself, but an answer of the exchange or another object that should hold orders."""
    return not _is_order(value) and not {*LISTS, _EVENT, "code"}.isdisjoint(value)


def _is_order(value: object) -> bool:
    return isinstance(value, dict) and (_ORDER in value or _is_of_ccxt(value))


def _is_of_ccxt(value: Mapping[str, object]) -> bool:
    info = value.get("info")
    return isinstance(info, dict) and _ORDER in info


def _order(value: object) -> object:
    return value["info"] if isinstance(value, dict) and _ORDER not in value and _is_of_ccxt(value) else value


def _refuse_error(answer: Mapping[str, object]) -> None:
    code = str(answer.get("code", "0"))
    if code != "0":
        said = str(answer.get("msg", ""))[:SHOWN]
        raise OrderFileError(f"is a refusal by the exchange, code {code} {said!r}; ask it again")
