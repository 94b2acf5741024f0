"""Accounts with their User IDs, published by workers for producers, which need not hold any secret.

Workers write it at start from their settings; a producer without accounts of its own looks them up here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from redis import Redis

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.tasks.errors import UnknownAccountError
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.limits import ALGO_LIMIT, Limits
from bulk_cancel.worker.state.ids import is_of_algos
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scripts import Scripts


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What a producer must know of an account: its User ID, and what its lanes may send in `window_s` seconds."""

    name: str
    uid: str
    limits: Limits
    batch_size: int
    window_s: float
    algo_limit: int = ALGO_LIMIT
    """Of its lanes of algo orders, in one window."""

    def limits_of(self, lane: str) -> tuple[Limits, int]:
        """What the lane may send, and how many orders one of its batch requests has."""
        return (Limits(self.algo_limit, 0), 0) if is_of_algos(lane) else (self.limits, self.batch_size)


class Directory:
    """Accounts by name: those of this process's settings, then those that workers have published."""

    def __init__(self, redis: Redis, keys: Keys, users: Mapping[str, User], *, window_s: float) -> None:
        self._redis = redis
        self._key = keys.of("accounts")
        self._algo_limits = keys.of("algo_limits")
        self._sources = {each.name: user.source for user in users.values() for each in user.accounts}
        self._own = {info.name: info for user in users.values() for info in _infos(user, window_s)}

    def publish(self, scripts: Scripts) -> None:
        """Lets every producer on this Redis know this process's accounts, and no others; no secret is written."""
        fields = {name: json.dumps(_published(info)) for name, info in self._own.items()}
        limits = {name: str(info.algo_limit) for name, info in self._own.items()}
        scripts.run("note", {"note": "sources", "fields": self._sources, "alone": True, "keep_s": 0})
        scripts.run("note", {"note": "algo_limits", "fields": limits, "alone": True, "keep_s": 0})
        scripts.run("note", {"note": "accounts", "fields": fields, "alone": True, "keep_s": 0})

    def find(self, name: str) -> AccountInfo:
        """The account called `name`; raises UnknownAccountError, or redis-py's errors."""
        return answered(self.ask_find(name))

    def ask_find(self, name: str) -> Asking[AccountInfo]:
        """As `find`, over either client."""
        if name in self._own:
            return self._own[name]
        raw = yield self._redis.hget(self._key, name)
        if not isinstance(raw, str):
            names: list[object] = yield self._redis.hkeys(self._key)
            raise UnknownAccountError(name, {*self._own, *map(str, names)})
        return _parse(raw, (yield self._redis.hget(self._algo_limits, name)))

    def ask_knows(self, name: str) -> Asking[bool]:
        """Whether there is an account called `name`, over either client."""
        return name in self._own or bool((yield self._redis.hexists(self._key, name)))

    def ask_served(self, name: str) -> Asking[bool]:
        """Whether the workers of this Redis have the account; while they have told of none, our settings say it."""
        names: list[object] = yield self._redis.hkeys(self._key)
        return name in map(str, names) if names else name in self._own

    def ask_served_uids(self) -> Asking[set[str]]:
        """The User IDs of the accounts that `ask_served` knows."""
        raws: dict[object, object] = yield self._redis.hgetall(self._key)
        return {json.loads(str(raw))["uid"] for raw in raws.values()} or {info.uid for info in self._own.values()}

    def all(self) -> dict[str, AccountInfo]:
        """All accounts known here, by name in order."""
        return answered(self.ask_all())

    def ask_all(self) -> Asking[dict[str, AccountInfo]]:
        """As `all`, over either client."""
        raws: dict[object, object] = yield self._redis.hgetall(self._key)
        limits: dict[object, object] = yield self._redis.hgetall(self._algo_limits)
        published = {str(name): _parse(str(raw), limits.get(name)) for name, raw in raws.items()}
        return dict(sorted((published | self._own).items()))

    def names(self) -> list[str]:
        """All accounts known here."""
        return sorted({*self._own, *map(str, self._redis.hkeys(self._key))})


def _infos(user: User, window_s: float) -> Iterable[AccountInfo]:
    told = (user.uid, user.limits, user.batch_size, window_s, user.reading.part_of(ALGO_LIMIT))
    return (AccountInfo(each.name, *told) for each in user.accounts)


def _published(info: AccountInfo) -> dict[str, object]:
    """Without what 1.0 would not take: it reads all fields, and knows these."""
    return {name: value for name, value in asdict(info).items() if name != "algo_limit"}


def _parse(raw: str, algo_limit: object) -> AccountInfo:
    """`algo_limit` is None where a worker of 1.0 published the account."""
    fields = json.loads(raw)
    limits = Limits(**fields["limits"])
    return AccountInfo(**{**fields, "limits": limits}, algo_limit=int(str(algo_limit or ALGO_LIMIT)))
