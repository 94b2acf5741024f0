"""Tests of the door against its own contract: whatever is sent, every answer is one that `openapi.json` documents."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.store import adopt, open_store
from tests.support.contract import COMMITTED
from tests.support.door import Door, token_file

ALWAYS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CASES: Final = 6
FEW: Final = {"maxItems": 3, "maxProperties": 3}
"""Of a body's lists and objects. Longer ones take ten times as long to draw, for most of them are thrown away."""


def with_few(body: Any) -> Any:  # noqa: ANN401 (JSON)
    """The schema of a body, with few items."""
    if isinstance(body, list):
        return [with_few(each) for each in body]
    if not isinstance(body, dict):
        return body
    return {name: min(said, FEW[name]) if name in FEW else with_few(said) for name, said in body.items()}


def asked_few(operation: dict[str, Any]) -> dict[str, Any]:
    """The operation as it stands, but for what is drawn for its body."""
    return {name: with_few(said) if name == "requestBody" else said for name, said in operation.items()}


PATHS: Final = {
    path: {method: asked_few(operation) for method, operation in methods.items()}
    for path, methods in COMMITTED["paths"].items()
}
SCHEMA: Final = schemathesis.openapi.from_dict({**COMMITTED, "paths": PATHS, "servers": [{"url": "/"}]})
_LEFT_OUT: Final = {"/v1/dry-run", "/readyz", "/v1/events", "/v1/batches/{batch_id}/events"}
"""The first asks the exchange, the second is 503 without a worker, the others do not end."""

OPERATIONS: Final = [
    operation
    for result in SCHEMA.get_all_operations()
    if isinstance(result, Ok)
    for operation in [result.ok()]
    if operation.path not in _LEFT_OUT
]
ASKED: Final = [
    (operation, mode)
    for operation in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or operation.body or [*operation.iter_parameters()]
]


@pytest.fixture(scope="module")
def door(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One door for all of them: what one leaves behind must not trouble the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BULK_CANCEL_REDIS_URL", redis_server.url)
        for field in ("API_KEY", "API_SECRET", "PASSPHRASE"):
            patch.setenv(f"BULK_CANCEL_ACCOUNTS__DESK1__{field}", "x")
        store = open_store(load_settings())
    store.redis.flushall()
    adopt(store)
    with Door(store, token_file(tmp_path_factory.mktemp("door") / "tokens")) as found:
        yield found
    store.redis.close()


@pytest.mark.parametrize(
    ("operation", "mode"), ASKED, ids=[f"{operation.label} {mode.value}" for operation, mode in ASKED]
)
def test_every_answer_is_documented(operation: Any, mode: GenerationMode, door: Door) -> None:  # noqa: ANN401 (generic)
    """No 5xx; and what the contract allows is taken."""
    checks = [*ALWAYS, *([positive_data_acceptance] if mode is GenerationMode.POSITIVE else [])]

    @settings(max_examples=CASES, phases=[Phase.explicit, Phase.generate])
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Case[Any]) -> None:
        answer = case.call(base_url=door.url, headers={"Authorization": "Bearer kill"}, session=door.session)
        case.validate_response(answer, checks=checks)

    holds()
