"""Tests of what a person is told of an error: plain lines and an exit status, whatever was raised."""

import json
from contextlib import nullcontext
from typing import Final, Self

import pytest
import redis.sentinel
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Away

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker import cli
from bulk_cancel.worker.cli import app as app_module
from bulk_cancel.worker.cli.demo import stage
from bulk_cancel.worker.cli.error_lines import lines_of
from bulk_cancel.worker.cli.errors import Exit, exit_of
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.simulator.embedded import RedisNotStarted
from bulk_cancel.worker.simulator.process import SimulatorError
from tests.support.class_tree import subclasses

URL: Final = "redis://me:pa55word@127.0.0.1:6379/0"
BUG: Final = "internal error, please report it: "


def theirs(root: type[Exception]) -> list[type[Exception]]:
    """A library's classes below `root`."""
    below = {each for kind in root.__subclasses__() for each in (kind, *theirs(kind))}
    return sorted(below, key=lambda kind: (kind.__module__, kind.__name__))


def told(error: Exception, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """The exit status of a command that raises `error`."""

    def app(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(app_module, "make_app", lambda _: app)
    return cli.run(["status", *options])


@pytest.mark.parametrize("kind", [BulkCancelError, *subclasses(BulkCancelError)], ids=lambda kind: kind.__name__)
def test_an_error_of_ours_speaks_for_itself(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line by line as it is, or as JSON; exit 2."""
    error = kind.__new__(kind, "what is wrong\nhow to mend it")  # past constructors that want to know more
    assert told(error, monkeypatch) == Exit.BAD
    assert capsys.readouterr() == ("", "bulk-cancel: what is wrong\nbulk-cancel: how to mend it\n")
    assert told(error, monkeypatch, "--json") == Exit.BAD
    out, err = capsys.readouterr()
    assert (out, json.loads(err)) == (
        "",
        {"schema": "error/1", "error": ["what is wrong", "how to mend it"], "exit": 2},
    )


def errors_of_redis() -> list[type[Exception]]:
    """redis-py's; one of ours among them says by itself which Redis it was."""
    return [kind for kind in theirs(RedisError) if not issubclass(kind, BulkCancelError)]


@pytest.mark.parametrize("kind", [RedisError, *errors_of_redis()], ids=lambda kind: kind.__name__)
def test_every_error_of_redis_is_told_in_one_line(kind: type[Exception]) -> None:
    """Where that Redis is, without the password, and never as if it were our own fault."""
    [line] = lines_of(kind.__new__(kind, "it said pa55word"), URL)
    assert " Redis at redis://***@127.0.0.1:6379/0" in f" {line}"
    assert "it said ***" in line
    assert BUG not in line


@pytest.mark.parametrize(
    "said",
    [
        "Error running script (call to f_0ab1): @user_script:62: @user_script: 62: -READONLY You can't write.",
        "READONLY You can't write. script: 0ab1, on @user_script:62.",
    ],
    ids=["Redis 6.2", "Redis 7"],
)
def test_a_redis_that_takes_no_writes_is_told_without_a_place_in_a_script(said: str) -> None:
    """What must be mended is Redis, and nothing of ours."""
    [line] = lines_of(ResponseError(said), URL)
    told = "Redis at redis://***@127.0.0.1:6379/0 refuses to write: READONLY You can't write"
    assert line == f"{told}; bulk-cancel check says more"


def test_the_errors_of_redis_are_found() -> None:
    """The walk sees what it is meant to see."""
    assert {Away, AuthenticationError, ResponseError, redis.sentinel.MasterNotFoundError} <= {*theirs(RedisError)}


@pytest.mark.parametrize("kind", [ExchangeError, *subclasses(ExchangeError)], ids=lambda kind: kind.__name__)
def test_an_error_of_the_exchange_that_no_command_expects_is_a_bug(
    kind: type[ExchangeError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, no traceback; commands that ask the exchange say themselves what its answer means for them."""
    assert told(kind("Too Many Requests", code="50011", http_status=429), monkeypatch) == Exit.BAD
    said = f"bulk-cancel: {BUG}{kind.__name__}: HTTP 429 50011 Too Many Requests\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("kind", [ValueError, LookupError, RuntimeError, ZeroDivisionError])
def test_an_unknown_error_is_a_bug(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even one of a kind from which an error of ours derives is taken for one."""
    assert told(kind("broken"), monkeypatch) == Exit.BAD
    assert capsys.readouterr() == ("", f"bulk-cancel: {BUG}{kind.__name__}: broken\n")


class Broken:
    """A server of the demo that does not start, for `error`."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: object) -> Self:
        """As its class is called."""
        return self

    def __enter__(self) -> Self:
        raise self.error

    def __exit__(self, *_: object) -> None:
        """Nothing is left."""


@pytest.mark.parametrize(
    ("server", "error"),
    [("EmbeddedRedis", RedisNotStarted("no redis-server")), ("Simulator", SimulatorError("it did not start"))],
)
def test_what_the_demo_runs_on_speaks_for_itself(
    server: str, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulator's errors, which are not of our tree, are told as ours are."""
    monkeypatch.setattr(stage, "EmbeddedRedis", nullcontext)
    monkeypatch.setattr(stage, server, Broken(error))
    assert cli.run(["demo", "--orders", "2", "--instruments", "1", "--json"]) == Exit.BAD
    last = capsys.readouterr().err.splitlines()[-1]
    assert json.loads(last) == {"schema": "error/1", "error": [str(error)], "exit": 2}


@pytest.mark.parametrize(
    "error",
    [Away("no pa55word here"), AuthenticationError("pa55word"), ResponseError("pa55word"), ValueError("pa55word")],
)
def test_the_password_is_never_shown(error: Exception) -> None:
    """Not even when an exception holds it."""
    lines = lines_of(error, URL)
    assert "pa55word" not in " ".join(lines)
    assert len(lines) == 1


def test_redis_away_says_where_and_how_to_mend() -> None:
    """Address and variable."""
    [line] = lines_of(Away("Connection refused."), URL)
    assert line.startswith("no answer from Redis at redis://***@127.0.0.1:6379/0: Connection refused;")
    assert "BULK_CANCEL_REDIS_URL" in line


def test_exit_statuses_are_the_contract() -> None:
    """Not in time comes before dead."""
    assert int(exit_of(dead=0)) == 0
    assert int(exit_of(dead=1)) == 1
    assert int(exit_of(dead=1, complete=False)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["batches", "--status", "foo"], "Invalid value for '--status': 'foo' is not one of 'open', "),
        (["batches", "--count", "0"], "Invalid value for '--count' / '-n': should be greater than or equal to 1\n"),
    ],
)
def test_a_value_that_is_none_is_told_in_plain_words(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without those of what reads values."""
    assert cli.run(arguments) == Exit.BAD
    assert capsys.readouterr().err.startswith(f"bulk-cancel: {words}")
