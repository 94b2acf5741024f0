"""Tests of `worker/cli/JSON.md`: what each command prints with `--json` has the shape that the page shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.cli_desk import GOOD, Desk
from tests.support.json_shapes import EXAMPLES, misfits

IN_OTHER_TESTS = {"drill/1", "demo/1", "disown/1"}


@pytest.fixture
def desk(exchange_desk: Desk, exchange: Simulator) -> Desk:
    """A desk with files, whose account has two open orders."""
    Path("good.csv").write_text(GOOD)
    Path("bad.csv").write_text("instId,ordId\nBTC-USDT,8\nnope,1\n")
    Path("none.json").write_text("[]")
    exchange.control.place(DEFAULT_KEY.uid, "BTC-USDT", 2)
    return exchange_desk


def test_every_shape(desk: Desk) -> None:
    """One after another, on a runner in which something of everything has happened."""
    seen: dict[str, int] = {}

    def fits(*arguments: str) -> None:
        _, out, err = desk(*arguments, "--json")
        # the parts' log is on stdout here, as nothing of a program; a process has it on stderr, and silent
        for line in (each for each in (out or err).splitlines() if each.startswith("{")):
            printed: dict[str, Any] = json.loads(line)
            assert misfits(printed) == []
            seen[printed["schema"]] = seen.get(printed["schema"], 0) + 1

    submit = ("--account", "desk1", "--batch-id", "b1", "--label", "a=1")
    fits("submit", "good.csv", *submit)
    fits("submit", "none.json", "--account", "desk1")
    fits("submit", "bad.csv", "--account", "desk1", "--skip-bad")
    desk.worker_reports()
    fits("pause", "desk1/BTC-USDT", "--reason", "test")
    fits("status")
    fits("status", "b1")
    fits("outcomes", "b1")
    fits("resume", "desk1/BTC-USDT")
    desk.finish("BTC-USDT", "canceled")
    desk.finish("ETH-USDT", "rejected", "51000")
    fits("submit", "good.csv", *submit, "--wait")
    fits("outcomes", "b1", "--verbose")
    fits("retry", "b1")
    fits("withdraw", "b1")
    fits("retry", "--account", "desk1", "--yes")
    fits("withdraw", "--account", "desk1", "--yes")
    fits("all", "--account", "desk1", "--until-flat", "1", "--batch-id", "m1", "--timeout", "0.01")
    fits("status", "m1")
    fits("all", "--account", "desk1", "--hold", "--batch-id", "m2", "--timeout", "0.01")
    fits("release", "m2")
    fits("all", "--account", "desk1", "--dry-run")
    fits("batches")
    fits("audit")
    fits("audit", "b1")
    fits("refused")
    fits("check")
    fits("formats")
    fits("status", "nope")
    assert seen.keys() == EXAMPLES.keys() - IN_OTHER_TESTS
    assert seen["open-order/1"] == 2


def test_a_misfit_is_found() -> None:
    """A name more or less, or another kind of value, at any depth."""
    example = EXAMPLES["resume/1"]
    assert misfits(example) == []
    assert misfits({**example, "new": 1}) == ["resume/1.new"]
    assert misfits({**example, "scope": 1}) == ["resume/1.scope: 1"]
    assert misfits({**example, "ended": [{**example["ended"][0], "by": 7}]}) == ["resume/1.ended.by: 7"]
    assert misfits({name: value for name, value in example.items() if name != "ended"}) == ["resume/1.ended"]
