"""The tokenized corpus: what it holds is what the files say, and half of one never lies around."""

from __future__ import annotations

import itertools
import json
import shutil
import unicodedata

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import as_text, make_documents

from ironwok.errors import DataError, OutputError
from ironwok.text.tokenizer import train_tokenizer, wrap_tokenizer
from ironwok.training import corpus
from ironwok.training.corpus import (
    CONTINUES,
    HEADING,
    PARAGRAPH,
    SENTENCE,
    TOKEN_BITS,
    Packer,
    Store,
    build_store,
)
from ironwok.training.files import Source
from ironwok.training.progress import Silent


def decoded(tokenizer, tokens: np.ndarray) -> str:
    return tokenizer.decode((tokens & TOKEN_BITS).tolist()).replace(" ", "")


def normal(text: str) -> str:
    """As the tokenizer sees it: full-width punctuation is ordinary punctuation."""
    return unicodedata.normalize("NFKC", text)


def document_tokens(store: Store, number: int) -> np.ndarray:
    first, last = (int(store.units[store.documents[number + step]]) for step in (0, 1))
    return store.tokens[first:last]


def unit_texts(store: Store, tokenizer) -> list[str]:
    bounds = store.units.astype(int)
    return [decoded(tokenizer, store.tokens[a:b]) for a, b in itertools.pairwise(bounds)]


def built(tmp_path, text: str, tokenizer, **options) -> Store:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    return build_store([Source("one", (tmp_path / "a.txt",))], tmp_path / "store", tokenizer=tokenizer, **options)


@pytest.fixture
def tea_tokenizer():
    """Knows every character of the texts that are cut up by hand below, and nothing else."""
    texts = ["春天的信今天下雨，路很滑。他没有来！“你去哪儿？”她问第二封写完了abc茶叶山泉采人：；、"] * 3
    return wrap_tokenizer(train_tokenizer(texts, vocab_size=200, min_frequency=1, largest_alphabet=150))


def test_documents_decode_to_their_texts(store, data, tokenizer):
    plain, records = make_documents(160, seed=1), make_documents(80, seed=2)
    assert len(store) == 240
    assert store.sources.tolist() == [0] * 160 + [1] * 80
    for number, paragraphs in enumerate(plain + records):
        assert decoded(tokenizer, document_tokens(store, number)) == normal("".join(paragraphs))


def test_units_sentences_paragraphs_and_headings(tmp_path, tea_tokenizer):
    text = "春天的信\n今天下雨，路很滑。他没有来！\n“你去哪儿？”她问。\n\n第二封\n写完了，\n"
    store = built(tmp_path, text, tea_tokenizer, held_out=0.0)
    units = ["春天的信", "今天下雨，", "路很滑。", "他没有来！", "“你去哪儿？”", "她问。", "第二封", "写完了，"]
    assert unit_texts(store, tea_tokenizer) == list(map(normal, units))
    begins = SENTENCE | PARAGRAPH
    assert store.flags.tolist() == [
        begins | HEADING,
        begins,
        0,
        SENTENCE,
        begins,
        SENTENCE,
        begins | HEADING,
        begins,  # a comma at its end: no heading
    ]
    assert store.documents.tolist() == [0, 6, 8]


def test_words_of_the_segmenter_stay_together(tmp_path, tea_tokenizer):
    store = built(tmp_path, "采茶人的茶叶。\n", tea_tokenizer, held_out=0.0)
    words: list[str] = []
    for token in store.tokens:
        character = tea_tokenizer.convert_ids_to_tokens(int(token & TOKEN_BITS)).removeprefix("##")
        if token >= CONTINUES:
            words[-1] += character
        else:
            words.append(character)
    assert words == ["采茶", "人", "的", "茶叶", "。"]


def test_words_that_are_everywhere_tell_nothing(store, tokenizer):
    ids = store.tokens & TOKEN_BITS
    comma, tea = (tokenizer.convert_tokens_to_ids(token) for token in (",", "茶"))
    assert store.keyness[ids == comma].max() == 0
    assert store.keyness[(ids == tea) & (store.tokens < CONTINUES)].max() > 60
    assert store.keyness[store.tokens >= CONTINUES].max() == 0


