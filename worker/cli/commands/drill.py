"""`bulk-cancel drill`: the whole exercise with orders of its own, and its dated report."""

import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.books.able import said_of
from bulk_cancel.worker.books.mass.report import report_json
from bulk_cancel.worker.books.reader import reading
from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.decide import By, asked_by
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.demo.plan import Plan
from bulk_cancel.worker.cli.demo.stage import ACCOUNT, stage
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.output import (
    as_text,
    clean,
    fact_grid,
    print_json,
    show,
    table,
)
from bulk_cancel.worker.operators.drill.rules import ASKED, Drill, DrillPlan, check_place
from bulk_cancel.worker.operators.drill.run import Drilling
from bulk_cancel.worker.operators.shapes import document, iso, plain
from bulk_cancel.worker.state.fleet import read_workers
from bulk_cancel.worker.state.store import Store

WORKERS: Final = 2
DELAY_MS: Final = 5.0
ORDERS_AT_MOST: Final = 400
"""An instrument takes 500 open orders of one account."""
_AMOUNT: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def drill(
    *,
    account: Annotated[str | None, typer.Option(help="A demo account, or one of a simulated exchange.")] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="On a Redis, exchange and workers of its own, as demo does.")
    ] = False,
    orders: Annotated[int, typer.Option(min=1, max=ORDERS_AT_MOST, help="Far-off orders to place.")] = 20,
    inst_id: Annotated[str, typer.Option(help="The instrument on which they are placed.")] = "BTC-USDT",
    px: Annotated[str | None, typer.Option(help="Their price; half of the last one without it.")] = None,
    sz: Annotated[str | None, typer.Option(help="Their size; the least allowed without it.")] = None,
    td_mode: Annotated[str | None, typer.Option(help="cash, cross or isolated; by the instrument without it.")] = None,
    until_flat: Annotated[float, typer.Option(metavar="S", min=0.1, max=600, help="Nothing open for so long.")] = 3.0,
    timeout: Annotated[float, typer.Option(metavar="S", min=1, max=900, help="Then the drill has failed.")] = 60.0,
    by: By = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to place orders.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report there, too.")] = None,
    as_json: Json = False,
) -> int:
    """Prove the kill switch: place far-off orders, cancel exactly those until flat, check each, and report with times.

    Only for demo trading and simulated exchanges. Exit 0: passed; 1: failed. Leaves no order behind.
    """
    if embedded and account:
        raise CommandError("--embedded has an account of its own; leave --account out")
    if not (embedded or account):
        raise CommandError("--account is required; --embedded needs none")
    if until_flat >= timeout:
        raise CommandError(f"--until-flat {until_flat:g} does not fit into --timeout {timeout:g}")
    _check_order(px, sz, td_mode)
    if output:
        _check_writable(output)
    plan = DrillPlan(
        account=account.lower() if account else ACCOUNT, inst_id=inst_id.upper(), orders=orders, px=px, sz=sz,
        td_mode=td_mode, until_flat_s=until_flat, timeout_s=timeout, tag=f"drill{token_hex(4)}", by=asked_by(by, "").by,
    )  # fmt: skip
    with _store(plan, embedded=embedded) as store:
        done, facts = _run(store, plan, ask=not (yes or embedded), quiet=as_json)
    _print(done, facts, output=output, as_json=as_json)
    return Exit.OK if done.passed else Exit.DEAD


@contextmanager
def _store(plan: DrillPlan, *, embedded: bool) -> Iterator[Store]:
    if not embedded:
        with context.whole() as whole, whole.at_account(plan.account) as shard:
            yield shard.store
        return
    with stage(Plan({plan.inst_id: plan.orders}), workers=WORKERS, delay_ms=DELAY_MS) as on:
        yield on.store


def _run(store: Store, plan: DrillPlan, *, ask: bool, quiet: bool) -> tuple[Drill, dict[str, str]]:
    alive = [worker for worker in read_workers(store.redis, store.keys) if worker.alive]
    if not alive:
        raise CommandError("no worker is alive, and a drill is about the workers: start one, or give --embedded")
    with reading(store) as reader:
        check_place(store.settings, reader, plan.account)
        address = store.settings.base_url_of(reader.account(plan.account))
        if ask:
            _ask(f"place {plan.orders} orders of {plan.inst_id} at {address}")
        drilling = Drilling(store, reader, plan, lambda line: None if quiet else _say(line))
        facts = _facts(store, address, demo=reader.account(plan.account).demo, workers=len(alive))
        return drilling.run(), facts


