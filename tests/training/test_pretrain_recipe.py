"""Recipes: every key is checked, and an error says where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tiny_corpus import tiny_recipe, tiny_values

from ironwok.errors import DataError, RecipeError
from ironwok.training.preparation import find_sources, make_tokenizer, model_config, pair_options
from ironwok.training.progress import Silent
from ironwok.training.recipe import PretrainRecipe, doubts_of, load_recipe

SMALL = """
name = "small"
[[sources]]
name = "one"
files = ["*.txt"]
weight = 1
[optimizer]
steps = 100
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_not_said_has_a_default(tmp_path):
    recipe = load_recipe(written(tmp_path, SMALL))
    assert recipe.name == "small"
    assert recipe.sources[0].fields == ["text"]
    assert recipe.pairs.kinds == {"next": 0.5, "heading": 0.1, "keyword": 0.4}
    assert recipe.optimizer.schedule == "linear"
    assert recipe.precision == "auto"


def test_overrides_are_toml_or_text(tmp_path):
    overrides = [
        "optimizer.steps=7",
        "optimizer.schedule=cosine",
        'name="other"',
        "pairs.kinds={next = 1.0}",
        "model.hidden_size = 64",
        "held_out=0.25",
    ]
    recipe = load_recipe(written(tmp_path, SMALL), overrides=overrides)
    assert (recipe.optimizer.steps, recipe.optimizer.schedule, recipe.name) == (7, "cosine", "other")
    assert (recipe.pairs.kinds, recipe.model, recipe.held_out) == ({"next": 1.0}, {"hidden_size": 64}, 0.25)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.steps", "not of the form section.key=value"),
        ("optimizer.stesp=7", r"optimizer\.stesp: no such key \(did you mean 'steps'"),
        ("optimizer.steps=many", r"optimizer\.steps: .*integer"),
        ("optimizer.steps=0", r"optimizer\.steps: .*greater than 0"),
        ("optimizer.steps.more=1", "steps is not a section"),
        ("sources.weight=1", "sources is not a section"),
        ("seed=-1", "seed: .*greater than or equal to 0"),
        ("optimizer.muon_lr=nan", r"optimizer\.muon_lr: .*finite"),
        ("optimizer.adamw_betas=[0.9, 1.0]", r"adamw_betas\.1: .*less than 1"),
        ("held_out=0", "held_out: .*greater than 0"),
        ("precision=fp8", "precision: .*bf16"),
        ("masking.rate=1.5", r"masking\.rate: .*less than or equal to 1"),
        ("pairs.kinds={other = 1.0}", r"pairs: .*\('next', 'heading', 'keyword', 'labelled'\)"),
        ("pairs.kinds={next = -1.0}", r"pairs\.kinds\.next: .*greater than or equal to 0"),
        ("pairs.kinds={next = 0.0}", "positive weights are needed"),
        ("pairs.kinds={labelled = 1.0}", "no labelled set is given"),
        ("pairs.lengths=[]", r"pairs\.lengths: .*at least 1"),
        ("pairs.lengths=[[8, 1.0]]", r"pairs\.lengths\.0\.0: .*greater than or equal to 12"),
        ("pairs.lengths=[[24, 0.0]]", "some weight must be positive"),
        ('pairs.templates=["没有位置"]', "'没有位置' needs exactly one place"),
        ('pairs.templates=["{}和{}"]', "needs exactly one place"),
        ("pairs.templates=[]", r"pairs\.templates: .*at least 1"),
        ("tokenizer.vocab_size=40000", r"tokenizer\.vocab_size: .*less than or equal to 32768"),
        ("sources=[]", "sources: .*at least 1"),
        ("masking.unit=letters", "masking.unit: should be 'word', 'token' or 'span', not 'letters'"),
        ("masking=0.1", "masking: is a section with keys of its own, not 0.1"),
        ("masking.rat=0.1", r"masking\.rat: no such key \(did you mean 'rate'\?\); there are rate, row_rate, unit"),
    ],
)
def test_an_error_names_file_key_and_bound(tmp_path, override, said):
    path = written(tmp_path, SMALL)
    with pytest.raises(RecipeError, match=said) as caught:
        load_recipe(path, overrides=[override])
    assert str(path) in str(caught.value) or override in str(caught.value)


def test_what_is_hardly_meant_is_doubted(tmp_path):
    path = written(tmp_path, SMALL)
    sound = ["optimizer.steps=9000", "optimizer.tokens_per_batch=512"]
    assert doubts_of(load_recipe(path, overrides=sound)) == []
    found = doubts_of(load_recipe(path, overrides=["optimizer.steps=100", "masking.rate=0.0", *sound[1:]]))
    assert found[0].startswith("optimizer.alpha_warmup_steps is 1500, and there are 100 steps")
    assert [doubt.split(" ")[0] for doubt in found[1:]] == ["optimizer.warmup_steps", "masking.rate"]
    (few,) = doubts_of(load_recipe(path, overrides=[sound[0], "optimizer.tokens_per_batch=12"]))
    assert few.startswith("optimizer.tokens_per_batch is 12")


