"""Which figure is held against a bar? One per round of what is kept, by `CONFIRM`; none where it was not measured.

First byte, window use and storage are measured with the default, `CONFIRM=on`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from bench.figures import Confirm, Endpoints, Ids, Kept, Lap, Run, Storage
from bench.percentile import percentile
from bench.scenarios import OURS, US

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


def verbs(endpoints: Endpoints) -> Reader:
    """Runs of Lua scripts per HTTP call."""
    return lambda kept, confirm: [run.verbs_per_call for run in _runs(kept, endpoints, confirm)]


def bytes_per_job(ids: Ids) -> Reader:
    """Bytes in Redis."""
    return lambda kept, confirm: [each.bytes_per_job for each in _storages(kept, ids, confirm)]


def submitted_per_s(kept: Kept, confirm: Confirm) -> list[float]:
    """Orders a second."""
    return [each.orders_per_s for each in _storages(kept, "usual", confirm)]


def _laps(kept: Kept, confirm: Confirm) -> list[Lap]:
    mine = [OURS["on"]] if confirm == "on" else [name for name in US if name != OURS["on"]]
    return [lap for lap in kept.laps if lap.contender in mine]


def _runs(kept: Kept, endpoints: Endpoints, confirm: Confirm) -> list[Run]:
    runs = kept.costs.runs if kept.costs else ()
    return [run for run in runs if (run.endpoints, run.confirm) == (endpoints, confirm)]


def _storages(kept: Kept, ids: Ids, confirm: Confirm) -> list[Storage]:
    storages = kept.costs.storages if kept.costs and confirm == "on" else ()
    return [each for each in storages if each.ids == ids]
