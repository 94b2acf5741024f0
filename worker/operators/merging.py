"""What the shards of a runner answered, as one answer: each row says of which shard it is, and sums are sums. Pure.

With one shard (its label is empty) every answer is as it would be without.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import reduce
from operator import add
from typing import Any, Final

Said = Mapping[str, Any]
"""An object of `cli/JSON.md`, by its names."""

_SUMS: Final = ("workers_alive", "waiting", "refused", "may_be_live", "batches_waiting")
_ROWS: Final = ("switches", "rests", "masses", "workers")


def labelled(row: Any, label: str) -> Any:  # noqa: ANN401 (values, or objects made of them)
    """A row with the name of its shard."""
    if not label:
        return row
    return {**(asdict(row) if is_dataclass(row) and not isinstance(row, type) else row), "shard": label}


def status_of(told: Mapping[str, Said], away: Mapping[str, str]) -> dict[str, Any]:
    """Several statuses (status/1) as one, whose `shards` has the figures of each; `away` says why others have none."""
    rows = {name: _all(told, name) for name in _ROWS}
    return {
        "at": max((said["at"] for said in told.values()), default=None),
        **{name: _sum([said[name] for said in told.values()]) for name in _SUMS},
        "outcomes": dict(sum((Counter(said["outcomes"]) for said in told.values()), Counter[str]())),
        "oldest_urgent": _oldest(told),
        **rows,
        "lanes": sorted(_all(told, "lanes"), key=lambda lane: (-_waiting(lane), -lane["sent"], lane["name"])),
        "formats": lowest([said["formats"] for said in told.values()]),
        "batches": sorted(_all(told, "batches"), key=lambda batch: batch["deadline_at"]),
        "shards": [_figures(name, said) for name, said in told.items()],
        "away": dict(away),
    }


def sums_of(told: Sequence[Said]) -> dict[str, Any]:
    """Several answers of one shape as one: numbers are added up, lists put together."""
    return {name: reduce(add, (said[name] for said in told)) for name in told[0]}


def _sum(parts: Sequence[int | None]) -> int | None:
    """None if one of them is not known."""
    return None if None in parts else sum(part or 0 for part in parts)


def _figures(name: str, said: Said) -> dict[str, object]:
    return {"shard": name, **{each: said[each] for each in (*_SUMS, "formats")}}


def _all(told: Mapping[str, Said], name: str) -> list[Any]:
    return [labelled(row, shard) for shard, said in told.items() for row in said[name]]


def _waiting(lane: Said) -> int:
    return int(lane["queued"] + lane["sending"] + lane["retrying"])


def _oldest(told: Mapping[str, Said]) -> object:
    """The urgent order that waits longest."""
    waiting = [(name, labelled(said["oldest_urgent"], name)) for name, said in told.items() if said["oldest_urgent"]]
    return max((row for _, row in waiting), key=lambda row: row["waits_s"], default=None)


def lowest(formats: Sequence[Mapping[Any, int]]) -> dict[Any, int]:
    """Of each kind of format the lowest mark: what every shard has."""
    kinds = {kind for marks in formats for kind in marks}
    return {kind: min(marks[kind] for marks in formats if kind in marks) for kind in sorted(kinds)}
