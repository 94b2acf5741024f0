"""A test of the README: it names every call by which the simulated exchange is told what should happen."""

import re

from bulk_cancel.worker.cli.commands.exchange import exchange
from bulk_cancel.worker.simulator.control import Control
from tests.support.checkout import ROOT


def test_every_call_is_documented() -> None:
    """With its method; the help of the command names the same."""
    served = set(Control(None, None)._routes)  # type: ignore[arg-type]  # no call is made
    text = (ROOT / "README.md").read_text()
    assert {tuple(call) for call in re.findall(r"^\| `([A-Z]+) /control/([a-z/-]+)` \|", text, re.MULTILINE)} == served
    told = exchange.__doc__ or ""
    assert [name for _, name in served if name != "health" and name not in told] == []
