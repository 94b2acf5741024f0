"""What a producer may say of a batch or a mass cancel besides its orders, as types of keyword arguments.

README.md beside this file says what each field means; `tasks/messages.py` and `tasks/mass.py` check them.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict


class BatchFields(TypedDict, total=False):
    """Of a batch."""

    batch_id: str | None
    urgent: bool
    reason: str
    requested_by: str
    deadline_s: int | None
    labels: Mapping[str, str] | None


class MassFields(BatchFields, total=False):
    """Of a mass cancel: filters, how long nothing is to be open, and whether it goes on until it is released."""

    instType: str | None
    instFamily: str | None
    instId: str | None
    side: str | None
    tag: str | None
    clOrdId_prefix: str | None
    min_age_s: float | None
    until_flat_s: float | None
    hold: bool
    with_: Sequence[str]
    protective: str | None
    bots: str | None
