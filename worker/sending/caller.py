"""Makes the calls of claims: asks the exchange, and concludes what follows from its answer."""

import time
from dataclasses import replace

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


class Caller:
    """Calls with one client; an address to which no connection came about is lost to `reachability`. Thread-safe."""

    def __init__(self, client: OkxClient, concluder: Concluder, reachability: Reachability) -> None:
        self._client = client
        self._concluder = concluder
        self._reachability = reachability

    def call(self, claim: Claim, call: Call) -> Done:
        """Makes one call of the claim; whatever goes wrong with it is part of what it brought."""
        if not self._reachability.reaches(claim.user.base_url):
            return self.give_back(claim, call, "no connection to the exchange")
        began = time.monotonic()
        outcome = self._ask(claim, call)
        result = self._concluder.conclude(claim, call, outcome, time.monotonic() - began)
        if isinstance(outcome, NeverSent) and not isinstance(outcome, TooLate):
            result = self._cut_off(claim, result, str(outcome))
        self._resync(claim, result, signed_at=began)
        return Done(claim, call, result)

    def give_back(self, claim: Claim, call: Call, reason: str) -> Done:
        """Makes no call."""
        return Done(claim, call, self._concluder.given_back(call, reason))

    def _ask(self, claim: Claim, call: Call) -> Answer | ExchangeError:
        orders = [job.ref for job in call.jobs]
        write_by = claim.asked_at + WRITE_WITHIN_S
        try:
            if call.meter == "single":
                return self._client.cancel(call.account, orders[0], write_by=write_by)
            return self._client.cancel_batch(call.account, orders, write_by=write_by)
        except ExchangeError as error:
            return error
        except Exception as error:  # whatever it was, bytes may have left: the slot and the attempt count
            log.exception("call_failed", lane=claim.lane, call=call.id)
            return OutcomeUnknown(f"{type(error).__name__}: {error}")

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
                self._client.correct_clock(claim.user.base_url, signed_at=signed_at)
            except ExchangeError as error:
                log.warning("clock_not_measured", exchange=claim.user.base_url, error=str(error))
