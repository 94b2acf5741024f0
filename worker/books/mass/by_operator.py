"""How an operator ends a mass cancel, whose next listing belongs to nobody any more."""

from collections.abc import Mapping

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.worker.state.scripts import Scripts


def call_off(scripts: Scripts, batch_id: str, *, by: str, reason: str) -> None:
    """Ends the mass cancel, if it still runs: no further listing, no further order."""
    answered(ask_call_off(scripts, batch_id, by=by, reason=reason))


def ask_call_off(scripts: Scripts, batch_id: str, *, by: str, reason: str) -> Asking[None]:
    """As `call_off`, over either client."""
    yield from _end(scripts, batch_id, "withdrawn", {"event": "called_off", "by": by, "reason": reason})


def ask_let_go(scripts: Scripts, batch_id: str, *, by: str, reason: str) -> Asking[bool]:
    """Ends the hold: no further listing, and what was found is cancelled. Whether it was on."""
    return (yield from _end(scripts, batch_id, "released", {"event": "release", "by": by, "reason": reason}))


def _end(scripts: Scripts, batch_id: str, state: str, decision: Mapping[str, str]) -> Asking[bool]:
    argument = {"mass": batch_id, "listing": "", "fields": {"state": state}, "after_us": -1, **decision}
    return bool((yield from scripts.ask("listing_end", argument))["mine"])
