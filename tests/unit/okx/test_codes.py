"""Does every known code have the row we decided on?

The expectation is written a second time here, by class instead of by code, so that a slip in one shows.
"""

import pytest

from bulk_cancel.worker.okx import codes
from bulk_cancel.worker.okx.codes import CODES, STOP_CODES, Scope, Verdict, lookup, lookup_stop

EXPECTED = {
    (Verdict.ACCEPTED, Scope.ORDER, False): "0",
    (Verdict.GONE, Scope.ORDER, False): "51400 51401 51402 51405 51503 51509 51510 51603 51063 51027",
    (Verdict.RETRY, Scope.ORDER, False): "54048",
    (Verdict.RETRY, Scope.LANE, False): "50011",
    (Verdict.RETRY, Scope.LANE, True): "51404 50017 50018 50020 50021 51022 51028 51029 51030",
    (Verdict.RETRY, Scope.ACCOUNT, False): "50040 50061",
    (Verdict.RETRY, Scope.ACCOUNT, True): "50019 50022 50023",
    (Verdict.RETRY, Scope.EXCHANGE, False): "50001 50013",
    (Verdict.RETRY, Scope.EXCHANGE, True): "50005 50046 50062",
    (Verdict.AMBIGUOUS, Scope.ORDER, False): "50004 50042 51054 51149 51412",
    (Verdict.AMBIGUOUS, Scope.EXCHANGE, False): "50026",
    (Verdict.PENDING, Scope.ORDER, False): "51410",
    (Verdict.CLOCK, Scope.ORDER, False): "50102 50112",
    (Verdict.BUG, Scope.ORDER, False): "50000 50002 50006 50115 51003 51406 51407",
    (Verdict.CREDENTIALS, Scope.ACCOUNT, False): """
        50007 50008 50009 50010 50012 50027 50029 50030 50035 50038 50041 50051 50053 50059 50060 50067
        50100 50101 50103 50104 50105 50106 50107 50108 50109 50111 50113 50114 50119 50120
        51009 51024""",
    (Verdict.CREDENTIALS, Scope.WORKER, False): "50110 50121",
}
# whatever else is listed can never succeed for its order
REJECTED = """
    50014 50015 50016 50024 50025 50028 50032 50033 50036 50037 50039 50044 50045 50047 50048 50049 50050
    50052 50055 50056 50057 50058 50063 50064 50069 50071 50072 50075 50076 50077 50116 50118 50122
    51000 51001 51002 51004 51005 51006 51007 51008 51010 51011 51012 51014 51015 51016 51017 51018 51019
    51020 51021 51026 51056 51087 51155 51403 51408 51409 51411 51413 51416 51734"""
PLACEMENT = [str(code) for code in range(54000, 54095) if code != 54048]


@pytest.mark.parametrize(("kind", "listed"), EXPECTED.items())
def test_every_code_has_its_row(kind: tuple[Verdict, Scope, bool], listed: str) -> None:
    """Verdict, scope and slowness are as decided, for exactly these codes."""
    found = {row.code for row in CODES.values() if (row.verdict, row.scope, row.slow) == kind}
    assert found == set(listed.split())


def test_all_other_codes_reject_their_order() -> None:
    """What no retry can help ends the order, and there are no further rows."""
    found = {row.code for row in CODES.values() if row.verdict is Verdict.REJECTED}
    assert found == {*REJECTED.split(), *PLACEMENT}


def test_no_code_has_two_rows() -> None:
    """A code listed twice would silently take the later meaning."""
    listed = [code for row in codes._ROWS for code in codes._expand(row[0])]
    assert len(listed) == len(set(listed)) == len(CODES)


def test_rows_are_complete() -> None:
    """A row has its own code and a meaning, and only verdicts that wait have a wider scope."""
    ending = {Verdict.ACCEPTED, Verdict.GONE, Verdict.REJECTED, Verdict.BUG, Verdict.CLOCK}
    for code, row in CODES.items():
        assert row.code == code
        assert row.meaning
        assert row.scope is Scope.ORDER or row.verdict not in ending


@pytest.mark.parametrize("code", ["", "1", "59999", "nonsense"])
def test_unknown_code_has_a_row_too(code: str) -> None:
    """A code nobody listed concerns its order only."""
    row = lookup(code)
    assert (row.code, row.verdict, row.scope, row.slow) == (code, Verdict.UNKNOWN, Scope.ORDER, False)


STOPS = {
    Verdict.GONE: "51291 51293 59216 59267 70207 70409 70000 70001 70200 70400",
    Verdict.PENDING: "51288 51342 59278 51056 51059",
    Verdict.RETRY: "51289 51290 70208",
    Verdict.REJECTED: "51001 51220",
    Verdict.BUG: "51292 51345 50016 51000 70203 70408",
    Verdict.UNAVAILABLE: "50030 50038 50041 59263 59285 70006",
}


@pytest.mark.parametrize(("verdict", "listed"), STOPS.items())
def test_a_product_that_is_to_end_has_codes_of_its_own(verdict: Verdict, listed: str) -> None:
    """For exactly these codes; all others mean what they mean of an order."""
    assert {row.code for row in STOP_CODES.values() if row.verdict is verdict} == set(listed.split())
    assert len(STOP_CODES) == sum(len(each.split()) for each in STOPS.values())
    assert lookup_stop("51410") is lookup("51410")
    assert lookup_stop("51405").verdict is Verdict.GONE
