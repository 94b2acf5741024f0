"""Does a channel tell what the exchange pushes, at once, and every gap; and does nothing it meets end it?"""

import logging
import queue
import socket
import ssl
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event, active_count

import pytest
from structlog.testing import capture_logs
from websockets.sync.server import ServerConnection

from bulk_cancel.worker.okx.session import Patience
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.messages import AccountChange
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.certificate import self_signed
from tests.support.channel_rig import (
    CALM,
    LATE_S,
    LOGGED_IN,
    QUICK,
    SUBSCRIBED,
    Reader,
    credentials,
    listening,
    push,
    ready,
    saying,
)
from tests.support.simulated import EndingSimulator
from tests.support.waiting import until

UID = DEFAULT_KEY.uid


def test_connections_to_one_host_keep_apart(exchange: Simulator) -> None:
    """Three channels at once; the exchange would refuse more than three in a second."""
    reader, patience = Reader(), replace(QUICK, apart_s=0.3)
    began = time.monotonic()
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(listening(exchange.ws_url, reader, patience=patience))
        until(lambda: exchange.control.summary().channels == 3)
    assert time.monotonic() - began >= 0.6


def test_a_change_is_told_within_100_ms(exchange: Simulator) -> None:
    """Ready means a gap to be read; from then on every push comes, as text fields."""
    reader = Reader()
    with listening(exchange.ws_url, reader, patience=CALM) as channel:
        reader.gap()
        until(lambda: channel.alive)
        assert not channel.problem
        for _ in range(10):
            order_id = exchange.control.place(UID, "BTC-USDT")[0]
            row = reader.order()
            assert (row["ordId"], row["state"], row["instId"]) == (order_id, "live", "BTC-USDT")


def test_a_burst_arrives_whole_and_in_order(exchange: Simulator) -> None:
    """A thousand changes, none lost, none twice."""
    reader = Reader()
    with listening(exchange.ws_url, reader, patience=CALM):
        reader.gap()
        orders = exchange.control.place(UID, "BTC-USDT", 1000)
        assert [reader.order()["ordId"] for _ in orders] == orders


def test_pings_keep_a_quiet_channel_alive() -> None:
    """The exchange closes after a silence; ours is never that long."""
    reader = Reader()
    with (
        EndingSimulator(Config(channel_silence_s=4.0)) as impatient,
        listening(impatient.ws_url, reader, patience=Patience(ping_s=0.3, pong_s=LATE_S)) as channel,
    ):
        reader.gap()
        with pytest.raises(queue.Empty):
            reader.calls.get(timeout=5)  # a reconnect would be a gap
        until(lambda: channel.alive)


def test_a_dropped_channel_is_back_and_tells_the_gap(exchange: Simulator) -> None:
    """What happened meanwhile is for the reader to find."""
    reader = Reader()
    with listening(exchange.ws_url, reader, patience=CALM) as channel:
        for _ in range(3):
            reader.gap()
            assert exchange.control.drop_channels() == 1
        reader.gap()
        until(lambda: channel.alive)
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        assert reader.order()["ordId"] == order_id


def test_a_channel_that_is_refused_for_a_while_comes_back(exchange: Simulator) -> None:
    """Its problem is told until then."""
    reader = Reader()
    with listening(exchange.ws_url, reader) as channel:
        reader.gap()
        exchange.control.drop_channels(60)
        until(lambda: "503" in channel.problem)
        assert not channel.alive
        exchange.control.drop_channels()
        reader.gap()
        until(lambda: channel.alive and not channel.problem)


def test_silence_is_death(exchange: Simulator) -> None:
    """No push, no pong, no close: half-open. The channel gives it up by itself and connects anew."""
    reader, patience = Reader(), replace(QUICK, pong_s=0.3)
    with listening(exchange.ws_url, reader, patience=patience) as channel:
        reader.gap()
        exchange.control.hold_channels(60)
        until(lambda: channel.problem.startswith("no answer to a ping"))
        exchange.control.hold_channels(0)
        reader.gap()
        until(lambda: channel.alive)


