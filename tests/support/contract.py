"""The operations of the HTTP door, as its committed contract has them."""

import json
from typing import Any, Final

from tests.support.checkout import ROOT

FILE: Final = ROOT / "worker/gateway/openapi.json"
COMMITTED: Final[dict[str, Any]] = json.loads(FILE.read_text())
OPERATIONS: Final[list[tuple[str, dict[str, Any]]]] = [
    (f"{method.upper()} {path}", said)
    for path, methods in COMMITTED["paths"].items()
    for method, said in methods.items()
]
"""`PUT /v1/batches/{batch_id}` and what is said of it."""
