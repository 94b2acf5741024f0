"""`bulk-cancel gateway`: the HTTP door and the page, until SIGTERM or Ctrl-C."""

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.errors import CommandError, Exit, joined
from bulk_cancel.worker.config.extras import needing
from bulk_cancel.worker.config.logs import configure_logs
from bulk_cancel.worker.config.settings import load_settings


def gateway(
    *,
    host: Annotated[str, typer.Option(help="Where it listens; beyond this machine only with tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8181,
    root_path: Annotated[str, typer.Option(metavar="PATH", help="Where a proxy has it, such as /bulk-cancel.")] = "",
    new_token: Annotated[
        str | None,
        typer.Option(
            "--new-token", metavar="NAME", help="Print a new token and the lines for the file; serve nothing."
        ),
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="Of the new token: watch, read, operate or kill.", show_default="read")
    ] = None,
) -> int:
    """The HTTP door and the page, until Ctrl-C: requests, events and metrics; see GATEWAY_TOKENS_FILE.

    Without tokens only this machine is let in.
    """
    with needing("gateway"):
        from bulk_cancel.worker.gateway import app, asgi, guard, server  # noqa: PLC0415 (what the extra brings)
    if new_token is not None:
        return _new_token(new_token, role or "read")
    if role is not None:
        raise CommandError(f"--role {role}: needs --new-token NAME; what is served has the roles of its tokens")
    tokens_file = load_settings().gateway_tokens_file
    if tokens_file is None and not guard.is_loopback(host):
        raise CommandError(
            f"--host {host}: without tokens the door is for this machine only; set GATEWAY_TOKENS_FILE (a token: "
            "bulk-cancel gateway --new-token NAME --role operate)"
        )
    with context.whole() as whole:
        settings = whole.shards.settings
        configure_logs(settings.log_level)
        door = app.create_app(whole.shards, asgi.tokens_of(settings))
        if not tokens_file:
            sys.stderr.write(joined(["no GATEWAY_TOKENS_FILE: whoever is on this machine may do everything"]))
        ended = server.serve(
            door, host=host, port=port, root_path=root_path, ending=door.end, started=_say
        )  # fmt: skip
        door.close()
    if not ended:
        raise CommandError(f"--host {host} --port {port}: cannot listen there; choose another")
    return Exit.OK


def _say(url: str) -> None:
    sys.stdout.write(f"{url}/\n")
    sys.stdout.flush()


def _new_token(name: str, role: str) -> int:
    from bulk_cancel.worker.gateway.callers import Role, hash_of, new_secret  # noqa: PLC0415 (the same)

    if role not in [*Role]:
        raise CommandError(f"--role {role}: should be one of {', '.join(Role)}")
    secret = new_secret()
    _check_name(name, role, hash_of(secret))
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    sys.stdout.write(
        f"# the token, shown only now: {secret}\n"
        f'[[token]]\nname = "{quoted}"\nrole = "{role}"\nsha256 = "{hash_of(secret)}"\n'
    )
    return Exit.OK


def _check_name(name: str, role: str, sha256: str) -> None:
    """As the door will, when it reads the lines."""
    from bulk_cancel.worker.gateway.callers import Token  # noqa: PLC0415 (the same)

    try:
        Token.model_validate({"name": name, "role": role, "sha256": sha256})
    except ValidationError:
        raise CommandError(f"--new-token {name!r:.80}: should be 1 to 256 printable characters") from None
