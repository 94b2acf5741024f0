"""Tests of the metrics: what Prometheus is told is what is so, whoever wrote it."""

import re
import shutil
import subprocess
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.gateway import metrics
from bulk_cancel.worker.gateway.metrics import LANES
from bulk_cancel.worker.operators.status import BATCHES_SHOWN
from bulk_cancel.worker.state.store import open_store
from bulk_cancel.worker.state.totals import BOUNDS_US
from tests.support.checkout import ROOT
from tests.support.cli_desk import Desk
from tests.support.door import Door, scraped

MONITORING: Final = ROOT / "worker/gateway/monitoring"
PROMTOOL: Final = shutil.which("promtool")

ASKING: Final = ("rules.yml", "dashboard.json")


def hand_in(door: Door, batch_id: str, inst_id: str, ids: range, **more: object) -> None:
    """A batch of one instrument."""
    rows = [{"instId": inst_id, "ordId": str(number)} for number in ids]
    assert door.call("PUT", f"/v1/batches/{batch_id}", json={"account": "desk1", "orders": rows, **more}).ok


def test_they_say_how_the_runner_stands(desk: Desk, door: Door) -> None:
    """Orders by state, windows, workers, pauses, formats."""
    desk.worker_reports()
    hand_in(door, "b1", "BTC-USDT", range(1, 31))
    hand_in(door, "b2", "ETH-USDT", range(1, 3), urgent=True)
    door.call("PUT", "/v1/accounts/desk2/pause")
    desk.claim("BTC-USDT", permits=1)
    door.shell.desks.changed()
    told = scraped(door)
    assert told["up"] == 1
    assert told["orders[state=queued]"] + told["orders[state=sending]"] == 32
    assert told["orders[state=sending]"] == told["window_used[lane=desk1/BTC-USDT,meter=batch]"] > 0
    assert told["window_limit[lane=desk1/BTC-USDT,meter=batch]"] == 300
    assert (told["workers"], told["account_workers[account=desk1]"], told["calls_permitted"]) == (1, 1, 64)
    assert (told["pauses[kind=user]"], told["pauses[kind=lane]"], told["rests[kind=exchange]"]) == (1, 0, 0)
    assert (told["batches_waiting"], told["format[kind=runner]"]) == (2, 1)
    assert told["oldest_waiting_seconds[urgent=yes]"] > 0
    assert told["oldest_waiting_seconds[urgent=no]"] > 0


def test_the_batch_that_waits_longest_is_found_among_many(desk: Desk, door: Door) -> None:
    """Whatever its deadline: those of younger ones may all come first."""
    hand_in(door, "old", "BTC-USDT", range(1, 2), deadline_s=80_000)
    desk.store.redis.hincrby(desk.store.keys.of("batch", "old"), "created", -1_000_000_000)
    for number in range(BATCHES_SHOWN):
        hand_in(door, f"b{number}", "BTC-USDT", range(2, 3), deadline_s=60)
    assert scraped(door)["oldest_waiting_seconds[urgent=no]"] >= 1_000


def test_algo_orders_wait_for_the_book_too(desk: Desk, door: Door) -> None:
    """They are kept apart from the user's orders, and counted with them."""
    for holder, count in (("desk1", 2), ("desk1:algo", 3)):
        waiting = {f"{holder}/BTC-USDT/o{number}": 1 for number in range(count)}
        desk.store.redis.zadd(desk.store.keys.of("unconfirmed", holder), waiting)
    assert scraped(door)["orders[state=unconfirmed]"] == 5


def test_what_ended_is_counted_for_good(desk: Desk, door: Door) -> None:
    """With the times of each stage; though lane, batch and outcomes are forgotten."""
    hand_in(door, "b1", "BTC-USDT", range(1, 8))
    desk.finish("BTC-USDT")
    hand_in(door, "b2", "ETH-USDT", range(1, 3))
    desk.finish("ETH-USDT", "rejected", "51403")
    redis, keys = desk.store.redis, desk.store.keys
    redis.delete(keys.of("lane", "desk1/BTC-USDT"), keys.of("outcomes"), keys.of("batch", "b1"), keys.of("rows", "b1"))
    told = scraped(door)
    assert (told["outcomes_total[status=accepted]"], told["outcomes_total[status=rejected]"]) == (7, 2)
    assert told["outcomes_total[status=exhausted]"] == 0
    assert told["calls_total[endpoint=batch]"] + told["calls_total[endpoint=single]"] >= 2
    assert told["submit_to_sent_seconds_count"] == told["submit_to_sent_seconds_bucket[le=+Inf]"] == 9
    assert told["sent_to_accepted_seconds_count"] == 7
    assert told["call_seconds_sum[endpoint=batch]"] == pytest.approx(0.01 * told["call_seconds_count[endpoint=batch]"])
    assert told["call_seconds_bucket[endpoint=batch,le=0.01]"] == told["call_seconds_count[endpoint=batch]"]
    assert told["call_seconds_bucket[endpoint=batch,le=0.005]"] == 0


