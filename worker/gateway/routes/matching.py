"""Decisions about all orders that fit a filter, over all batches: counted first, then done."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, ClassVar, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from bulk_cancel.tasks.errors import MovedAccountError, UnknownAccountError, UnknownBatchError, UnsealedBatchError
from bulk_cancel.tasks.messages import AccountName, InstId, Text, Whole
from bulk_cancel.worker.gateway.answers import answer
from bulk_cancel.worker.gateway.bodies import Body, Instant, Statuses, list_of, parsed
from bulk_cancel.worker.gateway.callers import Caller
from bulk_cancel.worker.gateway.guard import Operator, only
from bulk_cancel.worker.gateway.parts import Desk, Desks, Runner
from bulk_cancel.worker.gateway.problems import invalid
from bulk_cancel.worker.gateway.schemas import RETRY, SOME, Schema, answers, body, filled, listed
from bulk_cancel.worker.operators.decisions import RETRIED, Asked, Decisions
from bulk_cancel.worker.operators.matching import Filter, Match, Matching, orders_of
from bulk_cancel.worker.operators.merging import sums_of
from bulk_cancel.worker.operators.shapes import retried_matching_json, withdrawn_matching_json

router = APIRouter(prefix="/v1", tags=["batches"])

_FILTERS: Final = ("account", "instId", "sCode", "since")
_FILTERS_OF_RETRY: Final = (*_FILTERS, "statuses")
_RETRY: Final[Schema] = {
    **RETRY, "properties": {**RETRY["properties"], **SOME}, "anyOf": [*map(filled, _FILTERS_OF_RETRY)],
}  # fmt: skip
_WITHDRAW: Final[Schema] = {
    "type": "object",
    "properties": {"reason": RETRY["properties"]["reason"], **SOME},
    "additionalProperties": False,
    "anyOf": [*map(filled, _FILTERS)],
}


At = tuple[Desk, list[Match]]
"""What fits on one shard."""


class Some(BaseModel):
    """Which orders are meant, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    filters: ClassVar[tuple[str, ...]] = _FILTERS

    account: Annotated[tuple[AccountName, ...], list_of("accounts' names")] = ()
    instId: Annotated[tuple[InstId, ...], list_of("instruments")] = ()
    sCode: Annotated[tuple[Text, ...], list_of("sCodes, as text")] = ()
    since: Instant | None = None
    reason: Text = ""
    dry_run: bool = False

    def wanted(self, caller: Caller) -> Filter:
        """The filter; who may act on some accounts only means those. Raises Problem if none is given.

        Everything is never meant by saying nothing.
        """
        if not any(getattr(self, name) for name in self.model_fields_set.intersection(self.filters)):
            ways = f"{', '.join(self.filters[:-1])} or {self.filters[-1]}"
            raise invalid([f"name a batch (in the address), or say whose orders with {ways}"])
        accounts = self.account or (() if caller.accounts is None else tuple(sorted(caller.accounts)))
        return Filter(accounts, self.instId, self.sCode, self.since)


class RetrySome(Some):
    """The same, for orders that go again."""

    filters = _FILTERS_OF_RETRY

    statuses: Statuses = RETRIED
    deadline_s: Annotated[Whole, Field(ge=1, le=86_400)] | None = None


@router.post(
    "/retry", operation_id="retry_matching", openapi_extra=body(_RETRY),
    responses=answers({200: listed("retry-matching", "batches")}, 400, 413, 415),
)  # fmt: skip
def retry_matching(runner: Runner, caller: Operator, sent: Body) -> Response:
    """Lets all orders go again that ended so and fit the filter; `dry_run` only counts them."""
    asked = parsed(RetrySome, sent)
    only(caller, *asked.account)
    wanted = asked.wanted(caller)
    found = _found(runner, caller, wanted, lambda desk: Matching(desk.store).ended(wanted, asked.statuses))
    if asked.dry_run:
        return answer("retry-matching", _counted([(at[0], _taken(at)) for at in found]))
    told = [_retry(at, Asked(caller.name, asked.reason), asked, wanted) for at in found]
    return answer("retry-matching", sums_of(told))


def _found(runner: Desks, caller: Caller, wanted: Filter, find: Callable[[Desk], list[Match]]) -> list[At]:
    """What fits, on the shards of these accounts; nothing is begun while one of them is away.

    A filter without accounts means all of them, so who may act on none gets nobody's orders before it is asked.
    """
    if caller.accounts is not None and not wanted.accounts:
        return [(desk, []) for desk in runner.all()]
    return runner.every(lambda desk: (desk, find(desk)), wanted.accounts)


def _taken(at: At) -> list[Match]:
    """Those whose orders may go again now. Where an account is by now is not told here, so no other shard is asked."""
    desk, matches = at
    decisions = Decisions(desk.store)
    with desk.shard.named():
        return [match for match in matches if not decisions.refuses(match)]


def _retry(at: At, who: Asked, asked: RetrySome, wanted: Filter) -> dict[str, Any]:
    (desk, matches), done, left_out = at, [], []
    again = partial(Decisions(desk.store).retry_matching, statuses=asked.statuses, deadline_s=asked.deadline_s)
    with desk.shard.named():
        for match in matches:
            try:
                done.append(again(match, who, wanted))
            except (UnsealedBatchError, MovedAccountError, UnknownAccountError):
                left_out.append(match.state.batch_id)
            except UnknownBatchError:  # it went since it was read
                continue
    desk.changed()
    count = orders_of(match for match in matches if match.state.batch_id not in left_out)
    return _labelled(desk, retried_matching_json(count, done, left_out))


@router.post(
    "/withdraw", operation_id="withdraw_matching", openapi_extra=body(_WITHDRAW),
    responses=answers({200: listed("withdraw-matching", "batches")}, 400, 413, 415),
)  # fmt: skip
def withdraw_matching(runner: Runner, caller: Operator, sent: Body) -> Response:
    """Takes back all orders that wait, were never sent and fit the filter; `dry_run` only counts them."""
    asked = parsed(Some, sent)
    only(caller, *asked.account)
    wanted = asked.wanted(caller)
    found = _found(runner, caller, wanted, lambda desk: Matching(desk.store).unsent(wanted))
    if asked.dry_run:
        return answer("withdraw-matching", _counted(found))
    told = [_withdraw(at, Asked(caller.name, asked.reason), wanted) for at in found]
    return answer("withdraw-matching", sums_of(told))


def _withdraw(at: At, who: Asked, wanted: Filter) -> dict[str, Any]:
    (desk, matches), done = at, []
    with desk.shard.named():
        for match in matches:
            with suppress(UnknownBatchError):  # it went since it was read
                done.append(desk.decisions.withdraw_matching(match, who, wanted))
    desk.changed()
    return _labelled(desk, withdrawn_matching_json(orders_of(matches), done))


def _labelled(desk: Desk, said: dict[str, Any]) -> dict[str, Any]:
    return said | {"batches": [desk.row(batch) for batch in said["batches"]]}


def _counted(found: Sequence[At]) -> dict[str, Any]:
    batches = [
        desk.row({"batch_id": match.state.batch_id, "account": match.state.account, "orders": len(match.rows)})
        for desk, matches in found
        for match in matches
    ]
    return {"orders": sum(orders_of(matches) for _, matches in found), "batches": batches}