def _ask(what: str) -> None:
    """Orders are placed only by somebody who said so; where nobody can be asked, `--yes` says it."""
    if not sys.stdin.isatty():
        raise CommandError(f"a drill would {what}, and nobody can be asked here: give --yes")
    typer.confirm(f"{what}?", abort=True, err=True)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _facts(store: Store, address: str, *, demo: bool, workers: int) -> dict[str, str]:
    """Where and with what the drill was done."""
    redis = store.redis.info("server")["redis_version"]
    return {
        "date": iso(datetime.now(UTC)),
        "exchange": address + (" (demo trading)" if demo else ""),
        "versions": f"bulk-cancel {version('bulk-cancel')}, Python {platform.python_version()}, Redis {redis}",
        "workers": str(workers),
        "settings": f"CONFIRM={store.settings.confirm}",
    }


def _check_order(px: str | None, sz: str | None, td_mode: str | None) -> None:
    for option, text in (("--px", px), ("--sz", sz)):
        if text is not None and not (_AMOUNT.fullmatch(text) and float(text) > 0):
            raise CommandError(f"{option} {text}: should be a number greater than 0, such as 0.01")
    if td_mode not in {None, "cash", "cross", "isolated"}:
        raise CommandError(f"--td-mode {td_mode}: should be cash, cross or isolated")


def _check_writable(path: Path) -> None:
    """Before an order is placed, not after."""
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise CommandError(f"--output {path}: cannot write there")


def _print(done: Drill, facts: dict[str, str], *, output: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(_json(done, facts))
    else:
        show(*_parts(done, facts))
    if output:
        said = json.dumps(_json(done, facts), default=plain, indent=2) + "\n"
        output.write_text(said if as_json else as_text(*_parts(done, facts)), encoding="utf-8")


def _json(done: Drill, facts: dict[str, str]) -> dict[str, object]:
    plan, order = done.plan, done.order
    said = {
        "passed": done.passed,
        **facts,
        "by": plan.by,
        "account": plan.account,
        "uid": done.uid,
        "orders": plan.orders,
        "order": dict(order),
        "until_flat_s": plan.until_flat_s,
        "steps": [{"step": step.name, "at": step.at} for step in done.steps],
        "faults": done.faults,
        **said_of(done.survey),
        "mass_cancel": report_json(done.report) if done.report else None,
    }
    return document("drill", said)


def _parts(done: Drill, facts: dict[str, str]) -> list[RenderableType]:
    verdict = Text("PASSED", style="bold green") if done.passed else Text("FAILED", style="bold red")
    return [
        Text.assemble("drill of the kill switch: ", verdict),
        Text(),
        fact_grid((name, clean(value)) for name, value in _head(done, facts)),
        Text(),
        _steps(done),
        *([Text()] if done.faults else []),
        *(Text(f"fault: {clean(fault)}", style="red") for fault in done.faults),
    ]


def _head(done: Drill, facts: dict[str, str]) -> Iterator[tuple[str, str]]:
    plan, order = done.plan, done.order
    yield "date", facts["date"]
    yield "by", plan.by
    yield "account", f"{plan.account}, User ID {done.uid}"
    yield from ((name, facts[name]) for name in ("exchange", "versions", "workers", "settings"))
    what = f"{order['side']} {order['sz']} at {order['px']} ({order['ordType']}), tag {plan.tag}"
    yield "orders", f"{plan.orders} of {plan.inst_id}: {what}"
    yield "mass cancel", f"{plan.tag}, until empty for {plan.until_flat_s:g} s"
    if done.survey:
        yield "not affected", done.survey.words or "nothing else can place orders"


def _steps(done: Drill) -> Table:
    """Each step with its time, and how long after the mass cancel was asked for."""
    asked = next((step.at for step in done.steps if step.name == ASKED), None)
    made = table("step", "at", "after it was asked for", right=("after it was asked for",), flexible=("step",))
    for step in sorted(done.steps, key=lambda step: step.at):
        after = (step.at - asked).total_seconds() if asked else -1.0
        made.add_row(step.name, iso(step.at), f"{after:.3f} s" if after >= 0 else "")
    return made
