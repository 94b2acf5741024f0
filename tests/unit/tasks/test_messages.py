"""Is a good message taken as it is meant, and is everything else named?"""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.messages import ALGO_TYPES, MAX_ORDERS, CancelOrders, Order, parse_cancel_orders
from bulk_cancel.tasks.reading import Refusal, read_cancel_all, read_cancel_order, read_cancel_orders
from bulk_cancel.worker.okx import sources

GOOD = {"instId": "BTC-USDT", "ordId": "2510789768709120"}


def why(**fields: object) -> list[str]:
    """What is said of an order with these fields on top of good ones."""
    with pytest.raises(InvalidOrders) as caught:
        parse_cancel_orders(account="desk1", orders=[{**GOOD, **fields}])
    return caught.value.errors


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (" btc-usdt\n", "BTC-USDT"),
        ("BTC-USD_UM-SWAP", "BTC-USD_UM-SWAP"),
        ("SUI-USD_UM_XPERP-310404", "SUI-USD_UM_XPERP-310404"),
        ("SOL-USD-260227-12.5-C", "SOL-USD-260227-12.5-C"),
        ("BTC-ABOVE-DAILY-260224-1600-65000", "BTC-ABOVE-DAILY-260224-1600-65000"),
    ],
)
def test_an_instrument_is_made_canonical(given: str, canonical: str) -> None:
    """Two spellings of an instrument must never be two lanes."""
    assert Order.model_validate({**GOOD, "instId": given}).instId == canonical


@pytest.mark.parametrize(
    "given",
    [
        *("", "BTC", "BTC--USDT", "-BTC-USDT", "BTC-USDT-", "BTC/USDT", "BTC USDT", "BTC-USDT:option"),
        *("BTC-USDT\0", "\u017fBTC-USDT", "BTC-\ud800", "BTC-" + "U" * 61, 5, None, ["BTC-USDT"]),
    ],
)
def test_what_is_no_instrument_is_refused(given: object) -> None:
    """With an example of one."""
    assert why(instId=given) == ["orders[0].instId: should be an instrument such as BTC-USDT or BTC-USDT-SWAP"]


@pytest.mark.parametrize(("given", "kept"), [(" 77 ", "77"), (77, "77"), (2**53 - 1, "9007199254740991")])
def test_an_order_id_is_kept_as_text(given: object, kept: str) -> None:
    """Numbers are taken as far as every program that may have written them is exact."""
    assert Order.model_validate({**GOOD, "ordId": given}).ordId == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (2.5e15, "lost digits"),
        (2**53, "lost digits"),
        (731904258316402700, "lost digits"),
        (True, "lost digits"),
        ([], "lost digits"),
        ("2.51079E+15", "spreadsheet"),
        ("2,51079E+15", "spreadsheet"),
        ("2510789768709120.0", "spreadsheet"),
        ("25e14", "spreadsheet"),
        ("x", "1 to 20 digits"),
        ("1" * 21, "1 to 20 digits"),
        ("-5", "1 to 20 digits"),
        (-5, "1 to 20 digits"),
        pytest.param(10**5000, "1 to 20 digits", id="beyond str()"),
        ("١٢", "1 to 20 digits"),
    ],
)
def test_a_wrong_order_id_is_refused(given: object, said: str) -> None:
    """With the likely cause."""
    (line,) = why(ordId=given)
    assert line.startswith("orders[0].ordId: ")
    assert said in line


@pytest.mark.parametrize("given", ["a-b", "a_b", "x" * 33, 5, "é", "a\0"])
def test_a_wrong_client_order_id_is_refused(given: object) -> None:
    """Letters and digits only, as at the exchange."""
    assert "letters and digits" in why(clOrdId=given, ordId=None)[0]


@pytest.mark.parametrize("given", ["O-20260101-000000-001", "ext:7", "x" * 33, 5, ["a"]])
def test_an_odd_client_id_beside_an_order_id_says_nothing(given: object) -> None:
    """`ordId` wins: a bot's own name for the order does not keep it alive."""
    assert Order.model_validate({**GOOD, "clOrdId": given}) == Order.model_validate(GOOD)


