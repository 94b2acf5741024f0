"""What `formats` shows of releases and what stands in Redis, and the step up by one release that reads more."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.worker.alerts.alerts import Condition
from bulk_cancel.worker.cli import context
from bulk_cancel.worker.state.formats import Formats, Reads
from bulk_cancel.worker.state.store import open_store
from tests.support.cli_desk import GOOD, Desk, set_environment
from tests.support.json_shapes import misfits

UNREADABLE = "the runner's state in Redis has format 2, this reads 1: start a release that reads 2"
NEXT: Formats = {"exchange": Reads(1, 1), "runner": Reads(1, 2)}


@pytest.fixture
def desk(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """A command line of a release that reads one more format of the runner's state."""
    set_environment(monkeypatch, {"DESK1": {}}, REDIS_URL=redis_url)
    monkeypatch.chdir(tmp_path)
    with Desk(capsys) as made:
        monkeypatch.setattr(context, "open_store", lambda settings: open_store(settings, NEXT))
        yield made


def test_nothing_is_raised_unasked(desk: Desk) -> None:
    """What is marked, what the command reads, and what each worker reads."""
    desk.worker_reports()
    status, out, _ = desk("formats")
    rows = [line.split() for line in out.splitlines()]
    assert status == 0
    assert ["marked", "in", "Redis", "1", "1"] in rows
    assert ["this", "command", "reads", "1", "1", "to", "2"] in rows
    assert ["host:1", "1.0", "1", "1"] in rows


def test_an_old_worker_holds_a_raise_back(desk: Desk) -> None:
    """It is named, the exit status is 1, and nothing has changed."""
    desk.worker_reports()
    status, out, _ = desk("formats", "--raise", "--json")
    said = json.loads(out)
    assert (status, misfits(said)) == (1, [])
    assert said["raised"] == [{"kind": "runner", "before": 1, "format": 1, "changed": False, "blockers": ["host:1"]}]
    assert "runner: still 1, older releases are at work: host:1" in desk("formats", "--raise")[1]


def test_a_raise_is_seen_by_all(desk: Desk) -> None:
    """With who and why in the audit; `check` had said that it can be done, and `status` shows it."""
    assert "warn formats: exchange 1 (this release reads 1), runner 1 (this release reads 1 to 2)" in desk("check")[1]
    status, out, _ = desk("formats", "--raise", "--by", "ann", "--reason", "all on 1.2")
    assert (status, out.splitlines()[0]) == (0, "runner: 1 → 2")
    assert desk.json("status")["formats"] == {"exchange": 1, "runner": 2}
    assert "format      runner's state: 1 → 2; by ann: all on 1.2" in desk("audit")[1]
    assert desk("formats", "--raise")[0] == 0


def test_a_release_that_cannot_read_it_says_so_and_does_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` FAILs, whatever else is well; a command that would act refuses."""
    desk("formats", "--raise")
    monkeypatch.setattr(context, "open_store", open_store)
    assert "FAIL formats: exchange 1 (this release reads 1), runner 2 (this release reads 1)" in desk("check")[1]
    status, _, err = desk("pause", "desk1")
    assert (status, err) == (2, f"bulk-cancel: {UNREADABLE}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "b"),
        ("outcomes", "b"),
        ("batches",),
        ("audit",),
        ("refused",),
        ("retry", "b"),
        ("retry", "--account", "desk1", "--yes"),
        ("withdraw", "--account", "desk1", "--yes"),
    ],
)
def test_it_tells_of_nothing_that_it_cannot_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """It might mistake what waits for what has ended, or find nothing where something is."""
    Path("good.csv").write_text(GOOD)
    assert desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b")[0] == 0
    desk("formats", "--raise")
    monkeypatch.setattr(context, "open_store", open_store)
    assert desk(*arguments) == (2, "", f"bulk-cancel: {UNREADABLE}\n")


def test_no_condition_is_well_that_cannot_be_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named as not asked for."""
    desk("formats", "--raise")
    monkeypatch.setattr(context, "open_store", open_store)
    points = {point["name"]: point for point in json.loads(desk("check", "--json")[1])["points"]}
    for name in ("lanes", *set(Condition) - {Condition.REDIS_LOST}):
        assert (points[name]["level"], points[name]["text"]) == ("warn", f"not asked: {UNREADABLE}")
