"""Does the simulated exchange hold over real sockets: limits, network, faults, control API, its process?"""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Literal

import pytest
import requests

from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.client import ControlClient, ControlError
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.faults import MAINTENANCE, Fault, Network, maintenance
from bulk_cancel.worker.simulator.messages import AccountChange, EndOrders, PlaceOrders
from bulk_cancel.worker.simulator.meters import Limits, max_in_window
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.simulated import EndingSimulator
from tests.support.simulator_calls import cancel, code
from tests.support.waiting import PATIENCE_S

UID = DEFAULT_KEY.uid


def test_orders_are_cancelled_over_one_kept_connection(exchange: Simulator) -> None:
    """Placed by control, cancelled by the API, gone from the book; the log saw one connection."""
    orders = exchange.control.place(UID, "BTC-USDT", 3, prefix="mine")
    with requests.Session() as session:
        assert [code(cancel(exchange, order_id, session=session)) for order_id in orders] == ["0"] * 3
    assert [(order.state, order.clOrdId, order.cancels) for order in exchange.control.orders()] == [
        ("canceled", f"mine{i}", 1) for i in range(3)
    ]
    rows = list(exchange.control.log(endpoint="cancel-order"))
    assert len({row.connection for row in rows}) == 1
    assert [row.ordIds for row in rows] == [(order_id,) for order_id in orders]
    assert exchange.control.summary().live_orders == 0


def test_the_summary_counts_the_clients_that_are_connected() -> None:
    """Each open connection, used or not; not those of the control API, and not one that is closed."""
    with EndingSimulator() as exchange:
        address = ("127.0.0.1", int(exchange.url.rsplit(":", 1)[1]))
        assert exchange.control.summary().connections == 0
        with closing(socket.create_connection(address)), requests.Session() as session:
            assert code(cancel(exchange, "7", session=session)) == "1"
            assert requests.get(exchange.url + "/control/health", timeout=PATIENCE_S).ok
            assert exchange.control.summary().connections == 2
        while exchange.control.summary().connections:
            pass  # the simulator has yet to see that they closed


def test_a_burst_is_cut_at_the_limit_and_the_oracle_sees_it(exchange: Simulator) -> None:
    """Of 30 concurrent cancels exactly 10 pass a limit of 10, in order of arrival."""
    exchange.control.set_limits(Limits(single=10, window_ms=60_000))
    orders = exchange.control.place(UID, "BTC-USDT", 30)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda order_id: cancel(exchange, order_id).status_code, orders))
    assert (statuses.count(200), statuses.count(429)) == (10, 20)
    meter = exchange.control.summary().meters[f"single:{UID}:BTC-USDT"]
    assert (meter.requests, meter.refusals, meter.max_in_window) == (30, 20, 30)
    assert [row.refused for row in exchange.control.log()] == [False] * 10 + [True] * 20
    assert len(list(exchange.control.log(refused="true"))) == 20


def test_arrivals_are_stamped_after_the_way_in(exchange: Simulator) -> None:
    """With jitter the log stays in order of arrival, and a round trip takes at least both ways."""
    exchange.control.set_network(Network(delay_ms=20, jitter_ms=20))
    exchange.control.set_limits(Limits(window_ms=60_000))
    orders = exchange.control.place(UID, "BTC-USDT", 24)

    def timed(order_id: str) -> float:
        start = time.monotonic()
        assert code(cancel(exchange, order_id)) == "0"
        return time.monotonic() - start

    with ThreadPoolExecutor(8) as pool:
        took_s = list(pool.map(timed, orders))
    assert min(took_s) >= 0.04
    times = [row.at_us for row in exchange.control.log()]
    assert times == sorted(times)
    meter = exchange.control.summary().meters[f"single:{UID}:BTC-USDT"]
    assert meter.max_in_window == max_in_window(times, 60_000_000) == 24


def test_a_lagging_book_shows_the_order_until_it_is_off(exchange: Simulator) -> None:
    """The acknowledged order stays live for the lag."""
    exchange.control.set_behaviour(Behaviour(cancel_lag_ms=60_000, repeat_sCode="51410"))
    order_id = exchange.control.place(UID, "BTC-USDT")[0]
    assert [code(cancel(exchange, order_id)) for _ in range(2)] == ["0", "1"]
    found = exchange.control.order(order_id)
    assert found is not None
    assert (found.state, found.cancels) == ("live", 2)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(action="close"), requests.ConnectionError),
        (Fault(action="reset"), (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)),
        (Fault(action="reset", sent=0), requests.ConnectionError),
        (Fault(action="truncate"), (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)),
        (Fault(action="hang"), requests.Timeout),
        (Fault(action="dribble"), requests.Timeout),
    ],
    ids=lambda value: f"{value.action}{value.sent}" if isinstance(value, Fault) else "",
)
def test_answers_get_lost_with_or_without_effect(
    exchange: Simulator, fault: Fault, error: type[Exception], when: Literal["before", "after"]
) -> None:
    """Whatever happens to the answer, `before` leaves the order alive and `after` does not."""
    order_id = exchange.control.place(UID, "BTC-USDT")[0]
    exchange.control.add_fault(replace(fault, when=when, body="{}" if when == "before" else None, count=1))
    with pytest.raises(error):
        cancel(exchange, order_id, timeout=0.1 if error is requests.Timeout else PATIENCE_S)
    while not list(exchange.control.log(ordId=order_id)):
        pass  # the client may give up before the simulator has read the request
    found = exchange.control.order(order_id)
    assert found is not None
    assert (found.state, found.cancels) == ("live" if when == "before" else "canceled", 1)
    assert code(cancel(exchange, order_id)) == ("0" if when == "before" else "1")


def test_a_reset_is_a_reset(exchange: Simulator) -> None:
    """Half of the answer is read, then the connection is reset, not closed."""
    exchange.control.add_fault(Fault(action="reset", when="after", endpoint="time"))
    port = int(exchange.url.rsplit(":", 1)[1])
    with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)) as sock:
        sock.sendall(b"GET /api/v5/public/time HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(10_000).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(ConnectionResetError):
            sock.recv(10_000)


def test_a_slow_answer_arrives_byte_by_byte(exchange: Simulator) -> None:
    """A dribbled answer is whole in the end, and the connection can be used again."""
    exchange.control.add_fault(Fault(action="dribble", when="after", every_s=0.0002, count=1))
    with requests.Session() as session:
        answers = [
            cancel(exchange, order_id, session=session) for order_id in exchange.control.place(UID, "BTC-USDT", 2)
        ]
    assert [code(answer) for answer in answers] == ["0", "0"]


def test_hung_answers_are_released(exchange: Simulator) -> None:
    """A held answer arrives once it is released."""
    order_id = exchange.control.place(UID, "BTC-USDT")[0]
    exchange.control.add_fault(Fault(action="hang", when="after"))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cancel, exchange, order_id)
        while not list(exchange.control.log()):
            assert not answer.done()
        assert exchange.control.release() == 1
        assert code(answer.result()) == "0"
    assert exchange.control.release() == 0


def test_maintenance_ends_by_itself_or_by_hand(exchange: Simulator) -> None:
    """503 and 50001 while the fault is on."""
    number = exchange.control.add_fault(maintenance())
    down = cancel(exchange, "7")
    assert (down.status_code, down.text) == (503, MAINTENANCE)
    exchange.control.remove_fault(number)
    assert cancel(exchange, "7").status_code == 200


def test_scripts_reach_the_order_by_its_client_id(exchange: Simulator) -> None:
    """A script under the clOrdId works on a cancel by ordId."""
    order_id = exchange.control.place(UID, "BTC-USDT", prefix="mine")[0]
    exchange.control.script("mine0", ["51410", Fault(status=200, body="<html>"), "0"])
    answers = [cancel(exchange, order_id) for _ in range(3)]
    assert code(answers[0]) == "1"
    assert answers[1].text == "<html>"
    assert code(answers[2]) == "0"


def test_credentials_are_revoked_and_restored(exchange: Simulator) -> None:
    """A change takes effect on the next request; a second key of the same uid shares its meter."""
    control = exchange.control
    control.change_account(AccountChange(DEFAULT_KEY.key, revoked=True))
    assert code(cancel(exchange, "7")) == "50111"
    control.change_account(AccountChange(DEFAULT_KEY.key, revoked=False, ip_allowed=False))
    assert code(cancel(exchange, "7")) == "50110"
    control.put_account(DEFAULT_KEY)
    control.set_clock_offset(-31)
    assert code(cancel(exchange, "7")) == "50102"
    control.set_clock_offset(0)
    assert code(cancel(exchange, "7")) == "1"


def test_orders_can_end_without_us(exchange: Simulator) -> None:
    """A filled order answers a cancel with 51400."""
    order_id = exchange.control.place_orders(PlaceOrders(UID, "BTC-USDT", accFillSz="0.5", sz="2"))[0]
    exchange.control.end_orders(EndOrders((order_id,)))
    found = exchange.control.order(order_id)
    assert found is not None
    assert (found.state, found.accFillSz) == ("filled", "2")
    assert cancel(exchange, order_id).json()["data"][0]["sCode"] == "51400"


def test_refused_connections_come_back_on_the_same_port(exchange: Simulator) -> None:
    """New connections are refused and old ones reset until told otherwise; control goes on meanwhile."""
    with requests.Session() as session:
        assert code(cancel(exchange, "7", session=session)) == "1"
        exchange.control.refuse_connections(3_600)
        with pytest.raises(requests.ConnectionError):
            cancel(exchange, "7", session=session)
        exchange.control.accept_connections()
        assert code(cancel(exchange, "7", session=session)) == "1"


def test_refused_connections_come_back_by_themselves(exchange: Simulator) -> None:
    """The listener opens again after the time given."""
    exchange.control.refuse_connections(0.01)
    while True:
        try:
            answer = cancel(exchange, "7")
        except requests.ConnectionError:
            continue
        assert code(answer) == "1"
        break


def test_control_refuses_what_it_cannot_read(exchange: Simulator) -> None:
    """An unknown instrument and a wrong path are errors with a reason."""
    with pytest.raises(ControlError, match="XXX-USDT"):
        exchange.control.place(UID, "XXX-USDT")
    exchange.control.list_instruments(["XXX-USDT"])
    assert exchange.control.place(UID, "XXX-USDT")
    wrong = requests.put(exchange.url + "/control/network", data=b'{"delay": 1}', timeout=PATIENCE_S)
    assert (wrong.status_code, "delay" in wrong.json()["error"]) == (400, True)
    assert requests.get(exchange.url + "/control/nothing", timeout=PATIENCE_S).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "accounts/change", {"key": "k"}, "no key 'k'"),
        ("POST", "orders", {"uid": UID, "instId": "X-Y"}, "no instrument 'X-Y'"),
        ("POST", "algos", {"uid": UID, "instId": "X-Y"}, "no instrument 'X-Y'"),
        ("POST", "orders/end", {"ordIds": ["1"]}, "no order '1'"),
        ("POST", "algos/fire", {"algoIds": ["1"]}, "no algo order '1'"),
        ("DELETE", "faults?id=x", {}, "id: should be the number that POST /control/faults answered"),
        (
            "POST",
            "orders",
            {"uid": UID, "attached": True, "foo": 1},
            "instId: is missing; attached: should be '', 'true' or 'false'; foo: no such field",
        ),
        ("GET", "log?refused=x", {}, "refused: should be a valid boolean, unable to interpret input"),
    ],
)
def test_control_says_in_words_what_is_wrong(
    method: str, path: str, body: object, words: str, exchange: Simulator
) -> None:
    """What there is none of, and the field; nothing of how it is made."""
    answer = requests.request(method, f"{exchange.url}/control/{path}", json=body, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]) == (400, words)


@pytest.mark.parametrize("path", ["orders", "algos", "products", "log"])
def test_control_refuses_a_filter_that_it_does_not_know(path: str, exchange: Simulator) -> None:
    """With those that there are; it was asked for a part, and is told neither all nor nothing."""
    exchange.control.place(UID, "BTC-USDT")
    wrong = requests.get(f"{exchange.url}/control/{path}?uid={UID}&foo=1", timeout=PATIENCE_S)
    assert wrong.status_code == 400
    assert wrong.json()["error"].startswith("foo: no such filter; there are ")
    assert requests.get(f"{exchange.url}/control/{path}?uid={UID}", timeout=PATIENCE_S).ok


def test_a_fault_is_removed_by_its_id_alone(exchange: Simulator) -> None:
    """A misspelt name removes not all of them."""
    exchange.control.add_fault(maintenance())
    assert requests.delete(f"{exchange.url}/control/faults?ids=1", timeout=PATIENCE_S).status_code == 400
    assert cancel(exchange, "7").status_code == maintenance().status


def test_ten_thousand_orders_are_placed_and_listed(exchange: Simulator) -> None:
    """One call places them, the stream lists every one."""
    orders = exchange.control.place(UID, "ETH-USDT", 10_000)
    assert [order.ordId for order in exchange.control.orders(instId="ETH-USDT")] == orders
    assert exchange.control.summary().live == {UID: {"ETH-USDT": 10_000}}


def test_the_simulator_dies_with_its_parent() -> None:
    """A kill -9 of the program that started it ends the simulator: its port refuses."""
    program = (
        "from bulk_cancel.worker.simulator.process import Simulator\n"
        "import sys, threading\n"
        "with Simulator() as s: print(s.url, flush=True); threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        with closing(socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=PATIENCE_S)) as sock:
            sock.sendall(b"GET /api/v5/public/time HTTP/1.1\r\n\r\n")
            assert sock.recv(10_000).startswith(b"HTTP/1.1 200 OK")
            parent.send_signal(signal.SIGKILL)
            with pytest.raises(ConnectionResetError):
                sock.recv(1)


def test_shutdown_ends_the_process() -> None:
    """`shutdown` makes the process end by itself."""
    with EndingSimulator() as simulator:
        simulator.control.shutdown()
        assert os.waitid(os.P_PID, simulator.pid, os.WEXITED | os.WNOWAIT) is not None
        with pytest.raises(requests.ConnectionError):
            ControlClient(simulator.url).summary()
