"""Which figure is held against a bar? One per round of what is kept, by `CONFIRM`; none where it was not measured.

First byte, window use and storage are measured with the default, `CONFIRM=on`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from bench.figures import Build, Confirm, Endpoints, FirstByte, Ids, Kept, Lap, Run, Storage
from bench.percentile import percentile
from bench.scenarios import BEFORE, OURS, US

Reader = Callable[[Kept, Confirm], Sequence[float]]

NEVER: Final = float("inf")
"""The time to flat of a lap that left orders live."""


def flat_s(scenario: str) -> Reader:
    """Seconds to flat of two workers."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        laps = [lap for lap in kept.laps if (lap.scenario, lap.contender) == (scenario, OURS[confirm])]
        return [NEVER if lap.flat_s is None else lap.flat_s for lap in laps]

    return of


def refusals(kept: Kept, confirm: Confirm) -> list[float]:
    """Of every lap of ours, with however many workers."""
    return [lap.refusals for lap in _laps(kept, confirm)]


def left_live(kept: Kept, confirm: Confirm) -> list[float]:
    """Of every lap of ours, with however many workers."""
    return [lap.live for lap in _laps(kept, confirm)]


def flat_ratio(scenario: str) -> Reader:
    """Seconds to flat with confirmation ÷ without it, of the same round."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        both = zip(flat_s(scenario)(kept, "on"), flat_s(scenario)(kept, "off"), strict=False)
        return [on / off for on, off in both if off != NEVER] if confirm == "on" else []

    return of


def faster_than(peer: str, scenario: str) -> Reader:
    """A peer's seconds to flat ÷ ours; the peer runs once."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        theirs = [lap.flat_s for lap in kept.laps if (lap.scenario, lap.contender) == (scenario, peer)]
        if not theirs or theirs[0] is None:
            return []
        return [theirs[0] / ours for ours in flat_s(scenario)(kept, confirm)]

    return of


def orders_per_redis_s(scenario: str) -> Reader:
    """Orders for a second of Redis's CPU time."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        laps = [lap for lap in kept.laps if (lap.scenario, lap.contender) == (scenario, OURS[confirm])]
        return [lap.accepted / lap.redis_cpu_s for lap in laps if lap.redis_cpu_s]

    return of


def orders_per_redis_s_of_before(scenario: str, only: Confirm) -> Reader:
    """The same ÷ that of the build before, of the same round."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        now, then = (
            [lap for lap in kept.laps if (lap.scenario, lap.contender) == (scenario, name[only])]
            for name in (OURS, BEFORE)
        )
        both = zip(now, then, strict=False) if confirm == only else ()
        return [old.redis_cpu_s / new.redis_cpu_s for new, old in both if new.redis_cpu_s and old.redis_cpu_s]

    return of


def listening_mb(*, after: bool) -> Reader:
    """Memory of a worker that listens for many accounts, at start or after its orders."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        return [each.after_mb if after else each.start_mb for each in kept.listening if confirm == "on"]

    return of


def celery_first_byte_ms(share: float) -> Reader:
    """A percentile over the samples by Celery's `send_task()`."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        samples = kept.first_byte.celery_samples_ms if kept.first_byte and confirm == "on" else ()
        return [percentile(samples, share)] if samples else []

    return of


def first_byte_of_before(share: float) -> Reader:
    """A percentile ÷ that of the build before."""
    return _of_before(share, lambda found: (found.samples_ms, found.before_samples_ms))


def celery_of_before(share: float) -> Reader:
    """The same by Celery's `send_task()`."""
    return _of_before(share, lambda found: (found.celery_samples_ms, found.before_celery_samples_ms))


def first_byte_ms(share: float, *, idle: bool = False) -> Reader:
    """A percentile over all samples, `idle`: over those after seconds of quiet."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        if kept.first_byte is None or confirm == "off":
            return []
        samples = kept.first_byte.idle_samples_ms if idle else kept.first_byte.samples_ms
        return [percentile(samples, share)] if samples else []

    return of


def window_use(weather: str) -> Reader:
    """Share of the allowed rate."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        return [use.share for use in kept.uses if confirm == "on" and use.weather == weather]

    return of


def window_refusals(kept: Kept, confirm: Confirm) -> list[float]:
    """Of every run under every kind of network."""
    return [use.refusals for use in kept.uses if confirm == "on"]


def cpu_s(endpoints: Endpoints) -> Reader:
    """CPU seconds of workers and Redis per 1,000 orders."""
    return lambda kept, confirm: [run.cpu_s for run in _runs(kept, endpoints, confirm)]


def cpu_of_before(endpoints: Endpoints, only: Confirm) -> Reader:
    """The same ÷ that of the build before, of the same round."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        old = _runs(kept, endpoints, confirm, "before") if confirm == only else []
        return [now.cpu_s / then.cpu_s for now, then in zip(_runs(kept, endpoints, confirm), old, strict=False)]

    return of


def cpu_of_confirming(endpoints: Endpoints) -> Reader:
    """The same with confirmation ÷ without it, of the same round."""

    def of(kept: Kept, confirm: Confirm) -> list[float]:
        both = zip(_runs(kept, endpoints, "on"), _runs(kept, endpoints, "off"), strict=False)
        return [on.cpu_s / off.cpu_s for on, off in both] if confirm == "on" else []

    return of


def verbs(endpoints: Endpoints) -> Reader:
    """Runs of Lua scripts per HTTP call."""
    return lambda kept, confirm: [run.verbs_per_call for run in _runs(kept, endpoints, confirm)]


def bytes_per_job(ids: Ids) -> Reader:
    """Bytes in Redis."""
    return lambda kept, confirm: [each.bytes_per_job for each in _storages(kept, ids, confirm)]


def submitted_per_s(kept: Kept, confirm: Confirm) -> list[float]:
    """Orders a second."""
    return [each.orders_per_s for each in _storages(kept, "usual", confirm)]


def _of_before(share: float, both: Callable[[FirstByte], tuple[Sequence[float], Sequence[float]]]) -> Reader:
    def of(kept: Kept, confirm: Confirm) -> list[float]:
        now, then = both(kept.first_byte) if kept.first_byte and confirm == "on" else ((), ())
        return [percentile(now, share) / percentile(then, share)] if now and then else []

    return of


def _laps(kept: Kept, confirm: Confirm) -> list[Lap]:
    mine = [OURS["on"]] if confirm == "on" else [name for name in US if name != OURS["on"]]
    return [lap for lap in kept.laps if lap.contender in mine]


def _runs(kept: Kept, endpoints: Endpoints, confirm: Confirm, build: Build = "now") -> list[Run]:
    runs = kept.costs.runs if kept.costs else ()
    return [run for run in runs if (run.endpoints, run.confirm, run.build) == (endpoints, confirm, build)]


def _storages(kept: Kept, ids: Ids, confirm: Confirm) -> list[Storage]:
    storages = kept.costs.storages if kept.costs and confirm == "on" else ()
    return [each for each in storages if each.ids == ids]
