"""Receives the workers' alerts, and prints each that is really theirs as one line of JSON.

Needs `pip install standardwebhooks`, and BULK_CANCEL_ALERT_WEBHOOK_SECRET, one of those that the workers have. PORT is
where it listens (0: a free one).
"""

import json
import os
import sys
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

LONGEST = 1 << 20
seen = deque[str](maxlen=1000)


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The alert; raises WebhookVerificationError unless it is signed with our secret, and at most 5 minutes old."""
    return dict(Webhook(secret).verify(body, dict(headers)))


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what it takes, and 403 to what is not signed, which the sender does not try again."""

    def do_POST(self) -> None:
        """Takes one alert; the same `id` may come twice, when its sender did not see the answer."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), LONGEST))
        try:
            alert = verified(os.environ["BULK_CANCEL_ALERT_WEBHOOK_SECRET"], dict(self.headers.items()), body)
        except WebhookVerificationError:
            self.send_response(403)
            self.end_headers()
            return
        self.send_response(204)
        self.end_headers()
        if alert["id"] not in seen:
            seen.append(alert["id"])
            print(json.dumps(alert), flush=True)


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver)
print(f"http://127.0.0.1:{server.server_port}/", file=sys.stderr, flush=True)
server.serve_forever()
