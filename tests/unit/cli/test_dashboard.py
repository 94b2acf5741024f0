"""Tests of `status --watch`: what matters most is on the screen, whatever its size."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, Group

from bulk_cancel.worker.cli.screen import live, output
from bulk_cancel.worker.cli.screen.dashboard import dashboard_parts, snapshot_line
from bulk_cancel.worker.operators.status import Snapshot
from bulk_cancel.worker.state.rests import Rest
from tests.support.snapshots import AT, snapshot


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)


@pytest.mark.usefixtures("_terminal")
class TestScreen:
    """Head and rests, batches, workers; lanes fill what is left."""

    def test_an_ordinary_terminal_shows_batches_rests_and_workers(self) -> None:
        """However many lanes there are, which fill the screen to its last line."""
        rest = Rest("account:desk1", "50111 Invalid OK-ACCESS-KEY", AT)
        lines = _shown(snapshot(lanes=2000, batches=3, workers=2, rests=[rest]), 80, 24)
        assert len(lines) == 24
        shown = "\n".join(lines)
        assert [name in shown for name in ("batch0", "batch2", "w0:1", "w1:1", "account:desk1 until")] == [True] * 5
        assert lines[-1].startswith("and 1,99")

    def test_a_batch_shows_how_far_it_is_and_how_long_it_has(self) -> None:
        """As a bar, as a share, and as the time until its deadline."""
        line = next(line for line in _shown(snapshot(batches=1), 80, 24) if line.startswith("batch0"))
        assert line.split() == ["batch0", "━━━━━━", "75%", "1", "1", "14:03", "desk1", "limit"]

    @pytest.mark.parametrize("size", [(80, 24), (40, 10), (60, 15), (120, 50), (30, 5)])
    @pytest.mark.parametrize("batches", [0, 1, 20])
    @pytest.mark.parametrize("workers", [0, 2, 40])
    def test_it_never_outgrows_the_screen(self, size: tuple[int, int], batches: int, workers: int) -> None:
        """In either direction, also with rests whose reasons fold."""
        rests = [Rest(f"account:desk{number}", "a long reason " * 9, AT) for number in range(9)]
        width, height = size
        lines = _shown(snapshot(lanes=300, batches=batches, workers=workers, rests=rests), width, height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width

    def test_workers_with_problems_come_first(self) -> None:
        """Where there is no room for all, the ones to look at are seen."""
        shown = snapshot(workers=40)
        sick = replace(shown.workers[39], problems={"desk1": "no connection"})
        silent = replace(shown.workers[38], late_s=60)
        lines = _shown(replace(shown, workers=[*shown.workers[:38], silent, sick]), 80, 24)
        assert [line.split()[0] for line in lines if line.startswith("w")][1:3] == ["w38:1", "w39:1"]

    @pytest.mark.parametrize(("left_s", "words"), [(59, "0:59"), (3723, "1:02:03"), (-1, "passed")])
    def test_the_time_left_is_a_clock(self, left_s: int, words: str) -> None:
        """Minutes and seconds, hours where there are some."""
        shown = snapshot(batches=1)
        batch = replace(shown.batches[0], deadline_at=AT + timedelta(seconds=left_s))
        assert words in "\n".join(_shown(replace(shown, batches=[batch]), 80, 24))


class TestFile:
    """Without a terminal: a line a second."""

    def test_a_value_is_a_line_at_most_once_a_second(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With its time; the last one is drawn as a whole."""
        assert live.LINE_S == 1.0
        monkeypatch.setattr(live, "LINE_S", 60.0)  # however long these take
        live.watch(
            [1, 2, 3], draw=lambda value: [f"whole {value}"], line="value {}".format, tell=lambda _: {}, as_json=False
        )
        first, whole = capsys.readouterr().out.splitlines()
        assert (first[-10:], first[10], whole) == ("Z  value 1", "T", "whole 3")

    def test_every_second_has_its_line(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also when nothing changed: a log that stands still would say that nobody looks."""
        monkeypatch.setattr(live, "LINE_S", 0.0)
        live.watch([1, 1, 1], draw=lambda _: [], line="value {}".format, tell=lambda _: {}, as_json=False)
        assert capsys.readouterr().out.count("value 1") == 3

    def test_the_runner_in_one_line(self) -> None:
        """With what rests and why."""
        rest = Rest("account:desk1", "50111\nInvalid", AT, probing=True)
        line = snapshot_line(snapshot(lanes=2, batches=1, workers=2, rests=[rest]))
        assert line.startswith("2 workers; 2 orders waiting; 1 open batch; ended: 10 accepted; account:desk1 50111\\n")


def _shown(of: Snapshot, width: int, height: int) -> list[str]:
    screen = Console(width=width, height=height, file=io.StringIO(), markup=False)
    with screen.capture() as captured:
        screen.print(Group(*dashboard_parts(of, screen)))
    return captured.get().splitlines()
