"""Are the bars judged by what was measured, in every round, and on the right side?"""

# ruff: noqa: RUF001

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import bars, figures
from bench.bars import BARS, Bar
from bench.figures import Confirm, Costs, FirstByte, Kept, Run, Storage, Use
from bench.measured import NEVER, flat_s, left_live, refusals
from bench.window_simulation import FAR, NEAR
from tests.support.laps import lap

AT_MOST = Bar("flat", 2.0, flat_s("1×500"))
AT_LEAST = Bar("use", 0.96, flat_s(""), at_least=True)


@pytest.mark.parametrize(
    ("bar", "values", "verdict"),
    [
        (AT_MOST, [1.0, 2.0], "met"),
        (AT_MOST, [1.0, 1.5, 2.1], "**median only**"),
        (AT_MOST, [1.0, 2.1, 2.1], "**missed**"),
        (AT_MOST, [1.0, 1.0, NEVER], "**median only**"),
        (AT_LEAST, [0.96, 1.0], "met"),
        (AT_LEAST, [0.95, 0.97, 0.97], "**median only**"),
        (AT_LEAST, [0.95, 0.95, 0.97], "**missed**"),
    ],
)
def test_a_bar_is_met_by_every_round(bar: Bar, values: list[float], verdict: str) -> None:
    """The limit itself is met; one bad round of three is told apart from a bad median."""
    assert bar.verdict(values) == verdict


def test_the_worst_is_on_the_side_of_the_limit() -> None:
    """The longest time, the smallest share."""
    assert AT_MOST.worst([3.0, 1.0, 2.0]) == 3.0
    assert AT_LEAST.worst([0.9, 1.0, 0.8]) == 0.8


def test_two_workers_race_for_the_bars() -> None:
    """By scenario and confirmation; a lap that left orders live or was capped is never flat."""
    kept = Kept(
        laps=(
            lap("1×500", "us ×2", last_s=2.1),
            lap("1×500", "us ×2", last_s=2.2, live=1),
            lap("1×500", "us ×2", last_s=2.2, capped=True),
            lap("1×500", "us ×1", last_s=2.3),
            lap("1×500", "us ×2, confirming", last_s=2.4),
            lap("8×500", "us ×2", last_s=2.5),
        )
    )
    assert flat_s("1×500")(kept, "off") == [2.1, NEVER, NEVER]
    assert flat_s("1×500")(kept, "on") == [2.4]


def test_nobody_of_ours_may_be_refused() -> None:
    """With any number of workers; what peers are refused is theirs."""
    kept = Kept(
        laps=(
            lap("1×500", "us ×4", refusals=2, live=3),
            lap("8×500", "us ×2, confirming", refusals=4, live=5),
            lap("8×500", "ccxt", refusals=80, live=1_600),
        )
    )
    assert (refusals(kept, "off"), refusals(kept, "on")) == ([2], [4])
    assert (left_live(kept, "off"), left_live(kept, "on")) == ([3], [5])


def run_of(confirm: Confirm, cpu_s: float) -> Run:
    """One run of the single endpoint."""
    return Run("single", confirm, 1_200, 1_200, cpu_s, 0.2, 0.5, {"evalsha": 0.5})


def all_kept() -> Kept:
    """Something of everything, each figure unlike the others."""
    return Kept(
        laps=(lap("1×300", "us ×2", last_s=0.025),),
        first_byte=FirstByte(2, (3.0, 4.0, 60.0), (7.0,)),
        uses=(
            Use(NEAR, 3, 3_000, 100.0, 98.0, 0, 60),
            Use(FAR, 3, 3_000, 112.0, 98.0, 0, 60),
            Use(FAR, 3, 3_000, 112.0, 98.0, 1, 61),
        ),
        costs=Costs(
            (run_of("off", 0.4), run_of("on", 0.9)),
            {"single": 0.3, "auto": 0.02},
            (Storage("usual", 43_000.0, 54_000.0, 487.0), Storage("longest", 40_000.0, 50_000.0, 601.0)),
        ),
    )


@pytest.mark.parametrize(
    "row",
    [
        "| 1×300 flat | ≤ 0.120 s | 0.025 s | – | met | – | – | – |",
        "| 1×500 flat | ≤ 2.20 s | – | – | – | – | – | – |",
        "| first byte p50 | ≤ 10.0 ms | – | – | – | 4.0 ms | – | met |",
        "| first byte p99 | ≤ 50.0 ms | – | – | – | 60.0 ms | – | **missed** |",
        "| first byte p50 after seconds of quiet | ≤ 10.0 ms | – | – | – | 7.0 ms | – | met |",
        f"| window use, {NEAR} | ≥ 96.0% | – | – | – | 98.0% | – | met |",
        f"| window use, {FAR} | ≥ 90.0% | – | – | – | 87.5% | 87.5% | **missed** |",
        "| refusals in a run of window use | ≤ 0 | – | – | – | 0 | 1 | **median only** |",
        "| CPU per 1,000 orders, single | ≤ 0.900 s | 0.600 s | – | met | 1.100 s | – | **missed** |",
        "| memory per queued job | ≤ 600 bytes | – | – | – | 487 bytes | – | met |",
        "| memory per queued job, longest ids | ≤ 600 bytes | – | – | – | 601 bytes | – | **missed** |",
        "| `submit()` | ≥ 20,000 orders/s | – | – | – | 43,000 orders/s | – | met |",
    ],
)
def test_each_bar_has_its_row(row: str) -> None:
    """Bar, median, worst and verdict without and with confirmation."""
    assert row in bars.table(all_kept()).splitlines()


def test_without_results_nothing_is_claimed() -> None:
    """Every row is there, with dashes."""
    rows = bars.table(Kept()).splitlines()[2:]
    assert len(rows) == len(BARS)
    assert all(row.endswith("| – | – | – | – | – | – |") for row in rows)


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    """From the files that the parts write; a missing file is nothing measured."""
    kept = all_kept()
    assert kept.first_byte is not None
    assert kept.costs is not None
    found = {
        "championship": [asdict(each) for each in kept.laps],
        "first_byte": asdict(kept.first_byte),
        "window_use": [asdict(each) for each in kept.uses],
        "cost": asdict(kept.costs),
    }
    for name, plain in found.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"date": "today", "figures": plain}))
    assert figures.read(tmp_path) == kept
    (tmp_path / "window_use.json").unlink()
    assert figures.read(tmp_path).uses == ()
