"""Tests of `bulk-cancel batches`: past work is found again by account, by time and by what became of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.worker.operators.past import past_batches
from tests.support.cli_desk import GOOD, Desk, set_environment


@pytest.fixture
def desk(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """Two accounts; b1 of desk1 is canceled and rejected, b2 of desk2 waits, b3 of desk1 waits."""
    set_environment(monkeypatch, {"DESK1": {}, "DESK2": {}}, REDIS_URL=redis_url)
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(GOOD)
    Path("other.csv").write_text("instId,ordId\nSOL-USDT,9\n")
    with Desk(capsys) as made:
        made("submit", "good.csv", "--account", "desk1", "--batch-id", "b1", "--reason", "limit")
        made.finish("BTC-USDT", "canceled")
        made.finish("ETH-USDT", "rejected", "51000")
        made("submit", "good.csv", "--account", "desk2", "--batch-id", "b2")
        made("submit", "other.csv", "--account", "desk1", "--batch-id", "b3")
        yield made


def found(desk: Desk, *arguments: str) -> list[str]:
    """The ids that the command prints as JSON Lines."""
    status, out, err = desk("batches", *arguments, "--json")
    assert (status, err) == (0, "")
    return [json.loads(line)["batch_id"] for line in out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ((), ["b3", "b2", "b1"]),
        (("-n", "2"), ["b3", "b2"]),
        (("--account", "desk1"), ["b3", "b1"]),
        (("--account", "DESK2"), ["b2"]),
        (("--account", "desk1", "--account", "desk2"), ["b3", "b2", "b1"]),
        (("--status", "open"), ["b3", "b2"]),
        (("--status", "complete"), ["b1"]),
        (("--status", "rejected", "--status", "filled"), ["b1"]),
        (("--status", "exhausted"), []),
        (("--since", "1h"), ["b3", "b2", "b1"]),
        (("--until", "1h"), []),
        (("--since", "2099-01-01"), []),
        (("--until", "2099-01-01T00:00Z"), ["b3", "b2", "b1"]),
    ],
)
def test_filters(desk: Desk, arguments: tuple[str, ...], ids: list[str]) -> None:
    """The newest first."""
    assert found(desk, *arguments) == ids


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--account", "desk1", "--account", "desk3"), None),
        (("--account", "desk3"), "unknown account 'desk3'; known accounts: desk1, desk2"),
        (("--since", "1m", "--until", "5m"), "--until is before --since: no batch fits"),
    ],
)
def test_what_can_fit_no_batch_is_refused(desk: Desk, arguments: tuple[str, ...], said: str | None) -> None:
    """As `retry` does; where something is found, nobody wonders."""
    status, _, err = desk("batches", *arguments)
    assert (status, err) == ((2, f"bulk-cancel: {said}\n") if said else (0, ""))


def test_people_see_what_became_of_them(desk: Desk) -> None:
    """A table, and that there are more."""
    _, out, _ = desk("batches")
    assert "1 rejected" in out
    assert "3 waiting" in out
    assert "older" not in out
    assert "older ones; --count shows more" in desk("batches", "-n", "2")[1]
    assert desk("batches", "--status", "gone")[1] == "no batch\n"


def test_a_batch_whose_submission_the_audit_has_forgotten(desk: Desk) -> None:
    """One that still waits is found all the same; the rest of its time is up."""
    desk.store.redis.delete(desk.store.keys.of("audit"))
    assert found(desk) == ["b3", "b2"]
    assert [state.batch_id for state in past_batches(desk.store)] == ["b3", "b2"]


@pytest.mark.parametrize("text", ["yesterday", "999999999d", "5", ""])
def test_a_time_that_is_none(desk: Desk, text: str) -> None:
    """What it is and what it should be."""
    status, _, err = desk("batches", "--since", text)
    assert status == 2
    assert "--since: should be a time such as 2026-02-26T10:00" in err
    assert err.endswith(f"is {text!r}\n")
