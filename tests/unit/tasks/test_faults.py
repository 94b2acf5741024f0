"""A fault of a message is a value: where, which is nothing for the whole of it, and in which words."""

import pytest
from pydantic import ValidationError

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.faults import Fault, faults_in, found_in
from bulk_cancel.tasks.mass import CancelAll, parse_cancel_all
from bulk_cancel.tasks.messages import Order


def error_of(model: type[Order | CancelAll], value: object) -> ValidationError:
    """What pydantic says of it."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "within", "fault", "line", "bare"),
    [
        ({"instId": "A-B", "ordId": "0"}, "", "ordId", "ordId: ", "ordId: "),
        ({"instId": "A-B", "ordId": "0"}, "orders[3]", "orders[3].ordId", "orders[3].ordId: ", "orders[3].ordId: "),
        ({"instId": "A-B"}, "orders[3]", "orders[3]", "orders[3]: ", "orders[3]: "),
        ({"instId": "A-B"}, "", "", "message: ", ""),
    ],
)
def test_a_fault_says_where_it_is(value: object, within: str, fault: str, line: str, bare: str) -> None:
    """Only the line of a message as a whole has a word for it, which who knows the message leaves out."""
    error = error_of(Order, value)
    [found] = found_in(error, within=within)
    assert (found.place, str(found), found.bare) == (fault, line + found.words, bare + found.words)
    assert faults_in(error, within=within) == [str(found)]


def test_a_field_that_is_called_message_is_no_whole_message() -> None:
    """It was told without its name: "is no field of this message"."""
    assert found_in(error_of(CancelAll, {"account": "desk1", "message": 1})) == [
        Fault("message", "is no field of this message")
    ]
    with pytest.raises(InvalidOrders) as caught:
        parse_cancel_all({"account": "desk1", "message": 1})
    assert caught.value.errors == ["message: is no field of this message"]


def test_filters_that_contradict_each_other_are_told_bare() -> None:
    """Nobody has to be told that a mass cancel is a message."""
    with pytest.raises(InvalidOrders) as caught:
        parse_cancel_all({"account": "desk1", "instType": "SPOT", "instFamily": "BTC-USDT"})
    assert caught.value.errors == ["instFamily has no meaning for SPOT, only for SWAP, FUTURES, OPTION"]