def test_an_odd_client_id_does_not_hide_a_wrong_order_id() -> None:
    """Both are named."""
    assert len(why(ordId="x", clOrdId="a-b")) == 2


def test_the_exchanges_empty_strings_mean_absent() -> None:
    """Its rows carry an empty clOrdId and many fields that do not matter here."""
    row = {"instId": "BTC-USDT", "ordId": "7", "clOrdId": "", "px": "1", "state": "live"}
    assert Order.model_validate(row) == Order(instId="BTC-USDT", ordId="7")


def test_an_order_needs_one_id() -> None:
    """Absent, null and empty alike; both ids are kept."""
    needed = "orders[0]: ordId or clOrdId is required, or of an algo order algoId or algoClOrdId"
    assert why(ordId="") == why(ordId=None) == [needed]
    both = Order.model_validate({**GOOD, "clOrdId": "a7"})
    assert (both.ordId, both.clOrdId) == ("2510789768709120", "a7")


ALGO = {"instId": "BTC-USDT", "algoId": "4500000000000001"}
"""An algo order."""


@pytest.mark.parametrize(
    ("row", "meant"),
    [
        pytest.param(ALGO, Order(**ALGO), id="an algoId alone"),
        pytest.param(
            {**ALGO, "algoClOrdId": "a7"}, Order(**ALGO, algoClOrdId="a7"), id="both ids, of which algoId is sent"
        ),
        pytest.param(
            {**ALGO, "algoClOrdId": "O-1-a", "ordId": " ", "clOrdId": None}, Order(**ALGO), id="an odd client id"
        ),
        pytest.param(
            {**ALGO, "ordType": "twap", "ordId": "7", "clOrdId": "c"}, Order(**ALGO), id="a row with its latest child"
        ),
        pytest.param(
            {**ALGO, "ordType": " trigger", "clOrdId": "a_b"}, Order(**ALGO), id="what its child is called is no matter"
        ),
        pytest.param({**GOOD, **ALGO, "ordType": "limit"}, Order(**GOOD), id="a child, which names its parent"),
        pytest.param(
            {**GOOD, "algoId": "x", "algoClOrdId": "a_b", "ordType": "post_only"}, Order(**GOOD), id="an odd parent"
        ),
        pytest.param({**GOOD, "algoId": "", "algoClOrdId": None}, Order(**GOOD), id="no parent"),
    ],
)
def test_an_algo_order_is_told_from_an_order_that_one_has_placed(row: dict[str, object], meant: Order) -> None:
    """Rows of the exchange name both; the ids of the other one are left out."""
    assert Order.model_validate(row) == meant
    assert meant.is_algo == ("ordId" not in meant.model_fields_set)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({**GOOD, **ALGO}, "orders[0]: names both an order and an algo order; leave out the ids of the one"),
        ({**ALGO, "clOrdId": "a7", "ordType": ""}, "orders[0]: names both an order and an algo order; leave out the"),
        ({"instId": "BTC-USDT", "algoId": "4.5E+15"}, "orders[0].algoId: was rounded, most likely by a spreadsheet"),
        ({"instId": "BTC-USDT", "algoId": 2**53}, "orders[0].algoId: should be text of 1 to 20 digits; a number above"),
        ({"instId": "BTC-USDT", "algoId": "a7"}, "orders[0].algoId: should be 1 to 20 digits, the first not 0"),
        ({"instId": "BTC-USDT", "algoClOrdId": "a_7"}, "orders[0].algoClOrdId: should be 1 to 32 letters and digits"),
        ({"instId": "BTC-USDT", "algoId": "", "ordType": "twap"}, "orders[0]: ordId or clOrdId is required, or of an"),
        ({"algoId": "7"}, "orders[0].instId: is required"),
    ],
)
def test_an_algo_order_that_is_named_wrongly_is_refused(row: dict[str, object], line: str) -> None:
    """Which of the two is meant is never guessed, and no digits are."""
    with pytest.raises(InvalidOrders) as caught:
        parse_cancel_orders(account="desk1", orders=[row])
    assert [each[: len(line)] for each in caught.value.errors] == [line]


