"""A Redis that listens at a socket file: both clients reach it there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.tasks import BulkCancel, aio
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Of its db 2."""
    with EmbeddedRedis(options={"unixsocket": str(tmp_path / "r.sock")}):
        yield f"unix://{tmp_path}/r.sock?db=2"


def test_the_plain_client_reaches_it(url: str) -> None:
    """By the URL that the settings take."""
    with BulkCancel(url) as runner:
        assert runner.newest() == "0"


def test_asyncios_client_reaches_it(url: str) -> None:
    """The same."""

    async def newest() -> str:
        async with aio.BulkCancel(url) as runner:
            return await runner.newest()

    assert asyncio.run(newest()) == "0"
