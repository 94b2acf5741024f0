"""The addresses of Redis, broker and exchange that are accepted, and how one is shown without its password."""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import SecretStr

from bulk_cancel.tasks.utf8 import NOT_UTF8, is_writable

STATE_SCHEMES = ("redis", "rediss", "unix", "sentinel")
BROKER_SCHEMES = (*STATE_SCHEMES, "redis+socket")
_SHAPE = "should look like {scheme}://host:6379/0"
_OPTION = re.compile(r"[a-z_]{1,32}")
_TLS = frozenset({"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})
_OPTIONS = {"rediss": _TLS, "unix": {"db"}, "redis+socket": {"virtual_host"}, "sentinel": {"master_name"}}
"""What a URL may say after `?`: what redis-py and kombu both take, and what does not undo our own options."""


def redacted(url: str | SecretStr) -> str:
    """The URL without user, password and query; scheme, host, port and db stay, `;` lists are kept."""
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    return ";".join(_redacted_one(part) for part in text.split(";"))


def check_state_url(url: SecretStr) -> SecretStr:
    """Raise ValueError (never showing the URL) unless it names one Redis server, or Sentinels, parted by `;`."""
    text = url.get_secret_value()
    for part in text.split(";") if text.startswith("sentinel:") else [text]:
        _check_redis(part, ("sentinel",) if text.startswith("sentinel:") else STATE_SCHEMES)
    return url


def check_broker_url(url: SecretStr) -> SecretStr:
    """Raise ValueError (never showing the URL) unless it is a broker Celery can use; `;` parts Sentinels."""
    for part in url.get_secret_value().split(";"):
        _check_redis(part, BROKER_SCHEMES)
    return url


def check_ws_url(url: str) -> str:
    """Raise ValueError unless it is a `ws(s)://host[:port]/path` address."""
    parts = _split(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise ValueError("should look like wss://host:8443/ws/v5/private")
    if parts.username or parts.password:
        raise ValueError("should hold no user and password: the channel logs in by itself")
    return url


def check_http_url(url: str) -> str:
    """Raise ValueError unless it is an `http(s)://host[:port]` address that paths can be appended to."""
    parts = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("should look like https://host")
    if parts.username or parts.password:
        raise ValueError("should hold no user and password: the exchange is asked with signed headers")
    if url.endswith("/") or parts.query or parts.fragment:
        raise ValueError("should end with the host, without a trailing slash, query or fragment")
    return url


def check_webhook_url(url: SecretStr) -> SecretStr:
    """Raise ValueError (never showing the URL) unless it is an `http(s)://host[:port]/path?query` address."""
    parts = _split(url.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in url.get_secret_value():
        raise ValueError("should look like https://host/path")
    if parts.username or parts.password:
        raise ValueError("should hold no user and password: what is sent is signed with ALERT_WEBHOOK_SECRET")
    return url


def origin(url: str) -> str:
    """Scheme, host and port alone: the path of a webhook may be as secret as its query."""
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def broker_form(url: str) -> str:
    """The state URL as Celery spells it: `unix:///path?db=1` becomes `redis+socket:///path?virtual_host=1`."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    db = parse_qs(parts.query).get("db", ["0"])[0]
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"redis+socket://{login}{parts.path}?virtual_host={db}"


def state_form(url: str) -> str:
    """A broker URL as redis-py spells it: the inverse of `broker_form`; Sentinels have no such form."""
    parts = urlsplit(url)
    if parts.scheme != "redis+socket":
        return url
    db = parse_qs(parts.query).get("virtual_host", ["0"])[0]
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"unix://{login}{parts.path}?db={db}"


def place_of(url: str) -> str:
    """Which db of which server a state URL names, however it is spelt; names of one host are not looked up."""
    if url.startswith("sentinel:"):
        found = sentinels(url)
        return f"{sorted(found.hosts)} {found.service} {found.db}"
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"{parts.path} {int(parse_qs(parts.query).get('db', ['0'])[0])}"
    host = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}.get(parts.hostname or "", parts.hostname)
    return f"{host}:{parts.port or 6379} {int(parts.path.strip('/') or 0)}"


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Where Sentinels listen, which primary of theirs is meant, and how to log in there (not at the Sentinels)."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def sentinels(url: str) -> Sentinels:
    """What `sentinel://user:password@h1:26379;sentinel://h2:26379/db?master_name=…` names (default mymaster, db 0)."""
    parts = [urlsplit(part) for part in url.split(";")]
    named = [name for part in parts for name in parse_qs(part.query).get("master_name", ())]
    dbs = [part.path.strip("/") for part in parts if part.path.strip("/")]
    login = next((part for part in parts if part.password), parts[0])
    return Sentinels(
        hosts=tuple((part.hostname or "", part.port or 26379) for part in parts),
        service=named[0] if named else "mymaster",
        db=int(dbs[0]) if dbs else 0,
        username=unquote(login.username) if login.username else None,
        password=unquote(login.password) if login.password else None,
    )


def _redacted_one(url: str) -> str:
    try:
        parts = _split(url)
    except ValueError:
        return "(unreadable URL)"
    login, at, host = parts.netloc.rpartition("@")
    shown = f"{parts.scheme}://{'***@' if login or at else ''}{host}{parts.path}"
    return shown + ("?…" if parts.query else "")


def _split(url: str) -> SplitResult:
    if not is_writable(url):
        raise ValueError(NOT_UTF8)
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no number
    except ValueError:
        # urllib's own words quote the URL, password and all
        raise ValueError("is not a readable URL (a password with @ : / ? # needs percent-encoding)") from None
    return parts


def _check_redis(url: str, schemes: tuple[str, ...]) -> None:
    parts = _split(url)
    if parts.scheme not in schemes:
        raise ValueError(f"should start with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
    if parts.scheme in {"unix", "redis+socket"}:
        if not parts.path.strip("/"):
            raise ValueError(f"should name a socket file: {parts.scheme}:///run/redis.sock")
    elif not parts.hostname:
        raise ValueError(_SHAPE.format(scheme=parts.scheme))
    elif parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise ValueError(f"{_SHAPE.format(scheme=parts.scheme)}: the db is a number")
    _check_options(parts)


def _check_options(parts: SplitResult) -> None:
    """A name is shown, never its value; before an `@`, or if it is no plain word, it may be part of a password."""
    known = _OPTIONS.get(parts.scheme, set())
    unknown = [name for name in parse_qs(parts.query, keep_blank_values=True) if name not in known]
    if unknown:
        what = f"`{unknown[0]}`" if _OPTION.fullmatch(unknown[0]) and "@" not in parts.query else "what follows its `?`"
        may = f"only {', '.join(sorted(known))}" if known else "nothing after the db"
        raise ValueError(f"takes no {what}: {parts.scheme}:// may say {may}; timeouts and the like are set by us")
