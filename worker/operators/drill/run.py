"""Does a drill: places far-off orders, cancels exactly those, and proves that they are gone.

Whatever happens, the drill's own orders are off the book when it ends, or its record says which are not.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import InvalidOperation
from typing import Final

from redis.exceptions import RedisError

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.by_operator import call_off
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.report import MassReport, make_report
from bulk_cancel.worker.books.reader import Reader
from bulk_cancel.worker.books.survey import survey
from bulk_cancel.worker.okx.answers import Item
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.instruments import type_of
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.operators.drill.rules import ASKED, Drill, DrillPlan, NotADrillError, Step, far_off
from bulk_cancel.worker.state.batches import Row
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.ids import lane_of
from bulk_cancel.worker.state.statuses import Status
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.times import time_of

PER_CALL: Final = 20
PLACED_PER_WINDOW: Final = 300
FRAME_S: Final = 0.05
ROUNDS: Final = 5
PAUSE_S: Final = 1.0


class Drilling:
    """One drill; `tell` hears of each step."""

    def __init__(self, store: Store, reader: Reader, plan: DrillPlan, tell: Callable[[str], None]) -> None:
        self._store = store
        self._reader = reader
        self._plan = plan
        self._tell = tell
        self._user = reader.user(plan.account)
        self._drill = Drill(plan, plan.tag, reader.user_id(plan.account))

    def run(self) -> Drill:
        """The whole drill. Raises NotADrillError before an order is placed; redis-py's errors after the clean-up."""
        self._drill.order, proven = self._order(), False
        try:
            self._exercise()
            proven = self._drill.passed
        except ExchangeError as error:
            self._fault(f"the exchange: {error.told}")
        finally:
            if not proven:
                self._clean_up()
        return self._drill

    def _exercise(self) -> None:
        placed = self._place()
        if len(placed) < self._plan.orders:
            return
        found = self._own_orders()
        self._step(f"{len(found)} of them found on the book")
        if set(found) != set(placed):
            self._fault(f"{len(set(placed) - set(found))} of the orders placed are not on the book")
            return
        report, rows = self._cancel()
        self._judge(report, rows)
        self._verify(placed)
        self._drill.survey = survey(self._reader.book, self._user)
        self._step("looked at what else can place orders")

    def _order(self) -> dict[str, str]:
        """The fields that all orders share; NotADrillError if no far-off price can be found."""
        plan, creds = self._plan, self._user.accounts[0]
        kind = type_of(plan.inst_id)
        px, sz = plan.px, plan.sz
        try:
            if not (px and sz):
                listed = self._reader.client.instrument(creds, kind, plan.inst_id)
                if not listed:
                    raise NotADrillError(f"no instrument {plan.inst_id} is listed there; choose another --inst-id")
                sz = sz or listed["minSz"]
                px = px or far_off(self._reader.client.ticker(creds, plan.inst_id)["last"], listed["tickSz"])
        except (ExchangeError, KeyError, InvalidOperation) as error:
            why = error.told if isinstance(error, ExchangeError) else "it has no usable last price"
            raise NotADrillError(f"no far-off price for {plan.inst_id} ({why}); give --px and --sz") from error
        td_mode = plan.td_mode or ("cash" if kind == "SPOT" else "cross")
        return {
            "instId": plan.inst_id, "tdMode": td_mode, "side": "buy", "ordType": "post_only", "px": px, "sz": sz,
            "tag": plan.tag,
        }  # fmt: skip

    def _place(self) -> list[str]:
        """Places the orders; the ordIds of those that were taken."""
        wanted = [{**self._drill.order, "clOrdId": f"{self._plan.tag}n{n}"} for n in range(self._plan.orders)]
        items = [item for chunk in chunks(wanted, PER_CALL) for item in self._place_chunk(chunk)]
        refused = [item for item in items if item.sCode != "0"]
        self._step(f"{len(items) - len(refused)} of {self._plan.orders} far-off orders placed")
        if refused:
            self._fault(f"{len(refused)} orders were not placed: {refused[0].sCode} {refused[0].sMsg}")
        return [item.ordId for item in items if item.sCode == "0"]

    def _place_chunk(self, chunk: Sequence[Mapping[str, str]]) -> Sequence[Item]:
        meter = f"{lane_of(self._user.uid, self._plan.inst_id)}:place"
        return self._reader.book.ask(
            self._user,
            meter,
            PLACED_PER_WINDOW // PER_CALL,
            lambda account, by: self._reader.client.place_batch(account, chunk, write_by=by),
        ).items

    def _own_orders(self) -> list[str]:
        """The drill's orders on the book, by ordId."""
        pages = self._reader.book.open_orders(self._user, {"instId": self._plan.inst_id})
        return [row["ordId"] for page in pages for row in page if row.get("tag") == self._plan.tag]

    def _cancel(self) -> tuple[MassReport, list[Row]]:
        plan, masses, batches = self._plan, Masses(self._store), self._store.batches
        asked = {"account": plan.account, "batch_id": plan.tag, "instId": plan.inst_id, "tag": plan.tag}
        asked |= {"requested_by": plan.by, "reason": "drill"}
        self._step(ASKED)
        masses.take(parse_cancel_all({**asked, "until_flat_s": plan.until_flat_s}))
        ends = time.monotonic() + plan.timeout_s
        while time.monotonic() < ends:
            if not masses.awaits_survey(masses.state(plan.tag), batches.state(plan.tag)):
                break
            time.sleep(FRAME_S)
        mass, state, rows = masses.state(plan.tag), batches.state(plan.tag), batches.rows(plan.tag)
        return make_report(mass, state, rows, surveying=masses.awaits_survey(mass, state)), rows

    def _judge(self, report: MassReport, rows: Sequence[Row]) -> None:
        plan = self._plan
        self._drill.report = report
        times = {
            "first cancel sent": min((row.first_sent_at for row in rows if row.first_sent_at), default=None),
            "last cancel accepted": max((row.accepted_at for row in rows if row.accepted_at), default=None),
            "last order confirmed off the book": max(
                (row.finished_at for row in rows if row.finished_at), default=None
            ),
        }
        for name, at_us in times.items():
            if at_us is not None:
                self._step(name, time_of(at_us))
        if report.flat_at:
            self._step("scope empty from here on", report.flat_at)
        if not report.over:
            self._fault(f"not over after {plan.timeout_s:g} s: {report.trouble or 'are workers running?'}")
        elif report.state != "flat":
            self._fault(f"the mass cancel ended {report.state}, not flat")
        if report.matched != plan.orders or report.outcomes.get(Status.CANCELED) != plan.orders:
            self._fault(f"{report.matched} matched and {dict(report.outcomes)}, but {plan.orders} should be canceled")

    def _verify(self, placed: Sequence[str]) -> None:
        """Each order by itself, as the exchange tells it."""
        refs = [OrderRef(self._plan.inst_id, order_id) for order_id in placed]
        states = [self._reader.book.order(self._user, ref).get("state", "unknown") for ref in refs]
        canceled = states.count("canceled")
        self._step(f"{canceled} of {len(placed)} orders told canceled by the exchange, one by one")
        if canceled < len(placed):
            others = sorted({state for state in states if state != "canceled"})
            self._fault(f"{len(placed) - canceled} orders are {' or '.join(others)} at the exchange")

    def _clean_up(self) -> None:
        """Nothing of the drill stays on the book: what the mass cancel left is cancelled directly."""
        try:
            call_off(self._store.scripts, self._plan.tag, by=self._plan.by, reason="drill failed")
            left = self._sweep()
        except (ExchangeError, RedisError) as error:
            self._fault(f"cleaning up: {_told(error)}; look for orders with tag {self._plan.tag}")
            return
        if left:
            self._fault(f"still on the book: {', '.join(left)}")
        else:
            self._step("cleaned up: none of the drill's orders is on the book")

    def _sweep(self) -> list[str]:
        """Cancels what is still listed, again and again; what is left of it after some rounds."""
        left = self._own_orders()
        for _ in range(ROUNDS):
            for order_id in left:
                self._cancel_directly(OrderRef(self._plan.inst_id, order_id))
            time.sleep(PAUSE_S)  # a cancel takes effect a little later, and an order may be on its way in
            left = self._own_orders()
            if not left:
                break
        return left

    def _cancel_directly(self, ref: OrderRef) -> None:
        meter = f"{lane_of(self._user.uid, ref.instId)}:single"
        self._reader.book.ask(
            self._user,
            meter,
            self._user.limits.single,
            lambda account, by: self._reader.client.cancel(account, ref, write_by=by),
        )

    def _step(self, name: str, at: datetime | None = None) -> None:
        seconds, micros = self._store.redis.time()
        self._drill.steps.append(Step(name, at or time_of(seconds * 1_000_000 + micros)))
        self._tell(name)

    def _fault(self, words: str) -> None:
        self._drill.faults.append(words)
        self._tell(words)


def _told(error: ExchangeError | RedisError) -> str:
    return error.told if isinstance(error, ExchangeError) else f"Redis: {error}"
