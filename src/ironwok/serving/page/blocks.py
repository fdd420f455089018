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
from ironwok.serving.page.samples import ANSWER, CLASSIFY, EXTRACT
from ironwok.serving.page.words import LANGUAGES, WORDS, Language, both, word
from ironwok.serving.problems import Problem, invalid, printable
from ironwok.serving.schemas import AnswerRequest, ClassifyRequest, ExtractRequest
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
            for service, task, fill in (
                (server.classify, "classify", _classify),
                (server.extract, "extract", _extract),
                (server.answer, "answer", _answer),
            ):
                if service is not None:
                    with page.named(gr.Tab(word(task, "en"), id=task, elem_id=f"tab-{task}"), label=task):
                        fill(page, server)
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
            chosen = [label.strip() for label in _COMMAS.split(labels) if label.strip()]
            request = ClassifyRequest(
                texts=[line.strip() for line in texts.splitlines() if line.strip()],
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
