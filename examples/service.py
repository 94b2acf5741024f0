"""A risk service: cancels orders, waits for their ends, and says which of them may still be live.

Reads orders from standard input as CSV with the header `instId,ordId`. Needs BULK_CANCEL_REDIS_URL, ACCOUNT and
BATCH_ID. Ends with 1 if an order may be live. `test_service.py` tests it without Redis.
"""

import csv
import os
import sys
from collections.abc import Iterable, Mapping

from bulk_cancel.tasks import submit
from bulk_cancel.tasks.errors import NotCompleteError
from bulk_cancel.tasks.outcomes import OFF_THE_BOOK


def cancel(orders: Iterable[Mapping[str, str]], *, account: str, batch_id: str, within_s: float) -> list[str]:
    """Every order that is not known to be off the book after `within_s`; nobody but a person can say more of these."""
    batch = submit(orders, account=account, batch_id=batch_id, urgent=True, reason="limit breach")
    try:
        batch.wait(within_s)
    except NotCompleteError as late:
        print(late, file=sys.stderr)
    live = (row for row in batch.outcomes() if row.status not in OFF_THE_BOOK)
    return [f"{row.instId} {row.ordId or row.clOrdId}: {row.status} {row.sMsg or ''}".strip() for row in live]


if __name__ == "__main__":
    rows = csv.DictReader(sys.stdin)
    maybe_live = cancel(rows, account=os.environ["ACCOUNT"], batch_id=os.environ["BATCH_ID"], within_s=30)
    print(*maybe_live, sep="\n", end="")
    sys.exit(bool(maybe_live))
