"""Running text, tokenized once into memory-mapped arrays.

A store is a folder of flat NumPy arrays and one ``store.json``::

    tokens.npy     uint16 [N]      token id; the uppermost bit says "continues the word before it"
    keyness.npy    uint8  [N]      at the first token of a word: how telling the word is (0 = everywhere in the corpus)
    units.npy      uint32 [U + 1]  first token of each unit (a clause; the smallest piece that a pair may be cut at)
    flags.npy      uint8  [U]      SENTENCE | PARAGRAPH | HEADING of the unit
    documents.npy  uint32 [D + 1]  first unit of each document
    sources.npy    uint8  [D]      which source the document came from
    held_out.npy   bool   [D]      kept for evaluation, never trained on

Documents are the paragraphs between blank lines in a text file, or one record of a JSON Lines file. The store is
written beside its final place and moved there when complete, so a killed run never leaves half of one behind.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import itertools
import json
import lzma
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ironwok.errors import DataError
from ironwok.text.tokenizer import LARGEST_VOCABULARY, replace_surrogates

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

CONTINUES = np.uint16(LARGEST_VOCABULARY)
TOKEN_BITS = np.uint16(LARGEST_VOCABULARY - 1)
SENTENCE, PARAGRAPH, HEADING = 1, 2, 4
STORE_VERSION = 1

# One pass over a paragraph: a clause ends behind its marks and any closing quotes. Marks that end sentences first.
_CLAUSE = re.compile(r"[^。！？!?；;⋯…，,：:]*(?:[。！？!?；;⋯…]+[”’」』）)\"']*|[，,：:]+|$)")
_SENTENCE_END = re.compile(r"[。！？!?；;⋯…][”’」』）)\"']*$")
_LONGEST_HEADING = 30  # characters
_WORD_BUCKETS = 1 << 22


@dataclass(frozen=True, slots=True)
class Source:
    """One source of running text.

    name: what it is called in metrics and recipes.
    files: paths in order; .txt (a paragraph a line, a blank line between documents) or .jsonl, also .xz .gz .bz2 .zst.
    fields: for .jsonl: the text fields, each a document of its own.
    """

    name: str
    files: tuple[Path, ...]
    fields: tuple[str, ...] = ("text",)


def open_text(path: Path) -> IO[str]:
    """Open a text file, unpacking by suffix. Undecodable bytes become U+FFFD: a corpus is not a user's document."""
    openers: dict[str, Callable[[Path], Any]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
    if path.suffix == ".zst":
        import zstandard

        return io.TextIOWrapper(
            zstandard.ZstdDecompressor().stream_reader(path.open("rb")),
            encoding="utf-8",
            errors="replace",
            newline="\n",
        )
    if path.suffix in openers:
        return io.TextIOWrapper(openers[path.suffix](path), encoding="utf-8", errors="replace", newline="\n")
    return path.open(encoding="utf-8", errors="replace", newline="\n")


def _is_jsonl(path: Path) -> bool:
    return ".jsonl" in path.suffixes or ".json" in path.suffixes


def read_source(source: Source) -> Iterator[list[str]]:
    """Documents of a source, each a list of non-empty paragraphs.

    Raises DataError, with file and line, for a record that is not JSON or lacks every field.
    """
    for path in source.files:
        try:
            with open_text(path) as lines:
                if _is_jsonl(path):
                    yield from _json_documents(path, lines, source.fields)
                else:
                    yield from _text_documents(lines)
        except (OSError, lzma.LZMAError, EOFError) as error:
            raise DataError(f"{path}: cannot be read ({error})") from error


def _text_documents(lines: IO[str]) -> Iterator[list[str]]:
    paragraphs: list[str] = []
    for line in lines:
        paragraph = line.strip()
        if paragraph:
            paragraphs.append(paragraph)
        elif paragraphs:
            yield paragraphs
            paragraphs = []
    if paragraphs:
        yield paragraphs


def _json_documents(path: Path, lines: IO[str], fields: Sequence[str]) -> Iterator[list[str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            texts = [record[field] for field in fields if isinstance(record.get(field), str)]
        except (json.JSONDecodeError, AttributeError) as error:
            raise DataError(f"{path}:{number}: not a JSON object ({error})") from error
        if not texts:
            raise DataError(f"{path}:{number}: none of the fields {', '.join(fields)} holds text")
        for text in texts:
            paragraphs = [part.strip() for part in text.splitlines() if part.strip()]
            if paragraphs:
                yield paragraphs


def _unit_starts(paragraph: str) -> tuple[list[int], list[bool]]:
    """Character offsets at which clauses begin, and whether each begins a sentence."""
    starts, begins = [], []
    sentence = True
    for match in _CLAUSE.finditer(paragraph):
        if match.start() == match.end():
            continue
        starts.append(match.start())
        begins.append(sentence)
        sentence = _SENTENCE_END.search(match.group()) is not None
    return starts, begins


def _is_heading(paragraph: str) -> bool:
    return (
        len(paragraph) <= _LONGEST_HEADING and _SENTENCE_END.search(paragraph) is None and paragraph[-1] not in "，,、"
    )


class _Growing:
    """A flat array written in pieces to disk; becomes a .npy when closed."""

    def __init__(self, path: Path, dtype: type) -> None:
        self.path, self.dtype, self.size = path, np.dtype(dtype), 0
        self._raw = path.with_suffix(".raw").open("wb")

    def append(self, values: np.ndarray | list[int]) -> None:
        array = np.asarray(values, dtype=self.dtype)
        self.size += array.size
        self._raw.write(array.tobytes())  # buffered; tofile() would flush each of a million small pieces

    def close(self) -> None:
        raw = self.path.with_suffix(".raw")
        self._raw.close()
        array = np.lib.format.open_memmap(self.path, mode="w+", dtype=self.dtype, shape=(self.size,))
        if self.size:
            array[:] = np.memmap(raw, dtype=self.dtype, mode="r")
        array.flush()
        raw.unlink()


def build_store(
    sources: Sequence[Source],
    folder: Path,
    *,
    tokenizer: PreTrainedTokenizerFast,
    held_out: float = 0.01,
    on_progress: Callable[[str, int], None] = lambda name, characters: None,
) -> Store:
    """Tokenize and segment sources into a store at ``folder``, or open the one that is already there.

    held_out: share of documents, chosen by a hash of their text, kept for evaluation. Repeated documents are read once.
    on_progress: called with the source's name and the characters read since the last call.
    Raises DataError for unreadable files, an empty corpus or a folder that holds another store.
    """
    identity = _identity(sources, tokenizer, held_out)
    if (folder / "store.json").exists():
        store = Store(folder)
        if store.meta["identity"] != identity:
            raise DataError(
                f"{folder} holds a store of other sources or another tokenizer: delete it or name another folder"
            )
        return store
    if len(tokenizer) > LARGEST_VOCABULARY:
        raise DataError(f"the tokenizer has {len(tokenizer)} entries, a store takes {LARGEST_VOCABULARY}")

    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    tokens, words = _Growing(building / "tokens.npy", np.uint16), _Growing(building / "words.npy", np.uint32)
    units, flags = _Growing(building / "units.npy", np.uint32), _Growing(building / "flags.npy", np.uint8)
    documents, origins = _Growing(building / "documents.npy", np.uint32), _Growing(building / "sources.npy", np.uint8)
    aside = _Growing(building / "held_out.npy", np.bool_)
    seen: set[int] = set()
    for number, source in enumerate(sources):
        characters = 0
        for paragraphs in read_source(source):
            key = _hash("\n".join(paragraphs))
            if key in seen:
                continue
            seen.add(key)
            packed = _pack(paragraphs, tokenizer)
            if packed is None:
                continue
            packed_tokens, packed_words, packed_units, packed_flags = packed
            documents.append([units.size])
            origins.append([number])
            aside.append([key % 10_000 < held_out * 10_000])
            units.append(packed_units.astype(np.int64) + tokens.size)
            flags.append(packed_flags)
            tokens.append(packed_tokens)
            words.append(packed_words)
            characters += sum(map(len, paragraphs))
            if characters > 200_000:
                on_progress(source.name, characters)
                characters = 0
        on_progress(source.name, characters)
    if not tokens.size:
        raise DataError("the sources hold no text: " + ", ".join(str(f) for s in sources for f in s.files))
    units.append([tokens.size])
    documents.append([units.size - 1])
    for array in (tokens, words, units, flags, documents, origins, aside):
        array.close()
    _write_keyness(building)
    meta = {
        "version": STORE_VERSION,
        "identity": identity,
        "sources": [source.name for source in sources],
        "tokens": tokens.size,
        "documents": origins.size,
        "vocabulary": len(tokenizer),
    }
    (building / "store.json").write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
    building.replace(folder)
    return Store(folder)


def _pack(
    paragraphs: list[str], tokenizer: PreTrainedTokenizerFast
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    texts = [replace_surrogates(paragraph) for paragraph in paragraphs]
    encodings = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    all_tokens, all_words, all_units, all_flags = [], [], [], []
    base = 0
    for text, encoding in zip(texts, encodings, strict=True):
        ids, words, starts = _words_of(text, encoding)
        if not ids.size:
            continue
        all_tokens.append(np.where(words == 0, ids | CONTINUES, ids))
        all_words.append(words)
        unit_chars, begins = _unit_starts(text)
        positions, first = np.unique(np.searchsorted(starts, unit_chars), return_index=True)
        first = first[positions < ids.size]
        positions = positions[positions < ids.size]
        unit_flags = np.where(np.asarray(begins)[first], SENTENCE, 0).astype(np.uint8)
        positions[0], unit_flags[0] = 0, SENTENCE | PARAGRAPH
        if _is_heading(text):
            unit_flags |= HEADING
        all_units.append(positions + base)
        all_flags.append(unit_flags)
        base += ids.size
    if not all_tokens:
        return None
    return tuple(map(np.concatenate, (all_tokens, all_words, all_units, all_flags)))  # pyright: ignore[reportReturnType]


def _words_of(text: str, encoding: Encoding) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids uint16 [N], word buckets uint32 [N] (0 = continues a word), character starts int64 [N]."""
    import rjieba

    ids = np.asarray(encoding.ids, dtype=np.uint16)
    starts = np.asarray([start for start, _ in encoding.offsets], dtype=np.int64)
    words_at = np.zeros(len(text) + 1, dtype=np.uint32)
    for word, start, _ in rjieba.tokenize(text, "default", True):
        # 0 means "no word begins here"; one-character words are never prompts, they only bound others
        words_at[start] = _bucket(word)
    words = words_at[starts]
    if ids.size:
        words[0] = max(words[0], 1)
        # The pieces of a Latin word share no start with a word of the segmenter; several tokens may come from
        # one character (½ -> 1 / 2): only the first begins the word.
        words[1:][starts[1:] == starts[:-1]] = 0
    return ids, words, starts


def pack_text(text: str, tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """One text as tokens of a store: uint16 [N], the uppermost bit set where a token continues a word."""
    text = replace_surrogates(text)
    ids, words, _ = _words_of(text, tokenizer.backend_tokenizer.encode(text, add_special_tokens=False))
    return np.where(words == 0, ids | CONTINUES, ids)


def _write_keyness(folder: Path) -> None:
    """Turn word hashes into how telling a word is: its inverse document frequency on a scale of 0 to 255."""
    words = np.load(folder / "words.npy", mmap_mode="r")
    documents = np.load(folder / "documents.npy")
    units = np.load(folder / "units.npy")
    bounds = units[documents]
    frequency = np.zeros(_WORD_BUCKETS, dtype=np.int64)
    for start, end in itertools.pairwise(bounds):
        # long documents (a whole classic) count once per 2,000 tokens, else their every word looks common
        for piece in range(int(start), int(end), 2000):
            frequency[np.unique(words[piece : min(piece + 2000, int(end))])] += 1
    pieces = max(int(frequency.max()), 2)
    with np.errstate(divide="ignore"):
        idf = np.log(pieces / np.maximum(frequency, 1)) / np.log(pieces)
    scale = np.clip(idf * 255, 0, 255).astype(np.uint8)
    scale[frequency < 3] = 0  # a word seen once or twice is noise, not a topic
    scale[:2] = 0
    keyness = np.lib.format.open_memmap(folder / "keyness.npy", mode="w+", dtype=np.uint8, shape=words.shape)
    step = 1 << 22
    for start in range(0, len(words), step):
        keyness[start : start + step] = scale[words[start : start + step]]
    keyness.flush()
    del words
    (folder / "words.npy").unlink()


@functools.lru_cache(maxsize=1 << 20)
def _bucket(word: str) -> int:
    return 1 if len(word) < 2 else 2 + _hash(word.lower()) % (_WORD_BUCKETS - 2)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _identity(sources: Sequence[Source], tokenizer: PreTrainedTokenizerFast, held_out: float) -> str:
    """What the store depends on. Sizes stand for contents: hashing gigabytes at every start would cost minutes."""
    facts = [
        STORE_VERSION,
        held_out,
        _hash(tokenizer.backend_tokenizer.to_str()),
        [(s.name, s.fields, [(f.name, f.stat().st_size) for f in s.files]) for s in sources],
    ]
    return f"{_hash(json.dumps(facts)):016x}"


class Store:
    """An opened store: arrays mapped into memory, read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.meta: dict[str, Any] = json.loads((folder / "store.json").read_text(encoding="utf-8"))
            if self.meta["version"] != STORE_VERSION:
                raise DataError(f"{folder}: store version {self.meta['version']}, this program reads {STORE_VERSION}")
            self.tokens: np.ndarray = np.load(folder / "tokens.npy", mmap_mode="r")
            self.keyness: np.ndarray = np.load(folder / "keyness.npy", mmap_mode="r")
            self.units: np.ndarray = np.load(folder / "units.npy")
            self.flags: np.ndarray = np.load(folder / "flags.npy")
            self.documents: np.ndarray = np.load(folder / "documents.npy")
            self.sources: np.ndarray = np.load(folder / "sources.npy")
            self.held_out: np.ndarray = np.load(folder / "held_out.npy")
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder}: not a readable store ({error}); delete it and build it again") from error

    @property
    def source_names(self) -> list[str]:
        return list(self.meta["sources"])

    def __len__(self) -> int:
        return len(self.sources)
