"""The lanes that want a turn in this worker, in the order in which they get it."""

import structlog

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import ALGOS
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.state.ids import holder_of, uid_of

log = structlog.get_logger(__name__)


class WantingLanes:
    """A queue in which a lane stands once. Not thread-safe: whoever gives the turns has the lock.

    Lanes of a user for whom the gate is not open yet are kept apart until it is. Lanes whose address is out of reach
    are left to other workers: they are on the board as well.
    """

    def __init__(self, gate: Gate, reachability: Reachability) -> None:
        self._gate = gate
        self._reachability = reachability
        self._lanes: dict[str, None] = {}
        self._unready: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def add(self, lane: str) -> None:
        """Behind those that want a turn already."""
        uid = holder_of(lane)
        if not self._gate.serves(uid):
            log.warning("lane_of_unknown_user", lane=lane, hint="every worker needs every account")
        elif not self._gate.is_open(uid):
            self._unready.setdefault(uid, set()).add(lane)
        elif self._is_reached(lane):
            self._lanes.setdefault(lane)

    def opened(self, uid: str) -> None:
        """The gate is open for this user: its lanes stand in line from now on."""
        for each in (uid, uid + ALGOS):
            self._lanes |= dict.fromkeys(self._unready.pop(each, ()))

    def drop_lost(self) -> None:
        """Lanes of which the address, or the way in, was lost since they were added leave."""
        if self._reachability.lost() or self._gate.barred:
            self._lanes = {lane: None for lane in self._lanes if self._is_reached(lane)}

    def pop(self) -> str:
        """The first one; there must be one."""
        lane = next(iter(self._lanes))
        del self._lanes[lane]
        return lane

    def clear(self) -> None:
        """Nobody gets a turn any more."""
        self._lanes.clear()

    def _is_reached(self, lane: str) -> bool:
        uid = uid_of(lane)
        return self._gate.is_open(uid) and self._reachability.reaches(self._gate.users[uid].base_url)
