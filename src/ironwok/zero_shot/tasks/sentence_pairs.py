"""How two sentences stand to each other: inference, paraphrase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ironwok.errors import InputError, TemplateError
from ironwok.zero_shot import mapping
from ironwok.zero_shot.labels import LabelSet, parse_labels
from ironwok.zero_shot.pairs import Pair, Position, Prompt, Scorer, check_position, check_text
from ironwok.zero_shot.tasks.ranking import ask, bins

if TYPE_CHECKING:
    from ironwok.zero_shot.relations import Relations

Protocol = Literal["head", "sc", "cc"]

INFERENCE = ("entailment", "neutral", "contradiction")
PARAPHRASE = ("same", "different")

_ROUNDING = 1e-6  # of shares that are added up
_DECIMALS = 6  # of scores that are ranked: what a batch adds to a pair's own is no difference

# What a reader would say between the two sentences of each kind.
INFERENCE_WORDS = {"entailment": "所以", "neutral": "而且", "contradiction": "不对"}


@dataclass(frozen=True, slots=True)
class PairClassification:
    """Labels of a pair of sentences, best first.

    scores: probabilities, or for samples-contrast how the pair stands among the others for each label.
    """

    first: str
    second: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def label(self) -> str:
        return self.labels[0]

    def to_dict(self) -> dict[str, Any]:
        """The label and the score of each, without the sentences."""
        scores = {name: round(score, 6) for name, score in zip(self.labels, self.scores, strict=True)}
        return {"label": self.label, "scores": scores}


def classify_pairs(
    scorer: Scorer,
    pairs: Sequence[tuple[str, str]],
    *,
    labels: Sequence[str] | Mapping[str, str] = INFERENCE,
    protocol: Protocol | None = None,
    prior: Sequence[float] | Mapping[str, float] | None = None,
    template: str = "{label}，{second}",
    position: Position = "prefix",
    symmetric: bool = False,
) -> list[PairClassification]:
    """Classify pairs of sentences; one result for each, in their order.

    protocol "head": each pair for itself, by the head for relations that the scorer's model brings; ``labels`` are the
    names of one of its relations, such as INFERENCE or PARAPHRASE, and that head was trained on labelled pairs of the
    kind. With a ``prior`` its answers are compared across the call (see `share_out`). "sc": the second sentence stands
    as the prompt beside the first; all pairs of the call are ranked and cut into bins by ``prior``, the first label the
    one of the best. It needs next-sentence scores and looks at the whole batch. "cc": for each label the prompt is
    ``template`` with the label's words and the second sentence; ``labels`` is then a mapping label → words. None takes
    the head where there is one for these labels, else "sc".
    prior: shares of the labels among the pairs, in the order of ``labels``, or by their names, of which those that are
    missing share what is left (see `complete_prior`); None is uniform for "sc".
    symmetric: the mean of both orders, for relations without a direction such as paraphrase.
    Raises LabelError, TemplateError or InputError for what cannot be used as given.
    """
    if protocol is not None and protocol not in get_args(Protocol):
        raise InputError(
            f"protocol is {protocol!r}; it is 'head', 'sc' (samples-contrast) or 'cc' (candidates-contrast)"
        )
    if protocol == "cc" and prior is not None:
        raise InputError("a prior compares pairs with one another: protocol 'head' or 'sc' takes it, 'cc' does not")
    check_position(position)
    pairs = list(pairs)
    for number, pair in enumerate(pairs):
        if isinstance(pair, str) or not isinstance(pair, Sequence):
            raise InputError(f"pair {number} is {pair!r:.40}: give two sentences, such as ('早上好', '晚上好')")
        if len(pair) != 2:
            raise InputError(f"pair {number} has {len(pair)} sentences, two are needed")
        for sentence in pair:
            check_text(sentence, number)
    label_set = parse_labels(labels)
    if isinstance(prior, Mapping):
        prior = list(complete_prior(prior, label_set.names).values())
    if protocol in ("head", None):
        relations: Relations | None = getattr(scorer, "relations", None)
        relation = _relation(relations, label_set)
        if protocol == "head" or relation is not None:
            shares = None if prior is None else mapping.check_prior(prior, len(label_set.names)).tolist()
            judged = _by_head(relations, relation, label_set, pairs, symmetric=symmetric)
            return judged if shares is None else share_out(judged, dict(zip(label_set.names, shares, strict=True)))
    protocol = protocol or "sc"
    words: Sequence[str | None] = [None] if protocol == "sc" else label_set.words
    if protocol == "cc" and tuple(label_set.words) == label_set.names == INFERENCE:
        words = [INFERENCE_WORDS[name] for name in label_set.names]
    orders = [pairs, [(b, a) for a, b in pairs]] if symmetric else [pairs]
    groups = [
        [Pair(first, _prompt(template, second, word), position) for word in words]
        for order in orders
        for first, second in order
    ]
    scores = np.array(ask(scorer, groups)).reshape(len(orders), len(pairs), len(words)).mean(axis=0)
    if protocol == "sc":
        rows = bins(scores[:, 0], label_set.names, prior)
    else:
        rows = [mapping.ranked(label_set.names, row) for row in mapping.candidates_contrast(scores)]
    return [PairClassification(*pair, *row) for pair, row in zip(pairs, rows, strict=True)]


def share_out(judged: Sequence[PairClassification], prior: Mapping[str, float]) -> list[PairClassification]:
    """The same pairs compared with one another: samples-contrast over what each was given by itself.

    A head that was trained on pairs of another kind may say "different" too often, and still rank pairs well. Here
    each label takes the pairs that stand out for it, about as many as its share says.
    prior: label -> share, for the labels of the results. Raises InputError for other labels or no shares.
    """
    names = tuple(prior)
    shares = mapping.check_prior(list(prior.values()), len(names))
    other = next((one for one in judged if set(one.labels) != set(names)), None)
    if other is not None:
        raise InputError(f"shares are given for {', '.join(names)}, and the labels are {', '.join(other.labels)}")
    if not judged:
        return []
    given = [dict(zip(one.labels, one.scores, strict=True)) for one in judged]
    scores_NC = np.array([[one[name] for name in names] for one in given]).round(_DECIMALS)
    scores_NC = mapping.samples_contrast_table(scores_NC, prior=shares)
    rows = [mapping.ranked(names, row) for row in scores_NC]
    return [PairClassification(one.first, one.second, *row) for one, row in zip(judged, rows, strict=True)]


def complete_prior(prior: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    """The share of each label, in the order of ``labels``; those that are not named share what is left evenly.

    Raises InputError for other names, and for shares that are none or do not add up.
    """
    for name, share in prior.items():
        if name not in labels:
            raise InputError(f"the prior names {name!r:.40}; the answers are {', '.join(labels)}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InputError(f"the prior of {name} is {share!r:.40}: a share is a number between 0 and 1")
    given, rest = sum(prior.values()), [name for name in labels if name not in prior]
    if given > 1 + _ROUNDING or (not rest and given < 1 - _ROUNDING):
        raise InputError(f"the shares of the prior come to {given:g}, they have to come to 1")
    return {name: prior.get(name, max(1 - given, 0) / max(len(rest), 1)) for name in labels}


def _relation(relations: Relations | None, labels: LabelSet) -> str | None:
    """The relation whose answers have these names and are to be called by them, in whatever order."""
    if relations is None or labels.names != tuple(labels.words):
        return None
    return next((one for one, names in relations.answers.items() if set(names) == set(labels.names)), None)


def _by_head(
    relations: Relations | None,
    relation: str | None,
    labels: LabelSet,
    pairs: Sequence[tuple[str, str]],
    *,
    symmetric: bool,
) -> list[PairClassification]:
    if relations is None:
        raise InputError("protocol is 'head', and this scorer's model brings no head for relations: take 'sc' or 'cc'")
    if relation is None:
        known = "; ".join(", ".join(names) for names in relations.answers.values())
        raise InputError(f"protocol is 'head', and labels are {', '.join(labels.names)}: the head answers {known}")
    names = relations.answers[relation]
    # what means the same does so in both orders
    found = relations.judge(pairs, relation, symmetric=symmetric or relation == "paraphrase")
    return [PairClassification(*pair, *mapping.ranked(names, row)) for pair, row in zip(pairs, found, strict=True)]


def _prompt(template: str, second: str, word: str | None) -> Prompt:
    if word is None:
        return Prompt("", second, "")
    if template.count("{label}") != 1 or template.count("{second}") != 1:
        raise TemplateError(
            f"template {template!r} needs one {{label}} and one {{second}}, as in '{{label}}，{{second}}'"
        )
    before, after = template.split("{label}")
    return Prompt(before.replace("{second}", second), word, after.replace("{second}", second))
