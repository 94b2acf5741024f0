"""Does an alert reach a real receiver, signed and retried, and does a broken one show, but never its secrets?"""

import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from bulk_cancel.worker.alerts.alerts import Alerts, Condition, alert
from bulk_cancel.worker.alerts.webhook import SIGNATURE, TIMEOUT_S, TIMESTAMP, Webhook, WebhookError, sign
from tests.support.receiver import PATH, Delivery, receiver

SECRET = "only-we-two-know"


def delivering(url: str) -> Alerts:
    """Alerts on the way to that URL."""
    alerts = Alerts(Webhook(url, SECRET), runner="bc", worker="host:1")
    alerts.start()
    return alerts


def until(true: Callable[[], bool], timeout_s: float = 8) -> None:
    """Waits for it."""
    ends = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.005)


def check_signature(delivery: Delivery) -> None:
    """Over timestamp and body, fresh."""
    stamp = delivery.headers[TIMESTAMP]
    assert delivery.headers[SIGNATURE] == sign(SECRET.encode(), stamp, delivery.body)
    assert abs(time.time() - int(stamp)) < 10


def test_it_arrives_signed() -> None:
    """With path and query, as JSON, over one connection for many."""
    with receiver() as taker:
        alerts = delivering(taker.url)
        alert(Condition.LANE_REFUSED, "a", {"lane": "a"})
        alert(Condition.LANE_REFUSED, "b", {"lane": "b"})
        one, two = taker.wait(2)
        alerts.stop()
    assert (one.path, one.headers["Content-Type"]) == (PATH, "application/json")
    assert [each.said["facts"]["lane"] for each in (one, two)] == ["a", "b"]
    check_signature(one)
    check_signature(two)


def test_what_passes_is_tried_again() -> None:
    """500, then 429, then taken: the same alert under the same id, once signed anew; the failure is logged once."""
    with receiver(500, 429) as taker, capture_logs() as lines:
        alerts = delivering(taker.url)
        alert(Condition.LANE_REFUSED, "a", {"lane": "a"})
        tries = taker.wait(3)
        until(lambda: not alerts.problems)
        alerts.stop()
    assert len({each.said["id"] for each in tries}) == 1
    check_signature(tries[2])
    said = [line["event"] for line in lines]
    assert said == ["lane_refused", "webhook_fails", "webhook_works_again"]


@pytest.mark.parametrize("status", [301, 307, 404])
def test_what_will_not_pass_is_given_up(status: int) -> None:
    """A redirect is never followed: the secret path and the facts go nowhere else."""
    with receiver(status) as taker:
        alerts = delivering(taker.url)
        alert(Condition.LANE_REFUSED, "a", {})
        alert(Condition.LANE_REFUSED, "b", {})
        first, second = taker.wait(2)
        alerts.stop()
    assert first.said["id"] != second.said["id"]
    assert {first.path, second.path} == {PATH}


def test_a_receiver_that_hangs_is_left_after_three_seconds() -> None:
    """Then tried again; whoever raises alerts meanwhile does not notice."""
    with receiver(0) as taker:
        alerts = delivering(taker.url)
        began = time.monotonic()
        alert(Condition.LANE_REFUSED, "a", {})
        taker.wait()
        for number in range(1000):
            alert(Condition.ORDER_MAY_BE_LIVE, f"b{number}", {})
        assert time.monotonic() - began < 1
        until(lambda: bool(alerts.problems))
        assert time.monotonic() - began < TIMEOUT_S + 0.5
        taker.wait()
        alerts.stop()


def test_nobody_there_shows_without_path_and_query() -> None:
    """In the log and in the facts for status."""
    with receiver() as taker:
        url, port = taker.url, taker.port
    with capture_logs() as lines:
        alerts = delivering(url)
        alert(Condition.LANE_REFUSED, "a", {})
        until(lambda: bool(alerts.problems))
        shown = f"{alerts.problems} {lines}"
        alerts.stop()
    assert f"http://127.0.0.1:{port}: Connection refused" in shown
    assert "very-secret" not in f"{shown} {lines}"
    assert SECRET not in f"{shown} {lines}"


def test_an_answer_that_dribbles_is_cut() -> None:
    """A byte now and then would satisfy a timeout per read for ever."""
    with receiver(-1) as taker:
        hook = Webhook(taker.url, SECRET)
        began = time.monotonic()
        with pytest.raises(WebhookError):
            hook.post(b"{}")
        assert time.monotonic() - began < TIMEOUT_S + 0.5
        hook.close()


def test_a_receiver_that_restarts_between_two_alerts_is_no_failure() -> None:
    """A connection that was closed while idle is replaced before it is used."""
    with receiver() as taker:
        hook = Webhook(taker.url, SECRET)
        hook.post(b"{}")
    with receiver(port=taker.port) as taker:
        hook.post(b"{}")
        assert len(taker.deliveries) == 1
        hook.close()
