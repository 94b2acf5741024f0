"""Reads how a mass cancel stands, as a report."""

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.report import MassReport, make_report
from bulk_cancel.worker.state.statuses import OFF_THE_BOOK
from bulk_cancel.worker.state.store import Store


def read_report(store: Store, batch_id: str) -> MassReport:
    """The report as it stands; raises UnknownMassError and redis-py's errors."""
    return answered(ask_report(store, batch_id))


def ask_report(store: Store, batch_id: str) -> Asking[MassReport]:
    """As `read_report`, over either client."""
    masses = Masses(store)
    mass = yield from masses.ask_state(batch_id)
    state = yield from store.batches.ask_state(batch_id)
    off = sum(state.counts.get(status, 0) for status in OFF_THE_BOOK)
    # on its way, most orders have no outcome
    named = mass.ended and (off < state.size or mass.scope.with_algos)
    rows = (yield from store.batches.ask_sorted(batch_id)) if named else ()
    return make_report(mass, state, rows, surveying=(yield from masses.ask_awaits_survey(mass, state)))
