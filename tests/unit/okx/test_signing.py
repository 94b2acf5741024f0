"""Are requests signed as the exchange computes it, and do secrets stay inside?"""

import pytest

from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.signing import signature, signed_headers, timestamp

SECRET = "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO"
STAMP = "2020-12-08T09:08:57.715Z"
EXPECTED = "PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k="


def credentials(*, demo: bool = False) -> Credentials:
    """An account with the published secret."""
    return Credentials("desk1", "the-key", SECRET, "the-passphrase", "https://exchange.test", demo)


def test_signature_of_published_vector() -> None:
    """The one published example gives the published signature."""
    assert signature(SECRET, stamp=STAMP, method="GET", path="/api/v5/account/balance", body=b"") == EXPECTED


def test_signature_covers_the_body() -> None:
    """Another body, another signature."""
    one, two = (signature(SECRET, stamp=STAMP, method="POST", path="/x", body=body) for body in (b"{}", b"{ }"))
    assert one != two


@pytest.mark.parametrize(
    ("unix_s", "stamp"),
    [
        (1607418537.715, STAMP),
        (1607418537.0, "2020-12-08T09:08:57.000Z"),
        (1607418537.9999, "2020-12-08T09:08:57.999Z"),
    ],
)
def test_timestamp_has_three_digits(unix_s: float, stamp: str) -> None:
    """Milliseconds are always three digits, and a time is never rounded into the future."""
    assert timestamp(unix_s) == stamp


def test_headers_of_a_live_key() -> None:
    """Exactly the four headers of the exchange."""
    headers = signed_headers(credentials(), stamp=STAMP, method="GET", path="/api/v5/account/balance", body=b"")
    assert headers == {
        "OK-ACCESS-KEY": "the-key",
        "OK-ACCESS-SIGN": EXPECTED,
        "OK-ACCESS-TIMESTAMP": STAMP,
        "OK-ACCESS-PASSPHRASE": "the-passphrase",
    }


def test_demo_key_says_so() -> None:
    """A demo account adds its header, which is not signed."""
    headers = signed_headers(
        credentials(demo=True), stamp=STAMP, method="GET", path="/api/v5/account/balance", body=b""
    )
    assert headers["x-simulated-trading"] == "1"
    assert headers["OK-ACCESS-SIGN"] == EXPECTED


def test_repr_hides_all_secrets() -> None:
    """Neither repr nor str of credentials holds a secret."""
    shown = repr(credentials()) + str(credentials())
    assert "desk1" in shown
    assert not [secret for secret in ("the-key", SECRET, "the-passphrase") if secret in shown]


@pytest.mark.parametrize("secret", ["", "new\nline", "€uro", "nul\0"])
def test_unsendable_secret_is_refused_unseen(secret: str) -> None:
    """A secret that no header can carry is refused by account name, without being quoted."""
    with pytest.raises(ValueError, match="account desk1") as refused:
        Credentials("desk1", "key", "secret", secret, "https://exchange.test", demo=False)
    assert not secret or secret not in str(refused.value)


def test_order_sends_one_id() -> None:
    """`ordId` wins, `clOrdId` is sent only alone, and none is an error."""
    assert OrderRef("BTC-USDT", "1", "a").fields() == {"instId": "BTC-USDT", "ordId": "1"}
    assert OrderRef("BTC-USDT", None, "a").fields() == {"instId": "BTC-USDT", "clOrdId": "a"}
    with pytest.raises(ValueError, match="needs ordId or clOrdId"):
        OrderRef("BTC-USDT", "", None).fields()
