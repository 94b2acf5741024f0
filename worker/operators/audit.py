"""The audit: an append-only stream of who decided what, when and why.

A decision about a large batch takes several steps, with an entry each; readers get them as one, their counts added up.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final, cast

from bulk_cancel.worker.state.entries import entries
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.times import time_of

PAGE: Final = 500
BEGINNINGS: Final = frozenset({"submitted", "cancel_all"})
"""The events with which a batch begins."""

_COUNTS: Final = frozenset({"withdrawn", "sent", "ended", "opened", "joined", "remembered"})


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision; `event` says of which kind, `facts` what belongs to it; texts are empty where they have no sense.

    `scope` is `user:<uid>` or `lane:<lane>` for a pause or its end; `steps` tells which entries are one decision.
    """

    at: datetime
    event: str
    by: str = ""
    reason: str = ""
    batch_id: str = ""
    account: str = ""
    scope: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    steps: str = ""


class Audit:
    """The stream `audit` of one runner, kept for `RETENTION_S`; raises redis-py's errors."""

    def __init__(self, store: Store) -> None:
        self._redis = store.redis
        self._key = store.keys.of("audit")
        self._retention_s = store.settings.retention_s

    def add(
        self,
        event: str,
        *,
        by: str,
        reason: str = "",
        batch_id: str = "",
        account: str = "",
        scope: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Tells a decision that no verb writes itself; `facts` must be JSON."""
        seconds, micros = self._redis.time()
        entry = {"at": str(seconds * 1_000_000 + micros), "event": event, "by": by, "reason": reason}
        entry |= {
            "batch": batch_id,
            "account": account,
            "scope": scope,
            "decision": "",
            "facts": json.dumps(facts or {}),
        }
        oldest = max(0, (seconds - self._retention_s) * 1000)
        self._redis.xadd(self._key, cast("dict[Any, Any]", entry), minid=oldest, approximate=True)

    def read(self) -> Iterator[Decision]:
        """Every decision that is kept, the oldest first, page by page."""
        return _as_one(map(_decision, self._pages(newest_first=False)))

    def newest(self, count: int) -> list[Decision]:
        """The last `count` decisions, the oldest of them first."""
        pages = self._pages(newest_first=True, first=min(PAGE, count + 1))  # one is told when the next one is seen
        return list(islice(_as_one(map(_decision, pages)), count))[::-1]

    def backwards(self) -> Iterator[Decision]:
        """Every decision that is kept, the newest first, page by page."""
        return _as_one(map(_decision, self._pages(newest_first=True)))

    def _pages(self, *, newest_first: bool, first: int | None = None) -> Iterator[dict[str, str]]:
        """The entries' fields, `PAGE` at a time, and `first` before these."""
        found = entries(self._redis, self._key, newest_first=newest_first, page=PAGE, first=first)
        return (fields for _, fields in found)


def _decision(raw: Mapping[str, str]) -> Decision:
    return Decision(
        at=time_of(int(raw["at"])),
        event=raw["event"],
        by=raw["by"],
        reason=raw["reason"],
        batch_id=raw["batch"],
        account=raw["account"],
        scope=raw["scope"],
        facts=_facts(json.loads(raw["facts"])),
        steps=raw["decision"],
    )


def _facts(raw: dict[str, Any]) -> dict[str, Any]:
    """What verbs told, with times in the place of their µs: how a batch stood before, and the rests that ended."""
    if raw.get("before"):
        raw["before"]["at"] = time_of(raw["before"]["at"])
    for rest in raw["ended"] if isinstance(raw.get("ended"), list) else ():
        rest["since"] = time_of(rest["since"])
    return raw


def _as_one(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """Neighbours that are steps of the same decision, as one, in whichever order they come."""
    last: Decision | None = None
    for decision in decisions:
        if last and decision.steps and decision.steps == last.steps:
            last = _added(*sorted((last, decision), key=lambda each: each.at))
            continue
        if last:
            yield last
        last = decision
    if last:
        yield last


def _added(first: Decision, then: Decision) -> Decision:
    sums = {name: first.facts.get(name, 0) + then.facts.get(name, 0) for name in _COUNTS & first.facts.keys()}
    return replace(first, facts={**then.facts, **first.facts, **sums})
