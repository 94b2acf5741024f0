"""The test kit beside a real runner of whoever runs the tests: it never writes there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bulk_cancel.tasks import BulkCancel, submit_all
from bulk_cancel.tasks.testing import Kit
from bulk_cancel.tasks.testing.kit import opened
from bulk_cancel.tasks.testing.server import fake_redis
from bulk_cancel.worker.config.dotenv import env_file
from bulk_cancel.worker.config.settings import load_settings, settings_of
from bulk_cancel.worker.state.store import adopt, open_store

ROWS = [{"instId": "BTC-USDT", "ordId": "1"}]


def say_of_a_runner(url: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell, or the `.env` of the working directory, says of a runner one of whose shards is at `url`."""
    told = {"SHARDS__A__REDIS_URL": url, "redis_url_FILE": "no-such-file", "WAIT_REPLICAS": "1", "KEY_PREFIX": "real"}
    told |= {f"ACCOUNTS__DESK4__{name}": "x" for name in ("API_KEY", "API_SECRET", "PASSPHRASE", "UID")}
    lines = {f"BULK_CANCEL_{name}": value for name, value in told.items()}
    if where == ".env":
        Path(".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        return
    for name, value in lines.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_nothing_of_a_real_runner_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str) -> None:
    """Its shard is not written to, by no thread, and its settings do not hold; those that the test sets do."""
    monkeypatch.chdir(tmp_path)
    with fake_redis() as url:
        real = open_store(settings_of(redis_url=url, key_prefix="real"))
        adopt(real)
        Kit(url, real).serve("desk3")
        keys = sorted(real.redis.keys())
        say_of_a_runner(url, where, monkeypatch)
        with opened(["desk1"], monkeypatch) as kit:
            [mass] = submit_all("*", batch_id="m")
            with ThreadPoolExecutor() as threads:
                there = threads.submit(lambda: BulkCancel().submit(ROWS, account="desk1", batch_id="b")).result()
            assert (mass.account, there.batch_id) == ("desk1", "b")
            assert [each.batch_id for each in kit.batches()] == ["m-desk1", "b"]
            monkeypatch.setenv("BULK_CANCEL_MAX_ATTEMPTS", "3")
            assert load_settings().max_attempts == 3
        assert sorted(real.redis.keys()) == keys
        real.redis.close()
    assert env_file() == Path(".env")
