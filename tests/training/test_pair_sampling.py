"""Pairs are what they are said to be: drawn again from the store, they read on or they do not."""

from __future__ import annotations

import itertools
from functools import cached_property

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import ConfigError, DataError
from ironwok.training.corpus import CONTINUES, TOKEN_BITS, Packer, Store, build_store
from ironwok.training.files import Source
from ironwok.training.pairs import IS_NEXT, KINDS, PairBatch, PairOptions, PairSampler, Template

CLS, SEP, PAD = 2, 3, 0
WEIGHTS = {"plain": 0.6, "records": 0.4}


def sampler_of(store: Store, *, tokens: int = 2048, seed: int = 7, held_out: bool = False, labelled=None, **options):
    options.setdefault("lengths", ((48, 1.0),))
    return PairSampler(
        store,
        source_weights={name: WEIGHTS.get(name, 1.0) for name in store.source_names},
        tokens_per_batch=tokens,
        cls_id=CLS,
        sep_id=SEP,
        pad_id=PAD,
        seed=seed,
        options=PairOptions(**options),
        held_out=held_out,
        labelled=labelled,
    )


def as_string(tokens) -> str:
    return "".join(chr(int(token)) for token in tokens)


def rows_of(batch: PairBatch):
    """(first, second, follows, kind) of each row; the parts as strings of one character a token."""
    for row in range(len(batch.input_ids)):
        middle, end = int(batch.second_starts[row]), int(batch.attention_mask[row].sum())
        ids = batch.input_ids[row]
        follows = batch.next_sentence_label[row] == IS_NEXT
        yield as_string(ids[1 : middle - 1]), as_string(ids[middle : end - 1]), follows, KINDS[batch.kinds[row]]


class Texts:
    """The documents of a store as strings of one character a token, to look parts up in."""

    def __init__(self, store: Store) -> None:
        self.store = store
        bounds = store.units[store.documents].astype(int)
        ids = as_string(store.tokens & TOKEN_BITS)
        self.documents = [ids[a:b] for a, b in itertools.pairwise(bounds)]

    @cached_property
    def unit_starts(self) -> list[set[int]]:
        store, bounds = self.store, self.store.units[self.store.documents].astype(int)
        return [
            {int(store.units[unit]) - int(bounds[number]) for unit in range(*map(int, store.documents[number:][:2]))}
            for number in range(len(store))
        ]

    def holding(self, part: str) -> set[int]:
        return {number for number, text in enumerate(self.documents) if part in text}

    def sources_of(self, part: str) -> set[int]:
        return {int(self.store.sources[number]) for number in self.holding(part)}


@pytest.fixture(scope="module")
def texts(store) -> Texts:
    return Texts(store)


def many(sampler: PairSampler, batches: int = 6):
    return [row for step in range(batches) for row in rows_of(sampler.batch(step))]


def test_a_batch_is_a_function_of_seed_step_and_rank(store):
    one, two = sampler_of(store, seed=7), sampler_of(store, seed=7)
    late = one.batch(5, rank=1)
    for step in (3, 0, 4):
        two.batch(step)
    again = two.batch(5, rank=1)
    for name in PairBatch.__dataclass_fields__:
        assert np.array_equal(getattr(late, name), getattr(again, name)), name
    others = [one.batch(5), one.batch(4, rank=1), sampler_of(store, seed=8).batch(5, rank=1)]
    assert all(not np.array_equal(late.input_ids, other.input_ids) for other in others)


def test_shapes_are_those_of_the_lengths(store):
    sampler = sampler_of(store, tokens=1000, lengths=((24, 0.5), (48, 0.5), (64, 0.0)), shortest=0.9)
    shapes = set()
    for step in range(12):
        batch = sampler.batch(step)
        rows, length = batch.input_ids.shape
        shapes.add((rows, length))
        filled = batch.attention_mask.sum(axis=1)
        assert (filled <= length).all()
        # cut to 0.9 of the length or more, and then perhaps back to the end of a clause
        assert filled.mean() > 0.75 * length
    assert shapes == {(41, 24), (20, 48)}