def test_all_errors_are_told_at_once(tmp_path):
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, SMALL), overrides=["seed=x", "masking.rate=2", "nonsense=1"])
    assert all(key in str(caught.value) for key in ("seed", "masking.rate", "nonsense"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"name = ", "not a readable TOML"), (b"\xff\xfe\x00", "not a readable TOML"), (b"", "sources")],
)
def test_what_is_no_recipe_is_named(tmp_path, content, said):
    path = tmp_path / "small.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=said):
        load_recipe(path)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.toml: no such recipe"):
        load_recipe(tmp_path / "nowhere.toml")
    with pytest.raises(RecipeError, match="not a readable TOML"):
        load_recipe(tmp_path)


GROWN = """
name = "grown"
base = "small.toml"
[optimizer]
steps = 7
[pairs]
kinds = { next = 1.0 }
[[sources]]
name = "more"
files = ["more.txt"]
weight = 0.5
[[sources]]
name = "one"
files = ["other.txt"]
weight = 3.0
"""


def test_a_recipe_builds_on_another(tmp_path):
    base = load_recipe(written(tmp_path, SMALL))
    (tmp_path / "grown.toml").write_text(GROWN, encoding="utf-8")
    grown = load_recipe(tmp_path / "grown.toml", overrides=["optimizer.clip=2.0"])
    assert grown.name == "grown"
    assert [source.name for source in grown.sources] == ["one", "more"]
    assert {source.name: source.files for source in grown.sources}["one"] == ["other.txt"]
    assert grown.optimizer == base.optimizer.model_copy(update={"steps": 7, "clip": 2.0})
    assert grown.pairs == base.pairs.model_copy(update={"kinds": {"next": 1.0}})
    kept = {"name", "sources", "optimizer", "pairs"}
    assert grown.model_dump(exclude=kept) == base.model_dump(exclude=kept)


def test_what_is_wrong_in_a_base_is_looked_for_there(tmp_path):
    written(tmp_path, SMALL.replace("steps = 100", 'steps = "many"'))
    grown = tmp_path / "grown.toml"
    grown.write_text('name = "grown"\nbase = "small.toml"\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"grown\.toml, built on .*small\.toml: optimizer\.steps: "):
        load_recipe(grown)
    more = '[[sources]]\nname = "own"\nfiles = ["a.txt"]\nweight = "much"\n'
    grown.write_text('name = "grown"\nbase = "small.toml"\n' + more, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"sources\.1 \(own\)\.weight: "):
        load_recipe(grown)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("3", "base is 3: the path of a recipe is needed"),
        ('" "', "base is ' ': the path of a recipe"),
        ('"nowhere.toml"', r"nowhere\.toml: no such recipe \(the base of .*grown\.toml\)"),
        ('"grown.toml"', "its base grown.toml is built on grown.toml itself"),
    ],
)
def test_a_base_that_cannot_be_built_on_is_named(tmp_path, base, said):
    (tmp_path / "grown.toml").write_text(f'name = "grown"\nbase = {base}\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=said):
        load_recipe(tmp_path / "grown.toml")


def test_two_recipes_do_not_build_on_each_other(tmp_path):
    for name, base in (("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{base}.toml"\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"two\.toml: its base one\.toml is built on two\.toml itself"):
        load_recipe(tmp_path / "one.toml")


@pytest.mark.parametrize("pattern", ["../secret.txt", "a/../../b.txt", "/etc/passwd", "C:/x.txt", "", "."])
def test_patterns_stay_inside_the_data(pattern):
    source = {"name": "one", "files": [pattern], "weight": 1.0}
    with pytest.raises(ValidationError, match="inside the folder of the data"):
        tiny_recipe(sources=[source])


def labelled(**values: Any) -> dict[str, Any]:
    return {
        "name": "task",
        "files": ["a.jsonl"],
        "weight": 1.0,
        "form": "single",
        "fields": ["text"],
        "labels": {"1": ["好"], "2": ["坏"]},
        **values,
    }


PAIR = {"form": "pair", "fields": ["a", "b"]}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fields": ["a", "b"]}, "form single takes 1 fields"),
        ({"labels": {"1": ["好"]}}, "two labels or more"),
        ({"labels": {"1": ["好"], "2": []}}, "at least 1 item"),
        ({"labels": {"1": ["好"], "2": [" "]}}, "match pattern"),
        ({"templates": ["没有"]}, "exactly one place"),
        ({**PAIR, "positive": ["1"]}, "needs the raw labels in positive and in negative"),
        ({**PAIR, "positive": ["1"], "negative": ["1", "0"]}, "positive and negative at once: 1"),
        ({"form": "choice", "fields": ["text"]}, "form choice takes 4 fields"),
        ({"form": "ranking"}, "'single', 'pair', 'choice', 'reading' or 'entities'"),
    ],
)
def test_labelled_sets_are_checked(values, said):
    with pytest.raises(ValidationError, match=said):
        tiny_recipe(labelled=[labelled(**values)], pairs={"kinds": {"next": 0.5, "labelled": 0.5}})