def test_a_silent_channel_is_not_alive_before_it_is_given_up() -> None:
    """A pong that is late for a second is reason enough to look elsewhere."""
    seen, hold = Event(), Event()

    def falls_silent(connection: ServerConnection) -> None:
        ready(connection)
        while not seen.wait(0.05):
            connection.send(push("1"))
        hold.wait(LATE_S)

    reader = Reader()
    with saying(falls_silent) as url, listening(url, reader, patience=Patience(ping_s=0.2, pong_s=60)) as channel:
        reader.gap()
        until(lambda: channel.alive)
        seen.set()
        until(lambda: not channel.alive)
        assert not channel.problem
        hold.set()


def test_wrong_credentials_are_told_once_and_tried_seldom() -> None:
    """The exchange locks out who logs in too often."""
    logins: queue.Queue[float] = queue.Queue()

    def refusing(connection: ServerConnection) -> None:
        connection.recv(LATE_S)
        logins.put(time.monotonic())
        connection.send('{"event":"error","code":"60009","msg":"Login failed."}')

    reader = Reader()
    with capture_logs() as logs, saying(refusing) as url, listening(url, reader) as channel:
        times = [logins.get(timeout=LATE_S) for _ in range(4)]
        assert channel.refused
        assert not channel.alive
        assert channel.problem == "60009 Login failed."
    assert all(later - earlier >= QUICK.refused_s for earlier, later in pairwise(times))
    assert [line["event"] for line in logs] == ["channel_refused"]
    assert reader.calls.empty()


def test_wrong_credentials_are_refused_by_the_simulator_too(exchange: Simulator) -> None:
    """As by the exchange."""
    with listening(exchange.ws_url, Reader(), credentials(passphrase="not-the-passphrase")) as channel:
        until(lambda: channel.refused)
        assert channel.problem == "60009 Login failed."


def test_a_refused_key_that_is_mended_is_taken(exchange: Simulator) -> None:
    """Without anybody restarting us."""
    reader = Reader()
    exchange.control.change_account(AccountChange(DEFAULT_KEY.key, revoked=True))
    with listening(exchange.ws_url, reader) as channel:
        until(lambda: channel.refused)
        exchange.control.change_account(AccountChange(DEFAULT_KEY.key, revoked=False))
        reader.gap()
        until(lambda: channel.alive)
        assert not channel.refused


def test_the_exchange_s_clock_is_used(exchange: Simulator) -> None:
    """A clock that is off is no refusal: it may be corrected meanwhile."""
    exchange.control.set_clock_offset(600)
    offset_s = [0.0]
    reader = Reader()
    with listening(exchange.ws_url, reader, now=lambda: time.time() + offset_s[0]) as channel:
        until(lambda: channel.problem.startswith("60006"))
        assert not channel.refused
        offset_s[0] = 600.0
        reader.gap()


def test_garbage_is_passed_over() -> None:
    """Of whatever kind, and at whatever moment."""
    garbage: list[str | bytes] = ["", "{", "[[]]", b"\xff\xfe", '{"event":7}', '{"arg":[],"data":{}}', "9" * 5000]

    def noisy(connection: ServerConnection) -> None:
        for answer in (LOGGED_IN, SUBSCRIBED):
            connection.recv(LATE_S)
            for text in [*garbage, answer]:
                connection.send(text)
        for text in [*garbage, push("1", "2"), *garbage, push("3")]:
            connection.send(text)
        connection.recv(LATE_S)

    reader = Reader()
    with saying(noisy) as url, listening(url, reader, patience=Patience(ping_s=1)):
        reader.gap()
        assert [reader.order()["ordId"] for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ('{"event":"notice","code":"64008","msg":"upgrade"}', "the exchange is about to close it"),
        ('{"event":"error","code":"60014","msg":"Requests too frequent"}', "60014 Requests too frequent"),
    ],
)
def test_what_was_pushed_before_an_end_still_counts(last: str, reason: str) -> None:
    """A notice that the connection will close is followed at once, not waited out."""
    went = Event()

    def closing(connection: ServerConnection) -> None:
        ready(connection)
        if went.is_set():
            connection.recv(LATE_S)
            return
        went.set()
        connection.send(push("1"))
        connection.send(last)
        connection.recv(LATE_S)

    reader = Reader()
    with capture_logs() as logs, saying(closing) as url, listening(url, reader, patience=CALM):
        reader.gap()
        assert reader.order()["ordId"] == "1"
        reader.gap()
    assert [line["reason"] for line in logs if line["event"] == "channel_lost"] == [reason]


