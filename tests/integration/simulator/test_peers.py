"""Do other people's OKX clients work with the simulated exchange? If they do, it speaks the real protocol."""

import asyncio
import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import ccxt
import ccxt.pro
import certifi
import pytest
from okx.PublicData import PublicAPI
from okx.Trade import TradeAPI
from okx.websocket.WsPrivateAsync import WsPrivateAsync

from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.messages import EndOrders, PlaceOrders
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.certificate import self_signed
from tests.support.checkout import ROOT
from tests.support.other_languages import node
from tests.support.proxy import Proxy
from tests.support.simulated import EndingSimulator
from tests.support.waiting import PATIENCE_S

# what a peer's own code should no longer do (httpx's data=, datetime.utcnow) is not a fault of ours
pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning", r"ignore::DeprecationWarning:(okx|ccxt)(\..*)?"
)


def names(words: str) -> set[str]:
    """The words apart."""
    return set(words.split())


ORDER_FIELDS = names(
    "instType instId tgtCcy ccy ordId clOrdId tag px pxUsd pxVol pxType sz pnl ordType side posSide tdMode accFillSz "
    "fillPx tradeId fillSz fillTime avgPx state stpId stpMode lever attachAlgoClOrdId tpTriggerPx tpTriggerPxType "
    "tpOrdPx slTriggerPx slTriggerPxType slOrdPx attachAlgoOrds linkedAlgoOrd feeCcy fee rebateCcy rebate source "
    "category reduceOnly isTpLimit cancelSource cancelSourceReason quickMgnType algoClOrdId algoId uTime cTime "
    "tradeQuoteCcy"
)
INSTRUMENT_FIELDS = names(
    "instType instId uly instFamily category baseCcy quoteCcy settleCcy ctVal ctMult ctValCcy ctType optType stk "
    "listTime expTime lever tickSz lotSz minSz alias state ruleType maxLmtSz maxMktSz maxLmtAmt maxMktAmt maxTwapSz "
    "maxIcebergSz maxTriggerSz maxStopSz auctionEndTime contTdSwTime preMktSwTime openType futureSettlement instIdCode "
    "posLmtAmt posLmtPct maxPlatOILmt tradeQuoteCcyList"
)

DEMO_KEY = replace(DEFAULT_KEY, key="demo-key", demo=True, uid="1002")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Simulator]:
    """A simulator with a live and a demo key."""
    with EndingSimulator(Config(accounts=(DEFAULT_KEY, DEMO_KEY))) as simulator:
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


def test_ccxt_lists_every_market_with_its_contract(ccxt_client: ccxt.okx) -> None:
    """Size, currencies and limits of a contract, linear and inverse."""
    markets = ccxt_client.load_markets()
    linear, inverse = markets["BTC/USDT:USDT"], markets["BTC/USD:BTC-271231"]
    assert (linear["linear"], linear["contractSize"], linear["settle"]) == (True, 0.01, "USDT")
    assert (inverse["inverse"], inverse["contractSize"], inverse["settle"]) == (True, 100, "BTC")


def test_ccxt_reads_a_partly_filled_order(exchange: Simulator, ccxt_client: ccxt.okx) -> None:
    """What was filled, for how much and when."""
    (order_id,) = exchange.control.place_orders(PlaceOrders(DEFAULT_KEY.uid, "BTC-USDT", px="9", sz="4", accFillSz="1"))
    order = ccxt_client.fetch_order(order_id, "BTC/USDT")
    assert (order["filled"], order["remaining"], order["average"]) == (1, 3, 9)
    assert order["lastTradeTimestamp"] == order["timestamp"]
    assert ccxt_client.cancel_order(order_id, "BTC/USDT")["id"] == order_id
    (ended,) = [each for each in ccxt_client.fetch_canceled_orders("BTC/USDT") if each["id"] == order_id]
    assert (ended["status"], ended["filled"]) == ("canceled", 1)


def test_ccxt_watches_an_order(exchange: Simulator) -> None:
    """Over the private channel, from its placing to its end."""

    async def watch() -> list[str]:
        client = ccxt.pro.okx(
            {"apiKey": DEFAULT_KEY.key, "secret": DEFAULT_KEY.secret, "password": DEFAULT_KEY.passphrase}
        )
        client.urls["api"] = {"rest": exchange.url, "ws": exchange.ws_url.removesuffix("/private")}
        try:
            seen = asyncio.ensure_future(client.watch_orders("BTC/USDT"))
            while not exchange.control.summary().channels:  # noqa: ASYNC110 (only the exchange sees it)
                await asyncio.sleep(0.01)
            (order_id,) = exchange.control.place(DEFAULT_KEY.uid, "BTC-USDT", 1)
            states = [(await seen)[-1]["status"]]
            exchange.control.end_orders(EndOrders((order_id,), "filled"))
            return [*states, (await client.watch_orders("BTC/USDT"))[-1]["status"]]
        finally:
            await client.close()

    assert asyncio.run(asyncio.wait_for(watch(), PATIENCE_S)) == ["open", "closed"]


