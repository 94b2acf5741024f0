"""Tests of rows of batches as Redis keeps them."""

import pytest

from bulk_cancel.worker.state.rows import number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0 1764378000000000", 0),
        ("17 1764378000000000 client", 17),
        ('{"n":4,"enqueued":1,"clOrdId":"","sMsg":"\\"n\\":5"}', 4),
        ('{"sMsg":"\\"n\\":5","log":[{"n":6}],"n":12}', 12),
    ],
)
def test_the_number_of_a_row_is_known_without_making_it_a_value(text: str, number: int) -> None:
    """Of one that waits and one that has ended, in whichever order its fields are."""
    assert number_of(text) == number
