"""Asks the exchange whose accounts these are, and opens the gate for users who are what the settings say.

Two accounts of one User ID must share lanes, or both would be too fast. So nothing is sent for a user before the
exchange has told the uid of each of its accounts and no setting contradicts it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User, fingerprint
from bulk_cancel.worker.okx.client import AccountConfig, OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ClockSkew, ExchangeError, NotAuthorised
from bulk_cancel.worker.okx.regions import same_exchange
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lease import take_lease
from bulk_cancel.worker.state.loop import Loop
from bulk_cancel.worker.state.owners import Owners, OwnersHere
from bulk_cancel.worker.state.scripts import Scripts

log = structlog.get_logger(__name__)

ASK_EVERY_S: Final = 2
"""`account/config` allows 5 requests in 2 s per User ID; all workers together ask once in 2 s for an account."""

REFUSED_S: Final = 30
"""Credentials that were refused are tried again this much later, by one worker of all."""

REGISTERED_S: Final = 30
"""How long a user stays registered for its UID setting after its last worker ended: longer than any slot."""

KEEP_S: Final = 10.0
KEEP_SHARDS_S: Final = 3.0
"""With several Redis: one that forgot what it owns is told again before it grants slots, as a rule after 9 s."""

PAUSE_S: Final = 0.2
PAUSE_CAP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Conflict:
    """Accounts whose `uid` settings the exchange contradicts, and how to mend that."""

    accounts: tuple[str, ...]
    text: str


def conflicts(users: Mapping[str, User], told: Mapping[str, str]) -> list[Conflict]:
    """Pure: `told` has the exchange's uid of each account by name; accounts not asked yet are left out."""
    configured = {account.name: user.uid for user in users.values() for account in user.accounts}
    pairs = [(name, configured[name], uid) for name, uid in sorted(told.items())]
    found = [_wrong_uid(name, setting, uid) for name, setting, uid in pairs if setting.isdigit() and setting != uid]
    found += _clashes(pairs, by=lambda pair: pair[2], other=lambda pair: pair[1], text=_APART)
    found += _clashes(pairs, by=lambda pair: pair[1], other=lambda pair: pair[2], text=_TOGETHER)
    return found


_Pair = tuple[str, str, str]
_APART = "are one User ID ({}) at the exchange, but have different UID settings; give them the same UID"
_ELSEWHERE = "this User ID ({}) is served under UID {} by another worker or runner on this Redis; set the same UID"
_TOGETHER = "have one UID setting ({}), but are different users at the exchange; give each its own UID"


def _wrong_uid(name: str, setting: str, uid: str) -> Conflict:
    return Conflict((name,), f"account {name} has UID {setting}, but the exchange says {uid}; correct the setting")


def _clashes(
    pairs: Iterable[_Pair], *, by: Callable[[_Pair], str], other: Callable[[_Pair], str], text: str
) -> list[Conflict]:
    groups: dict[str, list[_Pair]] = {}
    for pair in pairs:
        groups.setdefault(by(pair), []).append(pair)
    return [
        Conflict(names := tuple(pair[0] for pair in group), f"accounts {', '.join(names)} " + text.format(shared))
        for shared, group in groups.items()
        if len({other(pair) for pair in group}) > 1
    ]


