"""How are figures drawn? Small PNG pictures beside the README."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import matplotlib as mpl

from bench.report import PICTURES

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

SIZE: Final = (7.0, 3.2)
BINS: Final = 60


def draw_histogram(name: str, values_ms: Sequence[float], *, title: str) -> None:
    """A histogram of milliseconds with its median and 99th percentile."""
    figure, axes = plt.subplots(figsize=SIZE)
    axes.hist(values_ms, bins=BINS, color="#4477aa")
    ordered = sorted(values_ms)
    marks = {"p50": median(ordered), "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]}
    for color, (label, value) in zip(("#228833", "#cc3311"), marks.items(), strict=True):
        axes.axvline(value, color=color, label=f"{label} {value:.1f} ms")
    axes.set(title=title, xlabel="ms", ylabel="samples", xlim=(0, None))
    axes.legend()
    _save(figure, name)


def draw_curves(name: str, curves: Mapping[str, Mapping[int, float]], *, title: str, xlabel: str) -> None:
    """Lines over a logarithmic axis; `curves` is label → x → milliseconds."""
    figure, axes = plt.subplots(figsize=SIZE)
    for label, curve in curves.items():
        axes.plot(list(curve), list(curve.values()), marker="o", label=label)
    axes.set(title=title, xlabel=xlabel, ylabel="ms", xscale="log", ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    _save(figure, name)


def _save(figure: Figure, name: str) -> None:
    figure.tight_layout()
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / f"{name}.png", dpi=110, metadata={"Software": None})
    plt.close(figure)