def test_the_types_of_algo_orders_are_known_alike() -> None:
    """To producers, who import no worker, and to the exchange's client."""
    assert sorted(ALGO_TYPES) == sorted(sources.ALGO_TYPES)


def test_messages_are_frozen() -> None:
    """What was checked stays as it was checked."""
    message = parse_cancel_orders(account="desk1", orders=[GOOD])
    with pytest.raises(ValidationError):
        message.account = "desk2"  # type: ignore[misc]  # mypy says the same


def test_a_python_producer_gets_a_message() -> None:
    """Names are lower-cased, the batch_id is new unless given, and the dump is the contract's JSON."""
    message = parse_cancel_orders(
        account=" Desk1", orders=[GOOD, {"instId": "ETH-USDT", "clOrdId": "a7"}], labels={"trader": "t12"}
    )
    other = parse_cancel_orders(account="desk1", orders=[GOOD], batch_id="risk-7f3a")
    assert (message.account, other.batch_id) == ("desk1", "risk-7f3a")
    assert len(message.batch_id) == 32
    dumped = message.model_dump(mode="json", exclude_none=True)
    assert dumped["orders"] == [GOOD, {"instId": "ETH-USDT", "clOrdId": "a7"}]
    assert read_cancel_orders([], dumped, message_id="m") == (message, [])


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"account": "a b"}, "account: should be an account's name: 1 to 64 of a-z 0-9 _ -"),
        ({"batch_id": "a b"}, "batch_id: should be 1 to 128 visible ASCII characters without spaces"),
        ({"batch_id": "a\n"}, "batch_id: should be 1 to 128 visible ASCII characters without spaces"),
        ({"reason": "a\0b"}, "reason: should hold no control characters"),
        ({"requested_by": "x" * 257}, "requested_by: String should have at most 256 characters"),
        ({"deadline_s": 0}, "deadline_s: should be greater than or equal to 1"),
        ({"deadline_s": 86401}, "deadline_s: should be less than or equal to 86400"),
        ({"labels": {"a\n": "b"}}, "labels['a\\n']['[key]']: should hold no control characters"),
        ({"labels": {"a": "\x1b"}}, "labels.a: should hold no control characters"),
        ({"orders": []}, "orders: should be a list of 1 to 100,000 orders"),
        (
            {"orders": [5]},
            "orders[0]: should be an object with instId and an id: ordId, clOrdId, algoId or algoClOrdId",
        ),
    ],
)
def test_a_python_producer_is_told_what_is_wrong(fields: dict[str, object], line: str) -> None:
    """One line, where and what."""
    with pytest.raises(InvalidOrders) as caught:
        parse_cancel_orders(**{"account": "desk1", "orders": [GOOD], **fields})  # type: ignore[arg-type]
    assert caught.value.errors == [line]


def test_every_bad_row_is_named() -> None:
    """Nothing is enqueued, so all faults are told at once."""
    with pytest.raises(InvalidOrders) as caught:
        parse_cancel_orders(account="desk1", orders=[GOOD, {"ordId": "x"}, GOOD, {"instId": "BTC-USDT"}])
    assert [line.partition(":")[0] for line in caught.value.errors] == [
        "orders[1].instId",
        "orders[1].ordId",
        "orders[3]",
    ]
    assert str(caught.value).splitlines() == caught.value.errors


def test_too_many_orders_are_refused() -> None:
    """A batch is bounded, whatever the producer."""
    with pytest.raises(InvalidOrders, match="1 to 100,000"):
        parse_cancel_orders(account="desk1", orders=[Order(instId="BTC-USDT", ordId="1")] * (MAX_ORDERS + 1))


def test_one_bad_row_does_not_keep_the_others_alive() -> None:
    """Its refusal holds the row, the reasons and whose it was."""
    orders = [GOOD, {"instId": "BTC-USDT", "ordId": 1.5}, {"instId": "ETH-USDT", "clOrdId": "a7"}]
    kwargs: dict[str, object] = {"batch_id": "b1", "account": "desk1", "orders": orders}
    message, (refusal,) = read_cancel_orders([], kwargs, message_id="m1")
    assert message is not None
    assert [order.instId for order in message.orders] == ["BTC-USDT", "ETH-USDT"]
    assert (refusal.batch_id, refusal.account) == ("b1", "desk1")
    assert refusal.payload == '{"instId": "BTC-USDT", "ordId": 1.5}'
    assert refusal.errors[0].startswith("orders[1].ordId: ")
    assert kwargs["orders"] == orders


