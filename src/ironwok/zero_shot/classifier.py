"""Texts into labels that nobody trained for."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

from ironwok.errors import InputError, LongTextWarning
from ironwok.progress import progress_bar
from ironwok.results import Classification
from ironwok.zero_shot.adapting import adapted
from ironwok.zero_shot.answering import against_candidates, against_samples, chunks_of
from ironwok.zero_shot.cost import CostEstimate, estimate
from ironwok.zero_shot.encoder_scorer import EncoderScorer
from ironwok.zero_shot.mapping import WindowReduction
from ironwok.zero_shot.pairs import Position, Scorer, check_texts
from ironwok.zero_shot.question import (
    Protocol,
    Question,
    check_one_set_each,
    check_protocol,
    make_question,
    make_reader,
    make_shortlist,
)
from ironwok.zero_shot.reader import Overflow, Reader
from ironwok.zero_shot.registry import DEFAULT_MODEL, ScorerOptions, load_scorer
from ironwok.zero_shot.selfcheck import OnSelfCheck
from ironwok.zero_shot.shortlist import Shortlist, ShortlistBy

# what the pipeline of transformers calls them
_TRUNCATES = (True, "only_first", "longest_first")
_WINDOWS = (None, False, "do_not_truncate")


class ZeroShotClassifier:
    """Sorts texts into labels given in words, with no example of them.

    model: a bundled name, a folder, or a hub id. scorer: "nsp" (next sentence), "pet" (masked LM), "nli" (inference),
    the name of a plug-in, or a scorer object, which leaves the other arguments without effect.
    batch_size: most pairs in one pass of the model. device, dtype, max_tokens, on_self_check, onnx: see
    ``ScorerOptions``.
    threads: threads of torch on the CPU, for the whole process; None leaves them as they are.

    Callable like the zero-shot pipeline of ``transformers``; ``classify`` gives frozen results and has all options.
    Deterministic: scores depend neither on the batch size nor on the order of texts, beyond rounding.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        scorer: str | Scorer = "nsp",
        batch_size: int = 64,
        device: str | None = None,
        dtype: str | None = None,
        max_tokens: int | None = None,
        threads: int | None = None,
        on_self_check: OnSelfCheck = "warn",
        onnx: bool = True,
    ) -> None:
        if threads is not None:
            import torch

            if threads < 1:
                raise InputError(f"threads is {threads}; give 1 or more, or None to leave torch as it is")
            torch.set_num_threads(threads)
        if isinstance(scorer, str):
            options = ScorerOptions(device, dtype, batch_size, max_tokens, on_self_check, onnx)
            scorer = load_scorer(scorer, model, options)
        elif not isinstance(scorer, Scorer):
            raise InputError(f"scorer is {scorer!r}; give a name such as 'nsp', or an object with score(pairs)")
        self.scorer: Scorer = scorer
        # for those sets of words alone, where labels have adapted to texts
        self._adapted: tuple[Scorer, frozenset[frozenset[str]]] | None = None

    def __call__(
        self,
        sequences: str | Sequence[str],
        candidate_labels: str | Sequence[str] | None = None,
        hypothesis_template: str | None = None,
        multi_label: bool = False,
        *,
        batch_size: int | None = None,
        truncation: bool | str | None = None,
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Classify like the zero-shot pipeline of ``transformers``.

        candidate_labels: a list, or one string with commas; one label alone is judged by itself, as there.
        hypothesis_template: with a ``{}`` for the label.
        batch_size: for this call. It bounds memory, and changes no score.
        truncation: True (or "only_first") reads the beginning of a text that is too long; otherwise it is read in
        windows.
        Returns {"sequence", "labels", "scores"} with the best label first, a list of them for a list of texts.
        """
        if candidate_labels is None:
            raise InputError("candidate_labels are missing: give a list of labels, or one string with commas")
        if truncation not in _TRUNCATES and truncation not in _WINDOWS:
            raise InputError(f"truncation is {truncation!r}; give True, False, 'only_first' or 'do_not_truncate'")
        names = candidate_labels.split(",") if isinstance(candidate_labels, str) else candidate_labels
        with self._batches_of(batch_size):
            results = self.classify(
                sequences,
                labels=candidate_labels,
                template=hypothesis_template,
                multi_label=multi_label or len(names) == 1,
                overflow="truncate" if truncation in _TRUNCATES else "window",
            )
        answers = [
            {"sequence": result.text, "labels": list(result.labels), "scores": list(result.scores)}
            for result in results
        ]
        return answers[0] if isinstance(sequences, str) else answers

    @contextmanager
    def _batches_of(self, size: int | None) -> Iterator[None]:
        """The scorers with another batch size, if they have one."""
        either = (self.scorer,) if self._adapted is None else (self.scorer, self._adapted[0])
        scorers = [scorer for scorer in either if isinstance(scorer, EncoderScorer)]
        if size is None or not scorers:
            yield
            return
        if size < 1:
            raise InputError(f"batch_size is {size}; it is at least 1")
        before = [scorer.batch_size for scorer in scorers]
        for scorer in scorers:
            scorer.batch_size = size
        try:
            yield
        finally:
            for scorer, own in zip(scorers, before, strict=True):
                scorer.batch_size = own

    def classify(
        self,
        texts: Iterable[str] | str,
        *,
        labels: Any,
        template: str | Sequence[str] | None = None,
        multi_label: bool = False,
        threshold: float | None = None,
        calibrate: bool | Sequence[str] | None = None,
        position: Position | None = None,
        protocol: Protocol = "cc",
        prior: Sequence[float] | None = None,
        shortlist: int | None = None,
        shortlist_by: ShortlistBy | None = None,
        label_separator: str | None = None,
        beam: int | None = None,
        overflow: Overflow = "window",
        windows: WindowReduction = "best",
        max_tokens: int | None = None,
        progress: bool = False,
    ) -> list[Classification]:
        """Classify texts; one result for each, in their order.

        labels: a list of names; a string with commas; a mapping name → words that stand for it in the template; a
        nested mapping for a tree of labels; or a list of any of these, one for each text. With ``label_separator``
        names such as "体育/足球" are paths of a tree.
        template: a sentence with ``{}`` for the label, or several whose scores are averaged; None for one in the
        language of the labels.
        multi_label: judge each label on its own, by the sigmoid of its calibrated log-odds; one label is enough then.
        threshold: abstain where the best score is lower.
        calibrate: take away what a label scores without any text; a sequence gives the neutral texts to use. None
        calibrates multi-label answers only.
        position: the prompt before the text ("prefix") or after it ("suffix"); None for the scorer's custom.
        protocol: "cc" compares the candidates of each text. "sc" ranks the texts of this call for each candidate and
        cuts by ``prior`` (shares of the labels, uniform for None): it looks at all texts at once; say so with figures.
        shortlist: read only this many labels a text, chosen by a cheap comparison (``shortlist_by``, see
        ``Shortlist``); the others are left out of the result.
        beam: in a tree follow only this many best labels of a level.
        overflow: a text longer than the model takes is read in windows, truncated, or an error. windows: a label
        counts by its "best" window or by the "mean" over all. The window that spoke for the answer is its evidence.
        max_tokens: read pairs of at most this many tokens, special ones included.
        progress: show a bar on standard error.

        Raises LabelError, TemplateError, TextTooLongError or InputError for what cannot be used as given. Warns with
        LongTextWarning when texts were windowed or cut.
        """
        listed = check_texts(texts)
        question = make_question(labels, label_separator, multi_label, threshold, windows, beam)
        check_one_set_each(question, len(listed))
        scorer = self._scorer_for(question)
        reader = make_reader(scorer, question, template, calibrate, position, overflow, max_tokens)
        check_protocol(protocol, prior, question, shortlist)
        cut = make_shortlist(scorer, question, shortlist, shortlist_by)
        chunks = chunks_of(iter(listed), question, reader, cut)
        results: list[Classification] = []
        with progress_bar("classify", total=len(listed), shown=progress) as advance:
            if protocol == "sc":
                results = against_samples(reader, list(chunks), question, prior, advance)
            else:
                for chunk in chunks:
                    results.extend(against_candidates(reader, chunk, question, cut))
                    advance(len(chunk))
        _warn_of_long_texts(reader, len(listed))
        return results

    def classify_iter(
        self,
        texts: Iterable[str],
        *,
        labels: Any,
        template: str | Sequence[str] | None = None,
        multi_label: bool = False,
        threshold: float | None = None,
        calibrate: bool | Sequence[str] | None = None,
        position: Position | None = None,
        shortlist: int | None = None,
        shortlist_by: ShortlistBy | None = None,
        label_separator: str | None = None,
        beam: int | None = None,
        overflow: Overflow = "window",
        windows: WindowReduction = "best",
        max_tokens: int | None = None,
        progress: bool = False,
    ) -> Iterator[Classification]:
        """Classify a stream of texts of any length, in its order, in rounds of 8 texts to begin with, 64 later.

        texts: an iterator of them may have a method ``pauses() -> bool`` that tells whether the next text is yet to
        come; what has been collected is answered then, before the next text is waited for.
        The other arguments are those of ``classify``, without samples-contrast, which needs all texts at once.
        Arguments are checked at the call, each text when its turn comes.
        """
        question = make_question(labels, label_separator, multi_label, threshold, windows, beam)
        scorer = self._scorer_for(question)
        reader = make_reader(scorer, question, template, calibrate, position, overflow, max_tokens)
        check_protocol("cc", None, question, shortlist)
        cut = make_shortlist(scorer, question, shortlist, shortlist_by)
        if isinstance(texts, str):
            raise InputError("texts is one string: give a list or another iterable of strings")
        total = len(texts) if isinstance(texts, Sized) else None
        return self._stream(iter(texts), question, reader, cut, total, progress)

    def adapted(self, texts: Iterable[str], *, labels: Any, label_separator: str | None = None) -> ZeroShotClassifier:
        """A classifier that has looked at unlabelled texts of the kind that is to be sorted into these labels.

        texts: some hundreds or thousands, those to be classified or others of their kind; of more than 50,000 an even
        choice is read. No label of any is needed. labels, label_separator: as for ``classify``, flat; the classifier
        that comes back answers with them as this one would, but judges them by what the texts say of them (see
        `ironwok.zero_shot.adapting`). With other labels, also with some of these, it is this one.

        A text's answer then depends on ``texts`` beside the text: say so with figures. It is for one label a text: with
        these labels ``multi_label`` is refused.
        Raises InputError for a scorer without a table of words that keep company, for a tree of labels, and without
        texts; LabelError for fewer than two labels.
        """
        listed = check_texts(texts)
        if not listed:
            raise InputError("there are no texts that labels could adapt to: give some hundreds")
        question = make_question(labels, label_separator, False, None, "best", None)
        check_one_set_each(question, len(listed))
        if not all(label_set.is_flat for label_set in question.all_sets()):
            raise InputError(
                "labels adapt to texts where they are a flat list: leave the tree (--separator) out, or adapting "
                "(--adapt)"
            )
        words = [question.label_set(number).words for number in range(len(listed))]
        other = ZeroShotClassifier(scorer=self.scorer)
        other._adapted = adapted(self.scorer, listed, words), frozenset(map(frozenset, words))
        return other

    def _scorer_for(self, question: Question) -> Scorer:
        """The scorer of these labels. Raises InputError where they have adapted and each is to be judged alone."""
        if self._adapted is None:
            return self.scorer
        scorer, known = self._adapted
        if not all(frozenset(label_set.words) in known for label_set in question.all_sets()):
            return self.scorer
        if question.multi_label:
            raise InputError(
                "labels that adapted to texts are for one label a text: leave multi_label out, or adapting"
            )
        return scorer

    def estimate_cost(
        self,
        texts: Sequence[str],
        *,
        labels: Any,
        template: str | Sequence[str] | None = None,
        shortlist: int | None = None,
        label_separator: str | None = None,
        max_tokens: int | None = None,
    ) -> CostEstimate:
        """Predict what ``classify`` with these arguments will cost, by a trial of about a hundred pairs.

        A tree of labels is counted with all its branches, labels a text by the mean over the texts.
        """
        listed = check_texts(texts)
        question = make_question(labels, label_separator, True, None, "best", None)
        reader = make_reader(self.scorer, question, template, None, None, "window", max_tokens)
        sets = question.all_sets()
        words = [one for label_set in sets for one in label_set.all_words()]
        count = round(len(words) / max(len(sets), 1))
        read = count if shortlist is None else min(shortlist, count)
        prompts = [prompt for one in dict.fromkeys(words) for prompt in reader.prompts(one)]
        return estimate(
            self.scorer,
            listed,
            prompts,
            readings_per_text=read * reader.pairs_per_label(),
            labels=count,
            limit=reader.limit,
        )

    def _stream(
        self,
        texts: Iterator[str],
        question: Question,
        reader: Reader,
        cut: Shortlist | None,
        total: int | None,
        progress: bool,
    ) -> Iterator[Classification]:
        done = 0
        with progress_bar("classify", total=total, shown=progress) as advance:
            for chunk in chunks_of(texts, question, reader, cut, soon=True):
                yield from against_candidates(reader, chunk, question, cut)
                done += len(chunk)
                advance(len(chunk))
        _warn_of_long_texts(reader, done)


def _warn_of_long_texts(reader: Reader, count: int) -> None:
    if not reader.long_texts:
        return
    fate = "read in windows" if reader.overflow == "window" else "cut to their beginning"
    warnings.warn(
        f"{reader.long_texts} of {count} texts are longer than the {reader.limit} tokens that are read at once and "
        f"were {fate}; the evidence of their results says which part counted",
        LongTextWarning,
        stacklevel=3,
    )
