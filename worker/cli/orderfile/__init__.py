"""Reads the orders that files name, and says of each row that cannot be used why.

CSV or JSON, told apart by content; `from_csv.py` and `from_json.py` say which shapes are known. Rows are values: good
ones become orders, bad ones are named with file and line. A file that cannot be understood as a whole raises: nobody
knows what it would have meant.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import ValidationError

from bulk_cancel.tasks.faults import faults_in, found_in
from bulk_cancel.tasks.messages import Order
from bulk_cancel.worker.cli.orderfile.from_csv import csv_rows
from bulk_cancel.worker.cli.orderfile.from_json import is_json, json_rows
from bulk_cancel.worker.cli.orderfile.recognised import why_no_file, why_no_order
from bulk_cancel.worker.cli.orderfile.rounding import rounded_ids
from bulk_cancel.worker.cli.orderfile.rows import BadRow, OrderFileError, Row, shown

_VALUE: Final = 60
"""Characters of a wrong value that a message repeats."""

__all__ = ["BadRow", "OrderFile", "OrderFileError", "read_orders"]


@dataclass(frozen=True, slots=True)
class OrderFile:
    """What the files hold, in their order; both lists may be empty.

    `none_open`: every file is a JSON list without a row, as the exchange answers when nothing is open.
    """

    orders: list[Order]
    bad: list[BadRow]
    none_open: bool = False


def read_orders(paths: Iterable[str | Path], *, account: str, stdin: BinaryIO | None = None) -> OrderFile:
    """The orders of all files, which are to be those of `account`; the path `-` reads standard input.

    Raises:
        OrderFileError: one line for every file that cannot be read as a whole.
    """
    found = OrderFile(orders=[], bad=[])
    faults: list[str] = []
    shapes: set[bool] = set()
    for path in map(str, paths):
        source = "stdin" if path == "-" else path
        try:
            text = _text(_bytes(path, stdin))
            shapes.add(is_json(text))
            read = _collect(source, _rows(text), account)
            _refuse_rounded(read.orders)
        except OrderFileError as error:
            faults.append(f"{source}: {error}")
        else:
            found.orders.extend(read.orders)
            found.bad.extend(read.bad)
    if faults:
        raise OrderFileError("\n".join(faults))
    return replace(found, none_open=shapes == {True} and not (found.orders or found.bad))


def _collect(source: str, rows: Iterable[Row], account: str) -> OrderFile:
    found = OrderFile(orders=[], bad=[])
    for row in rows:
        errors = row.errors or _of_another(row, account)
        kind = "; ".join(errors)
        try:
            if not errors:
                found.orders.append(Order.model_validate(row.value))
                continue
        except ValidationError as error:
            known = why_no_order(row.value)
            errors = (known,) if known else tuple(_faults(error, row.place))
            kind = known or "; ".join(faults_in(error))
        found.bad.append(BadRow(source=source, line=row.line, errors=errors, payload=shown(row.value), kind=kind))
    return found


def _faults(error: ValidationError, place: str) -> Iterator[str]:
    """One line a fault, with the value that is wrong."""
    for fault, detail in zip(found_in(error, within=place), error.errors(include_url=False), strict=True):
        given = detail["input"]
        of_a_value = detail["loc"] and detail["type"] != "missing"
        yield f"{fault.bare}; is {given!r:.{_VALUE}}" if of_a_value else fault.bare


def _of_another(row: Row, account: str) -> tuple[str, ...]:
    """With another account's key, the exchange would call the order unknown, as if it were gone."""
    if row.account.lower() in {"", account.lower()}:
        return ()
    return (f"is an order of account {row.account!r:.66}, not of {account!r}; name that account",)


def _refuse_rounded(orders: Iterable[Order]) -> None:
    """A rounded id names no order, or somebody else's: the exchange would call it unknown, as if it were gone."""
    rounded = rounded_ids(ident for order in orders if (ident := order.ordId or order.algoId))
    if rounded:
        raise OrderFileError(
            f"{len(rounded)} ids were rounded by a spreadsheet or by JavaScript, such as {rounded[0]}: they end in "
            "zeros where these programs lose digits; export them again with ids as text"
        )


def _bytes(path: str, stdin: BinaryIO | None) -> bytes:
    try:
        return (stdin or sys.stdin.buffer).read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise OrderFileError(f"cannot be read: {error.strerror}") from None


def _text(raw: bytes) -> str:
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b")):
        raise OrderFileError("is a workbook or an archive; save the sheet as CSV, or unpack it")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise OrderFileError("is UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)")
    if b"\0" in raw:
        raise OrderFileError(f"line {_line_at(raw, raw.index(0))}: is binary or UTF-16; save it as UTF-8 text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OrderFileError(f"line {_line_at(raw, error.start)}: is not UTF-8; save it as UTF-8") from None
    if not text.strip():
        raise OrderFileError("is empty; it should hold orders as CSV, JSON Lines or OKX's orders-pending answer")
    return text


def _line_at(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1


def _rows(text: str) -> Iterator[Row]:
    if known := why_no_file(text):
        raise OrderFileError(known)
    return json_rows(text) if is_json(text) else csv_rows(text)
