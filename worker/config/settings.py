"""The settings of a runner, from its environment, checked as a whole.

`load_settings` builds one frozen `Settings` from `BULK_CANCEL_…` variables, then a `.env` file, then the
accounts file; the earlier source wins, field by field. Nothing is read at import. Secrets are `SecretStr` and
never part of an error; `SettingsError` has one line per fault.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.config.account import ACCOUNT_FIELDS, Account, HttpUrl, Secret, WsUrl, named
from bulk_cancel.worker.config.accounts_file import AccountsFile
from bulk_cancel.worker.config.dotenv import env_file, is_chosen
from bulk_cancel.worker.config.env_lines import unreadable_lines
from bulk_cancel.worker.config.faults import PREFIX, faults_in, misspelt, no_account
from bulk_cancel.worker.config.secret_files import names, with_files
from bulk_cancel.worker.config.shards import (
    DEFAULT_SHARD,
    BrokerUrl,
    Shard,
    ShardName,
    StateUrl,
    check_shards,
    checked_shards,
    no_account_here,
    state_as_broker,
)
from bulk_cancel.worker.config.urls import check_webhook_url, redacted
from bulk_cancel.worker.config.webhook_secrets import check_secrets
from bulk_cancel.worker.okx.regions import region_of

DEFAULT_BASE_URL: Final = "https://openapi.okx.com"

__all__ = ["Account", "Settings", "SettingsError", "load_settings", "redacted"]


def _switch(value: int) -> int:
    if value and not 10 <= value <= 120:  # noqa: PLR2004 (what the exchange takes)
        raise ValueError("should be 0 (off) or 10 to 120")
    return value


def _on_or_off(value: object) -> object:
    return {"true": "on", "1": "on", "false": "off", "0": "off"}.get(str(value).lower(), str(value).lower())


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
Confirm = Annotated[Literal["on", "rest", "off"], BeforeValidator(_on_or_off)]
WebhookSecret = Annotated[Secret, AfterValidator(check_secrets)]
WebhookUrl = Annotated[Secret, AfterValidator(check_webhook_url)]
Limit = Annotated[int, Field(ge=1, le=10_000)]


class Settings(BaseSettings):
    """Everything a process may be told; see the contract table. Times in seconds, limits per window."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        enable_decoding=False,  # a passphrase that looks like JSON is still a passphrase
        extra="ignore",  # misspelt names are found by name, with a hint
        frozen=True,
        hide_input_in_errors=True,
    )

    redis_url: StateUrl = SecretStr("redis://127.0.0.1:6379/0")
    broker_url: BrokerUrl = Field(default_factory=state_as_broker)
    okx_base_url: HttpUrl = DEFAULT_BASE_URL
    okx_ws_url: WsUrl | None = None
    shards: dict[str, Shard] = Field(default_factory=dict)
    shard: ShardName = DEFAULT_SHARD
    accounts: dict[str, Account] = Field(default_factory=dict)
    accounts_file: Path | None = None
    confirm: Confirm = "on"
    confirm_deadline_s: Annotated[int, Field(ge=1, le=86_400)] = 300
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 8
    deadline_s: Annotated[int, Field(ge=1, le=86_400)] = 900
    retention_s: Annotated[int, Field(ge=1, le=31_536_000)] = 604_800
    http_concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    # a call must end well within the broker's visibility timeout of 15 s, and its slot within twice this
    http_timeout_s: Annotated[float, Field(ge=0.1, le=6)] = 3.0
    wait_replicas: Annotated[int, Field(ge=0, le=16)] = 0
    key_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")] = "bc"
    limit_single: Limit = 60
    limit_batch: Limit = 300
    limit_pending: Limit = 60
    limit_history: Limit = 40
    limit_order: Limit = 60
    window_s: Annotated[float, Field(ge=0.1, le=60)] = 2.0
    dead_mans_switch_s: Annotated[int, AfterValidator(_switch)] = 0
    alert_webhook_url: WebhookUrl | None = None
    alert_webhook_secret: WebhookSecret | None = None
    gateway_tokens_file: Path | None = None
    log_level: LogLevel = "INFO"

    _one_of: tuple[str, ...] = PrivateAttr(default=())

    @property
    def one_of(self) -> tuple[str, ...]:
        """The shards of the runner of which these are the settings of one; empty: these are the runner's."""
        return self._one_of

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before `.env` before the accounts file; secrets of the first two may be files."""
        del file_secret_settings
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = with_files(source.env_vars, prefix=source.env_prefix)
        return init_settings, env_settings, dotenv_settings, AccountsFile(settings_cls)

    @field_validator("accounts", mode="before")
    @classmethod
    def _name_accounts(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            raise ValueError("should be set field by field, as in ACCOUNTS__DESK1__API_KEY")  # noqa: TRY004
        return {name: named(name, fields) for name, fields in value.items()}

    @field_validator("shards", mode="before")
    @classmethod
    def _name_shards(cls, value: object) -> object:
        return checked_shards(value)

    @model_validator(mode="after")
    def _one_user_per_uid(self) -> Self:
        """Accounts with one uid share lanes, so whatever shapes a lane must be the same for them."""
        first: dict[str, Account] = {}
        for account in self.accounts.values():
            other = first.setdefault(account.uid, account)
            for field, mine, theirs in self._lane_shape(account, other):
                if mine != theirs:
                    raise ValueError(
                        f"ACCOUNTS: {other.name} and {account.name} have the same UID but a different "
                        f"{field}; make it equal, or give each its own UID"
                    )
        return self

    @model_validator(mode="after")
    def _webhook_is_signed(self) -> Self:
        """Whoever acts on an alert must be able to tell that it is ours."""
        if (self.alert_webhook_url is None) != (self.alert_webhook_secret is None):
            raise ValueError("ALERT_WEBHOOK_URL and ALERT_WEBHOOK_SECRET: set both, or neither")
        return self

    @model_validator(mode="after")
    def _kept_until_it_is_over(self) -> Self:
        """Else an order's outcome could be forgotten while its batch still runs."""
        if self.retention_s < self.deadline_s:
            raise ValueError("RETENTION_S: should be at least DEADLINE_S; raise it, or lower DEADLINE_S")
        return self

    @model_validator(mode="after")
    def _shards_are_known(self) -> Self:
        check_shards(self)
        return self

    def _lane_shape(self, one: Account, two: Account) -> tuple[tuple[str, object, object], ...]:
        return (
            ("SHARD", one.shard, two.shard),
            ("BASE_URL", self.base_url_of(one), self.base_url_of(two)),
            ("DEMO", one.demo, two.demo),
            ("SHARE", one.share, two.share),
            ("WS_URL", self.ws_url_of(one), self.ws_url_of(two)),
        )

    def base_url_of(self, account: Account) -> str:
        """The exchange's address for this account, without a trailing slash."""
        return account.base_url or self.okx_base_url

    def ws_url_of(self, account: Account) -> str | None:
        """The private channel's address for this account: as it was set, else that of the base URL's region.

        None for a base URL of no region: a test exchange must never be mixed with the real one.
        """
        named, region = account.ws_url or self.okx_ws_url, region_of(self.base_url_of(account))
        return named or (region.private_url(demo=account.demo) if region else None)


