"""Does a command that was told to end say so, whatever its interrupt was turned into?"""

import signal
from collections.abc import Callable

import pytest
import typer

from bulk_cancel.worker import cli
from bulk_cancel.worker.cli import app as app_module
from bulk_cancel.worker.cli.errors import Exit
from bulk_cancel.worker.cli.interrupts import interrupts

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def command(number: signal.Signals, turned_into: Callable[[], BaseException]) -> Callable[..., int]:
    """A command that is told to end while a library turns what it meets into errors of its own."""

    def run(*_: object, **__: object) -> int:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise turned_into() from None
        return Exit.OK

    return run


@pytest.mark.parametrize("turned_into", [KeyboardInterrupt, RuntimeError, OSError, typer.Abort])
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_command_ends_with_130(
    number: signal.Signals,
    turned_into: Callable[[], BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No word of an internal error."""
    monkeypatch.setattr(app_module, "make_app", lambda _: command(number, turned_into))
    assert cli.run(["demo"]) == Exit.INTERRUPTED
    assert capsys.readouterr() == ("", "")


def test_an_error_without_an_interrupt_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and what it was."""

    def app(*_: object, **__: object) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(app_module, "make_app", lambda _: app)
    assert cli.run(["demo"]) == Exit.BAD
    assert "internal error, please report it: RuntimeError: broken" in capsys.readouterr().err


def test_what_was_ignored_stays_ignored_and_what_was_set_comes_back() -> None:
    """`nohup bulk-cancel …` outlives its terminal."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with interrupts() as interrupted:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupted()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before[signal.SIGHUP])
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
