"""Tests of secrets that are files, and of the file of settings that was chosen."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.config.dotenv import choose_env_file
from bulk_cancel.worker.config.settings import load_settings

HUSH = "hush-7c1"


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    choose_env_file("")


def faults() -> list[str]:
    """The lines of the error that loading ends with; no secret is in them."""
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert HUSH not in str(caught.value)
    return str(caught.value).splitlines()


def test_every_secret_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers mount them, with the newline that editors append."""
    contents = {
        "REDIS_URL": f"redis://:{HUSH}@a:6379/1",
        "BROKER_URL": f"redis://:{HUSH}@b:6379/2",
        "ALERT_WEBHOOK_URL": f"https://hooks.example/{HUSH}",
        "ALERT_WEBHOOK_SECRET": HUSH,
        "ACCOUNTS__DESK1__API_KEY": "key",
        "ACCOUNTS__DESK1__API_SECRET": HUSH,
        "ACCOUNTS__DESK1__PASSPHRASE": f"{HUSH}-pass",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(f"{content}\n")
        monkeypatch.setenv(f"BULK_CANCEL_{name}_FILE", str(tmp_path / name))
    settings = load_settings(require_accounts=True)
    desk = settings.accounts["desk1"]
    assert settings.alert_webhook_url is not None
    assert settings.alert_webhook_secret is not None
    found = (
        settings.redis_url, settings.broker_url, settings.alert_webhook_url, settings.alert_webhook_secret,
        desk.api_key, desk.api_secret, desk.passphrase,
    )  # fmt: skip
    assert [each.get_secret_value() for each in found] == list(contents.values())


def test_the_env_file_may_name_files(tmp_path: Path) -> None:
    """Paths are no secrets, so they may be kept where the other settings are."""
    (tmp_path / "url").write_text(f"redis://:{HUSH}@a:6379/1")
    (tmp_path / ".env").write_text(f"BULK_CANCEL_REDIS_URL_FILE={tmp_path}/url\n")
    assert load_settings().redis_url.get_secret_value() == f"redis://:{HUSH}@a:6379/1"


def test_the_environment_goes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when one has the secret and the other a file."""
    (tmp_path / "url").write_text("redis://a:6379/1")
    (tmp_path / ".env").write_text("BULK_CANCEL_REDIS_URL=redis://b:6379/1\n")
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL_FILE", "url")
    assert load_settings().redis_url.get_secret_value() == "redis://a:6379/1"


def test_wrong_files_are_all_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without path and content: the secret itself may have been set where a path belongs."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff" + HUSH.encode())
    (tmp_path / "good").write_text(HUSH)
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL_FILE", f"redis://:{HUSH}@a:6379/1")
    monkeypatch.setenv("BULK_CANCEL_BROKER_URL_FILE", "binary")
    monkeypatch.setenv("BULK_CANCEL_ALERT_WEBHOOK_SECRET_FILE", "empty")
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET_FILE", "good")
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET", HUSH)
    assert sorted(faults()) == [
        "BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET and BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET_FILE: set one of them",
        "BULK_CANCEL_ALERT_WEBHOOK_SECRET_FILE: names a file that is empty",
        "BULK_CANCEL_BROKER_URL_FILE: names a file that is not UTF-8 text",
        "BULK_CANCEL_REDIS_URL_FILE: names a file that cannot be read (No such file or directory)",
    ]


@pytest.mark.parametrize("name", ["DEADLINE_S_FILE", "REDIS_ULR_FILE", "KEY_PREFIX_FILE"])
def test_only_secrets_may_be_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other name is misspelt."""
    monkeypatch.setenv(f"BULK_CANCEL_{name}", "x")
    assert faults()[0].startswith(f"BULK_CANCEL_{name}: no such setting")


def test_a_chosen_file_is_read_instead(tmp_path: Path) -> None:
    """Not besides: one desk's settings are never mixed with another's."""
    (tmp_path / ".env").write_text("BULK_CANCEL_KEY_PREFIX=a\nBULK_CANCEL_DEADLINE_S=60\n")
    (tmp_path / "b.env").write_text("BULK_CANCEL_KEY_PREFIX=b\n")
    choose_env_file("b.env")
    assert (load_settings().key_prefix, load_settings().deadline_s) == ("b", 900)
    choose_env_file("")
    assert (load_settings().key_prefix, load_settings().deadline_s) == ("a", 60)


def test_a_chosen_file_is_a_plain_one(tmp_path: Path) -> None:
    """Of a pipe nothing would be left for the second reading, of a folder nothing is read at all."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        choose_env_file(name)
        assert faults() == [f"{name}: is no plain file (a pipe can be read but once); --env-file should name one"]
    choose_env_file("/dev/null")
    assert load_settings().key_prefix == "bc"


def test_a_chosen_file_has_to_be_there() -> None:
    """Else the settings would be the defaults, and nobody would know."""
    choose_env_file("nope.env")
    assert faults() == ["nope.env: there is no such file; --env-file should name one with settings"]
