"""Hands what algo orders placed to the mass cancels for which these were to be cancelled, before they are ended.

Listings find children, too, but only once they show them; a batch of orders that were handed in is told of them alone.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, cast

import structlog
from redis import Redis
from redis.exceptions import ResponseError

from bulk_cancel.worker.books.confirm.proof import Finding
from bulk_cancel.worker.state.admission import CHUNK
from bulk_cancel.worker.state.asked import Asked, columns
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.redis_errors import is_full
from bulk_cancel.worker.state.scripts import Scripts

log = structlog.get_logger(__name__)

_FIELDS: Final = ("mass", "sealed", "urgent", "account")


class Children:
    """The children of fired algo orders; raises redis-py's errors."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts

    def follow(self, findings: Iterable[Finding]) -> None:
        """Each child becomes an order that its parent's mass cancels have found, if they still take some.

        It is done once, however often it is asked for: a child that is in the batch already is left as it stands.
        """
        found: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for finding in findings:
            for batch in finding.job.batches if finding.children else ():
                found[batch].update(dict.fromkeys(finding.children))
        for batch, children in found.items():
            for chunk in chunks([*children], CHUNK):
                self._admit(batch, chunk)

    def _admit(self, batch_id: str, children: Iterable[str]) -> None:
        read = cast("list[str | None]", self._redis.hmget(self._keys.of("batch", batch_id), _FIELDS))
        mass, sealed, urgent, account = read
        if mass != "1" or sealed != "0":
            return
        batch = {"id": batch_id, "urgent": urgent == "1", "account": account, "seen": _NEVER_US}
        orders = [Asked(child, JobId.parse(child).lane) for child in children]
        try:
            self._scripts.run("admit", {"batch": batch, "orders": columns(orders)})
        except ResponseError as error:
            if not is_full(error):
                raise
            log.warning("children_not_taken", batch=batch_id, hint="Redis is full; the next listing finds them")
        else:
            log.info("children_followed", batch=batch_id, orders=len(orders))


_NEVER_US: Final = 0
"""When they were seen open: nobody did, so one that has ended stays so."""