def test_a_repeated_document_is_read_once(tmp_path, tea_tokenizer):
    store = built(tmp_path, "茶叶。\n\n山泉。\n\n茶叶。\n\n茶叶。\n", tea_tokenizer)
    assert len(store) == 2


def test_held_out_documents_are_a_stable_share(store, sources, tokenizer, tmp_path):
    assert 0.1 < store.held_out.mean() < 0.3
    other = build_store(sources[::-1], tmp_path / "other", tokenizer=tokenizer, held_out=0.2)
    # the choice hangs on the text, not on where it stands
    assert sorted(store.held_out[store.sources == 0]) == sorted(other.held_out[other.sources == 1])
    one = {decoded(tokenizer, document_tokens(store, int(n))) for n in np.flatnonzero(store.held_out)}
    two = {decoded(tokenizer, document_tokens(other, int(n))) for n in np.flatnonzero(other.held_out)}
    assert one == two
    fewer = build_store(sources, tmp_path / "fewer", tokenizer=tokenizer, held_out=0.05)
    assert set(np.flatnonzero(fewer.held_out)) < set(np.flatnonzero(store.held_out))


@given(st.lists(st.text(min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=4))
def test_any_text_is_stored_as_its_tokens(tokenizer, texts):
    packer = Packer(tokenizer)
    packed = packer.pack_document(texts)
    plain = [id_ for text in texts for id_ in (packer.pack(text) & TOKEN_BITS).tolist()]
    if packed is None:
        assert plain == []
        return
    tokens, words, units, flags = packed
    assert (tokens & TOKEN_BITS).tolist() == plain
    assert ((words == 0) == (tokens >= CONTINUES)).all()
    assert len(units) == len(flags)
    assert units[0] == 0
    assert flags[0] & PARAGRAPH
    assert (np.diff(units) > 0).all()
    assert units[-1] < len(tokens)


def test_special_tokens_in_a_text_are_text(tokenizer):
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    assert not special & set((Packer(tokenizer).pack("他写道[MASK]，[SEP]，[PAD]") & TOKEN_BITS).tolist())
    assert tokenizer("[MASK]", add_special_tokens=False)["input_ids"] == [tokenizer.mask_token_id]


def test_a_second_call_opens_what_is_there(store, sources, tokenizer):
    before = (store.folder / "store.json").stat().st_mtime_ns
    again = build_store(sources, store.folder, tokenizer=tokenizer, held_out=0.2)
    assert np.array_equal(again.tokens, store.tokens)
    assert (store.folder / "store.json").stat().st_mtime_ns == before


def test_another_tokenizer_other_files_or_another_share_are_refused(store, sources, tokenizer, tea_tokenizer):
    with pytest.raises(DataError, match="another tokenizer"):
        build_store(sources, store.folder, tokenizer=tea_tokenizer, held_out=0.2)
    with pytest.raises(DataError, match="other sources"):
        build_store(sources[:1], store.folder, tokenizer=tokenizer, held_out=0.2)
    with pytest.raises(DataError, match="delete it or name another folder"):
        build_store(sources, store.folder, tokenizer=tokenizer, held_out=0.1)


class DeathError(BaseException):
    """The end of the process, as far as the code under test can tell."""


class Deadly(Silent):
    """Kills whoever reports to it."""

    def busy(self, what, *, done, total, note=""):
        if what == "words":
            raise DeathError


def test_a_file_of_the_same_size_with_other_text_is_refused(tmp_path, tokenizer):
    text = as_text(make_documents(8))
    built(tmp_path, text, tokenizer)
    built(tmp_path, text, tokenizer)
    with pytest.raises(DataError, match="delete it or name another folder"):
        built(tmp_path, text[::-1], tokenizer)


def test_a_killed_build_leaves_no_store_and_the_next_one_works(tmp_path, sources, tokenizer, store, monkeypatch):
    folder = tmp_path / "store"
    with monkeypatch.context() as patch:
        # a killed process cleans nothing up
        patch.setattr(corpus.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(DeathError):
            build_store(sources, folder, tokenizer=tokenizer, held_out=0.2, progress=Deadly())
    assert not folder.exists()
    assert (tmp_path / "store.building" / "tokens.npy").exists()
    again = build_store(sources, folder, tokenizer=tokenizer, held_out=0.2)
    assert np.array_equal(again.tokens, store.tokens)
    assert not (tmp_path / "store.building").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path, tokenizer):
    (tmp_path / "a.jsonl").write_text('{"text": "茶叶。"}\n{"text": \n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:2"):
        build_store([Source("one", (tmp_path / "a.jsonl",))], tmp_path / "store", tokenizer=tokenizer)
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "store.building").exists()


def test_a_full_disk_is_named(tmp_path, sources, tokenizer, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corpus.shutil, "copyfileobj", full)
    with pytest.raises(OutputError, match="No space left"):
        build_store(sources, tmp_path / "store", tokenizer=tokenizer)
    assert not (tmp_path / "store.building").exists()


def test_who_comes_second_waits_and_uses_the_first_ones_store(tmp_path, sources, tokenizer, store):
    folder = tmp_path / "store"
    lock = FileLock(tmp_path / ".store.lock", thread_local=False)
    lock.acquire()
    heard: list[str] = []

    class Waiting(Silent):
        def busy(self, what, *, done, total, note=""):
            heard.append(what)
            if what == "waiting":  # the first one is done just now
                shutil.copytree(store.folder, folder)
                lock.release()

    second = build_store(sources, folder, tokenizer=tokenizer, held_out=0.2, progress=Waiting())
    assert heard == ["waiting"]
    assert np.array_equal(second.tokens, store.tokens)


def test_files_without_text_are_an_error(tmp_path, tokenizer):
    with pytest.raises(DataError, match=r"hold no text.*a\.txt"):
        built(tmp_path, "\n \n\n", tokenizer)


def test_a_vocabulary_over_15_bits_is_refused(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(corpus, "LARGEST_VOCABULARY", len(tokenizer) - 1)
    with pytest.raises(DataError, match=f"{len(tokenizer)} entries, a store takes {len(tokenizer) - 1}"):
        built(tmp_path, "茶叶。\n", tokenizer)


def test_more_tokens_than_32_bits_count_are_refused(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(corpus, "_MOST_TOKENS", 100)
    with pytest.raises(DataError, match=r"source one .* over 100 tokens"):
        built(tmp_path, as_text(make_documents(10)), tokenizer)


@pytest.mark.parametrize("name", ["tokens", "keyness", "units", "flags", "documents", "sources", "held_out"])
@pytest.mark.parametrize("how", ["gone", "empty", "shorter", "garbage"])
def test_a_damaged_store_is_an_error(tmp_path, store, name, how):
    folder = tmp_path / "store"
    shutil.copytree(store.folder, folder)
    file = folder / f"{name}.npy"
    array = np.load(file)
    if how == "gone":
        file.unlink()
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "shorter":
        np.save(file, array[:-1])
    else:
        file.write_bytes(b"\x00garbage" * 20)
    with pytest.raises(DataError, match="delete it and build it again"):
        Store(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1', '{"version": 1, "tokens": 5}'])
def test_a_damaged_description_is_an_error(tmp_path, store, content):
    folder = tmp_path / "store"
    shutil.copytree(store.folder, folder)
    (folder / "store.json").write_text(content)
    with pytest.raises(DataError, match="not a readable store"):
        Store(folder)


def test_a_store_of_another_version_is_named(tmp_path, store):
    folder = tmp_path / "store"
    shutil.copytree(store.folder, folder)
    (folder / "store.json").write_text(json.dumps({**store.meta, "version": 99}))
    with pytest.raises(DataError, match="store version 99, this program reads 1"):
        Store(folder)


def test_the_work_is_told_of_from_nothing_to_all_of_it(tmp_path, sources, tokenizer):
    heard: list[tuple[str, int, int]] = []

    class Listening(Silent):
        def busy(self, what, *, done, total, note=""):
            heard.append((what, done, total))

    build_store(sources, tmp_path / "store", tokenizer=tokenizer, progress=Listening())
    size = sum(sum(source.sizes()) for source in sources)
    done = [done for what, done, _ in heard if what == "corpus"]
    assert done == sorted(done)
    assert done[-1] == size
    assert {total for what, _, total in heard if what == "corpus"} == {size}
    assert ("words", 0, 240) in heard
