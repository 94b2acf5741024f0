"""Tests of the command `gateway`: it serves until it is told to end, and lets nobody in by accident."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import requests

from bulk_cancel.worker.gateway.callers import hash_of, read_tokens
from tests.support.cli_desk import Desk
from tests.support.door import token_file
from tests.support.imports import imported_by
from tests.support.waiting import PATIENCE_S

PROGRAM: Final = [sys.executable, "-m", "bulk_cancel.worker.cli", "gateway"]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command and its address."""
    command = [*PROGRAM, "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(end: signal.Signals, desk: Desk, tmp_path: Path) -> None:
    """With exit status 0, whichever signal it was."""
    os.environ["BULK_CANCEL_GATEWAY_TOKENS_FILE"] = str(token_file(tmp_path / "tokens"))
    try:
        with serving() as (process, url):
            assert requests.get(f"{url}v1/status", timeout=PATIENCE_S).status_code == 401
            bearer = {"Authorization": "Bearer watch"}
            assert requests.get(f"{url}v1/status", headers=bearer, timeout=PATIENCE_S).json()["waiting"] == 0
            process.send_signal(end)
            assert process.wait(PATIENCE_S) == 0
    finally:
        del os.environ["BULK_CANCEL_GATEWAY_TOKENS_FILE"]
    assert desk.store.redis.ping()


def test_an_answer_that_takes_long_does_not_hold_up_the_end(desk: Desk) -> None:
    """Such as an export of 100,000 outcomes, of which a thread is in the midst."""
    code = (
        "import time; from bulk_cancel.worker.cli import run; from bulk_cancel.worker.state.batches import Batches\n"
        "Batches.state = lambda *_: (print('asked', flush=True), time.sleep(90))\n"
        "run(['gateway', '--port', '0'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().strip("/").rpartition("/")[2].partition(":")
        with socket.create_connection((host, int(port))) as asking:
            asking.sendall(f"GET /v1/batches/b1 HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            assert process.stdout.readline() == "asked\n"
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
    assert desk.store.redis.ping()


def test_without_tokens_it_says_so_aloud(desk: Desk) -> None:
    """And listens to this machine alone."""
    with serving() as (process, url):
        assert requests.get(f"{url}v1/status", timeout=PATIENCE_S).status_code == 200
        process.terminate()
        assert process.stderr is not None
        assert "no GATEWAY_TOKENS_FILE: whoever is on this machine may do everything" in process.stderr.read()
    status, _, told = desk("gateway", "--host", "0.0.0.0")  # noqa: S104 (refused)
    assert status == 2
    assert told.startswith("bulk-cancel: --host 0.0.0.0: without tokens the door is for this machine only")


def test_a_port_that_is_taken_is_told(desk: Desk) -> None:
    """In one line, with status 2."""
    with serving() as (_, url):
        port = url.rstrip("/").rpartition(":")[2]
        again = [*PROGRAM, "--port", port]
        ended = subprocess.run(again, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert ended.returncode == 2
    assert f"--port {port}: cannot listen there; choose another" in ended.stderr
    assert desk.store.redis.ping()


def test_a_new_token_is_printed_once_with_its_lines(desk: Desk, tmp_path: Path) -> None:
    """The lines are what the file takes, and hold no secret."""
    status, printed, _ = desk("gateway", "--new-token", 'risk "one"', "--role", "operate")
    first, _, lines = printed.partition("\n")
    secret = re.sub("^# the token, shown only now: ", "", first)
    (tmp_path / "tokens").write_text(lines)
    [token] = read_tokens(tmp_path / "tokens")
    assert (status, token.name, token.role, token.sha256) == (0, 'risk "one"', "operate", hash_of(secret))
    assert desk("gateway", "--new-token", "n", "--role", "root")[0] == 2


@pytest.mark.parametrize("name", ["", "desk\nui", "x" * 257])
def test_a_token_that_the_door_would_refuse_is_not_made(name: str, desk: Desk) -> None:
    """Nothing is printed that goes into a file, and stops the door later."""
    status, printed, told = desk("gateway", "--new-token", name)
    assert (status, printed) == (2, "")
    assert told.startswith(f"bulk-cancel: --new-token {name!r:.80}: should ")


def test_a_role_without_a_token_serves_nothing(desk: Desk) -> None:
    """The door would have let everybody on this machine do everything."""
    status, _, told = desk("gateway", "--role", "watch", "--port", "0")
    assert status == 2
    assert told.startswith("bulk-cancel: --role watch: needs --new-token NAME")


def test_nothing_else_imports_what_it_needs() -> None:
    """Not the version of the program, nor a producer."""
    serves = {"fastapi", "uvicorn", "starlette", "prometheus_client"}
    for code in ("from bulk_cancel.worker.cli import run; run(['--version'])", "from bulk_cancel.tasks import submit"):
        assert not imported_by(code) & serves


def test_served_by_another_program_the_log_shows_no_variables() -> None:
    """`uvicorn --factory …gateway.asgi:door` calls nothing else of ours."""
    code = (
        "from bulk_cancel.worker.gateway.asgi import door; door(); import structlog\n"
        "def fail(token):\n"
        "    try: 1 / 0\n"
        "    except ZeroDivisionError: structlog.get_logger('x').error('failed', exc_info=True)\n"
        "fail('hush' * 4)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert "ZeroDivisionError" in ended.stderr
    assert "hushhush" not in ended.stdout + ended.stderr
