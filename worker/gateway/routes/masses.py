"""Mass cancels: tried first, asked for, and followed; everything else about them is their batch's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import ValidationError

from bulk_cancel.tasks.errors import UnknownBatchError, UnknownMassError
from bulk_cancel.tasks.faults import found_in
from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.report import report_json
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.reader import reading
from bulk_cancel.worker.gateway.answers import answer
from bulk_cancel.worker.gateway.bodies import Body, Why, object_of, parsed
from bulk_cancel.worker.gateway.callers import Caller, Role
from bulk_cancel.worker.gateway.guard import Killer, Operator, Watcher, only
from bulk_cancel.worker.gateway.parts import Desk, Desks, Runner
from bulk_cancel.worker.gateway.problems import Problem, invalid
from bulk_cancel.worker.gateway.schemas import MASS, SCOPE, WHY, BatchPath, answers, body, listed, shape
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.dry_run import Meant, accounts_of, open_orders_json, read_meant, would_stop
from bulk_cancel.worker.operators.holds import release
from bulk_cancel.worker.operators.reports import read_report
from bulk_cancel.worker.operators.shapes import released_json

router = APIRouter(prefix="/v1", tags=["mass cancels"])

_LISTED: Final = listed("mass-cancels", "mass_cancels")


@router.put(
    "/mass-cancels/{batch_id}", operation_id="all", status_code=201, openapi_extra=body(MASS),
    summary="Cancel everything that is open and fits every filter, and again until nothing does for until_flat_s",
    responses=answers({201: _LISTED, 200: _LISTED}, 400, 404, 409, 413, 415),
)  # fmt: skip
def cancel_all(runner: Runner, caller: Killer, batch_id: BatchPath, sent: Body) -> Response:
    """201 once it is taken, 200 the same again; of account `*` one for each User ID, with the id `<id>-<account>`."""
    asked = _asked(caller, batch_id, object_of(sent))
    _only(caller, asked.account)
    known = {each for found in _known(runner, asked) for each in found}
    taken = [(runner.of(at.shard), receipt) for at, receipt in runner.take_all(asked)]
    runner.changed()
    reports = [_report(desk, caller, receipt.batch_id) for desk, receipt in taken]
    status = 200 if known.issuperset(receipt.batch_id for _, receipt in taken) else 201
    return answer("mass-cancels", {"mass_cancels": reports}, status)


def _asked(caller: Caller, batch_id: str, said: dict[str, Any]) -> CancelAll:
    given = [f"{name}: is not chosen here; leave it out" for name in ("batch_id", "requested_by") if name in said]
    told = {name: value for name, value in said.items() if value is not None}
    try:
        asked = CancelAll.model_validate({**told, "batch_id": batch_id, "requested_by": caller.name})
    except ValidationError as error:
        faults = found_in(error)
        if not given and not any(fault.place for fault in faults):
            raise Problem("contradiction", "; ".join(fault.words for fault in faults)) from None
        raise invalid([*given, *map(str, faults)]) from None
    if given:
        raise invalid(given)
    return asked


def _only(caller: Caller, account: str) -> None:
    if account != ALL_ACCOUNTS:
        only(caller, account)
    elif caller.accounts is not None:
        raise Problem("account", f"{caller.name} may not act on all accounts")


def _known(runner: Desks, asked: CancelAll) -> list[set[str]]:
    """Those of the mass cancel's ids that were taken before; one that is away is told of by taking."""
    if asked.account != ALL_ACCOUNTS:
        return [*runner.each(lambda desk: _taken(desk, [asked.batch_id]), [asked.account]).answers.values()]
    return [*runner.each(lambda desk: _taken(desk, _ids(desk, asked.batch_id))).answers.values()]


def _ids(desk: Desk, batch_id: str) -> list[str]:
    return [f"{batch_id}-{name}" for name in desk.store.directory.names()]


def _taken(desk: Desk, batch_ids: list[str]) -> set[str]:
    return {state.batch_id for state in desk.store.batches.known(batch_ids) if state.mass}


