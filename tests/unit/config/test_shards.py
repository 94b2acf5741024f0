"""Is a runner of several Redis read from the environment, and is every fault told without a secret?"""

from pathlib import Path

import pytest

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.config.shards import on_shard, one_shard, shard_names
from bulk_cancel.worker.config.urls import place_of

A = {"SHARDS__A__REDIS_URL": "redis://u:hush@h:6380/1"}
DESK1 = {f"ACCOUNTS__DESK1__{field}": "x" for field in ("API_KEY", "API_SECRET", "PASSPHRASE")}
DESK2 = {f"ACCOUNTS__DESK2__{field}": "x" for field in ("API_KEY", "API_SECRET", "PASSPHRASE")}
BOTH = A | DESK1 | DESK2 | {"ACCOUNTS__DESK2__SHARD": "A"}


@pytest.fixture(autouse=True)
def _no_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(monkeypatch: pytest.MonkeyPatch, told: dict[str, str]) -> Settings:
    """The settings of a worker that is told so."""
    for name, value in told.items():
        monkeypatch.setenv(f"BULK_CANCEL_{name}", value)
    return load_settings(require_accounts=True)


def test_without_shards_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its settings are the runner's own."""
    settings = loaded(monkeypatch, DESK1)
    assert (shard_names(settings), settings.shard, settings.one_of) == (("default",), "default", ())
    assert on_shard(settings, "default") is settings
    assert one_shard(settings) is settings


def test_each_shard_has_its_redis_its_broker_and_its_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were a runner of its own."""
    settings = loaded(monkeypatch, BOTH | {"BROKER_URL": "redis://broker", "SHARD": "A"})
    assert shard_names(settings) == ("default", "a")
    default, a = on_shard(settings, "default"), on_shard(settings, "a")
    assert (default.broker_url.get_secret_value(), [*default.accounts]) == ("redis://broker", ["desk1"])
    assert (a.redis_url.get_secret_value(), [*a.accounts]) == (A["SHARDS__A__REDIS_URL"], ["desk2"])
    assert a.broker_url == a.redis_url
    assert (a.shard, a.one_of, shard_names(a)) == ("a", ("default", "a"), ("a",))
    assert one_shard(settings).shard == "a"


def test_a_shard_s_url_is_a_secret_and_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing shows it, and a broker may be named as well."""
    (file := tmp_path / "url").write_text("unix:///run/a.sock?db=2\n")
    settings = loaded(monkeypatch, BOTH | {"SHARDS__B__REDIS_URL_FILE": str(file)})
    assert settings.shards["b"].broker_url.get_secret_value() == "redis+socket:///run/a.sock?virtual_host=2"
    assert "hush" not in f"{settings!r}{settings}{on_shard(settings, 'a')!r}"


def test_the_redis_of_redis_url_counts_if_something_is_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names every Redis among SHARDS has no other."""
    told = {**BOTH, "ACCOUNTS__DESK1__SHARD": "a", "SHARD": "a"}
    assert shard_names(loaded(monkeypatch, told)) == ("a",)
    assert shard_names(loaded(monkeypatch, {"REDIS_URL": "redis://h"})) == ("default", "a")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"SHARD": "b"}, "SHARD: there is no shard 'b'; there are a, default"),
        ({"ACCOUNTS__DESK1__SHARD": "b"}, "ACCOUNTS__DESK1__SHARD: there is no shard 'b'"),
        ({"SHARDS__DEFAULT__REDIS_URL": "redis://h"}, "SHARDS: default is the name of the Redis of REDIS_URL"),
        ({"SHARDS__B.C__REDIS_URL": "redis://h"}, "shard name 'b.c' should be of a-z"),
        (
            {"SHARDS__B__REDIS_URI": "redis://h"},
            "SHARDS__B__REDIS_URI: no such setting; did you mean BULK_CANCEL_SHARDS",
        ),
        ({"SHARDS__B__BROKER_URL": "redis://h"}, "SHARDS__B__REDIS_URL: is missing; set it or BULK_CANCEL_SHARDS__B"),
        ({"SHARDS__B__REDIS_URL": "redis://h/1?hush=1"}, "SHARDS__B__REDIS_URL: takes no"),
        ({"SHARDS__B__REDIS_URL": "redis://v:hush@H:6380/1"}, "SHARDS: a and b are the same Redis"),
        ({"REDIS_URL": "redis://h:6380/1"}, "SHARDS: default and a are the same Redis"),
        ({"SHARDS__B__REDIS_URL": "redis://h", "SHARD": "b"}, "SHARD: no account is of shard b"),
        ({"ACCOUNTS__DESK1__UID": "7", "ACCOUNTS__DESK2__UID": "7"}, "have the same UID but a different SHARD"),
        ({"ACCOUNTS__DESK1__SHARD": "a"}, "SHARD: no account is of shard default"),
        ({"SHARDS": "redis://hush"}, "SHARDS: should be set field by field"),
    ],
)
def test_a_fault_is_told(monkeypatch: pytest.MonkeyPatch, told: dict[str, str], said: str) -> None:
    """By the variable, and how to mend it; no secret."""
    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, BOTH | told)
    assert said in str(caught.value)
    assert "hush@" not in str(caught.value)


def test_a_shard_needs_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of a shard that nobody named would serve the wrong Redis."""
    with pytest.raises(SettingsError, match=r"SHARD: there is no shard 'a'"):
        loaded(monkeypatch, DESK1 | {"SHARD": "a"})


def test_one_shard_is_not_taken_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sees one alone is told to choose; with one there is no choice."""
    with pytest.raises(SettingsError, match="shards default, a, and this is done on one of them alone"):
        one_shard(loaded(monkeypatch, BOTH))
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__SHARD", "a")
    monkeypatch.setenv("BULK_CANCEL_SHARD", "a")
    assert one_shard(load_settings()).shard == "a"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://h", "rediss://u:p@H:6379/0?ssl_cert_reqs=none", True),
        ("redis://localhost", "redis://127.0.0.1/0", True),
        ("redis://h/0", "redis://h/1", False),
        ("unix:///a?db=1", "unix:///a", False),
        ("unix://u:p@/a", "unix:///a?db=0", True),
        ("sentinel://a:1;sentinel://b/1", "sentinel://b;sentinel://a:1/1?master_name=mymaster", True),
        ("sentinel://a/1", "sentinel://a/1?master_name=m", False),
    ],
)
def test_one_db_has_one_place(one: str, other: str, *, same: bool) -> None:
    """However its address is spelt."""
    assert (place_of(one) == place_of(other)) == same
