"""How bodies of the control API are read and written: JSON, and JSON Lines for lists that can be long."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from bulk_cancel.worker.simulator.messages import Summary
from bulk_cancel.worker.simulator.wire import Reply, Request, Stream

T = TypeVar("T")
_ROWS_PER_CHUNK = 200
_WORDS: Final = {"unexpected_keyword_argument": "no such field", "missing": "is missing"}


def read(kind: type[T], request: Request) -> T:
    """The body as a value; ValidationError names what is wrong with it."""
    return TypeAdapter(kind).validate_json(request.body)


def faults_in(error: ValidationError) -> str:
    """What is wrong with a body or a query, each fault with its field."""
    return "; ".join(map(_fault, error.errors(include_url=False, include_input=False, include_context=False)))


def _fault(detail: ErrorDetails) -> str:
    place = ".".join(map(str, detail["loc"])) or "body"
    words = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{place}: {_WORDS.get(detail['type'], words)}"


def named(found: Mapping[str, T], name: str, what: str) -> T:
    """The one of that name; LookupError says what there is none of."""
    if name not in found:
        raise LookupError(f"no {what} {name!r}")
    return found[name]


def filters(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """The query; ValueError names what is none of the `known` names, before anything is answered."""
    unknown = [name for name in request.query if name not in known]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such filter; there are {', '.join(known)}")
    return request.query


def json_reply(status: int, answer: object) -> Reply:
    """One object."""
    plain = asdict(answer) if isinstance(answer, Summary) else answer
    return Reply(status, json.dumps(plain if plain is not None else {"ok": True}).encode())


def stream(rows: Iterator[dict[str, object]]) -> Stream:
    """One object a line."""

    def chunks() -> Iterator[bytes]:
        while block := list(islice(rows, _ROWS_PER_CHUNK)):
            yield "".join(json.dumps(row) + "\n" for row in block).encode()

    return Stream(chunks())
