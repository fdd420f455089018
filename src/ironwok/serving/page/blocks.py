"""What stands on the page, and what its buttons do: the same requests as over HTTP, on the same queues."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import gradio as gr
from pydantic import ValidationError

from ironwok.errors import InputError
from ironwok.serving.answering import pieces_of
from ironwok.serving.page import markup
from ironwok.serving.page.samples import ANSWER, CLASSIFY, COMPARE, EXTRACT, FILL
from ironwok.serving.page.words import LANGUAGES, WORDS, Language, both, word
from ironwok.serving.problems import Problem, invalid, printable
from ironwok.serving.schemas import AnswerRequest, ClassifyRequest, CompareRequest, ExtractRequest, FillRequest
from ironwok.serving.server import Server

_COMMAS = re.compile(r"[,，、;；\n]+")
_PARAGRAPHS = re.compile(r"\n\s*\n")
_log = logging.getLogger(__name__)

# the language that was chosen here before, else the browser's
_LANGUAGE = """() => {
  let said = null;
  try { said = localStorage.getItem("ironwok-language"); } catch (error) { /* storage may be forbidden */ }
  const language = said ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  return language;
}"""
_CHOSEN = """(language) => {
  try { localStorage.setItem("ironwok-language", language); } catch (error) { /* storage may be forbidden */ }
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  return language;
}"""

# choices of every event: the queue that counts is the server's own, and the API of the page is nobody's concern
_EVENT: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "private", "show_progress": "minimal"}


def build(server: Server) -> gr.Blocks:
    """The page for what the server can do."""
    page = _Page()
    with gr.Blocks(title="Ironwok", analytics_enabled=False, fill_width=False) as blocks:
        with gr.Row(elem_id="top"):
            gr.HTML(f'<p class="mark">Ironwok</p><h1>{both("title")}</h1><p class="lead">{both("lead")}</p>')
            language = gr.Radio(
                [("English", "en"), ("中文", "zh")], value="en", show_label=False, container=False, elem_id="language"
            )
        with gr.Tabs():
            for service, task, fill_in in (
                (server.classify, "classify", _classify),
                (server.compare, "compare", _compare),
                (server.fill, "fill", _fill),
                (server.extract, "extract", _extract),
                (server.answer, "answer", _answer),
            ):
                if service is not None:
                    with page.named(gr.Tab(word(task, "en"), id=task, elem_id=f"tab-{task}"), label=task):
                        fill_in(page, server)
        dressed = [language, *page.components]
        loading = _EVENT | {"show_progress": "hidden", "queue": False}
        blocks.load(page.dress, inputs=[language], outputs=dressed, js=_LANGUAGE, **loading)
        language.input(page.dress, inputs=[language], outputs=dressed, js=_CHOSEN, **loading)
    return blocks


class _Page:
    """Remembers which words of which component change with the language."""

    def __init__(self) -> None:
        self.components: list[Any] = []
        self._words: list[Mapping[str, str]] = []

    def named(self, component: Any, **words: str) -> Any:
        """The component, whose properties are to be these words."""
        assert all(name in WORDS for name in words.values())
        self.components.append(component)
        self._words.append(words)
        return component

    def dress(self, language: Language) -> list[Any]:
        """The switch, and for every component its words."""
        if language not in LANGUAGES:
            language = "en"
        told: list[dict[str, Any]] = [{of: word(name, language) for of, name in own.items()} for own in self._words]
        return [language, *(gr.update(**words) for words in told)]

    def box(self, name: str, **options: Any) -> gr.Textbox:
        return self.named(gr.Textbox("", label=word(name, "en"), **options), label=name)

    def button(self, name: str, **options: Any) -> gr.Button:
        return self.named(gr.Button(word(name, "en"), **options), value=name)

    def samples(self, samples: Mapping[str, tuple[Any, ...]], inputs: list[Any]) -> None:
        """A button for each sample, that fills it in."""
        with gr.Row(elem_classes="samples"):
            for name, values in samples.items():
                button = gr.Button(name, size="sm", min_width=60)
                given = list(values) if len(inputs) > 1 else next(iter(values))
                button.click(
                    lambda given=given: given, outputs=inputs, **(_EVENT | {"show_progress": "hidden", "queue": False})
                )


def _classify(page: _Page, server: Server) -> None:
    own = getattr(server.services.classifier, "labels", None)
    with gr.Row(equal_height=False):
        with gr.Column(elem_classes="asked"):
            texts = page.box("texts", lines=6, max_lines=14, elem_id="texts")
            labels = page.box("own_labels" if own else "labels", lines=2, elem_id="labels")
            with page.named(gr.Accordion(word("more", "en"), open=False), label="more"):
                template = page.named(
                    gr.Textbox("", label=word("template", "en"), placeholder=word("template_hint", "en")),
                    label="template",
                    placeholder="template_hint",
                )
                several = page.named(gr.Checkbox(label=word("several", "en"), elem_id="several"), label="several")
                calibrate = page.named(gr.Checkbox(label=word("calibrate", "en")), label="calibrate")
                threshold = page.named(
                    gr.Slider(0, 1, value=0, step=0.05, label=word("threshold", "en")), label="threshold"
                )
            button = page.button("do_classify", variant="primary", elem_id="do-classify")
            samples = {name: (lines,) for name, (lines, _) in CLASSIFY.items()} if own else CLASSIFY
            page.samples(samples, [texts] if own else [texts, labels])
            _model(server.services.classifier_name)
        shown = gr.HTML(elem_id="classified", elem_classes="shown", min_height=60)

    async def run(texts: str, labels: str, template: str, several: bool, calibrate: bool, threshold: float) -> str:
        async def work() -> str:
            chosen = _listed(labels)
            request = ClassifyRequest(
                texts=_lines(texts),
                labels=chosen or None,
                template=template if template.strip() else None,
                multi_label=several,
                calibrate=True if calibrate else None,
                threshold=threshold or None,
            )
            results = await server.result(_never, lambda: server.classify.submit(request))
            return markup.classifications(
                results, chosen or list(own or ()), several=several, threshold=request.threshold
            )

        return await _told(work)

    inputs = [texts, labels, template, several, calibrate, threshold]
    gr.on([button.click, labels.submit], run, inputs=inputs, outputs=shown, **_EVENT)


def _compare(page: _Page, server: Server) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(elem_classes="asked"):
            firsts = page.box("firsts", lines=4, max_lines=14, elem_id="firsts")
            seconds = page.box("seconds", lines=4, max_lines=14, elem_id="seconds")
            follows = page.named(gr.Checkbox(label=word("follows", "en"), elem_id="follows"), label="follows")
            button = page.button("do_compare", variant="primary", elem_id="do-compare")
            page.samples(COMPARE, [firsts, seconds])
            _model(server.services.judge_name)
        shown = gr.HTML(elem_id="compared", elem_classes="shown", min_height=60)

    async def run(firsts: str, seconds: str, follows: bool) -> str:
        async def work() -> str:
            first, second = _lines(firsts), _lines(seconds)
            if len(first) != len(second):
                raise InputError(
                    f"there are {len(first)} first and {len(second)} second sentences: a line of each makes a pair"
                )
            pairs = [list(pair) for pair in zip(first, second, strict=True)]
            request = CompareRequest(pairs=pairs, relation="inference" if follows else "paraphrase")
            results = await server.result(_never, lambda: server.compare.submit(request))
            return markup.comparisons(pairs, results)

        return await _told(work)

    button.click(run, inputs=[firsts, seconds, follows], outputs=shown, **_EVENT)


def _fill(page: _Page, server: Server) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(elem_classes="asked"):
            blanks = page.box("blanks", lines=5, max_lines=14, elem_id="blanks")
            candidates = page.box("candidates", lines=2, elem_id="candidates")
            button = page.button("do_fill", variant="primary", elem_id="do-fill")
            page.samples(FILL, [blanks, candidates])
            _model(server.services.judge_name)
        shown = gr.HTML(elem_id="filled", elem_classes="shown", min_height=60)

    async def run(blanks: str, candidates: str) -> str:
        async def work() -> str:
            texts, names = _lines(blanks), _listed(candidates)
            request = FillRequest(texts=list(texts), candidates=names)
            results = await server.result(_never, lambda: server.fill.submit(request))
            return markup.fillings(texts, results, names)

        return await _told(work)

    gr.on([button.click, candidates.submit], run, inputs=[blanks, candidates], outputs=shown, **_EVENT)


def _extract(page: _Page, server: Server) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(elem_classes="asked"):
            text = page.box("text", lines=8, max_lines=18, elem_id="text")
            button = page.button("do_extract", variant="primary", elem_id="do-extract")
            page.samples(EXTRACT, [text])
            _model(server.services.extractor_name)
        shown = gr.HTML(elem_id="extracted", elem_classes="shown", min_height=60)

    async def run(text: str) -> str:
        async def work() -> str:
            request = ExtractRequest(texts=text)
            (found,) = await server.result(_never, lambda: server.extract.submit(request))
            return markup.extraction(text, found)

        return await _told(work)

    button.click(run, inputs=[text], outputs=shown, **_EVENT)


def _answer(page: _Page, server: Server) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(elem_classes="asked"):
            contexts = page.box("contexts", lines=9, max_lines=20, elem_id="contexts")
            question = page.box("question", lines=1, max_lines=4, elem_id="question")
            with page.named(gr.Accordion(word("more", "en"), open=False), label="more"):
                most = min(512, server.limits.answer_tokens)
                length = page.named(
                    gr.Slider(1, most, value=min(64, most), step=1, label=word("length", "en")), label="length"
                )
            with gr.Row():
                button = page.button("do_answer", variant="primary", elem_id="do-answer", min_width=120)
                stop = page.button("stop", elem_id="stop", min_width=60)
            page.samples(ANSWER, [contexts, question])
            _model(server.services.answerer_name)
        shown = gr.HTML(elem_id="answered", elem_classes="shown", min_height=60)

    async def run(contexts: str, question: str, length: float) -> AsyncIterator[str]:
        said = ""
        yield markup.unfinished(said)
        try:
            asked = AnswerRequest(
                question=question,
                contexts=[part.strip() for part in _PARAGRAPHS.split(contexts) if part.strip()],
                max_tokens=int(length),
            )
            asking = server.answer.ask(asked)
            pieces = server.accept(lambda: pieces_of(server.answer, asking, seconds=server.limits.seconds))
            # closed when the browser leaves or Stop is pressed: the answer is then given up
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, str):
                        said += piece
                        if piece:
                            yield markup.unfinished(said)
                    else:
                        yield markup.answered(piece)
        except TimeoutError:
            yield _refusal(server.late())
        except Exception as error:
            yield _refusal(error)

    asking = gr.on([button.click, question.submit], run, inputs=[contexts, question, length], outputs=shown, **_EVENT)
    stop.click(None, cancels=[asking], api_visibility="private")


def _lines(texts: str) -> list[str]:
    return [line.strip() for line in texts.splitlines() if line.strip()]


def _listed(words: str) -> list[str]:
    return [name.strip() for name in _COMMAS.split(words) if name.strip()]


def _model(name: str) -> None:
    gr.HTML(f'<p class="of">{both("model")}: {markup.escape(name)}</p>')


async def _told(work: Callable[[], Awaitable[str]]) -> str:
    """What the work shows; where it fails, why."""
    try:
        return await work()
    except Exception as error:
        return _refusal(error)


def _refusal(error: Exception) -> str:
    if isinstance(error, ValidationError):
        error = invalid([found | {"loc": ("body", *found["loc"])} for found in error.errors()])
    if isinstance(error, Problem):
        return markup.refused(error.code, error.message)
    if isinstance(error, InputError):
        return markup.refused("invalid_request", printable(str(error)))
    # the server's own log has the trace, as with a request over HTTP
    _log.error("the page met a bug", exc_info=error)
    return markup.refused("bug", "")


async def _never() -> None:
    """The page's own event is cancelled when its browser leaves; nothing else tells."""
    await asyncio.Event().wait()
