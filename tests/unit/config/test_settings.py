"""Is the environment read as the contract says, and is every fault told without telling a secret?"""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.config.urls import Sentinels, broker_form, check_http_url, redacted, sentinels, state_form

SECRETS = ("key-7c1", "secret-9d2", "phrase-3e3")


@pytest.fixture(autouse=True)
def _no_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def set_account(monkeypatch: pytest.MonkeyPatch, name: str = "DESK1", **fields: str) -> None:
    """Set one account's variables; the three secrets are there unless given."""
    secrets = dict(zip(("API_KEY", "API_SECRET", "PASSPHRASE"), SECRETS, strict=True))
    for field, value in {**secrets, **fields}.items():
        monkeypatch.setenv(f"BULK_CANCEL_ACCOUNTS__{name}__{field}", value)


def faults(*, require_accounts: bool = False) -> list[str]:
    """The lines of the error that loading ends with."""
    with pytest.raises(SettingsError) as caught:
        load_settings(require_accounts=require_accounts)
    assert caught.value.__cause__ is None
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return str(caught.value).splitlines()


def test_defaults_are_the_contracts() -> None:
    """An empty environment gives the values of the contract table."""
    settings = load_settings()
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert settings.broker_url == settings.redis_url
    assert settings.okx_base_url == "https://openapi.okx.com"
    assert (settings.accounts, settings.confirm, settings.key_prefix) == ({}, "on", "bc")
    assert (settings.max_attempts, settings.deadline_s, settings.retention_s) == (8, 900, 604_800)
    assert (settings.http_concurrency, settings.http_timeout_s, settings.wait_replicas) == (64, 3, 0)
    limits = (settings.limit_single, settings.limit_batch, settings.limit_pending, settings.limit_history)
    assert (*limits, settings.window_s, settings.log_level) == (60, 300, 60, 40, 2.0, "INFO")


def test_an_account_is_read_field_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are lower-cased, the uid is the name unless set, and the rest has defaults."""
    set_account(monkeypatch)
    set_account(monkeypatch, "Desk2", UID="77", DEMO="true", BASE_URL="http://127.0.0.1:1", SHARE="0.5")
    settings = load_settings(require_accounts=True)
    desk1, desk2 = settings.accounts["desk1"], settings.accounts["desk2"]
    assert (desk1.name, desk1.uid, desk1.demo, desk1.base_url) == ("desk1", "desk1", False, None)
    assert (desk1.endpoints, desk1.share) == ("auto", 1.0)
    assert (desk2.uid, desk2.demo, desk2.share) == ("77", True, 0.5)
    assert settings.base_url_of(desk1) == "https://openapi.okx.com"
    assert settings.base_url_of(desk2) == "http://127.0.0.1:1"


@pytest.mark.parametrize("secret", ["012", "1e5", "true", "null", '{"a":1}', "[1]", "a b#c'\"$é"[:8]])
def test_a_secret_that_looks_like_json_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """Digits, booleans and JSON in a passphrase are a passphrase."""
    set_account(monkeypatch, PASSPHRASE=secret)
    assert load_settings().accounts["desk1"].passphrase.get_secret_value() == secret


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither repr nor str nor a dump holds a key or the password of a URL."""
    set_account(monkeypatch)
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://:key-7c1@h:1/0")
    settings = load_settings()
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert not any(secret in shown for secret in SECRETS)


