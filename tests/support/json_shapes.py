"""The shapes of `worker/cli/JSON.md`, and whether a printed object has the one that its `schema` names."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tests.support.checkout import ROOT

SHOWN: Final[list[dict[str, Any]]] = [
    json.loads(text)
    for text in re.findall(r"^```json\n(.*?)^```", (ROOT / "worker/cli/JSON.md").read_text(), re.MULTILINE | re.DOTALL)
]
OF_SHARDS: Final = {said["schema"]: said for said in SHOWN if "shards" in said}
"""What is told besides of a runner with several; every row has `shard` then, too."""

EXAMPLES: Final[Mapping[str, dict[str, Any]]] = {said["schema"]: said for said in SHOWN if "shards" not in said}
OPTIONAL: Final = {"submit/1": {"state"}, "outcome/1": {"log"}}
BY_NAME: Final = {
    "counts",
    "outcomes",
    "labels",
    "facts",
    "problems",
    "not_affected",
    "by_kind",
    "order",
    "log",
    "not_known",
    "by_instrument",
    "away",
}
SCOPES: Final = {"scope_asked", "by_exchange", "by_us"}
"""Objects whose names are data: what they hold is not compared."""


def misfits(printed: Mapping[str, Any]) -> list[str]:
    """Where the object differs from its example, in names or in kinds of values."""
    schema = str(printed["schema"])
    optional = OPTIONAL.get(schema, set()) - printed.keys()
    example = EXAMPLES[schema] | (OF_SHARDS.get(schema, {}) if "shards" in printed else {})
    return _differences({k: v for k, v in example.items() if k not in optional}, printed, schema)


def _differences(example: Any, printed: Any, place: str) -> list[str]:  # noqa: ANN401 (JSON)
    if example is None or printed is None or place.rpartition(".")[2] in BY_NAME | SCOPES:
        return []
    if isinstance(example, dict) and isinstance(printed, dict):
        extra = {"shard"} & printed.keys()
        names = [f"{place}.{name}" for name in sorted((example.keys() ^ printed.keys()) - extra)]
        both = example.keys() & printed.keys()
        return names + [each for name in both for each in _differences(example[name], printed[name], f"{place}.{name}")]
    if isinstance(example, list) and isinstance(printed, list):
        return [each for item in printed for shown in example[:1] for each in _differences(shown, item, place)]
    kinds = [float if type(value) is int else type(value) for value in (example, printed)]
    return [] if kinds[0] is kinds[1] else [f"{place}: {printed!r}"]
