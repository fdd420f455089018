"""The encoder in the hands of transformers: python examples/use_with_transformers.py"""

from __future__ import annotations

import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from ironwok.models import resolve_model  # importing ironwok.models registers RoFormerV2 with the Auto classes

SENTENCES = ["今天的天气真好，我们去公园吧。", "阳光明媚，适合出门走走。", "公司上半年亏损一亿元。"]


def main() -> None:
    folder = resolve_model("ironwok-small")
    tokenizer = AutoTokenizer.from_pretrained(folder)

    # sentence vectors: the mean over the real tokens, compared by their cosine
    encoder = AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = encoder(**batch).last_hidden_state
    real = batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((states * real).sum(1) / real.sum(1), dim=-1)
    print("cosine to the first sentence:", [f"{value:.2f}" for value in (vectors @ vectors[0]).tolist()])

    # a hidden character
    masked = AutoModelForMaskedLM.from_pretrained(folder).eval()
    question = tokenizer("中国的首都是北[MASK]。", return_tensors="pt")
    with torch.inference_mode():
        logits = masked(**question).logits[0, question["input_ids"][0] == tokenizer.mask_token_id]
    print("北[MASK]:", tokenizer.convert_ids_to_tokens(logits[0].topk(3).indices.tolist()))

    # a fresh head for fine-tuning, to be trained with the Trainer or a loop of your own
    classifier = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    loss = classifier(**batch, labels=torch.tensor([0, 0, 1])).loss
    loss.backward()
    print(f"loss before training: {loss.item():.2f}")


if __name__ == "__main__":
    main()
