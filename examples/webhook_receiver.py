"""Receives the workers' alerts, and prints each that is really theirs as one line of JSON.

Needs BULK_CANCEL_ALERT_WEBHOOK_SECRET, the same as the workers have. PORT is where it listens (0: a free one).
"""

import hmac
import json
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGEST = 1 << 20
seen = deque[str](maxlen=1000)


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an alert is signed with our secret, and not older than five minutes."""
    stamp = headers["Bulk-Cancel-Timestamp"]
    signed = f"{stamp}.".encode() + body
    ours = "sha256=" + hmac.new(secret.encode(), signed, "sha256").hexdigest()
    fresh = abs(time.time() - int(stamp)) < 300
    return fresh and hmac.compare_digest(ours, headers["Bulk-Cancel-Signature"])


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what it takes, and 403 to what is not signed, which the sender does not try again."""

    def do_POST(self) -> None:
        """Takes one alert; the same `id` may come twice, when its sender did not see the answer."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), LONGEST))
        headers = {name.title(): value for name, value in self.headers.items()}  # proxies may change the case
        try:
            ours = verified(os.environ["BULK_CANCEL_ALERT_WEBHOOK_SECRET"], headers, body)
        except (KeyError, ValueError):
            ours = False
        self.send_response(204 if ours else 403)
        self.end_headers()
        if ours and (alert := json.loads(body))["id"] not in seen:
            seen.append(alert["id"])
            print(json.dumps(alert), flush=True)


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver)
print(f"http://127.0.0.1:{server.server_port}/", file=sys.stderr, flush=True)
server.serve_forever()
