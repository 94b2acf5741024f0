"""What `status` shows of this worker, as it stands now."""

import os
import socket
import time
from collections.abc import Iterable, Mapping

from bulk_cancel.worker.alerts.alerts import Alerts
from bulk_cancel.worker.alerts.unread import Unread
from bulk_cancel.worker.books.confirm.witness import NO_ADDRESS, Witness
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.config.users import ALGOS, owner_of
from bulk_cancel.worker.config.version import release
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.service.broker import foreign
from bulk_cancel.worker.service.deadman import DeadMansSwitches
from bulk_cancel.worker.service.parts import Base
from bulk_cancel.worker.state.formats import formats_told


class Facts:
    """Asks the parts of the worker."""

    def __init__(
        self,
        base: Base,
        sender: Sender,
        identity: Identity,
        switches: DeadMansSwitches,
        witnesses: Iterable[Witness],
        *,
        unread: Unread,
        alerts: Alerts | None,
    ) -> None:
        self._base = base
        self._sender = sender
        self._identity = identity
        self._switches = switches
        self._witnesses = tuple(witnesses)
        self._unread = unread
        self._alerts = alerts
        self._started_at = time.time()

    def read(self) -> Mapping[str, object]:
        """A heartbeat's content: JSON, times in unix seconds."""
        return {
            "pid": os.getpid(),
            "release": release(),
            "formats": formats_told(self._base.store.scripts.formats),
            "host": socket.gethostname(),
            "started": self._started_at,
            "in_flight": self._sender.in_flight,
            "permits": self._base.settings.http_concurrency,
            "problems": self._problems(),
            "accounts": sorted(self._base.accounts),
            "barred": {name: [barred.why, barred.since] for name, barred in self._base.gate.barred.items()},
        }

    def _problems(self) -> dict[str, str]:
        """What does not work, and why."""
        found = {f"account {name}": why for name, why in self._identity.problems.copy().items()}
        found |= {f"address of this worker: account {name}": b.why for name, b in self._base.gate.barred.items()}
        found |= self._switches.problems
        found |= self._channels()
        found |= foreign.problems() | self._unread.problems
        lost = self._base.reachability.lost()
        found |= {f"exchange {base_url}": f"no connection: {why}" for base_url, why in lost.items()}
        return found | (self._alerts.problems if self._alerts else {})

    def _channels(self) -> dict[str, str]:
        """Those that are off and could be on; a user whose algo orders are cancelled has two."""
        told = (each for witness in self._witnesses for each in witness.problems.items())
        return {_channel_of(uid): why for uid, why in told if why != NO_ADDRESS}


def _channel_of(uid: str) -> str:
    return f"channel of algo orders of {owner_of(uid)}" if uid.endswith(ALGOS) else f"channel of {uid}"
