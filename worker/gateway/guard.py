"""Lets a request in by its token, or from this machine where there are none, unless another site sent it."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request

from bulk_cancel.worker.gateway.callers import Caller, Role, Tokens
from bulk_cancel.worker.gateway.problems import Problem, invalid

COOKIE: Final = "bulk-cancel-token"
ANYBODY: Final = Caller("gateway (no token)", Role.KILL)
"""Whoever calls a door without tokens."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_BEARER: Final = "bearer "


class Guard:
    """Says who calls; `tokens` None: whoever is on this machine."""

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    @property
    def open(self) -> bool:
        """There are no tokens."""
        return self._tokens is None

    def admit(self, request: Request) -> Caller:
        """Who calls; raises Problem."""
        bearer = _bearer(request)
        if request.method not in _SAFE:  # with a token in a header, too: a proxy may have put it there
            same_site(request)
        if self._tokens is None:
            return _local(request)
        return self.caller(bearer or request.cookies.get(COOKIE, ""))

    def caller(self, secret: str) -> Caller:
        """Whose token this is; raises Problem."""
        found = self._tokens.caller(secret) if self._tokens and secret else None
        if found is None:
            detail = "this token is not known here" if secret else "send Authorization: Bearer TOKEN"
            raise Problem("no-token", detail, headers={"WWW-Authenticate": 'Bearer realm="bulk-cancel"'})
        return found


def needs(role: Role) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: the caller, if the role is enough."""

    async def dependency(request: Request) -> Caller:
        guard: Guard = request.app.state.guard
        caller = request.state.caller = guard.admit(request)
        if not caller.may(role):
            raise Problem("role", f"this needs the role {role}; {caller.name} has {caller.role}")
        _nothing_else(request)
        return caller

    return dependency


def _nothing_else(request: Request) -> None:
    """Raises Problem for a parameter that the call does not have: a filter of that name would leave nothing out."""
    if not request.query_params:
        return
    call = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    known = [each["name"] for each in call.get("parameters", ()) if each["in"] == "query"]
    others = [name for name in request.query_params if name not in known]
    if others:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise invalid(
            [f"{name if name.isidentifier() else repr(name)[:40]}: is no parameter here; {has}" for name in others]
        )


Watcher = Annotated[Caller, Depends(needs(Role.WATCH))]
Reader = Annotated[Caller, Depends(needs(Role.READ))]
Operator = Annotated[Caller, Depends(needs(Role.OPERATE))]
Killer = Annotated[Caller, Depends(needs(Role.KILL))]


def only(caller: Caller, *accounts: str) -> None:
    """Raises Problem for an account that is not the caller's."""
    if not caller.sees_all_of(accounts):
        raise Problem("account", f"{caller.name} may not act on {', '.join(sorted(set(accounts)))}")


def same_site(request: Request) -> None:
    """Raises Problem for what another site had a browser send; without these headers it is no browser."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise Problem("cross-site", f"Sec-Fetch-Site is {site}, not same-origin")
        return
    origin = request.headers.get("origin")
    if origin is not None and _host_in(origin) != request.headers.get("host", "").lower():
        raise Problem("cross-site", "Origin is not the Host that was asked")


def _host_in(origin: str) -> str | None:
    """The host and port of an origin; None if it names none, which is no site's name."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _bearer(request: Request) -> str:
    said = request.headers.get("authorization", "")
    return said[len(_BEARER) :].strip() if said.lower().startswith(_BEARER) else ""


def _local(request: Request) -> Caller:
    """By address and by name: a site whose name leads to this machine is another site all the same."""
    client = request.client.host if request.client else ""
    if not is_loopback(client) or _name_in(request.headers.get("host", "")) not in _LOCAL_NAMES:
        raise Problem("loopback-only", "ask http://127.0.0.1 from this machine, or start the door with tokens")
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        raise Problem("loopback-only", "a proxy sends this; start the door with tokens")
    return ANYBODY


def _name_in(host: str) -> str | None:
    """The name in a header `Host`; None if there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether the address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
