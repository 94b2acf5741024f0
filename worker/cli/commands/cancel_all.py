"""`bulk-cancel all`: takes a mass cancel, shows its progress, and reports as FIX would."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer
from redis.exceptions import RedisError

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
from bulk_cancel.worker.cli.mass_status import held_words, read_report
from bulk_cancel.worker.cli.screen.mass import MassProgress, Progress, report_parts
from bulk_cancel.worker.cli.screen.output import document, plural, print_json, show
from bulk_cancel.worker.state.fleet import START_WORKER, read_workers, troubles
from bulk_cancel.worker.state.store import Store

FRAME_S: Final = 0.15

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
    min_age: Annotated[float | None, typer.Option(metavar="S", help="Placed longer ago than that.")] = None,
    until_flat: Annotated[
        float | None, typer.Option(metavar="S", help="Again and again, until nothing was open for so long.")
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

    Exit 0: all of it is off the book, and with --until-flat nothing came for so long. 1: some orders were rejected or
    exhausted, or the scope is not flat.
    """
    who = asked_by(by, reason)
    filters: dict[str, object] = {
        "instType": _upper(inst_type),
        "instFamily": inst_family,
        "instId": inst_id,
        "side": side,
        "tag": tag,
        "min_age_s": min_age,
        "until_flat_s": until_flat,
    }
    said = {**filters, "deadline_s": deadline, "urgent": urgent, "requested_by": who.by, "reason": who.reason}
    named = _accounts(account, all_accounts=all_accounts)
    first_id = new_batch_id() if batch_id is None else batch_id
    values = {**said, "account": ", ".join(named), "batch_id": batch_id}
    with as_flags(values):
        asked = [parse_cancel_all({**said, **each}) for each in _each(named, first_id)]
    with context.opened() as store:
        if dry:
            from bulk_cancel.worker.cli.commands.dry_run import dry_run  # noqa: PLC0415 (brings the HTTP client)

            return dry_run(store, asked, as_json=as_json)
        if all_accounts and not yes:
            _ask(store)
        with as_flags(values):
            masses = _take(store, asked)
        _tell(store, masses, quiet=as_json)
        _wait(store, masses, timeout)
        reports = [read_report(store, mass.batch_id) for mass in masses]
    return _print(reports, as_json=as_json)


def _ask(store: Store) -> None:
    """A person at a terminal may have meant less; a program, which can't be asked, means what it says."""
    if not sys.stdin.isatty():
        return
    accounts = store.directory.all().values()
    users = len({info.uid for info in accounts})
    names = ", ".join(info.name for info in accounts)
    whose = f"{plural(len(accounts), 'account')} ({plural(users, 'User ID')}): {names}"
    typer.confirm(f"cancel what is open of {whose}?", abort=True, err=True)


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


def _take(store: Store, asked: Sequence[CancelAll]) -> list[Mass]:
    try:
        return [mass for each in asked for mass in Masses(store).take(each)]
    except RedisError as error:
        again = f"ask again with --batch-id {asked[0].batch_id}: what was taken is not taken twice"
        raise CommandError(*lines_of(error, redis_url()), again) from error


def _tell(store: Store, masses: Sequence[Mass], *, quiet: bool) -> None:
    lines = [f"mass cancel {mass.batch_id} of account {mass.account}" for mass in masses]
    if not quiet:
        sys.stderr.writelines(f"{line}\n" for line in lines)
    sys.stderr.write(held_words(store, masses))
    if not any(worker.alive for worker in read_workers(store.redis, store.keys)):
        sys.stderr.write(joined([f"no worker is alive: nothing is cancelled until one runs: {START_WORKER}"]))


def _wait(store: Store, masses: Sequence[Mass], timeout_s: float | None) -> None:
    ids = [mass.batch_id for mass in masses]
    try:
        last = MassProgress().follow(_progress(store, ids, timeout_s))
    except KeyboardInterrupt:
        sys.stderr.write(joined([_goes_on(ids)]))
        raise
    except RedisError as error:
        raise CommandError(*lines_of(error, redis_url()), _goes_on(ids)) from error
    if not _over(last):
        left = [mass for mass, state in last if not (mass.ended and state.complete)]
        why = troubles(read_workers(store.redis, store.keys), [mass.account for mass in left])
        sys.stderr.write(joined([f"not over after {timeout_s:g} s", *why]))
        sys.stderr.write(held_words(store, left) + joined([_goes_on([mass.batch_id for mass in left])]))


def _progress(store: Store, ids: Sequence[str], timeout_s: float | None) -> Iterator[Progress]:
    """How each stands, again and again until all are over or it took too long."""
    ends = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        now = [(Masses(store).state(each), store.batches.state(each)) for each in ids]
        yield now
        left_s = FRAME_S if ends is None else ends - time.monotonic()
        if _over(now) or left_s <= 0:
            return
        time.sleep(min(FRAME_S, left_s))


def _over(now: Progress) -> bool:
    return all(mass.ended and state.complete for mass, state in now)


def _goes_on(ids: Sequence[str]) -> str:
    ways = (f"see: bulk-cancel status {each} --watch; to stop: bulk-cancel withdraw {each}" for each in ids)
    return f"{plural(len(ids), 'mass cancel')} going on without us; " + "; ".join(ways)


def _print(reports: Sequence[MassReport], *, as_json: bool) -> int:
    if as_json:
        succeeded = all(report.succeeded for report in reports)
        said = {"succeeded": succeeded, "reports": [report_json(report) for report in reports]}
        print_json(document("all", said))
    for index, report in enumerate(reports):
        if not as_json:
            show(*([""] if index else []), *report_parts(report))
    if not all(report.complete for report in reports):
        return Exit.TIMEOUT
    return Exit.OK if all(report.succeeded for report in reports) else Exit.DEAD
