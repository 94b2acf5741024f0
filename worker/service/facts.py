"""What `status` shows of this worker, as it stands now."""

import os
import socket
import time
from collections.abc import Mapping

from bulk_cancel.worker.alerts.alerts import Alerts
from bulk_cancel.worker.books.confirm.witness import NO_ADDRESS, Witness
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.service.broker import foreign
from bulk_cancel.worker.service.deadman import DeadMansSwitches
from bulk_cancel.worker.service.parts import Base


class Facts:
    """Asks the parts of the worker."""

    def __init__(
        self,
        base: Base,
        sender: Sender,
        identity: Identity,
        switches: DeadMansSwitches,
        witness: Witness,
        *,
        alerts: Alerts | None,
    ) -> None:
        self._base = base
        self._sender = sender
        self._identity = identity
        self._switches = switches
        self._witness = witness
        self._alerts = alerts
        self._started_at = time.time()

    def read(self) -> Mapping[str, object]:
        """A heartbeat's content: JSON, times in unix seconds."""
        return {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self._started_at,
            "in_flight": self._sender.in_flight,
            "permits": self._base.settings.http_concurrency,
            "problems": self._problems(),
            "accounts": sorted(self._base.accounts),
        }

    def _problems(self) -> dict[str, str]:
        """What does not work, and why."""
        found = {f"account {name}": why for name, why in self._identity.problems.copy().items()}
        found |= self._switches.problems
        found |= {f"channel of {uid}": why for uid, why in self._witness.problems.items() if why != NO_ADDRESS}
        found |= foreign.problems()
        lost = self._base.reachability.lost()
        found |= {f"exchange {base_url}": f"no connection: {why}" for base_url, why in lost.items()}
        return found | (self._alerts.problems if self._alerts else {})
