"""Does an alert reach a real receiver, signed and retried, and does a broken one show, but never its secrets?"""

import base64
import time

import pytest
import standardwebhooks
from structlog.testing import capture_logs

from bulk_cancel.worker.alerts.alerts import Alerts, Condition, alert
from bulk_cancel.worker.alerts.webhook import Webhook, WebhookError
from tests.support.receiver import PATH, Delivery, receiver
from tests.support.waiting import PATIENCE_S, until

OLD = "whsec_" + base64.b64encode(b"the one before").decode()
NEW = "whsec_" + base64.b64encode(b"only we two know").decode()
SECRET = f"{NEW} {OLD}"


def delivering(url: str) -> Alerts:
    """Alerts on the way to that URL."""
    alerts = Alerts(Webhook(url, SECRET), runner="bc", worker="host:1")
    alerts.start()
    return alerts


def check_signature(delivery: Delivery) -> None:
    """By the standard's own library, under each of the secrets, fresh."""
    for secret in (NEW, OLD):
        verified = standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers)
        assert verified == delivery.said
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + base64.b64encode(b"another").decode()).verify(
            delivery.body, delivery.headers
        )
    assert delivery.headers["webhook-id"] == delivery.said["id"]


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


def test_it_comes_again_no_sooner_than_it_is_asked_to() -> None:
    """`Retry-After` in seconds, where that is longer than our own pause."""
    with receiver(503) as taker:
        taker.retry_after = "2"
        alerts = delivering(taker.url)
        began = time.monotonic()
        alert(Condition.LANE_REFUSED, "a", {})
        taker.wait(2)
        assert time.monotonic() - began >= 2
        alerts.stop()


def test_a_receiver_that_is_gone_is_asked_no_more() -> None:
    """410: it is said in the log and in the facts for status, and what comes later is a log line alone."""
    with receiver(410) as taker, capture_logs() as lines:
        alerts = delivering(taker.url)
        alert(Condition.LANE_REFUSED, "a", {})
        until(lambda: bool(alerts.problems))
        alert(Condition.LANE_REFUSED, "b", {})
        shown = str(alerts.problems)
        alerts.stop()
        assert len(taker.deliveries) == 1
    assert "HTTP 410, gone: no alert is sent to it any more" in shown
    assert [line["event"] for line in lines if line["event"] != "alerts_lost"] == [
        "lane_refused", "webhook_gone", "lane_refused",
    ]  # fmt: skip


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
        alert(Condition.LANE_REFUSED, "a", {})
        taker.wait()
        began = time.monotonic()
        for number in range(1000):
            alert(Condition.ORDER_MAY_BE_LIVE, f"b{number}", {})
        assert time.monotonic() - began < PATIENCE_S  # each would have waited for three seconds
        until(lambda: bool(alerts.problems))
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
    assert NEW not in f"{shown} {lines}"


def test_an_answer_that_dribbles_is_cut() -> None:
    """A byte now and then would satisfy a timeout per read for ever."""
    with receiver(-1) as taker:
        hook = Webhook(taker.url, SECRET)
        with pytest.raises(WebhookError):
            hook.post(b"{}", message_id="1")
        hook.close()


def test_a_receiver_that_restarts_between_two_alerts_is_no_failure() -> None:
    """A connection that was closed while idle is replaced before it is used."""
    with receiver() as taker:
        hook = Webhook(taker.url, SECRET)
        hook.post(b"{}", message_id="1")
    with receiver(port=taker.port) as taker:
        hook.post(b"{}", message_id="1")
        assert len(taker.deliveries) == 1
        hook.close()
