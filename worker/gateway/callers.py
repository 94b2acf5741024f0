"""Who calls, and what they may see and do: roles, and the tokens of a file. No secret is kept, only its hash."""

import hashlib
import hmac
import secrets
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.tasks.faults import faults_in
from bulk_cancel.tasks.messages import AccountName, Text

log = structlog.get_logger(__name__)

_BYTES: Final = 32


class Role(StrEnum):
    """What a caller may do; each may do what those before it may.

    `watch`: counts, no order. `read`: orders, audit, refusals. `operate`: hand in, retry, withdraw, release, pause,
    resume. `kill`: mass cancels.
    """

    WATCH = "watch"
    READ = "read"
    OPERATE = "operate"
    KILL = "kill"


_ORDER: Final = list(Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose name stands in the audit, and what may be done and seen; `accounts` None: all of them."""

    name: str
    role: Role
    accounts: frozenset[str] | None = None

    def may(self, needed: Role) -> bool:
        """Whether the role is enough."""
        return _ORDER.index(self.role) >= _ORDER.index(needed)

    def sees(self, account: str) -> bool:
        """Whether the account is one of theirs."""
        return self.accounts is None or account in self.accounts

    def sees_all_of(self, accounts: Iterable[str]) -> bool:
        """Whether each of them is."""
        return self.accounts is None or self.accounts.issuperset(accounts)


def _some(accounts: tuple[str, ...]) -> tuple[str, ...]:
    """A list without any would be read as no limit somewhere."""
    if not accounts:
        raise ValueError("names no account; leave it out for all of them")
    return accounts


class Token(BaseModel):
    """One token as the file has it; several may have one name, while one takes another's place."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[Text, Field(min_length=1)]
    role: Role
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    accounts: Annotated[tuple[AccountName, ...], AfterValidator(_some)] | None = None

    @property
    def caller(self) -> Caller:
        """Whoever holds it."""
        return Caller(self.name, self.role, None if self.accounts is None else frozenset(self.accounts))


_TOKENS: Final = TypeAdapter(tuple[Token, ...])


class Tokens:
    """The tokens of a file, read again whenever it changes; a file that is broken meanwhile changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._tokens = read_tokens(path)

    def caller(self, secret: str) -> Caller | None:
        """Whose secret this is; the time it takes does not tell how much of it is right."""
        digest, found = hash_of(secret), None
        for token in self._fresh():
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found.caller if found else None

    def _fresh(self) -> Sequence[Token]:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._tokens = read_tokens(self._path)
            except SettingsError as error:
                log.error("tokens_unreadable", why=str(error))  # noqa: TRY400 (not an error of ours)
        return self._tokens


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The `[[token]]` tables of a TOML file; raises SettingsError with a line for each fault."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        tokens = _TOKENS.validate_python(found.get("token", ()))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError("\n".join(f"{path}: {line}" for line in faults_in(error, within="token"))) from None
    except ValueError as error:
        raise SettingsError(f"{path}: is not TOML in UTF-8: {error}") from None
    if not tokens:
        raise SettingsError(f"{path}: holds no [[token]]; make one with: bulk-cancel gateway --new-token NAME")
    return tokens


def new_secret() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(_BYTES)


def hash_of(secret: str) -> str:
    """What the file keeps of it: a plain hash is enough for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return stat.st_mtime_ns, stat.st_size
