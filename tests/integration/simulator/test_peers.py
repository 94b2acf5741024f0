"""Do other people's OKX clients work with the simulated exchange? If they do, it speaks the real protocol."""

from collections.abc import Iterator
from dataclasses import replace

import ccxt
import pytest
from okx.Trade import TradeAPI

from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.process import Simulator

# what a peer's own code should no longer do (httpx's data=, datetime.utcnow) is not a fault of ours
pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning", r"ignore::DeprecationWarning:(okx|ccxt)(\..*)?"
)

DEMO_KEY = replace(DEFAULT_KEY, key="demo-key", demo=True, uid="1002")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Simulator]:
    """A simulator with a live and a demo key."""
    with Simulator(Config(accounts=(DEFAULT_KEY, DEMO_KEY))) as simulator:
        yield simulator


def state(exchange: Simulator, order_id: str) -> str:
    """The order's state on the book."""
    found = exchange.control.order(order_id)
    assert found is not None
    return found.state


@pytest.fixture(scope="module")
def ccxt_client(exchange: Simulator) -> ccxt.okx:
    """The client of ccxt, pointed at the simulator."""
    client = ccxt.okx({"apiKey": DEFAULT_KEY.key, "secret": DEFAULT_KEY.secret, "password": DEFAULT_KEY.passphrase})
    client.enableRateLimit = False  # the simulator counts for itself
    client.urls["api"] = {"rest": exchange.url}
    return client


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC-271231", "BTC/USD:BTC-271231-100000-C"])
def test_ccxt_places_reads_and_cancels(exchange: Simulator, ccxt_client: ccxt.okx, symbol: str) -> None:
    """Ccxt loads the markets and handles spot, swap, future and option orders."""
    order_id = ccxt_client.create_order(symbol, "limit", "buy", 1, 100)["id"]
    assert [order["id"] for order in ccxt_client.fetch_open_orders(symbol)] == [order_id]
    assert ccxt_client.fetch_order(order_id, symbol)["status"] == "open"
    assert ccxt_client.cancel_order(order_id, symbol)["id"] == order_id
    assert state(exchange, order_id) == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        ccxt_client.cancel_order(order_id, symbol)


def test_ccxt_cancels_in_batches(exchange: Simulator, ccxt_client: ccxt.okx) -> None:
    """Ccxt's batch cancel takes every order off the book."""
    orders = exchange.control.place(DEFAULT_KEY.uid, "ETH-USDT", 20)
    assert [order["id"] for order in ccxt_client.cancel_orders(orders, "ETH/USDT")] == orders
    assert {state(exchange, order_id) for order_id in orders} == {"canceled"}


@pytest.mark.parametrize(("account", "flag"), [(DEFAULT_KEY, "0"), (DEMO_KEY, "1")], ids=["live", "demo"])
def test_python_okx_cancels(exchange: Simulator, account: ApiKey, flag: str) -> None:
    """OKX's own client cancels singly and in batches, live and demo."""
    single, *batch = exchange.control.place(account.uid, "BTC-USDT", 3)
    with TradeAPI(account.key, account.secret, account.passphrase, flag=flag, domain=exchange.url) as client:
        assert client.cancel_order("BTC-USDT", ordId=single)["data"][0]["sCode"] == "0"
        wanted = [{"instId": "BTC-USDT", "ordId": order_id} for order_id in batch]
        assert client.cancel_multiple_orders(wanted)["code"] == "0"
        assert client.get_order_list()["data"] == []
        assert client.get_order("BTC-USDT", ordId=single)["data"][0]["state"] == "canceled"
    assert {state(exchange, order_id) for order_id in (single, *batch)} == {"canceled"}


def test_python_okx_with_the_wrong_flag_is_turned_away(exchange: Simulator) -> None:
    """A live key in demo mode gets 50101."""
    with TradeAPI(DEFAULT_KEY.key, DEFAULT_KEY.secret, DEFAULT_KEY.passphrase, flag="1", domain=exchange.url) as client:
        assert client.cancel_order("BTC-USDT", ordId="7")["code"] == "50101"
