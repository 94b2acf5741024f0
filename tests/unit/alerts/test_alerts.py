"""Does an alert reach whoever acts on it, once for many, and does it never hold up the one who raises it?"""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from threading import Event
from typing import Any, cast

import pytest
from standardwebhooks import WebhookVerificationError
from structlog.testing import capture_logs

from bulk_cancel.worker.alerts.alerts import FLUSH_S, QUEUED, SUBJECTS, Alert, Alerts, Condition, Notice, alert
from bulk_cancel.worker.alerts.webhook import Webhook, WebhookError, sign
from bulk_cancel.worker.config.webhook_secrets import secrets_of
from tests.support.checkout import ROOT
from tests.support.waiting import until

README = ROOT / "README.md"


class Hook:
    """A webhook that keeps what it is given; `asked` once it was, `open` lets it answer, `error` is raised instead."""

    where = "https://example.test"

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.asked = Event()
        self.open = Event()
        self.open.set()
        self.error: WebhookError | None = None

    def post(self, body: bytes, *, message_id: str) -> None:
        """Takes a body, or raises."""
        assert json.loads(body)["id"] == message_id
        self.asked.set()
        self.open.wait()
        if self.error is not None:
            raise self.error
        self.bodies.append(json.loads(body))

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def hook() -> Hook:
    """One that answers."""
    return Hook()


@pytest.fixture
def start(hook: Hook) -> Iterator[Callable[..., Alerts]]:
    """Starts alerts on the hook; they are stopped afterwards."""
    started: list[Alerts] = []

    def _start(again_s: float = 60.0) -> Alerts:
        started.append(Alerts(cast("Webhook", hook), runner="bc", worker="host:1", again_s=again_s))
        started[-1].start()
        return started[-1]

    yield _start
    hook.open.set()
    for each in started:
        each.stop()


def test_an_alert_is_a_log_line_and_a_message_with_the_same_facts(hook: Hook, start: Callable[..., Alerts]) -> None:
    """Under one name; the message says whose and when."""
    start()
    with capture_logs() as lines:
        alert(Condition.LANE_REFUSED, "1/BTC-USDT", {"lane": "1/BTC-USDT", "meter": "single"})
    until(lambda: len(hook.bodies) == 1)
    (line,), (body,) = lines, hook.bodies
    assert (line["event"], line["log_level"], body["event"]) == ("lane_refused", "error", "lane_refused")
    assert body["facts"] == {name: line[name] for name in ("lane", "meter")}
    assert (body["runner"], body["worker"], body["suppressed"]) == ("bc", "host:1", 0)
    assert body["at"].endswith("Z")


def test_without_a_webhook_it_is_a_log_line() -> None:
    """Nothing else is needed."""
    with capture_logs() as lines:
        alert(Condition.REDIS_LOST, "w", {"back": False})
    assert [line["event"] for line in lines] == ["redis_lost"]


def test_the_same_again_is_counted_and_sent_once(hook: Hook, start: Callable[..., Alerts]) -> None:
    """The first at once, the last of the others after its time, with the count of those between."""
    start(again_s=3.0)  # longer than six alerts take to be raised
    for number in range(5):
        alert(Condition.ORDER_MAY_BE_LIVE, "b1", {"order": number})
    alert(Condition.ORDER_MAY_BE_LIVE, "b2", {"order": 9})
    until(lambda: len(hook.bodies) == 3)
    assert [(body["facts"]["order"], body["suppressed"]) for body in hook.bodies] == [(0, 0), (9, 0), (4, 3)]


def test_what_was_counted_is_sent_at_the_stop(hook: Hook, start: Callable[..., Alerts]) -> None:
    """Nothing is kept back for later."""
    alerts = start()
    for number in range(3):
        alert(Condition.ORDER_MAY_BE_LIVE, "b1", {"order": number})
    until(lambda: len(hook.bodies) == 1)
    alerts.stop()
    assert [(body["facts"]["order"], body["suppressed"]) for body in hook.bodies] == [(0, 0), (2, 1)]


def standing(hook: Hook) -> list[tuple[str, int, int]]:
    """What the webhook got: event, number and how many were not sent by themselves."""
    return [(body["event"], body["facts"]["number"], body["suppressed"]) for body in hook.bodies]


def test_the_last_word_of_a_mass_cancel_is_how_it_stands(hook: Hook, start: Callable[..., Alerts]) -> None:
    """What was held back and is true no more is counted, not sent; each event has its own minute."""
    alerts = start()
    flat, not_flat = Notice.MASS_FLAT, Condition.MASS_NOT_FLAT
    changes: tuple[Condition | Notice, ...] = (not_flat, flat, not_flat, flat, not_flat)
    for number, event in enumerate(changes):
        alert(event, "m1", {"number": number})
    until(lambda: len(hook.bodies) == 2)
    alerts.stop()
    first = [("mass_cancel_not_flat", 0, 0), ("mass_cancel_flat", 1, 0)]
    assert standing(hook) == [*first, ("mass_cancel_not_flat", 4, 2)]


def test_a_new_word_whose_minute_is_over_is_sent_at_once(hook: Hook, start: Callable[..., Alerts]) -> None:
    """In the place of what another one holds back; what other mass cancels and other events hold back is sent, too."""
    alerts = start()
    flat, left = Notice.MASS_FLAT, Notice.MASS_INCOMPLETE
    told: tuple[Condition | Notice, ...] = (Condition.MASS_NOT_FLAT, flat, flat, left, left)
    for number, event in enumerate(told):
        alert(event, "m1", {"number": number})
    for number in (5, 6):
        alert(Notice.MASS_FLAT, "m2", {"number": number})
    later = time.monotonic() + 61
    alerts.offer(Alert(Condition.MASS_NOT_FLAT, "m1", {"number": 7}, raised_at=later))
    until(lambda: len(hook.bodies) == 5)
    assert standing(hook)[-1] == ("mass_cancel_not_flat", 7, 1)
    alerts.stop()
    assert standing(hook)[5:] == [("mass_cancel_incomplete", 4, 0), ("mass_cancel_flat", 6, 0)]


