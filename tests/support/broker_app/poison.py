"""Every kind of message that was not written for us, and what becomes of each."""

from __future__ import annotations

import base64
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.support.broker_app.servers import message

RUNS: Final = "runs"


def poison(*without: str, **changes: object) -> bytes:
    """A good message without some keys and with others; `a__b` is key b of object a."""
    found = json.loads(message(marker="poison"))
    for path, value in [*((name, None) for name in without), *changes.items()]:
        *outer, name = (part.replace("content_", "content-") for part in path.split("__"))
        place = found[outer[0]] if outer else found
        if path in without:
            del place[name]
        else:
            place[name] = value
    return json.dumps(found).encode()


def body(value: object) -> bytes:
    """A message with this body."""
    return poison(body=json.dumps(value))


def in_time(**ahead: float) -> str:
    """The time in a while, ISO 8601."""
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


BASE64: Final = {"properties": {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "base64"}}


CALL: Final = {"task": "t.note", "id": "1", "args": [], "kwargs": {}}


KINDS: Final[dict[str, tuple[bytes, str]]] = {
    "empty": (b"", "not JSON"),
    "no JSON": (b"cancel everything", "not JSON"),
    "object without keys": (b"{}", "headers: should be"),
    "list": (b"[]", "should be a JSON object"),
    "number": (b"5", "should be a JSON object"),
    "null": (b"null", "should be a JSON object"),
    "string": (b'"x"', "should be a JSON object"),
    "not UTF-8": (b'{"body": "\xff\xfe"}', "not UTF-8"),
    "UTF-16": (message().decode().encode("utf-16"), "not UTF-8"),
    "NUL bytes": (b"\0\0\0\0", "not JSON"),
    "half a message": (message()[:100], "not JSON"),
    "deep nesting": (b"[" * 100_000, "nested too deeply"),
    "deep nesting in the body": (poison(body="[" * 100_000), "nested too deeply"),
    "nesting that parses": (body([[], {"x": json.loads("[" * 200 + "]" * 200)}, {}]), "nested too deeply"),
    "10 MB": (poison(body="x" * 10_000_000), "bytes, more than"),
    "1 MB of no JSON": (b"x" * 1_000_000, "not JSON"),
    "number of 5,000 digits": (b'{"body": ' + b"9" * 5000 + b"}", "not JSON"),
    "kombu's type of no kind": (b'{"__type__": "x", "__value__": 1}', "headers: should be"),
    "body of {}": (body({}), "should be [args"),
    "body of []": (body([]), "should be [args"),
    "body of 5": (body(5), "list of three"),
    "body of null": (body(None), "list of three"),
    "body of two": (body([[], {}]), "should be [args"),
    "body of four": (body([[], {}, {}, {}]), "should be [args"),
    "args no list": (body(["abc", {}, {}]), "should be [args"),
    "kwargs no object": (body([[], [1], {}]), "should be [args"),
    "a name twice in kwargs": (poison(body='[[], {"x": {"a": 1, "a": 2}}, {}]'), "names 'a' twice"),
    "body no JSON": (poison(body="x"), "body: not JSON"),
    "body empty": (poison(body=""), "body: not JSON"),
    "body an object": (poison(body={"a": 1}), "string that holds JSON"),
    "body missing": (poison("body"), "string that holds JSON"),
    "bad base64": (poison(body="!!!", **BASE64), "base64"),
    "base64 of UTF-16": (poison(body=base64.b64encode("[]".encode("utf-16")).decode(), **BASE64), "base64"),
    "body encoding of no kind": (poison(properties={"body_encoding": ["base64"]}), "body_encoding"),
    "no content type": (poison("content_type"), "content-type"),
    "content type a number": (poison(content_type=5), "content-type"),
    "pickle": (
        poison(body=base64.b64encode(pickle.dumps([])).decode(), content_type="application/x-python-serialize"),
        "content-type",
    ),
    "content encoding of no kind": (poison(content_encoding="rot13"), "content-encoding"),
    "content encoding a number": (poison(content_encoding=5), "content-encoding"),
    "compressed": (poison(headers__compression="application/x-gzip"), "compress"),
    "headers a list": (poison(headers=[1]), "headers: should be"),
    "headers a number": (poison(headers=7), "headers: should be"),
    "headers missing": (poison("headers"), "headers: should be"),
    "properties a list": (poison(properties=[1]), "properties: should be"),
    "no id": (poison("headers__id"), "headers.id"),
    "id a list": (poison(headers__id=[1]), "headers.id"),
    "id with a lone surrogate": (poison(headers__id="\ud800"), "headers.id"),
    "id with NUL": (poison(headers__id="a\0b"), "headers.id"),
    "no task": (poison("headers__task"), "headers.task"),
    "task a list": (poison(headers__task=["t.note"]), "headers.task"),
    "unknown task": (poison(headers__task="t.nope"), "headers.task"),
    "a task of Celery's own": (poison(headers__task="celery.starmap"), "headers.task"),
    "expired": (poison(headers__expires=in_time(hours=-1)), "expired"),
    "expires of no kind": (poison(headers__expires="soon"), "headers.expires"),
    "expires a number": (poison(headers__expires=60), "headers.expires"),
    "ETA of no kind": (poison(headers__eta="tomorrow"), "headers.eta"),
    "ETA a list": (poison(headers__eta=[]), "headers.eta"),
    "ETA to come": (poison(headers__eta=in_time(hours=1)), "headers.eta"),
    "protocol 1, unknown task": (poison(headers={}, body=json.dumps({**CALL, "task": "t.nope"})), "headers.task"),
    # what follows would kill or loop a stock worker, or does no harm there; it says clearly what to run
    "protocol 1": (poison(headers={}, body=json.dumps(CALL)), RUNS),
    "ETA gone by": (poison(headers__eta=in_time(hours=-1)), RUNS),
    "not yet expired": (poison(headers__expires=in_time(hours=1)), RUNS),
    "time limit of no kind": (poison(headers__timelimit="5"), RUNS),
    "time limit too long": (poison(headers__timelimit=[1, 2, 3]), RUNS),
    "retries a string": (poison(headers__retries="many"), RUNS),
    "no properties": (poison("properties"), RUNS),
    "no delivery tag": (poison("properties__delivery_tag"), RUNS),
    "no delivery info": (poison("properties__delivery_info"), RUNS),
    "delivery tag a list": (poison(properties__delivery_tag=[1]), RUNS),
    "delivery tag again": (poison(properties__delivery_tag="same"), RUNS),
    "delivery tag once more": (poison(properties__delivery_tag="same"), RUNS),
    "priority beyond numbers": (poison(properties__priority=1e999), RUNS),
    "another's exchange": (poison(properties__delivery_info={"exchange": "x", "routing_key": "y"}), RUNS),
    "no content encoding": (poison("content_encoding"), RUNS),
    "callbacks": (body([[], {}, {"callbacks": [{"task": "t.note"}]}]), RUNS),
    "errbacks, chain and chord": (body([[], {}, {"errbacks": 5, "chain": "x", "chord": {}}]), RUNS),
    "embed a list": (body([[], {}, [1]]), RUNS),
    "reply to": (poison(properties__reply_to="x", properties__correlation_id=[1]), RUNS),
    "results wanted": (poison(headers__ignore_result=False), RUNS),
    "group": (poison(headers__group="g", headers__group_index="x"), RUNS),
    "stamps": (poison(headers__stamped_headers=5, headers__stamps=[1]), RUNS),
    "shadow": (poison(headers__shadow={"a": 1}), RUNS),
    "kombu's types in kwargs": (body([[], {"x": {"__type__": "x", "__value__": 1}}, {}]), RUNS),
    "lone surrogates and NUL in kwargs": (body([[], {"\ud800": "\udfff\0"}, {}]), RUNS),
    "huge number in kwargs": (poison(body='[[], {"x": ' + "9" * 4000 + "}, {}]"), RUNS),
    "not a number in kwargs": (poison(body='[[], {"x": NaN, "y": 1e999}, {}]'), RUNS),
}
