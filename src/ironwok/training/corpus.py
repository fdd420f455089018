"""Running text, tokenized once into memory-mapped arrays.

A store is a folder of flat NumPy arrays and one ``store.json``::

    tokens.npy     uint16 [N]      token id; the uppermost bit says "continues the word before it"
    keyness.npy    uint8  [N]      at the first token of a word: how telling the word is (0 = everywhere in the corpus)
    units.npy      uint32 [U + 1]  first token of each unit (a clause; the smallest piece that a pair may be cut at)
    flags.npy      uint8  [U]      SENTENCE | PARAGRAPH | HEADING of the unit
    documents.npy  uint32 [D + 1]  first unit of each document
    sources.npy    uint8  [D]      which source the document came from
    held_out.npy   bool   [D]      kept for evaluation, never trained on

The store is written beside its final place and moved there when complete, so a killed run never leaves half of one
behind; a lock makes other processes that want the same store wait for it.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout

from ironwok.errors import DataError, OutputError
from ironwok.text.tokenizer import LARGEST_VOCABULARY, replace_surrogates
from ironwok.training.files import Source, read_source
from ironwok.training.progress import Progress, Silent

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
_MOST_TOKENS = 1 << 32  # units are numbered in 32 bits


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
    """A flat array written in pieces to disk; becomes a .npy when finished.

    Plain writes, no mapped memory: on a full disk the one fails with an error, the other with a signal.
    """

    def __init__(self, path: Path, dtype: type) -> None:
        self.path, self.dtype, self.size = path, np.dtype(dtype), 0
        self._raw = path.with_suffix(".raw").open("wb")

    def append(self, values: np.ndarray | list[int]) -> None:
        array = np.asarray(values, dtype=self.dtype)
        self.size += array.size
        self._raw.write(array.tobytes())  # buffered; tofile() would flush each of a million small pieces

    def close(self) -> None:
        self._raw.close()

    def finish(self) -> None:
        self.close()
        raw = self.path.with_suffix(".raw")
        with raw.open("rb") as pieces, self.path.open("wb") as file:
            _write_header(file, self.dtype, self.size)
            shutil.copyfileobj(pieces, file, 1 << 20)
        raw.unlink()


def _write_header(file: BinaryIO, dtype: np.dtype, size: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, header)


class Packer:
    """Texts as tokens of a store.

    Works on a copy of the tokenizer that never cuts or pads, and to which "[MASK]" in a text is text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True

    def pack(self, text: str) -> np.ndarray:
        """One text: uint16 [N], the uppermost bit set where a token continues a word."""
        return self.pack_with_starts(text)[0]

    def pack_with_starts(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """As `pack`, and the character that each token begins at, int64 [N]."""
        text = replace_surrogates(text)
        ids, words, starts = _words_of(text, self._tokenizer.encode(text, add_special_tokens=False))
        return np.where(words == 0, ids | CONTINUES, ids), starts

    def pack_document(self, paragraphs: list[str]) -> _Packed | None:
        """(tokens, word buckets, first token of each unit, flags of each unit), or None if no token is in it."""
        texts = [replace_surrogates(paragraph) for paragraph in paragraphs]
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
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


_Packed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def build_store(
    sources: Sequence[Source],
    folder: Path,
    *,
    tokenizer: PreTrainedTokenizerFast,
    held_out: float = 0.01,
    progress: Progress | None = None,
) -> Store:
    """Tokenize and segment sources into a store at ``folder``, or open the one that is already there.

    held_out: share of documents, chosen by a hash of their text, kept for evaluation. Repeated documents are read once.
    Raises DataError for unreadable files, an empty corpus or a folder that holds another store, OutputError when the
    store cannot be written.
    """
    progress = progress or Silent()
    identity = _identity(sources, tokenizer, held_out)
    if (folder / "store.json").exists():
        return _open(folder, identity)
    if len(tokenizer) > LARGEST_VOCABULARY:
        raise DataError(
            f"the tokenizer has {len(tokenizer)} entries, a store takes {LARGEST_VOCABULARY}: "
            'use a smaller one, or train one (tokenizer.source = "train")'
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            progress.busy("waiting", done=0, total=0, note=str(folder))
            lock.acquire()
        with lock:
            if (folder / "store.json").exists():  # another process built it while we waited
                return _open(folder, identity)
            _build(sources, folder, tokenizer=tokenizer, held_out=held_out, identity=identity, progress=progress)
    except OSError as error:
        raise OutputError(f"{folder}: the tokenized corpus cannot be written ({error})") from error
    return Store(folder)


def _open(folder: Path, identity: str) -> Store:
    store = Store(folder)
    if store.meta["identity"] != identity:
        raise DataError(
            f"{folder} holds a store of other sources or another tokenizer: delete it or name another folder"
        )
    return store


def _build(
    sources: Sequence[Source],
    folder: Path,
    *,
    tokenizer: PreTrainedTokenizerFast,
    held_out: float,
    identity: str,
    progress: Progress,
) -> None:
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        tokens, documents = _write_arrays(sources, building, Packer(tokenizer), held_out=held_out, progress=progress)
        _write_keyness(building, progress)
        meta = {
            "version": STORE_VERSION,
            "identity": identity,
            "sources": [source.name for source in sources],
            "tokens": tokens,
            "documents": documents,
            "vocabulary": len(tokenizer),
        }
        (building / "store.json").write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
        building.replace(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _write_arrays(
    sources: Sequence[Source], building: Path, packer: Packer, *, held_out: float, progress: Progress
) -> tuple[int, int]:
    """All arrays but the keyness, for which words.npy stands in. Returns (tokens, documents)."""
    with ExitStack() as stack:

        def array(name: str, dtype: type) -> _Growing:
            return stack.enter_context(closing(_Growing(building / f"{name}.npy", dtype)))

        tokens, words = array("tokens", np.uint16), array("words", np.uint32)
        units, flags = array("units", np.uint32), array("flags", np.uint8)
        documents, origins = array("documents", np.uint32), array("sources", np.uint8)
        aside = array("held_out", np.bool_)
        seen: set[int] = set()
        done, total = 0, sum(sum(source.sizes()) for source in sources)
        for number, source in enumerate(sources):

            def tell(count: int, name: str = source.name) -> None:
                nonlocal done
                done += count
                progress.busy("corpus", done=done, total=total, note=name)

            for paragraphs in read_source(source, on_bytes=tell):
                key = _hash("\n".join(paragraphs))
                if key in seen:
                    continue
                seen.add(key)
                packed = packer.pack_document(paragraphs)
                if packed is None:
                    continue
                packed_tokens, packed_words, packed_units, packed_flags = packed
                if tokens.size + packed_tokens.size >= _MOST_TOKENS:
                    raise DataError(
                        f"source {source.name} brings the corpus over {_MOST_TOKENS:,} tokens, the most that a store "
                        "takes: leave some files out"
                    )
                documents.append([units.size])
                origins.append([number])
                aside.append([key % 10_000 < held_out * 10_000])
                units.append(packed_units.astype(np.int64) + tokens.size)
                flags.append(packed_flags)
                tokens.append(packed_tokens)
                words.append(packed_words)
        if not tokens.size:
            raise DataError("the sources hold no text: " + ", ".join(str(f) for s in sources for f in s.files))
        units.append([tokens.size])
        documents.append([units.size - 1])
        for growing in (tokens, words, units, flags, documents, origins, aside):
            growing.finish()
        return tokens.size, origins.size


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


def _write_keyness(folder: Path, progress: Progress) -> None:
    """Turn word hashes into how telling a word is: its inverse document frequency on a scale of 0 to 255."""
    words = np.load(folder / "words.npy", mmap_mode="r")
    documents = np.load(folder / "documents.npy")
    units = np.load(folder / "units.npy")
    bounds = units[documents]
    frequency = np.zeros(_WORD_BUCKETS, dtype=np.int64)
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        if number % 10_000 == 0:
            progress.busy("words", done=number, total=len(bounds) - 1)
        # long documents (a whole classic) count once per 2,000 tokens, else their every word looks common
        for piece in range(int(start), int(end), 2000):
            frequency[np.unique(words[piece : min(piece + 2000, int(end))])] += 1
    pieces = max(int(frequency.max()), 2)
    scale = np.zeros(_WORD_BUCKETS, dtype=np.uint8)
    frequent = np.flatnonzero(frequency >= 3)  # a word seen once or twice is noise, not a topic
    scale[frequent] = np.clip(np.log(pieces / frequency[frequent]) / np.log(pieces) * 255, 0, 255)
    scale[:2] = 0
    step = 1 << 22
    with (folder / "keyness.npy").open("wb") as file:
        _write_header(file, scale.dtype, len(words))
        for start in range(0, len(words), step):
            file.write(scale[words[start : start + step]].tobytes())
    del words
    (folder / "words.npy").unlink()


@functools.lru_cache(maxsize=1 << 20)
def _bucket(word: str) -> int:
    return 1 if len(word) < 2 else 2 + _hash(word.lower()) % (_WORD_BUCKETS - 2)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _identity(sources: Sequence[Source], tokenizer: PreTrainedTokenizerFast, held_out: float) -> str:
    """What the store depends on. Samples stand for a file: hashing gigabytes at every start takes minutes."""
    facts = [
        STORE_VERSION,
        held_out,
        _hash(tokenizer.backend_tokenizer.to_str()),
        [
            (s.name, s.fields, [(f.name, n, _sample(f, n)) for f, n in zip(s.files, s.sizes(), strict=True)])
            for s in sources
        ],
    ]
    return f"{_hash(json.dumps(facts)):016x}"


def _sample(path: Path, size: int, *, stretch: int = 1 << 16) -> int:
    """A hash of the beginning, the middle and the end of a file, of all of it where it is small."""
    digest = hashlib.blake2b(digest_size=8)
    try:
        with path.open("rb") as file:
            for start in sorted({0, max(size // 2 - stretch // 2, 0), max(size - stretch, 0)}):
                file.seek(start)
                digest.update(file.read(stretch))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return int.from_bytes(digest.digest(), "big")


class Store:
    """An opened store: arrays mapped into memory, read-only. Raises DataError for one that is damaged."""

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
            self._check()
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"{folder}: not a readable store ({error}); delete it and build it again") from error

    def _check(self) -> None:
        fits = {
            "tokens": len(self.tokens) == self.meta["tokens"] == int(self.units[-1]) == len(self.keyness),
            "units": len(self.units) - 1 == len(self.flags) == int(self.documents[-1]),
            "documents": len(self.documents) - 1 == self.meta["documents"] == len(self.sources) == len(self.held_out),
            "identity": isinstance(self.meta["identity"], str),
        }
        wrong = [name for name, right in fits.items() if not right]
        if wrong:
            raise ValueError(f"its {' and '.join(wrong)} do not fit together")

    @property
    def source_names(self) -> list[str]:
        return list(self.meta["sources"])

    def __len__(self) -> int:
        return len(self.sources)
