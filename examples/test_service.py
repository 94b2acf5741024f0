"""Tests of both services with bulk-cancel's test kit: `pip install 'bulk-cancel[testing]'`, then `pytest` here.

No Redis, no worker, no exchange: the fixture `bulk_cancel` takes what is handed in, and lets orders end as tests like.
"""

import asyncio
import threading
from collections.abc import Callable

import pytest
import service
import service_asyncio

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.testing import Kit

ROWS = [{"instId": "BTC-USDT", "ordId": "1"}, {"instId": "BTC-USDT", "ordId": "2"}]
Cancel = Callable[..., list[str]]


def in_asyncio(orders: list[dict[str, str]], *, account: str, batch_id: str, within_s: float) -> list[str]:
    """The other service, called like the first."""
    return asyncio.run(service_asyncio.cancel(orders, account=account, batch_id=batch_id, within_s=within_s))


both = pytest.mark.parametrize("cancel", [service.cancel, in_asyncio])


@both
def test_what_nobody_confirms_in_time_may_be_live(bulk_cancel: Kit, cancel: Cancel) -> None:
    """No worker: after its patience it says so."""
    assert cancel(ROWS, account="desk1", batch_id="b", within_s=0) == ["BTC-USDT 1: queued", "BTC-USDT 2: queued"]
    assert [batch.reason for batch in bulk_cancel.batches()] == ["limit breach"]


@both
def test_it_waits_until_all_are_off_the_book(bulk_cancel: Kit, cancel: Cancel) -> None:
    """They end while it waits."""
    workers = threading.Thread(target=lambda: until(bulk_cancel.batches) and bulk_cancel.end("b", "filled"))
    workers.start()
    assert cancel(ROWS, account="desk1", batch_id="b", within_s=5) == []
    workers.join()


@both
def test_what_was_given_up_is_told_again(bulk_cancel: Kit, cancel: Cancel) -> None:
    """The same batch handed in again after its end."""
    cancel(ROWS, account="desk1", batch_id="b", within_s=0)
    bulk_cancel.end("b", "exhausted", ids=["1"], sMsg="no answer")
    bulk_cancel.end("b")
    assert cancel(ROWS, account="desk1", batch_id="b", within_s=0) == ["BTC-USDT 1: exhausted no answer"]


@both
@pytest.mark.usefixtures("bulk_cancel")
def test_a_bad_row_is_refused(cancel: Cancel) -> None:
    """Before anything is taken."""
    with pytest.raises(InvalidOrders):
        cancel([{"instId": "BTC"}], account="desk1", batch_id="b", within_s=0)


def until(true: Callable[[], object]) -> bool:
    """Once it is so."""
    while not true():
        pass
    return True
