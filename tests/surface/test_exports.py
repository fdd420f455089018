"""The names that users may rely on. A change here is a change of the public interface: note it in CHANGELOG.md."""

from __future__ import annotations

import inspect
import re
from importlib import import_module, metadata

import pytest

import ironwok
from ironwok import errors

PUBLIC = {
    "Answer",
    "Answerer",
    "Argument",
    "Classification",
    "DocumentResult",
    "Entity",
    "Event",
    "EventExtractor",
    "IronwokError",
    "PassageResult",
    "Relation",
    "Report",
    "Skip",
    "Span",
    "ZeroShotClassifier",
    "__version__",
    "read",
}


def test_the_package_exports_exactly_these_names():
    assert set(ironwok.__all__) == PUBLIC
    assert set(dir(ironwok)) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_resolves(name):
    value = getattr(ironwok, name)
    assert value is not None
    if inspect.isclass(value):
        assert value.__name__ == name
        assert (value.__doc__ or "").strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Classifer'"):
        ironwok.Classifer  # noqa: B018


def test_the_installed_version_is_the_one_in_the_source():
    assert metadata.version("ironwok") == ironwok.__version__


def error_classes():
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.IronwokError)
    }


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    drawn = re.findall(r"(?:├──|└──|^ {4})\s?([A-Z]\w+Error)", errors.__doc__ or "", flags=re.MULTILINE)
    assert sorted(drawn) == sorted(error_classes())


@pytest.mark.parametrize("name", sorted(error_classes()))
def test_every_error_says_what_it_is_for(name):
    assert (error_classes()[name].__doc__ or "").strip()


@pytest.mark.parametrize(
    "room",
    [
        "nn",
        "models",
        "text",
        "zero_shot",
        "nbce",
        "students",
        "distill",
        "serving",
        "reading",
        "training",
        "cli",
        "home",
        "lab",
    ],
)
def test_every_room_says_what_it_is_and_keeps_its_word(room):
    module = import_module(f"ironwok.{room}")
    assert (module.__doc__ or "").strip()
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None
