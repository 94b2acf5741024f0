"""What of a call is worth a line in the log? Quiet in the good case; stable event names for what people act on."""

from collections.abc import Iterable

import structlog

from worker.lanes import Call, Decided, Exhausted, Grant, Recorded
from worker.okx.codes import Verdict
from worker.turn import Conclusion

log = structlog.get_logger(__name__)


def report(grant: Grant, call: Call, conclusion: Conclusion, recorded: Recorded | None) -> None:
    """A line for the call at DEBUG, one for each job that ended dead, one for each scope that rests or resumes."""
    result = conclusion.result
    log.debug(
        "call",
        lane=grant.lane,
        call=call.id,
        meter=call.meter,
        jobs=len(call.jobs),
        batches=sorted({batch for job in call.jobs for batch in job.batches}),
        slots=result.slots,
        latency_ms=round(result.elapsed_s * 1000, 1),
        stale=recorded.stale if recorded else None,
    )
    if recorded is None:
        return  # nothing of it holds; the sender has said so
    for decided, judged in zip(result.decided, conclusion.judgements, strict=True):
        _dead(grant, decided, needs_us=judged.verdict in (Verdict.BUG, Verdict.UNKNOWN))
        if decided.act == "retry" and judged.verdict is Verdict.UNKNOWN and not judged.whole:
            log.warning("code_unknown", **_about(grant, decided), hint="a row of the verdict table is missing")
    if result.refused:
        log.error("lane_refused", lane=grant.lane, hint="somebody else uses this meter, or our model of it is wrong")
    for rest in (*result.rests, *([result.strike] if result.strike else [])):
        if rest.scope in recorded.rested:
            log.warning("scope_rests", scope=rest.scope, reason=rest.reason, first_s=rest.base_s, lane=grant.lane)
    for scope in result.mended:
        log.info("scope_resumes", scope=scope, lane=grant.lane)


def report_exhausted(jobs: Iterable[Exhausted]) -> None:
    """One line for each job that a verb ended, in the words of those that a call ended."""
    for job in jobs:
        log.error(
            "order_may_be_live",
            lane=job.lane,
            job=job.job,
            batches=job.batches,
            sCode="",
            sMsg=job.message,
            attempts=job.attempts,
            needs_us=False,
        )


def _dead(grant: Grant, decided: Decided, *, needs_us: bool) -> None:
    if decided.act != "finish" or decided.status not in ("rejected", "exhausted"):
        return
    event = "order_may_be_live" if decided.status == "exhausted" else "order_rejected"
    log.error(event, **_about(grant, decided), needs_us=needs_us)


def _about(grant: Grant, decided: Decided) -> dict[str, object]:
    """Which order, for whom, and what was said of it."""
    job = decided.job
    return {
        "lane": grant.lane,
        "job": job.id,
        "batches": job.batches,
        "sCode": decided.code,
        "sMsg": decided.message,
        "attempts": job.attempts,
    }
