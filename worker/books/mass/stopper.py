"""Lists products of one kind (bots, spread orders, RFQs, quotes) and asks them to end; the lists are the judge."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.mass.products import PAUSED, Kind
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.stops import GROUP_OF, STOP_OF, Found, Stop, found, still_placing
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.ids import lane_of
from bulk_cancel.worker.state.scopes import lane_scope, user_scope

log = structlog.get_logger(__name__)

_STAYS_LISTED: Final = "contract_grid"
"""A bot that kept its position: its details tell whether it has orders left."""

Named = Sequence[tuple[str, str]]


class Stopper:
    """The products of one user in one scope. Thread-safe; raises redis-py's errors and ReadingStopped."""

    def __init__(self, book: Book, user: User, scope: Scope) -> None:
        self._book = book
        self._user = user
        self._scope = scope

    def listed(self, name: str, kind: Kind) -> dict[str, Found]:
        """Those of a list that are at work and meant, by id; ExchangeError if it cannot be read as a whole.

        A list that the account may not have is an empty one.
        """
        listed = STOP_OF[name].listed
        try:
            rows = [row for row in self._book.sources(self._user, listed) if self._scope.stops(name, row)]
        except ExchangeError as error:
            if not listed.is_unavailable(error.code) or kind.left:  # what was listed is not gone by being refused
                raise
            return {}
        meant = {row[listed.ident]: found(name, row) for row in rows if listed.is_able(row)}
        idle = [row[listed.ident] for row in rows if not listed.is_able(row)]
        return meant | (self._still_placing(kind, idle) if name == _STAYS_LISTED else {})

    def _still_placing(self, kind: Kind, idle: Sequence[str]) -> dict[str, Found]:
        """Of grids that were stopped and stay listed, those which still have orders."""
        listed = STOP_OF[_STAYS_LISTED].listed
        told = {ident: self._book.grid(self._user, listed, ident) for ident in idle if ident in kind.left}
        return {ident: Found(kind.left[ident].inst, why, "waits") for ident, row in told.items()
                if (why := still_placing(row))}  # fmt: skip

    def ask(self, name: str, kind: Kind, now_us: int, paused: frozenset[str]) -> Kind:
        """Asks to end what is due, but for what operators paused; what the exchange said stands in what is returned."""
        held = self._holds(paused)
        if GROUP_OF[name] == "rfqs":
            return self._ask_all(STOP_OF[name], kind, now_us, held)
        due = kind.due(now_us)
        free = [(ident, kind.left[ident].inst) for ident in due if not held(kind.left[ident].inst)]
        left = kind.held_back(set(due) - {ident for ident, _ in free}, PAUSED)
        if name == "spread":
            none_held = not any(held(each.inst) for each in kind.left.values())  # also of those that are not due
            return self._ask_spreads(left, free, now_us, everything=none_held and self._scope.is_whole)
        return self._ask_bots(STOP_OF[name], left, free, now_us)

    def _holds(self, paused: frozenset[str]) -> Callable[[str], bool]:
        """Whether an operator paused the account, or the instrument or a leg."""
        whole = user_scope(self._user.uid) in paused
        return lambda inst: (
            whole
            or any(lane_scope(lane_of(self._user.uid, leg)) in paused for leg in inst.replace("_", "/").split("/"))
        )

    def _ask_bots(self, stop: Stop, kind: Kind, free: Named, now_us: int) -> Kind:
        for chunk in chunks(free, stop.each):
            kind = self._told(stop, kind, chunk, now_us, partial(self._book.stop, self._user, stop, chunk))
        return kind

    def _ask_spreads(self, kind: Kind, free: Named, now_us: int, *, everything: bool) -> Kind:
        """All at once, or each spread by itself where one must be left alone."""
        stop, spreads = STOP_OF["spread"], dict.fromkeys(inst for _, inst in free)
        narrowed: list[Mapping[str, str]] = [{}] if everything else [{"sprdId": spread} for spread in spreads]
        for each in narrowed if free else []:
            named = [(ident, inst) for ident, inst in free if each.get("sprdId") in {None, inst}]
            kind = self._told(stop, kind, named, now_us, partial(self._book.stop_all, self._user, stop, each))
        return kind

    def _told(self, stop: Stop, kind: Kind, named: Named, now_us: int, ask: Callable[[], Answer]) -> Kind:
        """What is known after one call for those named."""
        idents = [ident for ident, _ in named]
        try:
            answer = ask()
        except ExchangeError as error:
            log.warning("stop_without_answer", kind=stop.listed.name, count=len(idents), error=str(error))
            if not stop.listed.is_unavailable(error.code):
                return kind.unanswered(idents, error.told, now_us)
            answer = Answer(0, error.code, error.msg, ())
        told = kind.answered(idents, answer, now_us)
        self._log(stop, kind, told, idents)
        return told

    def _log(self, stop: Stop, before: Kind, told: Kind, idents: Sequence[str]) -> None:
        log.info("stop_asked", kind=stop.listed.name, count=len(idents))
        for ident in idents:
            if told.left[ident].human and not before.left[ident].human:
                said = told.left[ident]
                log.error("needs_human", kind=stop.listed.name, id=ident, inst=said.inst, code=said.code, why=said.why)

    def _ask_all(self, stop: Stop, kind: Kind, now_us: int, held: Callable[[str], bool]) -> Kind:
        """RFQs, or quotes: whose they are is the exchange's to say."""
        if held(""):
            return kind.held_back(kind.left, PAUSED) if kind.left or kind.asked else kind.not_asked(PAUSED)
        if kind.asked and not kind.unproven and not kind.due(now_us):
            return kind
        try:
            return kind.all_answered(self._book.stop_all(self._user, stop, {}), now_us)
        except ExchangeError as error:
            if stop.listed.is_unavailable(error.code):
                return kind.all_answered(Answer(0, error.code, error.msg, ()), now_us)
            log.warning("stop_without_answer", kind=stop.listed.name, error=str(error))
            return kind.all_unanswered(error.told, now_us)
