"""Does the command line show the right words, in any width, and nothing dangerous?"""

import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from bulk_cancel.worker.cli.commands.batches import _table
from bulk_cancel.worker.cli.commands.drill import _steps
from bulk_cancel.worker.cli.screen.live import ended_words
from bulk_cancel.worker.cli.screen.output import clean, show
from bulk_cancel.worker.cli.screen.render import (
    batch_parts,
    counts_text,
    outcome_lines,
    outcome_table,
    outcomes_text,
    refused_table,
)
from bulk_cancel.worker.cli.screen.runner import snapshot_parts
from bulk_cancel.worker.okx.client import AccountConfig
from bulk_cancel.worker.operators.broker_check import queue_point
from bulk_cancel.worker.operators.check import account_point, clock_point, redis_points
from bulk_cancel.worker.operators.drill.rules import ASKED, Drill, DrillPlan, Step
from bulk_cancel.worker.operators.shapes import FIELDS, iso_us, plain, row_json, snapshot_json
from bulk_cancel.worker.state.batches import Row
from bulk_cancel.worker.state.fleet import Worker
from bulk_cancel.worker.state.refused import Entry
from bulk_cancel.worker.state.rests import Rest
from tests.support.snapshots import AT, batch, snapshot


class TestStatus:
    """The runner as a whole."""

    def test_many_lanes_are_cut_to_the_busiest(self, capsys: pytest.CaptureFixture[str]) -> None:
        """2,000 lanes: 20 lines, and how many more there are."""
        show(*snapshot_parts(snapshot(lanes=2000)))
        shown = capsys.readouterr().out
        assert shown.count("7/COIN") == 20
        assert "and 1,980 lanes more with 1,980 orders waiting; --json shows all" in shown

    def test_rests_say_why_and_until_when(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A wider scope has a line of its own, a lane's rest stands beside the lane."""
        wide = Rest("account:desk1", "50111 Invalid OK-ACCESS-KEY", AT, probing=False)
        own = Rest("lane:7/COIN0-USDT", "51028 settling", AT, probing=True)
        show(*snapshot_parts(snapshot(rests=[wide, own])))
        shown = capsys.readouterr().out
        assert "account:desk1 until" in shown
        assert "50111 Invalid OK-ACCESS-KEY" in shown
        assert "51028 settling, is being probed" in shown

    def test_no_worker_says_how_to_start_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A worker that fell silent is not alive."""
        silent = Worker("host:1", 8, 0, 64, AT, {})
        show(*snapshot_parts(replace(snapshot(), workers=[silent])))
        shown = capsys.readouterr().out
        assert "0 workers" in shown
        assert "celery -A bulk_cancel.worker worker" in shown
        assert "silent for 8 s" in shown

    def test_json_has_every_lane(self) -> None:
        """Nothing is cut for programs, and times are ISO 8601."""
        said = json.loads(json.dumps(snapshot_json(snapshot(lanes=30)), default=plain))
        assert len(said["lanes"]) == 30
        assert said["at"] == "2026-02-26T10:00:00.123Z"
        assert said["lanes"][0]["limits"] == {"single": 60, "batch": 300}

    @pytest.mark.parametrize("width", [40, 80, 120])
    def test_no_line_is_wider_than_the_terminal(self, width: int) -> None:
        """Even a very narrow one."""
        screen = Console(width=width, file=io.StringIO(), markup=False)
        with screen.capture() as captured:
            screen.print(*snapshot_parts(snapshot(lanes=30)), sep="\n")
        assert max(map(len, captured.get().splitlines())) <= width


class TestOutcomes:
    """Orders and batches."""

    def test_jsonl_has_the_fields_of_the_contract(self) -> None:
        """In that order; times ISO 8601 UTC with ms or null, empty words null."""
        said = row_json(_row())
        assert tuple(said) == FIELDS
        assert said["enqueued_at"] == "2026-02-26T10:00:00.123Z"
        assert said["finished_at"] is None
        assert said["sMsg"] is None

    def test_verbose_adds_the_attempts(self) -> None:
        """With their times in the same form."""
        said = row_json(_row(log=({"at": 1_772_100_000_123_456, "sCode": "51410", "sMsg": "m"},)), verbose=True)
        assert said["log"] == [{"at": "2026-02-26T10:00:00.123Z", "sCode": "51410", "sMsg": "m"}]

    def test_attempts_are_lines_below_their_order(self) -> None:
        """One without an answer says so."""
        row = _row(log=({"at": 1, "sCode": None, "sMsg": None},))
        lines = [str(line) for line in outcome_lines([row], verbose=True)]
        assert lines[:1] == [str(line) for line in outcome_lines([row], verbose=False)]
        assert lines[0].startswith("BTC-USDT 1  queued")
        assert lines[1].endswith("no answer")

    def test_control_characters_become_visible(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A reason can neither colour the terminal nor fake a line."""
        show(*batch_parts(batch(reason="\x1b[31mred\nline [bold]x[/bold]")))
        shown = capsys.readouterr().out
        assert "\\x1b[31mred\\nline [bold]x[/bold]" in shown

    def test_microseconds_are_cut_not_rounded(self) -> None:
        """A time never shows as later than it was."""
        assert iso_us(1_772_100_000_999_999) == "2026-02-26T10:00:00.999Z"
        assert clean("ok é") == "ok é"


class TestNeverKnown:
    """An id that the exchange never knew may be a wrong one, so it is loud."""

    def test_its_row_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        """In the table, in the lines with attempts, and in JSON."""
        row = _ended()._replace(status="gone", known=False)
        show(outcome_table([row]), *outcome_lines([row], verbose=True))
        shown = capsys.readouterr().out
        assert (shown.count("(never known)"), shown.count("gone (never known)")) == (2, 1)
        assert [row_json(row._replace(known=known))["known"] for known in (False, True, None)] == [False, True, None]
        show(outcome_table([row._replace(known=True)]))
        assert "never known" not in capsys.readouterr().out

    def test_so_do_the_counts_of_its_batch(self) -> None:
        """And only they."""
        counts = {"canceled": 2, "gone": 3}
        assert str(counts_text(counts, never_known=1)) == "2 canceled, 3 gone (1 never known)"
        assert str(counts_text(counts)) == "2 canceled, 3 gone"

    def test_partly_filled_ones_are_counted_behind_them(self) -> None:
        """With a batch, while it is waited for, and in the list of batches."""
        state = replace(batch(), partly_filled=2)
        assert str(counts_text(state.counts, partly_filled=2)) == "2 canceled, 1 rejected; 2 partly filled"
        assert ended_words(state) == "3 of 4 ended: 2 canceled, 1 rejected; 2 partly filled"
        assert str(outcomes_text(state, waiting=1)) == "2 canceled, 1 rejected, 1 waiting; 2 partly filled"


class TestPartialFills:
    """What was filled of an order shows wherever its outcome does."""

    @pytest.mark.parametrize(("filled", "parts"), [(None, 0), ("", 0), ("0", 0), ("0.00", 0), ("0.5", 1), ("10", 1)])
    def test_a_row_knows(self, filled: str | None, parts: int) -> None:
        """Null is not known, "0" is nothing; an order that is filled as a whole is no partial fill."""
        assert _ended()._replace(accFillSz=filled).partly_filled == bool(parts)
        assert not _ended()._replace(status="filled", accFillSz=filled).partly_filled

    def test_a_partial_fill_has_its_column_and_its_words(self, capsys: pytest.CaptureFixture[str]) -> None:
        """In the table, in the lines with attempts, and in JSON as the exchange wrote it."""
        row = _ended()._replace(accFillSz="0.5")
        show(outcome_table([row]), *outcome_lines([row], verbose=True))
        shown = capsys.readouterr().out
        assert re.search(r"canceled +0\.5 ", shown)
        assert "canceled, 0.5 filled" in shown
        assert [row_json(row._replace(accFillSz=filled))["accFillSz"] for filled in ("0.5", "0", None)] == [
            "0.5",
            "0",
            None,
        ]


class Terminal(io.StringIO):
    """A person's, 80 columns wide and without colours (`TERM=dumb`)."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def shown_to_a_person(monkeypatch: pytest.MonkeyPatch, made: Callable[[], RenderableType]) -> str:
    """What stands in the terminal then."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    show(made())
    return terminal.getvalue()


class TestNarrow:
    """80 columns: ids and times are whole, words fold."""

    @pytest.mark.parametrize("ids", [{"ordId": "7319042583164027010"}, {"ordId": None, "clOrdId": "a" * 32}])
    def test_an_outcome_s_id_is_whole_beside_a_long_message(
        self, monkeypatch: pytest.MonkeyPatch, ids: dict[str, str]
    ) -> None:
        """The message is not a letter wide."""
        row = _ended()._replace(instId="BTC-USD-260227-100000-C", sCode="51412", **ids)  # type: ignore[arg-type]
        row = row._replace(accFillSz="0.5", sMsg="deadline passed before it could be sent again")
        shown = shown_to_a_person(monkeypatch, lambda: outcome_table([row]))
        assert [found for found in ids.values() if found and found not in shown] == []
        assert all(word in shown for word in ("BTC-USD-260227-100000-C", "0.5 filled", "51412", "deadline", "passed"))
        assert len(shown.splitlines()) < 8
        assert max(map(len, shown.splitlines())) <= 80

    @pytest.mark.parametrize(("length", "whole"), [(32, True), (128, False)])
    def test_a_refused_batch_is_named_whole(self, monkeypatch: pytest.MonkeyPatch, length: int, whole: bool) -> None:  # noqa: FBT001
        """Nothing of a longer one is lost, either."""
        source, why = "tasks.cancel_orders", "orders.0.instId: should be an instrument such as BTC-USDT"
        entry = Entry("1-1", AT, source, "q" * length, "desk1", (why,), '{"orders": 1}', 13)
        shown = shown_to_a_person(monkeypatch, lambda: refused_table([("", entry)]))
        assert ("q" * length in shown) == whole
        assert shown.count("q") == length
        assert all(word in shown for word in (source, "desk1", "instrument"))

    @pytest.mark.parametrize(("length", "whole"), [(38, True), (128, False)])
    def test_a_past_batch_is_named_whole(self, monkeypatch: pytest.MonkeyPatch, length: int, whole: bool) -> None:  # noqa: FBT001
        """What became of it is not some letters wide: no word of it is broken."""
        counts = Counter(canceled=1_000, gone=1)
        state = replace(batch("q" * length), counts=counts, never_known=1, mass=True, reason="limit breach")
        shown = shown_to_a_person(monkeypatch, lambda: _table([("", state)]))
        assert ("q" * length in shown) == whole
        assert shown.count("q") == length
        words = ("desk1", "1,000", "canceled", "never", "known", "mass", "cancel", "limit", "breach")
        assert [word for word in words if word not in shown] == []
        assert len(shown.splitlines()) < 12
        assert max(map(len, shown.splitlines())) <= 80

    def test_a_drill_tells_the_time_of_each_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And how long after it was asked for, however many words a step has."""
        step = "20 of 20 orders told canceled by the exchange, one by one"
        drill = Drill(DrillPlan("desk1", "BTC-USDT", 20, 3.0, 60.0, "drill1", "ops"), "b1", "446")
        drill.steps += [Step(ASKED, AT), Step(step, AT + timedelta(seconds=3))]
        shown = shown_to_a_person(monkeypatch, lambda: _steps(drill))
        assert [line.split()[-3:] for line in shown.splitlines()[2:4]] == [
            ["2026-02-26T10:00:00.123Z", "0.000", "s"],
            ["2026-02-26T10:00:03.123Z", "3.000", "s"],
        ]


class TestPoints:
    """What `check` concludes."""

    @pytest.mark.parametrize(
        ("info", "levels"),
        [
            ({"aof_enabled": 1, "maxmemory": 100, "used_memory": 10}, ["ok", "ok"]),
            ({"aof_enabled": 0, "maxmemory": 0, "used_memory": 10}, ["warn", "warn"]),
            ({"aof_enabled": 1, "maxmemory": 100, "used_memory": 75}, ["ok", "warn"]),
            ({"aof_enabled": 1, "maxmemory": 100, "used_memory": 90}, ["ok", "FAIL"]),
            ({"aof_enabled": 1, "aof_last_write_status": "err", "maxmemory": 9, "used_memory": 1}, ["FAIL", "ok"]),
        ],
    )
    def test_persistence_and_memory(self, info: dict[str, object], levels: list[str]) -> None:
        """A Redis that cannot write or is nearly full FAILs."""
        assert [point.level for point in redis_points(info)] == levels

    def test_a_message_without_a_queue_is_a_warning(self) -> None:
        """It says what the producer forgot."""
        point = queue_point({"celery": 3, "urgent": 0, "cancel": 1}, "redis://x")
        assert (point.level, 'queue="cancel"' in point.mend) == ("warn", True)
        assert queue_point({"celery": 0, "urgent": 0, "cancel": 1}, "redis://x").level == "ok"

    def test_a_key_without_trade_permission_fails(self) -> None:
        """With it, the point names the User ID."""
        read_only = AccountConfig("446", ("read_only",), ())
        assert account_point("account a", read_only).level == "FAIL"
        both = AccountConfig("446", ("read_only", "trade"), ("10.0.0.1",))
        assert "User ID 446" in account_point("account a", both).text

    def test_a_key_that_may_withdraw_is_a_warning(self) -> None:
        """It may do its work all the same."""
        point = account_point("account a", AccountConfig("446", ("read_only", "withdraw", "trade"), ()))
        assert (point.level, "may withdraw funds" in point.text) == ("warn", True)

    def test_a_clock_far_off_is_a_warning(self) -> None:
        """In either direction."""
        assert [clock_point("u", offset).level for offset in (0.2, -1.5, 3)] == ["ok", "warn", "warn"]


def _ended() -> Row:
    return _row()._replace(status="canceled", attempts=1)


def _row(log: tuple[dict[str, object], ...] = ()) -> Row:
    enqueued = round(AT.timestamp() * 1e6)
    return Row("b1", "desk1", "BTC-USDT", "1", None, "queued", None, "", 0, enqueued, None, None, None, 0, log)
