"""What was ever counted, and how long things took: the hash `totals`, which the verbs keep and nothing ends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, cast

from redis import Redis

from bulk_cancel.worker.state.keys import Keys


def _bounds() -> tuple[int, ...]:
    text = (files("bulk_cancel.worker.state") / "lua" / "lib" / "totals.lua").read_text("utf-8")
    found = re.search(r"BOUNDS_US = \{([^}]*)\}", text)
    return tuple(map(int, re.findall(r"\d+", found[1]))) if found else ()


BOUNDS_US: Final = _bounds()
"""The upper bounds of a histogram's parts, in µs."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts by name: `status:…`, `calls:…`, `refused:…`; of a histogram `<name>:<bound or inf>` and `<name>:sum`."""

    counts: Mapping[str, int]

    def count(self, name: str) -> int:
        """How often; 0 if never."""
        return self.counts.get(name, 0)


def read_totals(redis: Redis, keys: Keys) -> Totals:
    """All of them; raises redis-py's errors."""
    read = cast("Mapping[str, str]", redis.hgetall(keys.of("totals")))
    return Totals({name: int(count) for name, count in read.items()})
