"""What of a call goes into the log. Quiet in the good case; stable event names for what people act on."""

from collections.abc import Iterable
from typing import Final

import structlog

from bulk_cancel.worker.alerts.alerts import Condition, alert
from bulk_cancel.worker.alerts.conditions import by_credentials
from bulk_cancel.worker.alerts.exhausted import alert_may_be_live, order_facts
from bulk_cancel.worker.okx.codes import Verdict
from bulk_cancel.worker.state.claims import Claim, Decided, Done, Recorded
from bulk_cancel.worker.state.statuses import DEAD, Status

log = structlog.get_logger(__name__)

_NEED_US: Final = (Verdict.BUG, Verdict.UNKNOWN)

REFUSED: Final = "somebody else uses this meter, or our model of it is wrong"


def log_call(done: Done, recorded: Recorded | None) -> None:
    """A line for the call at DEBUG, one for each job that ended dead, one for each scope that rests or resumes."""
    claim, call, result = done.claim, done.call, done.result
    log.debug(
        "call",
        lane=claim.lane,
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
    for decided in result.decided:
        if decided.status in DEAD and decided.act == "finish":
            _dead(claim, decided)
        if decided.act == "retry" and decided.verdict is Verdict.UNKNOWN and not decided.whole:
            for about in _about(claim, decided):
                log.warning("code_unknown", **about, hint="a row of the verdict table is missing")
    if result.refused:
        alert(Condition.LANE_REFUSED, claim.lane, {"lane": claim.lane, "meter": call.meter, "hint": REFUSED})
    for rest in (*result.rests, *([result.strike] if result.strike else [])):
        if rest.scope in recorded.rested and not by_credentials(rest.scope, rest.reason):
            log.warning("scope_rests", scope=rest.scope, reason=rest.reason, first_s=rest.base_s, lane=claim.lane)
    for scope in result.mended:
        log.info("scope_resumes", scope=scope, lane=claim.lane)


def log_lost(claim: Claim) -> None:
    """A line for each job that stood in a lane without anything known of it: its order may still be live."""
    for job in claim.lost:
        log.error("job_lost", order=job, lane=claim.lane, hint="deleted by hand, or written by another version?")


def _dead(claim: Claim, decided: Decided) -> None:
    for about in _about(claim, decided):
        if decided.status == Status.EXHAUSTED:
            alert_may_be_live(about)
        else:
            log.error("order_rejected", **about, needs_us=decided.verdict in _NEED_US)


def _about(claim: Claim, decided: Decided) -> Iterable[dict[str, object]]:
    return (order_facts(job, job.id, claim.lane, code=decided.code, why=decided.message) for job in decided.jobs)
