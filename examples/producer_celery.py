"""Cancels by a task's name, from any Celery client: nothing of bulk-cancel is imported.

Reads orders from standard input as CSV with the header `instId,ordId`. Needs BROKER_URL, ACCOUNT and BATCH_ID.
"""

import csv
import os
import sys

from celery import Celery

app = Celery(broker=os.environ["BROKER_URL"])
app.conf.broker_transport_options = {"socket_timeout": 2, "retry_on_timeout": True}

batch = {
    "account": os.environ["ACCOUNT"],
    "batch_id": os.environ["BATCH_ID"],
    "orders": list(csv.DictReader(sys.stdin)),
    "reason": "limit breach",
    "requested_by": "risk-engine",
}
# without a queue it would go to the list `celery`, which nobody reads
app.send_task("tasks.cancel_orders", kwargs=batch, queue="urgent")
print(f"sent; it is taken once `bulk-cancel status {batch['batch_id']}` knows it")
