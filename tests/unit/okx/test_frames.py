"""Are the frames of the private channel written as the exchange wants them, and read whatever it says?"""

import json

import pytest

from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.frames import SUBSCRIBE, Frame, login, read_frame

CREDS = Credentials("a", "key", "22582BD0CFF14C41EDBF1AB98506286D", "pass", "http://127.0.0.1:1", demo=False)


def test_a_login_is_signed_over_whole_seconds() -> None:
    """A value computed by hand from the exchange's recipe: timestamp + GET + /users/self/verify."""
    said = json.loads(login(CREDS, unix_s=1538054050.975))
    assert said == {
        "op": "login",
        "args": [
            {
                "apiKey": "key",
                "passphrase": "pass",
                "timestamp": "1538054050",
                "sign": "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M=",
            }
        ],
    }


def test_all_orders_are_subscribed() -> None:
    """Of every instrument type."""
    assert json.loads(SUBSCRIBE) == {"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]}


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('{"event":"login","code":"0","msg":"","connId":"a4"}', Frame("logged in")),
        ('{"event":"login","code":0}', Frame("logged in")),
        ('{"event":"login","code":"60009"}', Frame("error", code="60009")),
        ('{"event":"subscribe","arg":{"channel":"orders","instType":"ANY"}}', Frame("subscribed")),
        ('{"event":"error","code":"60009","msg":"Login failed."}', Frame("error", code="60009", msg="Login failed.")),
        ('{"event":"channel-conn-count-error","connCount":"30"}', Frame("error")),
        ('{"event":"channel-conn-count","connCount":"1"}', Frame("other")),
        ('{"event":"notice","code":"64008","msg":"soon"}', Frame("closing", code="64008", msg="soon")),
        ('{"event":"notice","code":"1"}', Frame("other")),
        ('{"event":["login"]}', Frame("other")),
        ("pong", Frame("other")),
        ("", Frame("other")),
        (b"\xff\x00", Frame("other")),
        ("[" * 100_000, Frame("other")),
        ("[1]", Frame("other")),
        ("null", Frame("other")),
        ('{"arg":{"channel":"positions"},"data":[{"ordId":"1"}]}', Frame("other")),
        ('{"arg":"orders","data":[{"ordId":"1"}]}', Frame("other")),
        ('{"arg":{"channel":"orders"}}', Frame("other")),
        ('{"arg":{"channel":"orders-algo"}}', Frame("other")),
        ('{"arg":{"channel":["orders-algo"]},"data":[]}', Frame("other")),
        ('{"arg":{"channel":"algo-advance"},"data":[7]}', Frame("orders")),
        (
            '{"arg":{"channel":"orders-algo","instType":"ANY"},"data":[{"algoId":"7","state":"effective","ordIdList":["1","2"]}]}',
            Frame(
                "orders",
                rows=(
                    {
                        "algoId": "7",
                        "state": "fired",
                        "ordIdList": "1,2",
                        "ordId": "7",
                        "clOrdId": "",
                        "placed": "1,2",
                    },
                ),
            ),
        ),
        ('{"arg":{"channel":"orders"},"data":null}', Frame("orders")),
        ('{"arg":{"channel":"orders"},"data":[7,[],{"ordId":"1"}]}', Frame("orders", rows=({"ordId": "1"},))),
        (
            '{"arg":{"channel":"orders"},"data":[{"ordId":12,"state":" live ","linkedAlgoOrd":{"a":1},"x":true}]}',
            Frame("orders", rows=({"ordId": "12", "state": "live"},)),
        ),
        (
            (
                '{"arg":{"channel":"orders","instType":"ANY","uid":"7"},"data":[{"instId":"BTC-USDT","ordId":"1","clOrdId":"",'
                '"state":"filled","accFillSz":"0.5","cTime":"1700000000000","px":"3","linkedAlgoOrd":{"algoId":""}}]}'
            ),
            Frame(
                "orders",
                rows=(
                    {
                        "instId": "BTC-USDT",
                        "ordId": "1",
                        "state": "filled",
                        "accFillSz": "0.5",
                        "cTime": "1700000000000",
                    },
                ),
            ),
        ),
        (
            '{"arg":{"channel":"orders"},"data":[{"ordId":"1","sz":2},{"ordId":"2","state":"\\ud800"}]}',
            Frame("orders", rows=({"ordId": "1"}, {"ordId": "2", "state": "?"})),
        ),
    ],
)
def test_a_frame_is_read(text: str | bytes, frame: Frame) -> None:
    """What is not understood is `other`; a field of a wrong type is as good as missing."""
    assert read_frame(text) == frame
