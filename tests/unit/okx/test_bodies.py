"""Is every body readable that the exchange, or something in front of it, may send?"""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_cancel.worker.okx.answers import Answer, Item
from bulk_cancel.worker.okx.bodies import read_answer, read_rows, read_whole_rows
from bulk_cancel.worker.okx.errors import (
    ClockSkew,
    ExchangeError,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
)


def body(**fields: object) -> bytes:
    """A JSON body."""
    return json.dumps(fields).encode()


def test_documented_answer() -> None:
    """The answer of the documentation comes out whole."""
    item = {"ordId": "12", "clOrdId": "a", "ts": "1695190491421", "sCode": "0", "sMsg": ""}
    said = body(code="0", msg="", data=[item], inTime="1695190491421339", outTime="1695190491423240")
    assert read_answer(200, said) == Answer(
        200, "0", "", (Item("12", "a", "0", ""),), 1695190491421339, 1695190491423240
    )


def test_failed_item_is_a_value() -> None:
    """Code 1 with an item's sCode is an answer, not an exception."""
    said = body(code="1", msg="All operations failed", data=[{"ordId": "12", "sCode": "51400", "sMsg": "x"}])
    assert read_answer(200, said).items == (Item("12", "", "51400", "x"),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"code": 51000}, ("51000", "", ())),
        ({"code": "51008_1000", "data": None}, ("51008", "", ())),
        ({"code": "51000", "data": [], "msg": None}, ("51000", "", ())),
        ({"code": "0", "data": "text"}, ("0", "", ())),
        ({"code": "0", "data": [None, 5, "x", []]}, ("0", "", ())),
        ({"code": "0", "data": [{}]}, ("0", "", (Item("", "", "", ""),))),
        ({"code": "0", "data": {"ordId": "1", "sCode": "0"}}, ("0", "", (Item("1", "", "0", ""),))),
        ({"code": "0", "data": [{"ordId": 12, "sCode": 0}]}, ("0", "", (Item("12", "", "0", ""),))),
        ({"code": "1", "data": [{"sCode": "51008_1000"}]}, ("1", "", (Item("", "", "51008", ""),))),
        (
            {"code": "0", "data": [{"ordId": ["1"], "clOrdId": {}, "sCode": True, "sMsg": 7}]},
            ("0", "", (Item("", "", "", "7"),)),
        ),
        (
            {"code": "1", "msg": "half \ud83d", "data": [{"sMsg": "späť \udc00"}]},
            ("1", "half ?", (Item("", "", "", "späť ?"),)),
        ),
    ],
)
def test_odd_shapes(fields: dict[str, object], expected: tuple[str, str, tuple[Item, ...]]) -> None:
    """Missing, null and wrongly typed parts are as good as empty."""
    answer = read_answer(200, body(**fields))
    assert (answer.code, answer.msg, answer.items) == expected


@pytest.mark.parametrize("stamp", [None, "", "soon", "-1", 1.5, [], "9" * 30, True])
def test_odd_times_are_none(stamp: object) -> None:
    """A time that is no number of microseconds is not told."""
    assert read_answer(200, body(code="0", inTime=stamp)).in_time_us is None


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (429, {"msg": "Too Many Requests", "code": "50011"}, Throttled),
        (200, {"code": "50011", "data": []}, Throttled),
        (200, {"code": "50061"}, Throttled),
        (200, {"code": "50040"}, Throttled),
        (429, {"code": "58888"}, Throttled),
        (429, {"code": "1"}, Throttled),
        (429, {"code": "50013"}, Unavailable),
        (503, {"code": "50001"}, Unavailable),
        (500, {"code": "50026"}, Unavailable),
        (410, {"code": "50005"}, Unavailable),
        (503, {"code": "58888"}, Unavailable),
        (401, {"msg": "Invalid OK-ACCESS-KEY", "code": "50111"}, NotAuthorised),
        (401, {"code": "50119"}, NotAuthorised),
        (200, {"code": 50119}, NotAuthorised),
        (403, {"code": "50035"}, NotAuthorised),
        (401, {"code": "58888"}, NotAuthorised),
        (401, {"code": "50102"}, ClockSkew),
        (401, {"code": "50112"}, ClockSkew),
        (500, {"code": "58888"}, OutcomeUnknown),
        (502, {"code": "0"}, OutcomeUnknown),
    ],
)
def test_refused_envelope_raises(status: int, said: dict[str, object], error: type[ExchangeError]) -> None:
    """A request refused as a whole raises the class of its code, with code and status."""
    with pytest.raises(error) as raised:
        read_answer(status, body(**said))
    assert (raised.value.http_status, raised.value.code) == (status, str(said["code"]))


@pytest.mark.parametrize(
    ("status", "code"), [(400, "50000"), (400, "50004"), (500, "51054"), (200, "51603"), (200, "58888")]
)
def test_other_whole_codes_are_answers(status: int, code: str) -> None:
    """Any other code of a whole request is left to the judge."""
    assert read_answer(status, body(code=code, msg="why")) == Answer(status, code, "why", ())


