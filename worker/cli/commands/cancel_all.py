"""`bulk-cancel all`: takes a mass cancel, shows its progress, and reports as FIX would."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from redis.exceptions import RedisError

from bulk_cancel.tasks.asking import answered
from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll, parse_cancel_all
from bulk_cancel.tasks.messages import new_batch_id
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.report import MassReport, report_json
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.decide import By, Why, asked_by
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.error_lines import lines_of, redis_url
from bulk_cancel.worker.cli.errors import CommandError, Exit, joined
from bulk_cancel.worker.cli.flags import as_flags
from bulk_cancel.worker.cli.mass_status import held_words
from bulk_cancel.worker.cli.mass_wait import Following
from bulk_cancel.worker.cli.screen.mass import MassProgress, report_parts
from bulk_cancel.worker.cli.screen.output import plural, print_json, show
from bulk_cancel.worker.operators.reports import read_report
from bulk_cancel.worker.operators.shapes import document, placed
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.fleet import START_WORKER, read_workers, troubles
from bulk_cancel.worker.state.shards import Each, Shard
from bulk_cancel.worker.state.store import Store

Accounts = Annotated[list[str] | None, typer.Option("--account", help="Whose orders (repeatable).")]


def all_(
    *,
    account: Accounts = None,
    all_accounts: Annotated[bool, typer.Option("--all-accounts", help="Every account that is known.")] = False,
    inst_type: Annotated[str | None, typer.Option(help="SPOT, MARGIN, SWAP, FUTURES, OPTION or EVENTS.")] = None,
    inst_family: Annotated[
        str | None, typer.Option(help="Such as BTC-USDT: SWAP, FUTURES and OPTION have one.")
    ] = None,
    inst_id: Annotated[str | None, typer.Option(help="One instrument.")] = None,
    side: Annotated[str | None, typer.Option(help="buy or sell.")] = None,
    tag: Annotated[str | None, typer.Option(help="The tag that the orders were placed with.")] = None,
    cl_ord_id_prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Orders whose clOrdId begins so: those of one program.")
    ] = None,
    min_age: Annotated[float | None, typer.Option(metavar="S", help="Placed longer ago than that.")] = None,
    until_flat: Annotated[
        float | None, typer.Option(metavar="S", help="Again and again, until nothing was open for so long.")
    ] = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="Cancel what comes, too, until `bulk-cancel release ID`; returns when flat.")
    ] = False,
    with_: Annotated[
        str | None, typer.Option("--with", metavar="KINDS", help="Besides orders: algos,spreads,rfqs,bots, or some.")
    ] = None,
    protective: Annotated[
        str | None, typer.Option(metavar="keep|cancel", help="Algo orders that can only reduce a position: keep.")
    ] = None,
    bots: Annotated[
        str | None, typer.Option(metavar="keep-positions", help="How bots stop: nothing is sold or closed.")
    ] = None,
    deadline: Annotated[int | None, typer.Option(metavar="S", min=1, max=86_400, help="Then give up.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="S", min=0, help="Longest wait; then exit 3.")] = None,
    reason: Why = "",
    by: By = None,
    batch_id: Annotated[str | None, typer.Option(help="The idempotency key.")] = None,
    urgent: Annotated[bool, typer.Option("--urgent/--normal", help="Before all other orders, or among them.")] = True,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only list what would be cancelled.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --all-accounts.")] = False,
    as_json: Json = False,
) -> int:
    """Cancel everything that is open and fits every filter, wait for it and report.

    Exit 0: all of it is off the book, with --until-flat nothing came for so long, and nothing else can place orders;
    1: some orders were rejected or exhausted, the scope is not flat, or something is left that can place orders.
    With --hold the same of the time at which it was flat first; it goes on.
    """
    who = asked_by(by, reason)
    filters: dict[str, object] = {
        "instType": _upper(inst_type),
        "instFamily": inst_family,
        "instId": inst_id,
        "side": side,
        "tag": tag,
        "clOrdId_prefix": cl_ord_id_prefix,
        "min_age_s": min_age,
        "until_flat_s": until_flat,
        "hold": hold,
        "with": with_,
        "protective": protective,
        "bots": bots,
    }
    said = {**filters, "deadline_s": deadline, "urgent": urgent, "requested_by": who.by, "reason": who.reason}
    named = _accounts(account, all_accounts=all_accounts)
    first_id = new_batch_id() if batch_id is None else batch_id
    # what is refused of `with` names what is wrong of it
    values = {**said, "account": ", ".join(named), "batch_id": batch_id, "with": None}
    with as_flags(values):
        asked = [parse_cancel_all({**said, **each}) for each in _each(named, first_id)]
    with context.whole() as whole:
        if dry:
            from bulk_cancel.worker.cli.commands.dry_run import dry_run  # noqa: PLC0415 (brings the HTTP client)

            return dry_run(whole, asked, as_json=as_json)
        if all_accounts and not yes:
            _ask(whole, hold=hold)
        with as_flags(values):
            taken = _take(whole, asked, first_id)
        _tell(whole, taken, quiet=as_json)
        following = _wait(whole, taken, timeout)
        reports = whole.then(taken, lambda shard, masses: [read_report(shard.store, mass.batch_id) for mass in masses])
    failed = {**following.failed, **reports.failed}
    late = {name: error for name, error in failed.items() if name not in taken.failed}
    shown = [(whole.label(name), report) for name, each in reports.answers.items() for report in each]
    if not as_json:
        sys.stderr.write(joined(context.failures(late)))
    return _print(shown, over=not following.left, missing=context.failures(failed), as_json=as_json)


def _ask(whole: Whole, *, hold: bool) -> None:
    """A person at a terminal may have meant less; a program, which can't be asked, means what it says."""
    if not sys.stdin.isatty():
        return
    told = whole.each(lambda shard: shard.store.directory.all())
    accounts = [info for each in context.answers(told).values() for info in each.values()]
    users = len({info.uid for info in accounts})
    names = ", ".join(info.name for info in accounts)
    whose = f"{plural(len(accounts), 'account')} ({plural(users, 'User ID')}): {names}"
    comes = ", and whatever comes until it is released" if hold else ""
    sys.stderr.writelines(f"{line}\n" for line in context.failures(told.failed))
    typer.confirm(f"cancel what is open of {whose}{comes}?", abort=True, err=True)


