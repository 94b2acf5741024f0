"""A test of `bulk-cancel sandbox`: what it prints is all that a person needs, and nothing of it is left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.waiting import PATIENCE_S, until

PROGRAM = [sys.executable, "-m", "bulk_cancel.worker.cli"]
LAST = "# what else"


def test_everything_runs_until_ctrl_c(tmp_path: Path) -> None:
    """With the settings that it prints, another terminal cancels what is on the book."""
    command = [*PROGRAM, "sandbox", "--port", "0", "--ws-port", "0", "--redis-port", "0", "--orders", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as sandbox:
        assert sandbox.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith(LAST):
            lines.append(sandbox.stdout.readline())
            assert lines[-1], "it ended"
        told = dict(re.findall(r"^export (\w+)=(.*)$", "".join(lines), re.MULTILINE))
        assert [line for line in lines if not line.startswith(("#", "export "))] == []
        command = [*PROGRAM, "all", "--account", "desk1", "--json"]
        ended = subprocess.run(
            command, env={**os.environ, **told}, capture_output=True, text=True, check=False, timeout=30, cwd=tmp_path
        )
        assert (ended.returncode, json.loads(ended.stdout)["reports"][0]["matched"]) == (0, 30)
        sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait(PATIENCE_S) == 0
    for name in ("REDIS_URL", "OKX_BASE_URL"):
        address = urlsplit(told[f"BULK_CANCEL_{name}"])
        until(partial(_closed, str(address.hostname), int(address.port or 0)))


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """By the flag that chooses another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*PROGRAM, "sandbox", "--redis-port", "0", "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"--port {port}: cannot listen there" in ended.stderr


def _closed(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0