NO_NUMBER = "should be a number, not true or false"


def test_true_is_no_number_of_seconds() -> None:
    """The orders are cancelled as if nothing had been said."""
    kwargs = {"batch_id": "b1", "account": "desk1", "orders": [GOOD], "deadline_s": True}
    message, (refusal,) = read_cancel_orders([], kwargs, message_id="m1")
    assert message is not None
    assert (message.deadline_s, refusal.errors) == (None, (f"deadline_s: {NO_NUMBER}",))
    with pytest.raises(InvalidOrders, match=NO_NUMBER):
        parse_cancel_orders(account="desk1", orders=[GOOD], deadline_s=True)


def test_what_producers_sent_before_is_understood() -> None:
    """Text of a number, as PHP and forms send it, and 1 for true."""
    kwargs = {"account": "desk1", "orders": [GOOD], "deadline_s": "600", "urgent": 1}
    message, refusals = read_cancel_orders([], kwargs, message_id="m1")
    assert message is not None
    assert (message.deadline_s, message.urgent, refusals) == (600, True, [])


def test_a_version_that_is_no_number_is_none() -> None:
    """Nothing is done of a message whose meaning is not known."""
    message, (refusal,) = read_cancel_orders([], {"account": "desk1", "orders": [GOOD], "v": True}, message_id="m1")
    assert (message, refusal.errors) == (None, (f"v: {NO_NUMBER}",))


def test_a_whole_number_may_have_a_point() -> None:
    """As PHP and Lua write it."""
    message, refusals = read_cancel_orders(
        [], {"account": "desk1", "orders": [GOOD], "deadline_s": 600.0}, message_id="m1"
    )
    assert message is not None
    assert (message.deadline_s, refusals) == (600, [])


def test_a_misspelt_field_is_refused_and_the_orders_are_not() -> None:
    """`urgnt` is told, and so is a reason that cannot be read; the cancel goes on."""
    kwargs = {
        "batch_id": "b1",
        "account": "desk1",
        "orders": [GOOD],
        "urgnt": True,
        "reason": 5,
        "urgent": True,
    }
    message, (refusal,) = read_cancel_orders([], kwargs, message_id="m1")
    assert message is not None
    assert (message.batch_id, message.urgent, message.reason) == ("b1", True, "")
    places = sorted(line.partition(":")[0] for line in refusal.errors)
    assert places == ["reason", "urgnt"]


HALF = "half \ud83d"
"""As JSON brings it where a pair of surrogates was cut in two; UTF-8 cannot say it."""


def told_of(refusal: Refusal) -> list[str]:
    """The faults; everything that is told of it can be written."""
    for text in (refusal.payload, refusal.batch_id, refusal.account, *refusal.errors):
        assert text.encode().decode() == text
    return sorted(refusal.errors)


def test_half_a_character_is_a_fault_of_its_field_and_the_orders_go_on() -> None:
    """Wherever it stands beside them, in the name of a field, too."""
    fields = {"batch_id": HALF, "reason": HALF, "labels": {"desk": HALF}, HALF: 1}
    message, (refusal,) = read_cancel_orders([], {"account": "desk1", "orders": [GOOD], **fields}, message_id="m1")
    assert message is not None
    assert (message.batch_id, message.reason, len(message.orders)) == ("m1", "", 1)
    assert told_of(refusal) == [
        r"['half \\ud83d']: is no field of this message",
        "batch_id: should be 1 to 128 visible ASCII characters without spaces",
        "labels.desk: should be whole characters; it holds half of a surrogate pair",
        "reason: should be whole characters; it holds half of a surrogate pair",
    ]


