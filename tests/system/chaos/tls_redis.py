"""How does a test get a Redis that speaks TLS only, to one user of its ACL?

The server itself speaks it where one on this machine can; where none can, a TLS proxy stands before the plain server.
"""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from redis import Redis

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis, server_binary
from tests.support.answering import answers
from tests.support.certificate import self_signed
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_S, until

USER: Final = "runner"
PASSWORD: Final = "p@ss/w:rd?#1"
RULES: Final = f"{USER} on >{PASSWORD} ~* &* +@all -@dangerous +info"
"""What a runner needs of a Redis: everything that is not dangerous, and INFO."""


@contextmanager
def tls_redis(folder: Path) -> Iterator[str]:
    """Its URL, with the login and the certificate to trust."""
    certificate = self_signed(folder / "tls.pem")
    capable = next((binary for binary in _binaries() if _speaks_tls(binary, certificate)), None)
    with _server(capable, folder, certificate) if capable else _behind_proxy(certificate) as port:
        yield url(port, certificate)


def url(port: int, certificate: Path, password: str = PASSWORD) -> str:
    """The address as `REDIS_URL` names it."""
    return f"rediss://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/0?ssl_ca_certs={certificate}"


def _binaries() -> list[str]:
    """The bundled server first, then what is on PATH."""
    found = (str(server_binary()), shutil.which("redis-server"), shutil.which("valkey-server"))
    return [binary for binary in found if binary]


def _speaks_tls(binary: str, certificate: Path) -> bool:
    """A server built without TLS does not know the directive; any ends here, since it may not bind this address."""
    options = ["--port", "0", "--tls-port", str(_free_port()), "--bind", "0.0.0.1"]
    files = [word for name in ("cert", "key") for word in (f"--tls-{name}-file", str(certificate))]
    ended = subprocess.run([binary, *options, *files], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return "Bad directive" not in ended.stdout + ended.stderr


@contextmanager
def _server(binary: str, folder: Path, certificate: Path) -> Iterator[int]:
    acl, port = folder / "users.acl", _free_port()
    acl.write_text(f"user default off\nuser {RULES}\n", encoding="utf-8")
    tls = {"tls-port": port, "port": 0, "tls-auth-clients": "no", "aclfile": acl, "dir": folder, "save": ""}
    files = dict.fromkeys(("tls-cert-file", "tls-key-file", "tls-ca-cert-file"), certificate)
    options = [word for name, value in {**tls, **files}.items() for word in (f"--{name}", str(value))]
    process = subprocess.Popen([binary, "--bind", "127.0.0.1", *options], stdin=subprocess.DEVNULL, cwd=folder)
    try:
        _wait_for(url(port, certificate))
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def _behind_proxy(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with EmbeddedRedis() as server, Proxy(server.port, tls=context) as proxy:
        with Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", *RULES.split())
            client.execute_command("ACL", "SETUSER", "default", "off")
        yield proxy.port


def _wait_for(address: str) -> None:
    with Redis.from_url(address) as client:
        until(lambda: answers(client))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