def test_a_row_is_cls_first_sep_second_sep_padding(store):
    for step in range(4):
        batch = sampler_of(store).batch(step)
        for row, ids in enumerate(batch.input_ids):
            middle, end = int(batch.second_starts[row]), int(batch.attention_mask[row].sum())
            assert ids[0] == CLS
            assert ids[middle - 1] == ids[end - 1] == SEP
            assert (ids[end:] == PAD).all()
            assert not np.isin(ids[1 : middle - 1], (CLS, SEP, PAD)).any()
            assert not np.isin(ids[middle : end - 1], (CLS, SEP, PAD)).any()
            assert batch.attention_mask[row].tolist() == [True] * end + [False] * (len(ids) - end)
            assert batch.token_type_ids[row].tolist() == [0] * middle + [1] * (end - middle) + [0] * (len(ids) - end)
            special = [0, middle - 1, *range(end - 1, len(ids))]
            assert np.flatnonzero(~batch.maskable[row]).tolist() == special
            assert not batch.continues[row][~batch.maskable[row]].any()
            assert not batch.continues[row][[1, middle]].any()


def test_labels_are_balanced_within_every_kind(store):
    rows = many(sampler_of(store, kinds={"next": 0.4, "heading": 0.3, "keyword": 0.3}), 40)
    for kind in ("next", "heading", "keyword"):
        labels = [follows for _, _, follows, own in rows if own == kind]
        assert len(labels) > 300
        assert abs(np.mean(labels) - 0.5) < 0.06
    assert np.mean([follows for _, _, follows, _ in rows]) == 0.5


def test_next_pairs_read_on_in_a_document_and_negatives_do_not(store, texts):
    rows = many(sampler_of(store, kinds={"next": 1.0}, same_document=0.0))
    assert len(rows) > 200
    judged = 0
    for first, second, follows, _ in rows:
        consecutive = texts.holding(first + second)
        if follows:
            assert consecutive
        else:
            assert texts.sources_of(first) & texts.sources_of(second), "from another source"
            if min(len(first), len(second)) > 12:  # shorter ones stand in many documents by chance
                judged += 1
                assert not consecutive
                assert not texts.holding(first) & texts.holding(second)
    assert judged > 60


def test_pairs_are_cut_where_units_begin(store, texts):
    for first, second, _, _ in many(sampler_of(store, kinds={"next": 1.0}, clause_cut=1.0), 2):
        starts = [
            position in texts.unit_starts[number]
            for number in texts.holding(second)
            for position in [texts.documents[number].index(second)]
        ]
        assert any(starts)
        assert first


def test_sentence_cuts_fall_between_sentences(store, texts, tokenizer):
    stop = chr(tokenizer.convert_tokens_to_ids("。"))
    for first, _, follows, _ in many(sampler_of(store, kinds={"next": 1.0}, clause_cut=0.0), 4):
        if follows:
            # behind a full stop, or behind a heading
            ends = {texts.documents[number].index(first) + len(first) for number in texts.holding(first)}
            assert first.endswith(stop) or min(ends) <= 20


def test_negatives_of_the_same_document_are_far_away(store, texts):
    rows = many(sampler_of(store, kinds={"next": 1.0}, same_document=1.0))
    together = 0
    for first, second, follows, _ in rows:
        if follows:
            continue
        assert not texts.holding(first + second)
        for number in texts.holding(first) & texts.holding(second):
            text = texts.documents[number]
            if text.count(first) > 1 or text.count(second) > 1:
                continue
            together += 1
            cut, other = text.index(first) + len(first), text.index(second)
            between = [start for start in texts.unit_starts[number] if min(cut, other) < start <= max(cut, other)]
            assert len(between) >= 12
    assert together > 80


def test_headings_go_with_the_text_under_them(store, texts):
    rows = many(sampler_of(store, kinds={"heading": 1.0}, same_document=0.0, swap=0.5))
    swapped = 0
    for first, second, follows, _ in rows:
        prompt, text = (first, second) if len(first) < len(second) else (second, first)
        swapped += prompt is second
        under = [number for number in texts.holding(text) if texts.documents[number].startswith(prompt + text)]
        assert bool(under) == follows
        if not follows:
            assert any(document.startswith(prompt) for document in texts.documents)
            assert any(prompt not in texts.documents[number] for number in texts.holding(text))
    assert 0.4 < swapped / len(rows) < 0.6


@pytest.fixture(scope="module")
def comma(tokenizer) -> int:
    return tokenizer.mask_token_id  # no text holds it


