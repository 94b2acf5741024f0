"""The HTTP door of a runner, served by a real server in a thread of the test, and callers with tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import requests
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from bulk_cancel.worker.gateway.app import create_app
from bulk_cancel.worker.gateway.callers import Role, Tokens, hash_of
from bulk_cancel.worker.gateway.server import serving
from bulk_cancel.worker.gateway.shell import Shell
from bulk_cancel.worker.state.shards import Shards
from bulk_cancel.worker.state.store import Store
from tests.support.waiting import PATIENCE_S

ROLES: Final = [role.value for role in Role]


def token_file(path: Path, *, accounts: Mapping[str, Sequence[str]] | None = None) -> Path:
    """A token of each role, which is called as its role is; `accounts` adds tokens of the role kill for these alone."""
    tables = [f'[[token]]\nname = "{role}"\nrole = "{role}"\nsha256 = "{hash_of(role)}"\n' for role in ROLES]
    tables += [
        f'[[token]]\nname = "{name}"\nrole = "kill"\nsha256 = "{hash_of(name)}"\naccounts = {list(names)}\n'
        for name, names in (accounts or {}).items()
    ]
    path.write_text("\n".join(tables))
    return path


class Door:
    """`tokens` None: whoever is on this machine. `below`: where a proxy has it; `mounted`: where another app has it."""

    def __init__(
        self, store: Store | Shards, tokens: Path | None = None, *, below: str = "", mounted: str = ""
    ) -> None:
        self.shell = create_app(store, Tokens(tokens) if tokens else None)
        self._serving = serving(_Mounted(self.shell, mounted) if mounted else self.shell, root_path=below)
        self.session = requests.Session()

    def __enter__(self) -> Self:
        self.url = self._serving.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()
        self._serving.__exit__(None, None, None)

    def call(
        self,
        method: str,
        path: str,
        token: str | None = "kill",
        headers: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401 (what requests takes)
    ) -> requests.Response:
        """One request with the token; `json` is its body."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        more = {"headers": {**bearer, **(headers or {})}, "timeout": PATIENCE_S, **more}
        return self.session.request(method, self.url + path, **more)

    def get(self, path: str, token: str | None = "kill") -> Any:  # noqa: ANN401 (JSON)
        """The object that a path answers."""
        found = self.call("GET", path, token)
        assert found.status_code == 200, found.text
        return found.json()


class _Mounted(Shell):
    """The door as a part of another app."""

    def __init__(self, door: Shell, path: str) -> None:
        self._door = door
        self._outer = Starlette(routes=[Mount(path, app=door)])

    def close(self) -> None:
        """As the door's."""
        self._door.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of the other app's."""
        await self._outer(scope, receive, send)


def scraped(door: Door, token: str | None = "watch") -> dict[str, float]:
    """Every sample by its name and labels, without our prefix."""
    text = door.call("GET", "/metrics", token).text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[sample.name.removeprefix("bulk_cancel_") + (f"[{labels}]" if labels else "")] = sample.value
    return found


def kind_of(answer: requests.Response) -> str:
    """Which problem it is: the end of its type."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    said = answer.json()
    assert said["status"] == answer.status_code
    return str(said["type"].removeprefix("urn:bulk-cancel:problem:"))
