"""Rows of a CSV file with a header, as programs, spreadsheets and the exchange's website write it.

Read as well: the exchange's own export (columns "Order id" and "Symbol", a line about the account before its header),
Excel's line `sep=;`, comments that begin with `#`, and cells that are kept as text by `="…"` or a leading `'`.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bulk_cancel.tasks.messages import ALGO_IDS, ORDER_FIELDS, ORDER_IDS
from bulk_cancel.worker.cli.orderfile.rows import OrderFileError, Row

_NAMES: Final = {name.lower(): name for name in ORDER_FIELDS} | {"symbol": "instId", "order id": "ordId"}
_HINT: Final = (
    "the first line of a CSV file should be a header with instId and ordId or clOrdId (of algo orders algoId or "
    "algoClOrdId)"
)
_SEPARATOR_LINE: Final = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_ACCOUNT_LINE: Final = re.compile(r"UID:")
_KEPT_AS_TEXT: Final = re.compile(r"""="(.*)"|'(.*)""")
_AROUND: Final = " \t\r\n\u00a0\ufeff"


def csv_rows(text: str) -> Iterator[Row]:
    """Every row that is not empty, in the order of the file.

    Raises:
        OrderFileError: no header that names orders, or quotes that do not end.
    """
    lines, before, separator = _from_header(text.split("\n"))
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=separator, strict=True)
    try:
        header = next(cells for cells in reader if any(cells))
        columns = _columns(header, before + reader.line_num)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip(_AROUND) for cell in cells):
                yield _row(before + line, cells, columns, width=len(header))
            line = reader.line_num + 1
    except csv.Error as error:
        raise OrderFileError(f"line {before + reader.line_num}: is not CSV: {error}") from None


def _from_header(lines: Sequence[str]) -> tuple[Sequence[str], int, str]:
    """The lines from the header on, how many stand before it, and what parts its cells."""
    separator = ""
    for number, line in enumerate(lines):
        told = line.strip(_AROUND)
        if match := _SEPARATOR_LINE.fullmatch(told):
            separator = match[1]
        elif told and not told.startswith("#") and not _ACCOUNT_LINE.match(told):
            return lines[number:], number, separator or max(",;\t", key=line.count)
    raise OrderFileError(f"line 1: {_HINT}")


def _columns(header: Sequence[str], line: int) -> dict[str, int]:
    """Where each of our names stands; capitals and blanks do not matter."""
    names = [_NAMES.get(name.strip(_AROUND).lower(), "") for name in header]
    ours = [name for name in names if name]
    if "instId" not in ours or not {*ORDER_IDS, *ALGO_IDS}.intersection(ours):
        raise OrderFileError(f"line {line}: {_HINT}")
    if len(set(ours)) < len(ours):
        raise OrderFileError(f"line {line}: names a column twice; keep one of each of {', '.join(ORDER_FIELDS)}")
    return {name: index for index, name in enumerate(names) if name}


def _row(line: int, cells: Sequence[str], columns: Mapping[str, int], *, width: int) -> Row:
    if any(cell.strip(_AROUND) for cell in cells[width:]):
        error = f"has {len(cells)} cells where the header has {width}; quote cells that hold the separator"
        return Row(line, list(cells), errors=(error,))
    return Row(line, {name: _cell(cells[index]) for name, index in columns.items() if index < len(cells)})


def _cell(raw: str) -> str:
    text = raw.strip(_AROUND)
    kept = _KEPT_AS_TEXT.fullmatch(text)
    return (kept[1] or kept[2] or "").strip(_AROUND) if kept else text
