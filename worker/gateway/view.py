"""What one caller is told in streams, as the text of events (SSE): its accounts, and orders if it may read them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.gateway.answers import encoded
from bulk_cancel.worker.gateway.callers import Caller, Role
from bulk_cancel.worker.gateway.feed import Standing
from bulk_cancel.worker.gateway.parts import Desks, whys
from bulk_cancel.worker.gateway.reader import DECISIONS
from bulk_cancel.worker.gateway.sight import Sight, sees_decision
from bulk_cancel.worker.operators.merging import labelled
from bulk_cancel.worker.operators.shapes import batch_json, decision_json, document, iso_us
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.outcomes import known_of
from bulk_cancel.worker.state.rows import children_of


class View:
    """Pure: nothing here asks Redis. Texts of events are whole; an empty one says that there is nothing to tell."""

    def __init__(self, desks: Desks, caller: Caller) -> None:
        self._desks = desks
        self._caller = caller

    @property
    def key(self) -> tuple[bool, frozenset[str] | None]:
        """Callers with the same see the same."""
        return self._caller.may(Role.READ), self._caller.accounts

    def sees(self, fields: Mapping[str, str]) -> bool:
        """Whether the outcome is of one of its accounts."""
        return self._caller.sees(fields["account"])

    def outcome(self, name: str, fields: Mapping[str, str]) -> str:
        """One outcome of the shard."""
        said = outcome_json(fields, with_order=self._caller.may(Role.READ))
        return event("outcome", labelled(said, self._desks.whole.label(name)))

    def batches(self, name: str, states: Sequence[BatchState]) -> str:
        """Batches of the shard, each as of batch/1."""
        label = self._desks.whole.label(name)
        seen = [labelled(batch_json(state), label) for state in states if self._caller.sees(state.account)]
        return "".join(event("batch", document("batch", each)) for each in seen)

    def away(self, *names: str, error: Exception | None = None) -> str:
        """These shards cannot be read; `why` if their Redis answers."""
        said = {"redis": True, "why": str(error)} if isinstance(error, UnreadableFormatError) else {"redis": False}
        return "".join(event("away", labelled(said, self._desks.whole.label(name))) for name in names)

    def status(self, standing: Standing) -> str:
        """How all stands."""
        said = self.standing(standing)
        return event("status", document("status", said)) if said else ""

    def standing(self, standing: Standing) -> dict[str, Any] | None:
        """As of status/1; None while no shard is there."""
        if not self._desks.several:
            return Sight(self._caller).standing(standing.snapshots, None)
        names = self._desks.shards.names
        there = [name for name in names if name in standing.snapshots and name not in standing.failed]
        if not there:
            return None
        return Sight(self._caller).standing({name: standing.snapshots[name] for name in there}, whys(standing.failed))

    def audit(self, standing: Standing) -> str:
        """The last decisions, the newest first, for those who may see them."""
        if not self._caller.may(Role.READ):
            return ""
        seen = [
            labelled(decision_json(each), self._desks.whole.label(name))
            for name, decisions in standing.decisions.items()
            for each in decisions[::-1]
            if sees_decision(self._caller, each)
        ]
        newest = sorted(seen, key=lambda each: each["at"], reverse=True)[:DECISIONS] if self._desks.several else seen
        return event("audit", document("audit", {"decisions": newest}))


def outcome_json(fields: Mapping[str, str], *, with_order: bool) -> dict[str, object]:
    """One outcome of the stream: whose order it was, how it ended, and for which batches."""
    said: dict[str, object] = {
        "account": fields["account"],
        "status": fields["status"],
        "sCode": fields["sCode"] or None,
    }
    said |= {"batches": fields["batches"].split(), "finished_at": iso_us(int(fields["finished"]))}
    if not with_order:
        return said
    order = JobId.parse(fields["order"])
    named = {"instId": order.inst_id, **order.ids, "sMsg": fields["sMsg"] or None}
    filled = {"accFillSz": fields["accFillSz"] or None, "known": known_of(fields)}
    children = {"children": list(children_of(json.loads(fields.get("children", "[]"))))}
    return said | named | {"attempts": int(fields["attempts"])} | filled | children


def event(name: str, said: object) -> str:
    """Without an id."""
    return f"event: {name}\ndata: {encoded(said)}\n\n"
