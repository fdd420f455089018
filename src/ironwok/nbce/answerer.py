"""Questions about more text than a model can hold."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ironwok.errors import InputError, LanguageWarning, TextTooLongError
from ironwok.nbce.closer import Closer, look_closer
from ironwok.nbce.contexts import Context, Part, as_contexts, check_questions, cut
from ironwok.nbce.copying import Copied, copy
from ironwok.nbce.decode import Decoded, NBCEChooser, steps_of, write
from ironwok.nbce.doubts import DEFAULT_BOUNDS, Bounds, doubts, second_best
from ironwok.nbce.engine import Engine
from ironwok.nbce.loading import DEFAULT_MODEL, load_causal
from ironwok.nbce.prefill import Prepared, prefill
from ironwok.nbce.prompts import Layout, Prompter, layout_for
from ironwok.nbce.questions import asks_for_words
from ironwok.nbce.settings import Settings
from ironwok.results import Answer, AnswerToken, Source, Span
from ironwok.text.characters import has_han
from ironwok.text.tokenizer import encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Tokens of a window unless asked otherwise: a paragraph or three, so that a source points at something.
DEFAULT_WINDOW = 320
_OVERLAP = 8  # a window repeats at most this fraction (1/8) of the one before
_CHUNK_TOKENS = 4096
# Tokens a Chinese character: about one in vocabularies made for Chinese, two or three where bytes spell it.
_SPELLED = 1.5
# Models whose answers are copied unless the settings say otherwise: measured to be as often right so, in fewer words.
_COPYING = frozenset({"smollm2"})


class Answerer:
    """Answers from many contexts with one causal language model.

    model: "smollm2", a folder, a hub id, or a model of ``transformers`` itself with its ``tokenizer``.
    device, dtype: as in `load_causal`. chunk_tokens: how many tokens, with padding, are read at once; the memory of the
    prefill grows with it. window: tokens of a window, at most; less where the model's own limit asks for it.
    bounds: where an answer counts as unsettled.

    Raises ModelNotFoundError, CheckpointError, MissingHeadError, ModelError, InputError.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | PreTrainedModel = DEFAULT_MODEL,
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        device: str | None = None,
        dtype: str | None = "auto",
        chunk_tokens: int = _CHUNK_TOKENS,
        window: int = DEFAULT_WINDOW,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        if window < 1 or chunk_tokens < 1:
            raise InputError(f"window is {window}, chunk_tokens is {chunk_tokens}: both are at least 1")
        if isinstance(model, str | os.PathLike):
            if tokenizer is not None:
                raise InputError(f"a tokenizer was given beside the name {model!r}: the model brings its own")
            loaded, tokenizer = load_causal(model, device=device, dtype=dtype)
        else:
            if tokenizer is None:
                raise InputError("a model was given without its tokenizer: pass tokenizer=")
            loaded = model
        self.tokenizer = tokenizer
        self.engine = Engine(loaded, used=set(tokenizer.get_vocab().values()))
        self.prompter = Prompter(tokenizer)
        self.chunk_tokens, self.window, self.bounds = chunk_tokens, window, bounds
        self.name = _name(model) if isinstance(model, str | os.PathLike) else ""

    @property
    def end(self) -> frozenset[int]:
        """Tokens that end an answer."""
        configured = getattr(self.engine.model.generation_config, "eos_token_id", None)
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(one for one in [*ids, self.tokenizer.eos_token_id] if isinstance(one, int))

    def ask(
        self,
        question: str,
        contexts: Iterable[str | Context],
        *,
        settings: Settings | None = None,
        layout: Layout | None = None,
        ordered: bool = False,
        on_text: Callable[[str], None] = lambda piece: None,
        on_read: Callable[[int, int], None] = lambda done, total: None,
    ) -> Answer:
        """Answer one question. Arguments and errors are those of `ask_many`."""
        (answer,) = self.ask_many(
            [question], contexts, settings=settings, layout=layout, ordered=ordered, on_text=on_text, on_read=on_read
        )
        return answer

    def ask_many(
        self,
        questions: Sequence[str],
        contexts: Iterable[str | Context],
        *,
        settings: Settings | None = None,
        layout: Layout | None = None,
        ordered: bool = False,
        on_question: Callable[[int], None] = lambda number: None,
        on_text: Callable[[str], None] = lambda piece: None,
        on_read: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Answer]:
        """Answer several questions about the same texts, which are read once; one answer each, in order, as they come.

        contexts: texts, of any length: long ones are cut into overlapping windows; ones without text are passed over.
        settings: of decoding. layout: the words around context and question; None for one in the question's language.
        ordered: tell the model the place of every part among all, for questions about the order of things.
        on_question: told the number of the question whose answer begins; on_text: every further piece of the answer.
        on_read: told how many parts have been read, of how many.

        Raises InputError where there is no context, no question, or none with text; TextTooLongError for a question
        that leaves no room for context and answer. Warns with LanguageWarning where texts or questions are Chinese and
        the model's vocabulary has hardly any.
        """
        settings = settings or Settings()
        given = as_contexts(contexts)
        check_questions(questions)
        self._warn_of_chinese(questions, given)
        layouts = [layout or layout_for(question, chat=self.prompter.chat) for question in questions]
        asked = [self.prompter.question(question, one) for question, one in zip(questions, layouts, strict=True)]
        parts = self.parts(given, room=self._room(asked, layouts, settings, ordered))
        return self._answers(questions, asked, layouts, parts, given, settings, ordered, on_question, on_text, on_read)

    def parts(self, contexts: Sequence[Context], *, room: int | None = None) -> list[Part]:
        """The windows of the contexts, of at most ``room`` tokens."""
        size = self.window if room is None else min(self.window, room)
        return cut(contexts, self.tokenizer, max_tokens=size, overlap=size // _OVERLAP)

    def decode(
        self, prepared: Prepared, settings: Settings, *, on_text: Callable[[str], None] = lambda piece: None
    ) -> Decoded:
        """The answer to a question that was read behind its contexts."""
        end = self.end
        steps = steps_of(
            self.engine,
            prepared.rows,
            prepared.log_p,
            NBCEChooser(prepared, settings),
            end=end,
            max_tokens=settings.max_tokens,
        )
        stop = settings.stop if self.prompter.chat else (*settings.stop, "\n")
        return write(steps, self.tokenizer, end=end, stop=stop, on_text=on_text)

    def copies(self, question: str, settings: Settings) -> bool:
        """Whether the answer to this question is copied from the text rather than written."""
        if settings.copy is not None:
            return settings.copy
        routed = settings.pooling == "entropy" and settings.route > 0 and settings.closer > 0
        return self.name in _COPYING and routed and not settings.temperature and asks_for_words(question)

    def _answers(
        self,
        questions: Sequence[str],
        asked: Sequence[Sequence[int]],
        layouts: Sequence[Layout],
        parts: Sequence[Part],
        given: Sequence[Context],
        settings: Settings,
        ordered: bool,
        on_question: Callable[[int], None],
        on_text: Callable[[str], None],
        on_read: Callable[[int, int], None],
    ) -> Iterator[Answer]:
        prepared: dict[int, Prepared] = {}
        shared = Counter(layouts)
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            on_read(done, len(parts) * len(shared))

        # questions of one language share what stands before them
        for layout in shared:
            numbers = [number for number, one in enumerate(layouts) if one == layout]
            rows = [
                self.prompter.context(
                    part.token_ids, layout, place=(place, len(parts)) if ordered and len(parts) > 1 else None
                )
                for place, part in enumerate(parts, start=1)
            ]
            found = prefill(
                self.engine,
                self.prompter.head(),
                rows,
                [asked[number] for number in numbers],
                settings,
                chunk_tokens=self.chunk_tokens,
                on_read=count,
            )
            prepared |= zip(numbers, found, strict=True)
        for number, question in enumerate(questions):
            on_question(number)
            ready = prepared.pop(number)
            near = None
            if settings.closer:
                near = look_closer(
                    self.engine,
                    self.prompter,
                    ready,
                    parts,
                    asked[number],
                    layouts[number],
                    settings,
                    chunk_tokens=self.chunk_tokens,
                    ordered=ordered and len(parts) > 1,
                )
            taken = None
            if self.copies(question, settings):
                read, among = (ready, parts) if near is None else (near.prepared, near.parts)
                taken = copy(
                    self.engine,
                    self.prompter,
                    read,
                    among,
                    question,
                    asked[number],
                    layouts[number],
                    end=self.end,
                    max_tokens=settings.max_tokens,
                )
            if taken is not None:
                on_text(taken.decoded.text)
            decoded = (
                self.decode(ready if near is None else near.prepared, settings, on_text=on_text)
                if taken is None
                else taken.decoded
            )
            answer = _answer(
                question, self.prompter.length(question), decoded, ready, near, taken, parts, given, self.bounds
            )
            yield replace(answer, model=self.name)

    def _room(
        self, asked: Sequence[Sequence[int]], layouts: Sequence[Layout], settings: Settings, ordered: bool
    ) -> int | None:
        """Tokens that are left for a window; None where the model names no limit."""
        limit = self.engine.limit
        if limit is None:
            return None
        around = max(
            len(question) + len(self.prompter.context((), layout, place=(99_999, 99_999) if ordered else None))
            for question, layout in zip(asked, layouts, strict=True)
        )
        room = limit - around - settings.max_tokens
        if room < 1:
            raise TextTooLongError(
                f"the longest question takes {max(map(len, asked))} tokens with its prompt, an answer up to "
                f"{settings.max_tokens}; that leaves no room for context in the model's {limit}: ask more briefly, or "
                "lower max_tokens"
            )
        return room

    def _warn_of_chinese(self, questions: Sequence[str], contexts: Sequence[Context]) -> None:
        chinese = next((text for text in questions if has_han(text)), None)
        if chinese is None:
            chinese = next((one.text for one in contexts if has_han(one.text)), None)
        if chinese is None:
            return
        spelled = tokens_per_han(self.tokenizer, chinese)
        if spelled > _SPELLED:
            warnings.warn(
                # whoever has Chinese texts may read no English
                f"this model hardly knows Chinese (its vocabulary spells a character in {spelled:.1f} pieces): expect "
                "no usable answers to Chinese questions or from Chinese texts; ask in Chinese without naming a model "
                "and the extractive reader answers, or name a model that was trained on Chinese, such as "
                "Qwen/Qwen2.5-0.5B-Instruct. 这个模型几乎不懂中文，对中文的问题和资料给不出可用的答案；"
                "不指定模型、用中文提问，就由抽取式阅读器回答；或者指定学过中文的模型，例如 "
                "Qwen/Qwen2.5-0.5B-Instruct。",
                LanguageWarning,
                stacklevel=3,
            )


def _name(model: str | os.PathLike[str]) -> str:
    """Goes out with every answer: what a folder is called, not where it lies."""
    return Path(model).resolve().name if Path(model).is_dir() else os.fspath(model)


def tokens_per_han(tokenizer: PreTrainedTokenizerBase, text: str) -> float:
    """How many tokens a Chinese character of the text takes, on average over its first 500; 0 if it has none."""
    characters = [one for one in text if has_han(one)][:500]
    encoded = encode_texts(tokenizer, ["".join(characters)])[0][0] if characters else []
    return len(encoded) / max(len(characters), 1)


def _answer(
    question: str,
    question_tokens: int,
    decoded: Decoded,
    routed: Prepared,
    near: Closer | None,
    taken: Copied | None,
    parts: Sequence[Part],
    given: Sequence[Context],
    bounds: Bounds,
) -> Answer:
    """Locate: steps and rows back to stretches of the user's texts."""
    prepared, read, likely = routed, parts, routed.posterior
    if near is not None:
        # among the kept parts, which of their sentences
        prepared, read = near.prepared, near.parts
        likely = near.prepared.posterior * routed.posterior[list(routed.kept)].sum()
    # white space around an answer is the model's habit, not the answer
    lead = len(decoded.text) - len(decoded.text.lstrip())
    text = decoded.text.strip()
    drawn = [step.context for step in decoded.steps if step.context is not None]
    shares = Counter(drawn)
    order = sorted(prepared.kept, key=lambda number: (-shares[number], -float(prepared.lift[number]), number))
    sources = tuple(
        Source(
            context=read[number].context,
            span=read[number].span,
            lift=float(prepared.lift[number]),
            posterior=min(float(likely[number]), 1.0),
            share=shares[number] / max(len(drawn), 1),
            document=given[read[number].context].document,
            record=given[read[number].context].record,
            evidence=taken.evidence
            if taken is not None and number == taken.part
            else _evidence(text, read[number].span),
        )
        for number in order
    )
    followed = drawn if near is None else [near.parents[number] for number in drawn]
    lift = routed.lift.tolist()
    ends = [min(max(end - lead, 0), len(text)) for end in decoded.ends]
    tokens = tuple(
        AnswerToken(start, end, order.index(context))
        for start, end, context in zip([0, *ends], ends, drawn, strict=False)
    )
    return Answer(
        question=question,
        text=text,
        tokens=tokens,
        sources=sources,
        parts=len(parts),
        doubts=doubts(
            max(lift),
            second_best(lift, [(part.context, part.span.start, part.span.end) for part in parts]),
            followed,
            question_tokens=question_tokens,
            bounds=bounds,
        ),
        finished=decoded.finished,
    )


def _evidence(answer: str, span: Span) -> Span | None:
    """Where the answer stands in the stretch word for word, case and a final stop aside."""
    wanted = answer.rstrip(".。!！ ").casefold()
    # casefold may change the length of a text (ß); then positions would not fit
    text = span.text.casefold() if len(span.text.casefold()) == len(span.text) else span.text
    place = text.find(wanted) if wanted else -1
    if place < 0:
        return None
    start, end = place, place + len(wanted)
    return Span(span.start + start, span.start + end, span.text[start:end])
