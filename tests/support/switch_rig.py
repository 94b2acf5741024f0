"""What do tests of the dead man's switch stand on that need no exchange? One that counts, and the rig's clock."""

from typing import TYPE_CHECKING, cast

from bulk_cancel.worker.service.deadman import DeadMansSwitch
from tests.support.lane_rig import LaneRig

if TYPE_CHECKING:
    from bulk_cancel.worker.okx.client import OkxClient

TIMEOUT_S = 10


class FakeExchange:
    """Counts how often a switch is refreshed."""

    calls = 0

    def cancel_all_after(self, _: object, timeout_s: int, *, write_by: float) -> bool:
        """Taken."""
        del write_by
        self.calls += 1
        return bool(timeout_s)


class RoundSwitch:
    """The switch of the rig's user, which has its rounds when the test says so."""

    def __init__(self, rig: LaneRig) -> None:
        self.exchange = FakeExchange()
        self._rig = rig
        self._switch = DeadMansSwitch(
            rig.scripts,
            cast("OkxClient", self.exchange),
            rig.user,
            worker="w",
            timeout_s=TIMEOUT_S,
        )
        self.round()

    def round(self) -> None:
        """As the thread has it: what fails ends the round."""
        self._switch.safely(self._switch.round)

    @property
    def problems(self) -> dict[str, str]:
        """Why it is not refreshed."""
        return self._switch.problems

    @property
    def left_s(self) -> float:
        """Seconds until the exchange acts."""
        return (self._noted("armed_until") - int(self._rig.redis.hget(self._rig.keys.of("clock"), "last") or 0)) / 1e6

    @property
    def ran_out_s(self) -> float | None:
        """Seconds since it last was not refreshed in time."""
        noted = self._noted("ran_out")
        return (self._rig.us - noted) / 1e6 if noted else None

    def _noted(self, field: str) -> int:
        return int(self._rig.redis.hget(self._rig.keys.of("switch", "u1"), field) or 0)
