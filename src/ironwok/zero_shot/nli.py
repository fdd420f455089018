"""Does the text entail the prompt? A head trained on inference as a scorer (Yin et al., arXiv 1909.00161)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ironwok.errors import MissingHeadError
from ironwok.zero_shot.encoder_scorer import DEFAULT_BATCH_SIZE, PairScorer
from ironwok.zero_shot.pairs import Position

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class NLIScorer(PairScorer):
    """Log-odds of entailment against contradiction, the text as the premise.

    model: a sequence classifier whose ``label2id`` names a class that begins with "entail"; the other one is the
    class that begins with "contra", else the last or the first, as in the pipeline of ``transformers``.
    """

    default_position: ClassVar[Position] = "suffix"

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        batch_tokens: int = 8192,
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(model, tokenizer, batch_size=batch_size, batch_tokens=batch_tokens, max_tokens=max_tokens)
        names = {name.lower(): index for name, index in (model.config.label2id or {}).items()}
        entailment = [index for name, index in names.items() if name.startswith("entail")]
        if not entailment:
            raise MissingHeadError(
                f"{type(model).__name__} has the classes {sorted(names)}, none of them 'entailment': scorer='nli' "
                f"needs a model trained on natural language inference, scorer='nsp' or 'pet' any pretrained encoder"
            )
        contradiction = [index for name, index in names.items() if name.startswith("contra")]
        self._classes = [entailment[0], contradiction[0] if contradiction else (-1 if entailment[0] == 0 else 0)]

    def _logits(self, outputs: Any) -> Any:
        return outputs.logits[:, self._classes]
