"""Does the broker's pure part hold: what a message is, and what Celery is told?"""

# mypy: allow-untyped-calls
from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import pytest
from celery import Celery
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_cancel.worker.service.broker import RefusePool, SentinelTransport, Transport, celery_config
from bulk_cancel.worker.service.broker.messages import ETA_GRACE, MAX_BYTES, MAX_DEPTH, Call, Refusal, printable, read

if TYPE_CHECKING:
    from kombu.connection import Connection

NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def raw(call: object = ([1], {"a": "b"}, {}), /, **changes: object) -> bytes:
    """A message for task `t`, with other keys."""
    good = {
        "body": json.dumps(call),
        "content-type": "application/json",
        "headers": {"task": "t", "id": "i"},
    }
    return json.dumps({**good, **changes}).encode()


def asked(message: bytes) -> Call | Refusal:
    """What it says now, where `t` is the only task."""
    return read(message, tasks={"t"}, now=NOW)


def headers(**more: object) -> bytes:
    """A message with more headers."""
    return raw(headers={"task": "t", "id": "i", **more})


def test_a_good_message_says_what_to_run() -> None:
    """Task, id and arguments arrive as they were sent."""
    assert asked(raw()) == Call("t", "i", [1], {"a": "b"}, {})


def test_a_body_may_be_base64_in_lines() -> None:
    """Celery sends base64; other encoders break its lines."""
    body = base64.encodebytes(json.dumps([["x" * 100], {}, None]).encode()).decode()
    call = asked(raw(body=body, properties={"body_encoding": "base64"}))
    assert isinstance(call, Call)
    assert call.args == ["x" * 100]


def protocol_1(**changes: object) -> bytes:
    """A message as older clients send it: everything in the body, no headers."""
    said = {
        "task": "t",
        "id": "i",
        "args": [1],
        "kwargs": {"a": "b"},
        "retries": 0,
        "eta": None,
        "expires": None,
        **changes,
    }
    return raw(said, headers={})


def test_protocol_1_says_the_same() -> None:
    """Go's and PHP's clients speak it, and Celery's own workers take it."""
    assert asked(protocol_1()) == Call("t", "i", [1], {"a": "b"}, {})
    in_base64 = base64.b64encode(json.dumps({"task": "t", "id": "i", "kwargs": {"a": "b"}}).encode()).decode()
    told = {"body": in_base64, "properties": {"body_encoding": "base64"}, "content-type": "application/json"}
    assert asked(json.dumps(told).encode()) == Call("t", "i", [], {"a": "b"}, {})
    assert asked(protocol_1(args=None, chord={}, callbacks=[1])) == Call("t", "i", [], {"a": "b"}, {"callbacks": [1]})


@pytest.mark.parametrize(
    "changes",
    [{"task": "other"}, {"task": None}, {"id": None}, {"expires": "2026-11-22T11:59:59"}, {"kwargs": [1]}, {"args": 5}],
)
def test_protocol_1_is_checked_like_protocol_2(changes: dict[str, object]) -> None:
    """The same faults under the same names."""
    assert isinstance(asked(protocol_1(**changes)), Refusal)


def test_follow_ups_are_handed_on() -> None:
    """Those that ask for something, as they were written."""
    call = asked(raw(([], {}, {"callbacks": [1], "errbacks": None, "chain": [2], "chord": None})))
    assert isinstance(call, Call)
    assert call.follow_ups == {"callbacks": [1], "chain": [2]}


def test_all_that_is_wrong_is_said_at_once() -> None:
    """The sender need not mend and resend fault by fault."""
    refusal = asked(b'{"headers": {"eta": 5, "expires": "x"}, "content-encoding": [], "properties": 5}')
    assert isinstance(refusal, Refusal)
    assert refusal.readable
    assert len(refusal.errors) == 7


ORDER: Final = '{"ordId": "5", "ordId": "6"}'


