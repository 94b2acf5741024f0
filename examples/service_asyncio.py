"""A risk service in asyncio: cancels orders, waits for their ends, and says which of them may still be live.

Reads orders from standard input as CSV with the header `instId,ordId`. Needs BULK_CANCEL_REDIS_URL, ACCOUNT and
BATCH_ID. Ends with 1 if an order may be live. `test_service.py` tests it without Redis.
"""

import asyncio
import csv
import os
import sys
from collections.abc import Iterable, Mapping

from bulk_cancel.tasks.aio import BulkCancel
from bulk_cancel.tasks.errors import NotCompleteError
from bulk_cancel.tasks.outcomes import OFF_THE_BOOK


async def cancel(orders: Iterable[Mapping[str, str]], *, account: str, batch_id: str, within_s: float) -> list[str]:
    """Every order that is not known to be off the book after `within_s`; nobody but a person can say more of these."""
    async with BulkCancel() as runner:
        batch = await runner.submit(orders, account=account, batch_id=batch_id, urgent=True, reason="limit breach")
        try:
            await batch.wait(within_s)
        except NotCompleteError as late:
            print(late, file=sys.stderr)
        live = [row async for row in batch.outcomes() if row.status not in OFF_THE_BOOK]
    return [f"{row.instId} {row.ordId or row.clOrdId}: {row.status} {row.sMsg or ''}".strip() for row in live]


if __name__ == "__main__":
    rows = csv.DictReader(sys.stdin)
    told = cancel(rows, account=os.environ["ACCOUNT"], batch_id=os.environ["BATCH_ID"], within_s=30)
    maybe_live = asyncio.run(told)
    print(*maybe_live, sep="\n", end="")
    sys.exit(bool(maybe_live))
