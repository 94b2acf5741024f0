"""Accounts with their User IDs, published by workers for producers, which need not hold any secret.

Workers write it at start from their settings; a producer without accounts of its own looks them up here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from redis import Redis

from bulk_cancel.tasks.errors import UnknownAccountError
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.state.keys import Keys


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What a producer must know of an account: its User ID, and what its lanes may send in `window_s` seconds."""

    name: str
    uid: str
    limits: Limits
    batch_size: int
    window_s: float


class Directory:
    """Accounts by name: those of this process's settings, then those that workers have published."""

    def __init__(self, redis: Redis, keys: Keys, users: Mapping[str, User], *, window_s: float) -> None:
        self._redis = redis
        self._key = keys.of("accounts")
        self._own = {info.name: info for user in users.values() for info in _infos(user, window_s)}

    def publish(self) -> None:
        """Lets every producer on this Redis know this process's accounts, and no others; no secret is written."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(self._key)
            pipe.hset(self._key, mapping={name: json.dumps(asdict(info)) for name, info in self._own.items()})
            pipe.execute()

    def find(self, name: str) -> AccountInfo:
        """The account called `name`; raises UnknownAccountError, or redis-py's errors."""
        if name in self._own:
            return self._own[name]
        raw = self._redis.hget(self._key, name)
        if not isinstance(raw, str):
            raise UnknownAccountError(name, self.names())
        return _parse(raw)

    def all(self) -> dict[str, AccountInfo]:
        """All accounts known here, by name in order."""
        published = {str(name): _parse(str(raw)) for name, raw in self._redis.hgetall(self._key).items()}
        return dict(sorted((published | self._own).items()))

    def names(self) -> list[str]:
        """All accounts known here."""
        return sorted({*self._own, *map(str, self._redis.hkeys(self._key))})


def _infos(user: User, window_s: float) -> Iterable[AccountInfo]:
    return (AccountInfo(each.name, user.uid, user.limits, user.batch_size, window_s) for each in user.accounts)


def _parse(raw: str) -> AccountInfo:
    fields = json.loads(raw)
    return AccountInfo(**{**fields, "limits": Limits(**fields["limits"])})
