"""The pytest plugin. Every run of pytest beside an installed bulk-cancel loads it, so it imports next to nothing."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_cancel.tasks.testing.kit import Kit

ACCOUNTS = "bulk_cancel_accounts"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The accounts that the runner of each test serves."""
    parser.addini(ACCOUNTS, "accounts that the fixture `bulk_cancel` serves", type="args", default=["desk1"])


@pytest.fixture
def bulk_cancel(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Kit]":
    """A runner of this test's own, which the environment names: `bulk_cancel.tasks.submit` hands in there."""
    try:
        from bulk_cancel.tasks.testing.kit import opened
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"the fixture bulk_cancel needs {error.name}: pip install 'bulk-cancel[testing]'"
        ) from None
    with opened(pytestconfig.getini(ACCOUNTS), monkeypatch) as kit:
        yield kit
