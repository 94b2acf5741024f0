"""How a whole runner stands: what each of its shards tells, as one; a shard that is away is never taken for empty."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bulk_cancel.worker.operators.merging import lowest, status_of
from bulk_cancel.worker.operators.shapes import snapshot_json
from bulk_cancel.worker.operators.status import BATCHES_SHOWN, Snapshot


@dataclass(frozen=True, slots=True)
class Standing:
    """The snapshot of each shard that answered, by name, and why others did not; a lone shard's name is empty."""

    snapshots: Mapping[str, Snapshot]
    away: Mapping[str, str]

    @property
    def json(self) -> dict[str, Any]:
        """As of status/1."""
        told = {name: snapshot_json(snapshot) for name, snapshot in self.snapshots.items()}
        return told[""] if "" in told else status_of(told, self.away)

    @property
    def as_one(self) -> Snapshot:
        """All of them as one, whose rows say their shard."""
        return self.snapshots[""] if "" in self.snapshots else _merged(self.snapshots, list(self.away.values()))


_Rows = Sequence[tuple[str, Any]]
_ORDER: Final[Mapping[str, Callable[[Any], Any]]] = {
    "lanes": lambda lane: (-lane.waiting, -lane.sent, lane.name),
    "rests": lambda _: 0,
    "workers": lambda _: 0,
    "batches": lambda state: state.deadline_at,
    "switches": lambda _: 0,
    "masses": lambda _: 0,
}
"""The fields of a snapshot that hold rows, each with the order in which they come."""


def _merged(told: Mapping[str, Snapshot], away: Sequence[str]) -> Snapshot:
    parts = list(told.values())
    rows = {name: _in_order(told, name, order) for name, order in _ORDER.items()}
    rows["batches"] = rows["batches"][:BATCHES_SHOWN]
    urgent = [part.oldest_urgent for part in parts if part.oldest_urgent]
    return Snapshot(
        at=max(part.at for part in parts),
        **{name: [row for _, row in each] for name, each in rows.items()},
        batches_waiting=sum(part.batches_waiting for part in parts),
        refused=sum(part.refused for part in parts),
        may_be_live=sum(part.may_be_live for part in parts),
        oldest_urgent=max(urgent, key=lambda each: each.waits_s, default=None),
        accounts={name: uid for part in parts for name, uid in part.accounts.items()},
        formats=lowest([part.formats for part in parts]),
        shards={name: [shard for shard, _ in each] for name, each in rows.items()},
        away=away,
    )


def _in_order(told: Mapping[str, Snapshot], name: str, order: Callable[[Any], Any]) -> _Rows:
    rows = [(shard, row) for shard, part in told.items() for row in getattr(part, name)]
    return sorted(rows, key=lambda row: order(row[1]))
