"""Is nobody let through the gate before it is open, and is everybody told once that it is?"""

from threading import Timer

import pytest
from structlog.testing import capture_logs

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.limits import Limits
from tests.support.lane_rig import credentials
from tests.support.waiting import PATIENCE_S

USERS = {uid: User(uid, (), "http://x", Limits(60, 300), 0) for uid in ("u1", "u2")}


def test_it_opens_for_each_user_by_himself() -> None:
    """And stays open."""
    gate = Gate(USERS)
    assert (gate.any_open, gate.all_open, gate.is_open("u1")) == (False, False, False)
    gate.open("u1")
    assert (gate.any_open, gate.all_open, gate.is_open("u1"), gate.is_open("u2")) == (True, False, True, False)
    gate.open("u2")
    assert gate.all_open


def test_it_is_open_when_the_first_one_is_told_and_each_is_told_once() -> None:
    """In the order in which they asked to be told."""
    gate, told = Gate(USERS), list[tuple[str, str, bool]]()
    gate.tell(lambda uid: told.append(("first", uid, gate.is_open(uid))))
    gate.tell(lambda uid: told.append(("second", uid, gate.is_open(uid))))
    gate.open("u1")
    gate.open("u1")
    assert told == [("first", "u1", True), ("second", "u1", True)]


def test_it_may_be_waited_for() -> None:
    """Not longer than one wants."""
    gate = Gate(USERS)
    assert not gate.wait("u1", 0.01)
    opening = Timer(0.02, gate.open, ["u1"])
    opening.start()
    assert gate.wait("u1", 3600)
    opening.join()


def test_how_long_it_has_been_open_is_known_of_open_ones_only() -> None:
    """Time in which nobody could read does not count."""
    gate = Gate(USERS)
    gate.open("u1")
    assert 0 <= gate.open_s("u1") < PATIENCE_S
    with pytest.raises(KeyError):
        gate.open_s("u2")


def user(uid: str, *names: str) -> User:
    """A user with these accounts."""
    return User(uid, tuple(map(credentials, names)), "http://x", Limits(60, 300), 0)


def test_who_is_not_let_in_from_here_is_left_to_others() -> None:
    """By his other account, if he has one; when it is let in again, all are told as when it opened."""
    gate, told = Gate({"u1": user("u1", "a", "b"), "u2": user("u2", "c")}), list[str]()
    gate.tell(told.append)
    gate.open("u1")
    gate.open("u2")
    with capture_logs() as lines:
        gate.bar("a", "50110 no")
        gate.bar("a", "50110 no")
    (line,) = lines
    assert (line["event"], line["account"], line["why"]) == ("account_barred_here", "a", "50110 no")
    assert (gate.is_open("u1"), [each.name for each in gate.user("u1").accounts]) == (True, ["b"])
    assert [each.name for each in gate.user("u2").accounts] == ["c"]
    gate.bar("b", "50110 no")
    gate.bar("c", "50110 no")
    assert (gate.is_open("u1"), gate.any_open, gate.all_open) == (False, False, True)
    assert {name: barred.why for name, barred in gate.barred.items()} == dict.fromkeys("abc", "50110 no")
    gate.let_in("a")
    gate.let_in("a")
    assert (gate.is_open("u1"), gate.is_open("u2"), told) == (True, False, ["u1", "u2", "u1"])
