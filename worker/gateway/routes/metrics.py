"""Metrics for Prometheus, read when it asks."""

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder

from bulk_cancel.worker.gateway.guard import Watcher
from bulk_cancel.worker.gateway.problems import Problem
from bulk_cancel.worker.gateway.schemas import answers

router = APIRouter(tags=["metrics"])


@router.get("/metrics", operation_id="metrics", responses=answers({200: "text/plain"}))
def metrics(request: Request, caller: Watcher) -> Response:
    """How the runner stands, and what was ever counted, in the text format of Prometheus or OpenMetrics."""
    if caller.accounts is not None:
        raise Problem("account", f"metrics are of all accounts; {caller.name} is for some")
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(request.app.state.registry), media_type=kind)
