"""The one list of what a job may be, and that Lua knows no other."""

import re
from importlib.resources import files

import pytest

from bulk_cancel.worker.state.scripts import VERBS, source
from bulk_cancel.worker.state.statuses import OUTCOMES, Again, Status, lua_preamble, row_ended

_NAMED = re.compile(r"\b(?:status|state|believed)(?: =| ==| ~=) '(\w*)'")
_OF_MASS_CANCELS = {"running", "done", "flat"}


def test_whatever_goes_again_had_ended() -> None:
    """And a row ends in an outcome."""
    assert {*Again} < {*OUTCOMES} < {*Status}
    assert len(set(OUTCOMES)) == len(OUTCOMES)


def test_lua_gets_the_sets_that_it_uses() -> None:
    """And no others: each costs time at each run."""
    assert lua_preamble("x = DECIDED[state]") == "local DECIDED = { rejected = true, withdrawn = true }\n"
    assert lua_preamble("x = UNDECIDED[state]") == ""


def test_a_row_tells_whether_it_ended() -> None:
    """As the verbs write it."""
    assert not row_ended("0 1700000000000000 x1")
    assert row_ended('{"n":0}')


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_names_no_other_status(verb: str) -> None:
    """One that is misspelt would be written, and found by nobody."""
    assert set(_NAMED.findall(source(verb))) <= {*Status, *_OF_MASS_CANCELS}


def test_a_live_job_s_state_names_where_it_stands() -> None:
    """Each that the mover knows is a status."""
    mover = (files("bulk_cancel.worker.state") / "lua" / "lib" / "mover.lua").read_text("utf-8")
    (places,) = re.findall(r"^local ZSET = \{(.*)\}", mover, re.MULTILINE)
    assert set(re.findall(r"(\w+) = ", places)) == {Status.QUEUED, Status.RETRYING, Status.SENDING, Status.ACCEPTED}
