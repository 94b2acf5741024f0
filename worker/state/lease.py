"""Leases that let one worker of all do a thing this time: typed Python over `lease_take`."""

from typing import Literal

from bulk_cancel.worker.state.scripts import Scripts

Lease = Literal["asking", "sweep", "told", "watch"]


def take_lease(
    scripts: Scripts, lease: Lease, of: str = "", *, for_s: float, longest_s: float = 0.0, renew: bool = False
) -> bool:
    """True for one of all that ask, until `for_s` are over; `of`: which of its kind. Raises redis-py's errors.

    `renew`: asked for while somebody has it, it lasts `for_s` from now.

    Redis ends most of them by its wall clock, which may be put back: one that would last longer than `for_s`
    (`longest_s`, if others take it for longer) is taken over. A call without a reply is not made again: it may have
    taken the lease, which is then refused; and who watches Redis must not wait longer than one call takes to fail.
    """
    argument = {"lease": lease, "of": of, "lease_us": _us(for_s), "longest_us": _us(max(for_s, longest_s))}
    return bool(scripts.run_once("lease_take", {**argument, "renew": renew})["mine"])


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
