"""Tests of what a caller is shown of several shards."""

from dataclasses import replace

from bulk_cancel.worker.gateway.callers import Caller, Role
from bulk_cancel.worker.gateway.sight import Sight
from tests.support.snapshots import snapshot


def test_a_sum_of_which_a_part_is_not_known_is_not_known() -> None:
    """To a token for some accounts; the others of its sums are told."""
    shards = {"a": snapshot(), "b": replace(snapshot(), refused=1)}
    own = Sight(Caller("n", Role.WATCH, frozenset({"desk1"}))).standing(shards, {})
    assert (own["refused"], own["may_be_live"], own["batches_waiting"]) == (None, 0, 2)
    assert [part["refused"] for part in own["shards"]] == [0, None]
    assert Sight(Caller("n", Role.WATCH)).standing(shards, {})["refused"] == 1


def test_an_order_that_two_accounts_of_a_user_share_is_not_known_to_be_anothers() -> None:
    """Whoever asked for it first gave it up: the other one's order may be live, too."""
    accounts = {"desk1": "446", "desk2": "446", "desk3": "447"}
    given_up = replace(snapshot(), may_be_live=1, given_up=["desk1"], accounts=accounts)
    told = {name: Sight(Caller("n", Role.READ, frozenset({name}))).status(given_up)["may_be_live"] for name in accounts}
    assert told == {"desk1": 1, "desk2": None, "desk3": 0}
