"""A browser's session: its token, in a cookie that no script reads and no other site sends."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from bulk_cancel.worker.gateway.answers import answer
from bulk_cancel.worker.gateway.bodies import LittleBody, parsed
from bulk_cancel.worker.gateway.callers import Caller, Role
from bulk_cancel.worker.gateway.guard import COOKIE, Guard, Watcher, same_site
from bulk_cancel.worker.gateway.schemas import TOKEN, answers, body, shape

router = APIRouter(prefix="/v1/session", tags=["session"])


class Given(BaseModel):
    """The token."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: str


@router.get("", operation_id="session", responses=answers({200: shape("session")}))
async def session(request: Request, caller: Watcher) -> Response:
    """Who the caller is, and what they may do; `open`: there are no tokens."""
    guard: Guard = request.app.state.guard
    return _told(caller, is_open=guard.open)


@router.post(
    "", operation_id="session_begin", responses=answers({200: shape("session")}, 400, 413, 415),
    openapi_extra=body(TOKEN),
)  # fmt: skip
async def begin(request: Request, sent: LittleBody) -> Response:
    """Keeps the token in a cookie until the browser ends."""
    same_site(request)
    guard: Guard = request.app.state.guard
    given = parsed(Given, sent)
    found = _told(guard.caller(given.token.strip()))
    found.set_cookie(
        COOKIE, given.token.strip(), path=_path(request), secure=_is_secure(request), httponly=True, samesite="strict"
    )
    return found


@router.delete("", operation_id="session_end", responses=answers({200: shape("session")}))
async def end(request: Request, caller: Watcher) -> Response:
    """Forgets the cookie."""
    found = _told(caller)
    found.delete_cookie(COOKIE, path=_path(request), secure=_is_secure(request), httponly=True, samesite="strict")
    return found


def _path(request: Request) -> str:
    """Below a path the cookie is for that path alone."""
    return str(request.scope.get("root_path") or "/")


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _told(caller: Caller, *, is_open: bool = False) -> Response:
    accounts = None if caller.accounts is None else sorted(caller.accounts)
    may = [role for role in Role if caller.may(role)]
    return answer(
        "session", {"name": caller.name, "role": caller.role, "may": may, "accounts": accounts, "open": is_open}
    )
