"""Tests of the tree of errors: it is drawn as it is, no error of ours stands beside it, and it needs no worker."""

import pickle
import re
import subprocess
import sys
from typing import Final

import pytest

from bulk_cancel.tasks import errors, messages, submit, submit_all
from bulk_cancel.tasks.errors import BulkCancelError, InvalidOrders, SettingsError, UnknownAccountError
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.operators.targets import UnknownLaneError
from bulk_cancel.worker.state.batches import UnknownBatchError
from tests.support.class_tree import subclasses

HERE: Final = errors.__name__
SIMULATOR: Final = "bulk_cancel.worker.simulator."
NEVER_LEAVE_A_WORKER: Final = {
    "FramingError": "a call's bytes are not as they should be; its client makes an ExchangeError of it",
    "LoginRefused": "the private channel is opened again later",
    "MassEnded": "who lists is told to stop",
    "NotNowError": "the message comes again later",
    "Outdated": "a listing that may count begins at once",
    "ReadingStopped": "the process ends",
    "SessionOver": "the private channel is opened again",
    "TwiceError": "the file or the request is refused, with the name",
    "WebhookError": "the alert is sent again, or is a problem that `status` shows",
    "_TwiceError": "the message is kept as refused",
    "_UnreadableError": "the message is kept as refused",
}
"""Errors by which parts of one process speak to each other, and what becomes of each."""

LINE: Final = re.compile(r" {4}((?:[│ ] {3})*(?:[├└]── )?)(\w+)(?: \((\w+)\))?(?: +([\w.]+))?")
Drawn = tuple[str, str, str, str]


def drawn() -> list[Drawn]:
    """Each class of the docstring's tree: its name, the one above it, its other base, and the module elsewhere."""
    found: list[Drawn] = []
    above: list[str] = []
    for line in (errors.__doc__ or "").split("\n\n")[1].splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        branch, name, base, module = match.groups(default="")
        above[len(branch) // 4 :] = [name]
        found.append((name, above[-2] if len(above) > 1 else "", base, module))
    return found


def real(kind: type[BulkCancelError]) -> Drawn:
    """The same of a class."""
    above, *others = kind.__bases__
    module = "" if kind.__module__ == HERE else kind.__module__.removeprefix("bulk_cancel.")
    return kind.__name__, above.__name__, ", ".join(base.__name__ for base in others), module


def test_the_tree_is_drawn_as_it_is() -> None:
    """Every class once, with what it derives from and where it is defined."""
    root, *others = drawn()
    assert root == ("BulkCancelError", "", "", "")
    assert sorted(others) == sorted(map(real, subclasses(BulkCancelError)))


def test_every_error_of_ours_has_a_place() -> None:
    """In the tree, in the exchange's, in the simulator, which knows nothing of ours, or within one worker."""
    roots = (BulkCancelError, ExchangeError)
    beside = [kind for kind in subclasses(Exception) if not issubclass(kind, roots)]
    assert {kind.__name__ for kind in beside if not kind.__module__.startswith(SIMULATOR)} == set(NEVER_LEAVE_A_WORKER)


@pytest.mark.parametrize("kind", subclasses(BulkCancelError), ids=lambda kind: kind.__name__)
def test_its_text_is_its_message(kind: type[BulkCancelError]) -> None:
    """A second base such as KeyError would put it into quotes."""
    assert str(kind.__new__(kind, "what is wrong\nand where")) == "what is wrong\nand where"


@pytest.mark.parametrize(
    "error",
    [
        InvalidOrders(["orders[0]: a", "orders[1]: b"]),
        UnknownAccountError("desk9", ["desk1"]),
        UnknownBatchError("b"),
        UnknownLaneError("u/X", ["u/Y"]),
        SettingsError("two\nlines"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_it_comes_through_a_pool_of_processes(error: BulkCancelError) -> None:
    """A producer that submits in another process gets the refusal, not an error about it."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_producer_catches_a_refusal_by_the_root() -> None:
    """Or by what it caught before there was one."""
    for ask in (lambda: submit([{"instId": "nope"}], account="desk1"), lambda: submit_all("desk1", side="long")):
        for kind in (BulkCancelError, InvalidOrders, ValueError):
            with pytest.raises(kind):
                ask()
    assert messages.InvalidOrders is InvalidOrders


def test_catching_them_needs_nothing_of_the_worker() -> None:
    """Those that a producer meets are defined here."""
    code = "import sys, bulk_cancel.tasks.errors; sys.exit('bulk_cancel.worker' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