def test_what_half_a_character_keeps_from_being_done_is_refused_in_text_that_can_be_kept() -> None:
    """With whose it was, as far as it can be written."""
    message, (refusal,) = read_cancel_order([], {"account": HALF, "batch_id": HALF, **GOOD}, message_id="m1")
    assert (message, refusal.account, refusal.batch_id) == (None, r"half \ud83d", r"half \ud83d")
    assert [fault.partition(":")[0] for fault in told_of(refusal)] == ["account", "batch_id"]
    everything, (refusal,) = read_cancel_all([], {"account": "desk1", HALF: 1, "batch_id": HALF}, message_id="m1")
    assert everything is None
    assert [fault.partition(":")[0] for fault in told_of(refusal)] == [r"['half \\ud83d']", "batch_id"]


@pytest.mark.parametrize("batch_id", [None, "", "a b", {}])
def test_a_message_without_a_usable_batch_id_gets_its_own_id(batch_id: object) -> None:
    """Which is the same when the broker delivers it again."""
    kwargs = {"batch_id": batch_id, "account": "desk1", "orders": [GOOD]}
    message, _ = read_cancel_orders([], kwargs, message_id="task-1")
    assert message is not None
    assert message.batch_id == "task-1"


def test_a_message_id_that_cannot_be_a_batch_id_is_replaced_for_good() -> None:
    """Always by the same one."""
    kwargs = {"account": "desk1", "orders": [GOOD], "batch_id": "a b"}
    first, _ = read_cancel_orders([], kwargs, message_id="x y\ud800")
    again, _ = read_cancel_orders([], kwargs, message_id="x y\ud800")
    assert first is not None
    assert first == again


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([], {}),
        ([], {"account": "desk1"}),
        ([], {"account": "desk1", "orders": []}),
        ([], {"account": "desk1", "orders": "all"}),
        ([], {"account": "desk1", "orders": {"first": GOOD}}),
        ([], {"account": 5, "orders": [GOOD]}),
        ([], {"acount": "desk1", "orders": [GOOD]}),
        ([], {"account": "desk1", "orders": [GOOD], "v": 2}),
        (["b1", "desk1", [GOOD]], {}),
        ([{"account": "desk1"}], {"orders": [GOOD]}),
        ([], {"account": "desk1", "orders": [5]}),
    ],
)
def test_an_unusable_message_is_refused_once(args: list[object], kwargs: dict[str, object]) -> None:
    """With its whole payload, so that it can be sent again."""
    message, refusals = read_cancel_orders(args, kwargs, message_id="m1")
    assert message is None
    assert len(refusals) == 1
    assert refusals[0].errors


def test_fields_may_come_as_one_object() -> None:
    """Some producers send the object as the only argument."""
    message, refusals = read_cancel_orders([{"account": "desk1", "orders": [GOOD]}], {}, message_id="m1")
    assert message is not None
    assert refusals == []


def test_a_payload_that_json_cannot_say_is_still_recorded() -> None:
    """Deep nesting, surrogates and foreign types are shown as far as possible, in ASCII."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    rows = [deep, {"instId": "\ud800"}, {"instId": b"BTC"}, float("nan")]
    _, refusals = read_cancel_orders([], {"account": "desk1", "orders": rows}, message_id="m1")
    assert [refusal.payload.isascii() for refusal in refusals] == [True] * 4
    assert refusals[0].payload == '"<list that cannot be shown>"'


def test_a_single_order_is_a_batch_of_one() -> None:
    """Its fields stand beside the message's own."""
    message, refusals = read_cancel_order([], {"account": "desk1", **GOOD}, message_id="m1")
    assert message is not None
    assert refusals == []
    assert (message.batch_id, message.orders) == ("m1", (Order.model_validate(GOOD),))
    nothing, (refusal,) = read_cancel_order([], {"account": "desk1", "ordId": "7"}, message_id="m1")
    assert nothing is None
    assert "instId: is required" in refusal.errors[0]


