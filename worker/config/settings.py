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
from bulk_cancel.worker.config.faults import PREFIX, faults_in, misspelt, no_account
from bulk_cancel.worker.config.secret_files import names, with_files
from bulk_cancel.worker.config.urls import broker_form, check_broker_url, check_state_url, check_webhook_url, redacted

DEFAULT_BASE_URL: Final = "https://openapi.okx.com"
DEFAULT_WS_URL: Final = "wss://ws.okx.com:8443/ws/v5/private"
DEMO_WS_URL: Final = "wss://wspap.okx.com:8443/ws/v5/private"

__all__ = ["Account", "Settings", "SettingsError", "load_settings", "redacted"]


def _switch(value: int) -> int:
    if value and not 10 <= value <= 120:  # noqa: PLR2004 (what the exchange takes)
        raise ValueError("should be 0 (off) or 10 to 120")
    return value


def _on_or_off(value: object) -> object:
    return {"true": "on", "1": "on", "false": "off", "0": "off"}.get(str(value).lower(), str(value).lower())


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _state_as_broker(checked: dict[str, SecretStr]) -> SecretStr:
    return SecretStr(broker_form(checked["redis_url"].get_secret_value()))


StateUrl = Annotated[SecretStr, AfterValidator(check_state_url)]
BrokerUrl = Annotated[SecretStr, AfterValidator(check_broker_url)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
Confirm = Annotated[Literal["on", "rest", "off"], BeforeValidator(_on_or_off)]
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
    broker_url: BrokerUrl = Field(default_factory=_state_as_broker)
    okx_base_url: HttpUrl = DEFAULT_BASE_URL
    okx_ws_url: WsUrl | None = None
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
    alert_webhook_secret: Secret | None = None
    log_level: LogLevel = "INFO"

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

    def _lane_shape(self, one: Account, two: Account) -> tuple[tuple[str, object, object], ...]:
        return (
            ("BASE_URL", self.base_url_of(one), self.base_url_of(two)),
            ("DEMO", one.demo, two.demo),
            ("SHARE", one.share, two.share),
            ("WS_URL", self.ws_url_of(one), self.ws_url_of(two)),
        )

    def base_url_of(self, account: Account) -> str:
        """The exchange's address for this account, without a trailing slash."""
        return account.base_url or self.okx_base_url

    def ws_url_of(self, account: Account) -> str | None:
        """The private channel's address for this account; None when only the base URL was changed.

        A test exchange must never be mixed with the real one.
        """
        named = account.ws_url or self.okx_ws_url
        if named or self.base_url_of(account) != DEFAULT_BASE_URL:
            return named
        return DEMO_WS_URL if account.demo else DEFAULT_WS_URL


def load_settings(*, require_accounts: bool = False) -> Settings:
    """Read the environment, `.env` (or the file chosen instead, see dotenv.py) and the accounts file.

    Raises:
        SettingsError: anything unusable, misspelt or missing, one line each; no account at all if required.
    """
    path = env_file()
    if is_chosen() and not path.exists():
        raise SettingsError(f"{path}: there is no such file; --env-file should name one with settings")
    try:
        known = [*Settings.model_fields, *names()]
        faults = misspelt(_names_set(path), fields=known, account_fields=ACCOUNT_FIELDS)
        settings = Settings(_env_file=path)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        raise SettingsError("\n".join([*faults, *faults_in(found, account_fields=ACCOUNT_FIELDS)])) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; mend its rights, or remove it") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8; save it as UTF-8, or remove it") from None
    if require_accounts and not settings.accounts:
        faults += no_account()
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _names_set(path: Path) -> set[str]:
    """Every variable name of the environment and of `.env`, lower-cased as pydantic-settings does."""
    return {*EnvSettingsSource(Settings).env_vars, *DotEnvSettingsSource(Settings, env_file=path).env_vars}
