"""Tests of who calls: roles, the file of tokens, and what its faults are told as."""

import os
from pathlib import Path

import pytest

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.gateway.callers import Caller, Role, Tokens, hash_of, new_secret, read_tokens
from tests.support.door import token_file

TOKEN = '[[token]]\nname = "n"\nrole = "read"\nsha256 = "{}"\n'


def test_each_role_may_do_what_those_before_it_may() -> None:
    """Watch < read < operate < kill."""
    roles = [Role.WATCH, Role.READ, Role.OPERATE, Role.KILL]
    for place, role in enumerate(roles):
        assert [Caller("n", role).may(needed) for needed in roles] == [place >= other for other in range(4)]


def test_a_token_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    """Two of one name are two, while one takes the other's place; any other text is nobody's."""
    first, second = new_secret(), new_secret()
    path = tmp_path / "tokens"
    path.write_text("".join(TOKEN.format(hash_of(secret)) for secret in (first, second)))
    tokens = Tokens(path)
    assert tokens.caller(first) == tokens.caller(second) == Caller("n", Role.READ)
    assert [tokens.caller(text) for text in ("", first[:-1], hash_of(first), "\ud800")] == [None] * 4
    assert first not in path.read_text()


def test_a_token_that_was_taken_out_of_the_file_is_nobodys_at_once(tmp_path: Path) -> None:
    """And a file that cannot be read meanwhile changes nothing."""
    path = token_file(tmp_path / "tokens")
    tokens = Tokens(path)
    assert tokens.caller("kill") == Caller("kill", Role.KILL)
    path.write_text("[[token]\n")
    assert tokens.caller("kill") == Caller("kill", Role.KILL)
    path.write_text(TOKEN.format(hash_of("other")))
    assert (tokens.caller("kill"), tokens.caller("other")) == (None, Caller("n", Role.READ))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no [[token]]"),
        ("x", "is not TOML in UTF-8"),
        ('[[token]]\nname = "n"\nrole = "root"\nsha256 = "x"\n', "token[0].role: should be 'watch'"),
        ('[[token]]\nname = "n"\nrole = "read"\nsha256 = "x"\n', "token[0].sha256: String should match"),
        (TOKEN.format("0" * 64) + 'secret = "x"\n', "token[0].secret: is no field of this message"),
        (TOKEN.format("0" * 64) + "accounts = []\n", "token[0].accounts: names no account; leave it out"),
        (TOKEN.format("0" * 64) + 'accounts = ["!"]\n', "token[0].accounts[0]: should be an account's name"),
    ],
)
def test_a_fault_of_the_file_says_where_it_is(text: str, told: str, tmp_path: Path) -> None:
    """With the path in front."""
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        read_tokens(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As the operating system says it."""
    with pytest.raises(SettingsError, match=os.strerror(2)):
        Tokens(tmp_path / "none")