def test_settings_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody changes a setting after start."""
    set_account(monkeypatch)
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.max_attempts = 1  # type: ignore[misc]  # mypy says the same
    with pytest.raises(ValidationError):
        settings.accounts["desk1"].share = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("BULK_CANCEL_MAXATTEMPTS", "BULK_CANCEL_MAX_ATTEMPTS"),
        ("BULK_CANCEL_DEADLINE", "BULK_CANCEL_DEADLINE_S"),
        ("BULK_CANCEL_ACCOUNT_DESK1_API_KEY", "BULK_CANCEL_ACCOUNTS__DESK1__API_KEY"),
        ("BULK_CANCEL_ACCOUNTS__DESK1__API_KAY", "BULK_CANCEL_ACCOUNTS__DESK1__API_KEY"),
        ("BULK_CANCEL_REDIS_URL__X", "BULK_CANCEL_REDIS_URL"),
    ],
)
@pytest.mark.parametrize("dotenv", [False, True])
def test_a_misspelt_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, meant: str, *, dotenv: bool
) -> None:
    """In the environment and in .env, with the name that was meant."""
    set_account(monkeypatch)
    if dotenv:
        (tmp_path / ".env").write_text(f"{name}=key-7c1\n")
    else:
        monkeypatch.setenv(name, "key-7c1")
    assert faults() == [f"{name}: no such setting; did you mean {meant}?"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://:caf\udce9@127.0.0.1:6379/0"),
        ("BROKER_URL", "redis://caf\udce9:6379/0"),
        ("OKX_BASE_URL", "http://caf\udce9"),
        ("KEY_PREFIX", "caf\udce9"),
        ("ACCOUNTS__DESK1__UID", "caf\udce9"),
    ],
)
def test_what_is_no_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """By its name, and not first by whoever sends it."""
    set_account(monkeypatch)
    monkeypatch.setenv(f"BULK_CANCEL_{name}", value)
    assert faults() == [f"BULK_CANCEL_{name}: should be text in UTF-8"]


def test_names_of_others_are_no_business_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables without our prefix may stand in the environment and in .env."""
    monkeypatch.setenv("BULK_CANCELLER", "x")
    (tmp_path / ".env").write_text("OTHER=1\nBULK_CANCEL_MAX_ATTEMPTS=3\n")
    assert load_settings().max_attempts == 3


def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line per fault, each with its variable and no value."""
    set_account(monkeypatch, SHARE="2", UID="a b", BASE_URL="https://h/", PASSPHRASE=" ")
    for name in ("MAX_ATTEMPTS", "DEADLINE_S", "LIMIT_SINGLE"):
        monkeypatch.setenv(f"BULK_CANCEL_{name}", "0")
    monkeypatch.setenv("BULK_CANCEL_HTTP_TIMEOUT_S", "9")
    monkeypatch.setenv("BULK_CANCEL_CONFIRM", "key-7c1")
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://:key-7c1#@h:6379/0")
    named = sorted(line.partition(":")[0].removeprefix("BULK_CANCEL_") for line in faults())
    account = [f"ACCOUNTS__DESK1__{field}" for field in ("BASE_URL", "PASSPHRASE", "SHARE", "UID")]
    others = ["CONFIRM", "DEADLINE_S", "HTTP_TIMEOUT_S", "LIMIT_SINGLE", "MAX_ATTEMPTS", "REDIS_URL"]
    assert named == account + others


def test_what_runs_must_not_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is kept at least as long as it may run."""
    monkeypatch.setenv("BULK_CANCEL_RETENTION_S", "899")
    assert faults() == [
        "BULK_CANCEL_RETENTION_S: should be at least DEADLINE_S; raise it, or lower DEADLINE_S",
    ]
    monkeypatch.setenv("BULK_CANCEL_DEADLINE_S", "899")
    assert load_settings().retention_s == 899


def test_a_missing_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account without passphrase says which variable to set; an empty one counts as missing."""
    set_account(monkeypatch, PASSPHRASE="")
    (line,) = faults()
    assert line.startswith("BULK_CANCEL_ACCOUNTS__DESK1__PASSPHRASE: is missing; set it")


def test_no_account_at_all_says_what_to_set() -> None:
    """A worker needs an account; reading commands do not."""
    assert [line.partition(":")[0] for line in faults(require_accounts=True)] == [
        f"BULK_CANCEL_ACCOUNTS__DESK1__{field}" for field in ("API_KEY", "API_SECRET", "PASSPHRASE")
    ]


@pytest.mark.parametrize("name", ["-desk", "désk", "a b", "x" * 65])
def test_an_account_name_must_be_plain(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Account names become parts of keys and variables."""
    set_account(monkeypatch, name)
    assert "account name" in faults()[0]


