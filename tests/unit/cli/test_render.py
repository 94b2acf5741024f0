"""Does the command line show the right words, in any width, and nothing dangerous?"""

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from bulk_cancel.worker.cli.screen.output import clean, iso_us, plain, show
from bulk_cancel.worker.cli.screen.render import FIELDS, batch_parts, outcome_lines, outcome_table, row_json
from bulk_cancel.worker.cli.screen.runner import snapshot_json, snapshot_parts
from bulk_cancel.worker.okx.client import AccountConfig
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.operators.broker_check import queue_point
from bulk_cancel.worker.operators.check import account_point, clock_point, redis_points
from bulk_cancel.worker.operators.status import Lane, Snapshot
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.fleet import Worker
from bulk_cancel.worker.state.rests import Rest

AT = datetime(2026, 2, 26, 10, 0, 0, 123456, tzinfo=UTC)


class TestStatus:
    """The runner as a whole."""

    def test_many_lanes_are_cut_to_the_busiest(self, capsys: pytest.CaptureFixture[str]) -> None:
        """2,000 lanes: 20 lines, and how many more there are."""
        show(*snapshot_parts(_snapshot(lanes=2000)))
        shown = capsys.readouterr().out
        assert shown.count("7/COIN") == 20
        assert "and 1,980 lanes more with 1,980 orders waiting; --json shows all" in shown

    def test_rests_say_why_and_until_when(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A wider scope has a line of its own, a lane's rest stands beside the lane."""
        wide = Rest("account:desk1", "50111 Invalid OK-ACCESS-KEY", AT, probing=False)
        own = Rest("lane:7/COIN0-USDT", "51028 settling", AT, probing=True)
        show(*snapshot_parts(_snapshot(rests=[wide, own])))
        shown = capsys.readouterr().out
        assert "account:desk1 until" in shown
        assert "50111 Invalid OK-ACCESS-KEY" in shown
        assert "51028 settling, is being probed" in shown

    def test_no_worker_says_how_to_start_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A worker that fell silent is not alive."""
        silent = Worker("host:1", 8, 0, 64, AT, {})
        show(*snapshot_parts(_snapshot(workers=[silent])))
        shown = capsys.readouterr().out
        assert "0 workers" in shown
        assert "celery -A bulk_cancel.worker worker" in shown
        assert "silent for 8 s" in shown

    def test_json_has_every_lane(self) -> None:
        """Nothing is cut for programs, and times are ISO 8601."""
        said = json.loads(json.dumps(snapshot_json(_snapshot(lanes=30)), default=plain))
        assert len(said["lanes"]) == 30
        assert said["at"] == "2026-02-26T10:00:00.123Z"
        assert said["lanes"][0]["limits"] == {"single": 60, "batch": 300}

    @pytest.mark.parametrize("width", [40, 80, 120])
    def test_no_line_is_wider_than_the_terminal(self, width: int) -> None:
        """Even a very narrow one."""
        screen = Console(width=width, file=io.StringIO(), markup=False)
        with screen.capture() as captured:
            screen.print(*snapshot_parts(_snapshot(lanes=30)), sep="\n")
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
        show(*batch_parts(_batch(reason="\x1b[31mred\nline [bold]x[/bold]")))
        shown = capsys.readouterr().out
        assert "\\x1b[31mred\\nline [bold]x[/bold]" in shown

    def test_microseconds_are_cut_not_rounded(self) -> None:
        """A time never shows as later than it was."""
        assert iso_us(1_772_100_000_999_999) == "2026-02-26T10:00:00.999Z"
        assert clean("ok é") == "ok é"


class TestPartialFills:
    """What was filled of an order shows wherever its outcome does."""

    @pytest.mark.parametrize(("filled", "parts"), [(None, 0), ("", 0), ("0", 0), ("0.00", 0), ("0.5", 1), ("10", 1)])
    def test_a_row_knows(self, filled: str | None, parts: int) -> None:
        """Null is not known, "0" is nothing; an order that is filled as a whole is no partial fill."""
        assert replace(_ended(), accFillSz=filled).partly_filled == bool(parts)
        assert not replace(_ended(), status="filled", accFillSz=filled).partly_filled

    def test_a_partial_fill_has_its_column_and_its_words(self, capsys: pytest.CaptureFixture[str]) -> None:
        """In the table, in the lines with attempts, and in JSON as the exchange wrote it."""
        row = replace(_ended(), accFillSz="0.5")
        show(outcome_table([row]), *outcome_lines([row], verbose=True))
        shown = capsys.readouterr().out
        assert re.search(r"canceled +0\.5 ", shown)
        assert "canceled, 0.5 filled" in shown
        assert [row_json(replace(row, accFillSz=filled))["accFillSz"] for filled in ("0.5", "0", None)] == [
            "0.5",
            "0",
            None,
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

    def test_a_clock_far_off_is_a_warning(self) -> None:
        """In either direction."""
        assert [clock_point("u", offset).level for offset in (0.2, -1.5, 3)] == ["ok", "warn", "warn"]


def _snapshot(lanes: int = 1, rests: list[Rest] | None = None, workers: list[Worker] | None = None) -> Snapshot:
    own = {rest.scope: rest for rest in rests or []}
    return Snapshot(
        at=AT,
        lanes=[_lane(f"7/COIN{number}-USDT", own.get(f"lane:7/COIN{number}-USDT")) for number in range(lanes)],
        rests=rests or [],
        workers=[Worker("host:1", 0, 3, 64, AT, {"desk2": "not known"})] if workers is None else workers,
        batches=[_batch()],
        batches_waiting=1,
        refused=0,
    )


def _lane(name: str, rest: Rest | None) -> Lane:
    return Lane(name, 1, 0, 0, 60, 300, Limits(60, 300), 360, 0, {"accepted": 5}, rest)


def _batch(reason: str = "limit breach") -> BatchState:
    return BatchState(
        batch_id="b1", account="desk1", size=6, waiting=1, sealed=True, urgent=False, counts={"accepted": 5},
        created_at=AT, deadline_at=AT, completed_at=None, reason=reason, requested_by="", labels={"strategy": "mm"},
    )  # fmt: skip


def _ended() -> Row:
    return replace(_row(), status="canceled", attempts=1)


def _row(log: tuple[dict[str, object], ...] = ()) -> Row:
    enqueued = round(AT.timestamp() * 1e6)
    return Row("b1", "desk1", "BTC-USDT", "1", None, "queued", None, "", 0, enqueued, None, None, None, 0, log)
