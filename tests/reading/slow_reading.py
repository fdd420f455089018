"""A reading in a process of its own, slow enough to be killed on its way: slow_reading.py FOLDER OUT.

Says on stderr how many passages it found done when it begins, and then how many it has done.
"""

import sys
import time

import numpy as np

from ironwok.errors import IronwokError
from ironwok.reading import Advanced, Planned, read
from ironwok.zero_shot import ZeroShotClassifier


class SlowScorer:
    def score(self, pairs):
        time.sleep(0.04)
        return np.array([float(pair.text.count(pair.prompt.label)) for pair in pairs])


def watch(event):
    if isinstance(event, Planned):
        print(f"{event.passages_done} passages kept", file=sys.stderr, flush=True)
    elif isinstance(event, Advanced):
        print(f"{event.done} passages done", file=sys.stderr, flush=True)


try:
    read(
        sys.argv[1],
        labels=["茶", "棋", "雪"],
        out=sys.argv[2],
        classifier=ZeroShotClassifier(scorer=SlowScorer()),
        on_event=watch,
    )
except IronwokError as error:
    sys.exit(str(error))
