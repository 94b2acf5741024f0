"""Answers: objects as JSON, with times and values spelt as the command line spells them; long lists as a stream."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from itertools import islice
from typing import Final

from fastapi import Response
from fastapi.responses import StreamingResponse

from bulk_cancel.worker.operators.shapes import FIELDS, csv_cell, document, plain, row_json
from bulk_cancel.worker.state.batches import Row

_ROWS: Final = 500
"""Written at once."""


def encoded(value: object) -> str:
    """JSON."""
    return json.dumps(value, default=plain, separators=(",", ":"))


def answer(schema: str, said: Mapping[str, object], status: int = 200, **headers: str) -> Response:
    """One object, with the name of its shape."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(encoded(document(schema, said)), status, named, "application/json")


def as_lines(schema: str, rows: Iterable[Row]) -> Response:
    """One object a line."""
    parts = ("".join(f"{encoded(document(schema, row_json(row)))}\n" for row in part) for part in _parts(rows))
    return StreamingResponse(parts, media_type="application/x-ndjson")


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while part := list(islice(left, _ROWS)):
        yield part


def as_csv(rows: Iterable[Row]) -> Response:
    """A header and one line an order; no spreadsheet takes a text of it for a formula."""
    return StreamingResponse(_csv(rows), media_type="text/csv; charset=utf-8")


def _csv(rows: Iterable[Row]) -> Iterator[str]:
    yield ",".join(FIELDS) + "\n"
    for part in _parts(rows):
        yield _csv_lines(row_json(row) for row in part)


def _csv_lines(rows: Iterable[Mapping[str, object]]) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()
