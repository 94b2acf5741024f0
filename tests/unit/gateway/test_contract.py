"""Tests of `worker/gateway/openapi.json`: it is what the door does, in the words of the command line."""

import re
from typing import Any, Final

import pytest

from bulk_cancel.worker.cli.app import COMMANDS
from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.gateway.app import contract, make_api
from bulk_cancel.worker.gateway.problems import KINDS
from bulk_cancel.worker.state.shards import Shards
from tests.support.contract import FILE, OPERATIONS

THINGS: Final = {"accounts", "lanes", "session", "alive", "ready", "events", "metrics", "find"}
"""What is asked about here and is no command."""


def test_the_committed_contract_is_the_one_that_is_served() -> None:
    """After a change: `python -m bulk_cancel.worker.gateway.contract` writes it anew."""
    assert FILE.read_text() == contract(make_api(Shards(load_settings()), None))


@pytest.mark.parametrize(("name", "said"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_an_operation_is_called_as_the_command_is(name: str, said: dict[str, Any]) -> None:
    """Its id begins with the command's name; and it says what it does."""
    del name
    assert said["operationId"].partition("_")[0] in {*COMMANDS, *THINGS}
    assert said["summary"]


def test_operation_ids_are_unique() -> None:
    """Generated clients name their functions by them."""
    ids = [said["operationId"] for _, said in OPERATIONS]
    assert len({*ids}) == len(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_problem_is_named_in_words_that_stay(kind: str) -> None:
    """Its status is one that some operation documents, or every server may give."""
    status, title = KINDS[kind]
    assert re.fullmatch("[a-z]+(-[a-z]+)*", kind)
    assert title
    documented = {int(code) for _, said in OPERATIONS for code in said["responses"]}
    assert status in documented | {405, 500}
