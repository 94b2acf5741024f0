"""Reads the body of a request: at most so long, JSON, an object."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from bulk_cancel.tasks.faults import faults_in
from bulk_cancel.tasks.messages import Text, refuse
from bulk_cancel.tasks.once import TwiceError, once
from bulk_cancel.tasks.utf8 import writable
from bulk_cancel.worker.gateway.problems import Problem, invalid
from bulk_cancel.worker.state.statuses import Again

Model = TypeVar("Model", bound=BaseModel)

BODY_BYTES: Final = 32 * 2**20
"""100,000 orders with every field at its longest fit."""


LITTLE_BYTES: Final = 16 * 2**10
"""A token at its longest fits, however JSON escapes it."""


async def _body(request: Request) -> bytes:
    """The bytes; what is too long is refused before it is read."""
    return await _read(request, BODY_BYTES)


async def _little(request: Request) -> bytes:
    """The same where nobody knows yet who asks."""
    return await _read(request, LITTLE_BYTES)


async def _read(request: Request, most: int) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    if kind != "application/json" and length != "0" and not _is_empty(request):
        raise Problem("media-type", f"Content-Type is {kind or 'missing'}, not application/json")
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > most:
            raise _too_large(most)
    return bytes(read)


def _is_empty(request: Request) -> bool:
    return "content-length" not in request.headers and "transfer-encoding" not in request.headers


def _too_large(most: int) -> Problem:
    # what follows of the body must not be taken for the next request
    return Problem("too-large", f"more than {most:,} bytes", headers={"Connection": "close"})


Body = Annotated[bytes, Depends(_body)]
LittleBody = Annotated[bytes, Depends(_little)]


def _in_utc(at: datetime) -> datetime:
    """A time without a zone is UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("should be a time of the years 1 to 9999 in UTC") from None


Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""A point in time."""


def list_of(what: str) -> BeforeValidator:
    """A field that is a list says of what, when it is given something else."""

    def _is_list(value: object) -> object:
        if not isinstance(value, list | tuple):
            refuse(f"should be a list of {what}")
        return value

    return BeforeValidator(_is_list)


def _not_empty(value: object) -> object:
    if value in ([], ()):
        refuse("should name one at least; leave it out for rejected and exhausted")
    return value


Statuses = Annotated[tuple[Again, ...], list_of(", ".join(Again)), BeforeValidator(_not_empty)]
"""How orders ended that go again."""


def object_of(body: bytes, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The JSON object; raises Problem."""
    if may_be_empty and not body.strip():
        return {}
    try:
        found = json.loads(body, object_pairs_hook=once)
    except TwiceError as error:
        raise Problem("not-json", f"JSON that {error}") from None
    except (ValueError, RecursionError) as error:
        raise Problem("not-json", f"not JSON in UTF-8: {error}"[:200]) from None
    if not isinstance(found, dict):
        raise Problem("not-json", "JSON, but not an object")
    # pydantic does not say which name has a lone surrogate, and judges nothing beside it
    return {writable(name): value for name, value in found.items()}


class Why(BaseModel):
    """The body of a decision: why, for people who look at the audit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    reason: Text = ""


def parsed(kind: type[Model], body: bytes) -> Model:
    """The body as a model; raises Problem with every fault."""
    try:
        return kind.model_validate(object_of(body, may_be_empty=True))
    except ValidationError as error:
        raise invalid(faults_in(error)) from None
