"""The command line of a runner with several Redis: one shard is never shown as the whole, and an account can move."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.worker.operators.moving import moving_points
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.state.owners import Owners, owned
from bulk_cancel.worker.state.shards import Shards, default_shards
from tests.support.cli_desk import GOOD, Desk
from tests.support.json_shapes import misfits
from tests.support.waiting import PATIENCE_S

USER = "http://127.0.0.1:1|1001"


@pytest.fixture
def shards() -> Iterator[Shards]:
    """Both shards of the runner that the environment describes by now."""
    default_shards.cache_clear()
    yield default_shards()
    default_shards.cache_clear()


@pytest.fixture
def desk(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """desk1 is of `default`; the shard `a` is another db, and has an account as well."""
    secrets = {"API_KEY": DEFAULT_KEY.key, "API_SECRET": DEFAULT_KEY.secret, "PASSPHRASE": DEFAULT_KEY.passphrase}
    accounts = {f"ACCOUNTS__{desk}__{name}": value for desk in ("DESK1", "DESK2") for name, value in secrets.items()}
    told = {"REDIS_URL": redis_url, "OKX_BASE_URL": "http://127.0.0.1:1", **accounts}
    told |= {"SHARDS__A__REDIS_URL": f"{redis_url.removesuffix('0')}1", "ACCOUNTS__DESK2__SHARD": "a"}
    for name, value in told.items():
        monkeypatch.setenv(f"BULK_CANCEL_{name}", value)
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(GOOD)
    with Desk(capsys) as made:
        yield made


def test_what_is_one_shard_s_is_not_done_without_its_name(desk: Desk) -> None:
    """Refused in one sentence, which says how to choose."""
    status, out, err = desk("disown", "desk1")
    assert (status, out) == (2, "")
    assert "has the shards default, a, and this is done on one of them alone" in err
    assert "BULK_CANCEL_SHARD" in err


def test_the_chosen_one_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own accounts, and no others."""
    monkeypatch.setenv("BULK_CANCEL_SHARD", "default")
    assert desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b")[0] == 0
    assert desk("status", "b")[0] == 0
    monkeypatch.setenv("BULK_CANCEL_SHARD", "A")
    assert "unknown batch 'b'" in desk("status", "b")[2]
    assert "unknown account 'desk1'; known accounts: desk2" in desk("submit", "good.csv", "--account", "desk1")[2]


def test_an_account_moves(desk: Desk, shards: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` says what is left, `disown` refuses until nothing is, and then the other shard may have it."""
    monkeypatch.setenv("BULK_CANCEL_SHARD", "default")
    assert Owners(shards, "default").register(USER, "desk1") is None
    assert desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b")[0] == 0
    for name, shard in (("DESK1", "a"), ("DESK2", "default")):
        monkeypatch.setenv(f"BULK_CANCEL_ACCOUNTS__{name}__SHARD", shard)
    default_shards.cache_clear()
    changed = default_shards()
    said = Owners(changed, "a").register(USER, "desk1")
    assert said is not None
    assert "is served on shard default (UID desk1)" in said.why

    (point,) = moving_points(changed.of("default").store)
    assert (point.level, "3 orders wait to be sent" in point.text) == ("warn", True)
    status, _, err = desk("disown", "desk1")
    assert (status, "desk1: 3 orders wait to be sent" in err) == (2, True)
    assert desk("withdraw", "b")[0] == 0
    (point,) = moving_points(changed.of("default").store)
    assert "nothing of UID desk1 is left here" in point.text
    assert "bulk-cancel disown desk1" in point.mend
    assert "not paused here" in desk("disown", "desk1")[2]
    assert desk("pause", "desk1")[0] == 0
    _, out, _ = desk("disown", "desk1", "--reason", "full", "--json")
    assert misfits(json.loads(out)) == []
    assert json.loads(out)["accounts"] == ["desk1"]
    assert "its User ID was given up here" in desk("audit")[1]
    assert "owns no User ID of desk1; it owns none" in desk("disown", "desk1")[2]

    assert (owned(changed.of("default").store), moving_points(changed.of("default").store)) == ([], [])
    assert Owners(changed, "a").register(USER, "desk1") is None

    monkeypatch.delenv("BULK_CANCEL_SHARD")
    status, out, err = desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b")
    assert (status, out) == (2, "")
    assert "batch 'b' is known on shard default, where its account desk1 was before" in err
    assert desk.json("status", "b")["account"] == "desk1"
    assert desk("submit", "good.csv", "--account", "desk1", "--batch-id", "c")[0] == 0
    assert changed.of("a").store.batches.state("c").waiting == 3
    elsewhere, kept_s = changed.of("a").store.keys.of("elsewhere"), changed.settings.retention_s
    assert kept_s - PATIENCE_S < changed.of("a").store.redis.ttl(elsewhere) <= kept_s


def test_open_slots_and_mass_cancels_are_in_the_way(
    desk: Desk, shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent a moment ago still counts, and what is on hold would find more."""
    monkeypatch.setenv("BULK_CANCEL_SHARD", "default")
    assert Owners(shards, "default").register(USER, "desk1") is None
    assert desk("submit", "good.csv", "--account", "desk1")[0] == 0
    assert desk.claim("BTC-USDT").calls
    desk("all", "--account", "desk1", "--hold", "--batch-id", "m", "--timeout", "0.01")
    _, _, err = desk("disown", "desk1")
    assert "calls of the last seconds still count" in err
    assert "mass cancel m is on hold: bulk-cancel release it" in err