@router.get("/mass-cancels", operation_id="all_running", responses=answers({200: _LISTED}))
def running(runner: Runner, caller: Watcher) -> Response:
    """The reports of all that still list, as they stand."""
    told = runner.each(
        lambda desk: [
            _report(desk, caller, mass.batch_id) for mass in desk.snapshot().masses if caller.sees(mass.account)
        ]
    )
    reports = [report for found in told.answers.values() for report in found]
    return answer("mass-cancels", {"mass_cancels": reports, **runner.away(told)})


@router.get("/mass-cancels/{batch_id}", operation_id="all_status", responses=answers({200: shape("mass")}, 404, 409))
def mass_status(runner: Runner, caller: Watcher, batch_id: BatchPath) -> Response:
    """Its report as it stands, after FIX's Order Mass Cancel Report; `estimate_s` as of a batch."""
    with _at_mass(runner, batch_id, caller) as desk:
        if not caller.sees(Masses(desk.store).state(batch_id).account):
            raise UnknownMassError(batch_id)
        return answer("mass", _report(desk, caller, batch_id))


@router.post(
    "/mass-cancels/{batch_id}/release", operation_id="release", openapi_extra=body(WHY, required=False),
    responses=answers({200: shape("release")}, 400, 404, 409, 413, 415),
)  # fmt: skip
def let_go(runner: Runner, caller: Operator, batch_id: BatchPath, sent: Body) -> Response:
    """Ends its hold: what it found is cancelled, and what comes from now on is left alone."""
    asked = parsed(Why, sent)
    with _at_mass(runner, batch_id, caller) as desk:
        only(caller, Masses(desk.store).state(batch_id).account)
        done = release(desk.store, batch_id, Asked(caller.name, asked.reason))
        desk.changed()
    return answer("release", desk.row(released_json(done)))


@contextmanager
def _at_mass(runner: Desks, batch_id: str, caller: Caller) -> Iterator[Desk]:
    """The desk of a mass cancel, whose batch has the same id."""
    try:
        with runner.at_batch(batch_id, caller) as desk:
            yield desk
    except UnknownBatchError:
        raise UnknownMassError(batch_id) from None


def _report(desk: Desk, caller: Caller, batch_id: str) -> dict[str, object]:
    report = read_report(desk.store, batch_id)
    said: dict[str, object] = desk.row(report_json(report))
    said |= {"estimate_s": None if report.over else desk.estimate_s(report.account)}
    if caller.may(Role.READ):
        return said
    return said | {"not_off_the_book": [], "products": _unnamed(report.products.said)}


def _unnamed(products: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """What is left of each kind, without ids: for those who may see no order."""
    return [{**kind, "left": [{**each, "id": None} for each in kind["left"]]} for kind in products]


@router.post(
    "/dry-run", operation_id="all_dry_run", openapi_extra=body(SCOPE),
    summary="What a mass cancel would cancel, and what it would leave alone: reads the books at the exchange",
    responses=answers({200: listed("dry-run", "accounts")}, 400, 404, 409, 413, 415),
)  # fmt: skip
def dry_run(runner: Runner, caller: Killer, sent: Body) -> Response:
    """Needs the accounts' credentials where the door runs; nothing is changed."""
    asked = _asked(caller, "dry-run", object_of(sent))
    _only(caller, asked.account)
    if asked.account != ALL_ACCOUNTS:
        with runner.at_account(asked.account) as desk:
            desk.store.directory.find(asked.account)
            return answer("dry-run", {"accounts": _all_meant(desk, asked)})
    told = runner.each(lambda desk: [] if runner.is_empty(desk) else _all_meant(desk, asked))
    accounts = [each for found in told.answers.values() for each in found]
    return answer("dry-run", {"accounts": accounts, **runner.away(told)})


def _all_meant(desk: Desk, asked: CancelAll) -> list[dict[str, object]]:
    if not desk.shard.alone:
        desk.store.directory.names()  # a shard that is away says so at once: who reads waits for it
    with reading(desk.store) as reader:
        scope = Scope.of(asked)
        return [desk.row(_meant(read_meant(reader, name, scope))) for name in accounts_of(reader, asked)]


def _meant(meant: Meant) -> dict[str, object]:
    said = {"account": meant.account, "count": len(meant.orders), "not_affected": dict(meant.left_out)}
    said |= {"not_listed": meant.scope.not_listed or None, **meant.survey.said}
    return said | {"would_stop": would_stop(meant), "orders": list(open_orders_json(meant))}
