"""Are the bars judged by what was measured, in every round, and on the right side?"""

# ruff: noqa: RUF001

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench import bars, figures
from bench.bars import BARS, Bar
from bench.figures import Confirm, Costs, FirstByte, Kept, Listening, Run, Storage, Use
from bench.measured import (
    NEVER,
    celery_of_before,
    cpu_of_before,
    cpu_of_confirming,
    faster_than,
    first_byte_of_before,
    flat_ratio,
    flat_s,
    left_live,
    orders_per_redis_s,
    orders_per_redis_s_of_before,
    refusals,
)
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


def test_ratios_are_of_one_round() -> None:
    """With confirmation to without it, and this build to the one before; where one of both is missing there is none."""
    kept = Kept(
        laps=(
            lap("200×50", "ccxt", last_s=8.0),
            lap("200×50", "us ×2", last_s=1.0),
            lap("200×50", "us ×2, confirming", last_s=1.25),
            lap("200×50", "us ×2", last_s=2.0),
            lap("200×50", "us ×2, confirming", last_s=2.0),
            lap("200×50", "us ×2, confirming", last_s=2.0, live=1),
        ),
        costs=Costs(
            (run_of("off", 0.4), replace(run_of("off", 0.8), build="before"), run_of("on", 1.0), run_of("off", 0.6)),
            {"single": 0.3, "auto": 0.02},
        ),
    )
    assert flat_ratio("200×50")(kept, "on") == [1.25, 1.0]
    assert flat_ratio("200×50")(kept, "off") == []
    assert faster_than("ccxt", "200×50")(kept, "on") == [6.4, 4.0, 0.0]
    assert faster_than("python-okx", "200×50")(kept, "on") == []
    assert list(cpu_of_before("single", "off")(kept, "off")) == pytest.approx([0.6 / 1.0])
    assert cpu_of_before("single", "off")(kept, "on") == []
    assert list(cpu_of_confirming("single")(kept, "on")) == pytest.approx([1.2 / 0.6])


def test_redis_is_judged_where_it_was_measured() -> None:
    """Peers have none of ours, and older figures do not tell it."""
    laps = (
        lap("1×500", "us ×2", orders=500, redis_cpu_s=0.025),
        lap("1×500", "us ×2", orders=500),
        lap("1×500", "ccxt", orders=500),
    )
    assert orders_per_redis_s("1×500")(Kept(laps=laps), "off") == [20_000]


def test_the_first_byte_is_compared_with_that_of_the_build_before() -> None:
    """Each way with its own."""
    kept = Kept(first_byte=FirstByte(2, (3.0,), (), (6.0,), (2.0,), (12.0,)))
    assert first_byte_of_before(0.5)(kept, "on") == [1.5]
    assert celery_of_before(0.5)(kept, "on") == [0.5]
    assert first_byte_of_before(0.5)(kept, "off") == []
    assert first_byte_of_before(0.5)(Kept(first_byte=FirstByte(2, (3.0,))), "on") == []


def test_redis_is_compared_with_that_of_the_build_before() -> None:
    """Round by round, with the same way of confirming."""
    kept = Kept(
        laps=(
            lap("8×500", "us ×2", redis_cpu_s=0.5),
            lap("8×500", "7db1f97 ×2", redis_cpu_s=0.75),
            lap("8×500", "us ×2", redis_cpu_s=0.5),
            lap("8×500", "7db1f97 ×2", redis_cpu_s=1.0),
            lap("8×500", "us ×2, confirming", redis_cpu_s=0.5),
        )
    )
    assert orders_per_redis_s_of_before("8×500", "off")(kept, "off") == [1.5, 2.0]
    assert orders_per_redis_s_of_before("8×500", "off")(kept, "on") == []
    assert orders_per_redis_s_of_before("8×500", "on")(kept, "on") == []


def all_kept() -> Kept:
    """Something of everything, each figure unlike the others."""
    return Kept(
        laps=(lap("1×300", "us ×2", last_s=0.025),),
        first_byte=FirstByte(2, (3.0, 4.0, 60.0), (7.0,), (6.0, 51.0)),
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
        listening=(Listening(100, 40_000, 96.0, 141.0, 0.024, 0.004),),
    )


@pytest.mark.parametrize(
    "row",
    [
        "| 1×300 flat | ≤ 0.120 s | – | 0.025 s | – | met | – | – | – |",
        "| 1×500 flat | ≤ 2.20 s | – | – | – | – | – | – | – |",
        "| first byte p50 | ≤ 10.0 ms | 2.8 ms | – | – | – | 4.0 ms | – | met |",
        "| first byte p99 | ≤ 50.0 ms | 4.0 ms | – | – | – | 60.0 ms | – | **missed** |",
        "| first byte p50 after seconds of quiet | ≤ 10.0 ms | – | – | – | – | 7.0 ms | – | met |",
        f"| window use, {NEAR} | ≥ 96.0% | – | – | – | – | 98.0% | – | met |",
        f"| window use, {FAR} | ≥ 90.0% | – | – | – | – | 87.5% | 87.5% | **missed** |",
        "| refusals in a run of window use | ≤ 0 | – | – | – | – | 0 | 1 | **median only** |",
        "| CPU per 1,000 orders, single | ≤ 0.900 s | – | 0.600 s | – | met | 1.100 s | – | **missed** |",
        "| first byte by Celery's `send_task()` p99 | ≤ 50.0 ms | 8.6 ms | – | – | – | 51.0 ms | – | **missed** |",
        "| memory of a worker for 100 accounts, start | ≤ 110 MB | 170 MB | – | – | – | 96 MB | – | met |",
        "| the same after 40,000 orders | ≤ 140 MB | 280 MB | – | – | – | 141 MB | – | **missed** |",
        "| memory per queued job | ≤ 600 bytes | – | – | – | – | 487 bytes | – | met |",
        "| memory per queued job, longest ids | ≤ 600 bytes | – | – | – | – | 601 bytes | – | **missed** |",
        "| `submit()` | ≥ 20,000 orders/s | – | – | – | – | 43,000 orders/s | – | met |",
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
        "listening": [asdict(each) for each in kept.listening],
    }
    for name, plain in found.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"date": "today", "figures": plain}))
    assert figures.read(tmp_path) == kept
    (tmp_path / "window_use.json").unlink()
    assert figures.read(tmp_path).uses == ()
