import pytest

from ironwok.errors import LabelError, TemplateError
from ironwok.zero_shot.labels import is_per_text, parse_labels
from ironwok.zero_shot.pairs import Prompt, fill


@pytest.mark.parametrize(
    "labels",
    [["科技", "财经"], ("科技", "财经"), "科技,财经", "科技， 财经", " 科技 ,财经,", {"科技": None, "财经": None}],
)
def test_labels_come_in_many_forms(labels):
    assert parse_labels(labels).names == ("科技", "财经")


def test_a_mapping_gives_labels_words_of_their_own():
    labels = parse_labels({"Positive": "这次买的东西很好", "Negative": "这次买的东西很差"})
    assert labels.names == ("Positive", "Negative")
    assert labels.words == ("这次买的东西很好", "这次买的东西很差")
    assert labels.is_flat


def test_nested_labels_are_a_tree():
    labels = parse_labels({"体育": ["足球", "篮球"], "财经": {"股票": "炒股", "银行": None}, "其他": None})
    assert labels.names == ("体育/足球", "体育/篮球", "财经/股票", "财经/银行", "其他")
    assert labels.words == ("足球", "篮球", "炒股", "银行", "其他")
    assert not labels.is_flat


def test_paths_are_a_tree_only_when_asked_for():
    paths = ["体育/足球", "财经", "体育/篮球"]
    assert parse_labels(paths).is_flat
    tree = parse_labels(paths, separator="/")
    assert tree.names == ("体育/足球", "体育/篮球", "财经")
    assert [child.name for child in tree.root.children] == ["体育", "财经"]


def test_words_of_a_path_stay_with_its_leaf():
    tree = parse_labels({"a/b": "beta", "a/c": "gamma"}, separator="/")
    assert tree.words == ("beta", "gamma")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no labels"),
        ("", "there are no labels"),
        (" , ", "there are no labels"),
        (["科技"], "one label, '科技', leaves nothing to choose from"),
        (["科技", "财经", "科技"], "label '科技' is given twice"),
        (["科技", " 科技"], "label '科技' is given twice"),
        (["科技", "  "], "a label is blank"),
        (["科技", 3], "label 3 is int, not a string"),
        ({"科技": "", "财经": None}, "label '科技' has blank words"),
        ({"科技", "财经"}, "are a set"),
        (7, "the labels are 7"),
        ({"体育": ["足球", "足球"], "财经": None}, "label '足球' under '体育' is given twice"),
        ({"体育": [], "财经": None}, "there are no labels under '体育'"),
    ],
)
def test_labels_that_cannot_be_used_say_why(labels, message):
    with pytest.raises(LabelError, match=message):
        parse_labels(labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a/b"], "both as a label and as the beginning of finer ones"),
        (["a//b", "c"], "blank step"),
        (["/a", "c"], "blank step"),
        (["a/", "c"], "blank step"),
        ({"a": ["b", "c"], "d": None}, "a tree already"),
    ],
)
def test_paths_that_cannot_be_used_say_why(labels, message):
    with pytest.raises(LabelError, match=message):
        parse_labels(labels, separator="/")


def test_one_label_is_enough_where_it_is_judged_alone():
    assert parse_labels(["科技"], at_least=1).names == ("科技",)


def test_per_text_labels_are_told_from_common_ones():
    assert is_per_text([["a", "b"], ["c", "d"]])
    assert is_per_text([{"a": "x", "b": "y"}])
    assert not is_per_text(["ab", "cd"])
    assert not is_per_text("ab,cd")
    assert not is_per_text({"a": ["b", "c"]})


@pytest.mark.parametrize("template", ["这是一则{}新闻", "这是一则{label}新闻"])
def test_templates_are_filled_around_the_label(template):
    assert fill(template, ["科技", "{}"]) == [Prompt("这是一则", "科技", "新闻"), Prompt("这是一则", "{}", "新闻")]


@pytest.mark.parametrize("template", ["没有地方", "", "{}和{}", "{}和{label}", "{0}", None])
def test_templates_without_exactly_one_place_are_refused(template):
    with pytest.raises(TemplateError):
        fill(template, ["科技"])
