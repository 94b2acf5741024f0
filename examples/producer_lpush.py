"""Cancels with one LPUSH, as any language can do it: a JSON object on the list of the queue.

Reads orders from standard input as CSV with the header `instId,ordId`. Needs BROKER_URL, ACCOUNT and BATCH_ID.
"""

import csv
import json
import os
import sys
import uuid

from redis import Redis

batch = {
    "account": os.environ["ACCOUNT"],
    "batch_id": os.environ["BATCH_ID"],
    "orders": list(csv.DictReader(sys.stdin)),
}
message = {
    "body": json.dumps([[], batch, {}]),  # args, kwargs, nothing more
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": "tasks.cancel_orders", "id": str(uuid.uuid4())},
    "properties": {
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": "", "routing_key": "cancel"},
    },
}
with Redis.from_url(os.environ["BROKER_URL"]) as broker:
    broker.lpush("cancel", json.dumps(message))
print(f"sent; it is taken once `bulk-cancel status {batch['batch_id']}` knows it")
