"""How does a test get a primary, two replicas and three Sentinels that watch them?"""

import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from redis import Redis
from redis.exceptions import RedisError

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis, server_binary
from tests.support.waiting import PATIENCE_S, until

SERVICE: Final = "orders"

SAFE: Final = {"appendonly": "yes", "min-replicas-to-write": "1"}
"""A primary that lost its replicas to another takes no writes, long before Sentinel comes to demote it."""

_CONFIG: Final = """port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {service} 127.0.0.1 {primary} 2
sentinel down-after-milliseconds {service} 3000
sentinel failover-timeout {service} 6000
"""


class Trio:
    """Three Sentinels over `primary`, which gets two replicas; all end with the block."""

    def __init__(self, primary: EmbeddedRedis, folder: Path) -> None:
        self._primary = primary
        self._folder = folder
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self.ports: list[int] = []
        self.replicas = [EmbeddedRedis(options=SAFE) for _ in range(2)]

    @property
    def url(self) -> str:
        """The service as `REDIS_URL` names it."""
        hosts = ";".join(f"sentinel://127.0.0.1:{port}" for port in self.ports)
        return f"{hosts}/0?master_name={SERVICE}"

    def __enter__(self) -> Self:
        for server in self.replicas:
            server.start()
            with _client(server.port) as replica:
                replica.replicaof("127.0.0.1", self._primary.port)
                # before the Sentinels look: they look again only 10 s later
                until(lambda replica=replica: replica.info("replication")["master_link_status"] == "up")  # type: ignore[misc]
        with _client(self._primary.port) as primary:
            primary.config_set("min-replicas-to-write", 1)
        self.ports = [self._start() for _ in range(3)]
        until(lambda: all(self._sees(port) for port in self.ports))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._sentinels:
            process.kill()
            process.wait()
        for server in self.replicas:
            server.close()

    def kill_primary(self) -> None:
        """One of the replicas, by now the primary, dies; returns when another has taken its place."""
        port = self.primary_port()
        next(server for server in self.replicas if server.port == port).kill()
        self.wait_for_another(port)

    def primary_port(self) -> int:
        """Which server the first Sentinel takes for the primary."""
        with _client(self.ports[0]) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(SERVICE)[1])

    def fail_over(self) -> None:
        """Asks for a failover, as for maintenance; returns when the other server is the primary."""
        before = self.primary_port()
        with _client(self.ports[0]) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        self.wait_for_another(before)

    def wait_for_another(self, port: int) -> None:
        """Returns when all Sentinels name another server than this and none is still at work.

        Before, the old primary may confirm a write with a replica that is about to leave it; no setting mends that.
        """
        until(lambda: all(_moved(each, port) for each in self.ports))

    def _start(self) -> int:
        """One more Sentinel; its port, another one if somebody took the first before it could."""
        for _ in range(5):
            port = _free_port()
            process = self._spawn(port)
            until(lambda port=port, process=process: process.poll() is not None or _is(process.pid, port))  # type: ignore[misc]
            if process.poll() is None:
                self._sentinels.append(process)
                return port
        raise AssertionError("no Sentinel started")

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        config = folder / "sentinel.conf"
        config.write_text(
            _CONFIG.format(port=port, folder=folder, service=SERVICE, primary=self._primary.port), encoding="utf-8"
        )
        command = [str(server_binary()), str(config), "--sentinel", "--logfile", str(folder / "log")]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def _sees(self, port: int) -> bool:
        """Whether this Sentinel knows the two others and both replicas."""
        try:
            with _client(port) as sentinel:
                state = sentinel.sentinel_masters()[SERVICE]
        except RedisError:
            return False
        return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 2)


def _client(port: int) -> Redis:
    return Redis(port=port, socket_timeout=PATIENCE_S, decode_responses=True, protocol=2)


def _is(pid: int, port: int) -> bool:
    """Whether this process is who answers there."""
    try:
        with _client(port) as sentinel:
            return bool(sentinel.info("server")["process_id"] == pid)
    except RedisError:
        return False


def _moved(sentinel_port: int, port: int) -> bool:
    with _client(sentinel_port) as sentinel:
        state = sentinel.sentinel_masters()[SERVICE]
    return bool(state["port"] != port and state["flags"] == "master")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
