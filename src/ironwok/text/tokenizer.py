"""The tokenizer: Chinese characters one by one, word pieces for everything else, offsets into the user's text.

One ``tokenizer.json`` in the format of the ``tokenizers`` library, so that it runs at the speed of Rust and loads
everywhere. Normalisation (compatibility forms, accents, case) is tracked by the library: offsets always index the
string that came in. A Chinese character or a sign that the vocabulary does not know becomes one ``[UNK]`` with its
own offsets and never swallows its neighbours; an alphabetic word with an unknown letter, or of more than 100, becomes
one ``[UNK]`` with the offsets of the word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ironwok.errors import CheckpointError, InputError
from ironwok.text.characters import without_surrogates

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# Packed corpora keep a token in the lower 15 bits of a 16-bit word, the uppermost says "continues a word".
LARGEST_VOCABULARY = 1 << 15

_STOPS = "….。⋯"
_RUN = re.compile(r"([….。⋯])\1")  # of whatever the normaliser below makes one sign of

# Written without spaces between words, hence one token a character.
_UNSPACED_SCRIPTS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}]"
_SYMBOLS = r"[^\p{L}\p{N}\p{M}\s]"


def _untrained() -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK, max_input_chars_per_word=100))  # pyright: ignore[reportCallIssue]
    tokenizer.normalizer = normalizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            # Three full stops, six of them, or the real sign: one token. U+22EF has no compatibility form.
            normalizers.Replace(Regex(r"…+|\.{3,}|。{2,}|⋯+"), "⋯"),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.NFC(),
            normalizers.BertNormalizer(
                clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False
            ),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(_UNSPACED_SCRIPTS), "isolated"),
            pre_tokenizers.Split(Regex(_SYMBOLS), "isolated"),
            pre_tokenizers.Digits(individual_digits=False),
        ]
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")  # pyright: ignore[reportAttributeAccessIssue]
    ids = {token: i for i, token in enumerate(SPECIAL_TOKENS)}
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(CLS, ids[CLS]), (SEP, ids[SEP])],
    )
    return tokenizer


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int = 12800, min_frequency: int = 20, largest_alphabet: int = 9000
) -> Tokenizer:
    """Learn a vocabulary from running text.

    texts: any iterable of strings, read once.
    vocab_size: entries in all, special tokens included, at most 32768.
    min_frequency: a word piece seen less often is not merged.
    largest_alphabet: how many single characters to keep, the most frequent first.
    Returns a ``tokenizers.Tokenizer``; ``.save(path)`` writes it. Raises InputError for sizes out of range.
    """
    from tokenizers import trainers

    if not largest_alphabet < vocab_size <= LARGEST_VOCABULARY:
        raise InputError(
            f"vocab_size is {vocab_size}: it must exceed largest_alphabet ({largest_alphabet}) "
            f"and fit in 15 bits ({LARGEST_VOCABULARY})"
        )
    tokenizer = _untrained()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        limit_alphabet=largest_alphabet,
        special_tokens=list(SPECIAL_TOKENS),
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def wrap_tokenizer(tokenizer: Tokenizer, *, model_max_length: int = 512) -> PreTrainedTokenizerFast:
    """The same tokenizer behind the interface of ``transformers``, whose ``save_pretrained`` writes a model folder."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNK,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
        model_max_length=model_max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerFast:
    """Load a tokenizer from a ``tokenizer.json`` or from the folder that holds one.

    Raises CheckpointError when there is none or when it is damaged.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    path = Path(path)
    if path.is_dir() and (path / "tokenizer_config.json").exists():
        try:
            loaded = AutoTokenizer.from_pretrained(str(path))
        except Exception as error:  # KeyError, bare Exception, ...: it depends on what is wrong in the file
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).strip().partition("\n")[0]
            raise CheckpointError(f"{path}: not a readable tokenizer ({reason})") from error
        if not isinstance(loaded, PreTrainedTokenizerFast):
            raise CheckpointError(
                f"{path}: a fast tokenizer is needed for character offsets, found {type(loaded).__name__}"
            )
        return loaded
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{file}: no tokenizer here; name a tokenizer.json or the folder of a model")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception for anything wrong in the file
        raise CheckpointError(f"{file}: not a readable tokenizer file ({error})") from error
    return wrap_tokenizer(tokenizer)


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Token ids and half-open character offsets of each text, without special tokens around it.

    The texts are only text: ``[MASK]`` in one of them is six characters like any others, not the special token. Lone
    surrogates, which tokenizers refuse, are handed on as U+FFFD. A run of stops ("……") that became one token is held
    by it as a whole. Raises InputError for a tokenizer without offsets (a "slow" one).
    """
    if not tokenizer.is_fast:
        raise InputError(f"{type(tokenizer).__name__} has no character offsets: a fast tokenizer is needed")
    if not texts:
        return []
    encoded = tokenizer(
        [replace_surrogates(text) for text in texts],
        add_special_tokens=False,
        split_special_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=True,
        verbose=False,
    )
    ids: list[list[int]] = encoded["input_ids"]  # pyright: ignore[reportAssignmentType]
    offsets: list[list[tuple[int, int]]] = encoded["offset_mapping"]  # pyright: ignore[reportAssignmentType]
    return [(row, _over_runs(text, spans)) for text, row, spans in zip(texts, ids, offsets, strict=True)]


def _over_runs(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Let the token of a run of stops begin where the run begins.

    The normaliser writes the run as one sign, and the library knows only its last character as the origin of that.
    """
    if _RUN.search(text) is None:
        return offsets
    whole: list[tuple[int, int]] = []
    before = 0  # end of the last token: further back than that no run reaches
    for start, end in offsets:
        while before < start < len(text) and text[start] in _STOPS and text[start - 1] == text[start]:
            start -= 1
        whole.append((start, end))
        before = max(before, end)
    return whole


def replace_surrogates(text: str) -> str:
    """A copy of the same length in which lone surrogates, which no UTF-8 can carry, are U+FFFD.

    Python strings may hold them (``errors="surrogateescape"``); the tokenizer may not. Offsets stay valid.
    """
    return without_surrogates(text)[0]
