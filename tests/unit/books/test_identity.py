"""Are accounts that the settings keep apart, or join, found out before anything is sent?"""

from bulk_cancel.worker.books.identity import conflicts
from bulk_cancel.worker.config.users import User, fingerprint
from bulk_cancel.worker.okx.limits import Limits
from tests.support.lane_rig import credentials


def users(**uids: str) -> dict[str, User]:
    """Accounts by name, each with its UID setting."""
    found: dict[str, User] = {}
    for name, uid in uids.items():
        before = found[uid].accounts if uid in found else ()
        found[uid] = User(uid, (*before, credentials(name)), "http://x", Limits(60, 300), 20)
    return found


def test_what_fits_is_no_conflict() -> None:
    """A uid setting may be a label; accounts that share one may be one user."""
    assert conflicts(users(a="a", b="desk", c="desk"), {"a": "1", "b": "2", "c": "2"}) == []


def test_two_settings_for_one_user_are_named() -> None:
    """They would use the same meter without knowing of each other."""
    found = conflicts(users(a="a", b="b", c="c"), {"a": "1", "b": "1", "c": "2"})
    assert [conflict.accounts for conflict in found] == [("a", "b")]
    assert "accounts a, b are one User ID (1)" in found[0].text


def test_one_setting_for_two_users_is_named() -> None:
    """One account's credentials cannot cancel the other's orders."""
    found = conflicts(users(a="desk", b="desk"), {"a": "1", "b": "2"})
    assert [conflict.accounts for conflict in found] == [("a", "b")]
    assert "different users" in found[0].text


def test_a_number_that_is_not_the_exchange_s_is_named() -> None:
    """With both numbers."""
    found = conflicts(users(a="123"), {"a": "456"})
    assert found[0].text == "account a has UID 123, but the exchange says 456; correct the setting"


def test_accounts_not_asked_yet_are_left_out() -> None:
    """They are not sent for either."""
    assert conflicts(users(a="a", b="b"), {"a": "1"}) == []


def test_a_fingerprint_shows_no_key() -> None:
    """Sixteen hex digits, another for another key."""
    mark = fingerprint(credentials("a"))
    assert len(mark) == 16
    assert "key" not in mark
