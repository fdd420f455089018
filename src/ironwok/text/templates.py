"""Hypothesis templates: the sentence that a label is put into before the model judges it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ironwok.errors import TemplateError
from ironwok.text.characters import has_han

PLACES = ("{label}", "{}")

DEFAULT_CHINESE = "这是一则{}新闻"
DEFAULT_ENGLISH = "This example is {}."


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence with one place for a label: ``before`` + label + ``after``.

    Braces elsewhere in the sentence and in labels are ordinary characters; nothing is formatted.
    """

    before: str
    after: str

    @classmethod
    def parse(cls, source: str) -> Template:
        """Read a template with exactly one place, written ``{}`` or ``{label}``; else raise TemplateError."""
        if not isinstance(source, str):
            raise TemplateError(
                f"the template is {source!r} ({type(source).__name__}), not a string such as {DEFAULT_CHINESE!r}"
            )
        count = sum(source.count(place) for place in PLACES)
        if count == 0:
            raise TemplateError(
                f"template {source!r} has no place for the label: write {{}} where it belongs, as in {source + '{}'!r}"
            )
        if count > 1:
            raise TemplateError(f"template {source!r} has {count} places for the label, exactly one is needed")
        place = next(place for place in PLACES if place in source)
        before, _, after = source.partition(place)
        return cls(before, after)

    @property
    def source(self) -> str:
        """The template as ``parse`` reads it."""
        return f"{self.before}{{}}{self.after}"

    def render(self, label: str) -> str:
        return f"{self.before}{label}{self.after}"

    def label_span(self, label: str) -> tuple[int, int]:
        """The half-open span of the label in ``render(label)``."""
        return len(self.before), len(self.before) + len(label)


def default_template(labels: Iterable[str]) -> Template:
    """The template in the language of the labels: Chinese if any of them holds a Chinese character, else English."""
    return Template.parse(DEFAULT_CHINESE if any(map(has_han, labels)) else DEFAULT_ENGLISH)