class Identity(Loop):
    """Asks until every account's uid is known; opens the gate for each user that may be sent for.

    `owners` of a runner with several Redis: each User ID is registered for one of them alone, before anything is sent.
    """

    def __init__(
        self,
        scripts: Scripts,
        keys: Keys,
        client: OkxClient,
        gate: Gate,
        owners: Owners | OwnersHere | None = None,
    ) -> None:
        super().__init__("identity", pause_s=PAUSE_S)
        self._owners = owners
        self._redis = scripts.redis
        self._scripts = scripts
        self._keys = keys
        self._client = client
        self._gate = gate
        self._users = gate.users
        self.told: dict[str, str] = {}
        """Account → its User ID, as the exchange told it."""
        self.problems: dict[str, str] = {}
        """Account → why nothing is sent for it."""

    def round(self) -> None:
        """Asks what is not known yet, less often while nobody answers; then keeps our users registered."""
        self.pause_s = min(PAUSE_CAP_S, self.pause_s * 1.5)
        news = [self._learn(account) for account in self._unknown()]
        self._settle()
        for account in self._barred():
            self._try_again(account)
        if self._gate.all_open:
            self.pause_s = KEEP_S if self._owners is None else KEEP_SHARDS_S
        elif any(news):
            self.pause_s = PAUSE_S

    def _unknown(self) -> list[Credentials]:
        every = (account for user in self._users.values() for account in user.accounts)
        return [account for account in every if account.name not in self.told]

    def _barred(self) -> list[Credentials]:
        """Accounts that the exchange did not let in from here, though other workers know whose they are."""
        every = (account for user in self._users.values() for account in user.accounts)
        return [account for account in every if account.name in self._gate.barred.keys() & self.told.keys()]

    def _try_again(self, account: Credentials) -> None:
        """Each worker for itself: what another one is told says nothing of this one's address."""
        if not take_lease(self._scripts, "asking", fingerprint(account), for_s=ASK_EVERY_S, longest_s=REFUSED_S):
            return
        try:
            self._config(account)
        except ExchangeError as error:
            log.info("account_still_barred_here", account=account.name, why=str(error))
        else:
            self._gate.let_in(account.name)

    def _learn(self, account: Credentials) -> bool:
        try:
            uid = self._uid(account)
        except (ExchangeError, RedisError) as error:
            self._problem(account.name, error.told if isinstance(error, ExchangeError) else f"Redis: {error}")
            return False
        if uid is None:
            return False
        self.told[account.name] = uid
        self.problems.pop(account.name, None)
        return True

    def _uid(self, account: Credentials) -> str | None:
        """From what any worker has learnt, else from the exchange if it is our turn to ask."""
        key, field = self._keys.of("identity"), fingerprint(account)
        known = self._redis.hget(key, field)
        if known:
            return str(known)
        if not take_lease(self._scripts, "asking", field, for_s=ASK_EVERY_S, longest_s=REFUSED_S):
            return None
        uid = self._ask(account, field)
        self._scripts.run("note", {"note": "identity", "fields": {field: uid}, "alone": False, "keep_s": 0})
        return uid

    def _ask(self, account: Credentials, field: str) -> str:
        try:
            uid = self._config(account).uid
        except NotAuthorised:
            if account.name not in self._gate.barred:  # another worker may be let in, and asks as soon as it may
                take_lease(self._scripts, "asking", field, for_s=REFUSED_S, renew=True)
            raise
        self._gate.let_in(account.name)
        return uid

    def _config(self, account: Credentials) -> AccountConfig:
        asked_at = time.monotonic()
        try:
            return self._client.account_config(account)
        except ClockSkew:
            self._client.clock.correct(account.base_url, signed_at=asked_at)
            return self._client.account_config(account)

    def _settle(self) -> None:
        bad = {name: conflict.text for conflict in conflicts(self._users, self.told) for name in conflict.accounts}
        for name, text in bad.items():
            self._problem(name, text)
        for uid, user in self._users.items():
            names = {account.name for account in user.accounts}
            if names <= self.told.keys() and not names & bad.keys() and self._registered(user):
                self._gate.open(uid)

    def _registered(self, user: User) -> bool:
        """Whether every worker of every runner on this Redis serves this User ID under the same UID setting."""
        account = user.accounts[0]
        names = [f"{address}|{self.told[account.name]}" for address in same_exchange(account.base_url)]
        try:
            if not all(self._is_ours(named, user) for named in names):
                return False
            served_as = self._register(names, user.uid)
        except RedisError as error:
            self._problem(account.name, f"Redis: {error}")
            return False
        if served_as == user.uid:
            self.problems.pop(account.name, None)
        else:
            self._problem(account.name, _ELSEWHERE.format(self.told[account.name], served_as))
        return served_as == user.uid

    def _is_ours(self, named: str, user: User) -> bool:
        """Whether the User ID is registered for our Redis and no other one of the runner.

        What others have now is no longer sent for. That somebody does not answer closes nothing: others stay kept out.
        """
        refused = self._owners.register(named, user.uid) if self._owners else None
        if refused is None:
            return True
        self._problem(user.accounts[0].name, refused.why)
        if refused.elsewhere:
            self._gate.close(user.uid)
        return False

    def _register(self, names: Sequence[str], uid: str) -> str:
        """The setting under which this User ID is served, whatever others call it; ours unless it is another one.

        All names are looked at before any is registered: who is refused must not keep a name from who is served.
        """
        known = self._redis.mget([self._keys.of("user", named) for named in names])
        others = [str(other) for other in known if other not in {None, uid}]
        for named in names if not others else ():
            served_as = str(self._scripts.run("register", {"user": named, "uid": uid, "kept_s": REGISTERED_S})["uid"])
            if served_as != uid:
                return served_as
        return others[0] if others else uid

    def _problem(self, account: str, text: str) -> None:
        if self.problems.get(account) != text:
            self.problems[account] = text
            log.error("account_not_ready", account=account, reason=text)
