"""The alert that an order was given up and may still be live."""

from collections.abc import Iterable

from bulk_cancel.worker.alerts.alerts import Condition, alert
from bulk_cancel.worker.state.claims import Exhausted, Job


def report_exhausted(jobs: Iterable[Exhausted]) -> None:
    """One alert for each job that a verb ended, in the words of those that a call ended."""
    for job in jobs:
        alert_may_be_live(order_facts(job, job.job, job.lane, code=job.code, why=job.message))


def alert_may_be_live(facts: dict[str, object]) -> None:
    """Whoever acts on it thinks in batches: a batch is sent once a minute, with the count of its orders."""
    batches = facts["batches"]
    subject = " ".join(batches) if isinstance(batches, tuple) else ""
    alert(Condition.ORDER_MAY_BE_LIVE, subject or str(facts["lane"]), facts)


def order_facts(job: Job | Exhausted, order: str, lane: str, *, code: str, why: str) -> dict[str, object]:
    """Which order, for whom, and what was said of it."""
    return {
        "order": order,
        "account": job.account,
        "lane": lane,
        "batches": job.batches,
        "sCode": code,
        "why": why,
        "attempts": job.attempts,
    }
