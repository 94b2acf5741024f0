"""Laps of the bench's race, as they might have been measured."""

# ruff: noqa: RUF001

from bench.figures import Lap


def lap(
    scenario: str = "1×500",
    contender: str = "us ×2",
    *,
    orders: int = 500,
    minimum_s: float = 2.0,
    first_s: float | None = 0.02,
    last_s: float | None = 2.1,
    handed_in_s: float | None = 0.01,
    live: int = 0,
    calls: int = 25,
    refusals: int = 0,
    cpu_s: float = 0.1,
    capped: bool = False,
    redis_cpu_s: float | None = None,
) -> Lap:
    """A lap that is flat unless told otherwise."""
    accepted = orders - live
    return Lap(
        scenario,
        contender,
        orders,
        minimum_s,
        first_s,
        last_s,
        handed_in_s,
        accepted,
        live,
        calls,
        refusals,
        cpu_s,
        capped,
        redis_cpu_s,
    )