def test_item_codes_beat_a_refused_envelope() -> None:
    """Where an item has its sCode, the envelope's code is not the verdict."""
    answer = read_answer(429, body(code="50011", data=[{"ordId": "1", "sCode": "0"}]))
    assert answer.items == (Item("1", "", "0", ""),)


UNREADABLE = [
    *(
        b"",
        b"Too Many Requests",
        b"<html>",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b'{"code":"0"',
        b"\xff\xfe",
        b"[" * 99999,
    ),
    *(b'{"code":403,"message":"Forbidden"}', b'{"code":"AccessDenied"}', b'{"code":"1020"}', b'{"code":-1,"data":[]}'),
    *(b'{"code":null}', b'{"code":[]}', b'{"code":""}', b'{"code":' + b"9" * 5000 + b"}"),
]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, OutcomeUnknown) for status in (200, 302, 401, 403, 404, 500, 502)),
        (429, Throttled),
        (503, Unavailable),
    ],
)
def test_unreadable_body_is_judged_by_its_status(status: int, error: type[ExchangeError]) -> None:
    """Without a readable code the HTTP status decides, and unknown is the careful default."""
    for text in UNREADABLE:
        with pytest.raises(error) as raised:
            read_answer(status, text)
        assert (type(raised.value), raised.value.http_status) == (error, status), text


def test_rows_are_plain_text() -> None:
    """Rows keep text and numbers, as text, and leave nested parts out."""
    said = body(code="0", data=[{"ordId": 1, "state": "live", "algo": {}, "reduceOnly": True}, {}])
    assert read_rows(200, said) == [{"ordId": "1", "state": "live"}, {}]


@pytest.mark.parametrize("data", [None, "", 0, [None], [{"ordId": "1"}, "2"], "<html>", False])
def test_rows_that_are_not_there_are_no_empty_page(data: object) -> None:
    """An empty page ends a listing, so the exchange must have told one."""
    for said in (body(code="0", data=data), body(code="0")):
        with pytest.raises(OutcomeUnknown):
            read_rows(200, said)
    assert read_rows(200, body(code="0", data=[])) == []


def test_lists_and_inner_objects_are_told_where_they_matter() -> None:
    """As text; what is neither is empty."""
    row = {
        "algoId": "7",
        "ordIdList": ["1", 2, None],
        "linkedOrd": {"ordId": "3", "x": [1]},
        "subAlgoIdList": [],
        "a": None,
    }
    assert read_whole_rows(200, body(code="0", data=[row])) == [
        {"algoId": "7", "ordIdList": "1,2,", "linkedOrd.ordId": "3", "linkedOrd.x": "", "subAlgoIdList": "", "a": ""}
    ]
    with pytest.raises(Refused):
        read_whole_rows(200, body(code="51603", data=[]))


def test_refused_rows_raise() -> None:
    """A reading call has no judge: any code but 0 raises."""
    with pytest.raises(Refused) as raised:
        read_rows(200, body(code="51603", msg="Order does not exist", data=[]))
    assert (raised.value.code, str(raised.value)) == ("51603", "HTTP 200 51603 Order does not exist")
    with pytest.raises(Throttled):
        read_rows(429, body(code="50011"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30)
@given(st.integers(100, 599), JSON, JSON)
def test_nothing_but_our_errors(status: int, code: object, data: object) -> None:
    """Whatever the types are, the result is an answer or one of our errors."""
    with suppress(ExchangeError):
        assert read_answer(status, body(code=code, data=data)).http_status == status


@pytest.mark.parametrize("status", [401, 403])
def test_a_page_of_somebody_in_between_says_nothing_of_the_key(status: int) -> None:
    """A CDN or a proxy refuses with these, too: only a code of the exchange's own rests an account."""
    page = b"<!DOCTYPE html><title>Attention Required!</title>"
    for read in (read_answer, read_rows):
        for body, words in ((page, "an HTML page, not the exchange's words"), (b"", "unreadable answer")):
            with pytest.raises(OutcomeUnknown) as raised:
                read(status, body)
            assert str(raised.value) == f"HTTP {status} {words}"
        with pytest.raises(OutcomeUnknown):
            read(status, b'{"code":"0","data":[]}')


def test_the_usual_form_says_the_same_as_any_other() -> None:
    """It is read in another way: a field that is null, or a number, makes it unusual."""
    item = {"ordId": " 1 ", "clOrdId": "", "algoId": "", "sCode": "51008_1000", "sMsg": "é ", "ts": 1}
    rows = [item, {**item, "algoId": "7"}]
    usual = body(code="1", msg=" no ", data=rows, inTime="12", outTime="x")
    nulls = [{**row, "algoClOrdId": None} for row in rows]
    answer = read_answer(200, usual)
    assert answer == read_answer(200, body(code="1", msg=" no ", data=nulls, inTime=12, outTime="x"))
    assert answer.items == (Item("1", "", "51008", "é"), Item("7", "", "51008", "é"))
    assert (answer.msg, answer.in_time_us, answer.out_time_us) == ("no", 12, None)
