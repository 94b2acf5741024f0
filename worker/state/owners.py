"""Which User IDs each shard's Redis owns, so that no two of them ever grant slots of one User ID's windows.

A registration stays until people give it up. A new one is written to the own Redis first and then looked for on all
others: of two that do so at the same instant at least one sees the other, and whoever sees one goes back. So a shard
that does not answer keeps new User IDs from being registered, and none that is registered already.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.worker.state.shards import Shard, Shards
from bulk_cancel.worker.state.store import Store

LEASE_S: Final = 20.0
"""Longer than all others take to answer, silent ones included: what is asked for is held by then, or not at all."""

Step = Literal["see", "ask", "hold", "drop"]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a User ID is not served here, for people; `elsewhere`: because another Redis has it."""

    why: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Owned:
    """A User ID (with the exchange's address, as `user`) that a Redis owns, and under which UID setting."""

    user: str
    uid: str


class Owners:
    """Registers User IDs for the shard called `own`; raises redis-py's errors of that one."""

    def __init__(self, shards: Shards, own: str) -> None:
        self._shards = shards
        self._own = shards.of(own)
        self._name = uuid.uuid4().hex

    def register(self, user: str, uid: str) -> Refused | None:
        """None: this shard owns it, and no other. What was held before is not asked of others."""
        told = self._step(self._own, "see", user, uid)
        if told["state"] == "held":
            return None
        return self._look_around(user, uid) or self._take(user, uid)

    def _take(self, user: str, uid: str) -> Refused | None:
        """Nobody had it a moment ago."""
        if self._step(self._own, "ask", user, uid)["by"] != self._name:
            return Refused("another worker registers this User ID just now")
        refused = self._look_around(user, uid)
        if refused:
            self._step(self._own, "drop", user, uid)
        elif self._step(self._own, "hold", user, uid)["state"] != "held":
            return Refused("the other shards took too long to say that they do not serve this User ID")
        return refused

    def _look_around(self, user: str, uid: str) -> Refused | None:
        """Why it cannot be ours: another Redis has it or asks for it, or does not answer."""
        seen = answered(self._shards.ask_each(lambda shard: self._see(shard, user, uid)))
        taken = [_elsewhere(name, told, self._name) for name, told in seen.answers.items() if told["state"] != "free"]
        away = [Refused(f"this User ID can be registered once every shard answers: {e}") for e in seen.failed.values()]
        return next(iter([*taken, *away]), None)

    def _see(self, shard: Shard, user: str, uid: str) -> Asking[Mapping[str, Any]]:
        if shard.name == self._own.name:
            return {"state": "free"}
        return (yield from shard.store.scripts.ask("own", self._argument("see", user, uid)))

    def _step(self, shard: Shard, step: Step, user: str, uid: str) -> Mapping[str, Any]:
        return shard.store.scripts.run("own", self._argument(step, user, uid))

    def _argument(self, step: Step, user: str, uid: str) -> dict[str, object]:
        return {"user": user, "uid": uid, "by": self._name, "step": step, "lease_us": round(LEASE_S * 1e6)}


def _elsewhere(shard: str, told: Mapping[str, Any], name: str) -> Refused:
    if told["by"] == name:
        return Refused(f"shard {shard} is the same Redis under another name; give each shard its own", elsewhere=True)
    if told["state"] == "asked":
        return Refused(f"shard {shard} registers this User ID just now")
    return Refused(
        f"this User ID is served on shard {shard} (UID {told['uid']}), and two would exceed its limits; set SHARD of "
        f"its accounts to {shard}, or move them from there first (OPERATING.md)",
        elsewhere=True,
    )


class OwnersHere:
    """Registers nothing: what this Redis does not own yet is refused. For who reads the exchange beside workers."""

    def __init__(self, store: Store) -> None:
        self._scripts = store.scripts

    def register(self, user: str, uid: str) -> Refused | None:
        """None: this Redis owns it."""
        told = self._scripts.run("own", {"user": user, "uid": uid, "by": "", "step": "see", "lease_us": 0})
        return None if told["state"] == "held" else Refused("no worker of this shard has registered this User ID yet")


def owned(store: Store) -> list[Owned]:
    """The User IDs that this Redis owns; raises redis-py's errors."""
    raws = store.redis.hgetall(store.keys.of("owners"))
    told = ((str(user), json.loads(str(raw))) for user, raw in sorted(raws.items()))
    return [Owned(user, each["uid"]) for user, each in told if "ends" not in each]