def test_so_it_is_with_very_many_subjects(hook: Hook, start: Callable[..., Alerts]) -> None:
    """Of which further ones are held back together."""
    hook.open.clear()
    alerts = start()
    for number in range(SUBJECTS):
        alert(Condition.ORDER_MAY_BE_LIVE, f"b{number}", {"number": number})
    alert(Notice.MASS_FLAT, "m1", {"number": 1})
    alert(Notice.MASS_FLAT, "m2", {"number": 2})
    alert(Notice.MASS_RELEASED, "m2", {"number": 3})
    hook.open.set()
    until(lambda: len(hook.bodies) >= QUEUED and hook.bodies[-1]["event"] == Notice.MASS_RELEASED)
    alerts.stop()
    assert standing(hook)[-2:] == [("mass_cancel_flat", 1, 0), ("mass_cancel_released", 3, 1)]


def test_a_hanging_webhook_holds_nobody_up(hook: Hook, start: Callable[..., Alerts]) -> None:
    """10,000 alerts of as many orders are raised while it hangs; the oldest that wait are lost, their number logged."""
    hook.open.clear()
    start()
    with capture_logs() as lines:
        for number in range(10_000):
            alert(Condition.ORDER_MAY_BE_LIVE, f"b{number}", {"order": number})
            hook.asked.wait()  # for the first one, which is on its way while all others are raised
        assert not hook.bodies
        hook.open.set()
        until(lambda: len(hook.bodies) == 1 + QUEUED)
    first_kept = SUBJECTS + 1 - QUEUED
    assert [body["facts"]["order"] for body in hook.bodies] == [0, *range(first_kept, SUBJECTS + 1)]
    assert [line["count"] for line in lines if line["event"] == "alerts_lost"] == [first_kept - 1]


def test_a_stop_waits_a_second_at_most(hook: Hook, start: Callable[..., Alerts]) -> None:
    """And says how many were not delivered."""
    hook.open.clear()
    alerts = start()
    for number in range(20):
        alert(Condition.LANE_REFUSED, f"lane{number}", {})
    with capture_logs() as lines:
        began = time.monotonic()
        alerts.stop()
        stopped_s = time.monotonic() - began
    assert FLUSH_S == 1.0
    assert stopped_s < 20 * FLUSH_S  # not for each
    assert [(line["event"], line["count"]) for line in lines] == [("alerts_lost", 20)]


def test_what_is_refused_for_good_is_not_tried_again(hook: Hook, start: Callable[..., Alerts]) -> None:
    """It is lost, the next one is tried; the failure is logged once and told to status."""
    hook.error = WebhookError("HTTP 404", final=True)
    with capture_logs() as lines:
        alerts = start()
        alert(Condition.LANE_REFUSED, "a", {})
        until(lambda: bool(alerts.problems))
        assert alerts.problems == {"alert webhook": "https://example.test: HTTP 404; 0 more wait"}
        hook.error = None
        alert(Condition.LANE_REFUSED, "b", {})
        until(lambda: len(hook.bodies) == 1)
        until(lambda: not alerts.problems)
    said = [line["event"] for line in lines if line["event"] != "lane_refused"]
    assert said == ["webhook_fails", "alerts_lost", "webhook_works_again"]


def test_facts_that_are_no_json_are_sent_as_text(hook: Hook, start: Callable[..., Alerts]) -> None:
    """Whatever is handed over, nothing is raised."""
    start()
    alert(Condition.LANE_REFUSED, "a", {"lane": object(), "set": {1}})
    until(lambda: len(hook.bodies) == 1)
    assert hook.bodies[0]["facts"]["set"] == "{1}"


def test_the_documented_check_accepts_what_is_signed() -> None:
    """The example of README.md, as it stands there; neither another body nor an old one passes."""
    example = README.read_text("utf-8").split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    imports = "from collections.abc import Mapping\nfrom typing import Any\nfrom standardwebhooks import Webhook\n"
    exec(imports + example, names)  # noqa: S102
    secret = "whsec_" + base64.b64encode(b"s3").decode()
    for age_s, body, passes in ((0, b'{"a":1}', True), (0, b'{"a":2}', False), (400, b'{"a":1}', False)):
        stamp = str(int(time.time()) - age_s)
        signature = "v1,b3RoZXI= " + sign(b"s3", "m1", stamp, b'{"a":1}')
        headers = {"Webhook-Id": "m1", "Webhook-Timestamp": stamp, "Webhook-Signature": signature}
        with nullcontext() if passes else pytest.raises(WebhookVerificationError):
            assert names["verified"](secret, headers, body) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("whsec_czM=", [b"s3"]),
        ("whsec_czM= whsec_bmV3", [b"s3", b"new"]),
        ("plain text of 1.0", [b"plain text of 1.0"]),
        ("whsec_czM= plain", [b"whsec_czM= plain"]),
    ],
)
def test_secrets_are_read_as_the_standard_writes_them(text: str, secrets: list[bytes]) -> None:
    """Several at once, while one takes another's place; text without the prefix is one by itself."""
    assert secrets_of(text) == secrets


@pytest.mark.parametrize("text", ["whsec_", "whsec_%%%", "whsec_czM= whsec_czM"])
def test_a_secret_that_is_none_is_refused(text: str) -> None:
    """Without quoting it."""
    with pytest.raises(ValueError, match="behind whsec_") as raised:
        secrets_of(text)
    assert "czM" not in str(raised.value)
