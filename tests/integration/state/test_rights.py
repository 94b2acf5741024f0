"""The rights of a Redis user: which lines of OPERATING.md suffice, and that each right in them is missed without it."""

import re
from collections.abc import Iterator

import pytest
from redis import Redis

from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.rights import _TRIALS, Role, try_rights
from bulk_cancel.worker.state.scripts import VERBS, source
from tests.support.acl_lines import WORD, let_in, rules_of

KEYS = Keys("bc")
ROLES: tuple[Role, ...] = ("reader", "producer", "worker", "broker")


PRODUCED = ("admit", "mass_begin", "withdraw", "retry", "pause", "resume")
"""The verbs of who hands in and decides."""


def acl(role: Role) -> list[str]:
    """The rules of this role in OPERATING.md; a worker's are also those of its broker."""
    return rules_of("worker" if role == "broker" else role)


@pytest.fixture
def admin(redis: Redis) -> Iterator[Redis]:
    """Whose user `tried` goes with the test."""
    yield redis
    redis.acl_deluser("tried")


def user(admin: Redis, *rules: str) -> Redis:
    """A client of a user with these rights alone."""
    let_in(admin, "tried", *rules)
    port = admin.get_connection_kwargs()["port"]
    return Redis(port=port, username="tried", password=WORD, protocol=2, decode_responses=True, driver_info=None)


@pytest.mark.parametrize("role", ROLES)
def test_the_lines_of_the_readme_suffice(role: Role, admin: Redis) -> None:
    """Nothing is missing, and nothing is left behind."""
    with user(admin, *acl(role)) as redis:
        assert try_rights(redis, KEYS, role).missing == ()
    assert admin.keys() == []


@pytest.mark.parametrize("role", ROLES)
def test_each_right_that_lacks_is_named(role: Role, admin: Redis) -> None:
    """One command at a time, as an ACL spells it."""
    for words in (line.split() for line in _TRIALS[role].split(";")):
        right = "script|load" if words[0] == "SCRIPT" else words[0].lower()
        with user(admin, *acl(role), f"-{right.partition('|')[0]}") as redis:
            assert try_rights(redis, KEYS, role).missing == (f"+{right}",)
    assert admin.keys() == []


@pytest.mark.parametrize(
    ("role", "patterns", "missing"),
    [
        ("worker", "~bc ~bc:*", ("~bulk-cancel:*",)),
        ("worker", "~bc:* ~bulk-cancel:*", ("~bc",)),
        ("worker", "~bc ~bulk-cancel:*", ("~bc:*",)),
        ("broker", "~bc:* ~urgent*", ("~cancel*",)),
    ],
)
def test_a_key_pattern_that_lacks_is_named(role: Role, patterns: str, missing: tuple[str, ...], admin: Redis) -> None:
    """Instead of every command that needs it."""
    with user(admin, "+@all", *patterns.split()) as redis:
        assert try_rights(redis, KEYS, role).missing == missing


@pytest.mark.parametrize(("role", "verbs"), [("worker", VERBS), ("producer", PRODUCED)])
def test_every_command_of_a_verb_is_tried(role: Role, verbs: tuple[str, ...]) -> None:
    """Within a script a refusal has no code."""
    used = {name for verb in verbs for name in re.findall(r"redis\.p?call\('(\w+)'", source(verb))}
    assert used - {line.split()[0] for line in _TRIALS[role].split(";") if line.split()} == {"SET", "DEL"}


@pytest.mark.parametrize("role", ["producer", "worker"])
def test_who_waits_for_replicas_needs_one_right_more(role: Role, admin: Redis) -> None:
    """And nobody else, so the page's lines are without it."""
    with user(admin, *acl(role)) as redis:
        assert try_rights(redis, KEYS, role, waits=True).missing == ("+wait",)
    with user(admin, *acl(role), "+wait") as redis:
        assert try_rights(redis, KEYS, role, waits=True).missing == ()


def test_a_redis_that_refuses_writes_says_why(admin: Redis) -> None:
    """With Redis's code."""
    assert try_rights(admin, KEYS, "worker").refused == ""
    admin.config_set("min-replicas-to-write", 1)
    try:
        assert try_rights(admin, KEYS, "worker").refused.startswith("NOREPLICAS ")
    finally:
        admin.config_set("min-replicas-to-write", 0)
    with user(admin, "~*", "+@all", "-set") as redis:
        assert try_rights(redis, KEYS, "worker").refused.startswith("NOPERM ")
