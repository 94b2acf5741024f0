"""What may every test count on?

Its tier's mark by folder, an environment without our variables and, where it asks for one, a real Redis.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from redis import Redis

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis

TIERS = ("unit", "integration", "system")

# Examples are the same at every run, on every machine, and have all the time they need: a failure tells of the change
# at hand. New ones are sought with --hypothesis-profile explore.
settings.register_profile(
    "explore", derandomize=False, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.register_profile("repeatable", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, the folder below tests/."""
    here = Path(__file__).parent
    for item in items:
        tier = item.path.relative_to(here).parts[0]
        if tier in TIERS:
            item.add_marker(tier)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches a test."""
    for name in list(os.environ):
        if name.upper().startswith("BULK_CANCEL_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """What a test sets of this process's logging ends with it: others capture lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """One real server for all tests of this process; a test that kills or freezes one starts its own."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """The server's address, with every db empty."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Redis]:
    """A client (answers are bytes) of an empty Redis."""
    with Redis.from_url(redis_url) as client:
        yield client
