"""One HTTP request to an address, on a connection of its own, waited for or not."""

from concurrent.futures import ThreadPoolExecutor

import requests

from bulk_cancel.worker.okx.wire.connection import Wire, failure
from bulk_cancel.worker.okx.wire.flights import Came, Flights, Landed
from bulk_cancel.worker.okx.wire.pool import Pool


class Calls:
    """Makes calls on the connections of `pool`; so many `dialers` connect for those that do not wait. Thread-safe."""

    def __init__(self, pool: Pool, *, dialers: int) -> None:
        self.pool = pool
        self._flights = Flights()
        self._dialers = ThreadPoolExecutor(dialers, thread_name_prefix="dial")

    def call(self, base_url: str, request: requests.PreparedRequest, *, write_by: float) -> tuple[int, bytes]:
        """HTTP status and body; raises the errors of errors.py.

        The connection is free again before the answer is read: what it says is no reason to close it.
        """
        with self.pool.wire(base_url) as wire:
            return wire.call(request, write_by=write_by)

    def begin(self, base_url: str, request: requests.PreparedRequest, *, write_by: float, landed: Landed) -> None:
        """As `call`, without waiting: `landed` is told once, on this thread or another one, which it must not keep."""
        wire = self.pool.take(base_url)

        def came(what: Came) -> None:
            self.pool.give_back(base_url, wire)
            landed(what)

        if wire.is_open:
            self._fly(wire, request, write_by, came)
        else:
            self._dialers.submit(self._fly, wire, request, write_by, came)

    def close(self) -> None:
        """Closes every idle connection; those in use close when their calls end. What is in flight lands no more."""
        self._flights.close()
        self._dialers.shutdown(wait=False)
        self.pool.close()

    def _fly(self, wire: Wire, request: requests.PreparedRequest, write_by: float, came: Landed) -> None:
        try:
            self._flights.add(wire, wire.begin(request, write_by=write_by), came)
        except Exception as error:  # noqa: BLE001 (nobody would be told of it on the thread of a dialer)
            came(failure(error, written=True))