@pytest.mark.parametrize(
    "message",
    [
        raw(body=f"[[], {ORDER}, {{}}]"),
        raw(body=f'[[], {{"orders": [{ORDER}]}}, {{}}]'),
        raw(body=f"[[{ORDER}], {{}}, {{}}]"),
        raw(headers={}, body=f'{{"task": "t", "id": "i", "kwargs": {ORDER}}}'),
    ],
)
def test_what_names_an_order_twice_is_refused(message: bytes) -> None:
    """Which of the two was meant, nobody knows; it can be read, and is kept as any other refused one."""
    assert asked(message) == Refusal(("body: names 'ordId' twice in one object; send one of them",), readable=True)


def test_two_bodies_are_none() -> None:
    """Nor is one whose arguments come twice."""
    twice = raw().replace(b'{"body"', b'{"body": "[[], {}, {}]", "body"')
    assert asked(twice) == Refusal(("message: names 'body' twice in one object; send one of them",), readable=True)
    old = raw(headers={}, body='{"task": "t", "id": "i", "kwargs": {"a": 1}, "kwargs": {"b": 1}}')
    assert asked(old) == Refusal(("body: names 'kwargs' twice in one object; send one of them",), readable=True)


def test_what_celery_names_twice_counts_as_it_comes() -> None:
    """Headers and follow-ups are not ours; the last one counts, as for Celery."""
    message = raw(body='[[1], {"a": "b"}, {"chain": null, "chain": [{"x": 1, "x": 2}]}]')
    twice = message.replace(b'"task": "t"', b'"lang": 1, "lang": 2, "task": "t"')
    assert asked(twice) == Call("t", "i", [1], {"a": "b"}, {"chain": [{"x": 2}]})


def test_what_is_no_object_is_unreadable() -> None:
    """Only what is no JSON object needs to be logged whole; the rest is kept where it can be read."""
    assert asked(b"5") == Refusal(("message: should be a JSON object",), readable=False)


@pytest.mark.parametrize(
    ("ahead", "runs"), [(-ETA_GRACE, True), (ETA_GRACE, True), (ETA_GRACE * 1.001, False)], ids=str
)
@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
def test_an_eta_runs_unless_it_is_to_come(ahead: timedelta, zone: str, *, runs: bool) -> None:
    """A sender's clock may be a little ahead, but a wish to wait is not overridden."""
    eta = (NOW + ahead).replace(tzinfo=None).isoformat() + zone
    assert isinstance(asked(headers(eta=eta)), Call) is runs


@pytest.mark.parametrize(("ahead_s", "runs"), [(-1, False), (0, False), (1, True)])
def test_an_expired_message_is_refused(ahead_s: int, *, runs: bool) -> None:
    """Celery would drop it unseen."""
    expires = (NOW + timedelta(seconds=ahead_s)).isoformat()
    assert isinstance(asked(headers(expires=expires)), Call) is runs


def test_size_and_depth_are_bounded_exactly() -> None:
    """The largest and deepest that is allowed runs; one more is refused."""
    frame = len(raw(([""], {}, {})))
    for excess in (0, 1):
        assert isinstance(asked(raw((["x" * (MAX_BYTES - frame + excess)], {}, {}))), Call) is not excess
        deep: object = 0
        for _ in range(MAX_DEPTH - 2 + excess):
            deep = [deep]
        assert isinstance(asked(raw(([deep], {}, {}))), Call) is not excess


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_no_bytes_raise(message: bytes) -> None:
    """Whatever is in a queue is refused, not raised, and can be printed."""
    assert isinstance(asked(message), Refusal)
    printable(message).encode()


@settings(max_examples=60)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("body", "headers", "properties", "content-type"), JSON)))
def test_no_object_raises(changes: dict[str, object]) -> None:
    """Whatever stands where, the answer is a call or a refusal with reasons."""
    answer = asked(raw(**changes))
    assert isinstance(answer, Call) or answer.errors


