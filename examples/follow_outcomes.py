"""Follows what becomes of orders: one line of JSON for each that ended, as soon as it did, until it is stopped.

Needs BULK_CANCEL_REDIS_URL. POSITION_FILE keeps how far it came: started again, it goes on there, and misses none.
Without the file all that Redis still has is told first.
"""

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from redis.exceptions import RedisError

from bulk_cancel.tasks import follow
from bulk_cancel.tasks.errors import LostPositionError, NotAPositionError, UnreadableFormatError

kept = Path(os.environ.get("POSITION_FILE", "position"))


def main() -> str | None:
    """Ends only if an ending may have been missed, nobody knows where to go on, or bulk-cancel is to be upgraded."""
    while True:
        try:
            for outcome in follow(kept.read_text() if kept.exists() else "0"):
                print(json.dumps(asdict(outcome)), flush=True)
                keep(outcome.position)  # after it was handled: what is told again is known by order and generation
        except (LostPositionError, NotAPositionError, UnreadableFormatError) as error:
            return str(error)
        except RedisError:
            time.sleep(1)


def keep(position: str) -> None:
    """In one step, so that a file is never half written."""
    fresh = kept.with_suffix(".new")
    fresh.write_text(position)
    fresh.replace(kept)


if __name__ == "__main__":
    sys.exit(main())