def test_a_reader_that_fails_is_owed_a_gap(exchange: Simulator) -> None:
    """Its push is lost, so it must read; it is told again until it takes it, and only then is the channel alive."""
    reader = Reader()
    with listening(exchange.ws_url, reader, patience=CALM) as channel:
        reader.gap()
        reader.fails = 2
        exchange.control.place(UID, "BTC-USDT")
        until(lambda: not channel.alive)
        assert not channel.problem
        reader.gap()
        until(lambda: channel.alive)
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        assert reader.order()["ordId"] == order_id


def test_no_secret_leaves_by_a_log(exchange: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """Not at DEBUG, where the library shows frames, and not when the exchange quotes what it did not like."""
    quoted = Event()

    def quoting(connection: ServerConnection) -> None:
        said = str(connection.recv(LATE_S)).replace('"', "'")
        connection.send(f'{{"event":"error","code":"60012","msg":"Invalid request: {said}"}}')
        quoted.set()

    caplog.set_level(logging.DEBUG)
    reader = Reader()
    with listening(exchange.ws_url, reader):
        reader.gap()
    with capture_logs() as logs, saying(quoting) as url, listening(url, reader) as channel:
        assert quoted.wait(LATE_S)
        until(lambda: channel.refused)
        assert channel.problem == "its text quotes our login"
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
    said = repr((ours, logs, channel))
    assert not any(secret in said for secret in (DEFAULT_KEY.key, DEFAULT_KEY.secret, DEFAULT_KEY.passphrase))


def test_a_redirect_is_not_followed() -> None:
    """The login is for the address in the settings alone."""
    reader, asked = Reader(), Event()

    def elsewhere(connection: ServerConnection) -> None:
        asked.set()
        ready(connection)

    with (
        saying(elsewhere) as other,
        saying(elsewhere, redirect_to=other) as url,
        listening(url, reader) as channel,
    ):
        until(lambda: "HTTP 302" in channel.problem)
    assert not asked.is_set()


def test_a_channel_stops_at_once(exchange: Simulator) -> None:
    """Listening, waiting to try again, or connecting to nobody who answers; and says nothing afterwards."""
    threads = active_count()
    reader = Reader()
    with listening(exchange.ws_url, reader, patience=CALM):
        reader.gap()
        began = time.monotonic()
    with listening(exchange.ws_url, Reader(), credentials(passphrase="wrong"), patience=CALM) as refused:
        until(lambda: refused.refused)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}/"
        with listening(url, Reader(), patience=QUICK):
            mute.accept()[0].close()
    assert time.monotonic() - began < LATE_S
    exchange.control.place(UID, "BTC-USDT")
    until(lambda: active_count() <= threads)
    assert reader.calls.empty()


def test_over_tls_only_who_is_trusted_is_told(tmp_path: Path) -> None:
    """The usual authorities, or the file given; nothing is said to anybody else."""
    certificate = self_signed(tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serving(connection: ServerConnection) -> None:
        ready(connection)
        connection.send(push("1"))
        connection.recv(LATE_S)

    reader, stranger = Reader(), Reader()
    with saying(serving, context=context) as url:
        with listening(url, reader, verify=str(certificate), patience=CALM) as channel:
            reader.gap()
            assert reader.order()["ordId"] == "1"
            assert channel.alive
        with listening(url, stranger) as channel:
            until(lambda: "CERTIFICATE_VERIFY_FAILED" in channel.problem)
    assert stranger.calls.empty()


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("https://eea.okx.com", "; if the account is of another region, its BASE_URL is https://openapi.okx.com (gl"),
        ("http://127.0.0.1:1", ""),
    ],
)
def test_a_key_that_no_channel_knows_may_be_of_another_region(base_url: str, words: str) -> None:
    """Which ones there are is told; of a test exchange there are none."""

    def refuse(connection: ServerConnection) -> None:
        connection.recv(LATE_S)
        connection.send('{"event":"error","code":"60032","msg":"API key doesn\'t exist"}')

    elsewhere = replace(credentials(), base_url=base_url)
    with saying(refuse) as url, listening(url, Reader(), elsewhere) as channel:
        until(lambda: bool(channel.problem))
        assert channel.problem.startswith(f"60032 API key doesn't exist{words}")
        assert ("region" in channel.problem) == bool(words)
