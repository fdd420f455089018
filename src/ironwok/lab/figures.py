"""Figures of a report: PNG, for readers who print them or do not tell colours apart.

Colours are those of Okabe and Ito (2008); each variant also has a marker and a line style of its own.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ironwok.errors import MissingExtraError
from ironwok.files import replace_file
from ironwok.lab.statistics import Interval

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 3)))
_DPI = 110


@dataclass(frozen=True, slots=True)
class Line:
    """A curve over x, one row of values for each seed: the mean is drawn, with a band from lowest to highest."""

    name: str
    x: Sequence[float]
    rows: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes of lines."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    log_y: bool = False


def check_matplotlib() -> None:
    """Raises MissingExtraError where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("plots", feature="drawing figures") from error


def draw_panels(path: Path, panels: Sequence[Panel], *, names: Sequence[str]) -> None:
    """Panels beside each other. names: of all lines, in the order that gives them their colours."""
    figure, axes = _figure(len(panels), height=3.4)
    for axis, panel in zip(axes, panels, strict=True):
        for line in panel.lines:
            number = list(names).index(line.name) % len(COLOURS)
            values = np.asarray(line.rows, dtype=float)
            values = np.where(np.isfinite(values), values, np.nan)
            if not np.isfinite(values).any():
                continue
            x, mean = np.asarray(line.x, dtype=float), np.nanmean(values, axis=0)
            axis.plot(
                x,
                mean,
                color=COLOURS[number],
                marker=MARKERS[number],
                linestyle=STYLES[number],
                markersize=4,
                linewidth=1.3,
                label=line.name,
            )
            if len(values) > 1:
                low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
                axis.fill_between(x, low, high, color=COLOURS[number], alpha=0.12, linewidth=0)
        axis.set_title(panel.title, fontsize=9)
        axis.set_xlabel(panel.x_label, fontsize=8)
        axis.set_ylabel(panel.y_label, fontsize=8)
        if panel.log_y:
            axis.set_yscale("log")
        axis.xaxis.get_major_locator().set_params(integer=True)
        _tidy(axis)
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=min(len(handles), 7), fontsize=7
        )
    _save(figure, path)


def draw_intervals(path: Path, title: str, x_label: str, rows: Mapping[str, Interval]) -> None:
    """A dot with its interval for each row."""
    figure, (axis,) = _figure(1, height=0.9 + 0.26 * len(rows))
    upwards = list(rows)[::-1]
    for place, name in enumerate(upwards):
        interval = rows[name]
        number = (len(rows) - 1 - place) % len(COLOURS)
        if math.isfinite(interval.low):
            axis.plot([interval.low, interval.high], [place, place], color=COLOURS[number], linewidth=2)
        axis.plot([interval.mean], [place], color=COLOURS[number], marker=MARKERS[number], markersize=6)
    axis.set_yticks(range(len(rows)), upwards)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel(x_label, fontsize=8)
    _tidy(axis)
    _save(figure, path)


def _figure(panels: int, *, height: float) -> tuple[Any, list[Any]]:
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * panels if panels > 1 else 6.4, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)
    return figure, list(axes[0])


def _tidy(axis: Any) -> None:
    axis.tick_params(which="both", labelsize=7)
    axis.grid(alpha=0.3, linewidth=0.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _save(figure: Any, path: Path) -> None:
    from PIL import Image  # comes with matplotlib

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    # a third of the size, and nobody sees it: these pictures have few colours
    Image.open(drawn).convert("RGB").quantize(colors=128).save(small, format="png", optimize=True)
    replace_file(path, small.getvalue())
