"""What of a call is worth a line in the log? Quiet in the good case; stable event names for what people act on."""

import structlog

from worker.lanes import Call, Decided, Grant, Recorded
from worker.okx.codes import Verdict
from worker.turn import Conclusion

log = structlog.get_logger(__name__)


def report(grant: Grant, call: Call, conclusion: Conclusion, recorded: Recorded | None) -> None:
    """One line for the call at DEBUG, one for each job that ended dead, one for each scope that now rests."""
    result = conclusion.result
    log.debug(
        "call",
        lane=grant.lane,
        call=call.id,
        meter=call.meter,
        jobs=len(call.jobs),
        slots=result.slots,
        latency_ms=round(result.elapsed_s * 1000, 1),
        stale=recorded.stale if recorded else None,
    )
    for decided, judged in zip(result.decided, conclusion.judgements, strict=True):
        _dead(grant, decided, needs_us=judged.verdict in (Verdict.BUG, Verdict.UNKNOWN))
    if result.refused:
        log.error("lane_refused", lane=grant.lane, hint="somebody else uses this meter, or our model of it is wrong")
    for rest in result.rests:
        log.warning("scope_rests", scope=rest.scope, reason=rest.reason, first_s=rest.base_s, lane=grant.lane)


def _dead(grant: Grant, decided: Decided, *, needs_us: bool) -> None:
    if decided.act != "finish" or decided.status not in ("rejected", "exhausted"):
        return
    event = "order_may_be_live" if decided.status == "exhausted" else "order_rejected"
    log.error(
        event,
        lane=grant.lane,
        job=decided.job.id,
        batches=decided.job.batches,
        sCode=decided.code,
        sMsg=decided.message,
        attempts=decided.job.attempts,
        needs_us=needs_us,
    )
