"""The learning curves of a run as a picture."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from ironwok.errors import MissingExtraError
from ironwok.files import replace_file

FEATURE = "a picture of the learning curves"
SCORES = ".+_f1"
_SMOOTHING = 0.05  # share of the newest loss in its running mean


def check_matplotlib() -> None:
    """Raises MissingExtraError, which says how to install it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("plots", feature=FEATURE) from error


def draw_where_wanted(out: Path, title: str, curves: bool | None, *, scores: str = SCORES, called: str = "F1") -> None:
    """Draw ``curves.png`` of the run at ``out``; None draws it where matplotlib is installed."""
    if curves is None:
        try:
            check_matplotlib()
        except ImportError:
            return
    if curves is not False:
        draw_curves(out / "metrics.jsonl", out / "curves.png", title=title, scores=scores, called=called)


def draw_curves(metrics: Path, picture: Path, *, title: str, scores: str = SCORES, called: str = "F1") -> None:
    """Draw the loss and every score of a ``metrics.jsonl`` against the step, as a PNG that replaces the old one.

    scores: which figures are scores, a regular expression for their whole names. called: what they are in one word.
    Raises MissingExtraError without matplotlib, OutputError where the picture cannot be written.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    losses, found = read_curves(metrics, scores=scores)
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*losses, strict=True), color="#b8c4d6", linewidth=0.8) if losses else None
    smooth = _smoothed(losses)
    left.plot(*zip(*smooth, strict=True), color="#23527c", linewidth=1.6) if smooth else None
    left.set(xlabel="step", ylabel="loss", yscale="log" if losses and min(v for _, v in losses) > 0 else "linear")
    for name, points in sorted(found.items()):
        right.plot(*zip(*points, strict=True), marker=".", label=name.removesuffix("_f1").replace("_", " "))
    right.set(xlabel="step", ylabel=f"{called} on the development texts", ylim=(0, 1))
    right.grid(alpha=0.3)
    if found:
        right.legend(fontsize="small")
    # the fonts of matplotlib hold no Chinese: a title that needs it would be boxes
    figure.suptitle(title if title.isascii() else "")
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    replace_file(picture, content.getvalue())


def read_curves(
    metrics: Path, *, scores: str = SCORES
) -> tuple[list[tuple[int, float]], dict[str, list[tuple[int, float]]]]:
    """(step, loss) of each step, and (step, score) of each evaluation by name."""
    losses: list[tuple[int, float]] = []
    found: dict[str, list[tuple[int, float]]] = {}
    for line in metrics.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if "loss" in record:
            losses.append((record["step"], record["loss"]))
        for name, value in record.items():
            if re.fullmatch(scores, name):
                found.setdefault(name, []).append((record["step"], value))
    return losses, found


def _smoothed(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    smooth: list[tuple[int, float]] = []
    mean = points[0][1] if points else 0.0
    for step, value in points:
        mean += _SMOOTHING * (value - mean)
        smooth.append((step, mean))
    return smooth