@pytest.mark.parametrize("field", ["BASE_URL", "DEMO", "SHARE"])
def test_accounts_of_one_uid_must_agree(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """They share lanes, so whatever shapes a lane may not differ; both are named."""
    other = {"BASE_URL": "https://h", "DEMO": "1", "SHARE": "0.5"}[field]
    set_account(monkeypatch, "A", UID="7")
    set_account(monkeypatch, "B", UID="7", **{field: other})
    (line,) = faults()
    assert f"ACCOUNTS: a and b have the same UID but a different {field}" in line


def test_the_default_address_counts_when_uids_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that names the default address agrees with one that leaves it out."""
    set_account(monkeypatch, "A", UID="7")
    set_account(monkeypatch, "B", UID="7", BASE_URL="https://openapi.okx.com")
    assert len(load_settings().accounts) == 2


@pytest.mark.parametrize("head", ["[Desk1]", "[accounts.DESK1]"])
def test_the_accounts_file_fills_what_the_environment_leaves_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, head: str
) -> None:
    """Field by field: environment, then .env, then the file; a newline of a secret mount is stripped."""
    path = tmp_path / "accounts.toml"
    path.write_text(f'{head}\napi_key = "f1"\nAPI_SECRET = "f2"\npassphrase = """f3\n"""\nuid = "file"\n')
    (tmp_path / ".env").write_text("BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET=d2\n")
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__UID", "env")
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS_FILE", str(path))
    desk = load_settings().accounts["desk1"]
    secrets = [secret.get_secret_value() for secret in (desk.api_key, desk.api_secret, desk.passphrase)]
    assert (secrets, desk.uid) == (["f1", "d2", "f3"], "env")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[desk1]\napi_key = key-7c1\n", "is not TOML in UTF-8 (line 2, column 11)"),
        ('accounts = "key-7c1"\n', "should hold one table per account"),
        ("[a]\n[A]\n", "a is there twice"),
        ('[d]\napi_kay = "key-7c1"\n', "did you mean BULK_CANCEL_ACCOUNTS__D__API_KEY?"),
        ('[d]\npassphrase = 73\napi_key = "k"\napi_secret = "s"\n', "in TOML put it in quotes"),
        ('[d]\nname = "key-7c1"\n', "NAME is no field"),
        ('d = "key-7c1"\n', "account d should be set field by field"),
    ],
)
def test_a_wrong_accounts_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str) -> None:
    """What is wrong and where, never what stood there."""
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS_FILE", str(path))
    assert said in "\n".join(faults())


def test_an_accounts_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its path."""
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS_FILE", "/nowhere/accounts.toml")
    assert faults() == ["BULK_CANCEL_ACCOUNTS_FILE: cannot read /nowhere/accounts.toml: No such file or directory"]


@pytest.mark.parametrize(
    ("state", "broker"),
    [
        ("redis://h", "redis://h"),
        ("rediss://u:p@h:1/2", "rediss://u:p@h:1/2"),
        ("unix:///run/r.sock?db=3", "redis+socket:///run/r.sock?virtual_host=3"),
        ("unix://u:p@/run/r.sock", "redis+socket://u:p@/run/r.sock?virtual_host=0"),
    ],
)
def test_the_broker_is_the_state_redis_unless_set(monkeypatch: pytest.MonkeyPatch, state: str, broker: str) -> None:
    """Celery spells a socket's URL in its own way."""
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", state)
    assert load_settings().broker_url.get_secret_value() == broker


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("REDIS_URL", "http://h"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://:p1@h:x"),
        ("REDIS_URL", "redis://:p1@h/db"),
        ("REDIS_URL", "redis://:p1@[h"),
        ("REDIS_URL", "unix://"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("REDIS_URL", "sentinel://:p1@a:1;redis://b:2"),
        ("REDIS_URL", "sentinel://:p1@a:1;sentinel://b:2/db"),
        ("BROKER_URL", "sentinel://a:1;http://b:2"),
        ("BROKER_URL", "amqp://h"),
        ("OKX_BASE_URL", "h"),
        ("OKX_BASE_URL", "ftp://h"),
        ("OKX_BASE_URL", "https://h/"),
        ("OKX_BASE_URL", "https://h?x=1"),
        ("OKX_BASE_URL", "https://u:p1@h"),
    ],
)
def test_a_wrong_url_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    """Scheme, host, port and db are checked, under the name of the variable."""
    monkeypatch.setenv(f"BULK_CANCEL_{variable}", url)
    (line,) = faults()
    assert line.startswith(f"BULK_CANCEL_{variable}: ")
    assert "p1" not in line


@pytest.mark.parametrize("variable", ["REDIS_URL", "BROKER_URL"])
def test_sentinels_are_state_and_broker(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several Sentinels are parted by semicolons; those of the state are the broker's, too."""
    url = "sentinel://:p@a:26379;sentinel://:p@b:26379"
    monkeypatch.setenv(f"BULK_CANCEL_{variable}", url)
    assert load_settings().broker_url.get_secret_value() == url
    assert redacted(url) == "sentinel://***@a:26379;sentinel://***@b:26379"


def test_a_sentinel_url_names_hosts_service_db_and_login() -> None:
    """Wherever in the list they stand; the password does not show."""
    found = sentinels("sentinel://u:p%401@a:1;sentinel://b/2?master_name=m")
    assert found == Sentinels((("a", 1), ("b", 26379)), "m", 2, "u", "p@1")
    assert "p@1" not in repr(found)
    assert sentinels("sentinel://h") == Sentinels((("h", 26379),), "mymaster", 0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:p@h:1/2?password=x", "redis://***@h:1/2?…"),
        (SecretStr("redis://:p@h/0"), "redis://***@h/0"),
        ("redis://h:1/2", "redis://h:1/2"),
        ("unix:///run/r.sock", "unix:///run/r.sock"),
        ("redis://:p#x@h:1", "(unreadable URL)"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str | SecretStr, shown: str) -> None:
    """Host, port and db stay readable."""
    assert redacted(url) == shown


def test_an_address_may_have_a_path() -> None:
    """A gateway in front of the exchange may add one."""
    assert check_http_url("http://gateway/okx") == "http://gateway/okx"


def test_nothing_is_read_at_import() -> None:
    """Importing the module with a broken environment raises nothing."""
    env = {"BULK_CANCEL_NONSENSE": "1"}
    subprocess.run([sys.executable, "-c", "import bulk_cancel.worker.config.settings"], env=env, check=True)


def test_given_values_win() -> None:
    """A test or the demo builds settings from values."""
    assert Settings(max_attempts=2).max_attempts == 2


@pytest.mark.parametrize("name", ["ACCOUNTS", "ACCOUNTS__DESK1"])
@pytest.mark.parametrize("more", [False, True])
def test_accounts_are_set_field_by_field_only(monkeypatch: pytest.MonkeyPatch, name: str, *, more: bool) -> None:
    """A value where a table should be is told, with and without good fields beside it."""
    if more:
        set_account(monkeypatch)
    monkeypatch.setenv(f"BULK_CANCEL_{name}", '{"key-7c1": 1}')
    assert "ACCOUNTS__DESK1__API_KEY" in "".join(faults())


def test_a_validation_error_that_gets_out_hides_the_value() -> None:
    """Whoever builds settings from values may see pydantic's own error."""
    with pytest.raises(ValidationError) as caught:
        Settings(redis_url=SecretStr("amqp://:key-7c1@h"), max_attempts=0, okx_base_url="key-7c1")
    assert "key-7c1" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://h:1/2", "unix:///run/r.sock?db=3", "unix://u:p@/run/r.sock?db=0"])
def test_a_broker_url_can_be_spelt_for_redis_again(url: str) -> None:
    """`check` asks the broker's Redis itself."""
    assert state_form(broker_form(url)) == url


@pytest.mark.parametrize(
    ("said", "channel"),
    [
        ({}, "wss://ws.okx.com:8443/ws/v5/private"),
        ({"ACCOUNTS__DESK1__DEMO": "on"}, "wss://wspap.okx.com:8443/ws/v5/private"),
        ({"OKX_BASE_URL": "https://www.okx.com"}, "wss://ws.okx.com:8443/ws/v5/private"),
        ({"OKX_BASE_URL": "https://eea.okx.com"}, "wss://wseea.okx.com:8443/ws/v5/private"),
        ({"OKX_BASE_URL": "https://MY.okx.com:443"}, "wss://wseea.okx.com:8443/ws/v5/private"),
        ({"ACCOUNTS__DESK1__BASE_URL": "https://us.okx.com"}, "wss://wsus.okx.com:8443/ws/v5/private"),
        ({"OKX_BASE_URL": "https://app.okx.com"}, "wss://wsus.okx.com:8443/ws/v5/private"),
        (
            {"OKX_BASE_URL": "https://eea.okx.com", "ACCOUNTS__DESK1__DEMO": "on"},
            "wss://wseeapap.okx.com:8443/ws/v5/private",
        ),
        (
            {"OKX_BASE_URL": "https://us.okx.com", "ACCOUNTS__DESK1__DEMO": "on"},
            "wss://wsuspap.okx.com:8443/ws/v5/private",
        ),
        ({"OKX_BASE_URL": "https://eea.okx.com", "OKX_WS_URL": "wss://one.example/ws"}, "wss://one.example/ws"),
        ({"OKX_BASE_URL": "http://eea.okx.com"}, None),
        ({"OKX_BASE_URL": "https://eea.okx.com:8443"}, None),
        ({"OKX_BASE_URL": "https://www.okx.com.test.example"}, None),
        ({"OKX_BASE_URL": "https://www.okx.com/proxy"}, None),
        ({"OKX_BASE_URL": "https://test.example"}, None),
        ({"ACCOUNTS__DESK1__BASE_URL": "https://test.example"}, None),
        ({"OKX_BASE_URL": "https://test.example", "OKX_WS_URL": "wss://test.example/ws"}, "wss://test.example/ws"),
        (
            {"ACCOUNTS__DESK1__WS_URL": "wss://one.example/ws", "OKX_WS_URL": "wss://two.example/ws"},
            "wss://one.example/ws",
        ),
    ],
)
def test_a_region_brings_its_channel_and_a_test_exchange_never_gets_it(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], channel: str | None
) -> None:
    """Who changes the base URL to one of no region has to name the channel too, or goes without."""
    for name in ("API_KEY", "API_SECRET", "PASSPHRASE"):
        monkeypatch.setenv(f"BULK_CANCEL_ACCOUNTS__DESK1__{name}", "k")
    for name, value in said.items():
        monkeypatch.setenv(f"BULK_CANCEL_{name}", value)
    settings = load_settings()
    assert settings.ws_url_of(settings.accounts["desk1"]) == channel


@pytest.mark.parametrize(
    ("said", "means"), [("on", "on"), ("TRUE", "on"), ("rest", "rest"), ("off", "off"), ("0", "off")]
)
def test_confirm_has_three_values(monkeypatch: pytest.MonkeyPatch, said: str, means: str) -> None:
    """And the usual spellings of two of them."""
    monkeypatch.setenv("BULK_CANCEL_CONFIRM", said)
    assert load_settings().confirm == means


@pytest.mark.parametrize("seconds", ["9", "121", "-1"])
def test_the_dead_mans_switch_takes_what_the_exchange_takes(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    """0, or 10 to 120 s."""
    monkeypatch.setenv("BULK_CANCEL_DEAD_MANS_SWITCH_S", seconds)
    with pytest.raises(SettingsError, match="0 \\(off\\) or 10 to 120"):
        load_settings()


WEBHOOK = "BULK_CANCEL_ALERT_WEBHOOK_"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("ftp://h0st/secret-path", "should look like https://host/path"),
        ("https:///secret-path", "should look like https://host/path"),
        ("https://h0st/secret path", "should look like https://host/path"),
        ("https://me:pa55word@h0st/secret-path", "should hold no user and password"),
        ("https://h0st:x/secret-path", "is not a readable URL"),
    ],
)
def test_a_webhook_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, url: str, fault: str) -> None:
    """At start, by name, and never with its address: the path may be a secret."""
    monkeypatch.setenv(f"{WEBHOOK}URL", url)
    monkeypatch.setenv(f"{WEBHOOK}SECRET", "s3cret")
    with pytest.raises(SettingsError, match=f"^{WEBHOOK}URL: {fault}") as error:
        load_settings()
    assert not any(part in str(error.value) for part in ("secret-path", "secret path", "pa55word", "h0st"))