def keyword_rows(store, comma: int, **options):
    """(words, text, follows) of keyword pairs."""
    options = {"kinds": {"keyword": 1.0}, "separator": comma, "swap": 0.0, "any_source": 0.0, **options}
    for first, second, follows, _ in many(sampler_of(store, **options)):
        yield first.split(chr(comma)), second, follows


def test_keywords_from_inside_stand_in_the_text(store, comma):
    rows = list(keyword_rows(store, comma, inside=1.0))
    inside = [all(word in text for word in words) for words, text, follows in rows if follows]
    # a long prompt may cost the text its end, and a keyword with it
    assert np.mean(inside) > 0.9
    assert {len(words) for words, _, _ in rows} >= {1, 2}


def test_keywords_from_outside_stand_near_the_text(store, texts, comma):
    for words, text, follows in keyword_rows(store, comma, inside=0.0):
        if not follows:
            continue
        places = [(texts.documents[number], texts.documents[number].index(text)) for number in texts.holding(text)]
        for word in words:
            assert word not in text
            assert any(word in document[max(at - 120, 0) : at + 240] for document, at in places)


@pytest.mark.parametrize("inside", [0.0, 1.0])
@pytest.mark.parametrize("any_source", [0.0, 1.0])
def test_wrong_keywords_never_stand_in_the_text(store, comma, inside, any_source):
    rows = list(keyword_rows(store, comma, inside=inside, any_source=any_source))
    negatives = [(words, text) for words, text, follows in rows if not follows]
    assert len(negatives) > 100
    assert not [word for words, text in negatives for word in words if word in text]


def test_keywords_are_whole_words(store, comma):
    words_of_store: set[str] = set()
    word = ""
    for token in store.tokens.tolist():
        if token < CONTINUES:
            words_of_store.add(word)
            word = ""
        word += chr(token & int(TOKEN_BITS))
    for lengths in (((24, 1.0),), ((48, 1.0),)):
        for words, _, _ in keyword_rows(store, comma, lengths=lengths):
            assert set(words) <= words_of_store


def test_templates_stand_around_keywords_and_are_never_cut(store, tokenizer):
    template = Template(*(tuple(Packer(tokenizer).pack(part).tolist()) for part in ("大家都记得", "了")))
    before, after = as_string(np.array(template.before) & TOKEN_BITS), as_string(np.array(template.after) & TOKEN_BITS)
    seen = set()
    for length in (24, 48):
        options = {"kinds": {"keyword": 1.0}, "templates": (template,), "lengths": ((length, 1.0),)}
        for first, second, _, _ in many(sampler_of(store, **options), 3):
            # the keyword's side is the one in the template; a text may happen to begin like it
            prompts = [part for part in (first, second) if part.startswith(before) and part.endswith(after)]
            assert prompts
            assert len(prompts[0]) > len(before) + len(after)
            seen.add(prompts[0] is first)
    assert seen == {True, False}


def test_training_and_held_out_never_share_a_document(store, texts):
    sides = {held: {n for n in range(len(store)) if store.held_out[n] == held} for held in (False, True)}
    for held_out in (False, True):
        kinds = {"next": 0.5, "heading": 0.5}
        sampler = sampler_of(store, held_out=held_out, kinds=kinds, lengths=((64, 1.0),))
        for first, second, _, _ in many(sampler):
            for part in (first, second):
                if len(part) > 12:  # shorter ones stand in several documents by chance
                    assert texts.holding(part) & sides[held_out]


def test_sources_are_drawn_by_their_weights(store, texts):
    rows = many(sampler_of(store, kinds={"next": 1.0}, same_document=0.0), 12)
    origins = [texts.sources_of(first + second) for first, second, follows, _ in rows if follows]
    share = np.mean([0 in origin for origin in origins])
    assert 0.5 < share < 0.7
    only = PairSampler(
        store, source_weights={"records": 1.0}, tokens_per_batch=1024, cls_id=CLS, sep_id=SEP, pad_id=PAD, seed=1
    )
    assert all(1 in texts.sources_of(first) for first, _, _, kind in many(only, 2) if kind == "next")


