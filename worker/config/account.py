"""One account: its credentials, its User ID, and how the exchange is reached for it."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from bulk_cancel.worker.config.shards import DEFAULT_SHARD, ShardName
from bulk_cancel.worker.config.urls import check_http_url, check_ws_url

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _secret(value: object) -> object:
    """Strip the newline that secret mounts append; refuse what cannot travel in an HTTP header."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError("should be text; in TOML put it in quotes")  # noqa: TRY004 (pydantic catches ValueError)
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("should be non-empty printable ASCII")
    return text


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
HttpUrl = Annotated[str, AfterValidator(check_http_url)]
WsUrl = Annotated[str, AfterValidator(check_ws_url)]


class Account(BaseModel):
    """One named set of API credentials; those with one `uid` share lanes; `share` is a part of the limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    api_key: Secret
    api_secret: Secret
    passphrase: Secret
    uid: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    demo: bool = False
    base_url: HttpUrl | None = None
    ws_url: WsUrl | None = None
    endpoints: Literal["auto", "single"] = "auto"
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    shard: ShardName = DEFAULT_SHARD


ACCOUNT_FIELDS: Final = tuple(field for field in Account.model_fields if field != "name")


def named(name: str, fields: object) -> object:
    """An account's fields with its name, and the name as uid where none is set; raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"account name {name[:64]!r} should be of a-z 0-9 _ - and start with a letter or digit")
    if not isinstance(fields, Mapping):
        raise ValueError(f"account {name} should be set field by field, as in ACCOUNTS__DESK1__API_KEY")  # noqa: TRY004
    if "name" in fields:
        raise ValueError(f"account {name}: NAME is no field, the name is part of the variable's name")
    return {"uid": name, **fields, "name": name}
