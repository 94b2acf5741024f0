"""Does a survey name all that can place orders, and claim no more than it was told?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest

from bulk_cancel.worker.books import survey as module
from bulk_cancel.worker.books.able import NOT_MADE, Able, Survey, said_of
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.survey import survey
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised, OutcomeUnknown, Refused
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.okx.sources import LISTS, WORDS, SourceList

CREDS = Credentials(name="a", api_key="k", api_secret="s", passphrase="p", base_url="http://x", demo=False)
USER = User("u", (CREDS,), "http://x", Limits(60, 300), 20)


class FakeBook:
    """Has rows, or fails, by the name of the list; the account leads nobody unless told."""

    def __init__(self, said: Mapping[str, Sequence[dict[str, str] | ExchangeError]]) -> None:
        nobody = {"lead_trading": [{"uid": "1", "roleType": "0", "spotRoleType": "0"}]}
        self._said = {name: list(each) for name, each in (nobody | dict(said)).items()}
        self.asked: list[str] = []

    def sources(self, _user: User, listed: SourceList) -> Iterator[dict[str, str]]:
        """All rows, or the next error."""
        self.asked.append(listed.name)
        for each in list(self._said.get(listed.name, [])):
            if isinstance(each, ExchangeError):
                self._said[listed.name].pop(0)
                raise each
            yield each


def look(book: FakeBook, scope: Scope | None = None) -> Survey:
    """A survey without pauses."""
    return survey(cast("Any", book), USER, lambda _, row: (scope or Scope()).concerns(row))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)


def test_every_list_is_read() -> None:
    """Eighteen calls, each kind with words."""
    book = FakeBook({})
    assert look(book) == Survey()
    assert sorted(book.asked) == sorted(listed.name for listed in LISTS)
    assert len(LISTS) == 18
    assert {kind for listed in LISTS for kind in (listed.kind or listed.query["ordType"]).split(",")} == set(WORDS)


def test_kinds_are_counted_by_instrument() -> None:
    """TP/SL and OCO share a list; who keeps a place in a list without placing anything is not counted."""
    seen = look(
        FakeBook(
            {
                "conditional,oco": [
                    {"ordType": "oco", "instId": "A-B"},
                    {"ordType": "conditional", "instId": "A-B"},
                    {"ordType": "oco", "instId": "C-D"},
                    {"ordType": "oco", "instId": "C-D"},
                ],
                "spread": [{"sprdId": "A-B_A-B-SWAP", "state": "live"}],
                "contract_grid": [{"instId": "A-B-SWAP", "state": "no_close_position"}],
                "spot_grid": [{"instId": "A-B", "state": "pending_signal"}],
                "lead_trading": [{"uid": "1", "roleType": "0", "spotRoleType": "1"}],
                "rfq": [{"rfqId": "1", "state": "active"}],
            }
        )
    )
    assert seen.able == (
        Able("conditional", 1, {"A-B": 1}),
        Able("oco", 3, {"C-D": 2, "A-B": 1}),
        Able("spread", 1, {"A-B/A-B-SWAP": 1}),
        Able("rfq", 1, {}),
        Able("spot_grid", 1, {"A-B": 1}),
        Able("lead_trading", 1, {}),
    )
    assert not seen.complete
    assert "3 OCO orders (C-D 2, A-B 1), 1 spread order (A-B/A-B-SWAP 1), 1 RFQ" in seen.words


def test_what_is_not_told_is_not_known() -> None:
    """Tried a few times where that may help, and never taken for empty; what an account may not have, it has not."""
    away = [OutcomeUnknown("lost")] * 3
    barred = NotAuthorised("no", code="50030")
    book = FakeBook(
        {"trigger": away, "chase": away[:2], "twap": [Refused("what?", code="51000")], "spread": [barred],
         "iceberg": [Refused("what?", code="51000")], "rfq": [Refused("later", code="50062")]}
    )  # fmt: skip
    seen = look(book)
    assert set(seen.unknown) == {"trigger", "twap", "rfq"}
    assert set(look(FakeBook({"trigger": [barred] * 3, "lead_trading": [barred] * 3})).unknown) == {
        "trigger",
        "lead_trading",
    }
    assert (seen.unavailable, seen.able) == (("iceberg", "spread"), ())
    assert [book.asked.count(name) for name in ("trigger", "chase", "twap")] == [3, 3, 1]
    assert not seen.complete
    assert not Survey(unknown={"trigger": "why"}).complete
    assert Survey(unavailable=("spread",)).complete


def test_what_is_not_known_is_told_in_words() -> None:
    """As a person calls it, with the reason, each once; it was the names of the lists alone."""
    seen = Survey((Able("rfq", 1, {}),), {"conditional,oco": "no answer", "trigger": "no answer", "twap": "refused"})
    assert seen.words == (
        "1 RFQ: they can still place orders; "
        "not known: TP/SL and OCO orders, trigger orders (no answer); TWAP orders (refused)"
    )
    assert NOT_MADE.words == "not known: nobody looked at what else can place orders"


@pytest.mark.parametrize("rows", [[], [{}], [{"uid": "1"}]])
def test_a_role_that_is_not_told_is_not_known(rows: list[dict[str, str]]) -> None:
    """Every account has one."""
    seen = look(FakeBook({"lead_trading": rows}))
    assert (set(seen.unknown), seen.complete) == ({"lead_trading"}, False)


def test_a_survey_is_kept_whole() -> None:
    """As text in Redis; without one, nothing is known."""
    seen = Survey((Able("oco", 3, {"C-D": 2}),), {"rfq": "why"}, ("spread",))
    assert Survey.of(seen.text) == seen
    assert said_of(None)["complete"] is False
    assert said_of(None)["not_known"]


@pytest.mark.parametrize(
    ("scope", "row", "means"),
    [
        (Scope(), {}, True),
        (Scope(instId="A-B"), {"instId": "A-B"}, True),
        (Scope(instId="A-B"), {"instId": "A-B-SWAP"}, False),
        (Scope(instId="A-B"), {}, True),
        (Scope(instId="A-B"), {"sprdId": "A-B_A-B-SWAP"}, True),
        (Scope(instId="C-D"), {"sprdId": "A-B_A-B-SWAP"}, False),
        (Scope(instFamily="A-B"), {"instId": "A-B-SWAP"}, True),
        (Scope(instFamily="A-B"), {"instId": "A-BC-SWAP"}, False),
        (Scope(instType="SWAP"), {"instId": "A-B-SWAP"}, True),
        (Scope(instType="SWAP"), {"instId": "A-B-SWAP", "instType": "FUTURES"}, False),
        (Scope(instType="MARGIN"), {"instId": "A-B"}, True),
        (Scope(instType="SPOT"), {"instId": "A-B", "instType": "MARGIN"}, False),
        (Scope(side="buy"), {"side": "sell"}, False),
        (Scope(side="buy"), {}, True),
        (Scope(side="buy"), {"sprdId": "A-B_A-B-SWAP", "side": "sell"}, True),
        (Scope(side="buy", instId="C-D"), {"sprdId": "A-B_A-B-SWAP", "side": "sell"}, False),
        (Scope(tag="x"), {"tag": ""}, False),
        (Scope(tag="x"), {}, True),
        (Scope(clOrdId_prefix="mm"), {"algoClOrdId": "mm1"}, True),
        (Scope(clOrdId_prefix="mm"), {"algoClOrdId": "", "ordType": "trigger"}, False),
        (Scope(clOrdId_prefix="mm"), {"algoClOrdId": "", "ordType": "conditional"}, True),
        (Scope(clOrdId_prefix="mm"), {"algoClOrdId": "x1", "ordType": "conditional"}, False),
        (Scope(min_age_s=5), {"cTime": "0"}, True),
    ],
)
def test_only_what_says_so_is_outside_of_a_scope(scope: Scope, row: dict[str, str], *, means: bool) -> None:
    """A row that is silent on a filter may place orders that are meant."""
    assert scope.concerns(row) is means
