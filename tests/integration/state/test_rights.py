"""The rights of a Redis user: which lines of OPERATING.md suffice, and that each right in them is missed without it."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest
from redis import Redis

from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.rights import _TRIALS, Role, try_rights
from tests.support.checkout import ROOT

KEYS = Keys("bc")
ROLES: tuple[Role, ...] = ("reader", "producer", "worker", "broker")


def acl(role: Role) -> list[str]:
    """The rules of this role in OPERATING.md; a worker's are also those of its broker."""
    name = "worker" if role == "broker" else role
    (line,) = re.findall(rf"^ACL SETUSER {name} on >\S+ (.+)$", (ROOT / "OPERATING.md").read_text(), re.MULTILINE)
    return str(line).split()


@pytest.fixture
def admin(redis: Redis) -> Iterator[Redis]:
    """Whose user `tried` goes with the test."""
    yield redis
    redis.acl_deluser("tried")


def user(admin: Redis, *rules: str) -> Redis:
    """A client of a user with these rights alone."""
    admin.acl_deluser("tried")
    admin.execute_command("ACL", "SETUSER", "tried", "on", ">word", *rules)  # type: ignore[no-untyped-call]
    port = admin.get_connection_kwargs()["port"]
    return Redis(port=port, username="tried", password="word", protocol=2, decode_responses=True, driver_info=None)


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


def test_every_command_of_a_verb_is_tried() -> None:
    """Within a script a refusal has no code."""
    texts = [path.read_text() for path in (files("bulk_cancel.worker.state") / "lua").iterdir() if path.is_file()]
    texts += [path.read_text() for path in (files("bulk_cancel.worker.state") / "lua" / "lib").iterdir()]
    used = {name for text in texts for name in re.findall(r"redis\.p?call\('(\w+)'", text)}
    assert used - {line.split()[0] for line in _TRIALS["worker"].split(";") if line.split()} == {"SET", "DEL"}


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
