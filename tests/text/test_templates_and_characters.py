from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.errors import TemplateError
from ironwok.text.characters import cut_near, has_han, has_hangul, is_unspaced, without_surrogates
from ironwok.text.templates import Template, default_template


@pytest.mark.parametrize("source", ["这是一则{}新闻", "这是一则{label}新闻", "{}", "{}。", "a {label}"])
def test_templates_put_the_label_in_its_place(source: str) -> None:
    template = Template.parse(source)
    assert template.render("科技") == source.replace("{label}", "科技").replace("{}", "科技")
    start, end = template.label_span("科技")
    assert template.render("科技")[start:end] == "科技"
    assert Template.parse(template.source) == template


def test_braces_elsewhere_are_ordinary_characters() -> None:
    assert Template.parse("{a} is {}, 100%").render("{x}{}") == "{a} is {x}{}, 100%"


@pytest.mark.parametrize("source", ["", "新闻", "{0}", "{ }", "{labels}"])
def test_a_template_without_a_place_is_named(source: str) -> None:
    with pytest.raises(TemplateError) as raised:
        Template.parse(source)
    assert repr(source) in str(raised.value)
    assert "no place for the label" in str(raised.value)


@pytest.mark.parametrize("source", ["{}{}", "{} and {label}", "{label}{label}"])
def test_a_template_with_two_places_is_named(source: str) -> None:
    with pytest.raises(TemplateError, match="2 places for the label"):
        Template.parse(source)


def test_a_template_that_is_no_string() -> None:
    with pytest.raises(TemplateError, match=r"None \(NoneType\)"):
        Template.parse(None)  # pyright: ignore[reportArgumentType]


@given(st.text(), st.text(), st.text())
def test_rendering_is_before_label_after(before: str, label: str, after: str) -> None:
    template = Template(before, after)
    start, end = template.label_span(label)
    assert template.render(label) == before + label + after
    assert template.render(label)[start:end] == label


def test_default_templates_follow_the_language_of_the_labels() -> None:
    assert has_han(default_template(["sports", "科技"]).source)
    assert not has_han(default_template(["sports", "science"]).source)
    assert default_template(["体育"]).render("体育").count("体育") == 1


def test_scripts() -> None:
    assert has_han("abc字")
    assert has_han("𠮷〇")
    assert not has_han("カナ한글，")
    assert has_hangul("x한")
    assert not has_hangul("字カ")
    assert all(map(is_unspaced, "字カ，Ａ「〇"))
    assert not any(map(is_unspaced, "a한 .é😀"))


def test_cuts_fall_between_visible_characters() -> None:
    family = "👨\u200d👩\u200d👧"
    assert [cut_near("ab" + family, i) for i in range(1, 8)] == [1, 2, 2, 2, 2, 2, 7]
    assert cut_near("e\u0301\u0302x", 2) == 0 or cut_near("e\u0301\u0302x", 2) == 2
    assert cut_near("a\r\nb", 2) == 1
    assert cut_near("👍🏽b", 1) == 1 or cut_near("x👍🏽b", 2) == 1
    assert cut_near("abc", 99) == 3
    assert cut_near("a" + "\u0301" * 500, 400) == 400  # a pile of marks is cut through


def test_surrogates() -> None:
    assert without_surrogates("a\ud800\udfffb") == ("a\ufffd\ufffdb", 2)
    assert without_surrogates("好😀") == ("好😀", 0)


def test_the_room_is_light() -> None:
    """Importing it must cost next to nothing: the command line does so before it knows what is wanted."""
    program = (
        "import sys, ironwok.text.documents, ironwok.text.passages, ironwok.text.templates, ironwok.text.windows\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'docx', 'pypdfium2', 'selectolax', 'markdown_it', 'yaml'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
