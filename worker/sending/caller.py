"""Makes the calls of claims: asks the exchange, and concludes what follows from its answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.codes import Verdict
from bulk_cancel.worker.okx.errors import ExchangeError, NeverSent, OutcomeUnknown, TooLate
from bulk_cancel.worker.sending.conclude import Concluder
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.state.claims import Call, Claim, Done, Result
from bulk_cancel.worker.state.window import WRITE_WITHIN_S

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a call that began at the monotonic instant `began`, after `elapsed_s` seconds."""

    claim: Claim
    call: Call
    outcome: Answer | ExchangeError
    began: float
    elapsed_s: float


class Caller:
    """Calls with one client; an address to which no connection came about is lost to `reachability`. Thread-safe."""

    def __init__(self, client: OkxClient, concluder: Concluder, reachability: Reachability) -> None:
        self._client = client
        self._concluder = concluder
        self._reachability = reachability

    def reaches(self, claim: Claim) -> bool:
        """Whether a call of the claim may be tried."""
        return self._reachability.reaches(claim.user.base_url)

    def begin(self, claim: Claim, call: Call, came: Callable[[Came], None]) -> None:
        """Begins one call of the claim; `came` gets what came of it, on a thread that it must not keep."""
        began = time.monotonic()

        def then(outcome: Answer | ExchangeError) -> None:
            came(Came(claim, call, outcome, began, time.monotonic() - began))

        orders, write_by = [job.ref for job in call.jobs], claim.asked_at + WRITE_WITHIN_S
        try:
            if claim.user.of_algos:
                self._client.begin_cancel_algo(call.account, orders[0], write_by=write_by, then=then)
                return
            self._client.begin_cancel(call.account, orders, batch=call.meter == "batch", write_by=write_by, then=then)
        except Exception as error:  # whatever it was, bytes may have left: the slot and the attempt count
            log.exception("call_failed", lane=claim.lane, call=call.id)
            then(OutcomeUnknown(f"{type(error).__name__}: {error}"))

    def conclude(self, came: Came) -> Done:
        """What follows from it; whatever went wrong is part of that. May ask the exchange for its clock."""
        claim, call, outcome = came.claim, came.call, came.outcome
        result = self._concluder.conclude(claim, call, outcome, came.elapsed_s)
        if isinstance(outcome, NeverSent) and not isinstance(outcome, TooLate):
            result = self._cut_off(claim, result, str(outcome))
        self._resync(claim, result, signed_at=came.began)
        return Done(claim, call, result)

    def give_back(self, claim: Claim, call: Call, reason: str) -> Done:
        """Makes no call."""
        return Done(claim, call, self._concluder.given_back(call, reason))

    def _cut_off(self, claim: Claim, result: Result, why: str) -> Result:
        """No connection: that may be ours alone, so a burst of such calls is one strike against the address."""
        if not self._reachability.lose(claim.user.base_url, why):
            return replace(result, strike=None)
        log.warning("exchange_out_of_reach", exchange=claim.user.base_url, why=why)
        return result

    def _resync(self, claim: Claim, result: Result, *, signed_at: float) -> None:
        """Before the record, so that the retry is signed with the right time."""
        if any(decided.verdict is Verdict.CLOCK for decided in result.decided):
            try:
                self._client.clock.correct(claim.user.base_url, signed_at=signed_at)
            except ExchangeError as error:
                log.warning("clock_not_measured", exchange=claim.user.base_url, error=str(error))
