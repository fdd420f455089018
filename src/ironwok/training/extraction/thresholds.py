"""Where to draw the borders of a trained model: thresholds of spans and links, chosen on the development texts.

The loss puts the border at 0 for a model that has learnt everything. One that has not finds too few links before it
finds too few spans: there is one class of links, and a missing one costs an event its arguments.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ironwok.events.annotations import AnnotatedText
from ironwok.events.decoding import DecodingOptions
from ironwok.events.extractor import Extractor, TextReading
from ironwok.training.extraction.judge import judge, rank

SPANS = (0.5, 0.0, -0.5, -1.0, -1.5)
LINKS = (0.0, -1.0, -2.0, -3.0)
_CHUNK = 256  # texts that are sorted by length together


def choose_thresholds(
    extractor: Extractor, texts: Sequence[AnnotatedText], *, on_text: Callable[[int], None] = lambda done: None
) -> tuple[DecodingOptions, dict[str, float]]:
    """The thresholds with which the model does best on ``texts``, and its figures with them.

    Best is the highest product of the figures that decide between checkpoints: of events, F1 of whole events and of
    arguments. A tenth more of one is worth a tenth of the other; the first alone would give up many arguments for a few
    events, a sum would do the opposite. The texts are read by the model once; decoding is repeated for every pair of
    thresholds. At a draw those nearer to 0 win.
    on_text: told how many texts were read.
    """
    task: Any = extractor.task
    lowest = replace(extractor.options, threshold=min(SPANS))
    readings: list[TextReading] = []
    for start in range(0, len(texts), _CHUNK):
        chunk = [text.text for text in texts[start : start + _CHUNK]]
        readings += extractor.readings(chunk, options=lowest)
        on_text(len(readings))
    best: tuple[tuple[float, float], DecodingOptions, dict[str, float]] | None = None
    pairs = itertools.product(SPANS, LINKS if task != "entities" else (0.0,))
    for threshold, link_threshold in sorted(pairs, key=lambda pair: (abs(pair[0]) + abs(pair[1]), pair)):
        options = replace(extractor.options, threshold=threshold, link_threshold=link_threshold)
        metrics = judge(task, [extractor.decode(reading, options=options) for reading in readings], texts)
        deciding = rank(task, metrics)
        quality = math.prod(deciding), sum(deciding)
        if best is None or quality > best[0]:
            best = quality, options, metrics
    assert best is not None
    return best[1], best[2]
