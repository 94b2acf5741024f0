"""How do the broker's tests start a worker and speak to it?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from tests.support.checkout import ROOT
from tests.support.envelopes import envelope

if TYPE_CHECKING:
    from pathlib import Path


class Worker:
    """A `celery worker` of the test app; what it logs is in `log`."""

    def __init__(self, folder: Path, broker_url: str, state_url: str, *options: str, **env: str) -> None:
        self.log = folder / "worker.log"
        variables = {**os.environ, "TEST_BROKER_URL": broker_url, "TEST_STATE_URL": state_url, **env}
        command = (
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tests.support.broker_app.app",
            "worker",
            "-l",
            "info",
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options], env=variables, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    def logged(self) -> str:
        """All it said so far."""
        return self.log.read_text(errors="replace")

    def ready(self) -> bool:
        """Whether it takes messages."""
        return " ready." in self.logged()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    def seconds_to_stop(self) -> float:
        """Send SIGTERM; how long it took to end, with status 0."""
        began = time.monotonic()
        self.process.terminate()
        assert self.process.wait(30) == 0
        return time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.wait()


def message(*, queue: str = "cancel", **kwargs: object) -> bytes:
    """A good message that calls `t.note`."""
    return json.dumps(envelope("t.note", kwargs, queue=queue)).encode()
