"""Which orders does a file name, and on which line is each one that cannot be used?

CSV with a header (instId, ordId, clOrdId in any order, others ignored), JSON Lines, a JSON list, or OKX's own
`orders-pending` answer, told apart by content. Rows are values: good ones become orders, bad ones are named
with file and line. A file that cannot be understood as a whole raises: nobody knows what it would have meant.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.tasks.messages import ORDER_FIELDS, Order, faults_in

_SHOWN = 200
_CSV_NAMES = {name.lower(): name for name in ORDER_FIELDS}
_DATA = re.compile(r'"data"\s*:\s*\[')
_BETWEEN_ROWS = re.compile(r"[\s,]*")
_HEADER_HINT = "the first line of a CSV file should be a header with instId and ordId or clOrdId"


class OrderFileError(BulkCancelError, ValueError):
    """A file that is no list of orders; one line per file: which, what is wrong, where, how to mend it."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that names no order: its file, its line (from 1), every reason, and the row, shortened."""

    source: str
    line: int
    errors: tuple[str, ...]
    payload: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {'; '.join(self.errors)}"


@dataclass(frozen=True, slots=True)
class OrderFile:
    """What the files hold, in their order; both lists may be empty."""

    orders: list[Order]
    bad: list[BadRow]


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    value: object
    place: str = ""
    errors: tuple[str, ...] = ()


def read_orders(paths: Iterable[str | Path], *, stdin: BinaryIO | None = None) -> OrderFile:
    """The orders of all files; the path `-` reads standard input.

    Raises:
        OrderFileError: one line for every file that cannot be read as a whole.
    """
    found = OrderFile(orders=[], bad=[])
    faults: list[str] = []
    for path in map(str, paths):
        source = "stdin" if path == "-" else path
        try:
            _collect(source, _rows(_text(_bytes(path, stdin))), found)
        except OrderFileError as error:
            faults.append(f"{source}: {error}")
    if faults:
        raise OrderFileError("\n".join(faults))
    return found


def _collect(source: str, rows: Iterable[_Row], found: OrderFile) -> None:
    for row in rows:
        errors = row.errors
        try:
            if not errors:
                found.orders.append(Order.model_validate(row.value))
                continue
        except ValidationError as error:
            errors = tuple(faults_in(error, within=row.place))
        found.bad.append(BadRow(source=source, line=row.line, errors=errors, payload=_shown(row.value)))


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


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


def _rows(text: str) -> Iterator[_Row]:
    start = text.lstrip()[0]
    if start == "{" and _is_json_lines(text):
        return _json_lines(text)
    if start in "{[":
        return _json_rows(text)
    return _csv_rows(text)


def _is_json_lines(text: str) -> bool:
    """One object a line: the first is complete, or the second starts another (pretty-printing does not)."""
    if _is_json(text):
        return False
    first, *others = (line.strip() for line in text.splitlines() if line.strip())
    try:
        return not {"code", "data"} & set(json.loads(first))
    except (ValueError, RecursionError):
        return bool(others) and others[0].startswith("{")


def _is_json(text: str) -> bool:
    """The whole is one value, such as an answer of the exchange with a row on each line."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_lines(text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield _Row(number, json.loads(line))
            except (ValueError, RecursionError):
                yield _Row(number, line.strip(), errors=("is not JSON; each line should be one object",))


def _json_rows(text: str) -> Iterator[_Row]:
    """The rows of a JSON list, or of the list `data` of an exchange's answer."""
    whole = _load(text)
    if isinstance(whole, dict):
        _check_answer(whole)
        match = _DATA.search(text)
        return _list_items(text, match.end() if match else 0, place="data")
    return _list_items(text, text.index("[") + 1, place="row")


def _load(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise OrderFileError(f"line {error.lineno}: is not JSON: {error.msg}, column {error.colno}") from None
    except (ValueError, RecursionError):
        raise OrderFileError("is JSON with numbers or nesting beyond reason") from None


def _check_answer(answer: Mapping[str, object]) -> None:
    code = str(answer.get("code", "0"))
    if code != "0":
        said = str(answer.get("msg", ""))[:_SHOWN]
        raise OrderFileError(f"is a refusal by the exchange, code {code} {said!r}; ask it again")
    if not isinstance(answer.get("data"), list):
        raise OrderFileError('is a JSON object without a list "data"; expected OKX\'s orders-pending answer')


def _list_items(text: str, position: int, *, place: str) -> Iterator[_Row]:
    """Walk the list item by item, since only the walk knows on which line each one starts."""
    decoder = json.JSONDecoder()
    line = text.count("\n", 0, position) + 1
    index = 0
    while True:
        start = _skip(text, position)
        line += text.count("\n", position, start)
        if text[start] == "]":
            return
        value, position = decoder.raw_decode(text, start)
        yield _Row(line, value, place=f"{place}[{index}]")
        line += text.count("\n", start, position)
        index += 1


def _skip(text: str, position: int) -> int:
    match = _BETWEEN_ROWS.match(text, position)
    return match.end() if match else position


def _csv_rows(text: str) -> Iterator[_Row]:
    header_line = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next(cells for cells in reader if any(cells))
        columns = _columns(header)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _csv_row(line, cells, columns, width=len(header))
            line = reader.line_num + 1
    except csv.Error as error:
        raise OrderFileError(f"line {reader.line_num}: is not CSV: {error}") from None


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Where each of our three names stands; capitals and blanks do not matter."""
    names = [_CSV_NAMES.get(name.strip().lower(), "") for name in header]
    ours = [name for name in names if name]
    if "instId" not in ours or len(ours) == 1:
        raise OrderFileError(f"line 1: {_HEADER_HINT}")
    if len(set(ours)) < len(ours):
        raise OrderFileError("line 1: names a column twice; keep one of each of instId, ordId, clOrdId")
    return {name: index for index, name in enumerate(names) if name}


def _csv_row(line: int, cells: Sequence[str], columns: Mapping[str, int], *, width: int) -> _Row:
    if len(cells) > width:
        error = f"has {len(cells)} cells where the header has {width}; quote cells that hold the separator"
        return _Row(line, list(cells), errors=(error,))
    return _Row(line, {name: cells[index] for name, index in columns.items() if index < len(cells)})
