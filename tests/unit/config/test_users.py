"""Whose limits and endpoints do the lanes of one User ID have, as the settings say?"""

import pytest

from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import User, users_of
from bulk_cancel.worker.okx.limits import Limits


def users(**accounts: dict[str, object]) -> dict[str, User]:
    """The users of accounts that are set so, each with credentials."""
    secrets = {"api_key": "k", "api_secret": "s", "passphrase": "p"}
    given = {name: secrets | fields for name, fields in accounts.items()}
    return users_of(Settings(accounts=given))


def test_a_user_is_all_accounts_of_one_uid() -> None:
    """Each account sends for the same lanes, with the exchange's whole limits and both endpoints."""
    found = users(desk1={"uid": "7"}, desk2={"uid": "7"}, other={})
    assert {uid: [account.name for account in user.accounts] for uid, user in found.items()} == {
        "7": ["desk1", "desk2"],
        "other": ["other"],
    }
    assert {(user.limits, user.batch_size) for user in found.values()} == {(Limits(single=60, batch=300), 20)}


@pytest.mark.parametrize("single", ["desk1", "desk2"])
def test_one_account_s_single_endpoint_is_that_of_all_its_user_s_lanes(single: str) -> None:
    """Whichever of the two has it: any of them may send what the lanes hold. Other users keep both endpoints."""
    accounts: dict[str, dict[str, object]] = {"desk1": {"uid": "7"}, "desk2": {"uid": "7"}, "other": {"uid": "8"}}
    accounts[single] |= {"endpoints": "single"}
    assert {uid: user.batch_size for uid, user in users(**accounts).items()} == {"7": 0, "8": 20}


@pytest.mark.parametrize(
    ("share", "limits", "batch_size"),
    [
        (0.5, Limits(30, 150), 20),
        (2 / 300, Limits(1, 2), 20),
        (1.99 / 300, Limits(1, 1), 0),
        (0.001, Limits(1, 0), 0),
    ],
)
def test_a_share_of_fewer_than_two_batch_slots_leaves_the_single_endpoint(
    share: float, limits: Limits, batch_size: int
) -> None:
    """A batch request has two orders at least; one request of the single meter is always ours."""
    (user,) = users(desk1={"share": share}).values()
    assert (user.limits, user.batch_size) == (limits, batch_size)
