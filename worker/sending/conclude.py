"""Concludes what one call's answer does to its jobs, slots and scopes. Pure: judgements in, one `Result` out."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.codes import RATE_CODES, Scope, Verdict
from bulk_cancel.worker.okx.errors import DeadlinePassed, ExchangeError, NeverSent, Throttled
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.verdicts import Judgement, exchange_ids, judge, of_algo
from bulk_cancel.worker.sending.retry import EXCHANGE_BASE_S, EXCHANGE_CAP_S, Finish, Policy, Retry, decide, rest_for
from bulk_cancel.worker.state.claims import Act, Call, Claim, Decided, Job, RestFor, Result, Slots
from bulk_cancel.worker.state.scopes import account_scope, exchange_scope, lane_scope
from bulk_cancel.worker.state.statuses import Status

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

_SERVED = frozenset({Verdict.ACCEPTED, Verdict.GONE, Verdict.PENDING})


class Concluder:
    """Concludes calls under one retry policy; `worker` is the name that attempts carry.

    `confirm`: what the exchange says of an order off the book is believed only once the book has told the same.
    """

    def __init__(self, policy: Policy, worker: str, rand: Callable[[], float], *, confirm: bool = False) -> None:
        self._policy = policy
        self._worker = worker
        self._rand = rand
        self._confirm = confirm

    def conclude(self, claim: Claim, call: Call, outcome: Answer | ExchangeError, elapsed_s: float) -> Result:
        """What to record of a call that took `elapsed_s` seconds from its first byte on."""
        orders = [job.ref for job in call.jobs]
        judged_all = judge(orders, outcome)
        if claim.user.of_algos:
            judged_all = tuple(map(of_algo, judged_all))
        groups = _alike(call.jobs, judged_all, probe=bool(claim.probes))
        judgements = [judged for judged, _ in groups]
        strike = _strike(claim, judgements)
        if isinstance(outcome, NeverSent):
            return self._unsent(claim, call, judgements, strike)
        ords = _named(call.jobs, exchange_ids(orders, outcome)) if isinstance(outcome, Answer) else {}
        attempts = self._attempts(call, judgements, elapsed_s)
        decided = tuple(
            each
            for judged, jobs in groups
            for each in self._decide(jobs, judged, elapsed_s, attempts[judged.code, judged.msg], ords)
        )
        answered = not _silent(judgements)
        rests = self._rests(claim, call, judgements)
        return Result(
            slots=_slots(outcome),
            decided=decided,
            elapsed_s=elapsed_s,
            answered=answered,
            rests=rests,
            refused=isinstance(outcome, Throttled) or any(judged.code in RATE_CODES for judged in judgements),
            mended=_mended(claim, rests, judgements) if answered else (),
            strike=strike,
        )

    def given_back(self, call: Call, reason: str) -> Result:
        """Nothing was sent: jobs and slots go back as if never claimed."""
        return Result("release", (Decided(call.jobs, "return", "", reason, "{}", counts=False),), 0.0, answered=False)

    def _unsent(self, claim: Claim, call: Call, judgements: Sequence[Judgement], strike: RestFor | None) -> Result:
        given_back, rests = self.given_back(call, judgements[0].msg), self._rests(claim, call, judgements)
        return replace(given_back, rests=rests, strike=strike)

    def _decide(
        self, jobs: tuple[Job, ...], judged: Judgement, elapsed_s: float, attempt: str, ords: Mapping[str, str]
    ) -> Iterable[Decided]:
        """Jobs that are alike end alike; each goes again after a time of its own."""
        first = jobs[0]
        decision = self._decision(judged, attempts=first.attempts, left_s=first.left_s - elapsed_s)
        if isinstance(decision, Finish):
            act: Act = "confirm" if self._confirm and _may_be_off(decision, judged) else "finish"
            return [
                Decided(
                    jobs, act, judged.code, judged.msg, attempt,
                    status=decision.status, ords=ords, verdict=judged.verdict, whole=judged.whole,
                )
            ]  # fmt: skip
        if decision.delay_s and len(jobs) > 1:
            return [each for job in jobs for each in self._decide((job,), judged, elapsed_s, attempt, ords)]
        return [
            Decided(
                jobs, "retry", judged.code, judged.msg, attempt,
                delay_s=decision.delay_s, counts=decision.counts, verdict=judged.verdict, whole=judged.whole,
            )
        ]  # fmt: skip

    def _decision(self, judged: Judgement, *, attempts: int, left_s: float) -> Finish | Retry:
        """An order that is being cancelled waits for the book like one whose cancel was accepted, if a book is read."""
        if self._confirm and judged.verdict is Verdict.PENDING:
            return Finish(Status.ACCEPTED)
        return decide(judged, attempts=attempts, left_s=left_s, policy=self._policy, rand=self._rand)

    def _attempts(self, call: Call, judgements: Sequence[Judgement], elapsed_s: float) -> Mapping[tuple[str, str], str]:
        """What the histories are to say of the call, JSON by code and message."""
        told = {
            "call": call.id,
            "worker": self._worker,
            "account": call.account.name,
            "endpoint": call.meter,
            "latency_ms": round(elapsed_s * 1000, 1),
        }
        said = {(judged.code, judged.msg) for judged in judgements}
        return {(code, msg): _encode({**told, "sCode": code, "sMsg": msg}) for code, msg in said}

    def _rests(self, claim: Claim, call: Call, judgements: Sequence[Judgement]) -> tuple[RestFor, ...]:
        found = {}
        for judged in judgements:
            rest = rest_for(judged, self._policy)
            if rest:
                scope = _scope(claim, call, rest.scope)
                found[scope] = RestFor(scope, rest.base_s, rest.cap_s, _reason(judged))
        return tuple(found.values())


def _alike(
    jobs: Sequence[Job], judged: Sequence[Judgement], *, probe: bool
) -> Sequence[tuple[Judgement, tuple[Job, ...]]]:
    """Neighbours of which the same was said, and for which the same follows."""
    served = any(each.verdict in _SERVED for each in judged)
    pairs = groupby(zip(judged, jobs, strict=True), key=lambda pair: (pair[0], pair[1].attempts, pair[1].left_s))
    return [
        (_scoped(said, probe=probe, served=served), tuple(job for _, job in alike)) for (said, _, _), alike in pairs
    ]


def _named(jobs: Sequence[Job], ids: Mapping[OrderRef, str]) -> Mapping[str, str]:
    return {job.id: ids[job.ref] for job in jobs if job.ref in ids} if ids else {}


def _scoped(judged: Judgement, *, probe: bool, served: bool) -> Judgement:
    """The judgement, with the scope that all of the call's answer supports.

    A refusal said of a whole request may be another order's fault: ask again, most likely in other company. An item
    that blames a wider scope while its neighbour was `served` speaks of its own order. A probe without an answer says
    that its exchange is still away, nothing of its order.
    """
    if judged.whole and judged.verdict in (Verdict.GONE, Verdict.PENDING, Verdict.REJECTED, Verdict.BUG):
        return judged._replace(verdict=Verdict.UNKNOWN)
    if served and judged.scope is not Scope.ORDER and judged.code not in RATE_CODES:
        return judged._replace(scope=Scope.ORDER)
    if probe and judged.silent:
        return judged._replace(scope=Scope.EXCHANGE)
    return judged


def _may_be_off(decision: Finish, judged: Judgement) -> bool:
    """Whether the book may show this order gone; the last attempt's fate may be unknown, and it may have worked."""
    if decision.status is Status.EXHAUSTED:
        return judged.verdict in (Verdict.AMBIGUOUS, Verdict.PENDING)
    return decision.status in (Status.ACCEPTED, Status.GONE)


