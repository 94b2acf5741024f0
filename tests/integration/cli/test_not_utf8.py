"""Text of a command line or the environment that is no UTF-8: refused before anything is done, by name."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.worker.operators.audit import Audit
from tests.support.cli_desk import GOOD, Desk, set_environment

CAFE = "caf\udce9"
"""As Python has the bytes of `café` in Latin-1."""


@pytest.fixture
def desk(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """A desk without workers."""
    set_environment(monkeypatch, {"DESK1": {}}, REDIS_URL=redis_url)
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(GOOD)
    with Desk(capsys) as made:
        yield made


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("pause", "desk1", "--by", CAFE), "--by"),
        (("pause", CAFE), "ACCOUNT|LANE"),
        (("resume", f"desk1/{CAFE}"), "ACCOUNT|LANE"),
        (("withdraw", CAFE), "BATCH"),
        (("withdraw", "--account", "desk1", "--account", CAFE, "--yes"), "--account"),
        (("retry", "b", "--reason", CAFE), "--reason"),
        (("retry", "--inst-id", CAFE, "--yes"), "--inst-id"),
        (("release", "m", CAFE), "ID"),
        (("disown", CAFE), "ACCOUNT|UID"),
        (("status", CAFE), "BATCH"),
        (("outcomes", CAFE, "--follow"), "BATCH"),
        (("audit", CAFE), "BATCH"),
        (("formats", "--raise", "--by", CAFE), "--by"),
        (("all", "--account", "desk1", "--batch-id", CAFE), "--batch-id"),
        (("submit", "good.csv", "--account", "desk1", "--requested-by", CAFE), "--by"),
        (("submit", "good.csv", "--account", "desk1", "--label", f"desk={CAFE}"), "--label"),
        (("drill", "--embedded", "--by", CAFE), "--by"),
        (("gateway", "--new-token", CAFE), "--new-token"),
    ],
)
def test_a_value_that_is_no_utf_8_is_named(desk: Desk, arguments: tuple[str, ...], where: str) -> None:
    """What and where, with the way to mend it; nothing is decided."""
    value = next(each for each in arguments if CAFE in each)
    mend = "give it in UTF-8, or without such letters"
    told = f"bulk-cancel: {where}: should be text in UTF-8; is {value!r}: {mend}\n"
    assert desk(*arguments) == (2, "", told)
    assert Audit(desk.store).newest(1) == []


def test_a_file_may_have_any_name(desk: Desk) -> None:
    """It is bytes to the system."""
    Path(f"{CAFE}.csv").write_text(GOOD)
    status, out, err = desk("submit", f"{CAFE}.csv", "--account", "desk1", "--batch-id", "b", "--by", "ann")
    assert (status, out.partition(",")[0]) == (0, "batch b: 3 orders in 2 lanes")
    assert "no worker is alive" in err


def test_ones_own_name_is_no_utf_8(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gave one: how to do so is said."""
    monkeypatch.setenv("LOGNAME", CAFE)
    whole = "should be whole characters; it holds half of a surrogate pair"
    told = f"bulk-cancel: --by: {whole}; is {f'{CAFE}@{socket.gethostname()}'!r}, your own name: give one with --by\n"
    assert desk("pause", "desk1") == (2, "", told)
    assert desk("pause", "desk1", "--by", "ann")[0] == 0


def test_bytes_of_another_encoding_are_refused_as_a_shell_gives_them(desk: Desk) -> None:  # noqa: ARG001 (its environment)
    """As arguments of a process, in a locale of UTF-8."""
    command: list[str | bytes] = [
        sys.executable,
        "-m",
        "bulk_cancel.worker.cli",
        "pause",
        "desk1",
        "--by",
        "café".encode("latin-1"),
    ]
    done = subprocess.run(command, env={**os.environ, "LC_ALL": "C.UTF-8"}, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(rb"bulk-cancel: --by: should be text in UTF-8; is 'caf\udce9'")
