"""The names of scopes: what may rest, or be paused, as one. Pure; Lua builds the same names."""

import re
from enum import StrEnum


class ScopeKind(StrEnum):
    """What a scope is of; its name follows a colon."""

    ACCOUNT = "account"
    USER = "user"
    LANE = "lane"
    EXCHANGE = "exchange"


def account_scope(name: str) -> str:
    """The scope of one account's credentials."""
    return f"{ScopeKind.ACCOUNT}:{name}"


def user_scope(uid: str) -> str:
    """The scope of all that one User ID sends; only an operator lets it rest."""
    return f"{ScopeKind.USER}:{uid}"


def lane_scope(lane: str) -> str:
    """The scope of one lane."""
    return f"{ScopeKind.LANE}:{lane}"


def exchange_scope(base_url: str) -> str:
    """The scope of all that is sent to one address of the exchange."""
    return f"{ScopeKind.EXCHANGE}:{base_url}"


def parse_scope(scope: str) -> tuple[str, str]:
    """ScopeKind and name of a scope."""
    kind, _, name = scope.partition(":")
    return kind, name


def lua_preamble(body: str) -> str:
    """The Lua functions of the same names that `body` uses."""
    used = set(re.findall(r"\b(\w+)_scope\(", body))
    return "".join(
        f"local function {kind}_scope(name) return '{kind}:' .. name end\n" for kind in ScopeKind if kind in used
    )