def test_mass_cancels_that_are_not_flat_are_told(desk: Desk, door: Door) -> None:
    """Until one of the same scope is."""
    assert scraped(door)["mass_cancels_not_flat"] == 0
    desk.store.redis.zadd(desk.store.keys.of("not_flat"), {"m": 1})
    desk.store.redis.hset(desk.store.keys.of("mass", "m"), mapping={"account": "desk1", "state": "done"})
    door.shell.desks.changed()
    assert scraped(door)["mass_cancels_not_flat"] == 1


def test_one_on_hold_that_nobody_lists_is_not_flat(desk: Desk, door: Door) -> None:
    """However flat it was."""
    desk.hold_flat("h")
    assert scraped(door)["mass_cancels_not_flat"] == 0
    desk.store.redis.delete(desk.store.keys.of("held", "h"))  # as its time to live does
    door.shell.desks.changed()
    assert scraped(door)["mass_cancels_not_flat"] == 1


def test_lanes_beyond_the_busiest_are_one(desk: Desk, door: Door) -> None:
    """A name for each of thousands would be thousands of series."""
    rows = [{"instId": f"A{number}-USDT", "ordId": "1"} for number in range(LANES + 10)]
    assert door.call("PUT", "/v1/batches/b1", json={"account": "desk1", "orders": rows}).ok
    told = [name for name in scraped(door) if name.startswith("window_limit")]
    assert len(told) == 2 * (LANES + 1)
    assert scraped(door)["window_limit[lane=other,meter=single]"] == 600
    assert desk.store.batches.state("b1").waiting == LANES + 10


def test_no_label_is_an_order_a_batch_or_a_text(desk: Desk, door: Door) -> None:
    """None that has no bound."""
    hand_in(door, "secret-batch", "BTC-USDT", range(77_001, 77_003), reason="fat finger")
    desk.finish("BTC-USDT", "rejected", "51403")
    text = door.call("GET", "/metrics", "watch").text
    assert not [word for word in ("77001", "secret-batch", "fat finger", "51403") if word in text]


def test_redis_is_read_once_a_second_however_many_scrape(
    desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And at once when something was done here."""
    monkeypatch.setattr(metrics, "FRESH_S", 60.0)
    redis, keys = desk.store.redis, desk.store.keys
    assert scraped(door)["calls_total[endpoint=single]"] == 0
    redis.hset(keys.of("totals"), "calls:single", 7)
    reads = redis.info("commandstats")["cmdstat_hgetall"]["calls"]
    assert [scraped(door)["calls_total[endpoint=single]"] for _ in range(5)] == [0] * 5
    assert redis.info("commandstats")["cmdstat_hgetall"]["calls"] == reads
    hand_in(door, "b1", "BTC-USDT", range(1, 2))
    assert scraped(door)["calls_total[endpoint=single]"] == 7
    monkeypatch.setattr(metrics, "FRESH_S", 0.0)
    redis.hset(keys.of("totals"), "calls:single", 8)
    assert scraped(door)["calls_total[endpoint=single]"] == 8


def test_while_redis_is_away_they_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else: no gauge that is no longer so."""
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://127.0.0.1:1/0")
    with Door(open_store(load_settings())) as door:
        assert scraped(door, token=None) == {"up": 0}


def test_openmetrics_is_spoken_to_who_asks_for_it(door: Door) -> None:
    """As newer servers do."""
    asked = door.call("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert asked.headers["Content-Type"].startswith("application/openmetrics-text")
    assert asked.text.endswith("# EOF\n")


def test_the_bounds_are_those_of_the_verbs() -> None:
    """Read from the text that Redis gets."""
    assert BOUNDS_US[0] == 1_000
    assert list(BOUNDS_US) == sorted(BOUNDS_US)
    assert len(BOUNDS_US) == 14


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool on PATH: the alert rules are judged where there is one")
@pytest.mark.parametrize("arguments", [("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")])
def test_the_alert_rules_are_right(arguments: tuple[str, ...]) -> None:
    """By Prometheus's own judge."""
    ended = subprocess.run(
        ["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True, check=False, timeout=50
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_is_tried() -> None:
    """One that no test of rules names may never fire."""
    alerts, tried = (
        set(re.findall(rf"{word}: (\w+)", (MONITORING / name).read_text()))
        for word, name in (("alert", "rules.yml"), ("alertname", "rules_test.yml"))
    )
    assert alerts == tried


def test_every_metric_that_rules_and_dashboard_name_is_told(door: Door) -> None:
    """A misspelt one would be silent for ever."""
    families = text_string_to_metric_families(door.call("GET", "/metrics").text)
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    known = {family.name + suffix for family in families for suffix in suffixes.get(family.type, ("",))}
    named = re.findall(r"\bbulk_cancel_\w+", "".join((MONITORING / name).read_text() for name in ASKING))
    assert set(named) <= known
    assert len(set(named)) > 15