def test_python_okx_lists_by_type(exchange: Simulator) -> None:
    """SPOT and MARGIN orders of one pair are apart, and every row has the fields of OKX's documentation."""
    (spot,) = exchange.control.place(DEFAULT_KEY.uid, "BTC-USDT", 1)
    (margin,) = exchange.control.place_orders(PlaceOrders(DEFAULT_KEY.uid, "BTC-USDT", tdMode="isolated"))
    with TradeAPI(DEFAULT_KEY.key, DEFAULT_KEY.secret, DEFAULT_KEY.passphrase, flag="0", domain=exchange.url) as client:
        listed = {kind: client.get_order_list(instType=kind)["data"] for kind in ("SPOT", "MARGIN")}
        wanted = [{"instId": "BTC-USDT", "ordId": order_id} for order_id in (spot, margin)]
        assert client.cancel_multiple_orders(wanted)["code"] == "0"
    assert {kind: [row["ordId"] for row in rows] for kind, rows in listed.items()} == {
        "SPOT": [spot],
        "MARGIN": [margin],
    }
    assert all(rows[0].keys() >= ORDER_FIELDS for rows in listed.values())


def test_instruments_have_every_field(exchange: Simulator) -> None:
    """Clients in typed languages refuse a row that lacks one; those of another type are empty texts."""
    with PublicAPI(flag="0", domain=exchange.url) as client:
        for kind, family in (("SPOT", ""), ("MARGIN", ""), ("SWAP", ""), ("FUTURES", ""), ("OPTION", "BTC-USD")):
            rows = client.get_instruments(instType=kind, instFamily=family)["data"]
            assert {row["instType"] for row in rows} == {kind}
            assert all(row.keys() >= INSTRUMENT_FIELDS for row in rows)


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


def test_okx_api_lists_cancels_and_watches(exchange: Simulator, tmp_path: Path) -> None:
    """Node's client (npm okx-api 3.2.3): REST singly and in a batch, and the private channel's push of an end."""
    placed = exchange.control.place(DEFAULT_KEY.uid, "BTC-USDT", 3)
    keys = {"API_KEY": DEFAULT_KEY.key, "API_SECRET": DEFAULT_KEY.secret, "API_PASS": DEFAULT_KEY.passphrase}
    done = subprocess.run(
        node("peer.js", tmp_path, ROOT / "tests" / "support" / "okx_api"),
        env=os.environ | keys | {"REST_URL": exchange.url, "WS_URL": exchange.ws_url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    listed, canceled, pushed, batch = map(json.loads, done.stdout.splitlines())
    assert sorted(listed["listed"]) == sorted(placed)
    assert (canceled, pushed, batch) == ({"canceled": "0"}, {"pushed": listed["listed"][0]}, {"batch": ["0", "0"]})
    assert {state(exchange, order_id) for order_id in placed} == {"canceled"}


def test_python_okx_watches_an_order(exchange: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the private channel; it speaks TLS alone, so something has to stand before the simulator that does, too."""
    certificate = self_signed(tmp_path / "certificate.pem")
    monkeypatch.setattr(certifi, "where", lambda: str(certificate))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)

    async def watch(url: str) -> list[str]:
        client = WsPrivateAsync(DEFAULT_KEY.key, DEFAULT_KEY.passphrase, DEFAULT_KEY.secret, url)
        pushed: asyncio.Queue[str] = asyncio.Queue()
        await client.connect()
        await client.subscribe([{"channel": "orders", "instType": "ANY"}], pushed.put_nowait)
        listening = asyncio.ensure_future(client.consume())
        while json.loads(await pushed.get()).get("event") != "subscribe":
            pass
        (order_id,) = exchange.control.place(DEFAULT_KEY.uid, "BTC-USDT", 1)
        exchange.control.end_orders(EndOrders((order_id,), "canceled"))
        states = [json.loads(await pushed.get())["data"][0]["state"] for _ in range(2)]
        listening.cancel()
        await client.factory.close()
        return states

    parts = urlsplit(exchange.ws_url)
    with Proxy(parts.port or 0, tls=tls) as front:
        assert asyncio.run(watch(f"wss://127.0.0.1:{front.port}{parts.path}")) == ["live", "canceled"]
