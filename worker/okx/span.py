"""An instant that is known within bounds."""

from typing import NamedTuple, Self


class Span(NamedTuple):
    """An instant on the exchange's clock (unix ms): not before the one, not after the other."""

    earliest_ms: float
    latest_ms: float

    def before(self, age_ms: float, *, drift: float = 0.0) -> Self:
        """The instant `age_ms` earlier, by another clock that may be too fast or too slow by the part `drift`."""
        return type(self)(
            self.earliest_ms - age_ms * (1 + drift),
            self.latest_ms - age_ms * (1 - drift),
        )
