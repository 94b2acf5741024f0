"""What does every test under faults get? Its form, short or long, and a witness that must have judged."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.chaos.report import Witness, long_form

SHORT_S, LONG_S = 180, 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of this folder end in three minutes, in their long form in ten."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONG_S if long_form() else SHORT_S))


@pytest.fixture
def long() -> bool:
    """Whether the long form was asked for: CHAOS=long, as `make chaos` does."""
    return long_form()


@pytest.fixture
def slack(*, long: bool) -> float:
    """How often the time that is promised may pass: once in the long form, which has the machine for itself."""
    return 1.0 if long else 5.0


@pytest.fixture
def witness(request: pytest.FixtureRequest) -> Iterator[Witness]:
    """Named for the test; one that passed without its judgement has proved nothing."""
    witness = Witness(request.node.name.removeprefix("test_").replace("_", " "))
    yield witness
    assert witness.finding is not None, "the test never called witness.judge"
