"""Follows what becomes of orders: one line of JSON for each that ended, as soon as it did, until it is stopped.

Needs BULK_CANCEL_REDIS_URL. POSITION is the `position` of the last line that you have kept: the next one is what came
after it. Without it all that Redis still has is told first.
"""

import json
import os

from redis import Redis

STREAM = f"{os.environ.get('BULK_CANCEL_KEY_PREFIX', 'bc')}:outcomes"

position = os.environ.get("POSITION", "0")
with Redis.from_url(os.environ["BULK_CANCEL_REDIS_URL"], decode_responses=True) as redis:
    while True:
        for _, entries in redis.xread({STREAM: position}, count=500, block=1000) or ():
            for position, outcome in entries:
                print(json.dumps({"position": position, **outcome}), flush=True)