def test_a_message_may_say_its_version() -> None:
    """One that says nothing is of the first; another one may mean something else, and nothing of it is done."""
    one = {"account": "desk1", "batch_id": "b"}
    assert read_cancel_orders([], {**one, "orders": [GOOD], "v": 1}, message_id="m") == read_cancel_orders(
        [], {**one, "orders": [GOOD]}, message_id="m"
    )
    for message, (refusal,) in (
        read_cancel_orders([], {**one, "orders": [GOOD], "v": 2}, message_id="m"),
        read_cancel_order([], {**one, **GOOD, "v": 2}, message_id="m"),
        read_cancel_all([], {**one, "v": 2}, message_id="m"),
    ):
        assert message is None
        assert refusal.errors == (
            "v: should be 1: this release reads no other version of messages; upgrade workers before producers",
        )


def test_cancel_all_takes_its_filters() -> None:
    """Every filter is optional; null means absent."""
    kwargs = {
        "account": "desk1",
        "instType": "SWAP",
        "instFamily": "btc-usdt",
        "side": None,
        "until_flat_s": 30,
    }
    message, refusals = read_cancel_all([], kwargs, message_id="m1")
    assert message is not None
    assert refusals == []
    assert (message.batch_id, message.instType, message.instFamily) == ("m1", "SWAP", "BTC-USDT")
    assert (message.side, message.until_flat_s) == (None, 30)


@pytest.mark.parametrize(
    "wrong",
    [
        {"instid": "BTC-USDT"},
        {"side": "long"},
        {"instType": "swap"},
        {"reason": 5},
        {"until_flat_s": True},
        {"min_age_s": False},
        {"deadline_s": True},
    ],
)
def test_cancel_all_is_all_or_nothing(wrong: dict[str, object]) -> None:
    """A filter that is ignored would cancel more than was asked for."""
    message, (refusal,) = read_cancel_all([], {"account": "desk1", **wrong}, message_id="m1")
    assert message is None
    assert len(refusal.errors) == 1


def test_the_contract_never_imports_the_worker() -> None:
    """A producer installs neither Celery workers nor their settings."""
    imports = "import sys, bulk_cancel.tasks.messages, bulk_cancel.tasks.reading"
    code = f"{imports}; sys.exit('bulk_cancel.worker' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("ordId", "025", "the first not 0"), ("instId", "BTC-USDT_BTC-USDT-SWAP", "is a spread")],
)
def test_an_order_has_one_spelling_and_one_that_the_endpoint_takes(field: str, value: str, words: str) -> None:
    """Two spellings of one id would be two jobs; a spread's id names an order of another endpoint."""
    with pytest.raises(InvalidOrders, match=words):
        parse_cancel_orders(account="desk1", orders=[{**GOOD, field: value}])


def test_family_with_an_underscore_is_no_spread() -> None:
    """`_UM` is part of a contract's name."""
    (order,) = parse_cancel_orders(account="desk1", orders=[{**GOOD, "instId": "BTC-USD_UM-SWAP"}]).orders
    assert order.instId == "BTC-USD_UM-SWAP"


def test_a_php_array_with_holes_is_a_list() -> None:
    """`json_encode` writes an object after `unset`; its numbers are in the order in which the rows were."""
    rows = {"10": {"instId": "BTC-USDT", "ordId": "3"}, "0": {"instId": "BTC-USDT", "ordId": "1"}}
    message, refusals = read_cancel_orders([], {"account": "desk1", "orders": rows}, message_id="m")
    assert message is not None
    assert [order.ordId for order in message.orders] == ["1", "3"]
    assert refusals == []


def test_where_a_list_is_needed_php_is_told_how_to_make_one() -> None:
    """Over HTTP, where the schema says what is taken."""
    asked = {"account": "desk1", "batch_id": "b", "orders": {"0": GOOD, "2": GOOD}}
    with pytest.raises(
        ValidationError, match=r"100,000 orders; of an array with holes PHP makes an object: .*array_values"
    ):
        CancelOrders.model_validate(asked)


@pytest.mark.parametrize("rows", [{}, {"a": 1}, {"0": {}, "x": {}}, {"٣": {}}, {"9" * 5000: {}}])
def test_another_object_is_no_list(rows: dict[str, object]) -> None:
    """Nobody guesses what it means."""
    message, (refusal,) = read_cancel_orders([], {"account": "desk1", "orders": rows}, message_id="m")
    assert message is None
    assert refusal.errors == ("orders: should be a list of 1 to 100,000 orders",)
