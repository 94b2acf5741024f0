"""Many refused rows of one message become few entries, and none of them vanishes uncounted."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bulk_cancel.tasks.reading import Refusal
from bulk_cancel.worker.state.bunches import BUNCHES, BYTES, SINGLY, bunched
from bulk_cancel.worker.state.refused import ERRORS_KEPT, PAYLOAD_KEPT


def rows(count: int, *, size: int = 20) -> list[Refusal]:
    """Refused rows of one message."""
    return [
        Refusal(json.dumps({"ordId": "x" * size}), (f"orders[{index}].ordId: should be 1 to 20 digits",), "b", "desk1")
        for index in range(count)
    ]


def test_few_rows_have_an_entry_each() -> None:
    """As they always had."""
    assert bunched(rows(SINGLY)) == rows(SINGLY)


def test_many_rows_share_entries() -> None:
    """Every row and reason is there, in order, and whose it was."""
    entries = bunched(rows(120))
    assert [len(json.loads(entry.payload)) for entry in entries] == [33, 33, 33, 21]
    assert [error for entry in entries for error in entry.errors] == [row.errors[0] for row in rows(120)]
    assert {(entry.batch_id, entry.account) for entry in entries} == {("b", "desk1")}


def test_very_many_rows_are_counted() -> None:
    """100,000 take 21 entries; the last says how many of which fault are not kept."""
    entries = bunched(rows(100_000))
    assert len(entries) == BUNCHES + 1
    assert entries[-1].errors == (
        "99,340 more rows of this message are refused, and not kept; the first of them is shown",
        "99,340 times orders[…].ordId: should be 1 to 20 digits",
    )


@given(sizes=st.lists(st.integers(1, 20_000), min_size=SINGLY + 1, max_size=60))
def test_nothing_kept_is_cut_off(sizes: list[int]) -> None:
    """Whatever the rows' lengths: only a row that is too long by itself exceeds what an entry keeps."""
    refused = [Refusal(json.dumps("x" * size), ("why",), "b", "") for size in sizes]
    for entry in bunched(refused):
        assert len(entry.payload) <= PAYLOAD_KEPT or len(entry.errors) == 1 or "not kept" in entry.errors[0]
        assert len(entry.errors) <= ERRORS_KEPT
    assert BYTES < PAYLOAD_KEPT
