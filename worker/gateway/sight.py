"""What a caller is shown of the runner: only their accounts, and orders only from the role `read` on. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bulk_cancel.worker.gateway.callers import Caller, Role
from bulk_cancel.worker.operators.audit import Decision
from bulk_cancel.worker.operators.merging import status_of
from bulk_cancel.worker.operators.shapes import snapshot_json
from bulk_cancel.worker.operators.status import BATCHES_SHOWN, Lane, Snapshot
from bulk_cancel.worker.state.fleet import Worker
from bulk_cancel.worker.state.ids import uid_of
from bulk_cancel.worker.state.rests import Rest
from bulk_cancel.worker.state.scopes import ScopeKind, lane_scope, parse_scope


class Sight:
    """One caller's view."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def status(self, snapshot: Snapshot, *, lanes: str = "busy") -> dict[str, Any]:
        """The snapshot as of status/1; `lanes`: all, none, or the busy ones, with work or resting."""
        seen, sums = (snapshot, {}) if self._caller.accounts is None else (self._own(snapshot), self._sums(snapshot))
        kept = [lane for lane in seen.lanes if lanes == "all" or (lanes == "busy" and _is_busy(lane))]
        said = snapshot_json(seen) | sums | {"lanes": kept}
        return said if self._caller.may(Role.READ) else said | self._without_orders(seen)

    def standing(
        self, snapshots: Mapping[str, Snapshot], away: Mapping[str, str] | None, *, lanes: str = "busy"
    ) -> dict[str, Any]:
        """The same of several shards, by name, and of those that are `away`; None: there is one, and it is there."""
        told = {name: self.status(snapshot, lanes=lanes) for name, snapshot in snapshots.items()}
        return next(iter(told.values())) if away is None else status_of(told, away)

    def _own(self, snapshot: Snapshot) -> Snapshot:
        """What belongs to the caller's accounts, and what belongs to nobody."""
        uids = self._uids(snapshot)
        lanes = [lane for lane in snapshot.lanes if lane.uid in uids]
        urgent = snapshot.oldest_urgent
        return replace(
            snapshot,
            lanes=lanes,
            rests=[rest for rest in snapshot.rests if self._sees_rest(rest, uids)],
            batches=[state for state in snapshot.batches if self._caller.sees(state.account)],
            masses=[mass for mass in snapshot.masses if self._caller.sees(mass.account)],
            switches=[switch for switch in snapshot.switches if switch.uid in uids],
            workers=[self._own_of(worker) for worker in snapshot.workers],
            oldest_urgent=urgent if urgent and self._caller.sees(urgent.account) else None,
        )

    def _sums(self, snapshot: Snapshot) -> dict[str, int | None]:
        """What of the sums is of the caller's accounts; None where that is not known: not all of a sum is read."""
        waiting = [state for state in snapshot.batches if state.waiting and self._caller.sees(state.account)]
        return {
            "refused": None if snapshot.refused else 0,
            "may_be_live": self._may_be_live(snapshot),
            "batches_waiting": len(waiting) if snapshot.batches_waiting <= BATCHES_SHOWN else None,
        }

    def _may_be_live(self, snapshot: Snapshot) -> int | None:
        """None also if one was given up for another account of their user: it may be an order of theirs, too."""
        given_up, uids = snapshot.given_up, self._uids(snapshot)
        others = {snapshot.accounts.get(account) for account in given_up if not self._caller.sees(account)}
        all_named = len(given_up) == snapshot.may_be_live and all(given_up)
        return sum(map(self._caller.sees, given_up)) if all_named and not others & uids else None

    def _uids(self, snapshot: Snapshot) -> set[str]:
        """The User IDs of the caller's accounts."""
        return {uid for account, uid in snapshot.accounts.items() if self._caller.sees(account)}

    def _own_of(self, worker: Worker) -> Worker:
        """A worker, without what it says of other accounts."""
        problems = {name: why for name, why in worker.problems.items() if self._is_own(name)}
        accounts = tuple(name for name in worker.accounts if self._caller.sees(name))
        barred = {name: why for name, why in worker.barred.items() if self._caller.sees(name)}
        return replace(worker, problems=problems, accounts=accounts, barred=barred)

    def _is_own(self, problem: str) -> bool:
        """A problem of an account is called `account NAME`."""
        kind, _, name = problem.partition(" ")
        return kind != "account" or self._caller.sees(name)

    def _sees_rest(self, rest: Rest, uids: set[str]) -> bool:
        kind, name = parse_scope(rest.scope)
        if kind == ScopeKind.ACCOUNT:
            return self._caller.sees(name)
        return kind not in {ScopeKind.USER, ScopeKind.LANE} or uid_of(name) in uids

    def _without_orders(self, snapshot: Snapshot) -> dict[str, object]:
        """What names one, without its name."""
        urgent = snapshot.oldest_urgent
        oldest = {"lane": urgent.lane, "account": urgent.account, "waits_s": urgent.waits_s} if urgent else None
        masses = [replace(mass, products=mass.products.unnamed()) for mass in snapshot.masses]
        return {"oldest_urgent": oldest, "masses": masses}


def _is_busy(lane: Lane) -> bool:
    """It has work, or rests for itself."""
    return bool(lane.waiting or (lane.rest and lane.rest.scope == lane_scope(lane.name)))


def sees_decision(caller: Caller, decision: Decision) -> bool:
    """Whether it is about an account of the caller; one about a lane names all whose orders it holds back."""
    named = {decision.account, *decision.facts.get("accounts", ())} - {""}
    return caller.accounts is None or bool(named & caller.accounts)
