"""Refusals as RFC 9457 problems: each kind has a stable `type`, and every error of ours becomes one of them."""

import json
import traceback
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from bulk_cancel.tasks.errors import (
    AdmissionError,
    BatchConflictError,
    BulkCancelError,
    InvalidOrders,
    MovedAccountError,
    NotReplicatedError,
    PartlyTakenError,
    RedisFullError,
    UnknownAccountError,
    UnknownBatchError,
    UnknownMassError,
    UnreadableFormatError,
    UnsealedBatchError,
)
from bulk_cancel.tasks.faults import words_of
from bulk_cancel.worker.books.reader import NotReadableError
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.operators.holds import NotOnHoldError
from bulk_cancel.worker.operators.targets import UnknownLaneError
from bulk_cancel.worker.state.redis_errors import code_of
from bulk_cancel.worker.state.shards import ShardAwayError, TwoShardsError

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:bulk-cancel:problem:"

KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "not-json": (400, "The body is not a JSON object"),
    "no-token": (401, "A token is needed"),
    "role": (403, "The token's role does not allow this"),
    "account": (403, "The token is not for this account"),
    "cross-site": (403, "A browser asks from another site"),
    "loopback-only": (403, "Without tokens the door is for this machine only"),
    "not-found": (404, "There is nothing at this address"),
    "unknown-batch": (404, "No batch has this id"),
    "unknown-mass-cancel": (404, "No mass cancel has this id"),
    "unknown-account": (404, "No account has this name"),
    "unknown-lane": (404, "No lane has this name"),
    "method": (405, "The address does not take this method"),
    "conflict": (409, "The id is known with other content"),
    "two-shards": (409, "The id is known on two shards"),
    "account-moved": (409, "The batch is on a shard that does not have its account any more"),
    "contradiction": (409, "The filters contradict each other: they match nothing"),
    "not-on-hold": (409, "The mass cancel is not on hold"),
    "unsealed": (409, "The batch is not complete yet"),
    "not-admitted": (409, "It cannot be taken as it was asked"),
    "not-readable": (409, "The book cannot be read from here"),
    "too-large": (413, "The body is too large"),
    "media-type": (415, "The body must be application/json"),
    "invalid": (422, "Something of the request is not as it should be"),
    "internal": (500, "A fault of ours; please report it"),
    "redis-away": (503, "Redis does not answer"),
    "redis-refuses": (503, "Redis refuses to write"),
    "format": (503, "What stands in Redis has a format that this release does not read"),
    "redis-full": (503, "Redis is full"),
    "not-replicated": (503, "Too few replicas confirmed it; give the same again"),
    "partly-taken": (503, "Not every shard has taken it; give the same again"),
    "exchange-away": (503, "The exchange did not answer"),
}
"""Kind → status and title. The kind is the end of the `type`; neither changes its meaning."""

FAULTS: Final = 100
"""Faults that are listed of a request, unless it may have more that somebody has to mend one by one."""

ROWS_FAULTS: Final = 1_000
"""The same of a batch: who mends 1,000 rows hands in again and is told the rest."""

_RETRY_AFTER_S: Final = {"redis-full": 30}
_METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_PLAIN: Final[Sequence[tuple[type[Exception], str]]] = (
    (UnknownBatchError, "unknown-batch"),
    (UnknownMassError, "unknown-mass-cancel"),
    (UnknownAccountError, "unknown-account"),
    (UnknownLaneError, "unknown-lane"),
    (BatchConflictError, "conflict"),
    (MovedAccountError, "account-moved"),
    (UnreadableFormatError, "format"),
    (UnsealedBatchError, "unsealed"),
    (NotOnHoldError, "not-on-hold"),
    (RedisFullError, "redis-full"),
    (NotReplicatedError, "not-replicated"),
    (NotReadableError, "not-readable"),
    (AdmissionError, "not-admitted"),
    (TwoShardsError, "two-shards"),
    (ExchangeError, "exchange-away"),
    (BulkCancelError, "internal"),
)
"""The first that fits; those of a wider class come later."""