def _scope(claim: Claim, call: Call, scope: Scope) -> str:
    match scope:
        case Scope.ACCOUNT:
            return account_scope(call.account.name)
        case Scope.EXCHANGE:
            return exchange_scope(claim.user.base_url)
        case _:
            return lane_scope(claim.lane)


def _slots(outcome: Answer | ExchangeError) -> Slots:
    """An answer settles; after the deadline bytes may still be on their way, so the slot stays open to its own end."""
    return "keep" if isinstance(outcome, DeadlinePassed) else "settle"


def _mended(claim: Claim, rests: Sequence[RestFor], judgements: Sequence[Judgement]) -> tuple[str, ...]:
    """The probed scopes that the answer did not blame; who is not let in has probed the exchange's address alone."""
    blamed = {rest.scope for rest in rests}
    told = {exchange_scope(claim.user.base_url)} if _barred(judgements) else set(claim.probes)
    return tuple(scope for scope in claim.probes if scope in told - blamed)


def _barred(judgements: Sequence[Judgement]) -> bool:
    return any(judged.scope is Scope.WORKER for judged in judgements)


def _silent(judgements: Sequence[Judgement]) -> bool:
    return all(judged.silent for judged in judgements)


def _strike(claim: Claim, judgements: Sequence[Judgement]) -> RestFor | None:
    """Enough calls in a row of which the exchange says nothing rest its address; a failed probe rests it at once."""
    if claim.probes or not _silent(judgements):
        return None
    scope, why = exchange_scope(claim.user.base_url), f"no answer: {_reason(judgements[0])}"
    return RestFor(scope, EXCHANGE_BASE_S, EXCHANGE_CAP_S, why)


def _reason(judged: Judgement) -> str:
    return " ".join(part for part in (judged.code, judged.msg) if part) or str(judged.verdict)
