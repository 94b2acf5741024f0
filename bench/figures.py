"""Which figures are kept? One shape per file in `results/`, and all of them read back for the bars."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import TypeAdapter

Endpoints = Literal["single", "auto"]
Confirm = Literal["off", "on"]
Ids = Literal["usual", "longest"]
Build = Literal["now", "before"]
T = TypeVar("T")

RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Lap:
    """One contender in one round of a scenario; times in seconds since the hand-in call began.

    `first_s` and `last_s`: arrivals of the first cancel and of the last accepted one (None: none); `handed_in_s` is
    None and `capped` true if it was stopped before it was done. `cpu_s` is that of all its processes with its Redis,
    not of the exchange; `redis_cpu_s` is our Redis's part of it (None: not measured).
    """

    scenario: str
    contender: str
    orders: int
    minimum_s: float
    first_s: float | None
    last_s: float | None
    handed_in_s: float | None
    accepted: int
    live: int
    calls: int
    refusals: int
    cpu_s: float
    capped: bool
    redis_cpu_s: float | None = None

    @property
    def flat_s(self) -> float | None:
        """When every cancel was accepted; None if it did not come to that."""
        return None if self.live or self.capped else self.last_s


@dataclass(frozen=True, slots=True)
class FirstByte:
    """Milliseconds from the call of `submit()` to the arrival of its one cancel, after a short and a long quiet.

    `celery_samples_ms`: from the call of Celery's `send_task()`, after a short one. `before_…`: of the build before,
    which took turns.
    """

    workers: int
    samples_ms: tuple[float, ...]
    idle_samples_ms: tuple[float, ...] = ()
    celery_samples_ms: tuple[float, ...] = ()
    before_samples_ms: tuple[float, ...] = ()
    before_celery_samples_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """One run: `span_s` from the first cancel's arrival to the last, `minimum_s` the least that is legal for it."""

    weather: str
    workers: int
    orders: int
    span_s: float
    minimum_s: float
    refusals: int
    most_in_window: int

    @property
    def share(self) -> float:
        """Of the allowed rate."""
        return self.minimum_s / self.span_s


@dataclass(frozen=True, slots=True)
class Run:
    """One bulk: CPU seconds per 1,000 orders of workers and Redis, and what Redis was asked per HTTP call.

    `build`: this one, or the one to which it is compared (`bench.before`), in the same round.
    """

    endpoints: Endpoints
    confirm: Confirm
    orders: int
    http_calls: int
    workers_cpu_s: float
    redis_cpu_s: float
    verbs_per_call: float
    commands: dict[str, float]
    build: Build = "now"

    @property
    def cpu_s(self) -> float:
        """Workers and Redis together."""
        return self.workers_cpu_s + self.redis_cpu_s


@dataclass(frozen=True, slots=True)
class Storage:
    """`submit()` into an otherwise idle Redis: orders a second, with and without checking the rows, and bytes a job."""

    ids: Ids
    orders_per_s: float
    admitted_per_s: float
    bytes_per_job: float


@dataclass(frozen=True, slots=True)
class Costs:
    """`floors`: CPU seconds per 1,000 orders of the HTTP calls alone."""

    runs: tuple[Run, ...]
    floors: Mapping[Endpoints, float]
    storages: tuple[Storage, ...] = ()


@dataclass(frozen=True, slots=True)
class Listening:
    """One worker that hears so many accounts: MB at start and after that many orders; idle, its share of a core."""

    accounts: int
    orders: int
    start_mb: float
    after_mb: float
    idle_worker_share: float
    idle_redis_share: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What the last runs found; None or empty where nothing was kept."""

    laps: tuple[Lap, ...] = ()
    first_byte: FirstByte | None = None
    uses: tuple[Use, ...] = ()
    costs: Costs | None = None
    listening: tuple[Listening, ...] = ()


def read(results: Path) -> Kept:
    """From the files of that folder; ValidationError if a file is of another shape."""
    return Kept(
        laps=_read(results / "championship.json", tuple[Lap, ...], ()),
        first_byte=_read(results / "first_byte.json", FirstByte, None),
        uses=_read(results / "window_use.json", tuple[Use, ...], ()),
        costs=_read(results / "cost.json", Costs, None),
        listening=_read(results / "listening.json", tuple[Listening, ...], ()),
    )


def _read(file: Path, shape: Any, without: T) -> Any | T:  # noqa: ANN401 (pydantic checks it)
    if not file.exists():
        return without
    return TypeAdapter(shape).validate_python(json.loads(file.read_text())["figures"])
