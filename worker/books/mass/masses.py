"""The mass cancels of one runner: typed Python over `mass_begin`, `listing_begin`, `listing_end` and `admit`."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.tasks.errors import AdmissionError, BatchConflictError, UnknownMassError
from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll
from bulk_cancel.worker.books.able import NOT_MADE, Survey
from bulk_cancel.worker.books.mass.boards import BOARDS, fields_of_running
from bulk_cancel.worker.books.mass.flat import Seen, State, Verdict
from bulk_cancel.worker.books.mass.products import Products
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass, read_mass
from bulk_cancel.worker.config.users import ALGOS, owner_of
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.state.admission import earliest_us
from bulk_cancel.worker.state.asked import Asked, columns
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.directory import AccountInfo
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.statuses import Status
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.times import time_of

ROOM_FOR: Final = 4_000
"""Orders for which Redis must have room when a mass cancel is taken: what one account may have open."""

LATER_US: Final = 5_000_000
"""A mass cancel that is not over is asked for its survey again after this; its end makes it due at once."""

HOLD_US: Final = 30_000_000
"""On hold what else can place orders is looked at again after this, at what it costs: a call for each list."""

SURVEY_WITHIN_S: Final = 20.0
"""Without a survey for so long nobody makes one: no worker is alive, or all are of a version that knows none."""

HOLDS_SINCE: Final = "1.1"
"""The first version that does not take a hold for a mass cancel that ends."""

_MAYBE_FILLED: Final = (Status.FILLED, Status.ACCEPTED, Status.GONE, Status.EXHAUSTED)
"""Of an order that ended in any other way it is known what was filled, and counted."""

_ID_LENGTH: Final = 128
_PLAIN: Final = re.compile(r"[A-Za-z0-9]{1,32}")


class MassEnded(Exception):  # noqa: N818 (says what happened)
    """The mass cancel takes no more: it ended, or another worker goes on with it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The listing of a mass cancel that is ours. A page asked for now shows what was open at `now_us` or after.

    `now_us` is on Redis's own clock; `left_s` are the seconds to the deadline; of so many orders that it found
    (`waiting`) the end is not known.
    """

    id: str
    mass: Mass
    now_us: int
    wall_us: int
    left_s: float
    waiting: int = 0


class Masses:
    """The mass cancels of one runner; raises redis-py's errors."""

    def __init__(self, store: Store) -> None:
        self._redis = store.redis
        self._keys = store.keys
        self._scripts = store.scripts
        self._admission = store.admission
        self._directory = store.directory
        self._batches = store.batches
        self._deadline_s = store.settings.deadline_s
        self._retention_s = store.settings.retention_s

    def take(self, asked: CancelAll) -> list[Mass]:
        """Takes a mass cancel, of `*` one for each User ID; given again it does nothing but answer.

        Raises UnknownAccountError, BatchConflictError (an id is known with something else: nothing taken, or its text
        says what), AdmissionError (nothing taken of that account), NotReplicatedError.
        """
        return answered(self.ask_take(asked))

    def ask_take(self, asked: CancelAll) -> Asking[list[Mass]]:
        """As `take`, over either client."""
        targets = yield from self._targets(asked)
        self._check(asked, [batch_id for batch_id, _ in targets])
        yield from self._ask_free(asked, targets)
        yield from self._admission.ask_room(ROOM_FOR * len(targets))
        for number, (batch_id, info) in enumerate(targets):
            if not (yield from self._take(asked, batch_id, info)):
                raise _conflict(batch_id, [begun for begun, _ in targets[:number]])
        taken = []
        for batch_id, _ in targets:
            taken.append((yield from self.ask_state(batch_id)))
        return taken

    def state(self, batch_id: str) -> Mass:
        """The mass cancel as it stands; raises UnknownMassError."""
        return answered(self.ask_state(batch_id))

    def ask_state(self, batch_id: str) -> Asking[Mass]:
        """As `state`, over either client."""
        raw: dict[str, str] = yield self._redis.hgetall(self._keys.of("mass", batch_id))
        if not raw:
            raise UnknownMassError(batch_id)
        return (yield from self._ask_known(read_mass(batch_id, raw)))

    def _ask_known(self, mass: Mass) -> Asking[Mass]:
        """As it is known to stand now: that it is flat on hold is believed as long as it is listed."""
        if not (mass.on_hold and mass.flat) or (yield self._redis.get(self._keys.of("held", mass.batch_id))):
            return mass
        return mass.unlisted

    def running(self) -> list[Mass]:
        """Every mass cancel that is not over, those whose listing is next first."""
        ids = [each for board in BOARDS for each in self._due(board)]
        raws = ((each, cast("dict[str, str]", self._redis.hgetall(self._keys.of("mass", each)))) for each in ids)
        return [answered(self._ask_known(read_mass(each, raw))) for each, raw in raws if raw]

    def with_algos(self) -> set[str]:
        """Whose algo orders mass cancels are cancelling, as the owners of these."""
        read = fields_of_running(self._redis, self._keys, "uid", "scope")
        return {uid + ALGOS for uid, scope in read if uid and scope and Scope.read(json.loads(scope)).with_algos}

    def _due(self, board: str) -> list[str]:
        return cast("list[str]", self._redis.zrange(self._keys.of(board), 0, -1))

    def begin(self, batch_id: str, *, lease_s: float) -> Listing | None:
        """A listing that is ours for `lease_s`; None if another is on, or the mass cancel ended."""
        listing = uuid.uuid4().hex
        reply = self._begin(batch_id, listing, lease_s, {})
        if not reply["mine"]:
            return None
        mass, left_s = read_mass(batch_id, reply["mass"]), reply["left"] / 1e6
        return Listing(listing, mass, reply["now"], reply["wall"], left_s, reply["waiting"])

    def go_on(self, listing: Listing, *, lease_s: float) -> Listing:
        """Renews the lease; raises MassEnded if it is not ours any more. `mass` stays what it was as it was begun."""
        return self._renewed(listing, lease_s, {})

    def note(self, listing: Listing, products: Products, *, lease_s: float) -> None:
        """Keeps what is known of products, and renews the lease; raises MassEnded if it is not ours any more."""
        self._renewed(listing, lease_s, {"products": products.text})

    def paused(self) -> frozenset[str]:
        """The scopes that operators paused."""
        return frozenset(map(str, self._redis.smembers(self._keys.of("paused"))))

    def admit(self, listing: Listing, page: Sequence[Row], *, holder: str = "") -> int:
        """Open orders that are meant, seen in a page asked for at `listing.now_us` or after; raises MassEnded.

        `holder`: whose they are, if not the mass cancel's user's own: the uid of its algo orders. Returned is the wall
        time (µs) at which the limits allow the last of them to be sent.
        """
        mass = listing.mass
        batch = {"id": mass.batch_id, "urgent": mass.urgent, "account": mass.account, "seen": listing.now_us}
        argument = {"batch": batch, "orders": columns([_order(holder or mass.uid, row) for row in page])}
        reply = self._admission.run("admit", argument, batch_id=mass.batch_id)
        if reply["status"] == "ended":
            raise MassEnded
        return earliest_us(reply["now"], reply["lanes"], self._directory.find(mass.account))

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
            "flat": "1" if verdict.flat else "",
            "trouble": seen.trouble,
            "earliest": max(seen.earliest_us, mass.earliest_us or 0) or "",
        }
        self._end(listing, fields, None if verdict.ended else verdict.next_s, seen.soonest_s)

    def interrupt(self, listing: Listing, why: str, *, again_in_s: float) -> None:
        """The listing was not complete: whether the scope is still empty is not known, and it is listed again."""
        self._end(listing, {"trouble": why, "flat_since": "", "flat_wall": "", "flat": ""}, again_in_s)

    def hand_back(self, listing: Listing, *, again_in_s: float) -> None:
        """Another worker is to list."""
        self._end(listing, {}, again_in_s)

    def give_up(self, listing: Listing, state: State) -> None:
        """The mass cancel ends as it stands."""
        self._end(listing, {"state": state}, None)

    def hasten(self, uid: str) -> int:
        """An order of the user was told of: whatever holds his book is due as soon as that makes sense; how many do.

        With the mark of algo orders, one of these was, and it concerns all that cancel such.
        """
        argument = {"uid": owner_of(uid), "algos": uid.endswith(ALGOS)}
        return int(self._scripts.run("listing_hasten", argument)["holds"])

    def survey_begin(self, batch_id: str, survey: str, *, lease_s: float) -> Mass | None:
        """The mass cancel, if it is over and its survey is ours for `lease_s`; again with the same id renews."""
        argument = {"mass": batch_id, "survey": survey, "lease_us": round(lease_s * 1e6), "later_us": LATER_US}
        reply = self._scripts.run("survey_begin", {**argument, "not_made": NOT_MADE.text})
        return read_mass(batch_id, reply["mass"]) if reply["mine"] else None

    def survey_end(
        self, batch_id: str, survey: str, seen: Survey | None, *, held: bool = False, again_in_s: float = 0.0
    ) -> None:
        """What the survey saw; None: it saw nothing, and another is due. `held`: it began while it was on hold."""
        told = {"told": seen.text if seen else "", "again_us": round(again_in_s * 1e6), "hold_us": HOLD_US}
        self._scripts.run("survey_end", {"mass": batch_id, "survey": survey, "held": held, **told})

    def left_stops(self, batch_id: str) -> bool:
        """Whether one of its orders was filled, in part or whole, or may have been: it may have left its TP/SL."""
        state = self._batches.state(batch_id)
        return bool(state.partly_filled or any(state.counts[each] for each in _MAYBE_FILLED))

    def awaits_survey(self, mass: Mass, state: BatchState) -> bool:
        """Whether its report is not whole before the survey, which is waited for no longer than SURVEY_WITHIN_S."""
        return answered(self.ask_awaits_survey(mass, state))

    def ask_awaits_survey(self, mass: Mass, state: BatchState) -> Asking[bool]:
        """As `awaits_survey`, over either client."""
        if mass.survey or not state.completed_at:
            return not mass.survey
        seconds, micros = yield self._redis.time()
        return (time_of(seconds * 1_000_000 + micros) - state.completed_at).total_seconds() < SURVEY_WITHIN_S

    def _targets(self, asked: CancelAll) -> Asking[list[tuple[str, AccountInfo]]]:
        """Batch ids and accounts; accounts of one User ID have one book."""
        if asked.account != ALL_ACCOUNTS:
            return [(asked.batch_id, (yield from self._directory.ask_find(asked.account)))]
        first: dict[str, AccountInfo] = {}
        for info in (yield from self._directory.ask_all()).values():
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

    def _ask_free(self, asked: CancelAll, targets: Sequence[tuple[str, AccountInfo]]) -> Asking[None]:
        """Raises BatchConflictError if one of the ids is known with something else, before any is taken."""
        known = yield from self._batches.ask_digests([batch_id for batch_id, _ in targets])
        for batch_id, info in targets:
            if known.get(batch_id, digest := _digest(asked, info.name)) != digest:
                raise _conflict(batch_id, [])

    def _take(self, asked: CancelAll, batch_id: str, info: AccountInfo) -> Asking[bool]:
        """False: the id is known with something else."""
        applied = Scope.of(asked)
        scope, until_flat_us = _asked(asked)
        meta = {"requested_by": asked.requested_by, "reason": asked.reason, "labels": json.dumps(dict(asked.labels))}
        batch = {
            "id": batch_id,
            "digest": _digest(asked, info.name),
            "size": 0,
            "urgent": asked.urgent,
            "account": info.name,
            "deadline_s": asked.deadline_s or self._deadline_s,
            "retention_s": self._retention_s,
            "meta": {**meta, "mass": "1", **({"hold": "1"} if asked.hold else {})},
        }
        since = applied.since or (HOLDS_SINCE if asked.hold else "")
        told = {"scope": scope, "since": since, "until_flat_us": until_flat_us, "hold": asked.hold}
        argument = {"batch": batch, "uid": info.uid, **told}
        reply = yield from self._admission.ask("mass_begin", argument, batch_id=batch_id)
        return bool(reply["status"] == "ok")

    def _renewed(self, listing: Listing, lease_s: float, fields: Mapping[str, str]) -> Listing:
        reply = self._begin(listing.mass.batch_id, listing.id, lease_s, fields)
        if not reply["mine"]:
            raise MassEnded
        left_s = reply["left"] / 1e6
        return replace(listing, now_us=reply["now"], wall_us=reply["wall"], left_s=left_s, waiting=reply["waiting"])

    def _begin(self, batch_id: str, listing: str, lease_s: float, fields: Mapping[str, str]) -> dict[str, Any]:
        argument = {"mass": batch_id, "listing": listing, "lease_us": round(lease_s * 1e6), "fields": fields}
        return self._scripts.run("listing_begin", argument)

    def _end(
        self, listing: Listing, fields: Mapping[str, object], next_s: float | None, soon_s: float = float("inf")
    ) -> None:
        """The next listing is in `next_s`, or in `soon_s` if an order is told of, or the last one has ended."""
        told = {name: str(value) for name, value in fields.items()}
        after_us = -1 if next_s is None else round(next_s * 1e6)
        argument = {"mass": listing.mass.batch_id, "listing": listing.id, "fields": told, "after_us": after_us}
        argument["hastens"] = listing.mass.scope.with_algos
        argument["soon_us"] = after_us if next_s is None else round(min(next_s, soon_s) * 1e6)
        if not self._scripts.run("listing_end", argument)["mine"]:
            raise MassEnded


def _order(uid: str, row: Row) -> Asked:
    """The order as it is handed in; its client id is kept where it is a plain one."""
    job = JobId(uid, row["instId"], row["ordId"], None)
    client = row.get("clOrdId", "")
    return Asked(str(job), job.lane, cl=client if _PLAIN.fullmatch(client) else "")


def _asked(asked: CancelAll) -> tuple[str, int]:
    """The scope as JSON text, and for how long it is to be empty (µs)."""
    return json.dumps(Scope.of(asked).asked, sort_keys=True), round((asked.until_flat_s or 0) * 1e6)


def _digest(asked: CancelAll, account: str) -> str:
    """Names what was asked; a batch of orders never has the same."""
    scope, until_flat_us = _asked(asked)
    text = f"mass\n{account}\n{scope}\n{until_flat_us}" + "\nhold" * asked.hold
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _conflict(batch_id: str, begun: Sequence[str]) -> BatchConflictError:
    """`begun`: what was taken before another one came to have this id."""
    text = f"batch {batch_id!r} is known with another scope or orders; choose another batch_id"
    return BatchConflictError(f"{text}. Taken, and going on: {', '.join(map(repr, begun))}" if begun else text)
