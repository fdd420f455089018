"""Can the model tell consecutive sentences from shuffled ones? Asked once, when it is loaded.

A wrong class index or missing segment ids make a next-sentence model answer at random, without any error
(transformers issue 1788). So each first sentence is scored with its own second sentence and with those of others,
and the share of wins is what a working model shows and a broken one does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ironwok.errors import InputError, LongTextWarning, SelfCheckError, SelfCheckWarning, TextTooLongError
from ironwok.zero_shot.pairs import Pair, Prompt, Scorer
from ironwok.zero_shot.selfcheck_pairs import PAIRS

OnSelfCheck = Literal["warn", "raise", "skip"]

# Each first sentence meets its own second sentence and this many of others. Few, as every start waits for it.
_RIVALS = 3

# A guessing model's share of wins lies around 0.5 with a standard deviation of 0.093 (16 first sentences with 3 rivals
# each): 0.7 is more than two of them away, 0.3 as far on the other side.
PASS_MARK = 0.7
SWAPPED_MARK = 0.3


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Share of rivals that the true next sentence beats, in [0, 1], by language; 0.5 is a guess."""

    wins: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """One language is enough: a Chinese model need not read English."""
        return max(self.wins.values()) >= PASS_MARK

    @property
    def looks_swapped(self) -> bool:
        return min(self.wins.values()) <= SWAPPED_MARK and not self.passed

    def describe(self) -> str:
        shares = ", ".join(f"{language} {share:.0%}" for language, share in self.wins.items())
        if self.passed:
            return f"the true next sentence beats a shuffled one in {shares} of the cases"
        cause = (
            "The wrong way round: the head's two classes look swapped (class 0 must be IsNext)."
            if self.looks_swapped
            else "That is a guess: look for missing segment ids (token_type_ids), a head that was never trained, "
            "or a tokenizer of another model."
        )
        return (
            f"the model cannot tell consecutive sentences from shuffled ones: the true next sentence wins in {shares} "
            f"of the cases, {PASS_MARK:.0%} in one language are needed. {cause}"
        )


def self_check(
    scorer: Scorer,
    *,
    pairs: Mapping[str, Sequence[tuple[str, str]]] = PAIRS,
    on_failure: Literal["warn", "raise", "report"] = "report",
    until_passed: bool = False,
) -> SelfCheck:
    """Score consecutive against shuffled sentence pairs.

    scorer: a next-sentence scorer. pairs: language → (sentence, next sentence), at least 4 each.
    on_failure: "raise" a SelfCheckError, "warn" with a SelfCheckWarning, or only report.
    until_passed: ask no further language once the model reads one.
    """
    wins: dict[str, float] = {}
    with warnings.catch_warnings():
        # a model of few tokens may read our long sentences in part: enough for this
        warnings.simplefilter("ignore", LongTextWarning)
        for language, own in pairs.items():
            wins[language] = _share_of_wins(scorer, own)
            if until_passed and wins[language] >= PASS_MARK:
                break
    check = SelfCheck(wins)
    if not check.passed and on_failure == "raise":
        raise SelfCheckError(f"{check.describe()} Use another model, or on_self_check='warn' to go on all the same.")
    if not check.passed and on_failure == "warn":
        warnings.warn(f"{check.describe()} Its labels will be no better than chance.", SelfCheckWarning, stacklevel=3)
    return check


def check_when_loaded(scorer: Scorer, on_self_check: OnSelfCheck) -> SelfCheck | None:
    """What ``on_self_check`` asks for; None where it is "skip"."""
    if on_self_check not in get_args(OnSelfCheck):
        raise InputError(f"on_self_check is {on_self_check!r}; it is one of {', '.join(get_args(OnSelfCheck))}")
    if on_self_check == "skip":
        return None
    try:
        return self_check(scorer, on_failure=on_self_check, until_passed=True)
    except TextTooLongError:
        pass  # about a sentence that the caller never wrote
    told = "the model takes too few tokens for the sentences of the self-check, so that it is unchecked"
    if on_self_check == "raise":
        raise SelfCheckError(f"{told}: pass on_self_check='warn' to go on all the same")
    warnings.warn(f"{told}; its labels may be no better than chance", SelfCheckWarning, stacklevel=3)
    return None


def _share_of_wins(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> float:
    count = len(pairs)
    if count <= _RIVALS:
        raise InputError(f"{count} sentence pairs are too few for a self-check, {_RIVALS + 1} are needed")
    # the sentence before is the prompt; column 0 holds the true next sentence, the others those of the next pairs on
    asked = [
        Pair(pairs[(row + step) % count][1], Prompt("", pairs[row][0], ""), "prefix")
        for row in range(count)
        for step in range(_RIVALS + 1)
    ]
    scores = np.asarray(scorer.score(asked), dtype=np.float64).reshape(count, _RIVALS + 1)
    margins = scores[:, :1] - scores[:, 1:]
    return float((margins > 0).mean() + (margins == 0).mean() / 2)
