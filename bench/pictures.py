"""How are figures drawn? Small PNG pictures beside the README."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl

from bench.percentile import percentile

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

PICTURES: Final = Path(__file__).parent / "pictures"
SIZE: Final = (7.0, 3.2)
BINS: Final = 60


def draw_histogram(name: str, samples_ms: Mapping[str, Sequence[float]], *, title: str) -> None:
    """Milliseconds of each kind of sample, stacked; the legend says median and 99th percentile."""
    figure, axes = plt.subplots(figsize=SIZE)
    labels = [
        f"{kind}: p50 {percentile(values, 0.5):.1f} ms, p99 {percentile(values, 0.99):.1f} ms"
        for kind, values in samples_ms.items()
    ]
    axes.hist(list(samples_ms.values()), bins=BINS, stacked=True, label=labels)
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
