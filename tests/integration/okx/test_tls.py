"""Do the same promises hold over TLS?"""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.errors import (
    DeadlinePassed,
    NeverSent,
)
from bulk_cancel.worker.okx.wire import connection
from tests.support.certificate import self_signed
from tests.support.okx_server import (
    ACCEPTED,
    ORDER,
    Server,
    cancel,
    credentials,
    dribbles,
    fails,
    http_answer,
    open_client,
    says,
)
from tests.support.waiting import PATIENCE_S

TIMEOUT_S = 0.3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback address, with its key, in one file."""
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(autouse=True)
def _in_no_hurry_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides of a handshake are threads of this process, which may be stopped for a while."""
    monkeypatch.setattr(connection, "CONNECT_S", PATIENCE_S)


@pytest.fixture
def client() -> Iterator[OkxClient]:
    """A client in no hurry."""
    with open_client() as client:
        yield client


@pytest.fixture
def tls_client(certificate: Path) -> Iterator[OkxClient]:
    """A client that trusts the test's certificate."""
    with open_client(verify=certificate) as client:
        yield client


@pytest.fixture
def hasty_tls_client(certificate: Path) -> Iterator[OkxClient]:
    """The same with a short deadline."""
    with open_client(timeout_s=TIMEOUT_S, verify=certificate) as client:
        yield client


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 O", http_answer(b"x" * 999)[:60]])
def test_deadline_over_tls(hasty_tls_client: OkxClient, tls: ssl.SSLContext, head: bytes) -> None:
    """The same over TLS."""
    with Server(dribbles(head), tls) as server:
        took_s = fails(hasty_tls_client, server.url, DeadlinePassed)
        assert TIMEOUT_S <= took_s < PATIENCE_S
        assert server.ends.get(timeout=PATIENCE_S) == "reset"


def test_tls_connection_is_reused(tls_client: OkxClient, tls: ssl.SSLContext) -> None:
    """Session tickets, which arrive unasked for, are no reason to connect anew, warm or used."""
    with Server(says(ACCEPTED), tls) as server:
        assert tls_client.warm(server.url, 1) == 1
        for _ in range(3):
            cancel(tls_client, server.url)
        assert (len(server.accepted), len(server.arrivals)) == (1, 3)


def test_untrusted_certificate_is_never_sent_to(client: OkxClient, tls: ssl.SSLContext) -> None:
    """Nothing is said to a server that cannot prove itself."""
    with Server(says(ACCEPTED), tls) as server:
        fails(client, server.url, NeverSent)
        assert server.ends.get(timeout=PATIENCE_S) == "reset"
    assert not server.arrivals


def test_silent_handshake_ends_at_write_by(tls_client: OkxClient) -> None:
    """A server that accepts but never answers the handshake holds nobody beyond `write_by`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(NeverSent):
            tls_client.cancel(credentials(url), ORDER, write_by=began + 0.1)
        assert time.monotonic() - began < PATIENCE_S
