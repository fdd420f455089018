"""What all scorers with a Hugging Face encoder share: reading in buckets, windows, vectors of texts."""

# B batch, L tokens, D width

from __future__ import annotations

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ironwok.errors import InputError, LongTextWarning
from ironwok.results import Span
from ironwok.text.inputs import buckets, longest_input
from ironwok.zero_shot.encoding import PairEncoder, Progress, unique
from ironwok.zero_shot.mapping import log_odds
from ironwok.zero_shot.pairs import Pair, Position, Prompt

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_BATCH_SIZE = 64

# Labels come back text after text, second sentences do not: remember sizes, but not forever.
_REMEMBERED_PROMPTS = 50_000

Row = tuple[list[int], int]


class EncoderScorer:
    """An encoder with a tokenizer, run over rows of token ids.

    batch_size: most pairs in one pass of the model; batch_tokens: most padded tokens in one pass. They bound the
    memory and change no score beyond rounding.
    max_tokens: read less than the model could, special tokens included; None for all it can.
    """

    default_position: ClassVar[Position] = "prefix"
    # whether a whole sentence can stand as the prompt; a masked LM needs a marked part to hide
    reads_sentences: ClassVar[bool] = True
    # special tokens around a text and its prompt, from the layout
    _specials: int

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        batch_tokens: int = 8192,
        max_tokens: int | None = None,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("batch_tokens", batch_tokens)):
            if value < 1:
                raise InputError(f"{name} is {value}; it is at least 1")
        longest = longest_input(tokenizer, model.config)
        if max_tokens is not None and max_tokens > longest:
            raise InputError(f"max_tokens is {max_tokens}, the model takes {longest}: ask for that many or fewer")
        accepted = inspect.signature(model.forward).parameters
        segments = "token_type_ids" in accepted and getattr(model.config, "type_vocab_size", 0) > 1
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.encoder = PairEncoder(tokenizer, max_tokens=max_tokens or longest, segments=segments)
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self._specials = self.encoder.layout.pair_specials
        self._prompt_sizes: dict[Prompt, int] = {}

    @property
    def max_tokens(self) -> int:
        return self.encoder.max_tokens

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens that each prompt takes away from the text."""
        return [len(ids) for ids in self.encoder.ids([prompt.text for prompt in prompts])]

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(ids) for ids in self.encoder.ids(texts)], dtype=np.int64)

    def windows(self, texts: Sequence[str], *, prompts: Sequence[Sequence[Prompt]], limit: int) -> list[list[Span]]:
        sizes = self._prompt_sizes
        if len(sizes) > _REMEMBERED_PROMPTS:
            sizes.clear()
        fresh = list(dict.fromkeys(prompt for own in prompts for prompt in own if prompt not in sizes))
        sizes.update(zip(fresh, self.prompt_tokens(fresh), strict=True))
        cut: list[list[Span]] = []
        for text, own in zip(texts, prompts, strict=True):
            longest = max(own, key=sizes.__getitem__)
            room = self.encoder.room(sizes[longest], limit=limit, specials=self._specials, prompt=longest.text)
            cut.append(self.encoder.windows(text, room=room))
        return cut

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Mean of the last hidden states over each text, float32 [N, D]; texts beyond max_tokens lose their end."""
        distinct, inverse = unique(texts)
        room = self.max_tokens - self.encoder.layout.single_specials
        token_ids = [ids[:room] for ids in self.encoder.ids(distinct)]
        base = getattr(self.model, self.model.base_model_prefix, self.model)
        vectors = np.zeros((len(distinct), self.model.config.hidden_size), dtype=np.float32)

        def read(outputs: Any, inputs: dict[str, torch.Tensor], indices: np.ndarray) -> None:
            hidden_BLD = outputs.last_hidden_state.float()
            weights_BL1 = inputs["attention_mask"].unsqueeze(-1).float()
            mean_BD = (hidden_BLD * weights_BL1).sum(1) / weights_BL1.sum(1)
            vectors[indices] = mean_BD.cpu().numpy()

        lengths = np.array([len(ids) for ids in token_ids]) + self.encoder.layout.single_specials
        self.run(lengths, lambda index: self.encoder.single(token_ids[index]), read, model=base)
        return vectors[inverse]

    def _warn_of_cuts(self, count: int) -> None:
        if count:
            warnings.warn(
                f"{count} texts do not fit into {self.max_tokens} tokens beside their prompts and lost their ends",
                LongTextWarning,
                stacklevel=3,
            )

    def run(
        self,
        lengths: np.ndarray,
        row_of: Callable[[int], Row],
        read: Callable[[Any, dict[str, Any], np.ndarray], None],
        *,
        model: Any = None,
        progress: Progress | None = None,
    ) -> None:
        """Pass all rows through the model, bucketed by length.

        lengths: tokens of each row. row_of: builds one. read: takes the outputs, the inputs and the rows' indices.
        progress: told how many rows each pass has finished.
        """
        import torch

        model = self.model if model is None else model
        device = self.model.device
        for indices in buckets(lengths, batch_size=self.batch_size, batch_tokens=self.batch_tokens):
            inputs = self.encoder.batch([row_of(int(index)) for index in indices], device)
            with torch.inference_mode():
                read(model(**inputs), inputs, indices)
            if progress is not None:
                progress(len(indices))


class PairScorer(EncoderScorer, ABC):
    """An encoder whose head says yes or no to a pair of sentences, two logits a pair.

    judge: what is asked for the logits instead of the model, where something gives the same ones faster.
    """

    judge: Callable[..., Any] | None = None

    def score(self, pairs: Sequence[Pair], *, progress: Progress | None = None) -> np.ndarray:
        """Log-odds of yes against no, float64 [P]. A text that does not fit beside its prompt loses its end.

        Raises TextTooLongError when a prompt leaves no room for a text.
        """
        asked, asked_of = unique(pairs)
        texts, text_of = unique([pair.text for pair in asked])
        prompts, prompt_of = unique([pair.prompt.text for pair in asked])
        text_ids, prompt_ids = self.encoder.ids(texts), self.encoder.ids(prompts)
        rooms = np.array(
            [
                self.encoder.room(len(ids), limit=self.max_tokens, specials=self._specials, prompt=prompt)
                for prompt, ids in zip(prompts, prompt_ids, strict=True)
            ],
            dtype=np.int64,
        )
        text_lengths = np.array([len(ids) for ids in text_ids], dtype=np.int64)[text_of]
        kept = np.minimum(text_lengths, rooms[prompt_of])
        prompt_lengths = np.array([len(ids) for ids in prompt_ids], dtype=np.int64)[prompt_of]
        self._warn_of_cuts(int((kept < text_lengths).sum()))

        def row_of(index: int) -> Row:
            text, prompt = text_ids[text_of[index]][: kept[index]], prompt_ids[prompt_of[index]]
            return (
                self.encoder.pair(prompt, text)
                if asked[index].position == "prefix"
                else self.encoder.pair(text, prompt)
            )

        scores = np.empty(len(asked), dtype=np.float64)

        def read(outputs: Any, _: Any, indices: np.ndarray) -> None:
            scores[indices] = log_odds(self._logits(outputs).float().cpu().numpy().astype(np.float64))

        self.run(kept + prompt_lengths + self._specials, row_of, read, model=self.judge, progress=progress)
        return scores[asked_of]

    @abstractmethod
    def _logits(self, outputs: Any) -> Any:
        """Logits [B, 2] of the model's outputs, yes first."""