@settings(max_examples=20)
@given(
    length=st.integers(12, 80),
    tokens=st.integers(1, 600),
    shortest=st.floats(0.0, 1.0),
    same_document=st.floats(0.0, 1.0),
    swap=st.floats(0.0, 1.0),
    step=st.integers(0, 2**31),
)
def test_any_options_give_whole_rows(store, length, tokens, shortest, same_document, swap, step):
    sampler = sampler_of(
        store,
        tokens=tokens,
        lengths=((length, 1.0),),
        shortest=shortest,
        same_document=same_document,
        swap=swap,
        kinds={"next": 0.5, "heading": 0.25, "keyword": 0.25},
    )
    batch = sampler.batch(step)
    assert batch.input_ids.shape == (max(tokens // length, 2), length)
    for first, second, _, _ in rows_of(batch):
        assert first
        assert second


class Prompts:
    """Labelled data that any test can read: right pairs are (5, 6), wrong ones (5, 7)."""

    def __init__(self) -> None:
        self.totals: list[int] = []

    def draw(self, generator, *, follows, total):
        self.totals.append(total)
        if generator.random() < 0.5:
            return None  # does not fit this time
        return np.array([5, 5, 5], dtype=np.uint16), np.array([6 if follows else 7] * 4, dtype=np.uint16)


def test_labelled_pairs_come_from_their_source(store):
    prompts = Prompts()
    sampler = sampler_of(store, kinds={"labelled": 1.0}, labelled=prompts, swap=1.0)
    for first, second, follows, kind in many(sampler, 2):
        assert kind == "labelled"
        assert first == (chr(6) if follows else chr(7)) * 4
        assert second == chr(5) * 3
    assert set(prompts.totals) == {45}


def test_a_source_without_text_is_named_and_left_out(tmp_path, data, tokenizer):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "again.txt").write_bytes((data / "plain.txt").read_bytes())
    sources = [
        Source("plain", (data / "plain.txt",)),
        Source("empty", (tmp_path / "empty.txt",)),
        Source("again", (tmp_path / "again.txt",)),
    ]
    store = build_store(sources, tmp_path / "store", tokenizer=tokenizer, held_out=0.2)
    sampler = sampler_of(store)
    assert sampler.unusable == ["empty", "again"]
    assert sampler.batch(0).input_ids.shape == (42, 48)


def tiny_store(tmp_path, tokenizer, text: str, held_out: float = 0.0) -> Store:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    source = Source("one", (tmp_path / "a.txt",))
    return build_store([source], tmp_path / "store", tokenizer=tokenizer, held_out=held_out)


def test_too_little_text_is_told_at_once(tmp_path, tokenizer):
    store = tiny_store(tmp_path, tokenizer, "水温，清香。\n\n茶园。\n")
    with pytest.raises(DataError, match=r"two training documents of two clauses or more \(2 of 2 documents"):
        sampler_of(store)
    with pytest.raises(DataError, match=r"two held-out documents.*\(0 of 2 .*raise held_out"):
        sampler_of(store, held_out=True)


def test_pairs_that_nobody_can_draw_are_told_soon(tmp_path, tokenizer):
    # two documents that hold the same words: no keyword is wrong for the other
    store = tiny_store(tmp_path, tokenizer, "水温，清香。\n\n清香，水温。\n")
    with pytest.raises(DataError, match="too few or too short for keyword"):
        sampler_of(store, kinds={"keyword": 1.0}).batch(0)


def test_kinds_without_data_are_refused(tmp_path, tokenizer, store):
    few = tiny_store(tmp_path, tokenizer, "水温，清香。\n\n清香，茶园，水温。\n")
    with pytest.raises(DataError, match="without headings or labelled data"):
        sampler_of(few, kinds={"heading": 1.0})
    with pytest.raises(DataError, match="without headings or labelled data"):
        sampler_of(store, kinds={"labelled": 1.0})
    with pytest.raises(DataError, match="nowhere"):
        PairSampler(store, source_weights={"nowhere": 1.0}, tokens_per_batch=64, cls_id=2, sep_id=3, pad_id=0, seed=1)


@pytest.mark.parametrize(
    "options",
    [
        {"kinds": {"other": 1.0}},
        {"kinds": {"next": 0.0}},
        {"kinds": {"next": 1.0, "keyword": -0.5}},
        {"lengths": ()},
        {"lengths": ((48, 0.0),)},
        {"lengths": ((8, 1.0),)},
        {"templates": ()},
    ],
)
def test_options_that_contradict_themselves_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        PairOptions(**options)
