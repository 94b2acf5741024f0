"""The exchange's User IDs, each with its accounts, its limits and its address."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Final

from bulk_cancel.worker.config.account import Account
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.limits import ALGO_LIMIT, BATCH_SIZE, Limits, ReadingLimits
from bulk_cancel.worker.okx.regions import business_url


@dataclass(frozen=True, slots=True)
class User:
    """One User ID of the exchange: any of its accounts may send what its lanes hold, best first."""

    uid: str
    accounts: tuple[Credentials, ...]
    base_url: str
    limits: Limits
    batch_size: int
    """Orders per batch request; 0: the single endpoint only."""
    reading: ReadingLimits = field(default=ReadingLimits())
    ws_url: str | None = None
    """The private channel's address, of algo orders the business one's; None: there is to be no channel."""

    @property
    def of_algos(self) -> bool:
        """Whether its orders are algo orders."""
        return self.uid.endswith(ALGOS)

    @property
    def owner(self) -> str:
        """Its uid at the exchange's meters for users."""
        return owner_of(self.uid)

    @property
    def source(self) -> str:
        """Names the keys and the address: what the exchange says of an order by others may be of another one."""
        return _digest(",".join(sorted(map(fingerprint, self.accounts))))


def fingerprint(account: Credentials) -> str:
    """Names a key at an address without showing it: what was learnt of another key says nothing of this one."""
    return _digest(f"{account.base_url}|{account.demo}|{account.api_key}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


ALGOS: Final = ":algo"
"""Behind a uid: the same user's algo orders, which have lanes, windows and a book of their own.

No setting has a colon, so a worker of 1.0 finds no user of that name, and leaves them alone."""


def algos_of(user: User) -> User:
    """The user as the owner of algo orders: one to a request, since the exchange meters orders, not requests."""
    limits = Limits(user.reading.part_of(ALGO_LIMIT), 0)
    return replace(user, uid=user.uid + ALGOS, limits=limits, batch_size=0, ws_url=business_url(user.ws_url))


def owner_of(uid: str) -> str:
    """The uid without its mark: who the exchange knows."""
    return uid.removesuffix(ALGOS)


def users_of(settings: Settings) -> dict[str, User]:
    """The users that the configured accounts belong to, by uid."""
    groups: defaultdict[str, list[Account]] = defaultdict(list)
    for account in settings.accounts.values():
        groups[account.uid].append(account)
    return {uid: _user(uid, accounts, settings) for uid, accounts in groups.items()}


def _user(uid: str, accounts: list[Account], settings: Settings) -> User:
    whole = Limits(settings.limit_single, settings.limit_batch)
    share = min(account.share for account in accounts)
    limits = whole.scaled(share)
    reading = ReadingLimits(settings.limit_pending, settings.limit_history, settings.limit_order).scaled(share)
    single_only = limits.batch < 2 or any(account.endpoints == "single" for account in accounts)  # noqa: PLR2004
    credentials = tuple(_credentials(account, settings) for account in accounts)
    batch_size = 0 if single_only else BATCH_SIZE
    ws_url = settings.ws_url_of(accounts[0])
    return User(uid, credentials, credentials[0].base_url, limits, batch_size, reading, ws_url)


def _credentials(account: Account, settings: Settings) -> Credentials:
    return Credentials(
        name=account.name,
        api_key=account.api_key.get_secret_value(),
        api_secret=account.api_secret.get_secret_value(),
        passphrase=account.passphrase.get_secret_value(),
        base_url=settings.base_url_of(account),
        demo=account.demo,
    )
