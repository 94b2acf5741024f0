"""Are keys built in one place, and is a job's id its order?"""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.keys import CATALOGUE, Keys, lua_inlined, lua_preamble
from bulk_cancel.worker.state.scripts import LIBRARY, VERBS, source


def test_every_key_carries_the_prefix_unless_it_is_the_exchange_s() -> None:
    """Windows and the clock are shared by all runners on one Redis."""
    keys = Keys("desk")
    assert keys.of("job", "u/BTC-USDT/o1") == "desk:job:u/BTC-USDT/o1"
    assert keys.of("bell") == "desk:bell"
    assert keys.of("window", "u/BTC-USDT:single") == "bulk-cancel:window:u/BTC-USDT:single"


def test_a_key_is_asked_for_with_its_id_and_only_then() -> None:
    """A forgotten id would name another key."""
    with pytest.raises(ValueError, match="'job': needs an id"):
        Keys("p").of("job")
    with pytest.raises(ValueError, match="'bell': takes no id"):
        Keys("p").of("bell", "x")


@pytest.mark.parametrize("text", ["446/BTC-USDT/o2510789768709120", "d-1/BTC-USD-191227-12500.5-C/cdesk1a77"])
def test_a_job_id_reads_back(text: str) -> None:
    """Whatever the id's kind."""
    assert str(JobId.parse(text)) == text


@pytest.mark.parametrize("text", ["", "446/BTC-USDT", "446/BTC-USDT/x1", "446/BTC-USDT/o", "446/BTC-USDT/o1\n"])
def test_what_is_no_job_id_is_refused(text: str) -> None:
    """With the text in the message."""
    with pytest.raises(ValueError, match="not a job id"):
        JobId.parse(text)


def test_lua_has_every_key_of_the_catalogue() -> None:
    """As functions where they are named without a call, and those that a verb so names alone."""
    body = "\n".join(f"K.{entry.name}" for entry in CATALOGUE)
    assert lua_preamble(body).count("function K.") == len(CATALOGUE)
    assert lua_preamble("pairs(K.bell)").count("function K.") == 1
    assert lua_preamble("now") == ""


@pytest.mark.parametrize(
    ("call", "key"),
    [
        ("K.bell()", "(KEYS[1] .. ':bell')"),
        ("K.ready(lane) == K.later(lane)", "(KEYS[1] .. ':ready:' .. lane) == (KEYS[1] .. ':later:' .. lane)"),
        ("K.window(done.lane .. ':single')", "('bulk-cancel:window:' .. done.lane .. ':single')"),
        ("K.unconfirmed(uid_of(lane))", "(KEYS[1] .. ':unconfirmed:' .. uid_of(lane))"),
    ],
)
def test_a_key_stands_in_the_place_of_its_call(call: str, key: str) -> None:
    """So that no function is made for it."""
    assert lua_inlined(call) == key


def test_no_verb_calls_a_key_that_was_not_put_in_its_place() -> None:
    """The rest of what stands there are functions of the catalogue."""
    for verb in VERBS:
        body = re.sub(r"^(local K =|function K\.).*\n|--.*", "", source(verb), flags=re.MULTILINE)
        assert set(re.findall(r"K\.(\w+)", body)) <= {entry.name for entry in CATALOGUE}
        assert not re.findall(r"K\.\w+\(", body)


def test_the_catalogue_names_writers_that_are_there() -> None:
    """Verbs, parts of their library, or modules."""
    worker = Path(str(files("bulk_cancel.worker.state"))).parent
    known = {*VERBS, *LIBRARY, *(module.stem for module in worker.rglob("*.py")), "all verbs"}
    named = {name.removeprefix("the ") for entry in CATALOGUE for name in entry.writers.split(", ")}
    assert named - known == set()
