"""The shards of a runner: several Redis, each with accounts of its own. `default` is the one of `REDIS_URL`.

Nothing of the exchange's rules crosses a User ID, so accounts of different User IDs need not share a Redis.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.config.urls import broker_form, check_broker_url, check_state_url, place_of

if TYPE_CHECKING:
    from bulk_cancel.worker.config.settings import Settings

DEFAULT_SHARD: Final = "default"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

StateUrl = Annotated[SecretStr, AfterValidator(check_state_url)]
BrokerUrl = Annotated[SecretStr, AfterValidator(check_broker_url)]


def state_as_broker(checked: dict[str, SecretStr]) -> SecretStr:
    """The broker of a state Redis for which none is named: itself."""
    return SecretStr(broker_form(checked["redis_url"].get_secret_value()))


class Shard(BaseModel):
    """One Redis of several: its state, and the broker of its workers."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: StateUrl
    broker_url: BrokerUrl = Field(default_factory=state_as_broker)


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


ShardName = Annotated[str, BeforeValidator(_lowered)]
"""A name as a setting gives it; whether there is such a shard, the settings as a whole say."""


def checked_shards(value: object) -> object:
    """The shards as given, if they have names that can be theirs; raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError("should be set field by field, as in SHARDS__A__REDIS_URL")  # noqa: TRY004 (pydantic's)
    for name, fields in value.items():
        if name == DEFAULT_SHARD:
            raise ValueError(f"{DEFAULT_SHARD} is the name of the Redis of REDIS_URL; choose another name")
        if not NAME.fullmatch(name):
            raise ValueError(
                f"shard name {name[:64]!r} should be of a-z 0-9 _ - (32 at most) and start with a letter or digit"
            )
        if not isinstance(fields, Mapping | Shard):
            raise ValueError(f"shard {name} should be set field by field, as in SHARDS__{name.upper()}__REDIS_URL")  # noqa: TRY004
    return value


def check_shards(settings: "Settings") -> None:
    """Raises ValueError for an account, or a process, of a shard that is not there, and for one Redis given twice."""
    known = {DEFAULT_SHARD, *settings.shards}
    if settings.shard not in known:
        raise ValueError(f"SHARD: {_unknown(settings.shard, known)}")
    for account in settings.accounts.values():
        if account.shard not in known:
            raise ValueError(f"ACCOUNTS__{account.name.upper()}__SHARD: {_unknown(account.shard, known)}")
    first: dict[str, str] = {}
    for name in shard_names(settings):
        url = settings.shards[name].redis_url if name in settings.shards else settings.redis_url
        other = first.setdefault(place_of(url.get_secret_value()), name)
        if other != name:
            raise ValueError(f"SHARDS: {other} and {name} are the same Redis; give each its own, or remove one")


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"there is no shard {name[:32]!r}; there are {', '.join(sorted(known))} (SHARDS__<NAME>__REDIS_URL)"


def shard_names(settings: "Settings") -> tuple[str, ...]:
    """The shards of the runner, `default` first.

    That one counts if REDIS_URL is set, or something belongs to it: who names every Redis among SHARDS has no other.
    """
    if not settings.shards:
        return (settings.shard,)
    set_here = settings.model_fields_set
    chosen = "redis_url" in set_here or ("shard" in set_here and settings.shard == DEFAULT_SHARD)
    of_it = chosen or any(account.shard == DEFAULT_SHARD for account in settings.accounts.values())
    return (*([DEFAULT_SHARD] if of_it else []), *sorted(settings.shards))


def on_shard(settings: "Settings", name: str) -> "Settings":
    """The settings of one shard, as those of a runner that has this Redis and these accounts alone."""
    if not settings.shards:
        return settings
    accounts = {account.name: account for account in settings.accounts.values() if account.shard == name}
    own = settings.shards.get(name, settings)
    told = {"redis_url": own.redis_url, "broker_url": own.broker_url, "accounts": accounts}
    found = settings.model_copy(update={**told, "shards": {}, "shard": name})
    found._one_of = shard_names(settings)  # noqa: SLF001 (frozen for all others)
    return found


def redis_setting(settings: "Settings") -> str:
    """The variable that says where the state of these settings is."""
    return f"{_prefix(settings)}REDIS_URL"


def broker_setting(settings: "Settings") -> str:
    """The variable that says where their broker is: that of the state, where none is named."""
    same = settings.broker_url == state_as_broker({"redis_url": settings.redis_url})
    return redis_setting(settings) if same else f"{_prefix(settings)}BROKER_URL"


def _prefix(settings: "Settings") -> str:
    own = settings.one_of and settings.shard != DEFAULT_SHARD
    return f"{PREFIX}SHARDS__{settings.shard.upper()}__" if own else PREFIX


def no_account_here(settings: "Settings") -> list[str]:
    """The fault of a worker that has nothing to serve, if it is one."""
    if on_shard(settings, settings.shard).accounts:
        return []
    others = sorted({account.shard for account in settings.accounts.values()})
    mend = f"set it to one that accounts are of ({', '.join(others)}), or set ACCOUNTS__<NAME>__SHARD"
    return [f"BULK_CANCEL_SHARD: no account is of shard {settings.shard}, so its worker has nothing to serve; {mend}"]


def chosen(settings: "Settings") -> "Settings":
    """The settings of the shard that was chosen (BULK_CANCEL_SHARD), else those of all of them."""
    return on_shard(settings, settings.shard) if "shard" in settings.model_fields_set else settings


def one_shard(settings: "Settings") -> "Settings":
    """The settings of the shard that was chosen, for what sees one Redis only.

    Raises:
        SettingsError: there are several, and none was chosen: one must not be taken for the whole.
    """
    names = shard_names(settings)
    if len(names) > 1 and "shard" not in settings.model_fields_set:
        raise SettingsError(
            f"this runner has the shards {', '.join(names)}, and this is done on one of them alone: choose it with "
            "BULK_CANCEL_SHARD"
        )
    return on_shard(settings, settings.shard if "shard" in settings.model_fields_set else names[0])
