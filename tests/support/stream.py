"""Reads a stream of server-sent events as a browser does, over a real connection."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import requests

from tests.support.waiting import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is the last that was told, as a browser keeps it."""

    id: str
    name: str
    data: Any


class Stream:
    """An open stream; ends with the block."""

    def __init__(self, url: str, token: str | None = "kill", last_id: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Last-Event-ID": last_id} if last_id else {}
        self._answer = requests.get(url, headers=headers, stream=True, timeout=PATIENCE_S)
        assert self._answer.status_code == 200, self._answer.text
        assert self._answer.headers["Content-Type"].startswith("text/event-stream")
        self.events = self._events()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.close()

    def until(self, name: str) -> list[Event]:
        """The events up to the first with this name."""
        found = []
        for event in self.events:
            found.append(event)
            if event.name == name:
                return found
        raise AssertionError(f"ended before {name!r}: {[event.name for event in found]}")

    def outcomes(self, count: int) -> list[Event]:
        """So many outcomes, and no event besides."""
        found: list[Event] = []
        while len(found) < count:
            found.append(self.until("outcome")[-1])
        return found

    def _events(self) -> Iterator[Event]:
        last_id, fields = "", dict[str, str]()
        for raw in self._answer.iter_lines(chunk_size=1):
            line = raw.decode()
            name, _, value = line.partition(": ")
            if line and name:
                fields[name] = value
            elif not line:
                last_id = fields.get("id", last_id)
                if "data" in fields:
                    yield Event(last_id, fields["event"], json.loads(fields["data"]))
                fields = {}
