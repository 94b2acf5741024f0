"""Who owns algo orders, and may something be sent for it?"""

import pytest

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User, algos_of
from bulk_cancel.worker.okx.limits import Limits, ReadingLimits
from bulk_cancel.worker.state.ids import JobId, is_of_algos, uid_of

USER = User("u", (), "http://x", Limits(60, 300), 20, ReadingLimits().scaled(0.5), "ws://x")


def test_they_have_lanes_of_their_own() -> None:
    """One to a request, under a meter of their own, as far as it is ours; no channel tells of them."""
    algos = algos_of(USER)
    assert (algos.uid, algos.owner, algos.of_algos, USER.of_algos) == ("u:algo", "u", True, False)
    assert (algos.limits, algos.batch_size, algos.ws_url) == (Limits(10, 0), 0, None)
    job = JobId(algos.uid, "BTC-USDT", "7", None)
    assert (str(job), job.lane, job.is_algo) == ("u:algo/BTC-USDT/o7", "u:algo/BTC-USDT", True)
    assert JobId.parse(str(job)) == job
    assert (uid_of(job.lane), is_of_algos(job.lane), is_of_algos("u/BTC-USDT")) == ("u", True, False)


def test_the_gate_opens_for_both() -> None:
    """Credentials are proved once; nobody else's algo orders are served."""
    gate = Gate({"u": USER})
    assert gate.serves("u:algo")
    assert not gate.is_open("u:algo")
    gate.open("u")
    assert gate.is_open("u:algo")
    assert gate.open_s("u:algo") >= 0
    assert gate.user("u:algo") == algos_of(USER)
    assert not gate.serves("other:algo")
    with pytest.raises(KeyError):
        gate.user("other:algo")