@settings(max_examples=60)
@given(JSON)
def test_no_body_raises(body: object) -> None:
    """Whatever the body holds, the answer is a call or a refusal with reasons."""
    answer = asked(raw(body))
    assert isinstance(answer, Call) or answer.errors


def configured(url: str) -> Celery:
    """An app that was told this broker."""
    app = Celery("unit", set_as_current=False)
    app.config_from_object(celery_config(broker_url=url, key_prefix="p"))
    return app


def connection(url: str) -> Connection:
    """What a worker would connect with."""
    found: Connection = configured(url).connection_for_read()
    return found


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("redis://h:1/2", Transport),
        ("rediss://h:1/2", Transport),
        ("redis+socket:///run/redis.sock?virtual_host=1", Transport),
        ("redis://h1;redis://h2", Transport),
        ("sentinel://h1:1;sentinel://h2:2/0?master_name=m", SentinelTransport),
    ],
)
def test_plain_urls_use_our_transport_also_after_a_failover(url: str, transport: type) -> None:
    """The setting `broker_transport` is forgotten at the first switch of URLs; the alias is not."""
    conn = connection(url)
    assert conn.get_transport_cls() is transport
    conn.maybe_switch_next()
    assert conn.get_transport_cls() is transport


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://h", {"ssl_cert_reqs": ssl.CERT_REQUIRED}),
        ("rediss://h?ssl_cert_reqs=none", {"ssl_cert_reqs": ssl.CERT_NONE}),
        ("redis://h", False),
    ],
)
def test_tls_checks_certificates_unless_told_otherwise(url: str, expected: object) -> None:
    """The default of kombu accepts any certificate."""
    assert connection(url).ssl == expected


@pytest.mark.parametrize(
    ("url", "master"),
    [
        ("redis://h?ssl_cert_reqs=none", None),
        ("sentinel://h", "mymaster"),
        ("sentinel://h1/0?master_name=a%2Fb;sentinel://h2", "a/b"),
    ],
)
def test_the_url_names_the_service_behind_sentinel(url: str, master: str | None) -> None:
    """Celery has no setting in the URL for it, and kombu takes no query there."""
    config = celery_config(broker_url=url, key_prefix="p")
    assert isinstance(options := config["broker_transport_options"], dict)
    assert options.get("master_name") == master
    assert master is None or "?" not in str(config["broker_url"])


def test_the_db_behind_sentinel_may_stand_at_the_end() -> None:
    """Kombu asks only the first part for it."""
    config = celery_config(broker_url="sentinel://:p@h1:1;sentinel://h2:2/3?master_name=m", key_prefix="p")
    assert config["broker_url"] == "sentinel://:p@h1:1/3;sentinel://h2:2/3"


def test_each_runner_has_its_own_unacknowledged_messages_and_each_queue_its_exchange() -> None:
    """Shared ones would hand one runner's messages to another, or a queue's to its neighbours."""
    config = celery_config(broker_url="redis://h", key_prefix="p")
    options = config["broker_transport_options"]
    assert isinstance(options, dict)
    keys = [options[f"unacked{name}_key"] for name in ("", "_index", "_mutex")]
    assert len(set(keys)) == 3
    assert all(key.startswith("p:") for key in keys)
    queues = configured("redis://h").amqp.queues.values()
    assert {q.name: q.exchange.name for q in queues} == {q: q for q in ("urgent", "cancel")}


def test_every_setting_is_one_that_celery_has() -> None:
    """A misspelt setting would be ignored."""
    from celery.app.defaults import NAMESPACES, flatten  # noqa: PLC0415  # an internal table, for this test only

    assert set(celery_config(broker_url="redis://h", key_prefix="p")) <= {name for name, _ in flatten(NAMESPACES)}


def test_only_threads_may_run_it() -> None:
    """Any other pool ends the process with a reason."""
    RefusePool(SimpleNamespace(pool_cls=ThreadPool))
    with pytest.raises(SystemExit, match="threads pool, not on solo"):
        RefusePool(SimpleNamespace(pool_cls=SoloPool))
