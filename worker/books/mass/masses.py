"""The mass cancels of one runner: typed Python over `mass_begin`, `listing_begin`, `listing_end` and `admit`."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from bulk_cancel.tasks.errors import AdmissionError, BatchConflictError, BulkCancelError
from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll
from bulk_cancel.worker.books.mass.flat import Seen, State, Verdict
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass, read_mass
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.state.directory import AccountInfo
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.store import Store

ROOM_FOR: Final = 4_000
"""Orders for which Redis must have room when a mass cancel is taken: what one account may have open."""

_ID_LENGTH: Final = 128
_PLAIN: Final = re.compile(r"[A-Za-z0-9]{1,32}")


class UnknownMassError(BulkCancelError, LookupError):
    """No mass cancel has this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"{batch_id!r} is no mass cancel: never asked for here, or kept no longer (RETENTION_S)")


class MassEnded(Exception):  # noqa: N818 (says what happened)
    """The mass cancel takes no more: it ended, or another worker goes on with it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The listing of a mass cancel that is ours. A page asked for now shows what was open at `wall_us` or after.

    `now_us` is on Redis's own clock; `left_s` are the seconds to the deadline.
    """

    id: str
    mass: Mass
    now_us: int
    wall_us: int
    left_s: float


class Masses:
    """The mass cancels of one runner; raises redis-py's errors."""

    def __init__(self, store: Store) -> None:
        self._redis = store.redis
        self._keys = store.keys
        self._scripts = store.scripts
        self._admission = store.admission
        self._directory = store.directory
        self._deadline_s = store.settings.deadline_s
        self._retention_s = store.settings.retention_s

    def take(self, asked: CancelAll) -> list[Mass]:
        """Takes a mass cancel, of `*` one for each User ID; given again it does nothing but answer.

        Raises UnknownAccountError, AdmissionError (nothing taken of that account), NotReplicatedError.
        """
        targets = self._targets(asked)
        self._check(asked, [batch_id for batch_id, _ in targets])
        self._admission.refuse_when_full(ROOM_FOR * len(targets))
        for batch_id, info in targets:
            self._take(asked, batch_id, info)
        return [self.state(batch_id) for batch_id, _ in targets]

    def state(self, batch_id: str) -> Mass:
        """The mass cancel as it stands; raises UnknownMassError."""
        raw = cast("dict[str, str]", self._redis.hgetall(self._keys.of("mass", batch_id)))
        if not raw:
            raise UnknownMassError(batch_id)
        return read_mass(batch_id, raw)

    def running(self) -> list[Mass]:
        """Every mass cancel that is not over, those whose listing is next first."""
        ids = cast("list[str]", self._redis.zrange(self._keys.of("masses"), 0, -1))
        raws = ((each, cast("dict[str, str]", self._redis.hgetall(self._keys.of("mass", each)))) for each in ids)
        return [read_mass(each, raw) for each, raw in raws if raw]

    def begin(self, batch_id: str, *, lease_s: float) -> Listing | None:
        """A listing that is ours for `lease_s`; None if another is on, or the mass cancel ended."""
        return self._begin(batch_id, uuid.uuid4().hex, lease_s)

    def go_on(self, listing: Listing, *, lease_s: float) -> Listing:
        """Renews the lease; raises MassEnded if it is not ours any more."""
        renewed = self._begin(listing.mass.batch_id, listing.id, lease_s)
        if renewed is None:
            raise MassEnded
        return renewed

    def admit(self, listing: Listing, page: Sequence[Row]) -> None:
        """Open orders that are meant, seen in a page asked for at `listing.wall_us` or after; raises MassEnded."""
        mass = listing.mass
        batch = {"id": mass.batch_id, "urgent": mass.urgent, "account": mass.account, "seen": listing.wall_us}
        argument = {"batch": batch, "orders": [_order(mass.uid, row) for row in page]}
        if self._admission.run("admit", argument, batch_id=mass.batch_id)["status"] == "ended":
            raise MassEnded

    def end(self, listing: Listing, seen: Seen, verdict: Verdict) -> None:
        """What a complete listing saw, and what follows."""
        mass = listing.mass
        fields = {
            "state": verdict.state,
            "listings": mass.listings + 1,
            "calls": mass.calls + seen.calls,
            "matching": seen.matching,
            "left_out": json.dumps(dict(seen.left_out)),
            "flat_since": verdict.flat_since_us or "",
            "flat_wall": verdict.flat_wall_us or "",
            "trouble": "",
        }
        self._end(listing, fields, None if verdict.ended else verdict.next_s)

    def interrupt(self, listing: Listing, why: str, *, again_in_s: float) -> None:
        """The listing was not complete: whether the scope is still empty is not known, and it is listed again."""
        self._end(listing, {"trouble": why, "flat_since": "", "flat_wall": ""}, again_in_s)

    def hand_back(self, listing: Listing, *, again_in_s: float) -> None:
        """Another worker is to list."""
        self._end(listing, {}, again_in_s)

    def give_up(self, listing: Listing, state: State) -> None:
        """The mass cancel ends as it stands."""
        self._end(listing, {"state": state}, None)

    def _targets(self, asked: CancelAll) -> list[tuple[str, AccountInfo]]:
        """Batch ids and accounts; accounts of one User ID have one book."""
        if asked.account != ALL_ACCOUNTS:
            return [(asked.batch_id, self._directory.find(asked.account))]
        first: dict[str, AccountInfo] = {}
        for info in self._directory.all().values():
            first.setdefault(info.uid, info)
        if not first:
            raise AdmissionError("no account is known; start a worker, or set an account here")
        return [(f"{asked.batch_id}-{info.name}", info) for info in first.values()]

    def _check(self, asked: CancelAll, batch_ids: Sequence[str]) -> None:
        long = [batch_id for batch_id in batch_ids if len(batch_id) > _ID_LENGTH]
        if long:
            raise AdmissionError(f"batch id {long[0]!r} is longer than {_ID_LENGTH}; choose a shorter batch_id")
        deadline_s = asked.deadline_s or self._deadline_s
        if asked.until_flat_s and asked.until_flat_s >= deadline_s:
            raise AdmissionError(
                f"until_flat_s {asked.until_flat_s:g} does not fit into the deadline of {deadline_s} s; set deadline_s"
            )

    def _take(self, asked: CancelAll, batch_id: str, info: AccountInfo) -> None:
        scope = json.dumps(Scope.of(asked).asked, sort_keys=True)
        until_flat_us = round((asked.until_flat_s or 0) * 1e6)
        meta = {"requested_by": asked.requested_by, "reason": asked.reason, "labels": json.dumps(dict(asked.labels))}
        batch = {
            "id": batch_id,
            "digest": _digest(info.name, scope, until_flat_us),
            "size": 0,
            "urgent": asked.urgent,
            "account": info.name,
            "deadline_s": asked.deadline_s or self._deadline_s,
            "retention_s": self._retention_s,
            "meta": {**meta, "mass": "1"},
        }
        argument = {"batch": batch, "uid": info.uid, "scope": scope, "until_flat_us": until_flat_us}
        if self._admission.run("mass_begin", argument, batch_id=batch_id)["status"] == "conflict":
            raise BatchConflictError(
                f"batch {batch_id!r} is known with another scope or orders; choose another batch_id"
            )

    def _begin(self, batch_id: str, listing: str, lease_s: float) -> Listing | None:
        argument = {"mass": batch_id, "listing": listing, "lease_us": round(lease_s * 1e6)}
        reply = self._scripts.run("listing_begin", argument)
        if not reply["mine"]:
            return None
        return Listing(listing, read_mass(batch_id, reply["mass"]), reply["now"], reply["wall"], reply["left"] / 1e6)

    def _end(self, listing: Listing, fields: Mapping[str, object], next_s: float | None) -> None:
        told = {name: str(value) for name, value in fields.items()}
        after_us = -1 if next_s is None else round(next_s * 1e6)
        argument = {"mass": listing.mass.batch_id, "listing": listing.id, "fields": told, "after_us": after_us}
        if not self._scripts.run("listing_end", argument)["mine"]:
            raise MassEnded


def call_off(scripts: Scripts, batch_id: str, *, by: str, reason: str) -> None:
    """An operator ends the mass cancel, if it still runs: no further listing, no further order."""
    argument = {"mass": batch_id, "listing": "", "fields": {"state": "withdrawn"}, "after_us": -1}
    scripts.run("listing_end", {**argument, "by": by, "reason": reason})


def _order(uid: str, row: Row) -> dict[str, Any]:
    """The order as the verb takes it; its client id is kept where it is a plain one."""
    job = JobId(uid, row["instId"], row["ordId"], None)
    client = row.get("clOrdId", "")
    return {"job": str(job), "lane": job.lane, "cl": client if _PLAIN.fullmatch(client) else ""}


def _digest(account: str, scope: str, until_flat_us: int) -> str:
    """Names what was asked; a batch of orders never has the same."""
    return hashlib.sha256(f"mass\n{account}\n{scope}\n{until_flat_us}".encode()).hexdigest()[:32]
