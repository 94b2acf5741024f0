"""The door as an ASGI app: mount it in another one, below any path, or let `bulk-cancel gateway` serve it."""

import json
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from bulk_cancel.worker.gateway import problems
from bulk_cancel.worker.gateway.callers import Tokens
from bulk_cancel.worker.gateway.feed import Feed
from bulk_cancel.worker.gateway.guard import Guard
from bulk_cancel.worker.gateway.metrics import registry_of
from bulk_cancel.worker.gateway.parts import Desks
from bulk_cancel.worker.gateway.routes import (
    batches,
    events,
    health,
    masses,
    matching,
    metrics,
    page,
    pauses,
    runner,
    session,
)
from bulk_cancel.worker.gateway.schemas import PROBLEM
from bulk_cancel.worker.gateway.shell import Shell
from bulk_cancel.worker.state.shards import Shards, alone
from bulk_cancel.worker.state.store import Store

VERSION: Final = "1"
"""Of the door's contract, `openapi.json`."""

_ABOUT: Final = (
    "Every order handed in ends in a known, persisted state. Objects are those that the command line prints with "
    "--json (worker/cli/JSON.md); errors are RFC 9457 problems with a stable type. Of a runner with several Redis "
    "each row has its shard, and away says why there are none of a shard."
)


def create_app(store: Store | Shards, tokens: Tokens | None = None) -> Shell:
    """The door of one runner, of one store or of several shards; without tokens it is for this machine only."""
    api = make_api(store if isinstance(store, Shards) else alone(store), tokens)
    return Shell(api, api.state.desks, api.state.feed)


def make_api(shards: Shards, tokens: Tokens | None) -> FastAPI:
    """The endpoints."""
    api = FastAPI(
        title="bulk-cancel", version=VERSION, description=_ABOUT, docs_url=None, redoc_url=None, openapi_url=None,
        servers=[{"url": "."}], redirect_slashes=False, root_path_in_servers=False,
    )  # fmt: skip
    desks = Desks(shards)
    api.state.desks, api.state.feed, api.state.guard = desks, Feed(desks), Guard(tokens)
    api.state.registry = registry_of(desks)
    problems.install(api)
    for room in (batches, matching, events, masses, pauses, runner, session, health, metrics, page):
        api.include_router(room.router)
    api.add_route("/openapi.json", _openapi)
    return api


async def _openapi(request: Request) -> Response:
    return Response(contract(request.app), media_type="application/json")


def contract(api: FastAPI) -> str:
    """`openapi.json`, as it is committed."""
    said: dict[str, Any] = api.openapi()
    said["components"] = {
        "schemas": {"Problem": PROBLEM},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    }
    said["security"] = [{"token": []}, {}]
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"
