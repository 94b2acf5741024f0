"""The account or lane that an operator names: the scope to pause, and whose orders that holds back."""

from dataclasses import dataclass
from typing import Final

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.state.ids import lane_of, uid_of
from bulk_cancel.worker.state.scopes import account_scope, lane_scope, user_scope
from bulk_cancel.worker.state.store import Store

LANES_NAMED: Final = 8


class UnknownLaneError(BulkCancelError, LookupError):
    """No order was ever handed in for this lane, or none for so long that it is forgotten; the message names others."""

    def __init__(self, lane: str, known: list[str]) -> None:
        some = ", ".join(known[:LANES_NAMED]) + (" …" if len(known) > LANES_NAMED else "")
        hint = f"known lanes: {some}" if known else "no lane has had an order yet"
        super().__init__(f"unknown lane {lane!r}; {hint}")
        self.known = known


@dataclass(frozen=True, slots=True)
class Target:
    """`scope` is what rests when it is paused, `rests` every scope that resuming ends; `account` empty for a lane.

    `accounts` are all those whose orders it holds back: accounts of one User ID send for the same lanes.
    """

    name: str
    scope: str
    rests: tuple[str, ...]
    account: str
    accounts: tuple[str, ...]


class Targets:
    """Finds accounts and lanes by the names that people type; raises redis-py's errors."""

    def __init__(self, store: Store) -> None:
        self._redis = store.redis
        self._keys = store.keys
        self._directory = store.directory

    def find(self, name: str) -> Target:
        """The account, or with a `/` the lane, called `name`; raises UnknownAccountError or UnknownLaneError."""
        return self._lane(name) if "/" in name else self._account(name)

    def _account(self, name: str) -> Target:
        name = name.lower()
        if self._is_paused(user_scope(name)):  # its accounts may have left the settings since
            return self._user(name, name)
        return self._user(name, self._directory.find(name).uid)

    def _user(self, name: str, uid: str) -> Target:
        accounts = self._accounts_of(uid)
        scope = user_scope(uid)
        return Target(name, scope, (scope, *map(account_scope, accounts)), name, accounts)

    def _lane(self, name: str) -> Target:
        lane = self._canonical(name)
        scope = lane_scope(lane)
        if self._redis.zscore(self._keys.of("lanes"), lane) is None and not self._is_paused(scope):
            raise UnknownLaneError(name, self._lanes_like(lane))
        return Target(lane, scope, (scope,), "", self._accounts_of(uid_of(lane)))

    def _canonical(self, name: str) -> str:
        """The lane as it is called in Redis; its user may be given by an account's name, an option by its instId."""
        owner, _, meter = name.partition("/")
        account = self._directory.all().get(owner.lower())
        uid = owner if self._accounts_of(owner) or not account else account.uid
        inst_id, mark, kind = meter.partition(":")
        return f"{uid}/{inst_id.upper()}:{kind.lower()}" if mark else lane_of(uid, inst_id.upper())

    def _accounts_of(self, uid: str) -> tuple[str, ...]:
        return tuple(info.name for info in self._directory.all().values() if info.uid == uid)

    def _is_paused(self, scope: str) -> bool:
        return bool(self._redis.sismember(self._keys.of("paused"), scope))

    def _lanes_like(self, lane: str) -> list[str]:
        """Every lane known, those of the same user first."""
        lanes = [str(known) for known, _ in self._redis.zscan_iter(self._keys.of("lanes"), count=1000)]
        return sorted(lanes, key=lambda known: (uid_of(known) != uid_of(lane), known))
