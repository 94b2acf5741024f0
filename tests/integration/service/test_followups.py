"""Chains, callbacks and errbacks of messages: what is sent where, as Celery does, and what becomes of nonsense."""

import base64
import json
import re
from typing import Any, cast

import pytest
from celery import Celery, chain, group, signature
from celery.canvas import Signature
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from bulk_cancel.worker.service.broker.followups import send, sending_app
from tests.support.acl_lines import WORD, let_in

THEIRS = Celery("theirs", set_as_current=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["task", "args", "kwargs", "options", "subtask_type", "tasks", "x"]), inner)
        | st.fixed_dictionaries({"task": st.just("t"), "subtask_type": st.sampled_from(["chain", "group", "chord"])})
    ),
    max_leaves=12,
)


def second(name: str = "app.second", **more: object) -> Signature:
    """A task of the producer's own."""
    return cast("Signature", signature(name, app=THEIRS, **more))


def plain(value: object) -> object:
    """As it comes out of a message."""
    return json.loads(json.dumps(value, default=dict))


def sent(redis: Redis, queue: str) -> list[tuple[str, list[Any], dict[str, Any], dict[str, Any]]]:
    """Task, args, kwargs and follow-ups of each message, first one first."""
    read = [json.loads(raw) for raw in reversed(cast("list[str]", redis.lrange(queue, 0, -1)))]
    return [(each["headers"]["task"], *json.loads(base64.b64decode(each["body"]))) for each in read]


def test_a_chain_goes_on_with_its_next_link(redis: Redis, redis_url: str) -> None:
    """The next link gets the result, None, and carries the rest; one of ours goes to its own queue."""
    rest = [second("app.third"), second(args=(1,), options={"queue": "work"})]
    assert send(sending_app(redis_url), {"chain": plain(rest)}, task_id="m1", done=True) == []
    ((task, args, _, embed),) = sent(redis, "work")
    assert (task, args) == ("app.second", [None, 1])
    assert [link["task"] for link in embed["chain"]] == ["app.third"]
    ours = second("tasks.cancel_orders", kwargs={"account": "desk1"})
    assert send(sending_app(redis_url), {"chain": plain([ours])}, task_id="m1", done=True) == []
    assert [row[:3] for row in sent(redis, "cancel")] == [("tasks.cancel_orders", [None], {"account": "desk1"})]


def test_callbacks_are_sent_when_it_was_done(redis: Redis, redis_url: str) -> None:
    """Each, also a group and a chain, to Celery's default queue where none is named; errbacks are not."""
    asked = {
        "callbacks": plain([second(immutable=True), group(second("a"), second("b")), chain(second("c"), second("d"))]),
        "errbacks": plain([second("app.failed")]),
    }
    assert send(sending_app(redis_url), asked, task_id="m1", done=True) == []
    assert [row[:2] for row in sent(redis, "celery")] == [
        ("app.second", []),
        ("a", [None]),
        ("b", [None]),
        ("c", [None]),
    ]


def test_errbacks_are_sent_when_nothing_was_taken(redis: Redis, redis_url: str) -> None:
    """With the message's id; those of the chain's links, too, since these do not run."""
    link = second(options={"link_error": [plain(second("link.failed"))]})
    asked = {"callbacks": plain([second()]), "errbacks": plain([second("app.failed")]), "chain": plain([link])}
    assert send(sending_app(redis_url), asked, task_id="m1", done=False) == []
    assert [row[:2] for row in sent(redis, "celery")] == [("app.failed", ["m1"]), ("link.failed", ["m1"])]


@pytest.mark.parametrize("kind", ["callbacks", "chain"])
@pytest.mark.parametrize(
    "said", ["x", 5, [[]], [5], [{}], [{"subtask_type": "none", "task": "t"}], [{"task": "t", "args": 5}]]
)
def test_what_cannot_be_sent_is_named(kind: str, said: object, redis: Redis, redis_url: str) -> None:
    """Nothing is raised, and nothing vanishes."""
    (fault,) = send(sending_app(redis_url), {kind: said}, task_id="m1", done=True)
    assert fault.startswith(kind)
    assert redis.keys() == []


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("~celery* ~_kombu.binding*", "[Nn]o permissions to access"),
        ("~*", "Operation against a key holding the wrong kind"),
    ],
)
def test_what_the_broker_never_takes_is_named(redis: Redis, redis_url: str, rules: str, said: str) -> None:
    """A queue that is not the worker's to write to, or no list; what goes elsewhere is sent once."""
    let_in(redis, "tried", *rules.split(), "+@all")
    redis.set("theirs", "no list")
    asked = {"callbacks": plain([second(), second(options={"queue": "theirs"})])}
    app = sending_app(redis_url.replace("//", f"//tried:{WORD}@"))
    (fault,) = send(app, asked, task_id="m1", done=True)
    app.close()
    redis.acl_deluser("tried")
    assert re.match(rf"callbacks\[1\]: cannot be sent: .*{said}", fault)
    assert [row[0] for row in sent(redis, "celery")] == ["app.second"]


def test_a_chord_is_refused_with_words(redis_url: str) -> None:
    """Its body waits for results, which nobody keeps here."""
    (fault,) = send(sending_app(redis_url), {"chord": plain(second())}, task_id="m1", done=True)
    assert fault.startswith("chord: no results are kept here")


def test_how_to_publish_is_ours_to_say(redis: Redis, redis_url: str) -> None:
    """A signature that asks for endless retries over a connection of its own is sent as any other."""
    said = second(options={"retry": True, "retry_policy": {"max_retries": None}, "connection": "x", "producer": 1})
    assert send(sending_app(redis_url), {"callbacks": plain([said])}, task_id="m1", done=True) == []
    assert len(sent(redis, "celery")) == 1


@settings(max_examples=150)
@given(said=JSON)
def test_no_signature_harms_the_worker(said: object, redis_url: str) -> None:
    """Whatever JSON stands there, it is sent or returned as a fault."""
    send(sending_app(redis_url), {"callbacks": [said], "chain": [said]}, task_id="m1", done=True)
    send(sending_app(redis_url), {"errbacks": [said], "chain": said}, task_id="m1", done=False)