@pytest.mark.parametrize("only", ["URL", "SECRET"])
def test_a_webhook_needs_both_address_and_secret(monkeypatch: pytest.MonkeyPatch, only: str) -> None:
    """An alert that nobody can verify is worth nothing; neither is shown by `repr`."""
    monkeypatch.setenv(f"{WEBHOOK}{only}", "https://host/secret-path")
    with pytest.raises(SettingsError, match="set both, or neither"):
        load_settings()
    for name in ("URL", "SECRET"):
        monkeypatch.setenv(f"{WEBHOOK}{name}", "https://host/secret-path")
    settings = load_settings()
    assert settings.alert_webhook_url is not None
    assert settings.alert_webhook_url.get_secret_value() == "https://host/secret-path"
    assert "secret-path" not in repr(settings)


@pytest.mark.parametrize("name", ["REDIS_URL", "BROKER_URL"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h:6379/0?socket_timeout=1", "takes no `socket_timeout`: redis:// may say nothing after the db"),
        ("redis://h:6379/0?protocol=3", "takes no `protocol`"),
        ("redis://h:6379/0?foo", "takes no `foo`"),
        ("rediss://h:6379/0?ssl_cert_reqs=none&db=1", "takes no `db`: rediss:// may say only ssl_ca_certs, "),
        ("sentinel://h1;sentinel://h2/0?master_name=m&timeout=1", "takes no `timeout`"),
        ("redis://bob:12?key-7c1=x@host", "takes no what follows its `?`"),
    ],
)
def test_a_url_says_no_more_than_all_its_readers_take(
    name: str, url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check`, the state's client and the broker's read the same; what one of them would die of is refused by name."""
    monkeypatch.setenv(f"BULK_CANCEL_{name}", url)
    assert faults()[0].startswith(f"BULK_CANCEL_{name}: {said}")


@pytest.mark.parametrize(
    "url",
    [
        "rediss://h:6379/0?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem&ssl_check_hostname=false",
        "unix:///run/redis.sock?db=1",
        "sentinel://h1:26379;sentinel://h2/0?master_name=m",
    ],
)
def test_what_a_url_may_say_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS files, the db of a socket, Sentinel's service."""
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", url)
    assert load_settings().redis_url.get_secret_value() == url


def test_what_kubernetes_tells_of_its_services_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Service `bulk-cancel-redis` is in the environment of every pod, a Service `bulk-cancel` as well."""
    for service in ("BULK_CANCEL_REDIS", "BULK_CANCEL"):
        monkeypatch.setenv(f"{service}_SERVICE_HOST", "10.0.0.7")
        for name in ("SERVICE_PORT", "SERVICE_PORT_REDIS", "PORT", "PORT_6379_TCP", "PORT_6379_TCP_PROTO"):
            monkeypatch.setenv(f"{service}_{name}", "6379")
        monkeypatch.setenv(f"{service}_PORT_6379_TCP_PORT", "6379")
        monkeypatch.setenv(f"{service}_PORT_6379_TCP_ADDR", "10.0.0.7")
    assert load_settings().redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("name", ["REDIS_PORT", "REDIS_SERVICE_HOST", "REDIS_SERVICE_PORT"])
def test_a_name_of_that_shape_alone_is_misspelt(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes never sets one without the others, a person does."""
    monkeypatch.setenv(f"BULK_CANCEL_{name}", "6379")
    assert faults()[0].startswith(f"BULK_CANCEL_{name}: no such setting; ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('BULK_CANCEL_CONFIRM="key-7c1', 1),
        ("BULK_CANCEL_CONFIRM='key-7c1\nBULK_CANCEL_KEY_PREFIX='a'\n", 1),
        ('BULK_CANCEL_KEY_PREFIX=a\n\n# a desk\nBULK_CANCEL_ACCOUNTS__DESK1__SHARE "secret-9d2"\n', 4),
        ('\r\n\r\nNAME="key-7c1" BULK_CANCEL_CONFIRM=rest\r\n', 3),
        ("export bulk_cancel_confirm\n", 1),
    ],
)
def test_a_line_of_the_env_file_that_says_nothing_is_refused(
    text: str, line: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the default would hold in silence. What it says may be a secret, and is shown by nobody."""
    (tmp_path / ".env").write_text(text)
    assert faults() == [f".env: line {line}: should be NAME=value, with both quotes or none"]
    assert not caplog.records


def test_what_the_env_file_says_to_others_is_passed_over(tmp_path: Path) -> None:
    """Names of other programs, comments, blank lines, quotes over several lines, a byte order mark."""
    text = "\ufeff# us\n\nBULK_CANCEL_KEY_PREFIX='a' # ours\nexport BARE\nPEM=\"one\ntwo\"\nBULK_CANCEL_CONFIRM=\n"
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    assert (load_settings().key_prefix, load_settings().confirm) == ("a", "on")


def test_an_env_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, not a traceback; its content is never shown."""
    (tmp_path / ".env").write_bytes(b"BULK_CANCEL_KEY_PREFIX=key-7c1\xff\n")
    assert faults() == [".env is not UTF-8; save it as UTF-8, or remove it"]
    (tmp_path / ".env").write_text("")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bulk_cancel.worker.config.settings._names_set", refuse)
    assert faults() == [".env cannot be read: Permission denied; mend its rights, or remove it"]
