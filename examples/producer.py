"""A service of yours that cancels named orders, then everything that is open on the same account.

Reads orders from standard input as CSV with the header `instId,ordId`. Needs BULK_CANCEL_REDIS_URL, ACCOUNT and
BATCH_ID, and no credentials: the workers have them. ATTEMPTS (10) is how often Redis is asked, once a second.
"""

import csv
import os
import sys
import time

from redis.exceptions import RedisError

from bulk_cancel.tasks import submit, submit_all
from bulk_cancel.tasks.errors import BulkCancelError


def main() -> str | None:
    """What was taken is printed; what was not is returned, and the process ends with status 1."""
    account, batch_id = os.environ["ACCOUNT"], os.environ["BATCH_ID"]
    orders = list(csv.DictReader(sys.stdin))
    for _ in range(int(os.environ.get("ATTEMPTS", "10"))):
        try:
            hand_in(orders, account, batch_id)
        except BulkCancelError as error:
            return f"refused:\n{error}"
        except RedisError:
            # perhaps it was taken all the same: under the same batch_id nothing is sent twice
            time.sleep(1)
        else:
            return None
    return f"Redis does not answer: hand in {batch_id} again"


def hand_in(orders: list[dict[str, str]], account: str, batch_id: str) -> None:
    """Every order is in Redis when `submit` returns, and so is the mass cancel when `submit_all` does."""
    batch = submit(orders, account=account, batch_id=batch_id, urgent=True, reason="limit breach")
    print(f"{batch.batch_id}: {batch.size} orders; the exchange's limits allow the last at {batch.earliest_done_at}")
    for mass in submit_all(account, batch_id=f"{batch_id}-all", until_flat_s=1, reason="limit breach"):
        print(f"{mass.batch_id}: everything that is open, until nothing is, or until {mass.deadline_at}")


if __name__ == "__main__":
    sys.exit(main())