def load_settings(*, require_accounts: bool = False) -> Settings:
    """Read the environment, `.env` (or the file chosen instead, see dotenv.py) and the accounts file.

    Raises:
        SettingsError: anything unusable, misspelt or missing, one line each; no account at all if required.
    """
    path = env_file()
    if is_chosen() and not path.exists():
        raise SettingsError(f"{path}: there is no such file; --env-file should name one with settings")
    if is_chosen() and (path.is_fifo() or path.is_dir()):
        raise SettingsError(f"{path}: is no plain file (a pipe can be read but once); --env-file should name one")
    try:
        if lines := unreadable_lines(path):
            raise SettingsError("\n".join(lines))
        known = [*Settings.model_fields, *names()]
        faults = misspelt(_names_set(path), fields=known, account_fields=ACCOUNT_FIELDS)
        settings = Settings(_env_file=path)
    except ValidationError as error:
        raise SettingsError("\n".join([*faults, *_faults_of(error)])) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; mend its rights, or remove it") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8; save it as UTF-8, or remove it") from None
    if require_accounts and not settings.accounts:
        faults += no_account()
    elif require_accounts:
        faults += no_account_here(settings)
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


class _Told(Settings):
    """Settings that are given, and nothing else: two runners in one process must not share an environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Neither environment nor files."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def settings_of(**told: object) -> Settings:
    """Settings by the names of their fields; what is not given has its default, whatever the environment says.

    Raises:
        SettingsError: one line per fault.
    """
    try:
        return _Told.model_validate(told)
    except ValidationError as error:
        raise SettingsError("\n".join(_faults_of(error))) from None


def _faults_of(error: ValidationError) -> list[str]:
    """Without what was given: it may be a secret."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return faults_in(found, account_fields=ACCOUNT_FIELDS)


def _names_set(path: Path) -> set[str]:
    """Every variable name of the environment and of `.env`, lower-cased as pydantic-settings does."""
    return {*EnvSettingsSource(Settings).env_vars, *DotEnvSettingsSource(Settings, env_file=path).env_vars}