def test_labelled_sets_need_a_weight():
    with pytest.raises(ValidationError, match=r"pairs\.kinds has no weight for labelled"):
        tiny_recipe(labelled=[labelled()])
    assert tiny_recipe(labelled=[labelled()], pairs={"kinds": {"next": 1.0, "labelled": 0.0}}).labelled


def test_sources_have_names_of_their_own():
    source = {"name": "one", "files": ["a.txt"], "weight": 1.0}
    with pytest.raises(ValidationError, match="named twice: one"):
        tiny_recipe(sources=[source, source])
    with pytest.raises(ValidationError, match="256 sources, a store takes 255"):
        tiny_recipe(sources=[{**source, "name": str(number)} for number in range(256)])


def test_a_recipe_survives_being_written_down():
    recipe = tiny_recipe()
    assert PretrainRecipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert tiny_values()["seed"] == recipe.seed


# -- recipe and data together --


def test_files_are_found_once_and_in_order(tmp_path):
    for name in ("b.txt", "a.txt", "c.jsonl"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d.txt").mkdir()
    source = {"name": "one", "files": ["c.jsonl", "*.txt", "a.*"], "weight": 1.0}
    (found,) = find_sources(tiny_recipe(sources=[source]), tmp_path)
    assert [path.name for path in found.files] == ["c.jsonl", "a.txt", "b.txt"]


def test_missing_files_are_an_error_unless_optional(data):
    there = {"name": "there", "files": ["plain.txt"], "weight": 1.0}
    gone = {"name": "gone", "files": ["gone/*.txt", "gone.txt"], "weight": 1.0}
    with pytest.raises(DataError, match=r"source gone: nothing in .* matches gone/\*\.txt, gone\.txt"):
        find_sources(tiny_recipe(sources=[there, gone]), data)
    found = find_sources(tiny_recipe(sources=[there, {**gone, "optional": True}]), data)
    assert [source.name for source in found] == ["there"]
    with pytest.raises(DataError, match="none of the 1 sources"):
        find_sources(tiny_recipe(sources=[{**gone, "optional": True}]), data)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        find_sources(tiny_recipe(), data / "nowhere")
    with pytest.raises(RecipeError, match="not a pattern"):
        find_sources(tiny_recipe(sources=[{**gone, "files": ["**x/[*.txt"]}]), data)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"hidden_sise": 32}, r"model\.hidden_sise: no such key; there are .*hidden_size"),
        ({"vocab_size": 5}, r"model\.vocab_size is not for recipes: the tokenizer decides"),
        ({"branch_scale": 0.5}, "alpha_warmup_steps"),
        ({"hidden_size": "abc"}, r"model\.hidden_size is 'abc': int is needed"),
        ({"num_hidden_layers": 2.5}, r"model\.num_hidden_layers is 2\.5: int is needed"),
        ({"use_bias": "maybe"}, r"model\.use_bias is 'maybe': bool is needed"),
        ({"max_position_embeddings": 50}, "rows of 64 tokens, the model takes 50"),
    ],
)
def test_the_model_section_is_checked(tokenizer, model, said):
    with pytest.raises(RecipeError, match=said):
        model_config(tiny_recipe(model=model), tokenizer)


def test_the_model_gets_what_the_recipe_says(tokenizer):
    config = model_config(tiny_recipe(optimizer={"next_sentence_weight": 3.0}), tokenizer)
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (len(tokenizer), 32, 2)
    assert config.next_sentence_weight == 3.0


def test_templates_become_tokens(tokenizer):
    options = pair_options(tiny_recipe(pairs={"templates": ["{}", "大家{}了"]}), tokenizer)
    words = [tuple(tokenizer.decode([token & 0x7FFF]) for token in part) for part in (options.templates[1].before,)]
    assert options.templates[0].before == options.templates[0].after == ()
    assert words == [("大", "家")]
    # a comma that the vocabulary does not know is no separator
    assert options.separator is None


def test_a_tokenizer_trained_for_something_else_is_not_used(data, tmp_path):
    trained = {"source": "train", "vocab_size": 300, "min_frequency": 2}
    recipe = tiny_recipe(tokenizer=trained)
    sources = find_sources(recipe, data)
    first = make_tokenizer(recipe, sources, tmp_path, progress=Silent())
    assert first.get_vocab() == make_tokenizer(recipe, sources, tmp_path, progress=Silent()).get_vocab()
    with pytest.raises(RecipeError, match="trained on other files or for another size"):
        make_tokenizer(tiny_recipe(tokenizer={**trained, "vocab_size": 200}), sources, tmp_path, progress=Silent())
    with pytest.raises(RecipeError, match="trained on other files"):
        make_tokenizer(recipe, sources[:1], tmp_path, progress=Silent())
