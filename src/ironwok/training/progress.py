"""Where a run tells what it does; the command line draws bars from it, the library itself is silent."""

from __future__ import annotations

from typing import Protocol

# What ``Progress.busy`` may name.
WORK = (
    "waiting",
    "contamination",
    "tokenizer",
    "corpus",
    "words",
    "pairs",
    "associations",
    "embeddings",
    "evaluation",
    "checkpoint",
    "teacher",
    "examples",
)


class Progress(Protocol):
    """An observer of a run. Its methods are called from the thread that runs it, often, and should return at once."""

    def busy(self, what: str, *, done: int, total: int, note: str = "") -> None:
        """Something other than a training step goes on.

        what: one of WORK. done of total: in units of that work (bytes of corpus files, held-out pairs …); a total of 0
        says that nobody knows. note: what is being read, say.
        """
        ...

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None:
        """A training step is done. tokens_per_second: of all processes, since this one began or went on."""
        ...

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """The held-out pairs were judged after this step."""
        ...


class Silent:
    """Tells nobody."""

    def busy(self, what: str, *, done: int, total: int, note: str = "") -> None: ...

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None: ...

    def evaluated(self, step: int, metrics: dict[str, float]) -> None: ...
