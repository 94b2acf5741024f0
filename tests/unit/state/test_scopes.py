"""The names of scopes, which Python and Lua build alike."""

from bulk_cancel.worker.state.scopes import (
    ScopeKind,
    account_scope,
    exchange_scope,
    lane_scope,
    lua_preamble,
    parse_scope,
    user_scope,
)


def test_a_scope_reads_back() -> None:
    """Whatever colons its name has."""
    built = {
        account_scope("a1"): (ScopeKind.ACCOUNT, "a1"),
        user_scope("u1"): (ScopeKind.USER, "u1"),
        lane_scope("u1/BTC-USD:option"): (ScopeKind.LANE, "u1/BTC-USD:option"),
        exchange_scope("https://x:8443"): (ScopeKind.EXCHANGE, "https://x:8443"),
    }
    assert {scope: parse_scope(scope) for scope in built} == built


def test_lua_gets_the_functions_that_it_uses() -> None:
    """Under the names that they have here."""
    assert (
        lua_preamble("lane_scope(lane)") == f"local function lane_scope(name) return '{lane_scope('')}' .. name end\n"
    )
    assert lua_preamble("") == ""
