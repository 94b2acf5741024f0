"""Are keys built in one place, and is a job's id its order?"""

import re

import pytest

from worker.keys import CATALOGUE, JobId, Keys, lua_preamble
from worker.scripts import LIBRARY, VERBS, source


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


@pytest.mark.parametrize("text", ["", "446/BTC-USDT", "446/BTC-USDT/x1", "446/BTC-USDT/o"])
def test_what_is_no_job_id_is_refused(text: str) -> None:
    """With the text in the message."""
    with pytest.raises(ValueError, match="not a job id"):
        JobId.parse(text)


def test_lua_has_every_key_of_the_catalogue() -> None:
    """And no verb builds one by itself."""
    preamble = lua_preamble()
    assert all(f"function K.{entry.name}(" in preamble for entry in CATALOGUE)
    for verb in VERBS:
        body = source(verb).removeprefix(preamble)
        used = set(re.findall(r"K\.(\w+)", body))
        assert used <= {entry.name for entry in CATALOGUE}
        assert "KEYS[" not in re.sub(r"--.*", "", body)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_s_header_names_all_that_it_reads(verb: str) -> None:
    """Purpose, guarantee, KEYS, ARGV with every field used, return."""
    text = source(verb).rpartition(f"-- {verb}: ")[2]
    header = "\n".join(line for line in text.splitlines() if line.startswith("--") or line == text.splitlines()[0])
    assert all(word in header for word in ("Guarantee:", "KEYS[1]", "ARGV[1]", "return"))
    fields = set(re.findall(r"\binput\.(\w+)", text))
    assert {field for field in fields if not re.search(rf"\b{field}\b", header)} == set()


def test_the_library_is_complete() -> None:
    """Each shared part is loaded once, before the verb."""
    whole = source("claim")
    assert all(whole.count(f"local function {name}(") == 1 for name in ("clock", "window_used", "board", "finish"))
    assert len(LIBRARY) == len(set(LIBRARY))
