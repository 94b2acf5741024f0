"""Around every endpoint: paths are matched as they were sent, and every answer says what a browser may do with it."""

from typing import Final
from urllib.parse import unquote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bulk_cancel.worker.gateway.feed import Feed
from bulk_cancel.worker.gateway.parts import Desks

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Shell:
    """Wraps the endpoints; `desks` are what they speak to."""

    def __init__(self, app: ASGIApp, desks: Desks, feed: Feed) -> None:
        self._app = app
        self.desks = desks
        self._feed = feed

    def end(self) -> None:
        """Ends the event streams, with a word to their readers; on the event loop."""
        self._feed.end()

    def close(self) -> None:
        """Before the store is closed; not on the event loop."""
        self._feed.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. A name may hold any letter: `%2F` in it is no part of the path."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        raw, root = scope.get("raw_path"), scope.get("root_path", "")
        path = raw.partition(b"?")[0].decode("ascii", "replace") if raw else scope["path"]

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app({**scope, "path": path, "root_path": _as_sent(root, path) if raw else root}, receive, told)


def _as_sent(root: str, path: str) -> str:
    """The path below which the door is, as it begins `path`: another app that mounts it knows it decoded."""
    parts = path.split("/", root.count("/") + 1)
    begun = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((each for each in begun if unquote(each) == root), root)
