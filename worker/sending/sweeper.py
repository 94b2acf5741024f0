"""Ends what is past its deadline and puts lost lanes back on the board, once a second by one worker of all."""

from typing import Final

from bulk_cancel.worker.alerts.exhausted import report_exhausted
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.loop import Loop

EVERY_S: Final = 1.0


class Sweeper(Loop):
    """A thread of its own: a sweep of many orders takes seconds, and no urgent lane may wait for it."""

    def __init__(self, board: Board) -> None:
        super().__init__("sweeper", pause_s=EVERY_S)
        self._board = board

    def round(self) -> None:
        """A sweep, if no other worker makes it."""
        if self._board.may_sweep():
            report_exhausted(self._board.sweep())
