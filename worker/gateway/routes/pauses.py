"""Pauses of accounts and lanes: nothing is sent for them until they are resumed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from bulk_cancel.tasks.errors import UnknownAccountError
from bulk_cancel.worker.gateway.answers import answer
from bulk_cancel.worker.gateway.bodies import Body, Why, parsed
from bulk_cancel.worker.gateway.callers import Caller
from bulk_cancel.worker.gateway.guard import Operator
from bulk_cancel.worker.gateway.parts import Desk, Desks, Runner
from bulk_cancel.worker.gateway.problems import Problem
from bulk_cancel.worker.gateway.schemas import WHY, AccountPath, MeterPath, Reason, UserPath, answers, body, shape
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.shapes import paused_json, resumed_json
from bulk_cancel.worker.operators.targets import UnknownLaneError

router = APIRouter(prefix="/v1", tags=["pauses"])

_PAUSED: Final = answers({200: shape("pause")}, 400, 404, 409, 413, 415)
_RESUMED: Final = answers({200: shape("resume")}, 404, 409)

Said = Annotated[Reason, Query(description="Why, for people who look at the audit")]


@router.put(
    "/accounts/{account}/pause", operation_id="pause_account", responses=_PAUSED,
    openapi_extra=body(WHY, required=False),
)  # fmt: skip
def pause_account(runner: Runner, caller: Operator, account: AccountPath, sent: Body) -> Response:
    """Sends nothing more for the account, and with it for all accounts of its User ID; what is in flight finishes."""
    return _pause(runner, caller, account, sent)


@router.put(
    "/lanes/{uid}/{meter}/pause", operation_id="pause_lane", responses=_PAUSED,
    openapi_extra=body(WHY, required=False),
)  # fmt: skip
def pause_lane(runner: Runner, caller: Operator, uid: UserPath, meter: MeterPath, sent: Body) -> Response:
    """Sends nothing more in the lane."""
    return _pause(runner, caller, f"{uid}/{meter}", sent)


@router.delete("/accounts/{account}/pause", operation_id="resume_account", responses=_RESUMED)
def resume_account(runner: Runner, caller: Operator, account: AccountPath, reason: Said = "") -> Response:
    """Sends again for the account, at once: ends a pause, and a rest of its credentials."""
    return _resume(runner, caller, account, reason)


@router.delete("/lanes/{uid}/{meter}/pause", operation_id="resume_lane", responses=_RESUMED)
def resume_lane(runner: Runner, caller: Operator, uid: UserPath, meter: MeterPath, reason: Said = "") -> Response:
    """Sends again in the lane, at once: ends a pause, and a rest for whatever other reason."""
    return _resume(runner, caller, f"{uid}/{meter}", reason)


def _pause(runner: Desks, caller: Caller, name: str, sent: bytes) -> Response:
    asked = parsed(Why, sent)
    with _at(runner, caller, name) as desk:
        _check(desk, caller, name)
        done = desk.decisions.pause(name, Asked(caller.name, asked.reason))
        desk.changed()
    return answer("pause", desk.row(paused_json(done)))


def _resume(runner: Desks, caller: Caller, name: str, reason: str) -> Response:
    with _at(runner, caller, name) as desk:
        _check(desk, caller, name)
        done = desk.decisions.resume(name, Asked(caller.name, reason))
        desk.changed()
    return answer("resume", desk.row(resumed_json(done)))


@contextmanager
def _at(runner: Desks, caller: Caller, name: str) -> Iterator[Desk]:
    """The desk of an account or a lane; who may act on some accounts only is told of no others, nor lanes."""
    try:
        with runner.at_target(name) as desk:
            yield desk
    except UnknownAccountError:
        if caller.accounts is None:
            raise
        raise _not_theirs(caller, name) from None
    except UnknownLaneError:
        if caller.accounts is None:
            raise
        raise Problem("unknown-lane", f"unknown lane {name!r}") from None


def _check(desk: Desk, caller: Caller, name: str) -> None:
    """Whoever may act on some accounts only may hold back no others with them."""
    if caller.accounts is not None:
        target = desk.targets.find(name)
        if not caller.sees_all_of(target.accounts or (target.name,)):
            raise _not_theirs(caller, name)


def _not_theirs(caller: Caller, name: str) -> Problem:
    """The same whether it is another's or was never there."""
    return Problem("account", f"{caller.name} may not act on {name}, or not on every account of its User ID")
