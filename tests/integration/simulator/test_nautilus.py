"""Does nautilus-trader's OKX client work with the simulated exchange? It needs Python 3.12, and is in no lock."""

# mypy: ignore-errors
import asyncio
from collections.abc import Iterator

import pytest

from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.simulated import EndingSimulator

nautilus = pytest.importorskip(
    "nautilus_trader.core.nautilus_pyo3", reason="nautilus-trader is not here: pip install nautilus-trader (3.12)"
)


@pytest.fixture
def exchange() -> Iterator[Simulator]:
    """With open orders on two instruments."""
    with EndingSimulator() as simulator:
        simulator.control.place(DEFAULT_KEY.uid, "BTC-USDT", 3)
        simulator.control.place(DEFAULT_KEY.uid, "BTC-USDT-SWAP", 2)
        yield simulator


def test_instruments_reports_and_cancels(exchange: Simulator) -> None:
    """All instruments are parsed by its provider, open orders are reported, and cancelled singly and by the dozen."""
    asyncio.run(_work(exchange))
    assert {order.state for order in exchange.control.orders()} == {"canceled"}
    answers = {(row.endpoint, row.code) for row in exchange.control.log()}
    assert {("instruments", "0"), ("orders-pending", "0"), ("cancel-batch-orders", "0")} <= answers
    assert {code for _, code in answers} == {"0"}


async def _work(exchange: Simulator) -> None:
    from nautilus_trader.adapters.okx.providers import OKXInstrumentProvider  # noqa: PLC0415 (not always here)

    kinds = nautilus.OKXInstrumentType
    client = nautilus.OKXHttpClient(
        api_key=DEFAULT_KEY.key,
        api_secret=DEFAULT_KEY.secret,
        api_passphrase=DEFAULT_KEY.passphrase,
        base_url=exchange.url,
        max_retries=0,
        timeout_secs=5,
    )
    provider = OKXInstrumentProvider(client, (kinds.SPOT, kinds.SWAP, kinds.FUTURES))
    await provider.load_all_async()
    options, _ = await client.request_instruments(kinds.OPTION, "BTC-USD")
    found = {each.id.symbol.value for each in (*provider.list_all(), *options)}
    assert found == {each for each in exchange.config.instruments if not each.startswith("ETH-USD-")}
    for instrument in provider.instruments_pyo3():
        client.cache_instrument(instrument)
    account = nautilus.AccountId("OKX-1")
    spot = await client.request_order_status_reports(account, kinds.SPOT)
    swap = await client.request_order_status_reports(account, kinds.SWAP)
    assert (len(spot), len(swap)) == (3, 2)
    await client.cancel_order(spot[0].instrument_id, venue_order_id=spot[0].venue_order_id)
    for report in (spot[0], swap[0]):
        said = await client.cancel_all_orders(report.instrument_id)
        assert {each["s_code"] for each in said} == {"0"}
