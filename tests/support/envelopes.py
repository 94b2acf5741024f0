"""A message as a producer without Celery writes it into the queue: protocol 2, with ids of its own."""

import json
import uuid
from collections.abc import Sequence


def envelope(task: str, kwargs: object, *, args: Sequence[object] = (), queue: str = "cancel") -> dict[str, object]:
    """The message as one object, for whoever spoils it first."""
    return {
        "body": json.dumps([args, kwargs, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": task, "id": str(uuid.uuid4())},
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }
