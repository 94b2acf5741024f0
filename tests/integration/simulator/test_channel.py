"""Does the simulated exchange's private WebSocket behave as OKX's: login, subscription, pushes, silence, faults?"""

import asyncio
import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bulk_cancel.worker.simulator.accounts import ApiKey, sign
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.messages import EndOrders, PlaceAlgos, PlaceOrders
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.simulator.server import Server
from tests.support.simulated import EndingSimulator, calmed
from tests.support.simulator_calls import cancel, code
from tests.support.waiting import PATIENCE_S

UID = DEFAULT_KEY.uid
OTHER = ApiKey(key="other", secret="other-secret", passphrase="other-pass", uid="2002")
SUBSCRIBE = {"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]}
LATE_S = PATIENCE_S


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """One simulator process for this module."""
    with EndingSimulator(Config(seed=1, accounts=(DEFAULT_KEY, OTHER))) as simulator:
        yield simulator


@pytest.fixture
def exchange(running: Simulator) -> Simulator:
    """As new."""
    return calmed(running)


@contextmanager
def connected(exchange: Simulator) -> Iterator[ClientConnection]:
    """A connection that is not logged in."""
    with connect(exchange.ws_url, proxy=None, ping_interval=None, close_timeout=1) as channel:
        yield channel


@contextmanager
def subscribed(exchange: Simulator, key: ApiKey = DEFAULT_KEY, kind: str = "ANY") -> Iterator[ClientConnection]:
    """A connection that gets the pushes of the key's user."""
    with connected(exchange) as channel:
        assert ask(channel, login(key))["event"] == "login"
        arg = {"channel": "orders", "instType": kind}
        assert ask(channel, {"op": "subscribe", "args": [arg]})["event"] == "subscribe"
        yield channel


def test_algo_orders_have_channels_of_their_own_at_the_business_address(exchange: Simulator) -> None:
    """Each type is told of by one of the two; `algo-advance` begins with what there is."""
    control = exchange.control
    (twap,) = control.place_algos(PlaceAlgos(UID, "BTC-USDT", "twap"))
    business = exchange.ws_url.replace("/private", "/business")
    with connect(business, proxy=None, ping_interval=None, close_timeout=1) as channel:
        assert ask(channel, login())["event"] == "login"
        for wrong in ("orders", "positions"):
            assert ask(channel, {"op": "subscribe", "args": [{"channel": wrong, "instType": "ANY"}]})["code"] == "60018"
        for name in ("orders-algo", "algo-advance"):
            said = ask(channel, {"op": "subscribe", "args": [{"channel": name, "instType": "ANY"}]})
            assert said["event"] == "subscribe"
        (trigger,) = control.place_algos(PlaceAlgos(UID, "BTC-USDT", "trigger"))
        control.fire_algos([trigger])
        pushes = [json.loads(channel.recv(LATE_S)) for _ in range(3)]
    told = [(push["arg"]["channel"], push["data"][0]["algoId"], push["data"][0]["state"]) for push in pushes]
    assert told == [
        ("algo-advance", twap, "live"), ("orders-algo", trigger, "live"), ("orders-algo", trigger, "effective")
    ]  # fmt: skip
    (child,) = pushes[2]["data"][0]["ordIdList"]
    assert [order.state for order in control.orders(ordId=child)] == ["live"]
    with connected(exchange) as channel:
        assert ask(channel, login())["event"] == "login"
        arg = {"channel": "orders-algo", "instType": "ANY"}
        assert ask(channel, {"op": "subscribe", "args": [arg]})["code"] == "60018"


def login(key: ApiKey = DEFAULT_KEY, *, ago_s: float = 0, **fields: str) -> dict[str, object]:
    """A signed login; `fields` replace what it says."""
    stamp = str(int(time.time() - ago_s))
    said = {
        "apiKey": key.key,
        "passphrase": key.passphrase,
        "timestamp": stamp,
        "sign": sign(key.secret, stamp, "GET", "/users/self/verify", b""),
    }
    return {"op": "login", "args": [said | fields]}


def ask(channel: ClientConnection, said: object) -> dict[str, Any]:
    """What is said next, once we said this."""
    channel.send(json.dumps(said))
    return heard(channel)


def heard(channel: ClientConnection) -> dict[str, Any]:
    """The next message."""
    answer = json.loads(channel.recv(LATE_S))
    assert isinstance(answer, dict)
    return answer


def pushed(channel: ClientConnection, count: int) -> list[dict[str, str]]:
    """The next orders pushed."""
    rows: list[dict[str, str]] = []
    while len(rows) < count:
        rows += heard(channel)["data"]
    return rows


def test_a_login_is_answered(exchange: Simulator) -> None:
    """As OKX words it."""
    with connected(exchange) as channel:
        answer = ask(channel, login())
        assert (answer["event"], answer["code"], answer["msg"]) == ("login", "0", "")
        assert answer["connId"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (lambda: login(passphrase="wrong"), "60009"),
        (lambda: login(apiKey="nobody"), "60009"),
        (lambda: login(sign="AAAA"), "60009"),
        (lambda: login(OTHER, apiKey=DEFAULT_KEY.key, passphrase=DEFAULT_KEY.passphrase), "60009"),
        (lambda: login(ago_s=3600), "60006"),
        (lambda: login(timestamp="today"), "60004"),
        (lambda: SUBSCRIBE, "60011"),
        (lambda: {"op": "dance", "args": [{}]}, "60012"),
        (lambda: {"op": "login", "args": [1]}, "60012"),
        (list, "60012"),
    ],
)
def test_what_is_wrong_is_refused(exchange: Simulator, said: Callable[[], object], code: str) -> None:
    """Each with its code; nobody is logged in afterwards."""
    with connected(exchange) as channel:
        answer = ask(channel, said())
        assert (answer["event"], answer["code"]) == ("error", code)
        assert ask(channel, SUBSCRIBE)["code"] == "60011"


def test_an_unknown_channel_is_refused(exchange: Simulator) -> None:
    """After a login, too."""
    with connected(exchange) as channel:
        ask(channel, login())
        assert ask(channel, {"op": "subscribe", "args": [{"channel": "positions"}]})["code"] == "60018"


def test_only_the_private_path_is_served(exchange: Simulator) -> None:
    """A typing error in the address is an HTTP error."""
    with pytest.raises(InvalidStatus), connect(exchange.ws_url + "x", proxy=None):
        pass


def test_a_text_ping_is_answered(exchange: Simulator) -> None:
    """Even before the login."""
    with connected(exchange) as channel:
        channel.send("ping")
        assert channel.recv(LATE_S) == "pong"


def test_each_change_of_an_order_is_pushed(exchange: Simulator) -> None:
    """Placed, partly filled, filled, cancelled by somebody else: one push each, in order."""
    with subscribed(exchange) as channel:
        first = exchange.control.place(UID, "BTC-USDT", prefix="mine")[0]
        second = exchange.control.place_orders(PlaceOrders(UID, "BTC-USDT-SWAP", sz="2", accFillSz="1"))[0]
        exchange.control.end_orders(EndOrders((first,), "filled"))
        exchange.control.end_orders(EndOrders((second,), "mmp_canceled"))
        rows = pushed(channel, 4)
    shown = [tuple(row[name] for name in ("ordId", "instType", "state", "accFillSz", "cancelSource")) for row in rows]
    assert shown == [
        (first, "SPOT", "live", "0", ""),
        (second, "SWAP", "partially_filled", "1", ""),
        (first, "SPOT", "filled", "1", ""),
        (second, "SWAP", "mmp_canceled", "1", "1"),
    ]
    assert (rows[0]["clOrdId"], rows[0]["side"], rows[0]["sz"]) == ("mine0", "buy", "1")
    assert int(rows[2]["uTime"]) >= int(rows[2]["cTime"]) > 0


def test_a_push_names_its_channel_and_its_user(exchange: Simulator) -> None:
    """And only that user's orders come."""
    with subscribed(exchange) as channel, subscribed(exchange, OTHER) as other:
        exchange.control.place(UID, "BTC-USDT")
        exchange.control.place("2002", "BTC-USDT")
        assert heard(channel)["arg"] == {"channel": "orders", "instType": "ANY", "uid": UID}
        assert heard(other)["arg"]["uid"] == "2002"


def test_a_subscription_may_be_of_one_type(exchange: Simulator) -> None:
    """Others are not pushed."""
    with subscribed(exchange, kind="SWAP") as channel:
        exchange.control.place(UID, "BTC-USDT")
        wanted = exchange.control.place(UID, "BTC-USDT-SWAP")
        assert [row["ordId"] for row in pushed(channel, 1)] == wanted


def test_a_lagging_cancel_is_pushed_when_it_takes_effect(exchange: Simulator) -> None:
    """Without anybody asking in between, in due order, each at its own time."""
    exchange.control.set_behaviour(Behaviour(cancel_lag_ms=80))
    with subscribed(exchange) as channel:
        orders = exchange.control.place(UID, "BTC-USDT", 2)
        pushed(channel, 2)
        began = time.monotonic()
        assert code(cancel(exchange, orders[0])) == "0"
        assert code(cancel(exchange, orders[1])) == "0"
        rows = pushed(channel, 2)
        took_s = time.monotonic() - began
    assert [(row["ordId"], row["state"], row["cancelSource"]) for row in rows] == [
        (order_id, "canceled", "1") for order_id in orders
    ]
    assert took_s >= 0.08


def test_pushes_take_the_network_s_delay_and_keep_their_order(exchange: Simulator) -> None:
    """Whatever the jitter draws."""
    with subscribed(exchange) as channel:
        exchange.control.set_network(Network(delay_ms=30, jitter_ms=60))
        began = time.monotonic()
        orders = exchange.control.place(UID, "BTC-USDT", 50)
        assert [row["ordId"] for row in pushed(channel, 50)] == orders
        assert time.monotonic() - began >= 0.03


def test_silence_ends_a_channel_and_any_word_keeps_it() -> None:
    """A push counts as much as a ping."""
    with EndingSimulator(Config(channel_silence_s=4)) as exchange, subscribed(exchange) as channel:
        began = time.monotonic()
        while time.monotonic() - began < 5:
            exchange.control.place(UID, "BTC-USDT")
            pushed(channel, 1)
            time.sleep(0.2)  # between words, not for one
        with pytest.raises(ConnectionClosed) as closed:
            channel.recv(LATE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4004


def test_the_operator_drops_all_channels_for_a_while(exchange: Simulator) -> None:
    """A reset, and no new ones until it is over; the rest of the exchange goes on."""
    with subscribed(exchange) as channel:
        assert exchange.control.drop_channels(60) == 1
        with pytest.raises(ConnectionClosed):
            channel.recv(LATE_S)
    with pytest.raises(InvalidStatus, match="503"), connected(exchange):
        pass
    exchange.control.drop_channels()
    with subscribed(exchange):
        assert exchange.control.place(UID, "BTC-USDT")


def test_the_operator_holds_everything_back(exchange: Simulator) -> None:
    """No push and no pong; then all of it, in order."""
    with subscribed(exchange) as channel:
        exchange.control.hold_channels(60)
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        channel.send("ping")
        with pytest.raises(TimeoutError):
            channel.recv(0.1)
        exchange.control.hold_channels(0)
        assert pushed(channel, 1)[0]["ordId"] == order_id
        assert channel.recv(LATE_S) == "pong"


def test_the_operator_loses_pushes(exchange: Simulator) -> None:
    """A gap: the channel lives, what changed meanwhile is never pushed."""
    with subscribed(exchange) as channel:
        exchange.control.lose_pushes(60)
        exchange.control.place(UID, "BTC-USDT")
        channel.send("ping")
        assert channel.recv(LATE_S) == "pong"
        exchange.control.lose_pushes(0)
        order_id = exchange.control.place(UID, "BTC-USDT")[0]
        assert [row["ordId"] for row in pushed(channel, 1)] == [order_id]


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_is_taken_is_told(exchange: Simulator) -> None:
    """Before anything listens, and nothing is left open."""
    taken = urlsplit(exchange.ws_url).port or 0
    loop = asyncio.new_event_loop()
    with closing(loop), pytest.raises(OSError, match="in use"):
        Server(Config(ws_port=taken), loop)
    gc.collect()


def test_a_subscription_ends_and_its_id_comes_back(exchange: Simulator) -> None:
    """After `unsubscribe` nothing is pushed; each answer has the `id` that was said."""
    with subscribed(exchange) as channel:
        arg = {"channel": "orders", "instType": "ANY"}
        ended = ask(channel, {"id": "u1", "op": "unsubscribe", "args": [arg]})
        assert (ended["event"], ended["arg"], ended["id"]) == ("unsubscribe", arg, "u1")
        exchange.control.place(UID, "BTC-USDT", 1)
        again = ask(channel, {"id": "s2", "op": "subscribe", "args": [arg]})
        assert (again["event"], again["id"]) == ("subscribe", "s2")


def test_an_upgrade_is_announced(exchange: Simulator) -> None:
    """By a notice with OKX's code; the channel stays open."""
    with subscribed(exchange) as channel:
        assert exchange.control.announce_upgrade() == 1
        notice = heard(channel)
        assert (notice["event"], notice["code"]) == ("notice", "64008")
        exchange.control.place(UID, "BTC-USDT", 1)
        assert len(pushed(channel, 1)) == 1


def test_a_push_tells_of_several_orders(exchange: Simulator) -> None:
    """As many as the behaviour says; the rest 2 ms later."""
    exchange.control.set_behaviour(Behaviour(push_rows=3))
    with subscribed(exchange) as channel:
        placed = exchange.control.place(UID, "BTC-USDT", 8)
        frames = [[row["ordId"] for row in heard(channel)["data"]] for _ in range(3)]
    assert frames == [placed[:3], placed[3:6], placed[6:]]


def test_orders_on_credit_are_margin_orders(exchange: Simulator) -> None:
    """A pair's order with tdMode cross or isolated is listed and pushed as MARGIN, another one as SPOT."""
    with subscribed(exchange, kind="MARGIN") as channel:
        exchange.control.place_orders(PlaceOrders(UID, "BTC-USDT"))
        (borrowed,) = exchange.control.place_orders(PlaceOrders(UID, "BTC-USDT", tdMode="cross"))
        (row,) = pushed(channel, 1)
    assert (row["ordId"], row["instType"], row["tdMode"]) == (borrowed, "MARGIN", "cross")