def _upper(text: str | None) -> str | None:
    return text.upper() if text else text


def _accounts(named: Sequence[str] | None, *, all_accounts: bool) -> list[str]:
    if all_accounts and named:
        raise CommandError("--account and --all-accounts contradict each other; give one of them")
    if not all_accounts and not named:
        raise CommandError("--account or --all-accounts is required")
    return [ALL_ACCOUNTS] if all_accounts else list(dict.fromkeys(name.lower() for name in named or ()))


def _each(accounts: Sequence[str], batch_id: str) -> Iterator[dict[str, str]]:
    """Account and batch id of each; several accounts get their names behind the id, as with all of them."""
    for account in accounts:
        yield {"account": account, "batch_id": batch_id if len(accounts) == 1 else f"{batch_id}-{account}"}


def _take(whole: Whole, asked: Sequence[CancelAll], batch_id: str) -> Each[list[Mass]]:
    """What every shard took; raises if none did."""
    again = f"ask again with --batch-id {batch_id}: what was taken is not taken twice"
    try:
        taken = whole.then(whole.mass_cancels(asked), lambda shard, mine: _taken(whole, shard, mine))
    except RedisError as error:
        raise CommandError(*lines_of(error, redis_url()), again) from error
    if taken.failed and not any(taken.answers.values()):
        for why in taken.failed.values():
            if not isinstance(why, RedisError):
                raise why
        raise CommandError(*context.failures(taken.failed), again)
    if taken.failed:
        sys.stderr.write(joined([*context.failures(taken.failed), f"what is open there may stay open: {again}"]))
    return taken


