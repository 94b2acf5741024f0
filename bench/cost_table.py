"""How is it told what a job costs? Median and worst of the runs, as Markdown."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from bench.before import COMMIT
from bench.figures import Build, Confirm, Costs, Endpoints, Run, Storage

COLUMNS: Final = (
    "endpoints", "confirmation", "orders", "CPU s per 1,000 orders", "worst run", "of it workers", "Redis",
    "÷ the HTTP calls alone", f"÷ {COMMIT[:7]}", "verbs per HTTP call", "worst run",
)  # fmt: skip
HEAD: Final = (f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|")


def text(costs: Costs) -> str:
    """The README's part."""
    kinds = dict.fromkeys((run.endpoints, run.confirm) for run in costs.runs)
    rows = [_row(_of(costs, kind, "now"), _of(costs, kind, "before"), costs.floors[kind[0]]) for kind in kinds]
    return "\n".join([*HEAD, *rows, "", *_storage(costs)])


def _of(costs: Costs, kind: tuple[Endpoints, Confirm], build: Build) -> list[Run]:
    return [run for run in costs.runs if (run.endpoints, run.confirm) == kind and run.build == build]


def _row(runs: Sequence[Run], old: Sequence[Run], floor: float) -> str:
    cpu, verbs = [run.cpu_s for run in runs], [run.verbs_per_call for run in runs]
    cells = [
        "single" if runs[0].endpoints == "single" else "auto (20 a request)",
        runs[0].confirm,
        f"{runs[0].orders:,} × {len(runs)} runs",
        f"**{median(cpu):.3f}**",
        f"{max(cpu):.3f}",
        f"{median(run.workers_cpu_s for run in runs):.3f}",
        f"{median(run.redis_cpu_s for run in runs):.3f}",
        f"{median(cpu) / floor:.1f}",
        f"{median(cpu) / median(run.cpu_s for run in old):.2f}" if old else "–",
        f"{median(verbs):.2f}",
        f"{max(verbs):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _storage(costs: Costs) -> list[str]:
    usual, longest = ([each for each in costs.storages if each.ids == ids] for ids in ("usual", "longest"))
    rates, admitted = [each.orders_per_s for each in usual], [each.admitted_per_s for each in usual]
    return [
        "| | median | worst run |",
        "|---|---|---|",
        f"| the HTTP calls alone, CPU s per 1,000 orders: single | {costs.floors['single']:.3f} | |",
        f"| the same, 20 a request | {costs.floors['auto']:.3f} | |",
        f"| `submit()`, orders/s | {median(rates):,.0f} | {min(rates):,.0f} |",
        f"| the same, already parsed | {median(admitted):,.0f} | {min(admitted):,.0f} |",
        f"| bytes per queued job in Redis: `ordId` of 16 digits | {_bytes(usual)} |",
        f"| `ordId` of 19 digits and `clOrdId` of 32 characters | {_bytes(longest)} |",
    ]


def _bytes(storages: Sequence[Storage]) -> str:
    found = [each.bytes_per_job for each in storages]
    return f"{median(found):,.0f} | {max(found):,.0f}"
