"""Does the embedded Redis start, survive, and leave nothing behind?"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from bulk_cancel.worker.simulator import embedded
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis, RedisNotStarted, server_binary
from tests.support.waiting import until


def gone(pid: int, directory: Path) -> bool:
    """Whether a process (not our child) and its directory are no more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        state = "Z"
    return state == "Z" and not directory.exists()


def test_the_server_is_ready_when_start_returns() -> None:
    """It answers at once, speaks Redis 6.2 or newer, and never evicts."""
    with EmbeddedRedis() as server, Redis.from_url(server.url) as client:
        info = client.info("server")
        major, minor = map(int, info["redis_version"].split(".")[:2])
        assert (major, minor) >= (6, 2)
        assert info["process_id"] == server.pid
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_close_leaves_nothing() -> None:
    """No process, no directory; closing again is harmless."""
    server = EmbeddedRedis().start()
    directory, pid = server._directory, server.pid
    server.close()
    server.close()
    assert directory is not None
    assert gone(pid, directory)
    with pytest.raises(RedisNotStarted):
        _ = server.pid


def test_restart_keeps_port_and_file() -> None:
    """With an append-only file the data survive a kill, as after a power cut."""
    options = {"appendonly": "yes", "appendfsync": "always"}
    with EmbeddedRedis(options=options) as server, Redis.from_url(server.url) as client:
        url, pid = server.url, server.pid
        client.set("order", "gone")
        server.restart()
        assert (server.url, client.get("order")) == (url, b"gone")
        assert server.pid != pid


def test_kill_and_start_are_two_steps() -> None:
    """In between nobody answers."""
    with EmbeddedRedis() as server, Redis.from_url(server.url) as client:
        server.kill()
        with pytest.raises(RedisError):
            client.ping()
        server.start()
        assert client.ping() is True


def test_a_frozen_server_is_silent() -> None:
    """Connections stay open and nothing comes, until it is thawed."""
    with EmbeddedRedis() as server, Redis.from_url(server.url, retry=None) as client:
        assert client.ping() is True
        server.freeze()
        with Redis.from_url(server.url, socket_timeout=0.05, retry=None) as hasty, pytest.raises(RedisTimeout):
            hasty.ping()
        server.thaw()
        assert client.ping() is True


def test_a_wrong_option_is_told() -> None:
    """In the server's own words."""
    with pytest.raises(RedisNotStarted, match=r"Bad directive|bad config"):
        EmbeddedRedis(options={"no-such-directive": "1"}).start()


def test_a_taken_port_is_told(redis_server: EmbeddedRedis) -> None:
    """A given port is never exchanged for another, nor somebody else's server taken for ours."""
    with pytest.raises(RedisNotStarted, match="in use"):
        EmbeddedRedis(port=redis_server.port).start()


def test_no_server_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bundled server and with nothing on PATH."""
    monkeypatch.setattr(embedded, "_BUNDLED", {})
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RedisNotStarted, match=r"install Redis 6\.2"):
        server_binary()


def test_a_server_on_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When none is bundled."""
    found = tmp_path / "valkey-server"
    found.write_text("")
    found.chmod(0o755)
    monkeypatch.setattr(embedded, "_BUNDLED", {"no_such_package": "x"})
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_binary() == found


def test_a_server_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests can run on another one than the bundled."""
    monkeypatch.setenv("REDIS_SERVER", "/opt/redis-7/redis-server")
    assert server_binary() == Path("/opt/redis-7/redis-server")


def test_the_server_dies_with_its_parent() -> None:
    """Even a kill -9 of the process that started it leaves no server and no directory."""
    code = (
        "from bulk_cancel.worker.simulator.embedded import EmbeddedRedis; s = EmbeddedRedis().start();"
        "print(s.pid, s._directory, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().split()
        os.kill(parent.pid, signal.SIGKILL)
    until(lambda: gone(int(pid), Path(directory)))


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_gets_an_empty_redis(redis_client: Redis, turn: int) -> None:
    """Whatever the test before has left."""
    assert redis_client.dbsize() == 0
    redis_client.set("left", turn)
