"""Several real Redis, as the shards of one runner."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
from redis import Redis

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.worker.config.settings import Settings, settings_of
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.shards import Shards
from bulk_cancel.worker.state.store import adopt

NAMES = ("default", "a", "b")


@contextmanager
def servers(count: int) -> Iterator[list[EmbeddedRedis]]:
    """So many, each of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(EmbeddedRedis()) for _ in range(count)]


def settings_for(urls: Mapping[str, str], accounts: Mapping[str, str], **told: object) -> Settings:
    """The settings of a runner with these Redis, by name, and these accounts, each with its shard."""
    secrets = dict.fromkeys(("api_key", "api_secret", "passphrase"), "x")
    shards = {name: {"redis_url": url} for name, url in urls.items() if name != "default"}
    named = {name: {**secrets, "api_key": name, "shard": shard} for name, shard in accounts.items()}
    return settings_of(redis_url=urls["default"], shards=shards, accounts=named, **told)


def urls_of(redis: list[EmbeddedRedis]) -> dict[str, str]:
    """Their addresses by the names of the shards."""
    return {name: server.url for name, server in zip(NAMES, redis, strict=False)}


def emptied(redis: list[EmbeddedRedis], shards: Shards) -> Shards:
    """The shards, with every Redis empty and trusted."""
    for server in redis:
        with Redis.from_url(server.url) as client:
            client.flushall()
    for shard in shards.all():
        adopt(shard.store)
    return shards


def asked_where(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts of which all shards are asked from now on whether they have them, by stores that are opened then."""
    asked, where = list[str](), Shards._where

    def ask(self: Shards, account: str) -> Asking[str]:
        asked.append(account)
        return where(self, account)

    monkeypatch.setattr(Shards, "_where", ask)
    return asked