class Problem(BulkCancelError):  # noqa: N818 (RFC 9457's word)
    """A refusal; `errors` has a line for each fault, `more` are fields of its kind."""

    def __init__(
        self,
        kind: str,
        detail: str,
        errors: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    @property
    def status(self) -> int:
        """The answer's status."""
        return KINDS[self.kind][0]

    def response(self) -> Response:
        """The answer."""
        status, title = KINDS[self.kind]
        said: dict[str, object] = {"type": f"{TYPE}{self.kind}", "title": title, "status": status}
        said |= {"detail": self.detail} | ({"errors": list(self.errors)} if self.errors else {}) | self.more
        retry = {"Retry-After": str(_RETRY_AFTER_S.get(self.kind, 1))} if status == 503 else {}  # noqa: PLR2004 (HTTP's)
        return Response(json.dumps(said), status, {**retry, **self.headers}, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What a caller is told of an error; nothing in it is secret."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, InvalidOrders):
        return invalid(error.errors, most=ROWS_FAULTS)
    if isinstance(error, PartlyTakenError):
        return _partly(error)
    if isinstance(error, RedisError):
        return _of_redis(error)
    for kind, name in _PLAIN:
        if isinstance(error, kind):
            return Problem(name, str(error), more=_more(error))
    return Problem("internal", type(error).__name__)


def _more(error: Exception) -> dict[str, object]:
    return {"shard": error.shard} if isinstance(error, MovedAccountError) and error.shard else {}


def _of_redis(error: RedisError) -> Problem:
    if isinstance(error, ShardAwayError):
        detail = f"shard {error.shard} is away: its Redis does not answer; ask again later"
        return Problem("redis-away", detail, more={"shard": error.shard})
    code = code_of(error)
    return Problem("redis-refuses" if code else "redis-away", f"{code or type(error).__name__}; ask again later")


def _partly(error: PartlyTakenError) -> Problem:
    lines = [_of_shard(name, why) for name, why in error.missing.items()]
    taken = [receipt.batch_id for receipt in error.taken]
    return Problem("partly-taken", "taken on the other shards alone", lines, more={"taken": taken})


def _of_shard(name: str, why: Exception) -> str:
    """What a shard that is away says names it already."""
    said = problem_of(why).detail
    return said if isinstance(why, ShardAwayError) else f"shard {name}: {said}"


def invalid(errors: Sequence[str], *, most: int = FAULTS) -> Problem:
    """Faults of what was said, a line each; of more than `most` the first, and how many are not listed."""
    detail = f"{len(errors)} fault{'s' if len(errors) != 1 else ''}; nothing was taken"
    more = f"; {len(errors) - most} more than are listed" if len(errors) > most else ""
    return Problem("invalid", detail + more, errors[:most])


def install(app: FastAPI) -> None:
    """Every refusal of the app is a problem."""
    for kind in (BulkCancelError, RedisError, ExchangeError):
        app.exception_handler(kind)(_refuse)
    app.exception_handler(HTTPException)(_routing)
    app.exception_handler(RequestValidationError)(_fields)
    app.exception_handler(Exception)(_fault)


async def _refuse(request: Request, error: Exception) -> Response:
    """Whoever may act on some accounts only is not told which others there are."""
    caller = getattr(request.state, "caller", None)
    if isinstance(error, UnknownAccountError) and caller is not None and caller.accounts is not None:
        return Problem("unknown-account", str(error).partition(";")[0]).response()
    return problem_of(error).response()


async def _fault(request: Request, error: Exception) -> Response:
    # as text: the settings of another program's log may show each frame's variables, and tokens are among them
    told = "".join(traceback.format_exception(error))
    log.error("gateway_fault", path=request.url.path, exception=told)
    return problem_of(error).response()


async def _routing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    kind = {404: "not-found", 405: "method"}.get(status, "not-json")
    if kind == "method":
        headers["Allow"] = ", ".join(_methods(request))
    return Problem(kind, f"{request.method} {request.url.path}", headers=headers).response()


def _methods(request: Request) -> list[str]:
    """Those that the address takes: each of its routes knows its own alone."""
    asked = {method: {**request.scope, "method": method} for method in _METHODS}
    return [
        method
        for method, scope in asked.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


async def _fields(_: Request, error: Exception) -> Response:
    """Of the path, the query and the headers; bodies are read by ourselves."""
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    return invalid([f"{'.'.join(map(str, each['loc'][1:]))}: {words_of(each)}" for each in found]).response()