def _taken(whole: Whole, shard: Shard, asked: Sequence[CancelAll]) -> list[Mass]:
    """Nothing if one account is unknown; what was begun before another fault is told, for it goes on."""
    if answered(whole.shards.ask_is_empty(shard)):
        return []
    for each in asked:
        if each.account != ALL_ACCOUNTS:
            shard.store.directory.find(each.account)
    masses: list[Mass] = []
    try:
        for each in asked:
            masses += Masses(shard.store).take(each)
    except (BulkCancelError, RedisError):
        sys.stderr.write(joined([_goes_on(masses)] if masses else []))
        raise
    return masses


def _tell(whole: Whole, taken: Each[list[Mass]], *, quiet: bool) -> None:
    masses = [mass for each in taken.answers.values() for mass in each]
    lines = [f"mass cancel {mass.batch_id} of account {mass.account}{_until_when(mass)}" for mass in masses]
    if not quiet:
        sys.stderr.writelines(f"{line}\n" for line in lines)
    told = whole.then(taken, lambda shard, masses: _held(whole, shard, masses))
    sys.stderr.writelines(told.answers.values())


def _held(whole: Whole, shard: Shard, masses: Sequence[Mass]) -> str:
    """What keeps the workers of a shard from it."""
    store, where = shard.store, f"shard {shard.name}: " if whole.shards.several else ""
    held = held_words(store, masses)
    if not masses or any(worker.alive for worker in read_workers(store.redis, store.keys)):
        return held
    return held + joined([f"{where}no worker is alive: nothing is cancelled until one runs: {START_WORKER}"])


def _until_when(mass: Mass) -> str:
    return f", on hold until: bulk-cancel release {mass.batch_id}" if mass.on_hold else ""


def _wait(whole: Whole, taken: Each[list[Mass]], timeout_s: float | None) -> Following:
    """Until there is nothing more to wait for, `timeout_s` at the longest."""
    every, following = [mass for each in taken.answers.values() for mass in each], Following(whole, taken)
    try:
        MassProgress().follow(following.progress(timeout_s))
    except KeyboardInterrupt:
        sys.stderr.write(joined([_goes_on(every)]))
        raise
    except RedisError as error:
        raise CommandError(*lines_of(error, redis_url()), _goes_on(every)) from error
    if left := [mass for each in following.left.values() for mass in each]:
        sys.stderr.write(joined([f"not over after {timeout_s:g} s"]))
        told = whole.then(Each(following.left, {}), lambda shard, masses: _why(shard.store, masses))
        sys.stderr.writelines(told.answers.values())
        sys.stderr.write(joined([_goes_on(left)]))
    if lost := [mass for name in following.failed for mass in taken.answers[name]]:
        sys.stderr.write(joined([_goes_on(lost)]))
    return following


def _why(store: Store, masses: Sequence[Mass]) -> str:
    why = troubles(read_workers(store.redis, store.keys), [mass.account for mass in masses])
    return joined(why) + held_words(store, masses)


def _goes_on(masses: Sequence[Mass]) -> str:
    ways = (f"see: bulk-cancel status {mass.batch_id} --watch; to stop: {_end(mass)}" for mass in masses)
    return f"{plural(len(masses), 'mass cancel')} going on without us; " + "; ".join(ways)


def _end(mass: Mass) -> str:
    return f"bulk-cancel {'release' if mass.on_hold else 'withdraw'} {mass.batch_id}"


def _print(shown: Sequence[tuple[str, MassReport]], *, over: bool, missing: Sequence[str], as_json: bool) -> int:
    """What a shard that did not answer has is not known to have succeeded."""
    succeeded = not missing and all(report.succeeded for _, report in shown)
    if as_json:
        said = {"succeeded": succeeded, "reports": [placed(name, report_json(report)) for name, report in shown]}
        print_json(document("all", said | ({"missing": missing} if missing else {})))
    for index, (_, report) in enumerate(shown):
        if not as_json:
            show(*([""] if index else []), *report_parts(report))
    if not over:
        return Exit.TIMEOUT
    return Exit.OK if succeeded else Exit.DEAD
