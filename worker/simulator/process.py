"""Runs a simulated exchange in a process of its own: `with Simulator() as exchange:`."""

import subprocess
import sys
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter

from bulk_cancel.worker.simulator.client import ControlClient
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.serve import CHANNEL_READY, READY


class SimulatorError(Exception):
    """The simulator did not start; its standard error says why."""


class Simulator:
    """A simulated exchange in its own process, gone at the end of the `with` block or with this process.

    `url` is its address, `ws_url` its private channel's, `control` the typed control client.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.url = self.ws_url = ""

    def __enter__(self) -> Self:
        """Start the process and wait for its word that it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bulk_cancel.worker.simulator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.url, self.ws_url = self._handshake()
        self.control = ControlClient(self.url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process."""
        self.control.close()
        self.kill()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process, for whoever watches that it runs."""
        return self._process

    @property
    def pid(self) -> int:
        """The process id, for drills that stop it with signals."""
        return self._process.pid

    def kill(self) -> None:
        """Kill the process at once."""
        self._process.kill()
        self._process.communicate()

    def _handshake(self) -> tuple[str, str]:
        if self._process.stdin is None:
            raise SimulatorError("no pipe to the simulator")
        self._process.stdin.write(TypeAdapter(Config).dump_json(self.config) + b"\n")
        self._process.stdin.flush()
        return self._told(READY), self._told(CHANNEL_READY)

    def _told(self, before: str) -> str:
        """The rest of the next line that the simulator says."""
        line = self._process.stdout.readline().decode().strip() if self._process.stdout else ""
        if not line.startswith(before):
            self.kill()
            raise SimulatorError(f"the simulator did not start: {line or 'see its standard error'}")
        return line.removeprefix(before)
